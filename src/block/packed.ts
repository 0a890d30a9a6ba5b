/**
 * Headers of one branch packed for the wire: what a receiver derives is left out. Version, chain tag, height, previous hash
 * and target follow from the parent and the rules, so a page cannot even say them wrongly; a header that was made with others
 * comes out with another hash, which its seal does not meet. See docs/protocol.md, "Packed headers".
 */
import { concatAll, equal, readU64 } from "../codec/bytes.ts"
import { type Address, addressBytes } from "../crypto/address.ts"
import { type Hash32, sha256 } from "../crypto/hash.ts"
import type { Millis } from "../ledger/transaction.ts"
import {
  type AuthorityFields,
  decodeHeader,
  type HeaderFields,
  type HeaderVersion,
  nonceOffset,
  voteKinds
} from "./header.ts"

/** What of a header does not follow from its parent and the rules. */
export type HeaderRest = Pick<
  HeaderFields,
  "time" | "transactionRoot" | "stateRoot" | "proposer" | "extraHash" | "nonce"
> & { readonly authority?: Omit<AuthorityFields, "lastVote"> }

/** Root of no transactions, and hash of empty extra data: both are SHA-256 of nothing. */
const hashOfNothing = sha256(new Uint8Array(0))
/** Proposers that a page numbers; those above are written out each time. */
const dictionaryMax = 63
const rootFollows = 1
const extraFollows = 2

/** Whole numbers in groups of seven bits, the lowest first; the high bit says that another follows. */
const encodeVarint = (value: number): Uint8Array => {
  const out: Array<number> = []
  let rest = value
  for (; rest >= 0x80; rest = Math.floor(rest / 0x80)) out.push((rest % 0x80) | 0x80)
  out.push(rest)
  return new Uint8Array(out)
}

/** A time may lie before the parent's: even numbers go forward, odd ones back. */
const encodeStep = (step: number): Uint8Array => encodeVarint(step >= 0 ? 2 * step : -2 * step - 1)

const numberAt = (row: Uint8Array, offset: number): number => readU64(row, offset) ?? 0

const noSeal: ReadonlyArray<Uint8Array> = []

/** What a header of version 2 says more: weight and vote in one byte, the subject of a vote, the key where it is new, the signature. */
const packSeal = (row: Uint8Array, isNew: boolean): ReadonlyArray<Uint8Array> => {
  const authority = decodeHeader(row)?.authority
  if (authority === undefined) return noSeal
  const { weight, vote, subject, publicKey, signature } = authority
  return [
    new Uint8Array([(voteKinds.indexOf(vote) << 2) | weight]),
    ...(vote === "none" ? [] : [subject]),
    ...(isNew ? [publicKey] : []),
    signature
  ]
}

/** The page of headers that follow on a parent, of its version. Each builds on the one before. */
export const packPage = (parent: Uint8Array, headers: ReadonlyArray<Uint8Array>): Uint8Array => {
  const parts: Array<Uint8Array> = []
  const dictionary: Array<Uint8Array> = []
  let time = numberAt(parent, 16)
  for (const row of headers) {
    const root = row.subarray(56, 88)
    const proposer = row.subarray(152, 172)
    const extra = row.subarray(172, nonceOffset)
    const known = dictionary.findIndex((one) => equal(one, proposer)) + 1
    if (known === 0 && dictionary.length < dictionaryMax) dictionary.push(proposer)
    const hasRoot = !equal(root, hashOfNothing)
    const hasExtra = !equal(extra, hashOfNothing)
    parts.push(new Uint8Array([(known << 2) | (hasExtra ? extraFollows : 0) | (hasRoot ? rootFollows : 0)]))
    if (known === 0) parts.push(proposer)
    parts.push(encodeStep(numberAt(row, 16) - time))
    if (hasRoot) parts.push(root)
    parts.push(row.subarray(88, 120))
    if (hasExtra) parts.push(extra)
    parts.push(encodeVarint(numberAt(row, nonceOffset)), ...packSeal(row, known === 0))
    time = numberAt(row, 16)
  }
  return concatAll(parts)
}

