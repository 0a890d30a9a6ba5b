/** Hex: what is none is none, and the longest that travels reads at once. */
import { expect, test } from "bun:test"
import { blockBytesMax } from "../limits.ts"
import { fromHex, toHex } from "./bytes.ts"

test("hex of a length that is odd or another, in capitals or of other characters is none", () => {
  for (const text of ["a", "abc", "AB", "zz", "ab ", "0x00", "ab\n", "\nab"]) expect(fromHex(text)).toBeUndefined()
  expect([fromHex("ab", 1)?.length, fromHex("ab", 2), fromHex("")?.length]).toEqual([1, undefined, 0])
})

test("the hex of the longest block gives its bytes again", () => {
  const bytes = new Uint8Array(blockBytesMax).fill(171)
  expect(fromHex(toHex(bytes))).toEqual(bytes)
})
