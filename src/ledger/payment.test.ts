/** Payments and coinbases in bytes: one form, a signature that covers all of it, and bytes that are refused. */
import { describe, expect, test } from "bun:test"
import { readFileSync } from "node:fs"
import { Result } from "effect"
import { keyOf, payment, specOf } from "../../test/fixtures.ts"
import { Bug } from "../assert.ts"
import { compare, concat, equal, toHex, utf8 } from "../codec/bytes.ts"
import { addressOf } from "../crypto/address.ts"
import { sha256 } from "../crypto/hash.ts"
import { verify } from "../crypto/signature.ts"
import { transactionBytesMax } from "../limits.ts"
import { amount } from "./amount.ts"
import { allocationId } from "./coin.ts"
import type { CoinRules } from "./ledger.ts"
import { decodePayment, makeCoinbase, makePayment, paymentBytes, signedPayment, signPayment } from "./payment.ts"
import { blame } from "./reject.ts"
import type { Coinbase, Outpoint, Payment, PaymentTransaction, TransactionId, Witness } from "./transaction.ts"
import { makeCoinLedger } from "./utxo.ts"

const given = (i: number): Outpoint => ({ id: allocationId("test"), index: i })
const fair = payment({
  inputs: [given(0)],
  outputs: [
    [1, 900],
    [0, 98]
  ],
  by: [0],
  note: "é"
})
const shared = payment({ inputs: [given(0), given(1)], outputs: [[2, 1_998]], by: [0, 1] })
const changed = (fields: Partial<Payment>, of = fair): PaymentTransaction => makePayment({ ...of.payment, ...fields })
const ledger = makeCoinLedger(specOf({ model: "utxo" }).ledger as CoinRules, amount(0))

/** SHA-256(t ‖ t ‖ message), t the hash of the tag. */
const tagged = (tag: string, message: Uint8Array) => {
  const t = sha256(utf8(tag))
  return sha256(concat(t, t, message))
}

describe("a payment", () => {
  test("is encoded field by field as docs/protocol.md says", () => {
    const [to, change] = fair.payment.outputs as [Payment["outputs"][0], Payment["outputs"][0]]
    const [{ publicKey, signature }] = fair.payment.witnesses as [Witness]
    const parts = [
      ...["02", "04", toHex(utf8("test"))],
      ...["0100", toHex(given(0).id), "00000000"],
      ...["0200", toHex(to.recipient), "8403000000000000", toHex(change.recipient), "6200000000000000"],
      ...["0200", "c3a9"],
      ...["01", toHex(publicKey), toHex(signature)]
    ]
    expect(toHex(fair.bytes)).toBe(parts.join(""))
    expect(fair.bytes.length).toBe(paymentBytes({ chainId: "test", note: "é", inputs: 1, outputs: 2, witnesses: 1 }))
  })

  test("has an id of all that is signed, and a leaf of all there is", () => {
    const signed = fair.bytes.subarray(0, fair.bytes.length - 98)
    expect(signedPayment(fair.bytes, 1)).toEqual(signed)
    expect(fair.id).toEqual(tagged("cairn/payment", signed) as typeof fair.id)
    expect(fair.leaf).toEqual(sha256(concat(new Uint8Array([0]), fair.bytes)))
    const [witness] = fair.payment.witnesses as [Witness]
    const resigned = changed({ witnesses: [{ ...witness, signature: new Uint8Array(64).fill(1) }] })
    expect(resigned.id).toEqual(fair.id)
    expect(resigned.leaf).not.toEqual(fair.leaf)
  })

  test("is read as what was encoded, its owners from their keys, its coins by the keys of their entries", () => {
    for (const one of [fair, shared, changed({ inputs: [], outputs: [], witnesses: [] })])
      expect(decodePayment(one.bytes)).toEqual(Result.succeed(one))
    expect(fair.spends).toEqual([`${toHex(given(0).id)}00000000`])
    expect(shared.payment.witnesses.map(({ owner }) => toHex(owner)).sort()).toEqual(
      [0, 1].map((i) => toHex(keyOf(i).address)).sort()
    )
  })

  test("has its witnesses in the order of their keys, whoever signs first", () => {
    const keys = [0, 1, 2, 3].map(keyOf)
    const fields = { chainId: "test", inputs: [given(0)], outputs: [], note: "" }
    const one = signPayment(fields, keys)
    expect(signPayment(fields, keys.toReversed()).bytes).toEqual(one.bytes)
    const publicKeys = one.payment.witnesses.map(({ publicKey }) => publicKey)
    expect(publicKeys).toEqual(publicKeys.toSorted(compare))
    for (const { publicKey, owner } of one.payment.witnesses) expect(owner).toEqual(addressOf(publicKey))
  })

  test("cannot be encoded as something else than it says (defects 11, 13)", () => {
    const output = fair.payment.outputs[0]!
    const [a, b] = shared.payment.witnesses as [Witness, Witness]
    const bad: ReadonlyArray<Partial<Record<keyof Payment, unknown>>> = [
      ...[-1, 1.5, NaN, Infinity, 2 ** 53].map((n) => ({ outputs: [{ ...output, amount: n }] })),
      ...[-1, 0.5, NaN, 2 ** 32].map((index) => ({ inputs: [{ id: given(0).id, index }] })),
      { inputs: [{ id: new Uint8Array(31), index: 0 }] },
      { outputs: [{ ...output, recipient: new Uint8Array(19) }] },
      { note: "\ud800" },
      { note: "é".repeat(141) },
      { data: new Uint8Array(513) },
      { chainId: "" },
      { chainId: "Test" },
      { witnesses: [{ ...a, publicKey: new Uint8Array(34) }] },
      { witnesses: [{ ...a, signature: new Uint8Array(63) }] },
      { witnesses: [b, a] },
      { witnesses: [a, a] },
      { outputs: Array(285).fill(output) }
    ]
    for (const fields of bad) expect(() => makePayment({ ...fair.payment, ...(fields as object) })).toThrow(Bug)
  })
})

