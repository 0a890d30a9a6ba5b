/**
 * Headers of one branch packed for the wire: what a receiver derives is left out. Version, chain tag, height, previous hash
 * and target follow from the parent and the rules, so a page cannot even say them wrongly; a header that was made with others
 * comes out with another hash, which its seal does not meet. See docs/protocol.md, "Packed headers".
 */
import { concatAll, equal, readU64 } from "../codec/bytes.ts"
import { type Address, addressBytes } from "../crypto/address.ts"
import { type Hash32, sha256 } from "../crypto/hash.ts"
import type { Millis } from "../ledger/transaction.ts"
import { type HeaderFields, headerBytes, nonceOffset } from "./header.ts"

/** What of a header does not follow from its parent and the rules. */
export type HeaderRest = Pick<
  HeaderFields,
  "time" | "transactionRoot" | "stateRoot" | "proposer" | "extraHash" | "nonce"
>

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

/** The page of headers that follow on a parent. All are 212 bytes; each builds on the one before. */
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
    parts.push(encodeVarint(numberAt(row, nonceOffset)))
    time = numberAt(row, 16)
  }
  return concatAll(parts)
}

/** Reads a page from its beginning; `undefined` from any method: the bytes have not that form. */
class PageReader {
  private readonly bytes: Uint8Array
  private at = 0
  private readonly dictionary: Array<Uint8Array> = []

  constructor(bytes: Uint8Array) {
    this.bytes = bytes
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
    return {
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

/** The headers of a page on a parent of that time, at most so many; undefined: it has another form. Never throws. */
export const unpackPage = (
  parentTime: number,
  page: Uint8Array,
  rowsMax: number
): ReadonlyArray<HeaderRest> | undefined => {
  const reader = new PageReader(page)
  const rows: Array<HeaderRest> = []
  let time = parentTime
  while (!reader.ended) {
    const row = rows.length < rowsMax ? reader.row(time) : undefined
    if (row === undefined) return undefined
    rows.push(row)
    time = row.time
  }
  return rows
}

/** The 212 bytes of each header in a row of them. */
export const splitHeaders = (bytes: Uint8Array): ReadonlyArray<Uint8Array> =>
  Array.from({ length: Math.floor(bytes.length / headerBytes) }, (_, i) =>
    bytes.subarray(i * headerBytes, (i + 1) * headerBytes)
  )
