/** The pools: admission without the signature, the price of a full pool, the choice for a block, and a new tip. */
import { encodeAccount } from "../../src/ledger/account.ts"
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

/** Milliseconds of processor time, which a busy machine disturbs less: the best of some runs. */
const cpuMs = (f: () => void): number => {
  const before = process.cpuUsage()
  f()
  const { user, system } = process.cpuUsage(before)
  return (user + system) / 1000
}
const best = (runs: number, f: () => number): number => Math.min(...Array.from({ length: runs }, f))

const fill = (pool: Pool, transactions: ReadonlyArray<Transaction>, view: View): void => {
  for (const transaction of transactions) {
    const outcome = pool.admit({ transaction, view, now: epoch, checkSignature: () => true })
    if ("code" in outcome) throw new Error(`refused: ${outcome.message}`)
  }
}

/** Admissions a processor second of everything into a pool. */
const admitting = (make: () => Pool, transactions: ReadonlyArray<Transaction>, view: View): number => {
  const ms = best(3, () => {
    const pool = make()
    Bun.gc(true)
    return cpuMs(() => fill(pool, transactions, view))
  })
  return (transactions.length * 1000) / ms
}

const took = (name: string, f: () => void): Row => ({ name, value: best(5, () => cpuMs(f)), unit: "ms" })

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
const empty = (): Pool => new CoinPool(world.ledger)
const full = (): Pool => {
  const pool = new CoinPool(world.ledger)
  fill(pool, single, world.view)
  return pool
}
const base = "transfers of 1,000 senders"
const row = (name: string, value: number): Row => ({ name, value, unit: "/CPU-s", baseline: base })
printTable(`Admission without the signature, ${count} transactions`, [
  { name: base, value: admitting(() => new AccountPool(), transfers, accounts), unit: "/CPU-s" },
  row("payments of one coin", admitting(empty, single, world.view)),
  row("payments in chains of 25", admitting(empty, chained, world.view)),
  row("payments that replace one", admitting(full, replacing, world.view)),
  row("payments into a full pool", admitting(full, dearer, world.view))
])

fill(accountPool, transfers, accounts)
fill(singles, single, world.view)
fill(chains, chained, world.view)
const choices = [
  took("choose 2,000 of 50,000 transfers", () => void accountPool.select(big)),
  took("choose 2,000 of 50,000 payments", () => void singles.select(big)),
  took("choose 2,000 of 50,000 payments in chains", () => void chains.select(big)),
  took("choose 4 of 50,000 payments in chains", () => void chains.select(small)),
  took("pass over 50,000 payments in chains", () => void chains.select({ transactionsMax: 1, bytesMax: 150 }))
]
const move = world.move(0, [{ payments: singles.select(big), by: 0 }])
const moved = { name: "a new tip with 2,000 of them", value: cpuMs(() => void singles.moveTip(move)), unit: "ms" }
printTable("The choice for a block, and a new tip", [...choices, moved])
