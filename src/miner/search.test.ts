/** The nonce search against the header's own hash. */
import { describe, expect, test } from "bun:test"
import { makeDice } from "../sim/dice.ts"
import { Bug } from "../assert.ts"
import { decodeHeader, headerBytes, meetsTarget, nonceOffset } from "../block/header.ts"
import { writeU64 } from "../codec/bytes.ts"
import { targetOfBits } from "../consensus/difficulty.ts"
import { search } from "./search.ts"

const dice = makeDice(11)
/** A header of chance whose integers are safe. */
const makeBytes = (): Uint8Array => {
  const bytes = dice.bytes(headerBytes)
  writeU64(bytes, 8, dice.int(1000))
  writeU64(bytes, 16, dice.int(1000))
  writeU64(bytes, nonceOffset, 0)
  return bytes
}

/** The definition: every nonce in turn through the whole header. */
const naive = (header: Uint8Array, target: Uint8Array, from: number): number => {
  for (let nonce = from; ; nonce++) {
    const bytes = header.slice()
    writeU64(bytes, nonceOffset, nonce)
    if (meetsTarget(decodeHeader(bytes)!.hash, target)) return nonce
  }
}

describe("search", () => {
  test("finds the first nonce of its range that seals the header, and counts its hashes", () => {
    for (const bits of [0, 1, 5, 8, 10]) {
      const target = targetOfBits(bits)
      for (const from of [0, 1, 255, 2 ** 32 - 3, 2 ** 48]) {
        const header = makeBytes()
        const nonce = naive(header, target, from)
        expect(search({ header, target, from, count: 1_000_000 })).toEqual({ nonce, hashes: nonce - from + 1 })
      }
    }
  })

  test("says that a range holds none, after having tried all of it", () => {
    const header = makeBytes()
    const target = targetOfBits(8)
    const nonce = naive(header, target, 0)
    expect(search({ header, target, from: 0, count: nonce })).toEqual({ nonce: undefined, hashes: nonce })
    expect(search({ header, target, from: 0, count: 0 })).toEqual({ nonce: undefined, hashes: 0 })
  })

  test("does not mind the nonce that the header came with, and leaves the header as it was", () => {
    const header = makeBytes()
    const other = header.slice()
    writeU64(other, nonceOffset, 77)
    const before = other.slice()
    const range = { target: targetOfBits(6), from: 0, count: 10_000 }
    expect(search({ header: other, ...range })).toEqual(search({ header, ...range }))
    expect(other).toEqual(before)
  })

  test("compares the whole hash with the target, not its first bytes", () => {
    const target = targetOfBits(6).slice()
    for (let i = 1; i < 32; i++) target[i] = 0
    const header = makeBytes()
    const nonce = naive(header, target, 0)
    expect(search({ header, target, from: 0, count: 100_000 }).nonce).toBe(nonce)
  })

  test("leaves no nonce that a header could not carry", () => {
    const range = { header: makeBytes(), target: targetOfBits(0), count: 10 }
    expect(() => search({ ...range, from: Number.MAX_SAFE_INTEGER - 5 })).toThrow(Bug)
  })
})
