/** Money: a safe integer of base units. Sums are checked; nothing here ever rounds. */
import type { Brand } from "effect"
import { assert } from "../assert.ts"

/** Base units, 0 to 2^53 - 1. */
export type Amount = number & Brand.Brand<"Amount">

export const zero = 0 as Amount

/** True for what may be an Amount. */
export const isAmount = (value: unknown): value is Amount => Number.isSafeInteger(value) && (value as number) >= 0

/** An Amount from a number known to be one; anything else is our bug. */
export const amount = (value: number): Amount => {
  assert(isAmount(value), `not an amount: ${value}`)
  return value
}

/** The sum, or undefined if it leaves the safe integers. */
export const add = (a: Amount, b: Amount): Amount | undefined => {
  const sum = a + b
  return isAmount(sum) ? sum : undefined
}

/** The difference, or undefined if it is negative. */
export const subtract = (a: Amount, b: Amount): Amount | undefined => (a >= b ? ((a - b) as Amount) : undefined)

/** Base units as a decimal text with the chain's decimals: (150, 2) is "1.50". */
export const format = (value: Amount, decimals: number): string => {
  if (decimals === 0) return String(value)
  const digits = String(value).padStart(decimals + 1, "0")
  return `${digits.slice(0, -decimals)}.${digits.slice(-decimals)}`
}

/** A decimal text as base units; undefined if it is not a number, has too many decimals or is too large. */
export const parse = (text: string, decimals: number): Amount | undefined => {
  const match = /^(\d{1,16})(?:\.(\d{1,16}))?$/.exec(text)
  if (match === null) return undefined
  const fraction = (match[2] ?? "").replace(/0+$/, "")
  if (fraction.length > decimals) return undefined
  const value = Number(match[1] + fraction.padEnd(decimals, "0"))
  return isAmount(value) ? value : undefined
}
