/** The one byte form of a transfer: what it binds, and what is not one. */
import { describe, expect, test } from "bun:test"
import { Result } from "effect"
import { keyOf, transfer } from "../../test/fixtures.ts"
import { Bug } from "../assert.ts"
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
      { note: " " }
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
