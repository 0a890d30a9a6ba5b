/** Keeps two processes from sharing a data folder. The lock is SQLite's on a file of its own: the kernel frees it after kill -9. */
import { Database } from "bun:sqlite"
import { readFileSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { openFault, StoreFault } from "./db.ts"

export interface DataLock {
  readonly release: () => void
}

/** A connection that nobody refers to is collected as garbage, and its lock goes with it: so these are kept here. */
const held = new Set<Database>()

const holderOf = (path: string): string => {
  try {
    return readFileSync(path, "utf8").trim()
  } catch {
    return "unknown"
  }
}

/** Takes the folder for this process, or throws `data-folder-locked` naming who has it. */
export const lockFolder = (folder: string): DataLock => {
  const holder = join(folder, "LOCK.pid")
  const path = join(folder, "LOCK.db")
  let db: Database | undefined
  try {
    db = new Database(path, { create: true })
    db.run("PRAGMA journal_mode = DELETE")
    db.run("BEGIN EXCLUSIVE")
  } catch (error) {
    db?.close()
    if ((error as { code?: string }).code?.startsWith("SQLITE_BUSY") !== true) throw openFault(error, path)
    throw new StoreFault(
      "data-folder-locked",
      `Another process (pid ${holderOf(holder)}) uses the data folder ${folder}.`,
      "Stop it, or choose another folder with --data-dir."
    )
  }
  writeFileSync(holder, `${process.pid}\n`)
  const connection = db
  held.add(connection)
  return {
    release: () => {
      held.delete(connection)
      connection.run("ROLLBACK")
      connection.close()
    }
  }
}
