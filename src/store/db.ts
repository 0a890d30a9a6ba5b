/** One SQLite database: opened, its pragmas set, brought to our schema, one writer. */
import { Database } from "bun:sqlite"
import { migrations } from "./schema.ts"

/** Why the data folder cannot be used. Codes are documented in docs/errors.md. */
export class StoreFault extends Error {
  override readonly name = "StoreFault"
  readonly code: "data-folder-locked" | "schema-newer" | "chain-mismatch" | "store-corrupt" | "store-missing"
  readonly hint: string

  constructor(code: StoreFault["code"], message: string, hint: string) {
    super(message)
    this.code = code
    this.hint = hint
  }
}

/** Opens the writer connection and migrates forward. `:memory:` is a database of its own. */
export const openDatabase = (path: string): Database => {
  const db = new Database(path, { create: true, strict: true })
  db.run("PRAGMA journal_mode = WAL")
  // FULL: a commit is on disk before we answer for it.
  db.run("PRAGMA synchronous = FULL")
  db.run("PRAGMA foreign_keys = OFF")
  db.run("PRAGMA cache_size = -32768")
  db.run("PRAGMA wal_autocheckpoint = 4000")
  db.run("PRAGMA temp_store = MEMORY")
  migrate(db)
  return db
}

/** A second connection that sees the last commit and can change nothing. */
export const openReadonly = (path: string): Database => {
  const db = new Database(path, { readonly: true, strict: true })
  db.run("PRAGMA cache_size = -8192")
  return db
}

const versionOf = (db: Database): number =>
  (db.query("PRAGMA user_version").get() as { user_version: number }).user_version

/** Runs the steps that this database lacks, each in one transaction. Forward only; a newer database is refused. */
export const migrate = (db: Database): void => {
  const version = versionOf(db)
  if (version > migrations.length) {
    throw new StoreFault(
      "schema-newer",
      `The data folder has schema ${version}; this program knows up to ${migrations.length}.`,
      "Use the newer program that wrote it, or another data folder."
    )
  }
  for (let step = version; step < migrations.length; step++) {
    db.transaction(() => {
      for (const statement of migrations[step]!) db.run(statement)
      db.run(`PRAGMA user_version = ${step + 1}`)
    }).immediate()
  }
}

/** Folds the write-ahead log into the database and closes it. */
export const closeDatabase = (db: Database): void => {
  if (!db.filename.includes(":memory:")) db.run("PRAGMA wal_checkpoint(TRUNCATE)")
  db.close()
}
