/**
 * Peer records (libp2p specs, RFC 0003): where a peer says it is, in an envelope that it signed. Domain and type are those that
 * go- and js-libp2p write, which the RFC's text does not have; the pair that rust-libp2p writes by default is read too.
 */
import { equal, utf8 } from "../codec/bytes.ts"
import { peerRecordAddressesMax } from "../limits.ts"
import type { Identity, Multiaddr, PeerId, PublicKey } from "./contract.ts"
import { type EnvelopeKind, openEnvelope, sealEnvelope } from "./envelope.ts"
import { cheapFault, Libp2pFault } from "./fault.ts"
import { decodeMultiaddr } from "./multiaddr.ts"
import { peerIdOfKey } from "./peer-id.ts"
import { bigOf, bytesField, bytesOf, message, readFields, repeatedBytesOf, varintField } from "./protobuf.ts"

/** The multicodec 0x0301 as two bytes, not as a varint. */
export const peerRecordKind: EnvelopeKind = { domain: "libp2p-peer-record", payloadType: Uint8Array.of(0x03, 0x01) }
const ofRust: EnvelopeKind = { domain: "libp2p-routing-state", payloadType: utf8("/libp2p/routing-state-record") }

/** What a peer said of itself. */
export interface PeerRecord {
  readonly peerId: PeerId
  readonly publicKey: PublicKey
  /** Rises with each record of a peer; some count milliseconds, some nanoseconds. */
  readonly seq: bigint
  /** Those that we can read, in the peer's order. */
  readonly addresses: ReadonlyArray<Multiaddr>
  /** How many we cannot: there may be protocols that we do not know. */
  readonly unread: number
}

/** Our record, signed: the bytes of its envelope. `seq`: from 0 to 2^64 - 1, higher than that of the record before. */
export const sealPeerRecord = (
  { privateKey, peerId }: Identity,
  seq: bigint,
  addresses: ReadonlyArray<Multiaddr>
): Uint8Array =>
  sealEnvelope(
    privateKey,
    peerRecordKind,
    message(
      bytesField(1, peerId.bytes),
      seq === 0n ? undefined : varintField(2, seq),
      ...addresses.slice(0, peerRecordAddressesMax).map(({ bytes }) => bytesField(3, bytesField(1, bytes)))
    )
  )

const wrong = (what: string): Libp2pFault => cheapFault("decode", "InvalidMessageError", `peer record: ${what}`)

const addressIn = (info: Uint8Array): Multiaddr | undefined => {
  const fields = readFields(info, 8)
  const bytes = fields instanceof Libp2pFault ? undefined : bytesOf(fields, 1)
  const address = bytes && decodeMultiaddr(bytes)
  return address instanceof Libp2pFault ? undefined : address
}

/**
 * The record in an envelope. A fault: those of openEnvelope; decode; verify, where it speaks of another peer than the one that
 * signed it.
 */
export const openPeerRecord = (bytes: Uint8Array): PeerRecord | Libp2pFault => {
  const envelope = openEnvelope(bytes, [peerRecordKind, ofRust])
  if (envelope instanceof Libp2pFault) return envelope
  const fields = readFields(envelope.payload, peerRecordAddressesMax + 16)
  if (fields instanceof Libp2pFault) return fields
  const infos = repeatedBytesOf(fields, 3)
  if (infos.length > peerRecordAddressesMax) return wrong(`more than ${peerRecordAddressesMax} addresses`)
  const peerId = peerIdOfKey(envelope.publicKey)
  const own = bytesOf(fields, 1)
  if (own === undefined) return wrong("it names no peer")
  if (!equal(own, peerId.bytes))
    return cheapFault("verify", "InvalidMessageError", "peer record: it is of another peer than who signed it")
  const addresses = infos.map(addressIn).filter((address) => address !== undefined)
  const seq = bigOf(fields, 2) ?? 0n
  return { peerId, publicKey: envelope.publicKey, seq, addresses, unread: infos.length - addresses.length }
}

/** May a record with `seq` take the place of what is known of its peer? Only a higher one: an old one may be sent again by anybody. */
export const isNewer = (seq: bigint, known: bigint | undefined): boolean => known === undefined || seq > known
