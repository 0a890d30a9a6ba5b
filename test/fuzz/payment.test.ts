/** Payments from anybody: no bytes and no JSON make the decoders throw, and whatever they take has one form. */
import { expect, test } from "bun:test"
import { Result } from "effect"
import { compare, equal, toHex, utf8 } from "../../src/codec/bytes.ts"
import { makeRules } from "../../src/chain/rules.ts"
import { addressOf } from "../../src/crypto/address.ts"
import type { Amount } from "../../src/ledger/amount.ts"
import { decodeTransaction } from "../../src/ledger/decode.ts"
import { Overlay } from "../../src/ledger/overlay.ts"
import { decodePayment, makeCoinbase, makePayment } from "../../src/ledger/payment.ts"
import { formatPayment, parsePayment } from "../../src/ledger/payment-text.ts"
import type {
  CoinbaseTransaction,
  Output,
  Payment,
  PaymentTransaction,
  TransactionId,
  Witness
} from "../../src/ledger/transaction.ts"
import { type Dice, makeDice } from "../../src/sim/dice.ts"
import { keyOf, payment, specOf } from "../fixtures.ts"

const number = (dice: Dice): number =>
  dice.pick([0, 1, 255, 256, 2 ** 32 - 1, 2 ** 32, Number.MAX_SAFE_INTEGER, dice.int(2 ** 31) * 2 ** dice.int(22)])

const note = (dice: Dice): string => {
  const points = Array.from({ length: dice.int(60) }, () =>
    dice.pick([dice.int(0x80), dice.int(0xd800), 0x10000 + dice.int(0x100000)])
  )
  return utf8(String.fromCodePoint(...points)).length <= 280 ? String.fromCodePoint(...points) : ""
}

/** None, some, or all that any chain may allow. */
const data = (dice: Dice): Uint8Array => dice.bytes(dice.pick([0, 0, 1, dice.int(100), 512]))

const several = <A>(dice: Dice, max: number, make: () => A): ReadonlyArray<A> =>
  Array.from({ length: dice.int(max + 1) }, make)

const outputs = (dice: Dice): ReadonlyArray<Output> =>
  several(dice, 4, () => ({ recipient: keyOf(dice.int(5)).address, amount: number(dice) as Amount }))

const witness = (dice: Dice): Witness => {
  const publicKey = dice.bytes(33)
  return { publicKey, signature: dice.bytes(64), owner: addressOf(publicKey) }
}

const chainId = (dice: Dice): string => dice.pick(["a", "test", "cairn-dev", "0-9", "z".repeat(32)])

const anyPayment = (dice: Dice): Payment => ({
  chainId: chainId(dice),
  inputs: several(dice, 4, () => ({ id: dice.bytes(32) as TransactionId, index: number(dice) % 2 ** 32 })),
  outputs: outputs(dice),
  note: note(dice),
  data: data(dice),
  witnesses: several(dice, 3, () => witness(dice)).toSorted((a, b) => compare(a.publicKey, b.publicKey))
})

const anything = (dice: Dice): PaymentTransaction | CoinbaseTransaction =>
  dice.chance(0.7)
    ? makePayment(anyPayment(dice))
    : makeCoinbase({ chainId: chainId(dice), height: number(dice), outputs: outputs(dice) })

/** The transaction made again of its fields. */
const again = (one: PaymentTransaction | CoinbaseTransaction) =>
  one.kind === "payment" ? makePayment(one.payment) : makeCoinbase(one.coinbase)

test("decode undoes encode for any payment and coinbase, and a payment's JSON is read as the same", () => {
  const dice = makeDice(31)
  for (let i = 0; i < 3_000; i++) {
    const made = anything(dice)
    expect(decodePayment(made.bytes)).toEqual(Result.succeed(made))
    expect(decodeTransaction(made.bytes)).toEqual(Result.succeed(made))
    if (made.kind === "coinbase") continue
    const parsed = parsePayment(JSON.parse(JSON.stringify(formatPayment(made, "crn"))), "crn")
    expect(Result.isSuccess(parsed)).toBe(made.payment.outputs.every((output) => output.amount > 0))
    if (Result.isSuccess(parsed)) expect(parsed.success).toEqual(made)
  }
})

test("mutated bytes never throw, nor do the rules on what is taken, which encodes to the same bytes", () => {
  const dice = makeDice(32)
  const { ledger } = makeRules(specOf({ model: "utxo", payloadBytesMax: 64 }))
  const state = new Overlay(() => undefined)
  let taken = 0
  for (let i = 0; i < 30_000; i++) {
    const original = anything(dice)
    const bytes = dice.mutate(original.bytes)
    const decoded = decodePayment(bytes)
    const judged = ledger.decode(bytes)
    if (Result.isSuccess(judged)) ledger.check(state, judged.success, { height: 1 })
    if (Result.isFailure(decoded)) continue
    taken++
    expect(toHex(again(decoded.success).bytes)).toBe(toHex(bytes))
    expect(equal(decoded.success.leaf, original.leaf)).toBe(equal(bytes, original.bytes))
  }
  expect(taken).toBeGreaterThan(5_000)
})

test("random bytes never throw", () => {
  const dice = makeDice(33)
  for (let i = 0; i < 20_000; i++) {
    const bytes = dice.bytes(dice.int(300))
    const head = [dice.pick([2, 3, 5]), 1, 0x61 + dice.int(26), dice.int(3), 0]
    if (dice.chance(0.8)) bytes.set(head.slice(0, bytes.length))
    decodePayment(bytes)
    decodeTransaction(bytes)
  }
})

const junk: ReadonlyArray<unknown> = [
  ...[null, undefined, true, -1, 0, 1.5, NaN, 2 ** 60, "", "0", "\ud800", "x".repeat(1_000)],
  ...[[], {}, [1], [{}], [[]], { length: 33 }, 1n, Symbol("s")]
]

/** The value with one thing in it, at any depth, replaced by junk. */
const spoilt = (dice: Dice, value: unknown): unknown => {
  if (typeof value !== "object" || value === null || dice.chance(0.15)) return dice.pick(junk)
  const fields = [...Object.keys(value), "toString", "constructor"]
  const field = dice.pick(fields)
  const changed = spoilt(dice, (value as Record<string, unknown>)[field])
  return Array.isArray(value) ? value.with(dice.int(value.length), changed) : { ...(value as object), [field]: changed }
}

test("any JSON with anything in it replaced never throws, and is refused unless it says the same", () => {
  const dice = makeDice(34)
  const sent = payment({
    inputs: [
      { id: dice.bytes(32) as TransactionId, index: 0 },
      { id: dice.bytes(32) as TransactionId, index: 1 }
    ],
    outputs: [
      [1, 5],
      [2, 6]
    ],
    by: [0, 1],
    data: dice.bytes(5)
  })
  const text = formatPayment(sent, "crn")
  for (let i = 0; i < 8_000; i++) {
    const changed = spoilt(dice, text)
    const parsed = parsePayment(changed, "crn")
    if (Result.isSuccess(parsed)) expect(formatPayment(parsed.success, "crn") as unknown).toEqual(changed)
  }
})
