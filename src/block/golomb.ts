/**
 * Golomb-Rice coding of a rising row of whole numbers, as in BIP 158: each number is written as its distance to the one
 * before it (the first to 0), split by 2^19 into a quotient of so many one bits and a zero, and a remainder of 19 bits.
 * The highest bit of a byte comes first; the last byte is filled up with zeros.
 */
import { assert } from "../assert.ts"

/** Bits of the remainder: P of BIP 158. */
export const remainderBits = 19
const divisor = 2 ** remainderBits
/** Bits that a number takes at least: an empty quotient's zero and the remainder. */
const bitsMin = remainderBits + 1
/** Bits that can be seen at once at any bit of a byte: 32 less the up to 7 before it. */
const windowBits = 25

/** The bytes that `count` numbers below `range` take, at least and at most: no quotients, or all that fit the range. */
export const golombBytes = (count: number, range: number): { readonly min: number; readonly max: number } => ({
  min: Math.ceil((count * bitsMin) / 8),
  max: count === 0 ? 0 : Math.ceil((count * bitsMin + Math.floor((range - 1) / divisor)) / 8)
})

/** Sets one bit, counted from the highest of the first byte. */
const setBit = (out: Uint8Array, bit: number): void => {
  out[bit >>> 3]! |= 0x80 >>> (bit & 7)
}

/** Writes 19 bits at a bit where all is still zero. */
const writeRemainder = (out: Uint8Array, bit: number, remainder: number): void => {
  const at = bit >>> 3
  const shifted = remainder << (32 - remainderBits - (bit & 7))
  out[at]! |= shifted >>> 24
  out[at + 1]! |= (shifted >>> 16) & 0xff
  out[at + 2]! |= (shifted >>> 8) & 0xff
  // The fourth byte may lie behind the end, and is zero then: a write there is none.
  out[at + 3]! |= shifted & 0xff
}

/** The code of numbers that rise or stay, all of them below `range`. */
export const encodeGolomb = (values: Float64Array, range: number): Uint8Array => {
  const out = new Uint8Array(golombBytes(values.length, range).max)
  let bit = 0
  let last = 0
  for (const value of values) {
    assert(value >= last && value < range, "values rise and stay below their range")
    const distance = value - last
    for (let quotient = Math.floor(distance / divisor); quotient > 0; quotient--) setBit(out, bit++)
    bit++
    writeRemainder(out, bit, distance % divisor)
    bit += remainderBits
    last = value
  }
  return out.subarray(0, Math.ceil(bit / 8))
}

/** 32 bits from a bit on, of which the first 25 are sure; zeros behind the end. */
const windowAt = (bytes: Uint8Array, bit: number): number => {
  const at = bit >>> 3
  const word = (bytes[at]! << 24) | (bytes[at + 1]! << 16) | (bytes[at + 2]! << 8) | bytes[at + 3]!
  return word << (bit & 7)
}

/**
 * The `count` numbers of a code, or why it is none: a number at or above `range`, an end too early or too late, filling
 * that is not zero. Works no longer than the bytes are long, and keeps no more than `count` numbers. Never throws.
 */
export const decodeGolomb = (bytes: Uint8Array, count: number, range: number): Float64Array | { readonly wrong: string } => {
  const { min, max } = golombBytes(count, range)
  if (bytes.length < min || bytes.length > max) return { wrong: "the length" }
  const values = new Float64Array(count)
  let bit = 0
  let last = 0
  for (let i = 0; i < count; i++) {
    let ones = Math.clz32(~windowAt(bytes, bit))
    while (ones >= windowBits) {
      last += windowBits * divisor
      bit += windowBits
      ones = Math.clz32(~windowAt(bytes, bit))
    }
    bit += ones + 1
    last += ones * divisor + (windowAt(bytes, bit) >>> (32 - remainderBits))
    bit += remainderBits
    if (last >= range) return { wrong: "a value out of its range" }
    values[i] = last
  }
  if (Math.ceil(bit / 8) !== bytes.length) return { wrong: "the end" }
  return (bit & 7) !== 0 && (bytes[bytes.length - 1]! << (bit & 7) & 0xff) !== 0 ? { wrong: "the filling" } : values
}
