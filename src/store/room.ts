/**
 * Room on the disk. A write that finds none is undone by SQLite, so it is a value here, not the end of whoever wrote: he may
 * try again later, each time after twice the wait. Who has found none can be asked, by an operator who wonders.
 */
import { Result } from "effect"
import { diskRetryMs, diskRetryMsMax } from "../limits.ts"
import { reached } from "../marks.ts"

/** There was no room, and nothing happened. */
export interface NoRoom {
  /** Milliseconds after which to try again. */
  readonly retryMs: number
  /** The first failure since the last success. */
  readonly first: boolean
}

interface Wait {
  readonly failures: number
  readonly until: number
}

/** A writer that is due may take so long to try again before it counts as one that has room. */
const graceMs = 1_000

export class DiskRoom {
  private readonly waits = new Map<string, Wait>()

  /** Runs a writer's decision. Only the lack of room is a value; every other error is thrown as it came. */
  try<A>(writer: string, now: number, write: () => A): Result.Result<A, NoRoom> {
    try {
      const answer = write()
      if (this.waits.delete(writer)) reached("disk-recovered")
      return Result.succeed(answer)
    } catch (error) {
      if ((error as { readonly code?: unknown }).code !== "SQLITE_FULL") throw error
      reached("disk-full")
      const failures = (this.waits.get(writer)?.failures ?? 0) + 1
      const retryMs = Math.min(diskRetryMsMax, diskRetryMs * 2 ** (failures - 1))
      this.waits.set(writer, { failures, until: now + retryMs })
      return Result.fail({ retryMs, first: failures === 1 })
    }
  }

  /** Has this writer found no room, and is it too early to try again? */
  isWaiting(writer: string, now: number): boolean {
    return (this.waits.get(writer)?.until ?? now) > now
  }

  /** The writers that found no room when they last tried. One that has not tried for longer than it had to wait is left out. */
  lacking(now: number): ReadonlyArray<string> {
    return [...this.waits].filter(([, { until }]) => until + graceMs > now).map(([writer]) => writer)
  }
  /** What that is to who asks how the node is; undefined: nobody lacks room. */
  fault(now: number): { readonly code: "disk-full"; readonly message: string } | undefined {
    const lacking = this.lacking(now).join(", ")
    if (lacking === "") return undefined
    return { code: "disk-full", message: `The disk has no room for what the node writes: ${lacking}.` }
  }
}
