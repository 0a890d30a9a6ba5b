/** Golomb-Rice code against its definition written in texts of bits, and against whoever would bend a code. */
import { expect, test } from "bun:test"
import { makeDice } from "../sim/dice.ts"
import { toHex } from "../codec/bytes.ts"
import { decodeGolomb, encodeGolomb, golombBytes } from "./golomb.ts"

const divisor = 2 ** 19

/** BIP 158, "Golomb-Rice Coding", word for word: a text of bits, filled up to whole bytes. */
const define = (values: Iterable<number>): Uint8Array => {
  let bits = ""
  let last = 0
  for (const value of values) {
    const distance = value - last
    bits += `${"1".repeat(Math.floor(distance / divisor))}0${(distance % divisor).toString(2).padStart(19, "0")}`
    last = value
  }
  const bytes = bits.match(/.{1,8}/g) ?? []
  return Uint8Array.from(bytes, (byte) => Number.parseInt(byte.padEnd(8, "0"), 2))
}

const rising = (values: ReadonlyArray<number>): Float64Array => Float64Array.from(values).sort()

test("a number is its quotient in ones, a zero, and 19 bits of remainder", () => {
  const code = (value: number): string => toHex(encodeGolomb(Float64Array.of(value), value + 1))
  expect(code(0)).toBe("000000")
  expect(code(1)).toBe("000010")
  expect(code(divisor - 1)).toBe("7ffff0")
  expect(code(divisor)).toBe("800000")
  expect(code(3 * divisor + 0x55555)).toBe("eaaaaa")
  expect(encodeGolomb(new Float64Array(0), 0)).toHaveLength(0)
})

/** Rows of every shape: of chance, crowded with equals, and far apart with quotients above any window of bits. */
const anyRow = (seed: number): readonly [row: Float64Array, range: number] => {
  const dice = makeDice(seed)
  const count = 1 + dice.int(40)
  const range = dice.pick([1, 2, divisor, count * 784_931, 2 ** 26, 2 ** 31])
  return [rising(Array.from({ length: count }, () => dice.int(range))), range]
}

test("rows of every shape have the code of the definition and come back from it", () => {
  for (let seed = 0; seed < 3_000; seed++) {
    const [row, range] = anyRow(seed)
    const bytes = encodeGolomb(row, range)
    expect(toHex(bytes)).toBe(toHex(define(row)))
    expect(decodeGolomb(bytes, row.length, range)).toEqual(row)
  }
})

test("quotients of any length at any bit of a byte come back", () => {
  for (let quotient = 0; quotient < 80; quotient++) {
    const row = Float64Array.from({ length: 8 }, (_, i) => (i + 1) * (quotient * divisor + 77_777))
    const range = row[7]! + 1
    expect(decodeGolomb(encodeGolomb(row, range), 8, range)).toEqual(row)
  }
})

test("the bounds of the length are reached and never passed", () => {
  const low = new Float64Array(10)
  const high = Float64Array.from({ length: 10 }, () => 10 * divisor - 1)
  expect(encodeGolomb(low, 10 * divisor)).toHaveLength(golombBytes(10, 10 * divisor).min)
  expect(encodeGolomb(high, 10 * divisor)).toHaveLength(golombBytes(10, 10 * divisor).max)
  expect(golombBytes(1, 5 * divisor)).toEqual({ min: 3, max: 3 })
  expect(golombBytes(1, 5 * divisor + 1)).toEqual({ min: 3, max: 4 })
  expect([golombBytes(0, 0), golombBytes(1, 1)]).toEqual([{ min: 0, max: 0 }, { min: 3, max: 3 }])
})

test("a row that falls or leaves its range is our bug", () => {
  expect(() => encodeGolomb(Float64Array.of(5, 4), 10)).toThrow("rise")
  expect(() => encodeGolomb(Float64Array.of(5, 10), 10)).toThrow("rise")
  expect(() => encodeGolomb(Float64Array.of(NaN), 10)).toThrow("rise")
})

test("of another length, count or range a code is refused, each for its reason", () => {
  const range = 4 * 784_931
  const bytes = encodeGolomb(Float64Array.of(3, 700_000, 700_000, range - 1), range)
  expect(decodeGolomb(bytes, 4, range)).toEqual(Float64Array.of(3, 700_000, 700_000, range - 1))
  expect(decodeGolomb(bytes, 4, range - 1)).toEqual({ wrong: "a value out of its range" })
  expect(decodeGolomb(bytes.slice(0, 9), 4, range)).toEqual({ wrong: "the length" })
  expect(decodeGolomb(bytes.slice(0, 10), 4, range)).toEqual({ wrong: "the end" })
  const longer = new Uint8Array([...encodeGolomb(new Float64Array(4), range), 0])
  expect(decodeGolomb(longer, 4, range)).toEqual({ wrong: "the end" })
  expect(decodeGolomb(new Uint8Array([0]), 0, 0)).toEqual({ wrong: "the length" })
  // One number takes 20 bits, so the last four of its three bytes are filling.
  for (const filling of [1, 2, 4, 8]) {
    expect(decodeGolomb(new Uint8Array([0, 0, 0x10 | filling]), 1, 100)).toEqual({ wrong: "the filling" })
  }
  expect(decodeGolomb(new Uint8Array([0, 0, 0x10]), 1, 100)).toEqual(Float64Array.of(1))
  expect(decodeGolomb(new Uint8Array(1000).fill(255), 400, 400 * 784_931)).toEqual({ wrong: "a value out of its range" })
})

test("no bytes make the decoder throw, and whatever it takes has one form", () => {
  const dice = makeDice(32)
  let taken = 0
  for (let i = 0; i < 30_000; i++) {
    const [row, range] = anyRow(i % 500)
    const bytes = dice.chance(0.9) ? dice.mutate(encodeGolomb(row, range)) : dice.bytes(dice.int(60))
    const values = decodeGolomb(bytes, row.length, range)
    if ("wrong" in values) continue
    taken++
    expect(values.length === row.length && values.every((value, at) => value >= (values[at - 1] ?? 0))).toBe(true)
    expect(toHex(encodeGolomb(values, range))).toBe(toHex(bytes))
  }
  expect(taken).toBeGreaterThan(2_000)
})