describe("a payment with data", () => {
  const data = new Uint8Array([0, 1, 0xff])
  const told = changed({ note: "é", data })
  const judge = (payloadBytesMax: number | undefined, length: number, more: Partial<CoinRules> = {}): unknown => {
    const { ledger: rules } = specOf({ model: "utxo", ...(payloadBytesMax === undefined ? {} : { payloadBytesMax }) })
    const decoded = makeCoinLedger({ ...(rules as CoinRules), ...more }, amount(0)).decode(
      changed({ data: new Uint8Array(length) }).bytes
    )
    return Result.isFailure(decoded) && decoded.failure.code
  }

  test("is form 5: as form 2, and behind the note the length and the data; all of it is signed", () => {
    const noteEnd = fair.bytes.length - 98
    const head = concat(new Uint8Array([5]), fair.bytes.subarray(1, noteEnd))
    const signed = concat(head, new Uint8Array([3, 0]), data)
    expect(signedPayment(told.bytes, 1)).toEqual(signed)
    expect(told.bytes).toEqual(concat(signed, fair.bytes.subarray(noteEnd)))
    expect(told.id).toEqual(tagged("cairn/payment", signed) as typeof told.id)
    expect(decodePayment(told.bytes)).toEqual(Result.succeed(told))
    expect(told.spends).toEqual(fair.spends)
    const counts = { inputs: 1, outputs: 2, witnesses: 1 }
    expect(told.bytes.length).toBe(paymentBytes({ chainId: "test", note: "é", data, ...counts }))
    expect(ledger.checkSignature(told)).toBe(false)
  })

  test("that says so without any, or cut off anywhere, is none", () => {
    const end = told.bytes.length - 98
    const empty = concat(told.bytes.subarray(0, end - 5), new Uint8Array(2), told.bytes.subarray(end))
    expect(Result.isFailure(decodePayment(empty))).toBe(true)
    for (let length = 0; length < told.bytes.length; length++)
      expect(Result.isFailure(decodePayment(told.bytes.subarray(0, length)))).toBe(true)
  })

  test.each([
    ["where the spec says nothing of data", undefined, 1, "data-not-allowed"],
    ["where it says 0", 0, 1, "data-not-allowed"],
    ["a byte more than it says", 8, 9, "data-too-long"],
    ["as much as it says", 8, 8, false],
    ["as much as any may say", 512, 512, false]
  ])("%s", (_, most, length, code) => expect(judge(most, length)).toBe(code))

  test("there is none without data where the chain has a filler", () => {
    const filler = { rule: "random", characters: 4 } as const
    expect([0, 1, 8].map((length) => judge(8, length, { filler }))).toEqual(["data-missing", false, false])
  })
})

