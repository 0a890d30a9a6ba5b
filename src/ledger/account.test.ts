/** The account model: what each rule refuses, that refusals change nothing, and that no unit is ever made or lost. */
import { describe, expect, test } from "bun:test"
import { Result } from "effect"
import { epoch, keyOf, specOf, transfer } from "../../test/fixtures.ts"
import { type Dice, makeDice } from "../sim/dice.ts"
import { toHex } from "../codec/bytes.ts"
import { decodeAccount, encodeAccount, keyOf as entryKey, makeAccountLedger } from "./account.ts"
import { type Amount, amount } from "./amount.ts"
import type { Allocation, AccountRules } from "./ledger.ts"
import { Overlay } from "./overlay.ts"
import type { TransactionReject } from "./reject.ts"
import type { Millis, Nonce, Transaction, Transfer } from "./transaction.ts"
import { makeTransfer } from "./transfer.ts"
import { decodeUndo, encodeUndo, undo } from "./undo.ts"

const rules: AccountRules = {
  ...specOf().ledger,
  model: "account",
  supplyMax: amount(1_000_000),
  feeMin: amount(2),
  noteBytesMax: 10
}
const allocation: ReadonlyArray<Allocation> = [0, 1, 2].map((i) => ({
  address: keyOf(i).address,
  balance: amount(1_000)
}))
const ledger = makeAccountLedger(rules, amount(3_000))
const refusal = (outcome: Amount | TransactionReject): TransactionReject | undefined =>
  typeof outcome === "number" ? undefined : outcome
const apply = (state: Overlay, transaction: Transaction) => refusal(ledger.apply(state, transaction, { height: 1 }))
const check = (state: Overlay, transaction: Transaction) => refusal(ledger.check(state, transaction, { height: 1 }))

const stateOf = (entries: ReadonlyMap<string, Uint8Array> = new Map()): Overlay =>
  new Overlay((key) => entries.get(key))
const funded = (): Overlay => {
  const state = stateOf()
  ledger.allocate(state, allocation)
  return state
}
const accountOf = (state: Overlay, i: number) => decodeAccount(state.get(entryKey(keyOf(i).address)))
/** The entries that are there, whatever has only been read. */
const dump = (state: Overlay): string =>
  [...state.changes]
    .flatMap(([key, { after }]) => (after === undefined ? [] : [`${key} ${toHex(after)}`]))
    .sort()
    .join("\n")
const totalOf = (state: Overlay): number =>
  [...state.changes.values()].reduce((sum, { after }) => sum + (after === undefined ? 0 : ledger.unitsOf(after)), 0)

const fair = transfer({ from: 0, to: 1, nonce: 1, amount: 10, fee: 2 })
const codeOf = (outcome: Result.Result<Transaction, TransactionReject>): string | undefined =>
  Result.isFailure(outcome) ? outcome.failure.code : undefined

describe("a transfer without any state is refused for", () => {
  const cases: ReadonlyArray<readonly [name: string, fields: Partial<Transfer>, code: string | undefined]> = [
    ["nothing, if it is fair", {}, undefined],
    ["another chain", { chainId: "other" }, "chain-id-mismatch"],
    ["an amount of 0", { amount: amount(0) }, "amount-invalid"],
    ["an amount above the largest supply", { amount: amount(1_000_001) }, "amount-invalid"],
    ["a fee above the largest supply", { fee: amount(1_000_001) }, "amount-invalid"],
    ["a fee below the least", { fee: amount(1) }, "fee-too-low"],
    ["a note longer than the chain allows, in bytes", { note: "é".repeat(5) + "x" }, "note-too-long"],
    ["nothing, at the longest note", { note: "é".repeat(5) }, undefined],
    ["a nonce of 0", { nonce: 0 as Nonce }, "nonce-too-low"],
    ["the sender as recipient", { recipient: keyOf(0).address }, "recipient-is-sender"],
    ["a public key that is not the sender's", { publicKey: keyOf(1).publicKey }, "sender-mismatch"],
    ["a sender that is not the key's", { sender: keyOf(2).address }, "sender-mismatch"]
  ]
  test.each(cases)("%s", (_, fields, code) => {
    expect(codeOf(ledger.decode(makeTransfer({ ...fair.transfer, ...fields }).bytes))).toBe(code)
  })

  test("a signature only when it is asked for, the dear check", () => {
    const forged = makeTransfer({ ...fair.transfer, amount: amount(11) })
    expect([ledger.checkSignature(fair), ledger.checkSignature(forged)]).toEqual([true, false])
    expect(codeOf(ledger.decode(forged.bytes))).toBeUndefined()
  })
})

