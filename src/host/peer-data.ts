/** What is kept of a peer, and how something new is put to it: replaced as a whole, field by field, or joined. Values only. */
import { equal } from "../codec/bytes.ts"
import type { Multiaddr, PeerId } from "../libp2p/contract.ts"
import { Libp2pFault } from "../libp2p/fault.ts"
import { peerIdOfKey } from "../libp2p/peer-id.ts"
import { bigOf, bytesOf, readFields } from "../libp2p/protobuf.ts"
import type { Address, PeerData, TagOptions } from "./api.ts"

/** Addresses that are kept of a peer that is connected, as in go. More: the certified and the latest stay. */
export const connectedPeerAddressesMax = 500
/** Addresses that are kept of another peer, as in go. */
export const peerAddressesMax = 20
/** Protocols that are kept of a peer, the first that were told; go keeps 128. */
export const peerProtocolsMax = 256
/** UTF-16 units of all protocols of a peer that is not connected: names of 30 are usual, and who says more is cut. */
export const peerProtocolsLengthMax = 4_096
/** Entries of a peer's metadata, and tags of a peer. More: refused. */
export const peerEntriesMax = 64
/** Characters of the name of a tag or of an entry. */
export const peerEntryNameLengthMax = 256
/** Bytes of one entry of the metadata. */
export const peerEntryBytesMax = 4_096
/** Bytes of a signed record: what identify may carry. */
export const peerRecordBytesMax = 8_192

export interface KnownAddress extends Readonly<Address> {
  /** When it was last heard of: milliseconds since 1970. */
  readonly observed: number
}

export interface KnownTag {
  readonly value: number
  /** Milliseconds since 1970; Infinity: it stays. */
  readonly expires: number
}

/** A peer as the book has it. Lists and maps are in the order of their texts. Never changed. */
export interface KnownPeer {
  /** With its public key, if that was met. */
  readonly id: PeerId
  readonly addresses: ReadonlyArray<KnownAddress>
  readonly protocols: ReadonlyArray<string>
  readonly metadata: ReadonlyMap<string, Uint8Array>
  readonly tags: ReadonlyMap<string, KnownTag>
  readonly envelope: Uint8Array | undefined
  /** When something was last said of it: milliseconds since 1970. */
  readonly updated: number
}

/** save: forgets what was; patch: replaces the fields that are given; merge: adds to them. */
export type Strategy = "save" | "patch" | "merge"

export type PeerField = "addresses" | "protocols" | "metadata" | "tags" | "publicKey" | "peerRecordEnvelope"

const input = (message: string): Libp2pFault => new Libp2pFault("input", "InvalidParametersError", message)
const byText = (a: string, b: string): number => (a < b ? -1 : a > b ? 1 : 0)
const sorted = <V>(entries: Iterable<readonly [string, V]>): ReadonlyMap<string, V> =>
  new Map([...entries].sort(([a], [b]) => byText(a, b)))

/** The number of the record in an envelope that was judged when it came: nothing is verified here. Undefined: there is none. */
export const seqOf = (envelope: Uint8Array | undefined): bigint | undefined => {
  if (envelope === undefined) return undefined
  const outer = readFields(envelope)
  const payload = outer instanceof Libp2pFault ? undefined : bytesOf(outer, 3)
  const inner = payload === undefined ? undefined : readFields(payload)
  return inner === undefined || inner instanceof Libp2pFault ? undefined : (bigOf(inner, 2) ?? 0n)
}

/** A peer of whom nothing is known. */
export const unknownPeer = (id: PeerId): KnownPeer => ({
  id,
  addresses: [],
  protocols: [],
  metadata: new Map(),
  tags: new Map(),
  envelope: undefined,
  updated: 0
})

