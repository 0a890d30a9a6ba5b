/**
 * Block filters as in BIP 157 and BIP 158: a small set that tells whoever has a list of addresses which blocks may
 * concern it, so that it fetches those and names its addresses to nobody. An element of the block always matches,
 * another one with probability 1/784931. See docs/protocol.md, "Block filters".
 */
import { Result } from "effect"
import { assert } from "../assert.ts"
import { concat, readU32, toHex, writeU32 } from "../codec/bytes.ts"
import { type Hash32, sha256, zeroHash } from "../crypto/hash.ts"
import { type SipKey, sipHashInto, sipKey, sipKeyBytes } from "../crypto/siphash.ts"
import { partiesOf } from "../ledger/summary.ts"
import { filterElementsMax } from "../limits.ts"
import type { Block } from "./block.ts"
import type { BlockHash } from "./header.ts"
import { decodeGolomb, encodeGolomb } from "./golomb.ts"

/** One in so many strangers matches: M of BIP 158, the best for a remainder of 19 bits. */
export const filterFalsePositives = 784_931

/** A filter with what is derived from its bytes once. */
export interface Filter {
  /** The serialization: CompactSize of the number of elements ‖ Golomb-Rice code. */
  readonly bytes: Uint8Array
  readonly key: SipKey
  /** The places of the elements, rising; two elements may share one. From 0 to elements × 784931 - 1. */
  readonly places: Float64Array
}

/** Why bytes are no filter. */
export interface FilterMalformed {
  readonly code: "filter-malformed"
  readonly what: string
}

/** The header before that of the genesis block's filter. */
export const filterHeaderStart: Hash32 = zeroHash

/** The elements of a block: the 20 bytes of the proposer and of all whom its transactions concern, some maybe twice. */
export const blockElements = (block: Pick<Block, "header" | "transactions">): ReadonlyArray<Uint8Array> => [
  block.header.proposer,
  ...block.transactions.flatMap(partiesOf)
]

/**
 * The key of a block's filter: the first 16 bytes of its hash, so that an address that matches one block by chance does
 * not match the others too. Those bytes hold the zeros of the seal; what is left differs from block to block all the same.
 */
const keyOf = (hash: BlockHash): SipKey => sipKey(hash.subarray(0, sipKeyBytes))

const rangeOf = (count: number): number => count * filterFalsePositives
assert(rangeOf(filterElementsMax) <= 2 ** 37, "16 bits times the range stay exact in a number")

const scratch = new Uint32Array(2)

/** The place of an element below `range`: the upper 64 bits of SipHash × range. Sixteen bits at a time, each product exact. */
const placeOf = (key: SipKey, element: Uint8Array, range: number): number => {
  sipHashInto(key, element, scratch)
  const low = scratch[0]!
  const high = scratch[1]!
  let carried = Math.floor(((low & 0xffff) * range) / 0x1_0000)
  carried = Math.floor(((low >>> 16) * range + carried) / 0x1_0000)
  carried = Math.floor(((high & 0xffff) * range + carried) / 0x1_0000)
  return Math.floor(((high >>> 16) * range + carried) / 0x1_0000)
}

/** The number of elements as Bitcoin's CompactSize: u8 below 253, else 253 and a u16, else 254 and a u32. */
const encodeCount = (count: number): Uint8Array => {
  if (count < 0xfd) return new Uint8Array([count])
  if (count < 0x1_0000) return new Uint8Array([0xfd, count & 0xff, count >>> 8])
  const out = new Uint8Array(5)
  out[0] = 0xfe
  writeU32(out, 1, count)
  return out
}

/** The count and where it ends; undefined if it is cut off, longer than it need be, or takes 64 bits. */
const decodeCount = (bytes: Uint8Array): readonly [count: number, end: number] | undefined => {
  const first = bytes[0]
  if (first === undefined || first === 0xff) return undefined
  if (first < 0xfd) return [first, 1]
  const end = first === 0xfd ? 3 : 5
  if (bytes.length < end) return undefined
  const count = first === 0xfd ? bytes[1]! | (bytes[2]! << 8) : readU32(bytes, 1)
  return encodeCount(count).length === end ? [count, end] : undefined
}

/** The filter of a block's elements, in any order; those that stand there twice count once. */
export const makeFilter = (hash: BlockHash, elements: ReadonlyArray<Uint8Array>): Filter => {
  const distinct = new Map(elements.map((element) => [toHex(element), element]))
  assert(distinct.size <= filterElementsMax, "a block has no more elements than a filter may hold")
  const key = keyOf(hash)
  const range = rangeOf(distinct.size)
  const places = new Float64Array(distinct.size)
  let count = 0
  for (const element of distinct.values()) places[count++] = placeOf(key, element, range)
  places.sort()
  return { bytes: concat(encodeCount(count), encodeGolomb(places, range)), key, places }
}

const malformed = (what: string): Result.Result<never, FilterMalformed> =>
  Result.fail({ code: "filter-malformed", what })

/**
 * The filter of bytes from anybody, for the block of that hash: bounds before contents. Whether it is the block's true
 * filter only the filter headers tell. Never throws; keeps `bytes`.
 */
export const decodeFilter = (hash: BlockHash, bytes: Uint8Array): Result.Result<Filter, FilterMalformed> => {
  const head = decodeCount(bytes)
  if (head === undefined) return malformed("the form of the number of elements")
  const [count, end] = head
  if (count > filterElementsMax) return malformed("the number of elements")
  const places = decodeGolomb(bytes.subarray(end), count, rangeOf(count))
  return "wrong" in places ? malformed(places.wrong) : Result.succeed({ bytes, key: keyOf(hash), places })
}

/** True if a place stands in the rising row. */
const holds = (places: Float64Array, place: number): boolean => {
  let from = 0
  let to = places.length
  while (from < to) {
    const middle = (from + to) >>> 1
    if (places[middle]! < place) from = middle + 1
    else to = middle
  }
  return places[from] === place
}

/** May the element be one of the block's? False: it is not. */
export const matches = ({ key, places }: Filter, element: Uint8Array): boolean =>
  holds(places, placeOf(key, element, rangeOf(places.length)))

/** May any of the elements be one of the block's? False: none is. */
export const matchesAny = (filter: Filter, elements: Iterable<Uint8Array>): boolean => {
  for (const element of elements) if (matches(filter, element)) return true
  return false
}

/** SHA-256 twice over a filter's bytes. */
export const filterHash = (bytes: Uint8Array): Hash32 => sha256(sha256(bytes))

/** The filter header of a block: SHA-256 twice over filter hash ‖ header of the block before. It commits to all filters so far. */
export const nextFilterHeader = (previous: Hash32, hash: Hash32): Hash32 => sha256(sha256(concat(hash, previous)))
