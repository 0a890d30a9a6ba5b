/** Payments as JSON: strict, and the same payment as in bytes. */
import { describe, expect, test } from "bun:test"
import { readFileSync } from "node:fs"
import { Result } from "effect"
import { keyOf, payment } from "../../test/fixtures.ts"
import { toHex } from "../codec/bytes.ts"
import { formatAddress } from "../crypto/address.ts"
import { amount } from "./amount.ts"
import { allocationId } from "./coin.ts"
import { makeCoinbase } from "./payment.ts"
import { formatCoinbase, formatPayment, parsePayment } from "./payment-text.ts"
import { blame } from "./reject.ts"

const given = (index: number) => ({ id: allocationId("test"), index })
const fair = payment({
  inputs: [given(0), given(1)],
  outputs: [
    [2, 900],
    [0, 98]
  ],
  by: [0, 1],
  note: 'a/b "c" \u0001 🪨'
})
const text = formatPayment(fair, "crn")
const met = new Set<string>()
const codeOf = (json: unknown): string | undefined => {
  const parsed = parsePayment(json, "crn")
  if (Result.isSuccess(parsed)) return undefined
  met.add(parsed.failure.code)
  return parsed.failure.code
}

test("parse undoes format, over JSON too, so that a note signs the same everywhere (defect 6)", () => {
  expect(parsePayment(JSON.parse(JSON.stringify(text)), "crn")).toEqual(Result.succeed(fair))
  const { id: _, kind: __, witnesses, ...rest } = text
  const least = { ...rest, witnesses: witnesses.map(({ owner: ___, ...witness }) => witness) }
  expect(parsePayment(least, "crn")).toEqual(Result.succeed(fair))
})

test("witnesses may stand in any order in JSON: the bytes have one", () => {
  expect(parsePayment({ ...text, witnesses: text.witnesses.toReversed() }, "crn")).toEqual(Result.succeed(fair))
})

test("a coinbase is given as JSON, and never taken", () => {
  const made = makeCoinbase({
    chainId: "test",
    height: 3,
    outputs: [{ recipient: keyOf(9).address, amount: amount(50) }]
  })
  const json = formatCoinbase(made, "crn")
  expect(json).toEqual({
    chain_id: "test",
    id: toHex(made.id),
    kind: "coinbase",
    height: 3,
    outputs: [{ recipient: formatAddress(keyOf(9).address, "crn"), amount: 50 }]
  })
  expect(codeOf(json)).toBe("transaction-malformed")
  expect(codeOf({ ...text, kind: "coinbase" })).toBe("transaction-malformed")
})

describe("JSON that is no payment is refused:", () => {
  const [input] = text.inputs
  const [output] = text.outputs
  const [witness, other] = text.witnesses
  const cases: ReadonlyArray<readonly [field: string, value: unknown, code: string]> = [
    ["kind", "transfer", "transaction-malformed"],
    ["kind", null, "transaction-malformed"],
    ["id", "00".repeat(32), "transaction-malformed"],
    ["id", null, "transaction-malformed"],
    ["fee", 2, "transaction-malformed"],
    ["chain_id", "Test", "transaction-malformed"],
    ["chain_id", 1, "transaction-malformed"],
    ["data", 5, "transaction-malformed"],
    ["data", "FF", "transaction-malformed"],
    ["data", "00", "transaction-malformed"],
    ["data", "00".repeat(513), "data-too-long"],
    ["note", null, "transaction-malformed"],
    ["note", "\ud83e", "transaction-malformed"],
    ["note", "é".repeat(141), "note-too-long"],
    ["inputs", {}, "transaction-malformed"],
    ["inputs", [null], "transaction-malformed"],
    ["inputs", [[]], "transaction-malformed"],
    ["inputs", [{ ...input, index: -1 }], "transaction-malformed"],
    ["inputs", [{ ...input, index: 0.5 }], "transaction-malformed"],
    ["inputs", [{ ...input, index: 2 ** 32 }], "transaction-malformed"],
    ["inputs", [{ ...input, index: "0" }], "transaction-malformed"],
    ["inputs", [{ ...input, transaction_id: input!.transaction_id.toUpperCase() }], "transaction-malformed"],
    ["inputs", [{ ...input, transaction_id: "" }], "transaction-malformed"],
    ["inputs", [{ ...input, amount: 5 }], "transaction-malformed"],
    ["inputs", [{ index: 0 }], "transaction-malformed"],
    ["inputs", Array(8_001).fill(input), "transaction-too-large"],
    ["inputs", Array(300).fill(input), "transaction-too-large"],
    ["outputs", "", "transaction-malformed"],
    ["outputs", [{ ...output, recipient: formatAddress(keyOf(2).address, "lbc") }], "transaction-malformed"],
    ["outputs", [{ ...output, recipient: `${output!.recipient.slice(0, -1)}q` }], "transaction-malformed"],
    ["outputs", [{ ...output, recipient: { toString: () => output!.recipient } }], "transaction-malformed"],
    ["outputs", [{ ...output, note: "" }], "transaction-malformed"],
    ["outputs", [{ amount: 1 }], "transaction-malformed"],
    ["outputs", Array(300).fill(output), "transaction-too-large"],
    ["witnesses", null, "transaction-malformed"],
    ["witnesses", [witness, witness], "transaction-malformed"],
    ["witnesses", [{ ...witness, owner: other!.owner }], "transaction-malformed"],
    ["witnesses", [{ ...witness, owner: null }], "transaction-malformed"],
    ["witnesses", [{ ...witness, key: "" }], "transaction-malformed"],
    ["witnesses", [{ ...witness, public_key: witness!.public_key.toUpperCase() }], "public-key-invalid"],
    ["witnesses", [{ ...witness, public_key: 5 }], "public-key-invalid"],
    ["witnesses", [{ ...witness, signature: witness!.signature.slice(2) }], "signature-invalid"],
    ["witnesses", [{ ...witness, signature: null }], "signature-invalid"]
  ]
  test.each(cases)("%s %j", (field, value, code) => {
    expect(codeOf({ ...text, [field]: value })).toBe(code)
  })

  test("money that is not a whole number of base units, at least one (defects 11, 13)", () => {
    for (const value of [-1, 0, -0, 0.5, 1e21, 2 ** 53, NaN, Infinity, "10", null, true, [10]]) {
      const outputs = [{ ...output, amount: value }]
      expect([value, codeOf({ ...text, outputs })]).toEqual([value, "amount-invalid"])
    }
  })

  test("each field that is missing, by name", () => {
    for (const field of Object.keys(text).filter((key) => key !== "id" && key !== "kind")) {
      const { [field]: _, ...rest } = text as unknown as Record<string, unknown>
      const parsed = parsePayment(rest, "crn")
      expect(Result.isFailure(parsed) && parsed.failure.message).toBe(`A payment lacks the field "${field}".`)
    }
  })

  test("what is not an object, and what borrows fields from a prototype", () => {
    const borrowed = { ...text, inputs: [Object.create(input!)] }
    const proto = JSON.parse('{"__proto__":{}}')
    for (const json of [null, undefined, 1, "x", [], [text], Object.create(text), proto, borrowed]) {
      expect(codeOf(json)).toBe("transaction-malformed")
    }
  })

  test("by every code that the reader gives", () => {
    const source = readFileSync(new URL("payment-text.ts", import.meta.url), "utf8")
    const codes = [...source.matchAll(/"([a-z-]+)"/g)].map((match) => match[1]!).filter((code) => code in blame)
    expect(codes.length).toBeGreaterThan(5)
    expect(codes.filter((code) => !met.has(code))).toEqual([])
  })
})
