/**
 * Many seeds over many threads. Each draws its own size, faults and strategy (swarm testing: leaving features out finds more than
 * turning all on), and every run of a swarm together must have reached the rare paths that marks.ts names.
 */
import type { Thread } from "../io/worker.ts"
import { startBunThread } from "../io/worker.ts"
import type { Fault, SimOptions } from "./plan.ts"

/** What a thread is asked. `faults` and the rest narrow what the seed draws. */
export interface SwarmJob {
  readonly seed: number
  readonly ms: number
  readonly fixed: Partial<SimOptions> & { readonly faults?: ReadonlyArray<Fault> }
  /** Run it a second time and compare the digests. */
  readonly twice: boolean
}

export interface SwarmResult {
  readonly seed: number
  readonly options: SimOptions
  readonly digest: string
  readonly failure: string | undefined
  readonly kind: string | undefined
  readonly steps: number
  readonly handled: number
  readonly elapsed: number
  readonly acknowledged: number
  /** How often each mark was reached. */
  readonly marks: Readonly<Record<string, number>>
}

export interface Swarm {
  readonly results: ReadonlyArray<SwarmResult>
  /** Totals of every mark; 0: nobody got there. */
  readonly marks: ReadonlyMap<string, number>
}

/** Runs seeds `from` to `from + count - 1`. `onResult` hears each as it ends. A thread that dies ends the swarm with its reason. */
export const runSwarm = (
  wish: Omit<SwarmJob, "seed"> & { readonly from: number; readonly count: number; readonly threads: number },
  onResult: (result: SwarmResult) => void
): Promise<Swarm> =>
  new Promise((resolve, reject) => {
    const { from, count, threads, ...job } = wish
    const results: Array<SwarmResult> = []
    const workers: Array<Thread<SwarmJob, SwarmResult>> = []
    let next = from
    const end = (): void => workers.forEach((worker) => worker.terminate())
    const give = (worker: Thread<SwarmJob, SwarmResult>): void => {
      if (next < from + count) worker.post({ ...job, seed: next++ })
    }
    for (let i = 0; i < Math.min(threads, count); i++) {
      const worker = startBunThread<SwarmJob, SwarmResult>("src/sim/swarm-worker.ts", {
        message: (result) => {
          results.push(result)
          onResult(result)
          if (results.length < count) return give(worker)
          end()
          resolve({ results: results.sort((a, b) => a.seed - b.seed), marks: totals(results) })
        },
        failed: (reason) => {
          end()
          reject(new Error(`a simulation thread failed: ${reason}`))
        }
      })
      workers.push(worker)
      give(worker)
    }
  })

const totals = (results: ReadonlyArray<SwarmResult>): ReadonlyMap<string, number> => {
  const sums = new Map<string, number>()
  for (const { marks } of results)
    for (const [mark, count] of Object.entries(marks)) sums.set(mark, (sums.get(mark) ?? 0) + count)
  return sums
}