describe("signatures", () => {
  test("hold for what was signed, by all who signed", () => {
    expect([fair, shared].map(ledger.checkSignature)).toEqual([true, true])
  })

  test("cover every byte: change one of the signed part, and it is another payment that nobody has signed", () => {
    const { signature, publicKey } = fair.payment.witnesses[0]!
    const signed = signedPayment(fair.bytes, 1).length
    let read = 0
    for (let offset = 0; offset < signed; offset++) {
      for (const bit of [1, 0x80]) {
        const bytes = fair.bytes.slice()
        bytes[offset]! ^= bit
        const id = tagged("cairn/payment", bytes.subarray(0, signed))
        expect([offset, verify(id, signature, publicKey)]).toEqual([offset, false])
        const decoded = decodePayment(bytes)
        if (Result.isFailure(decoded) || decoded.success.kind !== "payment") continue
        read++
        expect(decoded.success.id).toEqual(id as TransactionId)
        expect([offset, ledger.checkSignature(decoded.success)]).toEqual([offset, false])
      }
    }
    expect(read).toBeGreaterThan(150)
  })

  test("do not fit other outputs: neither another recipient, nor another amount, nor one more (defect 18)", () => {
    const [first, change] = fair.payment.outputs as [Payment["outputs"][0], Payment["outputs"][0]]
    for (const outputs of [
      [{ ...first, recipient: keyOf(5).address }, change],
      [{ ...first, amount: amount(899) }, change],
      [change, first],
      [first],
      [first, change, { recipient: keyOf(5).address, amount: amount(1) }]
    ]) {
      const bent = changed({ outputs })
      expect([Result.isSuccess(ledger.decode(bent.bytes)), ledger.checkSignature(bent)]).toEqual([true, false])
    }
  })

  test("do not fit other inputs, another note, another chain, nor one owner's for another", () => {
    const bent = [
      changed({ inputs: [given(1)] }),
      changed({ inputs: [given(0), given(1)] }),
      changed({ inputs: shared.payment.inputs.toReversed() }, shared),
      changed({ note: "x" }),
      changed({ chainId: "tess" }),
      changed({ witnesses: [{ ...fair.payment.witnesses[0]!, publicKey: keyOf(1).publicKey }] }),
      changed({ witnesses: [{ ...fair.payment.witnesses[0]!, publicKey: new Uint8Array(33).fill(0xff) }] })
    ]
    for (const one of bent) expect(ledger.checkSignature(one)).toBe(false)
    const [a, b] = shared.payment.witnesses as [Payment["witnesses"][0], Payment["witnesses"][0]]
    const swapped = [
      { ...a, signature: b.signature },
      { ...b, signature: a.signature }
    ]
    for (const witnesses of [swapped, [a, swapped[1]!], [swapped[0]!, b]])
      expect(ledger.checkSignature(changed({ witnesses }, shared))).toBe(false)
  })
})

describe("a coinbase", () => {
  const one: Coinbase = {
    chainId: "test",
    height: 258,
    outputs: [{ recipient: keyOf(9).address, amount: amount(1_000) }]
  }

  test("is encoded field by field as docs/protocol.md says, and its id is of all of it", () => {
    const made = makeCoinbase(one)
    const parts = [
      "03",
      "04",
      toHex(utf8("test")),
      "0201000000000000",
      "0100",
      toHex(keyOf(9).address),
      "e803000000000000"
    ]
    expect(toHex(made.bytes)).toBe(parts.join(""))
    expect(made.id).toEqual(tagged("cairn/coinbase", made.bytes) as typeof made.id)
    expect(made.leaf).toEqual(sha256(concat(new Uint8Array([0]), made.bytes)))
  })

  test("is read as what was encoded; those of two heights are two, though nothing is paid", () => {
    const none = [1, 2].map((height) => makeCoinbase({ ...one, height, outputs: [] }))
    for (const made of [makeCoinbase(one), ...none]) expect(decodePayment(made.bytes)).toEqual(Result.succeed(made))
    expect(none[0]!.id).not.toEqual(none[1]!.id)
  })
})

