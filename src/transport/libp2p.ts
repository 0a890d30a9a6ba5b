/**
 * The libp2p channel: the same frames and the same messages in a stream of a libp2p connection. That has proven the key of the
 * other side in its handshake, so the hello needs no signature: it must be of this key (docs/protocol.md, "Over libp2p").
 */
import type { Channel } from "./channel.ts"
import { type ChannelOptions, makeFramedChannel } from "./framed.ts"
import { checkProvenHello, makeProvenHello } from "./hello.ts"

/** The protocol of a chain's nodes: a stream of it is one session. */
export const chainProtocol = (chainId: string): string => `/cairn/${chainId}/1`

export interface Libp2pChannelOptions extends ChannelOptions {
  /** The key of the connection's remote peer, 33 bytes: nodes have secp256k1 keys. */
  readonly remoteKey: Uint8Array
}

/** A channel over one stream. */
export const makeLibp2pChannel = (options: Libp2pChannelOptions): Channel =>
  makeFramedChannel(options, {
    make: makeProvenHello,
    check: (body, now) => checkProvenHello(body, { ...options, now })
  })