describe("a transfer on a state", () => {
  test("moves the amount, takes the fee, counts the nonce", () => {
    const state = funded()
    expect(apply(state, fair)).toBeUndefined()
    expect(accountOf(state, 0)).toEqual({ balance: amount(988), nonce: 1 as Nonce })
    expect(accountOf(state, 1)).toEqual({ balance: amount(1_010), nonce: 0 as Nonce })
  })

  test("carries exactly the next nonce: none is skipped, none used twice (defect 15)", () => {
    const state = funded()
    const tryNonce = (nonce: number) => check(state, transfer({ from: 0, to: 1, nonce, fee: 2 }))
    expect(tryNonce(2)).toMatchObject({ code: "nonce-too-high", detail: { expected: 1, got: 2 } })
    expect(tryNonce(Number.MAX_SAFE_INTEGER)?.code).toBe("nonce-too-high")
    expect(apply(state, fair)).toBeUndefined()
    expect(apply(state, fair)).toMatchObject({ code: "nonce-too-low", detail: { expected: 2, got: 1 } })
  })

  test("needs a balance that covers amount and fee, to the unit", () => {
    const spend = (units: number) => check(funded(), transfer({ from: 0, to: 1, nonce: 1, amount: units, fee: 2 }))
    expect(spend(998)).toBeUndefined()
    expect(spend(999)).toMatchObject({ code: "balance-too-low", detail: { balance: 1_000, needed: 1_001 } })
    const huge = transfer({ from: 0, to: 1, nonce: 1, amount: Number.MAX_SAFE_INTEGER, fee: 2 })
    expect(check(funded(), huge)?.code).toBe("balance-too-low")
    expect(check(funded(), transfer({ from: 9, to: 1, nonce: 1, fee: 2 }))?.code).toBe("balance-too-low")
  })

  test("cannot lift a balance above the largest supply", () => {
    const rich = new Map([
      [entryKey(keyOf(0).address), encodeAccount({ balance: amount(900_000), nonce: 0 as Nonce })],
      [entryKey(keyOf(1).address), encodeAccount({ balance: amount(900_000), nonce: 0 as Nonce })]
    ])
    const refused = apply(stateOf(rich), transfer({ from: 0, to: 1, nonce: 1, amount: 100_001, fee: 2 }))
    expect(refused?.code).toBe("balance-overflow")
  })

  test("cannot make money even if it goes to oneself, which decode refuses", () => {
    const state = funded()
    expect(apply(state, transfer({ from: 0, to: 0, nonce: 1, amount: 500, fee: 2 }))).toBeUndefined()
    expect(accountOf(state, 0).balance).toBe(amount(998))
  })

  test("that is refused changes nothing, and check and apply say the same", () => {
    const state = funded()
    const before = dump(state)
    for (const wish of [{ nonce: 2 }, { nonce: 1, amount: 999 }, { nonce: 7, amount: 1 }]) {
      const bad = transfer({ from: 0, to: 8, fee: 2, ...wish })
      const said = check(state, bad)
      expect(said).toBeDefined()
      expect(apply(state, bad)).toEqual(said!)
      expect(dump(state)).toBe(before)
    }
  })

  test("is refused in words that a person can act on", () => {
    const said = check(funded(), transfer({ from: 0, to: 1, nonce: 1, amount: 999, fee: 2 }))?.message
    expect(said).toBe("The balance 0.00001000 CRN does not cover amount and fee.")
  })
})

/** A block of transfers of which many are bad, applied to a state; the fees of those that were taken. */
const randomBlock = (dice: Dice, state: Overlay): { readonly fees: number; readonly refused: number } => {
  let fees = 0
  let refused = 0
  for (let i = 0; i < 12; i++) {
    const from = dice.int(4)
    const fee = 2 + dice.int(5)
    const nonce = accountOf(state, from).nonce + (dice.chance(0.2) ? dice.int(3) : 1)
    const wish = makeTransfer({
      ...fair.transfer,
      sender: keyOf(from).address,
      recipient: keyOf(dice.int(5)).address,
      amount: (1 + dice.int(600)) as Amount,
      fee: fee as Amount,
      nonce: nonce as Nonce
    })
    if (apply(state, wish) === undefined) fees += fee
    else refused++
  }
  return { fees, refused }
}

