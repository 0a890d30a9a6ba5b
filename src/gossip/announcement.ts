/**
 * What a node announces by UDP: how far its chain is, where it can be reached, and where some others can; signed with its own
 * key. See docs/protocol.md, "Gossip". It fits one datagram whatever it says: what does not fit is left for the next one.
 */
import { assert } from "../assert.ts"
import { concat, concatAll, equal, fromUtf8, readU64, utf8, writeU64 } from "../codec/bytes.ts"
import { sha256 } from "../crypto/hash.ts"
import type { Keypair } from "../crypto/keys.ts"
import { sealNonceBytes, sealTagBytes } from "../crypto/x25519.ts"
import { sign, verify } from "../crypto/signature.ts"
import { chainIdBytesMax, datagramBytesMax, endpointCharsMax, gossipEntriesMax } from "../limits.ts"

/** The first byte of a datagram. */
export const forms = { plain: 1, sealed: 2 } as const
/** Form, hint of the key, nonce and tag: what the secret form has beside the packet. */
export const sealHintBytes = 8
export const sealBytesMore = 1 + sealHintBytes + sealNonceBytes + sealTagBytes
/** Bytes of an announcement: in either form it is within a datagram, behind the byte that counts its hops. */
export const announcementBytesMax = datagramBytesMax - sealBytesMore - 1

export interface Announcement {
  readonly chainId: string
  /** 33 bytes: the node's own key, as in its hello. */
  readonly publicKey: Uint8Array
  /** Greater than in every announcement of this node before. */
  readonly sequence: number
  /** Milliseconds of the node's clock. */
  readonly time: number
  /** How often it may be passed on, 0 to 255. */
  readonly hopsMax: number
  readonly height: number
  /** Of the whole branch, as 32 bytes, big-endian. */
  readonly work: Uint8Array
  readonly tip: Uint8Array
  /** Where the node can be dialled, host:port; empty: nowhere. */
  readonly endpoint: string
  /** Where it hears announcements, host:port; empty: nowhere that others could send to. */
  readonly gossipEndpoint: string
  /** Where others can be dialled, host:port. */
  readonly entries: ReadonlyArray<string>
}

/** An announcement with its bytes; `genesis`: the first bytes of the genesis hash that it names. */
export interface Announced extends Announcement {
  readonly bytes: Uint8Array
  readonly genesis: Uint8Array
}

const version = 1
const genesisBytes = 8
const signatureBytes = 64
const tag = utf8("cairn/gossip")

const u64 = (value: number): Uint8Array => {
  const out = new Uint8Array(8)
  writeU64(out, 0, value)
  return out
}

const text = (value: string): Uint8Array => concat(new Uint8Array([value.length]), utf8(value))

/** What is signed: the whole genesis hash, and all but the signature. Of the hash only the beginning travels. */
const digest = (genesis: Uint8Array, body: Uint8Array): Uint8Array => sha256(concat(tag, genesis, body))

const encodeBody = (announcement: Announcement, genesis: Uint8Array): Uint8Array => {
  const { chainId, publicKey, sequence, time, hopsMax, height, work, tip, endpoint, gossipEndpoint, entries } =
    announcement
  return concatAll([
    new Uint8Array([version]),
    text(chainId),
    genesis.subarray(0, genesisBytes),
    publicKey,
    u64(sequence),
    u64(time),
    new Uint8Array([hopsMax]),
    u64(height),
    work,
    tip,
    text(endpoint),
    text(gossipEndpoint),
    new Uint8Array([entries.length]),
    ...entries.map(text)
  ])
}

/** The bytes of an announcement. What is longer than a datagram is a bug of the caller: see `fitting`. */
export const makeAnnouncement = (announcement: Announcement, genesis: Uint8Array, key: Keypair): Uint8Array => {
  const body = encodeBody(announcement, genesis)
  const bytes = concat(body, sign(digest(genesis, body), key.secret))
  assert(bytes.length <= announcementBytesMax, "an announcement fits a datagram")
  return bytes
}

