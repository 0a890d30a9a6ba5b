/** PLACEHOLDER, replaced by the branch that builds it. */
import { AccountPool } from "./account-pool.ts"
import type { Ledger } from "../ledger/ledger.ts"
import type { PoolBounds } from "./pool.ts"
export class CoinPool extends AccountPool {
  constructor(_ledger: Ledger, bounds: Partial<PoolBounds>) {
    super(bounds)
  }
}
