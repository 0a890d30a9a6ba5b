/** The pools: admission without the signature, the price of a full pool, the choice for a block, and a new tip. */
import { encodeAccount, keyOf as accountKey } from "../../src/ledger/account.ts"
import { amount } from "../../src/ledger/amount.ts"
import type { Nonce, Outpoint, PaymentTransaction, Transaction } from "../../src/ledger/transaction.ts"
import { makeTransfer, transferOf } from "../../src/ledger/transfer.ts"
import { AccountPool } from "../../src/mempool/account-pool.ts"
import { CoinPool } from "../../src/mempool/coin-pool.ts"
import type { Pool, View } from "../../src/mempool/pool.ts"
import { CoinWorld, unsigned } from "../coins.ts"
import { epoch, keyOf, transfer } from "../fixtures.ts"
import { printTable, type Row } from "./table.ts"

const count = 50_000
const senders = 1_000
const chain = 25
const big = { transactionsMax: 2_000, bytesMax: 2 * 1024 * 1024 }
const small = { transactionsMax: 4, bytesMax: 2 * 1024 * 1024 }

const admitAll = (pool: Pool, transactions: ReadonlyArray<Transaction>, view: View): number => {
  const began = performance.now()
  let admitted = 0
  for (const transaction of transactions) {
    const outcome = pool.admit({ transaction, view, now: epoch, checkSignature: () => true })
    if ("removed" in outcome) admitted++
  }
  const ms = performance.now() - began
  if (admitted < transactions.length) throw new Error(`${transactions.length - admitted} were refused`)
  return (transactions.length * 1000) / ms
}

const took = (name: string, f: () => unknown): Row => {
  f()
  const began = performance.now()
  for (let i = 0; i < 5; i++) f()
  return { name, value: (performance.now() - began) / 5, unit: "ms" }
}

const template = transferOf(transfer({ from: 0, to: 1, nonce: 1 }))
const transfers = Array.from({ length: count }, (_, i) =>
  makeTransfer({
    ...template,
    sender: keyOf(i % senders).address,
    nonce: (Math.floor(i / senders) + 1) as Nonce,
    fee: amount(1 + ((i * 7919) % 1000))
  })
)
const rich = encodeAccount({ balance: amount(1_000_000_000), nonce: 0 as Nonce })
const accounts: View = { height: 1, readEntry: () => rich, isConfirmed: () => false }

const world = new CoinWorld(
  {},
  Array.from({ length: 2 * count }, (_, i) => [i % senders, 2_000] as const)
)
const coins = [...world.coins.values()]

/** One coin into a payment and its change. */
const pay = (coin: Outpoint, owner: number, units: number, fee: number): PaymentTransaction =>
  unsigned({
    inputs: [coin],
    by: [owner],
    outputs: [
      [(owner + 1) % senders, 10],
      [owner, units - fee - 10]
    ]
  })
const feeOf = (i: number): number => 1 + ((i * 7919) % 1000)
const single = coins.slice(0, count).map((coin, i) => pay(coin, i % senders, 2_000, feeOf(i)))
const dearer = coins.slice(count).map((coin, i) => pay(coin, i % senders, 2_000, 1_001 + (i % 900)))
const replacing = coins.slice(0, count).map((coin, i) => pay(coin, i % senders, 2_000, Math.ceil(feeOf(i) * 1.1) + 1))
const chained = coins.slice(0, count / chain).flatMap((coin, i) => {
  const links: Array<PaymentTransaction> = []
  let units = 2_000
  for (let at = 0; at < chain; at++) {
    const fee = 1 + ((i * 31 + at * 17) % 60)
    const from: Outpoint = links.length === 0 ? coin : { id: links.at(-1)!.id, index: 1 }
    links.push(pay(from, i % senders, units, fee))
    units -= fee + 10
  }
  return links
})

const accountPool = new AccountPool()
const singles = new CoinPool(world.ledger)
const chains = new CoinPool(world.ledger)
const base = "transfers of 1,000 senders"
const rows: Array<Row> = [
  { name: base, value: admitAll(accountPool, transfers, accounts), unit: "/s" },
  { name: "payments of one coin", value: admitAll(singles, single, world.view), unit: "/s", baseline: base },
  { name: "payments in chains of 25", value: admitAll(chains, chained, world.view), unit: "/s", baseline: base }
]
const choices = [
  took("choose 2,000 of 50,000 transfers", () => accountPool.select(big)),
  took("choose 2,000 of 50,000 payments", () => singles.select(big)),
  took("choose 2,000 of 50,000 payments in chains", () => chains.select(big)),
  took("choose 4 of 50,000 payments in chains", () => chains.select(small)),
  took("pass over 50,000 payments in chains", () => chains.select({ transactionsMax: 1, bytesMax: 150 }))
]
const mined = singles.select(big)
const began = performance.now()
singles.moveTip({ ...world.move(0, []), touched: [], returned: [] })
const move = world.move(0, [{ payments: mined, by: 0 }])
const moving = performance.now()
const { dropped } = singles.moveTip(move)
choices.push({ name: `a new tip with ${dropped.length} of them`, value: performance.now() - moving, unit: "ms" })
void began
world.move(1, [])

const replaced = new CoinPool(world.ledger)
const full = new CoinPool(world.ledger)
admitAll(replaced, single, world.view)
admitAll(full, single, world.view)
rows.push(
  { name: "payments that replace one", value: admitAll(replaced, replacing, world.view), unit: "/s", baseline: base },
  { name: "payments into a full pool", value: admitAll(full, dearer, world.view), unit: "/s", baseline: base }
)
printTable(`Admission without the signature, ${count} transactions`, rows)
printTable("The choice for a block, and a new tip", choices)
void accountKey