/** As many entries as fit beside the rest, from the one at `first` on, around the list. */
export const fitting = (
  announcement: Omit<Announcement, "entries">,
  entries: ReadonlyArray<string>,
  first: number
): ReadonlyArray<string> => {
  const { chainId, endpoint, gossipEndpoint } = announcement
  let left = announcementBytesMax - fixedBytes - chainId.length - endpoint.length - gossipEndpoint.length
  const out: Array<string> = []
  for (let i = 0; i < entries.length && out.length < gossipEntriesMax; i++) {
    const entry = entries[(first + i) % entries.length]!
    if (!isEndpoint(entry) || entry === "" || entry === endpoint || 1 + entry.length > left) continue
    left -= 1 + entry.length
    out.push(entry)
  }
  return out
}

/** All but the texts and the entries; each text has its length before it. */
const fixedBytes = 1 + 1 + genesisBytes + 33 + 8 + 8 + 1 + 8 + 32 + 32 + 1 + 1 + 1 + signatureBytes

const chainIdForm = /^[a-z0-9-]+$/
const endpointForm = /^[\x21-\x7e]*$/
const isEndpoint = (value: string): boolean => value.length <= endpointCharsMax && endpointForm.test(value)

/** Reads fields one after the other; past the end everything is nothing. */
class Fields {
  private readonly bytes: Uint8Array
  at = 0

  constructor(bytes: Uint8Array) {
    this.bytes = bytes
  }

  take(length: number): Uint8Array | undefined {
    if (this.at + length > this.bytes.length) return undefined
    this.at += length
    return this.bytes.subarray(this.at - length, this.at)
  }

  byte(): number | undefined {
    return this.take(1)?.[0]
  }

  count(): number | undefined {
    const bytes = this.take(8)
    return bytes === undefined ? undefined : readU64(bytes, 0)
  }

  text(): string | undefined {
    const length = this.byte()
    const bytes = length === undefined ? undefined : this.take(length)
    return bytes === undefined ? undefined : fromUtf8(bytes)
  }
}

const readEntries = (fields: Fields): ReadonlyArray<string> | undefined => {
  const count = fields.byte()
  if (count === undefined || count > gossipEntriesMax) return undefined
  const entries: Array<string> = []
  for (let i = 0; i < count; i++) {
    const entry = fields.text()
    if (entry === undefined || entry === "" || !isEndpoint(entry)) return undefined
    entries.push(entry)
  }
  return entries
}

/** Reads an announcement by its form alone: nothing of it is proven. One value has one form. Never throws. */
export const decodeAnnouncement = (bytes: Uint8Array): Announced | undefined => {
  if (bytes.length > announcementBytesMax) return undefined
  const fields = new Fields(bytes)
  if (fields.byte() !== version) return undefined
  const chainId = fields.text()
  const genesis = fields.take(genesisBytes)
  const publicKey = fields.take(33)
  const [sequence, time, hopsMax, height] = [fields.count(), fields.count(), fields.byte(), fields.count()]
  const [work, tip] = [fields.take(32), fields.take(32)]
  const [endpoint, gossipEndpoint] = [fields.text(), fields.text()]
  const entries = readEntries(fields)
  if (fields.take(signatureBytes) === undefined || fields.at !== bytes.length) return undefined
  if (chainId === undefined || chainId.length > chainIdBytesMax || !chainIdForm.test(chainId)) return undefined
  if (sequence === undefined || time === undefined || height === undefined || hopsMax === undefined) return undefined
  if (endpoint === undefined || !isEndpoint(endpoint)) return undefined
  if (gossipEndpoint === undefined || !isEndpoint(gossipEndpoint) || entries === undefined) return undefined
  return {
    ...{ bytes, chainId, genesis: genesis!, publicKey: publicKey!, sequence, time, hopsMax, height },
    ...{ work: work!, tip: tip!, endpoint, gossipEndpoint, entries }
  }
}

/** Does it name this chain? */
export const isOfChain = (
  { chainId, genesis }: Announced,
  ours: { readonly chainId: string; readonly genesis: Uint8Array }
) => chainId === ours.chainId && equal(genesis, ours.genesis.subarray(0, genesisBytes))

/** Has the node that it names said it, on the chain of this genesis? */
export const isSigned = ({ bytes, publicKey }: Announced, genesis: Uint8Array): boolean =>
  verify(digest(genesis, bytes.subarray(0, -signatureBytes)), bytes.subarray(-signatureBytes), publicKey)
