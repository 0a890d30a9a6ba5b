/** One SQLite database: opened, its pragmas set, brought to our schema, one writer. */
import { Database } from "bun:sqlite"
import { chmodSync, readdirSync, renameSync, rmSync } from "node:fs"
import { basename, dirname, join } from "node:path"
import { flushFile } from "../io/files.ts"
import { migrations } from "./schema.ts"

/** Why the data folder cannot be used. Codes are documented in docs/errors.md. */
export class StoreFault extends Error {
  override readonly name = "StoreFault"
  readonly code:
    | "data-folder-locked"
    | "schema-newer"
    | "chain-mismatch"
    | "store-corrupt"
    | "store-unusable"
    | "store-exists"
    | "past-invalid"
  readonly hint: string

  constructor(code: StoreFault["code"], message: string, hint: string) {
    super(message)
    this.code = code
    this.hint = hint
  }
}

/** The stored chain is damaged. */
export const corrupt = (what: string): StoreFault =>
  new StoreFault(
    "store-corrupt",
    `The stored chain is damaged: ${what}.`,
    "Restore a backup, or remove chain.db: the node downloads the chain again from its peers."
  )

/** The blocks below a loaded snapshot do not lead to its state. */
export const pastInvalid = (what: string): StoreFault =>
  new StoreFault(
    "past-invalid",
    `The snapshot that this chain was loaded from has a past that breaks the rules: ${what}.`,
    "Trust no balance of it. Remove chain.db and download the chain from peers, or load a snapshot of another origin."
  )

/** What an error of SQLite at opening a file means for us. Others are bugs and stay as they are. */
export const openFault = (error: unknown, path: string): unknown => {
  const { code = "", message = "" } = error as { code?: string; message?: string }
  if (/^SQLITE_(CORRUPT|NOTADB)/.test(code)) return corrupt(`${path}: ${message}`)
  if (!/^SQLITE_(CANTOPEN|READONLY|PERM|IOERR|FULL)/.test(code)) return error
  return new StoreFault(
    "store-unusable",
    `${path} cannot be used: ${message}.`,
    "Look at the permissions of the data folder and the room on its disk."
  )
}

/** Opens the writer connection and migrates forward. `:memory:` is a database of its own. `steps`: those of another schema. */
export const openDatabase = (path: string, steps: ReadonlyArray<ReadonlyArray<string>> = migrations): Database => {
  let db: Database | undefined
  try {
    db = new Database(path, { create: true, strict: true })
    prepare(db)
    keepBefore(db, path, steps.length)
    migrate(db, steps)
    return db
  } catch (error) {
    db?.close()
    throw openFault(error, path)
  }
}

const prepare = (db: Database): void => {
  // A stranger with a shell may hold the file for a moment. Waiting stops the whole node, so it is short.
  db.run("PRAGMA busy_timeout = 200")
  db.run("PRAGMA journal_mode = WAL")
  // FULL: a commit is on disk before we answer for it.
  db.run("PRAGMA synchronous = FULL")
  db.run("PRAGMA foreign_keys = OFF")
  db.run("PRAGMA cache_size = -32768")
  // 40 MB of log: pages that change in every block are folded in once for several blocks.
  db.run("PRAGMA wal_autocheckpoint = 10000")
  db.run("PRAGMA temp_store = MEMORY")
}

/** A second connection that sees the last commit and can change nothing. */
export const openReadonly = (path: string): Database => {
  const db = new Database(path, { readonly: true, strict: true })
  db.run("PRAGMA busy_timeout = 200")
  db.run("PRAGMA cache_size = -8192")
  return db
}

/** A second connection to a database that is there, of whatever process, of our own schema. Throws StoreFault. */
export const openExisting = (path: string): Database => {
  let db: Database | undefined
  try {
    db = openReadonly(path)
    // A copy of the state may be larger than the memory.
    db.run("PRAGMA temp_store = FILE")
    migrate(db)
    return db
  } catch (error) {
    db?.close()
    throw openFault(error, path)
  }
}

/** How the copy is called that a migration leaves beside the database. */
const beforeForm = /\.before-schema-\d+$/

/**
 * Copies a database that is about to be migrated to `<path>.before-schema-<the next>`; the copy of an earlier migration goes. This
 * one is kept until the next: the older program can go on with it. Without room for it nothing is migrated.
 */
const keepBefore = (db: Database, path: string, known: number): void => {
  const version = versionOf(db)
  if (path === ":memory:" || version === 0 || version >= known) return
  const copy = `${path}.before-schema-${version + 1}`
  const folder = dirname(path)
  const partial = `${copy}.partial`
  rmSync(partial, { force: true })
  try {
    db.run("VACUUM INTO ?", [partial])
    chmodSync(partial, 0o600)
    flushFile(partial)
  } catch (error) {
    rmSync(partial, { force: true })
    throw error
  }
  const name = basename(path)
  for (const old of readdirSync(folder))
    if (old.startsWith(name) && beforeForm.test(old)) rmSync(join(folder, old), { force: true })
  renameSync(partial, copy)
  flushFile(folder)
}

const versionOf = (db: Database): number =>
  (db.query("PRAGMA user_version").get() as { user_version: number }).user_version

/** Throws if a newer program wrote the database. */
export const refuseNewer = (db: Database, known = migrations.length): void => {
  const version = versionOf(db)
  if (version <= known) return
  throw new StoreFault(
    "schema-newer",
    `The data folder has schema ${version}; this program knows up to ${known}.`,
    "Use the newer program that wrote it, or another data folder."
  )
}

/** Runs the steps that this database lacks, all in one transaction. Forward only; a newer database is refused. */
export const migrate = (db: Database, steps: ReadonlyArray<ReadonlyArray<string>> = migrations): void => {
  refuseNewer(db, steps.length)
  const version = versionOf(db)
  if (version === steps.length) return
  db.transaction(() => {
    for (const statement of steps.slice(version).flat()) db.run(statement)
    db.run(`PRAGMA user_version = ${steps.length}`)
  }).immediate()
}

/** Folds the write-ahead log into the database and closes it. */
export const closeDatabase = (db: Database): void => {
  if (!db.filename.includes(":memory:")) db.run("PRAGMA wal_checkpoint(TRUNCATE)")
  db.close()
}
