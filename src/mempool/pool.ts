/** The contract of a pool of pending transactions. One for each money model: `account-pool.ts` and `coin-pool.ts`. */
import type { Amount } from "../ledger/amount.ts"
import type { ReadEntry } from "../ledger/overlay.ts"
import type { TransactionReject } from "../ledger/reject.ts"
import type { Transaction } from "../ledger/transaction.ts"
import { pendingBytesMax, pendingMsMax, pendingTransactionsMax } from "../limits.ts"
import type { Ranked } from "./order.ts"

/** A pending transaction. */
export interface Pending extends Ranked {
  readonly id: string
  readonly transaction: Transaction
  readonly receivedAt: number
}

export interface PoolLimits {
  readonly transactionsMax: number
  readonly bytesMax: number
}

/** What a pool holds at most, and milliseconds for which it holds it. */
export interface PoolBounds extends PoolLimits {
  readonly waitMsMax: number
}

export const poolBounds: PoolBounds = {
  transactionsMax: pendingTransactionsMax,
  bytesMax: pendingBytesMax,
  waitMsMax: pendingMsMax
}

/** Those of a simulation that meets bounds which others never see. */
export const squeezedBounds = (by: number): PoolBounds => ({
  ...poolBounds,
  transactionsMax: Math.floor(pendingTransactionsMax / (by * by)),
  waitMsMax: Math.floor(pendingMsMax / (by * by))
})

/** The state that a pool stands on: that of the tip. */
export interface View {
  /** Of the block that comes next. */
  readonly height: number
  readonly readEntry: ReadEntry
  readonly isConfirmed: (id: Uint8Array) => boolean
}

export interface Admission {
  readonly transaction: Transaction
  readonly view: View
  readonly now: number
  /** It was pending or confirmed here before: on accounts, how many one sender may have pending is no reason to break that promise. */
  readonly promised?: boolean
  /** Asked last, when everything else holds. */
  readonly checkSignature: () => boolean
}

/** A new tip: the keys of the entries that changed, and what the losing branch had confirmed. */
export interface Move {
  readonly touched: Iterable<string>
  readonly returned: ReadonlyArray<Transaction>
  readonly view: View
  readonly now: number
}

export interface Totals {
  readonly count: number
  readonly bytes: number
  readonly fees: number
  /** Units that would be paid. */
  readonly value: number
}

/** Pending transactions: admit, replace, drop, select; bounded by count and bytes. */
export interface Pool {
  readonly totals: Totals
  /** Places in the order of eviction, those of transactions that left included, and what they never exceed. */
  readonly ranked: number
  readonly rankedMax: number
  readonly find: (id: string) => Transaction | undefined
  /** Admits a transaction; the ids that had to go for it, or why it may not come in. Refused: nothing changes. */
  readonly admit: (admission: Admission) => { readonly removed: ReadonlyArray<string> } | TransactionReject
  /**
   * Takes a new tip: drops what is confirmed, stale or no longer payable, puts back what the losing branch had confirmed
   * (defect 3). The ids that are no longer pending, and what came back.
   */
  readonly moveTip: (move: Move) => {
    readonly dropped: ReadonlyArray<string>
    readonly restored: ReadonlyArray<Transaction>
  }
  /** Drops what has waited too long; the ids. */
  readonly expire: (now: number) => ReadonlyArray<string>
  /** As they would be mined. */
  readonly inOrder: () => Generator<Transaction>
  /** What to mine next: each after those that it builds on. */
  readonly select: (limits: PoolLimits) => ReadonlyArray<Transaction>
  /** Ids of what is pending, at most so many, each after those that it builds on. */
  readonly ids: (limit: number) => ReadonlyArray<string>
  /** Fee units of what is pending, for events and pages. */
  readonly feeOf: (id: string) => number | undefined
  /** Units that the pool would take from an address and give to it. `state`: that of the tip. */
  readonly flowOf: (address: string) => { readonly outgoing: number; readonly incoming: number }
  /** The pending transaction that spends the coin of an entry's key; of a model without coins, none. */
  readonly spenderOf: (key: string) => string | undefined
  /** The coins that pending transactions would make for an address, and none of them spends. */
  readonly outputsOf: (address: string) => Iterable<{ readonly key: string; readonly amount: Amount }>
  /** The nonce to sign next after a confirmed one; of a model without nonces, 0. */
  readonly nextNonce: (address: string, confirmed: number) => number
}
