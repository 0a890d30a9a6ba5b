/** Transfers as JSON: strict, and the same transfer as in bytes. */
import { describe, expect, test } from "bun:test"
import { Result } from "effect"
import { keyOf, transfer } from "../../test/fixtures.ts"
import { formatAddress } from "../crypto/address.ts"
import { formatTransfer, parseTransfer } from "./transfer-text.ts"

const fair = transfer({ from: 0, to: 1, nonce: 1, note: 'a/b "c" \u0001 🪨' })
const text = formatTransfer(fair, "crn")
const codeOf = (json: unknown): string | undefined => {
  const parsed = parseTransfer(json, "crn")
  return Result.isFailure(parsed) ? parsed.failure.code : undefined
}

test("parse undoes format, over JSON too, so that a note signs the same everywhere (defect 6)", () => {
  expect(parseTransfer(JSON.parse(JSON.stringify(text)), "crn")).toEqual(Result.succeed(fair))
  const { id: _, kind: __, ...least } = text
  expect(parseTransfer(least, "crn")).toEqual(Result.succeed(fair))
})

test("data is hex, and not there if there is none", () => {
  const told = transfer({ from: 0, to: 1, nonce: 1, data: new Uint8Array([0, 0xff]) })
  const json = formatTransfer(told, "crn")
  expect([json.data, Object.hasOwn(text, "data")]).toEqual(["00ff", false])
  expect(parseTransfer(JSON.parse(JSON.stringify(json)), "crn")).toEqual(Result.succeed(told))
  expect(parseTransfer({ ...text, data: "" }, "crn")).toEqual(Result.succeed(fair))
})

describe("JSON that is no transfer is refused:", () => {
  const cases: ReadonlyArray<readonly [field: string, value: unknown, code: string]> = [
    ["version", 2, "version-unsupported"],
    ["version", "1", "version-unsupported"],
    ["kind", "reward", "transaction-malformed"],
    ["kind", null, "transaction-malformed"],
    ["id", "00".repeat(32), "transaction-malformed"],
    ["id", null, "transaction-malformed"],
    ["memo", "", "transaction-malformed"],
    ["chain_id", "Test", "transaction-malformed"],
    ["chain_id", 1, "transaction-malformed"],
    ["sender", formatAddress(keyOf(0).address, "lbc"), "transaction-malformed"],
    ["recipient", `${text.recipient.slice(0, -1)}q`, "transaction-malformed"],
    ["recipient", { toString: () => text.recipient }, "transaction-malformed"],
    ["nonce", -1, "transaction-malformed"],
    ["nonce", 1.5, "transaction-malformed"],
    ["nonce", "1", "transaction-malformed"],
    ["timestamp", 2 ** 53, "transaction-malformed"],
    ["timestamp", "2026-11-21T00:00:00Z", "transaction-malformed"],
    ["note", null, "transaction-malformed"],
    ["note", "\ud83e", "transaction-malformed"],
    ["note", "é".repeat(141), "note-too-long"],
    ["data", null, "transaction-malformed"],
    ["data", 5, "transaction-malformed"],
    ["data", "0x00", "transaction-malformed"],
    ["data", "FF", "transaction-malformed"],
    ["data", "0", "transaction-malformed"],
    ["data", "00", "transaction-malformed"],
    ["data", "00".repeat(513), "data-too-long"],
    ["public_key", text.public_key.toUpperCase(), "public-key-invalid"],
    ["public_key", "", "public-key-invalid"],
    ["signature", text.signature.slice(2), "signature-invalid"],
    ["signature", 5, "signature-invalid"]
  ]
  test.each(cases)("%s %j", (field, value, code) => {
    expect(codeOf({ ...text, [field]: value })).toBe(code)
  })

  test("money that is not a whole number of base units (defects 11, 13)", () => {
    for (const value of [-1, 0.5, 1e21, 2 ** 53, NaN, Infinity, "10", null, true, [10]]) {
      expect([value, codeOf({ ...text, amount: value })]).toEqual([value, "amount-invalid"])
      expect([value, codeOf({ ...text, fee: value })]).toEqual([value, "amount-invalid"])
    }
    expect(codeOf({ ...text, amount: 0 })).toBe("amount-invalid")
  })

  test("each field that is missing, by name", () => {
    for (const field of Object.keys(text).filter((key) => key !== "id" && key !== "kind")) {
      const { [field]: _, ...rest } = text as unknown as Record<string, unknown>
      const parsed = parseTransfer(rest, "crn")
      expect(Result.isFailure(parsed) && parsed.failure.message).toBe(`The field "${field}" is missing.`)
    }
  })

  test("what is not an object, and what borrows fields from a prototype", () => {
    for (const json of [null, undefined, 1, "x", [], [text], Object.create(text), JSON.parse('{"__proto__":{}}')]) {
      expect(codeOf(json)).toBe("transaction-malformed")
    }
  })
})
