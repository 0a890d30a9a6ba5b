/** How fast simulated time passes, and what a node does in it. Processor time, so that a busy machine disturbs less. */
import { loadEngine } from "../../src/crypto/native.ts"
import { nobleEngine, useEngine } from "../../src/crypto/signature.ts"
import { faults, makePlan, type SimOptions } from "../../src/sim/plan.ts"
import { simulate } from "../../src/sim/run.ts"
import { printTable, type Row } from "./table.ts"

useEngine(loadEngine("auto") ?? nobleEngine)

const hourMs = 3_600_000
const light: SimOptions = { seed: 1, ledger: "account", nodes: 5, ms: hourMs, faults: [] }

const measure = (options: SimOptions) => {
  const plan = makePlan(options)
  const before = process.cpuUsage()
  const report = simulate(plan)
  const { user, system } = process.cpuUsage(before)
  if (report.failure !== undefined) throw new Error(report.failure)
  const seconds = (user + system) / 1e6
  return {
    pace: report.elapsed / 1000 / seconds,
    steps: report.steps / seconds,
    messages: report.handled / seconds
  }
}

measure({ ...light, ms: hourMs / 6 })
const base = "five nodes, light traffic"
const variants: ReadonlyArray<readonly [string, SimOptions]> = [
  [base, light],
  ["… fifo, no preemption", { ...light, strategy: "fifo", preempt: 0 }],
  ["… a transfer every second", { ...light, paysPerMinute: 60 }],
  ["… all faults", { ...light, faults }],
  ["… coins", { ...light, ledger: "utxo" }],
  ["… sealed by authorities", { ...light, consensus: "poa" }],
  ["… sealed by authorities, all faults", { ...light, consensus: "poa", faults }],
  ["two nodes", { ...light, nodes: 2 }],
  ["ten nodes", { ...light, nodes: 10 }]
]
const measured = variants.map(([name, options]) => [name, measure(options)] as const)
const rows = (key: "pace" | "steps" | "messages", unit: string): ReadonlyArray<Row> =>
  measured.map(([name, figures]) => ({ name, value: figures[key], unit, baseline: base }))

printTable("Virtual seconds a processor second", rows("pace", "s/s"))
printTable("Steps of the world", rows("steps", "/s"))
printTable("Messages handled by actors", rows("messages", "/s"))
