/** The thread of a swarm: takes a seed, runs it, tells what came of it. */
import { loadEngine } from "../crypto/native.ts"
import { nobleEngine, useEngine } from "../crypto/signature.ts"
import { type Mark, marksReached } from "../marks.ts"
import { makePlan, swarmOptions } from "./plan.ts"
import { simulate } from "./run.ts"
import type { SwarmJob, SwarmResult } from "./swarm.ts"

declare const self: {
  onmessage: (event: { readonly data: SwarmJob }) => void
  postMessage: (result: SwarmResult) => void
}

useEngine(loadEngine("auto") ?? nobleEngine)

/** Marks of this thread count on; what one run reached is the difference. */
const since = (before: Readonly<Record<Mark, number>>): Readonly<Record<string, number>> =>
  Object.fromEntries(Object.entries(marksReached()).map(([mark, count]) => [mark, count - before[mark as Mark]]))

self.onmessage = ({ data: { seed, ms, fixed, twice } }) => {
  const options = { ...swarmOptions(seed, ms), ...fixed, seed }
  const plan = makePlan(options)
  const before = marksReached()
  const report = simulate(plan)
  const again = twice && report.failure === undefined ? simulate(plan).digest : report.digest
  const failure = again === report.digest ? report.failure : `two runs differ: ${report.digest} and ${again}`
  self.postMessage({
    seed,
    options,
    digest: report.digest,
    failure,
    kind: failure === report.failure ? report.kind : "two runs differ",
    steps: report.steps,
    handled: report.handled,
    elapsed: report.elapsed,
    acknowledged: report.acknowledged,
    marks: since(before)
  })
}