test("undo takes back any block, refused transfers and all, and the sum of all entries is the supply", () => {
  const dice = makeDice(7)
  let entries = new Map<string, Uint8Array>()
  for (const [key, { after }] of funded().changes) entries.set(key, after!)
  let refusedInAll = 0
  for (let height = 1; height <= 150; height++) {
    const state = stateOf(entries)
    const { fees, refused } = randomBlock(dice, state)
    const proposer = keyOf(dice.int(6)).address
    ledger.applyReward(state, { height, time: epoch as Millis, proposer }, amount(fees), undefined)
    refusedInAll += refused

    const back = new Overlay((key) => state.get(key))
    undo(back, Result.getOrThrow(decodeUndo(encodeUndo(state.changes))))
    for (const [key, { before }] of state.changes) expect(back.get(key)).toEqual(before)

    const next = new Map(entries)
    for (const [key, { after }] of state.changes) if (after !== undefined) next.set(key, after)
    expect([...next.values()].reduce((sum, value) => sum + ledger.unitsOf(value), 0)).toBe(ledger.supplyAt(height))
    entries = next
  }
  expect(refusedInAll).toBeGreaterThan(200)
})

describe("the supply", () => {
  const naive = (rules: AccountRules, allocated: number, height: number): number => {
    let supply = allocated
    for (let at = 1; at <= height; at++) {
      const halvings = rules.rewardHalvingBlocks === 0 ? 0 : Math.floor((at - 1) / rules.rewardHalvingBlocks)
      supply += Math.min(Math.floor(rules.reward / 2 ** halvings), rules.supplyMax - supply)
    }
    return supply
  }

  test("is the genesis and every reward, each halved in time and cut off at the largest supply", () => {
    for (const [reward, halving, supplyMax, allocated] of [
      [1000, 7, 1e15, 0],
      [1000, 7, 9_000, 500],
      [3, 0, 100, 40],
      [1, 1, 10, 10],
      [0, 0, 10, 3],
      [5, 1, 1e15, 1]
    ] as const) {
      const own: AccountRules = {
        ...rules,
        reward: amount(reward),
        rewardHalvingBlocks: halving,
        supplyMax: amount(supplyMax)
      }
      const { supplyAt, rewardAt } = makeAccountLedger(own, amount(allocated))
      for (let height = 0; height <= 90; height++) {
        expect([height, supplyAt(height)]).toEqual([height, amount(naive(own, allocated, height))])
        const before = height === 0 ? 0 : naive(own, allocated, height - 1)
        expect(rewardAt(height)).toBe(amount(height === 0 ? 0 : naive(own, allocated, height) - before))
      }
    }
  })

  test("stays within its bound at any height, without walking there", () => {
    const endless = makeAccountLedger(
      { ...rules, supplyMax: amount(Number.MAX_SAFE_INTEGER), reward: amount(2 ** 50) },
      amount(1)
    )
    expect(endless.supplyAt(Number.MAX_SAFE_INTEGER)).toBe(amount(Number.MAX_SAFE_INTEGER))
    expect(endless.rewardAt(Number.MAX_SAFE_INTEGER)).toBe(amount(0))
    const slow = makeAccountLedger({ ...rules, supplyMax: amount(1e15), rewardHalvingBlocks: 1e12 }, amount(0))
    expect(slow.rewardAt(1e12 + 1)).toBe(amount(0))
  })

  test("goes with the fees to the proposer, and a block that issues nothing leaves no entry", () => {
    const state = funded()
    ledger.applyReward(state, { height: 1, time: epoch as Millis, proposer: keyOf(5).address }, amount(9), undefined)
    expect(accountOf(state, 5).balance).toBe(amount(1_009))
    const empty = stateOf()
    makeAccountLedger({ ...rules, reward: amount(0) }, amount(0)).applyReward(
      empty,
      { height: 1, time: epoch as Millis, proposer: keyOf(5).address },
      amount(0),
      undefined
    )
    expect(dump(empty)).toBe("")
  })

  test("of the genesis is its allocation", () => {
    expect(totalOf(funded())).toBe(ledger.supplyAt(0))
  })
})

test("an entry is balance and nonce, little-endian, and anything else is a bug of ours", () => {
  const account = { balance: amount(258), nonce: 3 as Nonce }
  expect(toHex(encodeAccount(account))).toBe("02010000000000000300000000000000")
  expect(decodeAccount(encodeAccount(account))).toEqual(account)
  expect(decodeAccount(undefined)).toEqual({ balance: amount(0), nonce: 0 as Nonce })
  for (const bad of [new Uint8Array(15), new Uint8Array(17), new Uint8Array(16).fill(255)]) {
    expect(() => decodeAccount(bad)).toThrow("an account entry")
  }
})
