/** The thread of a swarm: takes a seed, runs it, tells what came of it. */
import { loadEngine } from "../crypto/native.ts"
import { nobleEngine, useEngine } from "../crypto/signature.ts"
import { makePlan, swarmOptions } from "./plan.ts"
import { simulate } from "./run.ts"
import type { SwarmJob, SwarmResult } from "./swarm.ts"

declare const self: {
  onmessage: (event: { readonly data: SwarmJob }) => void
  postMessage: (result: SwarmResult) => void
}

useEngine(loadEngine("auto") ?? nobleEngine)

self.onmessage = ({ data: { seed, ms, fixed, twice } }) => {
  const options = { ...swarmOptions(seed, ms), ...fixed, seed }
  const plan = makePlan(options)
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
    marks: {}
  })
}
