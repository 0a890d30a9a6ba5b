/** The one byte form of a transfer: what it binds, and what is not one. */
import { describe, expect, test } from "bun:test"
import { Result } from "effect"
import { keyOf, specOf, transfer } from "../../test/fixtures.ts"
import { Bug } from "../assert.ts"
import { makeRules } from "../chain/rules.ts"
import { concat, equal, toHex, utf8 } from "../codec/bytes.ts"
import type { Address } from "../crypto/address.ts"
import { sha256 } from "../crypto/hash.ts"
import { verify } from "../crypto/signature.ts"
import { transactionBytesMax } from "../limits.ts"
import type { Amount } from "./amount.ts"
import type { Millis, Nonce, Transfer } from "./transaction.ts"
import { decodeTransfer, makeTransfer, signedPart } from "./transfer.ts"

const plain = transfer({ from: 0, to: 1, nonce: 1 })

describe("a transfer", () => {
  test("comes back from its bytes as it was", () => {
    expect(decodeTransfer(plain.bytes)).toEqual(Result.succeed(plain))
  })

  test("signs and reads any note alike: slashes, quotes, control characters, emoji (defect 6)", () => {
    const notes = [
      "/",
      "https://example.org/a?b=c",
      '"\\',
      "\u0000\u001f\u007f\u2028",
      "\ufeffx",
      "🪨é",
      " ",
      "🪨".repeat(70)
    ]
    for (const note of notes) {
      const signed = transfer({ from: 0, to: 1, nonce: 1, note })
      const back = Result.getOrThrow(decodeTransfer(signed.bytes))
      expect(back.transfer.note).toBe(note)
      expect(verify(back.id, back.transfer.signature, back.transfer.publicKey)).toBe(true)
    }
  })

  test("has an id that covers all it says, its chain too, and not the signature (L-T6, L-T7)", () => {
    const others: ReadonlyArray<Partial<Transfer>> = [
      { chainId: "tesu" },
      { sender: keyOf(2).address },
      { recipient: keyOf(2).address },
      { amount: 11 as Amount },
      { fee: 2 as Amount },
      { nonce: 2 as Nonce },
      { time: (plain.transfer.time + 1) as Millis },
      { note: " " },
      { data: new Uint8Array([0]) },
      { data: new Uint8Array([0, 0]) },
      { data: utf8(" ") }
    ]
    const ids = [plain, ...others.map((fields) => makeTransfer({ ...plain.transfer, ...fields }))].map(({ id }) =>
      toHex(id)
    )
    expect(new Set(ids).size).toBe(ids.length)
    const resigned = makeTransfer({ ...plain.transfer, signature: new Uint8Array(64).fill(1) })
    expect(resigned.id).toEqual(plain.id)
    expect(resigned.leaf).not.toEqual(plain.leaf)
  })

  test("is hashed apart from everything else: id, signed bytes and leaf are what docs/protocol.md says", () => {
    const signed = plain.bytes.subarray(0, plain.bytes.length - 33 - 64)
    expect(signedPart(plain.bytes)).toEqual(signed)
    expect(plain.id).toEqual(sha256(concat(utf8("cairn/transfer"), signed)) as typeof plain.id)
    expect(plain.leaf).toEqual(sha256(concat(new Uint8Array([0]), plain.bytes)))
  })

  test("cannot be encoded as something else than it says (defects 11, 13)", () => {
    const bad: ReadonlyArray<Partial<Record<keyof Transfer, unknown>>> = [
      ...[-1, 1.5, NaN, Infinity, 2 ** 53].flatMap((n) => [{ amount: n }, { fee: n }, { nonce: n }, { time: n }]),
      { note: "\ud800" },
      { note: "é".repeat(141) },
      { data: new Uint8Array(513) },
      { chainId: "" },
      { chainId: "Test" },
      { chainId: "a".repeat(33) },
      { sender: new Uint8Array(19) as Uint8Array as Address },
      { publicKey: new Uint8Array(34) },
      { signature: new Uint8Array(63) }
    ]
    for (const fields of bad) expect(() => makeTransfer({ ...plain.transfer, ...(fields as object) })).toThrow(Bug)
  })
})

