/** Keeps two processes from sharing a data folder. The lock is SQLite's on a file of its own: the kernel frees it after kill -9. */
import { Database } from "bun:sqlite"
import { readFileSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { openFault, StoreFault } from "./db.ts"
import { finishSwap } from "./swap.ts"

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

/** Takes the lock whose database and note of the holder stand at these paths. `busy`: the fault, with the holder's process id. */
const take = (path: string, holder: string, busy: (pid: string) => Error): DataLock => {
  let db: Database | undefined
  try {
    db = new Database(path, { create: true })
    db.run("PRAGMA journal_mode = DELETE")
    db.run("BEGIN EXCLUSIVE")
  } catch (error) {
    db?.close()
    if ((error as { code?: string }).code?.startsWith("SQLITE_BUSY") !== true) throw openFault(error, path)
    throw busy(holderOf(holder))
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

/**
 * Takes the folder for this process, or throws `data-folder-locked` naming who has it. What a restore has decided before it was
 * killed is done first.
 */
export const lockFolder = (folder: string): DataLock => {
  const lock = takeFolder(folder)
  try {
    finishSwap(folder)
    return lock
  } catch (error) {
    lock.release()
    throw error
  }
}

const takeFolder = (folder: string): DataLock =>
  take(
    join(folder, "LOCK.db"),
    join(folder, "LOCK.pid"),
    (pid) =>
      new StoreFault(
        "data-folder-locked",
        `Another process (pid ${pid}) uses the data folder ${folder}.`,
        "Stop it, or choose another folder with --data-dir."
      )
  )

/** Takes a file for this process by a lock beside it; the file itself need not be there. Throws `busy`. */
export const lockFile = (path: string, busy: (pid: string) => Error): DataLock =>
  take(`${path}.lock`, `${path}.pid`, busy)
