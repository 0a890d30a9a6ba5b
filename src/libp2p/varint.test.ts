/** Unsigned varints: both ways, only the shortest form, and against the package that js-libp2p's family uses. */
import { expect, test } from "bun:test"
import { varint as oracle } from "multiformats"
import { published } from "../../test/vectors/published.ts"
import { makeDice } from "../sim/dice.ts"
import { Libp2pFault } from "./fault.ts"
import { encodeVarint, readVarint, varintBytesMax, varintLength, writeVarint } from "./varint.ts"

const hex = (text: string): Uint8Array => Uint8Array.fromHex(text)
const edges = Array.from({ length: 8 }, (_, i) => 128 ** i).flatMap((value) => [value - 1, value, value + 1])
const values = [...edges, 300, 16_384, Number.MAX_SAFE_INTEGER]

const dice = makeDice(1)
const anyNumber = (): number => Math.floor(dice.int(0x1_0000_0000) * 2 ** dice.int(22))

test("the values of the multiformats", () => {
  expect([0, 1, 127, 128, 255, 300, 16_384].map((value) => encodeVarint(value).toHex())).toEqual([
    "00",
    "01",
    "7f",
    "8001",
    "ff01",
    "ac02",
    "808001"
  ])
})

test("what is written is read, at any place, and has the length that was told", () => {
  for (const value of [...values, ...Array.from({ length: 2_000 }, anyNumber)]) {
    const bytes = encodeVarint(value)
    expect(bytes.length).toBe(varintLength(value))
    expect(readVarint(bytes)).toEqual({ value, end: bytes.length })
    const within = new Uint8Array(30).fill(0xff)
    const end = writeVarint(value, within, 7)
    expect(readVarint(within, 7)).toEqual({ value, end })
    expect([within[6], within[end]]).toEqual([0xff, 0xff])
  }
})

test("the same bytes as multiformats, and the same numbers", () => {
  for (const value of [...values, ...Array.from({ length: 500 }, anyNumber)]) {
    const theirs = oracle.encodeTo(value, new Uint8Array(oracle.encodingLength(value)))
    expect(encodeVarint(value)).toEqual(theirs)
    expect(oracle.decode(encodeVarint(value))).toEqual([value, encodeVarint(value).length])
  }
})

test("cut anywhere it is not there yet", () => {
  for (const value of values) {
    const bytes = encodeVarint(value)
    for (let length = 0; length < bytes.length; length++) expect(readVarint(bytes.subarray(0, length))).toBeUndefined()
  }
})

test("a longer form than the shortest, more than 2^53 - 1 and more than nine bytes are refused at once", () => {
  const tooLarge = "a varint is larger than 2^53 - 1"
  const cases: ReadonlyArray<readonly [string, string]> = [
    ["8000", "a varint is not in its shortest form"],
    ["ac0200", "read"],
    ["ac8200", "a varint is not in its shortest form"],
    ["ffffffffffffff0f", "read"],
    ["8080808080808010", tooLarge],
    ["ffffffffffffffff7f", tooLarge],
    ["ffffffffffffffffff", tooLarge],
    ["ffffffffffffffffff01", tooLarge]
  ]
  for (const [text, wanted] of cases) {
    const read = readVarint(hex(text))
    expect([text, read instanceof Libp2pFault ? read.message : read === undefined ? "more" : "read"]).toEqual([
      text,
      wanted
    ])
  }
  expect(varintBytesMax).toBe(9)
})

test("no bytes make it throw, and what it reads is the shortest form of what it says", () => {
  for (let i = 0; i < 20_000; i++) {
    const bytes = dice.bytes(dice.int(12))
    const read = readVarint(bytes)
    if (read === undefined || read instanceof Libp2pFault) continue
    expect(encodeVarint(read.value)).toEqual(bytes.subarray(0, read.end))
  }
})

interface Vectors {
  readonly multiformats: {
    readonly varint_values: ReadonlyArray<number>
    readonly varint_reject_hex: ReadonlyArray<string>
  }
}
const vectors = published<Vectors>("reference-vectors.json")

test.skipIf(vectors === undefined)("the reference's values, and what it refuses", () => {
  for (const value of vectors!.multiformats.varint_values)
    expect(readVarint(encodeVarint(value))).toEqual({ value, end: varintLength(value) })
  for (const text of vectors!.multiformats.varint_reject_hex) expect(readVarint(hex(text))).toBeInstanceOf(Libp2pFault)
})
