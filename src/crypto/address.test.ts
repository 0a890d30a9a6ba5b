/** Addresses: read back as written, no typo taken, and a person is told what is wrong. */
import { expect, test } from "bun:test"
import { bech32m } from "@scure/base"
import { makeDice } from "../sim/dice.ts"
import { Bug } from "../assert.ts"
import { toHex } from "../codec/bytes.ts"
import { type Address, addressOf, formatAddress, formatName, isAddress, isName, parseAddress } from "./address.ts"

const dice = makeDice(11)
const some = (): Address => dice.bytes(20) as Uint8Array as Address

test("parse undoes format, under any prefix", () => {
  for (let i = 0; i < 1_000; i++) {
    const address = some()
    const prefix = dice.pick(["crn", "lbc", "dev", "a"])
    const parsed = parseAddress(formatAddress(address, prefix), prefix)
    expect(isAddress(parsed) && toHex(parsed)).toBe(toHex(address))
  }
})

test("a text that is not the very form is no address: one character changed, two swapped, one lost or added (L-T4)", () => {
  const letters = "qpzry9x8gf2tvdw0s3jn54khce6mua7l1bio -".split("")
  for (let i = 0; i < 2_000; i++) {
    const text = formatAddress(some(), "crn")
    const at = dice.int(text.length)
    const letter = dice.pick(letters)
    const [before, after] = [text.slice(0, at), text.slice(at + 1)]
    const typos = [before + letter + after, before + after, before + letter + text.slice(at)]
    if (after !== "") typos.push(before + after[0] + text[at] + after.slice(1))
    for (const typo of typos)
      expect([typo, typo !== text && isAddress(parseAddress(typo, "crn"))]).toEqual([typo, false])
  }
})

test("no text throws", () => {
  for (let i = 0; i < 2_000; i++) {
    const text = String.fromCodePoint(...dice.bytes(dice.int(100)))
    expect(isAddress(parseAddress(text, "crn"))).toBe(false)
    expect(isAddress(parseAddress(`crn1${text}`, "crn"))).toBe(false)
  }
})

test("what is wrong is said: case, typo, another chain, another kind, length", () => {
  const text = formatAddress(some(), "crn")
  const wrong = (of: string): string => (parseAddress(of, "crn") as { readonly wrong: string }).wrong
  expect(wrong(text.toUpperCase())).toContain("lower case")
  expect(wrong(text.slice(0, -1))).toContain("typo")
  expect(wrong(formatAddress(some(), "lbc"))).toContain("lbc1")
  expect(wrong(formatName("crn", dice.bytes(20)))).toContain("unknown kind")
  expect(wrong(formatAddress(dice.bytes(19) as Uint8Array as Address, "crn"))).toContain("unknown kind")
  expect(wrong(bech32m.encode("crn", [1, ...bech32m.toWords(some())]))).toContain("unknown kind")
  expect(wrong("c".repeat(91))).toContain("too long")
})

test("an address comes from 33 bytes; another length is our bug, never the address of what was hashed before", () => {
  for (const length of [0, 32, 34, 65]) expect(() => addressOf(new Uint8Array(length))).toThrow(Bug)
})

test("a name is one under its own prefix, whole, and no address", () => {
  const name = formatName("node", dice.bytes(20))
  expect(isName("node", name)).toBe(true)
  for (const [prefix, text] of [
    ["crn", name],
    ["node", name.slice(0, -1)],
    ["node", formatName("node", dice.bytes(19))],
    ["node", formatAddress(some(), "node")],
    ["node", "peer-node-1"],
    ["node", "n".repeat(91)]
  ] as const)
    expect([text, isName(prefix, text)]).toEqual([text, false])
})