/** The address of that very peer without its id at the end; undefined: it is none of this peer. */
export const addressOf = (id: PeerId, multiaddr: Multiaddr): Multiaddr | undefined => {
  const last = multiaddr.getComponents().at(-1)
  if (last === undefined) return undefined
  if (last.name !== "p2p") return multiaddr
  const bare = last.value === id.toString() ? multiaddr.decapsulateCode(last.code) : undefined
  return bare === undefined || bare.bytes.length === 0 ? undefined : bare
}

/** At most `max`, the certified first and then the latest; in the order of their texts. */
export const cutAddresses = (addresses: ReadonlyArray<KnownAddress>, max: number): ReadonlyArray<KnownAddress> =>
  (addresses.length <= max
    ? [...addresses]
    : addresses
        .toSorted((a, b) => Number(b.isCertified) - Number(a.isCertified) || b.observed - a.observed)
        .slice(0, max)
  ).sort((a, b) => byText(a.multiaddr.toString(), b.multiaddr.toString()))

const cutProtocols = (protocols: ReadonlyArray<string>): ReadonlyArray<string> => {
  let left = peerProtocolsLengthMax
  const end = protocols.findIndex(({ length }) => (left -= length) < 0)
  return end === -1 ? protocols : protocols.slice(0, end)
}

/** What is kept of a peer that is not connected, or when room is short: strangers leave little behind. */
export const cutPeer = (known: KnownPeer): KnownPeer => ({
  ...known,
  addresses: cutAddresses(known.addresses, peerAddressesMax),
  protocols: cutProtocols(known.protocols)
})

/**
 * Bytes that a peer takes in memory, as an estimate: an address as an object with its text is some 900 bytes, and 12 for each byte
 * that it has on the wire. With what the heap leaves empty between them, a process may take twice as much.
 */
export const peerBytes = ({ id, addresses, protocols, metadata, tags, envelope }: KnownPeer): number => {
  let bytes = 1_024 + 4 * (id.publicKey?.protobuf.length ?? 0) + (envelope?.length ?? 0)
  for (const { multiaddr } of addresses) bytes += 900 + 12 * multiaddr.bytes.length
  for (const protocol of protocols) bytes += 32 + 2 * protocol.length
  for (const [name, value] of metadata) bytes += 256 + 2 * name.length + value.length
  for (const [name] of tags) bytes += 128 + 2 * name.length
  return bytes
}

const addressesOf = (
  before: KnownPeer,
  data: PeerData,
  strategy: Strategy,
  now: number
): ReadonlyArray<KnownAddress> => {
  if (data.addresses === undefined && data.multiaddrs === undefined) return before.addresses
  const given: ReadonlyArray<Address> = [
    ...(data.multiaddrs ?? []).map((multiaddr) => ({ multiaddr, isCertified: false })),
    ...(data.addresses ?? [])
  ]
  const found = new Map<string, KnownAddress>()
  if (strategy === "merge") for (const address of before.addresses) found.set(address.multiaddr.toString(), address)
  for (const { multiaddr, isCertified } of given) {
    const bare = addressOf(before.id, multiaddr)
    if (bare === undefined) continue
    const text = bare.toString()
    const certified = isCertified || (found.get(text)?.isCertified ?? false)
    found.set(text, { multiaddr: bare, isCertified: certified, observed: now })
  }
  return [...found.values()]
}

const protocolsOf = (before: KnownPeer, data: PeerData, strategy: Strategy): ReadonlyArray<string> => {
  if (data.protocols === undefined) return before.protocols
  const all = new Set([...(strategy === "merge" ? before.protocols : []), ...data.protocols])
  return [...all].slice(0, peerProtocolsMax).sort(byText)
}

/** The entries of a map or an object put to those that are there; undefined ones are taken away. */
const entriesOf = <V, K>(
  before: ReadonlyMap<string, K>,
  given: ReadonlyMap<string, V | undefined> | Readonly<Record<string, V | undefined>> | undefined,
  strategy: Strategy,
  kept: (name: string, value: V) => K
): ReadonlyMap<string, K> => {
  if (given === undefined) return before
  const found = new Map(strategy === "merge" ? before : [])
  for (const [name, value] of given instanceof Map ? given : Object.entries(given)) {
    if (value === undefined) found.delete(name)
    else if (name.length > peerEntryNameLengthMax)
      throw input(`the name of a tag or an entry has ${peerEntryNameLengthMax} characters at most`)
    else found.set(name, kept(name, value))
  }
  if (found.size > peerEntriesMax) throw input(`a peer has at most ${peerEntriesMax} tags and entries of metadata`)
  return sorted(found)
}

