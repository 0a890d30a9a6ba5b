/** The SQL of the chain store, each statement prepared once. */
import type { Database } from "bun:sqlite"
import type { Balance } from "./balances.ts"

export interface HeaderRow {
  readonly n: number
  readonly header: Uint8Array
  readonly work: Uint8Array
  readonly has_body: number
}

export const statements = (db: Database) => ({
  byHash: db.query<HeaderRow, [Uint8Array]>("SELECT n, header, work, has_body FROM headers WHERE hash = ?"),
  byHeight: db.query<HeaderRow, [number]>(
    "SELECT h.n, header, work, has_body FROM best b JOIN headers h ON h.n = b.n WHERE b.height = ?"
  ),
  tip: db.query<HeaderRow, []>(
    "SELECT h.n, header, work, has_body FROM best b JOIN headers h ON h.n = b.n ORDER BY b.height DESC LIMIT 1"
  ),
  children: db.query<HeaderRow, [Uint8Array]>("SELECT n, header, work, has_body FROM headers WHERE previous = ?"),
  heaviest: db.query<HeaderRow, []>(
    `SELECT n, header, work, has_body FROM headers h WHERE NOT EXISTS (SELECT 1 FROM invalid i WHERE i.hash = h.hash)
     ORDER BY work DESC, n LIMIT 1`
  ),
  heavier: db.query<HeaderRow, [Uint8Array]>(
    `SELECT n, header, work, has_body FROM headers h WHERE work > ? AND has_body = 1
     AND NOT EXISTS (SELECT 1 FROM invalid i WHERE i.hash = h.hash) ORDER BY work DESC, n`
  ),
  insertHeader: db.query("INSERT INTO headers (hash, previous, height, header, work) VALUES (?, ?, ?, ?, ?)"),
  hasBody: db.query("UPDATE headers SET has_body = 1 WHERE n = ?"),
  insertBody: db.query("INSERT INTO bodies (n, body) VALUES (?, ?)"),
  body: db.query<{ body: Uint8Array }, [number]>("SELECT body FROM bodies WHERE n = ?"),
  undo: db.query<{ undo: Uint8Array }, [number]>("SELECT undo FROM undos WHERE n = ?"),
  insertUndo: db.query("INSERT OR REPLACE INTO undos (n, undo, fees, transactions) VALUES (?, ?, ?, ?)"),
  deleteUndo: db.query("DELETE FROM undos WHERE n = ?"),
  insertBest: db.query("INSERT INTO best (height, n) VALUES (?, ?)"),
  deleteBest: db.query("DELETE FROM best WHERE height = ?"),
  insertTransaction: db.query("INSERT INTO transactions (id, height, position) VALUES (?, ?, ?)"),
  deleteTransaction: db.query("DELETE FROM transactions WHERE id = ?"),
  hasTransaction: db.query<{ height: number }, [Uint8Array]>("SELECT height FROM transactions WHERE id = ?"),
  entry: db.query<{ value: Uint8Array }, [Uint8Array]>("SELECT value FROM state WHERE key = ?"),
  setEntry: db.query(
    `INSERT INTO state (key, value, units, owner) VALUES (?1, ?2, ?3, ?4)
     ON CONFLICT (key) DO UPDATE SET value = ?2, units = ?3, owner = ?4`
  ),
  addBalance: db.query<{ coins: number }, [Uint8Array, number, number]>(
    `INSERT INTO balances (owner, units, coins) VALUES (?1, ?2, ?3)
     ON CONFLICT (owner) DO UPDATE SET units = units + ?2, coins = coins + ?3 RETURNING coins`
  ),
  deleteBalance: db.query("DELETE FROM balances WHERE owner = ?"),
  balance: db.query<Balance, [Uint8Array]>("SELECT units, coins FROM balances WHERE owner = ?"),
  deleteEntry: db.query("DELETE FROM state WHERE key = ?"),
  page: db.query<{ page: Uint8Array }, [string]>("SELECT page FROM pages WHERE name = ?"),
  setPage: db.query("INSERT INTO pages (name, page) VALUES (?1, ?2) ON CONFLICT (name) DO UPDATE SET page = ?2"),
  deletePage: db.query("DELETE FROM pages WHERE name = ?"),
  meta: db.query<{ value: unknown }, [string]>("SELECT value FROM meta WHERE key = ?"),
  setMeta: db.query("INSERT INTO meta (key, value) VALUES (?1, ?2) ON CONFLICT (key) DO UPDATE SET value = ?2"),
  addMeta: db.query("INSERT INTO meta (key, value) VALUES (?1, ?2) ON CONFLICT (key) DO UPDATE SET value = value + ?2"),
  invalid: db.query<{ code: string }, [Uint8Array]>("SELECT code FROM invalid WHERE hash = ?"),
  insertInvalid: db.query("INSERT OR IGNORE INTO invalid (hash, code) VALUES (?, ?)"),
  setPastEntry: db.query(
    "INSERT INTO past_state (key, value) VALUES (?1, ?2) ON CONFLICT (key) DO UPDATE SET value = ?2"
  ),
  deletePastEntry: db.query("DELETE FROM past_state WHERE key = ?"),
  setPastPage: db.query(
    "INSERT INTO past_pages (name, page) VALUES (?1, ?2) ON CONFLICT (name) DO UPDATE SET page = ?2"
  ),
  deletePastPage: db.query("DELETE FROM past_pages WHERE name = ?"),
  trimInvalid: db.query("DELETE FROM invalid WHERE n <= (SELECT MAX(n) FROM invalid) - ?")
})
