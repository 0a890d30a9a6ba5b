/**
 * A peer as bytes in a datastore: protobuf. The fields have the numbers of js-libp2p's peer store.
 *
 *   1 address {1 multiaddr, 2 certified, 3 observed}  2 protocol  4 public key  5 envelope  6 metadata {1 name, 2 value}
 *   7 tag {1 name, 2 value, 3 expires}  8 updated
 */
import type { PeerId } from "../libp2p/contract.ts"
import { cheapFault, Libp2pFault } from "../libp2p/fault.ts"
import { publicKeyFromProtobuf } from "../libp2p/key.ts"
import { decodeMultiaddr } from "../libp2p/multiaddr.ts"
import { peerIdOfKey } from "../libp2p/peer-id.ts"
import {
  bytesField,
  bytesOf,
  type Field,
  message,
  numberOf,
  readFields,
  repeatedBytesOf,
  textOf,
  varintField
} from "../libp2p/protobuf.ts"
import type { KnownAddress, KnownPeer, KnownTag } from "./peer-data.ts"

const optional = (number: number, value: Uint8Array | undefined): Uint8Array | undefined =>
  value === undefined ? undefined : bytesField(number, value)

const untilOf = (expires: number): Uint8Array | undefined =>
  expires === Infinity ? undefined : varintField(3, Math.floor(expires))

export const encodePeerRow = (peer: KnownPeer): Uint8Array =>
  message(
    ...peer.addresses.map(({ multiaddr, isCertified, observed }) =>
      bytesField(
        1,
        message(
          bytesField(1, multiaddr.bytes),
          varintField(2, isCertified ? 1 : 0),
          varintField(3, Math.floor(observed))
        )
      )
    ),
    ...peer.protocols.map((protocol) => bytesField(2, protocol)),
    optional(4, peer.id.publicKey?.protobuf),
    optional(5, peer.envelope),
    ...[...peer.metadata].map(([name, value]) => bytesField(6, message(bytesField(1, name), bytesField(2, value)))),
    ...[...peer.tags].map(([name, { value, expires }]) =>
      bytesField(7, message(bytesField(1, name), varintField(2, value), untilOf(expires)))
    ),
    varintField(8, Math.floor(peer.updated))
  )

/** The parts of a message in a repeated field, each read by `read`; a fault: the first of one that cannot be read. */
const each = <A>(
  fields: ReadonlyArray<Field>,
  number: number,
  read: (fields: ReadonlyArray<Field>) => A | Libp2pFault
): ReadonlyArray<A> | Libp2pFault => {
  const found: Array<A> = []
  for (const bytes of repeatedBytesOf(fields, number)) {
    const inner = readFields(bytes)
    const value = inner instanceof Libp2pFault ? inner : read(inner)
    if (value instanceof Libp2pFault) return value
    found.push(value)
  }
  return found
}

const wrong = (what: string): Libp2pFault => cheapFault("decode", "InvalidMessageError", `a stored peer: ${what}`)

/** A number of ours is at most 2^53 - 1; another is as none. */
const countOf = (fields: ReadonlyArray<Field>, number: number): number | undefined => {
  const value = numberOf(fields, number)
  return value === undefined || Number.isNaN(value) ? undefined : value
}

const readAddress = (fields: ReadonlyArray<Field>): KnownAddress | Libp2pFault => {
  const multiaddr = decodeMultiaddr(bytesOf(fields, 1) ?? new Uint8Array(0))
  if (multiaddr instanceof Libp2pFault) return multiaddr
  return { multiaddr, isCertified: numberOf(fields, 2) === 1, observed: countOf(fields, 3) ?? 0 }
}

const readEntry = (fields: ReadonlyArray<Field>): readonly [string, Uint8Array] | Libp2pFault => {
  const name = textOf(fields, 1)
  return name === undefined ? wrong("an entry without a name") : [name, bytesOf(fields, 2) ?? new Uint8Array(0)]
}

const readTag = (fields: ReadonlyArray<Field>): readonly [string, KnownTag] | Libp2pFault => {
  const name = textOf(fields, 1)
  if (name === undefined) return wrong("a tag without a name")
  return [name, { value: countOf(fields, 2) ?? 0, expires: countOf(fields, 3) ?? Infinity }]
}

const readProtocols = (fields: ReadonlyArray<Field>): ReadonlyArray<string> =>
  fields.flatMap((field) => (field.number === 2 ? (textOf([field], 2) ?? []) : []))

const withKey = (id: PeerId, protobuf: Uint8Array | undefined): PeerId | Libp2pFault => {
  if (protobuf === undefined) return id
  const key = publicKeyFromProtobuf(protobuf)
  if (key instanceof Libp2pFault) return key
  const found = peerIdOfKey(key)
  return found.equals(id) ? found : wrong("the key of another peer")
}

/** The peer of a row; a fault (decode): the row is not as we wrote it, and is to be forgotten. */
export const decodePeerRow = (id: PeerId, bytes: Uint8Array): KnownPeer | Libp2pFault => {
  const fields = readFields(bytes)
  if (fields instanceof Libp2pFault) return fields
  const keyed = withKey(id, bytesOf(fields, 4))
  const addresses = each(fields, 1, readAddress)
  const metadata = each(fields, 6, readEntry)
  const tags = each(fields, 7, readTag)
  if (keyed instanceof Libp2pFault) return keyed
  if (addresses instanceof Libp2pFault) return addresses
  if (metadata instanceof Libp2pFault) return metadata
  if (tags instanceof Libp2pFault) return tags
  return {
    id: keyed,
    addresses,
    protocols: readProtocols(fields),
    metadata: new Map(metadata),
    tags: new Map(tags),
    envelope: bytesOf(fields, 5),
    updated: countOf(fields, 8) ?? 0
  }
}
