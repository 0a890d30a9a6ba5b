/** The pool of a money model. */
import type { Ledger } from "../ledger/ledger.ts"
import type { Transaction } from "../ledger/transaction.ts"
import { AccountPool } from "./account-pool.ts"
import { CoinPool } from "./coin-pool.ts"
import { parentsFirst } from "./package.ts"
import type { Pool, PoolBounds } from "./pool.ts"

/** Transactions in an order in which a pool can take them: none before one that it builds on. */
export const eldersFirst = (transactions: ReadonlyArray<Transaction>): ReadonlyArray<Transaction> => {
  const payments = transactions.filter((one) => one.kind === "payment")
  return payments.length === 0 ? transactions : parentsFirst(payments)
}

export const makePool = (ledger: Ledger, bounds: PoolBounds): Pool =>
  ledger.rules.model === "account" ? new AccountPool(bounds) : new CoinPool(ledger, bounds)