const entryOf = (name: string, value: Uint8Array): Uint8Array => {
  if (!(value instanceof Uint8Array)) throw input(`metadata "${name}": the value is not bytes`)
  if (value.length > peerEntryBytesMax) throw input(`metadata "${name}": more than ${peerEntryBytesMax} bytes`)
  return value.slice()
}

const tagOf = (now: number, name: string, { value = 0, ttl }: TagOptions): KnownTag => {
  if (!Number.isInteger(value) || value < 0 || value > 100)
    throw input(`tag "${name}": the value is a whole number from 0 to 100`)
  if (ttl !== undefined && !(Number.isSafeInteger(ttl) && ttl >= 0))
    throw input(`tag "${name}": the time to live is a whole number of milliseconds from 0`)
  return { value, expires: ttl === undefined ? Infinity : now + ttl }
}

const idOf = (before: KnownPeer, data: PeerData): PeerId => {
  if (data.publicKey === undefined) return before.id
  const id = peerIdOfKey(data.publicKey)
  if (!id.equals(before.id)) throw input("the public key is not that of the peer id")
  return id
}

const envelopeOf = (data: PeerData): Uint8Array | undefined => {
  const bytes = data.peerRecordEnvelope
  if (bytes !== undefined && bytes.length > peerRecordBytesMax)
    throw input(`a signed record has at most ${peerRecordBytesMax} bytes`)
  return bytes?.slice()
}

/**
 * The peer after something was said of it at `now`. Throws InvalidParametersError; addresses of other peers are passed over.
 */
export const withData = (known: KnownPeer, data: PeerData, strategy: Strategy, now: number): KnownPeer => {
  const before = strategy === "save" ? unknownPeer(known.id) : known
  return {
    id: idOf(before, data),
    addresses: addressesOf(before, data, strategy, now),
    protocols: protocolsOf(before, data, strategy),
    metadata: entriesOf(before.metadata, data.metadata, strategy, entryOf),
    tags: entriesOf(before.tags, data.tags, strategy, (name, tag: TagOptions) => tagOf(now, name, tag)),
    envelope: envelopeOf(data) ?? before.envelope,
    updated: now
  }
}

const sameList = <A>(a: ReadonlyArray<A>, b: ReadonlyArray<A>, same: (one: A, other: A) => boolean): boolean =>
  a.length === b.length && a.every((one, at) => same(one, b[at]!))

/** The fields in which two states of a peer differ, as somebody sees them who does not look at the times. */
export const changedFields = (a: KnownPeer, b: KnownPeer): ReadonlyArray<PeerField> => {
  const same: Record<PeerField, boolean> = {
    addresses: sameList(
      a.addresses,
      b.addresses,
      (one, other) => one.isCertified === other.isCertified && equal(one.multiaddr.bytes, other.multiaddr.bytes)
    ),
    protocols: sameList(a.protocols, b.protocols, (one, other) => one === other),
    metadata: sameList(
      [...a.metadata],
      [...b.metadata],
      (one, other) => one[0] === other[0] && equal(one[1], other[1])
    ),
    tags: sameList([...a.tags], [...b.tags], (one, other) => one[0] === other[0] && one[1].value === other[1].value),
    publicKey: (a.id.publicKey === undefined) === (b.id.publicKey === undefined),
    peerRecordEnvelope: equal(a.envelope ?? new Uint8Array(0), b.envelope ?? new Uint8Array(0))
  }
  return (Object.keys(same) as Array<PeerField>).filter((field) => !same[field])
}
