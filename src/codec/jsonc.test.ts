/** JSON with comments: what JSON is, it reads as JSON; what is wrong has a line and a column. */
import { describe, expect, test } from "bun:test"
import { Result } from "effect"
import { makeDice } from "../sim/dice.ts"
import { parseJsonc } from "./jsonc.ts"

const read = (text: string): unknown => Result.getOrThrow(parseJsonc(text))
const wrong = (text: string): string => {
  const parsed = parseJsonc(text)
  if (Result.isSuccess(parsed)) return "is read"
  const { line, column, message } = parsed.failure
  return `${line}:${column} ${message}`
}

const dice = makeDice(7)
const pick = <A>(list: ReadonlyArray<A>): A => list[dice.int(list.length)]!
/** A random value. */
const value = (depth: number): unknown => {
  const kind = dice.int(depth > 3 ? 5 : 7)
  if (kind === 0) return dice.int(2 ** 31) - 2 ** 30
  if (kind === 1) return (dice.int(10_000) - 5_000) / 7
  if (kind === 2) return pick([true, false, null])
  if (kind === 3) return pick(["", "//", "/* */", '\\"', "\n\u0001\u2028", "🪨é", "__proto__", "a//b"])
  if (kind === 4) return String(dice.int(1_000))
  const count = dice.int(4)
  if (kind === 5) return Array.from({ length: count }, () => value(depth + 1))
  return Object.fromEntries(
    Array.from({ length: count }, () => [pick(["a", "b", "//", "__proto__", ""]), value(depth + 1)])
  )
}
const gaps = ["", " ", "\n", '// remark " { \n', '/* { " // */', "\t\r\n", "/**/"]

describe("JSON with comments", () => {
  test("is read as JSON where it is JSON, whatever stands between its parts", () => {
    for (let i = 0; i < 500; i++) {
      const json = JSON.stringify(value(0))
      expect(read(json)).toEqual(JSON.parse(json))
      // Between two parts: not within a text, a number or a word.
      const parts = json.match(/"(?:[^"\\]|\\.)*"|[-\d.eE+]+|[a-z]+|[[\]{},:]/g)!
      expect(read(parts.map((part) => pick(gaps) + part).join("") + pick(gaps))).toEqual(JSON.parse(json))
    }
  })

  test("has no texts, numbers or words that JSON has not: the two agree on every broken text", () => {
    const alphabet = [
      '"',
      "\\",
      "u",
      "1",
      "-",
      ".",
      "e",
      "0",
      "t",
      "r",
      "[",
      "]",
      "{",
      "}",
      ",",
      ":",
      " ",
      "\u0001",
      "é"
    ]
    for (let i = 0; i < 20_000; i++) {
      const seed = pick(['{"a":[1,2.5e3]}', '["\\u00e9","x"]', '{"a":{"b":null}}', "true", "-0.5", '""'])
      const at = dice.int(seed.length + 1)
      const text = seed.slice(0, at) + pick(alphabet) + seed.slice(at + dice.int(2))
      let theirs: unknown
      let sound = true
      try {
        theirs = JSON.parse(text)
      } catch {
        sound = false
      }
      const ours = parseJsonc(text)
      expect([text, Result.isSuccess(ours)]).toEqual([text, sound])
      if (sound) expect(read(text)).toEqual(theirs)
    }
  })

  test.each([
    ["", "1:1 a value is expected, not the end"],
    ['{\n  "a": 1,\n  "b": tru\n}', '3:8 a value is expected, not "tru"'],
    ['{"a": 1 "b": 2}', '1:9 "," or "}" is expected, not "\\""'],
    ["[1, 2,]", '1:7 a comma stands before "]": take it away'],
    ["{a: 1}", '1:2 a name in quotes is expected, not "a"'],
    ['{"a" 1}', '1:6 ":" is expected, not "1"'],
    ['{"a": 1,\n "a": 2}', '2:2 the name "a" stands twice in one object'],
    ['{"a": "x\n"}', "1:7 a text is opened here and not closed on its line"],
    ['["\\x"]', "1:2 the text has an escape or a control character that JSON does not know"],
    ["1 /* and\nso on", "1:3 a comment is opened here and never closed"],
    ["1 2", '1:3 the value ends before "2"'],
    ["[".repeat(1_000_000), "1:66 more than 64 levels within each other"]
  ])("%#: says where it is wrong, and how", (text, said) => {
    expect(wrong(text)).toBe(said)
  })
})
