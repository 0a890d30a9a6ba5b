/**
 * A disk that takes no writes: it has no room, or it is read-only (a file system that was mounted so after an error, permissions that
 * were taken). SQLite has undone the write, so it is a value here, not the end of whoever wrote: he may try again later,
 * each time after twice the wait. Reads go on. Who could not write can be asked, by an operator who wonders.
 */
import { Result } from "effect"
import { diskRetryMs, diskRetryMsMax } from "../limits.ts"
import { reached } from "../marks.ts"

/** Why nothing can be written for now. */
export type StorageFault = "disk-full" | "storage-read-only"

/** It could not be written, and nothing happened. */
export interface NoRoom {
  readonly code: StorageFault
  /** Milliseconds after which to try again. */
  readonly retryMs: number
  /** The first failure since the last success. */
  readonly first: boolean
}

interface Wait {
  readonly code: StorageFault
  readonly failures: number
  readonly until: number
}

/** A writer that is due may take so long to try again before it counts as one that can write. */
const graceMs = 1_000

/**
 * What SQLite says of a file or a disk that takes no writes; undefined: something else is wrong. A flush that failed (IOERR_FSYNC) is
 * not among them: nobody knows what is on the disk then, so the process must end and open the file anew.
 */
const faultOf = (error: unknown): StorageFault | undefined => {
  const { code = "" } = error as { readonly code?: string }
  if (code === "SQLITE_FULL") return "disk-full"
  return /^SQLITE_(READONLY|PERM|CANTOPEN|IOERR_WRITE|IOERR_TRUNCATE)/.test(code) ? "storage-read-only" : undefined
}

const words: Readonly<Record<StorageFault, string>> = {
  "disk-full": "The disk has no room for what the node writes",
  "storage-read-only": "The disk takes no writes: it is read-only, or its permissions have changed. Not written"
}

/** What a log says when it begins. */
export const storageLog: Readonly<Record<StorageFault, string>> = {
  "disk-full": "the disk is full",
  "storage-read-only": "the disk is read-only"
}

export class DiskRoom {
  private readonly waits = new Map<string, Wait>()

  /** Runs a writer's decision. Only a disk that takes no writes is a value; every other error is thrown as it came. */
  try<A>(writer: string, now: number, write: () => A): Result.Result<A, NoRoom> {
    try {
      const answer = write()
      if (this.waits.delete(writer)) reached("disk-recovered")
      return Result.succeed(answer)
    } catch (error) {
      const code = faultOf(error)
      if (code === undefined) throw error
      if (code === "disk-full") reached("disk-full")
      const failures = (this.waits.get(writer)?.failures ?? 0) + 1
      const retryMs = Math.min(diskRetryMsMax, diskRetryMs * 2 ** (failures - 1))
      this.waits.set(writer, { code, failures, until: now + retryMs })
      return Result.fail({ code, retryMs, first: failures === 1 })
    }
  }

  /** Has this writer failed, and is it too early to try again? */
  isWaiting(writer: string, now: number): boolean {
    return (this.waits.get(writer)?.until ?? now) > now
  }

  /** Why this writer could not write when it last tried. */
  faultOf(writer: string): StorageFault {
    return this.waits.get(writer)?.code ?? "disk-full"
  }

  /** The writers that could not write when they last tried. One that has not tried for longer than it had to wait is left out. */
  lacking(now: number): ReadonlyArray<string> {
    return [...this.waits].filter(([, { until }]) => until + graceMs > now).map(([writer]) => writer)
  }

  /** What that is to who asks how the node is; undefined: everybody can write. */
  fault(now: number): { readonly code: StorageFault; readonly message: string } | undefined {
    const lacking = this.lacking(now)
    if (lacking.length === 0) return undefined
    const isFull = lacking.every((writer) => this.faultOf(writer) === "disk-full")
    const code = isFull ? "disk-full" : "storage-read-only"
    return { code, message: `${words[code]}: ${lacking.join(", ")}.` }
  }
}
