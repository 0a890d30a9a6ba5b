/** However a stream is cut, its lines are the same; what is too long is refused before it is read. */
import { expect, test } from "bun:test"
import { makeDice } from "../sim/dice.ts"
import { utf8 } from "./bytes.ts"
import { Lines } from "./lines.ts"

test("lines do not depend on how the stream is cut", () => {
  const dice = makeDice(3)
  for (let round = 0; round < 300; round++) {
    const wanted = Array.from({ length: dice.int(6) }, () => "é".repeat(dice.int(5)) + "x".repeat(dice.int(5)))
    const bytes = utf8([...wanted, "rest"].join("\n"))
    const lines = new Lines(15)
    const got: Array<string> = []
    for (let at = 0; at < bytes.length; ) {
      const to = at + 1 + dice.int(7)
      got.push(...lines.push(bytes.subarray(at, to))!)
      at = to
    }
    expect(got).toEqual(wanted)
  }
})

test("a line of the bound is read, one of a byte more is refused before its end", () => {
  expect(new Lines(5).push(utf8("12345\n"))).toEqual(["12345"])
  expect(new Lines(5).push(utf8("123456"))).toBeUndefined()
  const lines = new Lines(5)
  expect(lines.push(utf8("12345"))).toEqual([])
  expect(lines.push(utf8("6"))).toBeUndefined()
})
