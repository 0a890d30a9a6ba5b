/** The rows of a libp2p host in a SQLite database of their own: one table of keys and values. */
import type { Database, SQLQueryBindings } from "bun:sqlite"
import {
  checkChange,
  checkedQuery,
  checkKey,
  closedDatastore,
  type Datastore,
  type DatastoreChange,
  type DatastoreRow
} from "../host/datastore.ts"
import { Libp2pFault } from "../libp2p/fault.ts"
import { closeDatabase, openDatabase } from "./db.ts"

const schema = [
  [
    "CREATE TABLE kv (key TEXT PRIMARY KEY, value BLOB NOT NULL, expires INTEGER) STRICT, WITHOUT ROWID",
    "CREATE INDEX kv_expires ON kv (expires) WHERE expires IS NOT NULL"
  ]
]

const failed = (error: unknown): unknown => {
  if (error instanceof Libp2pFault) return error
  const message = error instanceof Error ? error.message : String(error)
  return new Libp2pFault("io", "InternalError", `the datastore cannot be used: ${message}`, {}, { cause: error })
}

/** What the operating system says becomes a fault of kind `io`. */
const guarded = <A extends ReadonlyArray<unknown>, R>(run: (...args: A) => R): ((...args: A) => R) => {
  return (...args) => {
    try {
      return run(...args)
    } catch (error) {
      throw failed(error)
    }
  }
}

/** Behind every key that begins with a prefix: keys have no character above "~". */
const behind = (prefix: string): string => `${prefix}\x7f`

const statements = (db: Database) => ({
  get: db.query<{ value: Uint8Array }, [string, number]>(
    "SELECT value FROM kv WHERE key = ? AND (expires IS NULL OR expires > ?)"
  ),
  put: db.query<unknown, SQLQueryBindings[]>("INSERT OR REPLACE INTO kv (key, value, expires) VALUES (?, ?, ?)"),
  remove: db.query<unknown, [string]>("DELETE FROM kv WHERE key = ?"),
  rows: db.query<DatastoreRow, [string, string, number, number, number]>(
    "SELECT key, value FROM kv WHERE key >= ? AND key < ? AND (expires IS NULL OR expires > ?) ORDER BY key LIMIT ? OFFSET ?"
  ),
  keys: db.query<DatastoreRow, [string, string, number, number, number]>(
    "SELECT key, x'' AS value FROM kv WHERE key >= ? AND key < ? AND (expires IS NULL OR expires > ?) ORDER BY key LIMIT ? OFFSET ?"
  ),
  sweep: db.query<unknown, [number]>("DELETE FROM kv WHERE expires <= ?")
})

/**
 * A datastore at `path`, made if it is not there; ":memory:" is one of its own. `clock`: milliseconds since 1970, as rows that run out
 * are kept across a restart. Throws a Libp2pFault of kind `io` if the file cannot be used. One process at a time writes it.
 */
export const makeSqliteDatastore = guarded((path: string, clock: () => number): Datastore => {
  // A clock may tell fractions; a row has whole milliseconds.
  const now = (): number => Math.floor(clock())
  let db: Database | undefined = openDatabase(path, schema)
  const sql = statements(db)
  const open = (): Database => {
    if (db === undefined) throw closedDatastore()
    return db
  }
  const apply = open().transaction((changes: ReadonlyArray<DatastoreChange>) => {
    for (const { key, value, ttl } of changes) {
      if (value === undefined) sql.remove.run(key)
      else sql.put.run(key, value, ttl === undefined ? null : now() + ttl)
    }
  })
  const batch = guarded((changes: ReadonlyArray<DatastoreChange>): void => {
    open()
    changes.forEach(checkChange)
    apply.immediate(changes)
  })
  return {
    get: guarded((key) => {
      checkKey(key)
      open()
      return sql.get.get(key, now())?.value
    }),
    put: (key, value, put) => batch([{ key, value, ttl: put?.ttl }]),
    delete: (key) => batch([{ key, value: undefined }]),
    query: guarded((query = {}) => {
      const { prefix, limit, offset, keysOnly } = checkedQuery(query)
      open()
      return (keysOnly ? sql.keys : sql.rows).all(prefix, behind(prefix), now(), limit, offset)
    }),
    batch,
    sweep: guarded(() => {
      open()
      return sql.sweep.run(now()).changes
    }),
    close: guarded(() => {
      if (db !== undefined) closeDatabase(db)
      db = undefined
    })
  }
})
