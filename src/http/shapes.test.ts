/** Shapes that are more than a type: what they take, and what they refuse. */
import { expect, test } from "bun:test"
import { Exit, Schema } from "effect"
import { blockBytesMax } from "../limits.ts"
import { bytes } from "./shapes.ts"

test("bytes are hex of whole bytes, however many: a block of the greatest length, too", () => {
  const decode = Schema.decodeUnknownExit(bytes)
  const long = "ab".repeat(blockBytesMax)
  expect(["", "ab", long].map((hex) => Exit.isSuccess(decode(hex)))).toEqual([true, true, true])
  for (const hex of ["a", "AB", "0x", "g0", `${long}a`, `${long}zz`, 7, null])
    expect(Exit.isSuccess(decode(hex))).toBe(false)
})
