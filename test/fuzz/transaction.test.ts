/** Transfers from anybody: no bytes and no JSON make the decoders throw, and whatever they take has one form. */
import { expect, test } from "bun:test"
import { Result } from "effect"
import { equal, toHex, utf8 } from "../../src/codec/bytes.ts"
import { makeRules } from "../../src/chain/rules.ts"
import type { Amount } from "../../src/ledger/amount.ts"
import type { Millis, Nonce, Transfer } from "../../src/ledger/transaction.ts"
import { decodeTransfer, makeTransfer } from "../../src/ledger/transfer.ts"
import { formatTransfer, parseTransfer } from "../../src/ledger/transfer-text.ts"
import { keyOf, specOf, transfer } from "../fixtures.ts"
import { type Dice, makeDice } from "../../src/sim/dice.ts"

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

const anyTransfer = (dice: Dice): Transfer => ({
  version: 1,
  chainId: dice.pick(["a", "test", "cairn-dev", "0-9", "z".repeat(32)]),
  sender: keyOf(dice.int(5)).address,
  recipient: keyOf(dice.int(5)).address,
  amount: number(dice) as Amount,
  fee: number(dice) as Amount,
  nonce: number(dice) as Nonce,
  time: number(dice) as Millis,
  note: note(dice),
  data: data(dice),
  publicKey: dice.bytes(33),
  signature: dice.bytes(64)
})

test("decode undoes encode for any transfer, and its JSON is read as the same", () => {
  const dice = makeDice(11)
  for (let i = 0; i < 3_000; i++) {
    const made = makeTransfer(anyTransfer(dice))
    expect(decodeTransfer(made.bytes)).toEqual(Result.succeed(made))
    const parsed = parseTransfer(JSON.parse(JSON.stringify(formatTransfer(made, "crn"))), "crn")
    expect(Result.isSuccess(parsed)).toBe(made.transfer.amount > 0)
    if (Result.isSuccess(parsed)) expect(parsed.success).toEqual(made)
  }
})

test("mutated bytes never throw; what is taken encodes to the same bytes and is another transaction", () => {
  const dice = makeDice(12)
  const { ledger } = makeRules(specOf({ payloadBytesMax: 64 }))
  let taken = 0
  for (let i = 0; i < 40_000; i++) {
    const original = makeTransfer(anyTransfer(dice))
    const bytes = dice.mutate(original.bytes)
    const decoded = decodeTransfer(bytes)
    ledger.decode(bytes)
    if (Result.isFailure(decoded)) continue
    taken++
    const { transfer: fields, leaf } = decoded.success
    expect(toHex(makeTransfer(fields).bytes)).toBe(toHex(bytes))
    expect(equal(leaf, original.leaf)).toBe(equal(bytes, original.bytes))
  }
  expect(taken).toBeGreaterThan(5_000)
})

test("random bytes never throw", () => {
  const dice = makeDice(13)
  for (let i = 0; i < 20_000; i++) {
    const bytes = dice.bytes(dice.int(300))
    if (dice.chance(0.8)) bytes.set([dice.pick([1, 4]), dice.int(33)].slice(0, bytes.length))
    decodeTransfer(bytes)
  }
})

test("any JSON with any field replaced never throws, and is refused unless it says the same", () => {
  const dice = makeDice(14)
  const text = formatTransfer(transfer({ from: 0, to: 1, nonce: 1, data: dice.bytes(5) }), "crn") as unknown as Record<
    string,
    unknown
  >
  const junk: ReadonlyArray<unknown> = [
    null,
    undefined,
    true,
    -1,
    0,
    1.5,
    NaN,
    2 ** 60,
    "",
    "0",
    "\ud800",
    "x".repeat(1_000),
    [],
    {},
    [1],
    { length: 33 },
    1n,
    Symbol("s")
  ]
  for (let i = 0; i < 5_000; i++) {
    const field = dice.pick([...Object.keys(text), "toString", "constructor"])
    const changed = { ...text, [field]: dice.pick(junk) }
    const parsed = parseTransfer(changed, "crn")
    if (Result.isSuccess(parsed)) expect(formatTransfer(parsed.success, "crn") as unknown).toEqual(changed)
  }
})
