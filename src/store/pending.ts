/** The pool across a restart: what was acknowledged is here until it is in a block. */
import type { Database } from "bun:sqlite"
import type { Transaction } from "../ledger/transaction.ts"

/** Adds rows, within the caller's transaction. */
export const insertPending = (db: Database, transactions: ReadonlyArray<Transaction>, now: number): void => {
  if (transactions.length === 0) return
  const insert = db.query("INSERT OR IGNORE INTO pending (id, bytes, received) VALUES (?, ?, ?)")
  for (const { id, bytes } of transactions) insert.run(id, bytes, now)
}

/** Removes rows, within the caller's transaction. */
export const deletePending = (db: Database, ids: ReadonlyArray<Uint8Array>): void => {
  if (ids.length === 0) return
  const remove = db.query("DELETE FROM pending WHERE id = ?")
  for (const id of ids) remove.run(id)
}

/** Is anything promised? */
export const hasPending = (db: Database): boolean => db.query("SELECT 1 FROM pending LIMIT 1").get() !== null

/** A transaction as it was kept. `received`: milliseconds since 1970. */
export interface PendingRow {
  readonly id: Uint8Array
  readonly bytes: Uint8Array
  readonly received: number
}

/** Every row, oldest first. */
export const loadPending = (db: Database): ReadonlyArray<PendingRow> =>
  db.query<PendingRow, []>("SELECT id, bytes, received FROM pending ORDER BY received").all()
