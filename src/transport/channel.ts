/**
 * The contract of a conversation's carrier: secured, framed, named, two-way. A pure machine between bytes and messages;
 * `native.ts` (signed hello over TLS) is the first answer.
 */
import type { Message } from "../peer/message.ts"

/** Who is at the other end, as proven. */
export interface Remote {
  readonly nodeId: string
  readonly endpoint: string | undefined
  readonly agent: string
  /** Where it hears announcements by UDP, host:port, and the X25519 key under which they may be sealed. */
  readonly gossipEndpoint: string | undefined
  readonly gossipKey: Uint8Array | undefined
  /** Where its page and API are. */
  readonly nodeUrl: string | undefined
  /** What it says that it does: docs/protocol.md, "Hello". */
  readonly capabilities: ReadonlyArray<string>
}

export type ChannelOutput =
  /** Put these bytes on the wire. */
  | { readonly _tag: "Send"; readonly bytes: Uint8Array }
  /** The peer has proven who it is: from here on messages come. */
  | { readonly _tag: "Opened"; readonly remote: Remote }
  | { readonly _tag: "Received"; readonly message: Message }
  /** The session must end. `blame`: the peer broke the protocol. */
  | { readonly _tag: "Refused"; readonly code: string; readonly message: string; readonly blame: boolean }

export interface Channel {
  /** What we say first. */
  readonly open: (now: number) => ReadonlyArray<ChannelOutput>
  /** Bytes from the wire, in order and in any pieces. */
  readonly receive: (bytes: Uint8Array, now: number) => ReadonlyArray<ChannelOutput>
  /** Time passes: a peer that has not proven itself in time is refused. */
  readonly tick: (now: number) => ReadonlyArray<ChannelOutput>
  /** The bytes of a message. */
  readonly encode: (message: Message) => Uint8Array
}