/** Reads a page from its beginning; `undefined` from any method: the bytes have not that form. */
class PageReader {
  private readonly bytes: Uint8Array
  private at = 0
  private readonly dictionary: Array<Uint8Array> = []
  /** Of the proposers in the dictionary. */
  private readonly keys: Array<Uint8Array> = []
  private readonly version: HeaderVersion

  constructor(bytes: Uint8Array, version: HeaderVersion) {
    this.bytes = bytes
    this.version = version
  }

  get ended(): boolean {
    return this.at === this.bytes.length
  }

  row(parentTime: number): HeaderRest | undefined {
    const head = this.take(1)?.[0]
    const proposer = head === undefined ? undefined : this.proposer(head >>> 2)
    const step = proposer === undefined ? undefined : this.varint()
    if (head === undefined || proposer === undefined || step === undefined) return undefined
    const time = parentTime + (step % 2 === 0 ? step / 2 : -(step + 1) / 2)
    const transactionRoot = this.hash((head & rootFollows) !== 0)
    const stateRoot = this.take(32)
    const extraHash = this.hash((head & extraFollows) !== 0)
    const nonce = this.varint()
    if (transactionRoot === undefined || stateRoot === undefined || extraHash === undefined) return undefined
    if (nonce === undefined || time < 0 || time > Number.MAX_SAFE_INTEGER) return undefined
    const authority = this.version === 2 ? this.seal(head >>> 2) : undefined
    if (this.version === 2 && authority === undefined) return undefined
    return {
      ...(authority === undefined ? {} : { authority }),
      time: time as Millis,
      transactionRoot,
      stateRoot: stateRoot as Hash32,
      proposer: proposer as Address,
      extraHash,
      nonce
    }
  }

  private take(length: number): Uint8Array | undefined {
    if (this.at + length > this.bytes.length) return undefined
    this.at += length
    return this.bytes.slice(this.at - length, this.at)
  }

  /** A hash that is written out must not be the one that is left out: each page has one form. */
  private hash(follows: boolean): Hash32 | undefined {
    if (!follows) return hashOfNothing
    const found = this.take(32)
    return found === undefined || equal(found, hashOfNothing) ? undefined : (found as Hash32)
  }

  private proposer(known: number): Uint8Array | undefined {
    if (known > 0) return this.dictionary[known - 1]
    const found = this.take(addressBytes)
    if (found === undefined || this.dictionary.some((one) => equal(one, found))) return undefined
    if (this.dictionary.length < dictionaryMax) this.dictionary.push(found)
    return found
  }

  private seal(known: number): HeaderRest["authority"] | undefined {
    const rank = this.take(1)?.[0]
    const vote = rank === undefined ? undefined : voteKinds[rank >>> 2]
    if (rank === undefined || vote === undefined) return undefined
    const subject = vote === "none" ? new Uint8Array(addressBytes) : this.take(addressBytes)
    const publicKey = known > 0 ? this.keys[known - 1] : this.take(33)
    const signature = this.take(64)
    if (subject === undefined || publicKey === undefined || signature === undefined) return undefined
    if (known === 0 && this.keys.length < dictionaryMax) this.keys.push(publicKey)
    return { weight: rank & 3, vote, subject: subject as Address, publicKey, signature }
  }

  private varint(): number | undefined {
    let value = 0
    for (let scale = 1; ; scale *= 0x80) {
      const byte = this.take(1)?.[0]
      if (byte === undefined || (byte === 0 && scale > 1)) return undefined
      value += (byte & 0x7f) * scale
      if (value > Number.MAX_SAFE_INTEGER) return undefined
      if (byte < 0x80) return value
      if (scale > 2 ** 49) return undefined
    }
  }
}

/** The headers of a page on a parent, at most so many; undefined: it has another form. Never throws. */
export const unpackPage = (
  parent: { readonly time: number; readonly version: number },
  page: Uint8Array,
  rowsMax: number
): ReadonlyArray<HeaderRest> | undefined => {
  const reader = new PageReader(page, parent.version === 2 ? 2 : 1)
  const rows: Array<HeaderRest> = []
  let time: number = parent.time
  while (!reader.ended) {
    const row = rows.length < rowsMax ? reader.row(time) : undefined
    if (row === undefined) return undefined
    rows.push(row)
    time = row.time
  }
  return rows
}
