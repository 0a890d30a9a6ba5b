/**
 * What was measured in other nodes whose money is coins and must not happen here, played with whole nodes as in
 * defects.test.ts: a stranger lies, and honest nodes go on. Defects 18 and 20 are also in src/ledger, 21 and 22 in ledgers.test.ts.
 */
import { describe, expect, test } from "bun:test"
import { Effect } from "effect"
import { type Block, encodeBlock, transactionRootOf } from "../../src/block/block.ts"
import type { HeaderFields, Target } from "../../src/block/header.ts"
import { makeRules } from "../../src/chain/rules.ts"
import { amount } from "../../src/ledger/amount.ts"
import { makeCoinbase, makePayment } from "../../src/ledger/payment.ts"
import type { CoinbaseTransaction, Payment, PaymentTransaction, Transaction } from "../../src/ledger/transaction.ts"
import { coinsOf, forge, keyOf, payment, specOf, TestChain } from "../fixtures.ts"
import { liesOn, spentAtBoth } from "../sim/lies.ts"
import { heightOf, play, tipOf } from "../sim/stage.ts"

/** Twelve bits, so that a header that was not sealed for what it says is not sealed by luck. */
const spec = specOf({ model: "utxo", difficulty: { rule: "fixed", blockMs: 1000, bits: 12 } })
const rules = makeRules(spec)
const { lie, giving, work } = liesOn(rules)

const [coin] = coinsOf(new TestChain(spec), 0)
const spending = (to: number, units = coin!.amount - 1): PaymentTransaction =>
  payment({ inputs: [coin!], outputs: [[to, units]], by: [0] })
const bent = (fields: Partial<Payment>): PaymentTransaction => makePayment({ ...spending(1).payment, ...fields })
const toThief = [{ recipient: keyOf(7).address, amount: amount(coin!.amount - 1) }]

/** What block 1 opens with, for so many units of fees, some of it changed. */
const opening = (fees: number, fields: Partial<CoinbaseTransaction["coinbase"]> = {}): CoinbaseTransaction => {
  const outputs = [{ recipient: keyOf(99).address, amount: amount(1_000 + fees) }]
  return makeCoinbase({ chainId: "test", height: 1, outputs, ...fields })
}

/** A sealed block on genesis with those transactions, and other fields of the header than are right. */
const lying = (transactions: ReadonlyArray<Transaction>, fields: Partial<HeaderFields> = {}): Block => {
  const block = forge(new TestChain(spec).next(), { transactionRoot: transactionRootOf(transactions), ...fields })
  return { ...block, transactions }
}

describe("a node with coins refuses, and goes on after it,", () => {
  test("a body that is not the one its header was sealed with (defect 9)", () => {
    const block = new TestChain(spec).next([spending(1)])
    const [first, paid] = block.transactions as [Transaction, Transaction]
    for (const transactions of [[first], [first, spending(2)], [paid, first], [first, paid, paid], []])
      lie("transaction-root-wrong", (liar) => liar.announce(block, work(block), { ...block, transactions }))
  })

  test("a block that spends one coin in two payments (defect 10)", () => {
    expect(lie("transaction-refused", giving(lying([opening(2), spending(1), spending(2)])))).toBe("banned")
  })

  test("a block with an output below zero (defect 11)", () => {
    const bytes = spending(1).bytes.slice()
    const { note, witnesses } = spending(1).payment
    const end = bytes.length - 1 - 97 * witnesses.length - 2 - note.length
    const block = lying([opening(1)])
    const transactions = [opening(1), { bytes: bytes.fill(0xff, end - 8, end) } as Transaction]
    const body = encodeBlock({ ...block, transactions })
    lie("block-malformed", (liar) => liar.announceBytes(block.header, work(block), body))
  })

  test("a block of a target that is easier than the rule gives (defect 12)", () => {
    lie("seal-wrong", giving(lying([opening(0)], { target: new Uint8Array(32).fill(0xff) as Uint8Array as Target })))
  })

  test("a block with a payment whose outputs are not those that were signed (defect 18)", () => {
    lie("signature-invalid", giving(lying([opening(1), bent({ outputs: toThief })])))
  })

  test("a block with a coinbase too much, at another place, of another height, or that takes more (defect 19)", () => {
    const richer = [{ recipient: keyOf(99).address, amount: amount(1_001) }]
    for (const transactions of [
      [opening(0), opening(0, { height: 2 })],
      [spending(1), opening(1)],
      [opening(0, { height: 2 })],
      [opening(0, { outputs: richer })],
      [opening(0, { outputs: [...richer, ...richer] })],
      [opening(0, { outputs: toThief })],
      []
    ])
      expect(lie("transaction-refused", giving(lying(transactions)))).toBe("banned")
  })

  test("a block with a payment that names a coin twice, or pays more than it spends (defects 13, 20)", () => {
    const doubled = payment({ inputs: [coin!, coin!], outputs: [[0, 2 * coin!.amount - 1]], by: [0] })
    lie("block-malformed", giving(lying([opening(1), doubled])))
    lie("transaction-refused", giving(lying([opening(0), spending(1, coin!.amount + 1)])))
  })

  test("a payment by a peer that is no payment, names a coin twice, or is a coinbase (defects 11, 19, 20)", () => {
    const doubled = payment({ inputs: [coin!, coin!], outputs: [[0, 1]], by: [0] })
    lie("input-duplicate", (liar) => liar.offer(doubled.id, doubled.bytes))
    const none = bent({ witnesses: [] })
    lie("witness-missing", (liar) => liar.offer(none.id, none.bytes))
    const { id, bytes } = spending(1)
    lie("transaction-malformed", (liar) => liar.offer(id, bytes.slice(0, -1)))
    const minted = opening(0)
    lie("coinbase-misplaced", (liar) => liar.offer(minted.id, minted.bytes))
    const redirected = bent({ outputs: toThief })
    lie("signature-invalid", (liar) => liar.offer(redirected.id, redirected.bytes))
  })
})

test("of two payments of one coin, given to two nodes, one is paid, and both nodes are whole (defect 21)", () => {
  spentAtBoth(rules, 6, () => [spending(8), spending(9)])
})

test("five blocks against three: the longer branch is taken, and who lost has its payment back (defects 3, 22)", () => {
  play(rules, 1, (stage) =>
    Effect.gen(function* () {
      const a = yield* stage.node("a")
      const b = yield* stage.node("b", { knows: [a] })
      yield* stage.mine(a)
      yield* stage.agree()
      stage.part([a], [b])
      const paid = spending(8)
      yield* stage.submit(a, paid)
      yield* stage.mine(a, 3, 1_000)
      yield* stage.mine(b, 5, 1_000)
      expect([heightOf(a), heightOf(b)]).toEqual([4, 6])
      expect(yield* stage.whereabouts(a, paid)).toBe("confirmed")
      const longest = tipOf(b)
      stage.heal()
      yield* stage.agree()
      expect([tipOf(a), yield* stage.whereabouts(a, paid)]).toEqual([longest, "pending"])
      yield* stage.mine(a)
      yield* stage.agree()
      for (const node of [a, b]) expect(yield* stage.whereabouts(node, paid)).toBe("confirmed")
    })
  )
})
