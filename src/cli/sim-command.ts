/** The `cairn sim` command: its flags, and which of its jobs they ask for. */
import { Option, Schema } from "effect"
import { Command, Flag } from "effect/cli"
import { payloadBytesMax } from "../limits.ts"
import { consensuses, type Fault, faults, gossipForms, models, type SimOptions } from "../sim/plan.ts"
import { attempt } from "./attempt.ts"
import { failure } from "./failure.ts"
import { type Look, simOne, simReplay, simShrink, simSwarm } from "./sim.ts"

const optional = (name: string, description: string) =>
  Flag.String(name).pipe(Flag.withDescription(description), Flag.optional)
const yes = (name: string, description: string) =>
  Flag.Boolean(name).pipe(Flag.withDescription(description), Flag.withDefault(false))
const between = (name: string, description: string, range: { readonly minimum: number; readonly maximum: number }) =>
  Flag.Finite(name).pipe(
    Flag.withSchema(Schema.Finite.check(Schema.isBetween(range))),
    Flag.withDescription(description)
  )

const flags = {
  seed: between("seed", "What decides everything: the same seed is the same run", {
    minimum: 0,
    maximum: 2 ** 31 - 1
  }).pipe(Flag.withDefault(1)),
  nodes: between("nodes", "Whole nodes", { minimum: 1, maximum: 30 }).pipe(Flag.optional),
  hours: between("hours", "Virtual hours of work; a quiet until all agree comes on top", {
    minimum: 0.001,
    maximum: 10_000
  }).pipe(Flag.withDefault(0.5)),
  faults: optional("faults", `What goes wrong: ${faults.join(", ")}; or all, or none`),
  ledger: Flag.Literals("ledger", models).pipe(
    Flag.withDescription("The money model; the seed decides if it is not given"),
    Flag.optional
  ),
  consensus: Flag.Literals("consensus", consensuses).pipe(
    Flag.withDescription(
      "Who seals: whoever works, authorities, or both; pow if it is not given, in a swarm the seed decides"
    ),
    Flag.optional
  ),
  pays: between("pays", "Payments a virtual minute", { minimum: 0.1, maximum: 6_000 }).pipe(Flag.optional),
  blockSeconds: between("block-seconds", "Aimed time between blocks", { minimum: 0.1, maximum: 600 }).pipe(
    Flag.optional
  ),
  payload: between("payload", "Bytes of data that transactions may carry, and do", {
    minimum: 0,
    maximum: payloadBytesMax
  }).pipe(Flag.optional),
  checkpoints: between(
    "checkpoints",
    "Blocks between two checkpoints on which authorities vote, so that blocks become final",
    {
      minimum: 2,
      maximum: 10_000
    }
  ).pipe(Flag.optional),
  gossip: Flag.Literals("gossip", gossipForms).pipe(
    Flag.withDescription(
      "Nodes announce by UDP: in the plain form too, or only under seals; in a swarm the seed decides"
    ),
    Flag.optional
  ),
  preempt: between("preempt", "Probability that a fiber is interrupted between two operations", {
    minimum: 0,
    maximum: 1
  }).pipe(Flag.optional),
  strategy: Flag.Literals("strategy", ["uniform", "sparse", "fifo"]).pipe(
    Flag.withDescription("How the next fiber is chosen"),
    Flag.optional
  ),
  swarm: between("swarm", "Runs so many seeds from --seed on, each with its own size and faults, on all cores", {
    minimum: 1,
    maximum: 1_000_000
  }).pipe(Flag.optional),
  twice: yes("twice", "In a swarm: run every seed a second time and compare the digests"),
  reach: yes("reach", "In a swarm: fail unless every rare path was reached by some run"),
  out: Flag.String("out").pipe(
    Flag.withDescription("Folder for the recordings of a swarm's failures; file of a shrunk scenario"),
    Flag.withDefault("")
  ),
  record: optional("record", "Write the run with all its choices to this file"),
  replay: optional("replay", "Repeat a recorded run and compare the digests"),
  shrink: optional("shrink", "Make a failing recording small"),
  seconds: between("seconds", "Time that shrinking may take", { minimum: 1, maximum: 86_400 }).pipe(
    Flag.withDefault(60)
  ),
  timeline: optional("timeline", "Draw the run as one HTML page"),
  trace: optional("trace", "Print messages as they are handled, such as actor=chain,node=n1"),
  until: optional("until", "Stop at a time (90s), a step (120000), or a line (reorganised)"),
  step: yes("step", "With --trace: wait for Enter after each message"),
  quiet: yes("quiet", "Print no lines of events")
}

