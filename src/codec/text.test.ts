/** Data as people write and read it: one meaning each way, and nothing shown that lies about what stands there. */
import { describe, expect, test } from "bun:test"
import { makeDice } from "../sim/dice.ts"
import { equal, toHex, utf8 } from "./bytes.ts"
import { bytesOfText, shownBytes, textOfBytes } from "./text.ts"

const hexOf = (text: string): string | undefined => {
  const bytes = bytesOfText(text)
  return bytes === undefined ? undefined : toHex(bytes)
}

describe("what a person writes", () => {
  test.each([
    ["stone", "73746f6e65"],
    ["0x73746F", "73746f"],
    ["0x", ""],
    ["", ""],
    ["ü", "c3bc"],
    ["x00", "783030"]
  ])("%j", (text, hex) => expect(hexOf(text)).toBe(hex))

  test.each(["0x1", "0xzz", "0x 00", "0x00\n"])("%j is no hex", (text) => expect(bytesOfText(text)).toBeUndefined())
})

describe("what a person reads", () => {
  test.each([
    ["text", utf8("one stone"), "“one stone”"],
    ["lines and tabs", utf8("a\n\tb"), "“a\n\tb”"],
    ["a picture of joined characters", utf8("👩\u200d🌾"), "“👩\u200d🌾”"],
    ["nothing", new Uint8Array(0), "“”"],
    ["what is not UTF-8", new Uint8Array([0xff, 0]), "0xff00"],
    ["a half surrogate", new Uint8Array([0xed, 0xa0, 0x80]), "0xeda080"],
    ["a control character", utf8("a\u0000b"), "0x610062"],
    ["an escape sequence of a terminal", utf8("\u001b[31m"), "0x1b5b33316d"],
    ["text that turns the direction of reading", utf8("\u202egpj.exe"), `0x${toHex(utf8("\u202egpj.exe"))}`],
    ["an isolate", utf8("\u2066x"), `0x${toHex(utf8("\u2066x"))}`],
    ["a zero width space", utf8("a\u200bb"), `0x${toHex(utf8("a\u200bb"))}`],
    ["a character of nobody", utf8("\ue000"), `0x${toHex(utf8("\ue000"))}`]
  ])("%s", (_, bytes, shown) => expect(shownBytes(bytes)).toBe(shown))

  test("whatever is shown can be written again as the same bytes", () => {
    const dice = makeDice(41)
    let texts = 0
    for (let i = 0; i < 20_000; i++) {
      const bytes = dice.chance(0.5) ? dice.bytes(dice.int(6)) : utf8(String.fromCodePoint(dice.int(0xd800)))
      const shown = shownBytes(bytes)
      const text = textOfBytes(bytes)
      if (text !== undefined) texts++
      const written = bytesOfText(text ?? shown)
      expect(text?.startsWith("0x") === true || equal(written!, bytes)).toBe(true)
    }
    expect(texts).toBeGreaterThan(5_000)
  })
})
