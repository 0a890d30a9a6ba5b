/** The thread door of a simulated machine: nonces are really searched, at the pace that the machine is said to have. */
import type { SearchJob, SearchReport } from "../../actors/protocol.ts"
import type { StartThread } from "../io/worker.ts"
import { search } from "../miner/search.ts"
import type { Host } from "./world.ts"

/** Virtual milliseconds of one range, and how long a thread without work sleeps. */
const rangeMs = 2_000

/** Threads of one job begin so far apart. */
const noncesApart = 2 ** 40

/** The pace of a machine's threads, in hashes a second each; 0: they stand still. */
export interface Pace {
  hashesPerSecond: number
}

type On = Parameters<StartThread>[1]

/** One thread: it has one job, and one timer for the end of the range in hand. */
class SimThread {
  private readonly host: Host
  private readonly pace: Pace
  private readonly on: On
  private job: SearchJob | undefined
  private from = 0
  private cancel: () => void = () => {}
  over = false

  constructor(host: Host, pace: Pace, on: On) {
    this.host = host
    this.pace = pace
    this.on = on
  }

  readonly post = (job: SearchJob): void => {
    this.cancel()
    this.job = job.job === 0 ? undefined : job
    this.from = job.from * noncesApart
    if (this.job !== undefined) this.range(this.job)
  }

  readonly terminate = (): void => {
    this.over = true
    this.cancel()
  }

  private range(job: SearchJob): void {
    const { hashesPerSecond } = this.pace
    if (hashesPerSecond <= 0) return this.wait(rangeMs, () => this.range(job))
    const count = Math.max(1, Math.round((hashesPerSecond * rangeMs) / 1000))
    const { hashes, nonce } = search({ header: job.header, target: job.target, from: this.from, count })
    this.from += count
    this.wait((hashes * 1000) / hashesPerSecond, () => {
      if (nonce !== undefined) this.job = undefined
      this.on.message({ job: job.job, hashes, nonce } satisfies SearchReport as never)
      if (this.job === job) this.range(job)
    })
  }

  private wait(ms: number, f: () => void): void {
    this.cancel = this.host.after(ms, f)
  }
}

/** The door, and a way to let a machine's threads die. */
export const makeThreads = (
  host: Host,
  pace: Pace
): { readonly start: StartThread; readonly fail: (ms: number) => void } => {
  let refusedUntil = Number.NEGATIVE_INFINITY
  const running = new Set<{ readonly thread: SimThread; readonly on: On }>()
  return {
    start: (_, on) => {
      if (host.now < refusedUntil) throw new Error("the system starts no thread")
      const thread = new SimThread(host, pace, on as On)
      running.add({ thread, on: on as On })
      return { post: (job) => thread.post(job as SearchJob), terminate: thread.terminate }
    },
    fail: (ms) => {
      refusedUntil = host.now + ms
      for (const one of [...running]) {
        running.delete(one)
        if (one.thread.over) continue
        one.thread.terminate()
        one.on.failed("it has ended")
      }
    }
  }
}