type Input = Command.Command.Config.Infer<typeof flags>

const faultsOf = (text: string): ReadonlyArray<Fault> => {
  if (text === "all") return faults
  if (text === "none") return []
  return text.split(",").map((name) => {
    const found = faults.find((fault) => fault === name.trim())
    if (found === undefined)
      throw failure(
        "usage",
        "fault-unknown",
        `--faults: there is no fault "${name}".`,
        `There are: ${faults.join(", ")}, all, none.`
      )
    return found
  })
}

/** What the command line fixes; a swarm draws the rest. */
const fixedOf = (input: Input): Partial<SimOptions> => {
  const given: ReadonlyArray<readonly [keyof SimOptions, Option.Option<unknown>]> = [
    ["nodes", input.nodes],
    ["ledger", input.ledger],
    ["consensus", input.consensus],
    ["faults", Option.map(input.faults, faultsOf)],
    ["paysPerMinute", input.pays],
    ["blockMs", Option.map(input.blockSeconds, (seconds) => seconds * 1000)],
    ["payloadBytesMax", input.payload],
    ["checkpointBlocks", input.checkpoints],
    ["gossip", input.gossip],
    ["preempt", input.preempt],
    ["strategy", input.strategy]
  ]
  return Object.fromEntries(given.flatMap(([name, value]) => (Option.isSome(value) ? [[name, value.value]] : [])))
}

const run = (input: Input): void | Promise<void> => {
  const fixed = fixedOf(input)
  const look: Look = {
    trace: Option.getOrUndefined(input.trace),
    until: Option.getOrUndefined(input.until),
    timeline: Option.getOrUndefined(input.timeline),
    step: input.step,
    quiet: input.quiet
  }
  const ms = Math.round(input.hours * 3_600_000)
  if (Option.isSome(input.shrink))
    return simShrink(
      input.shrink.value,
      input.out === "" ? input.shrink.value.replace(/(\.json)?$/, ".small.json") : input.out,
      input.seconds
    )
  if (Option.isSome(input.replay)) return simReplay(input.replay.value, look)
  if (Option.isSome(input.swarm))
    return simSwarm({
      from: input.seed,
      count: input.swarm.value,
      ms,
      fixed,
      twice: input.twice,
      reach: input.reach,
      folder: input.out === "" ? "." : input.out
    })
  return simOne({ nodes: 5, faults: [], ...fixed, seed: input.seed, ms }, look, Option.getOrUndefined(input.record))
}

/** The command. */
export const simCommand = Command.make("sim", flags, (input) => attempt(() => run(input))).pipe(
  Command.withDescription(
    "Runs whole nodes in one process on virtual time, where chance is a seed: every failure can be repeated, made small, and drawn"
  ),
  Command.withExamples([
    {
      command: "cairn sim --seed 7 --nodes 5 --hours 2 --faults partition,drop,crash",
      description: "Five nodes for two virtual hours, with trouble"
    },
    {
      command: "cairn sim --swarm 200 --hours 0.5",
      description: "Two hundred seeds on all cores, each with other faults"
    },
    { command: "cairn sim --seed 7 --faults all --timeline run.html", description: "The run as a page" },
    {
      command: "cairn sim --replay cairn-sim-7.json --until reorganised",
      description: "A recorded run, up to its first reorganisation"
    },
    { command: "cairn sim --shrink cairn-sim-7.json", description: "The least that makes it fail" }
  ])
)