describe("bytes that are no payment and no coinbase are refused:", () => {
  const met = new Set<string>()
  const { bytes } = fair
  const at = {
    chainLength: 1,
    chain: 2,
    inputs: 6,
    outputs: 44,
    amount: 66,
    noteLength: 102,
    note: 104,
    witnesses: 106
  }
  const patched = (offset: number, ...replacement: ReadonlyArray<number>): Uint8Array => {
    const out = bytes.slice()
    out.set(replacement, offset)
    return out
  }
  const above = [0, 0, 0, 0, 0, 0, 0x20, 0]
  const [first, second] = [shared.bytes.subarray(-2 * 97, -97), shared.bytes.subarray(-97)]
  const head = shared.bytes.subarray(0, -2 * 97)
  const minted = makeCoinbase({ chainId: "test", height: 1, outputs: fair.payment.outputs.slice(1) }).bytes
  const cases: ReadonlyArray<readonly [name: string, bytes: Uint8Array, code: string]> = [
    ["nothing", new Uint8Array(0), "transaction-malformed"],
    ["zeros", new Uint8Array(200), "version-unsupported"],
    ["the form of a transfer", patched(0, 1), "version-unsupported"],
    ["form 4", patched(0, 4), "version-unsupported"],
    ["the form alone", bytes.subarray(0, 1), "transaction-malformed"],
    ["a byte too few", bytes.subarray(0, -1), "transaction-malformed"],
    ["a byte too many", concat(bytes, new Uint8Array(1)), "transaction-malformed"],
    ["too many bytes to look at", new Uint8Array(transactionBytesMax + 1).fill(2), "transaction-too-large"],
    ["no chain id", patched(at.chainLength, 0), "transaction-malformed"],
    ["a longer chain id", patched(at.chainLength, 255), "transaction-malformed"],
    ["a capital in the chain id", patched(at.chain, 0x54), "transaction-malformed"],
    ["more inputs than bytes", patched(at.inputs, 0xff, 0xff), "transaction-malformed"],
    ["more outputs than bytes", patched(at.outputs, 0xff, 0xff), "transaction-malformed"],
    ["an amount of 2^53", patched(at.amount, ...above), "transaction-malformed"],
    [
      "an amount of -1 as others write it (defect 11)",
      patched(at.amount, ...above.map(() => 255)),
      "transaction-malformed"
    ],
    ["a longer note", patched(at.noteLength, 0xff, 0), "transaction-malformed"],
    [
      "a note of 281 bytes",
      concat(bytes.subarray(0, at.noteLength), new Uint8Array([25, 1]), new Uint8Array(281)),
      "note-too-long"
    ],
    ["a note that is longer than the rest", patched(at.noteLength, 0xff, 0xff), "transaction-malformed"],
    ["a note cut in a character", patched(at.note + 1, 0x20), "transaction-malformed"],
    [
      "a surrogate in the note",
      concat(bytes.subarray(0, at.noteLength), new Uint8Array([3, 0, 0xed, 0xa0, 0x80, 0])),
      "transaction-malformed"
    ],
    ["more witnesses than bytes", patched(at.witnesses, 2), "transaction-malformed"],
    ["fewer witnesses than bytes", patched(at.witnesses, 0), "transaction-malformed"],
    ["witnesses out of order", concat(head, second, first), "transaction-malformed"],
    ["one witness twice", concat(head, first, first), "transaction-malformed"],
    [
      "a coinbase of 2^53 blocks",
      concat(minted.subarray(0, 6), new Uint8Array(above), minted.subarray(14)),
      "transaction-malformed"
    ],
    ["a coinbase of too few bytes", minted.subarray(0, -1), "transaction-malformed"],
    ["a coinbase cut off in its height", minted.subarray(0, 10), "transaction-malformed"],
    ["a coinbase with a note", concat(minted, new Uint8Array([1, 0, 0x20])), "transaction-malformed"]
  ]
  test.each(cases)("%s", (_, wrong, code) => {
    const decoded = decodePayment(wrong)
    expect(Result.isFailure(decoded) && decoded.failure.code).toBe(code as never)
    met.add(code)
  })

  test("but the largest numbers that are safe are read as they are", () => {
    const largest = patched(at.amount, ...[255, 255, 255, 255, 255, 255, 0x1f, 0])
    const back = Result.getOrThrow(decodePayment(largest)) as PaymentTransaction
    expect(back.payment.outputs[0]!.amount).toBe(amount(Number.MAX_SAFE_INTEGER))
    expect(equal(makePayment(back.payment).bytes, largest)).toBe(true)
    const longest = changed({ outputs: Array(275).fill(fair.payment.outputs[0]!), note: "x".repeat(154) })
    expect([longest.bytes.length, Result.isSuccess(decodePayment(longest.bytes))]).toEqual([transactionBytesMax, true])
  })

  test("every code that the decoder gives has been met", () => {
    const source = readFileSync(new URL("payment.ts", import.meta.url), "utf8")
    const codes = [...source.matchAll(/reject\("([a-z-]+)"/g)].map((match) => match[1]!)
    expect(codes.length).toBeGreaterThan(3)
    expect(codes.filter((code) => !(code in blame) || !met.has(code))).toEqual([])
  })
})
