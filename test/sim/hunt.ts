/**
 * Runs seeds of the swarm one after the other until one fails, and says which:
 *
 *   PLANT=longest-chain bun --preload ./test/sim/plant-preload.ts test/sim/hunt.ts [FROM] [COUNT] [RECORDING] [LEDGER]
 *
 * CONSENSUS=poa in the environment hunts on chains of authorities; without it, on those that the plant names, or of work.
 * GOSSIP=plain or sealed: nodes announce by UDP, and operators ban. Without it, as the plant says, or not at all.
 * Without PLANT: the product as it is. Prints one line of JSON; ends with 1 if no seed has failed.
 */
import { loadEngine } from "../../src/crypto/native.ts"
import { nobleEngine, useEngine } from "../../src/crypto/signature.ts"
import { writeFile } from "../../src/io/files.ts"
import {
  type ConsensusName,
  consensuses,
  type GossipForm,
  gossipForms,
  makePlan,
  type Model,
  models,
  type SimOptions,
  swarmOptions
} from "../../src/sim/plan.ts"
import { formatRecording } from "../../src/sim/recording.ts"
import { simulate } from "../../src/sim/run.ts"
import { isPlanted } from "./plant-preload.ts"
import { plants } from "./plants.ts"

/** Virtual milliseconds of work in a run, at most: a second or two of real time. */
const runMs = 10 * 60_000
/** A swarm draws more; a planted bug that needs more than these would be a rare one. */
const nodesMax = 4

interface Wish {
  readonly recording: string | undefined
  /** Undefined: each seed decides. */
  readonly ledger: Model | undefined
  readonly consensus: ConsensusName
  readonly gossip: GossipForm | undefined
}

/** What is printed. */
export interface Hunt {
  readonly plant: string | undefined
  readonly runs: number
  readonly virtualMs: number
  readonly realMs: number
  /** Undefined: none has failed. */
  readonly found: { readonly seed: number; readonly failure: string; readonly options: SimOptions } | undefined
}

const hunt = (from: number, count: number, { recording, ledger, consensus, gossip }: Wish): Hunt => {
  const began = performance.now()
  let runs = 0
  let virtualMs = 0
  const soFar = () => ({ plant: process.env["PLANT"], runs, virtualMs, realMs: Math.round(performance.now() - began) })
  for (let seed = from; seed < from + count; seed++) {
    const { gossip: _, ...drawn } = swarmOptions(seed, runMs)
    const fixed = { ...(ledger === undefined ? {} : { ledger }), ...(gossip === undefined ? {} : { gossip }) }
    const faults = drawn.faults.filter((fault) => gossip !== undefined || fault !== "ban")
    const options = { ...drawn, ...fixed, faults, consensus, nodes: Math.min(drawn.nodes, nodesMax) }
    const plan = makePlan(options)
    const { failure, digest, elapsed } = simulate(plan)
    runs++
    virtualMs += elapsed
    if (failure === undefined) continue
    if (recording !== undefined)
      writeFile(recording, formatRecording({ commit: "planted", plan, choices: undefined, digest, failure }))
    return { ...soFar(), found: { seed, failure, options } }
  }
  return { ...soFar(), found: undefined }
}

const main = (from = "1", count = "100", recording?: string, model?: string): number => {
  useEngine(loadEngine("auto") ?? nobleEngine)
  if (!isPlanted()) throw new Error("nothing is planted: the file was not loaded through the preload")
  const { PLANT } = process.env
  const plant = plants.find(({ name }) => name === PLANT)
  const { CONSENSUS = plant?.consensus, GOSSIP = plant?.gossip } = process.env
  const ledger = models.find((one) => one === model)
  const consensus = consensuses.find((one) => one === CONSENSUS) ?? "pow"
  const gossip = gossipForms.find((one) => one === GOSSIP)
  const result = hunt(Number(from), Number(count), { recording, ledger, consensus, gossip })
  process.stdout.write(`${JSON.stringify(result)}\n`)
  return result.found === undefined ? 1 : 0
}

if (import.meta.main) process.exit(main(...process.argv.slice(2)))
