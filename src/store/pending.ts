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

/** Every row, oldest first. */
export const loadPending = (db: Database): ReadonlyArray<{ readonly bytes: Uint8Array; readonly received: number }> =>
  db.query<{ bytes: Uint8Array; received: number }, []>("SELECT bytes, received FROM pending ORDER BY received").all()
