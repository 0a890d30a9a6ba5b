/** The pool of a money model. */
import type { Ledger } from "../ledger/ledger.ts"
import { AccountPool } from "./account-pool.ts"
import { CoinPool } from "./coin-pool.ts"
import type { Pool, PoolBounds } from "./pool.ts"

export const makePool = (ledger: Ledger, bounds: PoolBounds): Pool =>
  ledger.rules.model === "account" ? new AccountPool(bounds) : new CoinPool(ledger, bounds)
