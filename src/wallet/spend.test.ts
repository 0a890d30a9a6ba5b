/** What the wallet signs is what the ledger takes: coins from a node's words, all the way to a payment in a block. */
import { describe, expect, test } from "bun:test"
import { Result } from "effect"
import { coinsOf, keyOf, specOf, TestChain } from "../../test/fixtures.ts"
import { toHex } from "../codec/bytes.ts"
import { formatAddress } from "../crypto/address.ts"
import type { Amount } from "../ledger/amount.ts"
import { spendableFrom } from "../ledger/coin.ts"
import { noData } from "../ledger/payload.ts"
import { signPayment } from "../ledger/payment.ts"
import { transactionBytesMax } from "../limits.ts"
import { makeDice } from "../sim/dice.ts"
import { consolidate, select, type Selection, sendAll } from "./select.ts"
import { costsOf, diceOf, fieldsOf, freeCoins, type ShownCoin } from "./spend.ts"

const text = (i: number): string => formatAddress(keyOf(i).address, "crn")
const shown = (chain: TestChain, owner: number): ReadonlyArray<ShownCoin> =>
  coinsOf(chain, owner).map((coin) => ({
    transaction_id: toHex(coin.id),
    index: coin.index,
    owner: text(owner),
    amount: coin.amount,
    height: coin.height,
    spendable_from: spendableFrom(coin, 3),
    spent_by: null
  }))
const free = (chain: TestChain, owner: number) => freeCoins(shown(chain, owner), chain.store.tip().header.height)
const dice = makeDice(5)
const nothing = { note: "", data: noData }
const wish = { chainId: "test", ...nothing, prefix: "crn", dice }
const signed = (selection: Selection, by: number, said = nothing) =>
  signPayment(fieldsOf(selection, { ...wish, ...said }), [keyOf(by)])

describe("a payment that the wallet made", () => {
  test("has the fee and the bytes that were chosen, and a block takes it", () => {
    for (const feeRate of [0, 0.5, 3]) {
      for (const said of [nothing, { note: "first stone", data: noData }, { note: "", data: new Uint8Array(64) }]) {
        const chain = new TestChain(specOf({ model: "utxo", accounts: 1, balance: 100_000, payloadBytesMax: 64 }))
        chain.mine(8, [], 0)
        const costs = costsOf({ chainId: "test", ...said, feeMin: 1 as Amount, feeRate })
        const payment = {
          coins: free(chain, 0),
          amount: 4321 as Amount,
          recipient: text(1),
          changeTo: text(0),
          costs,
          dice
        }
        const chosen = Result.getOrThrow(select(payment))
        const one = signed(chosen, 0, said)
        expect(one.bytes.length).toBe(chosen.bytes)
        expect(chain.rules.ledger.checkSignature(one)).toBe(true)
        chain.mine(1, [one])
        expect(chain.store.isConfirmed(one.id)).toBe(true)
        expect(chain.store.balanceOf(keyOf(1).address).units).toBe(4321)
        expect(chain.store.balanceOf(keyOf(0).address).units).toBe(108_000 - 4321 - chosen.fee)
      }
    }
  })

  test("of everything, or of all small coins in one, fits its limit to the byte", () => {
    const chain = new TestChain(specOf({ model: "utxo", accounts: 1, balance: 1_000_000 }))
    const costs = costsOf({ chainId: "test", ...nothing, feeMin: 1 as Amount, feeRate: 0 })
    const start = free(chain, 0)
    for (let round = 0; round < 2; round++) {
      const [first] = free(chain, 0).toSorted((a, b) => b.units - a.units)
      const outputs = Array.from({ length: 130 }, (_, i) => ({ units: (1 + i) as Amount, owner: text(0) }))
      const change = { units: (first!.units - 8_516) as Amount, owner: text(0) }
      chain.mine(1, [signed({ ...none, inputs: [first!], outputs: [...outputs, change] }, 0)])
    }
    expect([start.length, free(chain, 0).length]).toEqual([1, 261])
    const small = Result.getOrThrow(consolidate({ coins: free(chain, 0), to: text(0), costs, asked: true }))
    expect(small.inputs.length).toBe(costs.inputsMax)
    const one = signed(small, 0)
    expect([one.bytes.length, small.bytes <= transactionBytesMax]).toEqual([small.bytes, true])
    chain.mine(1, [one])
    const rest = Result.getOrThrow(sendAll({ coins: free(chain, 0), recipient: text(2), costs }))
    chain.mine(1, [signed(rest, 0)])
    expect(chain.store.balanceOf(keyOf(0).address)).toEqual({ units: 0, coins: 0 })
    expect(chain.store.balanceOf(keyOf(2).address).coins).toBe(1)
  })

  test("does not tell its change by its place", () => {
    const coins = [{ id: `${"00".repeat(32)}:7`, units: 100 as Amount, owner: text(0), height: 1 }]
    const outputs = [1, 2].map((i) => ({ units: i as Amount, owner: text(i) }))
    const firsts = Array.from(
      { length: 50 },
      () => fieldsOf({ ...none, inputs: coins, outputs }, wish).outputs[0]!.amount
    )
    expect(new Set<number>(firsts)).toEqual(new Set([1, 2]))
    expect(fieldsOf({ ...none, inputs: coins, outputs }, wish).inputs[0]!.index).toBe(7)
  })
})

const none: Selection = { inputs: [], outputs: [], fee: 0 as Amount, change: 0 as Amount, bytes: 0, waste: 0 }

test("rewards that ripen, and coins that something pending spends, do not pay", () => {
  const chain = new TestChain(specOf({ model: "utxo", accounts: 0, maturity: 3 }))
  chain.mine(4, [], 0)
  const all = shown(chain, 0)
  expect([
    all.length,
    freeCoins(all, 4)
      .map(({ height }) => height)
      .toSorted()
  ]).toEqual([4, [1, 2]])
  expect(
    freeCoins(
      all.map((coin) => ({ ...coin, spent_by: "00".repeat(32) })),
      9
    )
  ).toEqual([])
  expect(freeCoins(all, 9).length).toBe(4)
})

test("dice fall on every side and on no other", () => {
  let next = 0
  const counted = diceOf((length) => Uint8Array.from({ length }, () => (next = (next * 73 + 41) & 255)))
  const sides = Array.from({ length: 2_000 }, () => counted.int(7))
  expect([...new Set(sides)].toSorted()).toEqual([0, 1, 2, 3, 4, 5, 6])
  expect(diceOf((length) => new Uint8Array(length).fill(255)).int(10)).toBe(Number(0xffff_ffff_ffffn % 10n))
})