describe("a transfer with data", () => {
  const data = new Uint8Array([0, 1, 0xff])
  const told = transfer({ from: 0, to: 1, nonce: 1, note: "note", data })
  const codeOf = (decoded: ReturnType<typeof decodeTransfer>) => Result.isFailure(decoded) && decoded.failure.code
  const allowing = (payloadBytesMax: number | undefined) =>
    makeRules(specOf(payloadBytesMax === undefined ? {} : { payloadBytesMax })).ledger

  test("is form 4: as form 1, and behind the note the length and the data; no data is form 1", () => {
    const without = transfer({ from: 0, to: 1, nonce: 1, note: "note", data: new Uint8Array(0) })
    expect(without.bytes).toEqual(transfer({ from: 0, to: 1, nonce: 1, note: "note" }).bytes)
    const noteEnd = without.bytes.length - 97
    const expected = concat(new Uint8Array([4]), without.bytes.subarray(1, noteEnd), new Uint8Array([3, 0]), data)
    expect(signedPart(told.bytes)).toEqual(expected)
    expect(told.bytes.length).toBe(without.bytes.length + 5)
    expect(decodeTransfer(told.bytes)).toEqual(Result.succeed(told))
  })

  test("without its data is another that nobody has signed, whichever way it is cut", () => {
    const end = told.bytes.length - 97
    const cut = concat(new Uint8Array([1]), told.bytes.subarray(1, end - 5), told.bytes.subarray(end))
    const back = Result.getOrThrow(decodeTransfer(cut))
    expect(back.transfer.data.length).toBe(0)
    expect(equal(back.id, told.id)).toBe(false)
    expect(verify(back.id, back.transfer.signature, back.transfer.publicKey)).toBe(false)
    expect(verify(told.id, told.transfer.signature, told.transfer.publicKey)).toBe(true)
    for (let from = 1; from < told.bytes.length; from++)
      for (const form of [1, 4]) {
        const shorter = concat(new Uint8Array([form]), told.bytes.subarray(1, from), told.bytes.subarray(from + 1))
        const decoded = decodeTransfer(shorter)
        if (Result.isFailure(decoded)) continue
        const { id, transfer: fields } = decoded.success
        expect(verify(id, fields.signature, fields.publicKey)).toBe(false)
      }
  })

  test.each([
    ["where the spec says nothing of data", undefined, 1, "data-not-allowed"],
    ["where it says 0", 0, 1, "data-not-allowed"],
    ["a byte more than it says", 8, 9, "data-too-long"],
    ["as much as it says", 8, 8, false],
    ["as much as any may say", 512, 512, false]
  ])("%s", (_, most, length, code) => {
    const { bytes } = transfer({ from: 0, to: 1, nonce: 1, data: new Uint8Array(length) })
    expect(codeOf(allowing(most).decode(bytes) as ReturnType<typeof decodeTransfer>)).toBe(code as never)
  })

  test("of the longest note, chain id and data is within its limit", () => {
    const longest = { note: "é".repeat(140), chainId: "z".repeat(32), data: new Uint8Array(512).fill(1) }
    const { bytes } = transfer({ from: 0, to: 1, nonce: 1, ...longest })
    expect(bytes.length).toBe(173 + 280 + 32 + 2 + 512)
    expect(Result.getOrThrow(decodeTransfer(bytes)).transfer.data.length).toBe(512)
  })
})

describe("bytes that are no transfer are refused:", () => {
  const noted = transfer({ from: 0, to: 1, nonce: 1, note: "note" }).bytes
  const at = {
    version: 0,
    chainLength: 1,
    chain: 2,
    amount: 46,
    fee: 54,
    nonce: 62,
    time: 70,
    noteLength: 78,
    note: 80
  }
  const patched = (offset: number, ...replacement: ReadonlyArray<number>): Uint8Array => {
    const out = noted.slice()
    out.set(replacement, offset)
    return out
  }
  const above = [0, 0, 0, 0, 0, 0, 0x20, 0]
  const cases: ReadonlyArray<readonly [name: string, bytes: Uint8Array, code: string]> = [
    ["nothing", new Uint8Array(0), "transaction-malformed"],
    ["zeros", new Uint8Array(200), "version-unsupported"],
    ["a byte too few", noted.subarray(0, -1), "transaction-malformed"],
    ["a byte too many", concat(noted, new Uint8Array(1)), "transaction-malformed"],
    ["too many bytes to look at", new Uint8Array(transactionBytesMax + 1).fill(1), "transaction-too-large"],
    ["version 0", patched(at.version, 0), "version-unsupported"],
    ["version 2", patched(at.version, 2), "version-unsupported"],
    ["no chain id", patched(at.chainLength, 0), "transaction-malformed"],
    ["a longer chain id", patched(at.chainLength, 255), "transaction-malformed"],
    ["a capital in the chain id", patched(at.chain, 0x54), "transaction-malformed"],
    ["a zero byte in the chain id", patched(at.chain, 0), "transaction-malformed"],
    ["an amount of 2^53", patched(at.amount, ...above), "transaction-malformed"],
    ["a fee of 2^53", patched(at.fee, ...above), "transaction-malformed"],
    ["a nonce of 2^53", patched(at.nonce, ...above), "transaction-malformed"],
    ["a time of 2^64 - 1", patched(at.time, ...above.map(() => 0xff)), "transaction-malformed"],
    ["a shorter note", patched(at.noteLength, 3), "transaction-malformed"],
    ["a longer note", patched(at.noteLength, 0, 2), "transaction-malformed"],
    ["a note cut in a character", patched(at.note + 3, 0xc3), "transaction-malformed"],
    ["an overlong form in the note", patched(at.note, 0xc0, 0x80), "transaction-malformed"],
    ["a surrogate in the note", patched(at.note, 0xed, 0xa0, 0x80), "transaction-malformed"]
  ]
  test.each(cases)("%s", (_, bytes, code) => {
    const decoded = decodeTransfer(bytes)
    expect(Result.isFailure(decoded) && decoded.failure.code).toBe(code as never)
  })

  test("a note of 281 bytes, whatever the length of the rest", () => {
    const tail = noted.length - at.note - 4
    const bytes = new Uint8Array(at.note + 281 + tail)
    bytes.set(noted.subarray(0, at.note))
    bytes.set([281 & 255, 1], at.noteLength)
    const decoded = decodeTransfer(bytes)
    expect(Result.isFailure(decoded) && decoded.failure.code).toBe("note-too-long")
  })

  test("but the largest numbers that are safe are read as they are", () => {
    const bytes = patched(at.amount, ...[255, 255, 255, 255, 255, 255, 0x1f, 0])
    const back = Result.getOrThrow(decodeTransfer(bytes))
    expect(back.transfer.amount).toBe(Number.MAX_SAFE_INTEGER as Amount)
    expect(equal(makeTransfer(back.transfer).bytes, bytes)).toBe(true)
  })
})
