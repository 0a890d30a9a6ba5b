/** Money: whole numbers only, checked sums, one text for one amount. */
import { expect, test } from "bun:test"
import { makeDice } from "../sim/dice.ts"
import { Bug } from "../assert.ts"
import { add, type Amount, amount, format, isAmount, parse, subtract } from "./amount.ts"

const max = Number.MAX_SAFE_INTEGER as Amount

test("an amount is a safe integer from 0 up, nothing else (defects 11, 13)", () => {
  expect([0, 1, max].map(isAmount)).toEqual([true, true, true])
  for (const wrong of [-1, 0.5, 0.1 + 0.2, NaN, Infinity, -Infinity, 2 ** 53, 1e21, "1", null, undefined, 1n, [1]]) {
    expect([wrong, isAmount(wrong)]).toEqual([wrong, false])
  }
  for (const wrong of [-1, 0.5, NaN, 2 ** 53]) expect(() => amount(wrong)).toThrow(Bug)
})

test("a sum above 2^53 - 1 and a difference below 0 are not amounts", () => {
  expect([add(max, amount(0)), add(max, amount(1)), add(max, max)]).toStrictEqual([max, undefined, undefined])
  expect([subtract(amount(2), amount(2)), subtract(amount(2), amount(3))]).toStrictEqual([amount(0), undefined])
})

test("the text of an amount has all its decimals", () => {
  const texts = [
    format(amount(150), 2),
    format(amount(5), 2),
    format(amount(0), 8),
    format(amount(7), 0),
    format(max, 12)
  ]
  expect(texts).toEqual(["1.50", "0.05", "0.00000000", "7", "9007.199254740991"])
})

test("parse undoes format", () => {
  const dice = makeDice(1)
  for (let i = 0; i < 2_000; i++) {
    const decimals = dice.int(13)
    const value = amount(Math.min(max, dice.int(2 ** 31) * 2 ** dice.int(22) + dice.int(2 ** 20)))
    expect(parse(format(value, decimals), decimals)).toBe(value)
  }
})

test("a text that is no amount is refused, never rounded", () => {
  expect([parse("1.5", 2), parse("1.500", 2), parse("0", 2), parse("007", 0)]).toEqual([
    150, 150, 0, 7
  ] as Array<Amount>)
  const wrong = [
    "",
    " 1",
    "1 ",
    "-1",
    "+1",
    "1.",
    ".5",
    "1e3",
    "0x10",
    "1,5",
    "1.005",
    "٣",
    "NaN",
    "90071992547409.92",
    "1".repeat(17)
  ]
  for (const text of wrong) expect([text, parse(text, 2)]).toStrictEqual([text, undefined])
})
