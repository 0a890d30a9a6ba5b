/**
 * SipHash-2-4 (Aumasson and Bernstein, 2012): bytes to 64 bits under a key of 16 bytes. It spreads values over a range
 * and is no commitment: what must not be forged is hashed by SHA-256. Words of 64 bits are kept as two of 32, for a
 * bigint costs an allocation at every step.
 */
import { assert } from "../assert.ts"
import { readU32 } from "../codec/bytes.ts"

export const sipKeyBytes = 16

/** The 16 bytes of a key as four words of 32 bits, low half of each 64 first. */
export type SipKey = Int32Array

/** Reads a key: two words of 64 bits, little-endian. */
export const sipKey = (bytes: Uint8Array): SipKey => {
  assert(bytes.length === sipKeyBytes, "a SipHash key has 16 bytes")
  return Int32Array.from({ length: 4 }, (_, i) => readU32(bytes, 4 * i))
}

/** Four words of state, each as low and high half, in the order of the paper: v0, v1, v2, v3. */
const state = new Int32Array(8)

/** The last word of a message: the bytes behind the whole words, and the length modulo 256 in the highest byte. */
const tailWord = (bytes: Uint8Array, high: boolean): number => {
  const start = (bytes.length & ~7) + (high ? 4 : 0)
  let word = high ? bytes.length << 24 : 0
  for (let at = start, shift = 0; at < bytes.length && shift < 32; at++, shift += 8) word |= bytes[at]! << shift
  return word
}

/** The carry out of a + b = sum, all of 32 bits. */
const carry = (a: number, b: number, sum: number): number => ((a & b) | ((a | b) & ~sum)) >>> 31

/** `count` SipRounds on the state: v0 to v3 are a to d, a small letter for the low half and a capital for the high one. */
const rounds = (count: number): void => {
  let a = state[0]!
  let A = state[1]!
  let b = state[2]!
  let B = state[3]!
  let c = state[4]!
  let C = state[5]!
  let d = state[6]!
  let D = state[7]!
  for (let i = 0; i < count; i++) {
    // v0 += v1, v1 <<<= 13, v1 ^= v0, v0 <<<= 32
    let sum = (a + b) | 0
    A = (A + B + carry(a, b, sum)) | 0
    a = sum
    let low = (b << 13) | (B >>> 19)
    B = ((B << 13) | (b >>> 19)) ^ A
    b = low ^ a
    low = a
    a = A
    A = low
    // v2 += v3, v3 <<<= 16, v3 ^= v2
    sum = (c + d) | 0
    C = (C + D + carry(c, d, sum)) | 0
    c = sum
    low = (d << 16) | (D >>> 16)
    D = ((D << 16) | (d >>> 16)) ^ C
    d = low ^ c
    // v0 += v3, v3 <<<= 21, v3 ^= v0
    sum = (a + d) | 0
    A = (A + D + carry(a, d, sum)) | 0
    a = sum
    low = (d << 21) | (D >>> 11)
    D = ((D << 21) | (d >>> 11)) ^ A
    d = low ^ a
    // v2 += v1, v1 <<<= 17, v1 ^= v2, v2 <<<= 32
    sum = (c + b) | 0
    C = (C + B + carry(c, b, sum)) | 0
    c = sum
    low = (b << 17) | (B >>> 15)
    B = ((B << 17) | (b >>> 15)) ^ C
    b = low ^ c
    low = c
    c = C
    C = low
  }
  state[0] = a
  state[1] = A
  state[2] = b
  state[3] = B
  state[4] = c
  state[5] = C
  state[6] = d
  state[7] = D
}

const compress = (low: number, high: number): void => {
  state[6]! ^= low
  state[7]! ^= high
  rounds(2)
  state[0]! ^= low
  state[1]! ^= high
}

/** SipHash-2-4 of `bytes` into `out`: the low 32 bits, then the high ones. */
export const sipHashInto = (key: SipKey, bytes: Uint8Array, out: Uint32Array): void => {
  // "somepseudorandomlygeneratedbytes", big-endian, over the key.
  state[0] = key[0]! ^ 0x70736575
  state[1] = key[1]! ^ 0x736f6d65
  state[2] = key[2]! ^ 0x6e646f6d
  state[3] = key[3]! ^ 0x646f7261
  state[4] = key[0]! ^ 0x6e657261
  state[5] = key[1]! ^ 0x6c796765
  state[6] = key[2]! ^ 0x79746573
  state[7] = key[3]! ^ 0x74656462
  const whole = bytes.length & ~7
  for (let at = 0; at < whole; at += 8) compress(readU32(bytes, at), readU32(bytes, at + 4))
  compress(tailWord(bytes, false), tailWord(bytes, true))
  state[4]! ^= 0xff
  rounds(4)
  out[0] = state[0]! ^ state[2]! ^ state[4]! ^ state[6]!
  out[1] = state[1]! ^ state[3]! ^ state[5]! ^ state[7]!
}
