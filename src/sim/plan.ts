/**
 * What shall happen in a run, decided before it begins: the nodes, who pays when, which faults come. A pure function of the
 * options, and plain JSON, so that a plan can be read, cut down by the shrinker, and kept as a scenario.
 */
import type { LedgerRules } from "../ledger/ledger.ts"
import { actNamesOf, coinActNames } from "./byzantine.ts"
import type { Strategy } from "./choices.ts"
import { authorityActNames } from "./authority-acts.ts"
import { datagramActs } from "./datagrams.ts"
import { type Dice, makeDice } from "./dice.ts"
import { finalityActNames } from "./finality-acts.ts"
import { traitorsMax } from "./keys.ts"
import { workLies } from "./lies.ts"

/** Faults that can be asked for. docs/testing.md says what each does. */
export const faults = [
  "partition",
  "drop",
  "dup",
  "reorder",
  "delay",
  "crash",
  "disk-full",
  "torn-write",
  "clock-skew",
  "slow-reader",
  "byzantine",
  "ban"
] as const
export type Fault = (typeof faults)[number]

/** The money model of a simulated chain. */
export type Model = LedgerRules["model"]
export const models: ReadonlyArray<Model> = ["account", "utxo"]

/** Who seals: whoever does the work, authorities in their turns, or authorities that do some work too. */
export const consensuses = ["pow", "poa", "poa+pow"] as const
export type ConsensusName = (typeof consensuses)[number]

/** Announcements by UDP: in the form that anybody can read, or only under seals of sessions. */
export const gossipForms = ["plain", "sealed"] as const
export type GossipForm = (typeof gossipForms)[number]

export interface SimOptions {
  readonly seed: number
  /** Undefined: pow. */
  readonly consensus?: ConsensusName
  /** Undefined: the seed decides. */
  readonly ledger?: Model
  /** 1 to 30. */
  readonly nodes: number
  /** Virtual milliseconds of work; the quiet at the end comes on top. */
  readonly ms: number
  readonly faults: ReadonlyArray<Fault>
  /** Payments a virtual minute, of all wallets. */
  readonly paysPerMinute?: number
  readonly blockMs?: number
  readonly strategy?: Strategy
  /** The probability that a fiber is preempted between two operations, once a turn. */
  readonly preempt?: number
  /** See Plan. */
  readonly squeeze?: number
  readonly payloadBytesMax?: number
  /** See PlannedAuthority. */
  readonly checkpointBlocks?: number
  /** Undefined: nobody announces by UDP. */
  readonly gossip?: GossipForm
}

export interface PlannedNode {
  readonly name: string
  readonly address: string
  /** Names of the nodes it knows from the beginning. */
  readonly seeds: ReadonlyArray<string>
  /** Names of those that it announces itself to before it has met anybody; absent: none. */
  readonly gossipSeeds?: ReadonlyArray<string>
  readonly hashesPerSecond: number
}

/** One thing that happens, `at` virtual milliseconds after the beginning. `ms`: for how long. */
export type Action = { readonly at: number } & (
  | {
      readonly do: "pay"
      readonly wallet: number
      readonly node: string
      /** So many, each after the answer to the one before: with consecutive nonces, or of coins that the one before made. */
      readonly count: number
      readonly http: boolean
    }
  /** Two transfers with one nonce, or of one coin, to two nodes. */
  | { readonly do: "conflict"; readonly wallet: number; readonly nodes: readonly [string, string] }
  /** A transfer, then one that takes its place for twice the fee. */
  | { readonly do: "replace"; readonly wallet: number; readonly node: string }
  /** The coins of so many wallets become one coin of the first: one payment with as many owners. */
  | { readonly do: "gather"; readonly wallet: number; readonly wallets: number; readonly node: string }
  /** The youngest rewards are spent that may be, whoever has mined them. */
  | { readonly do: "spend-reward"; readonly wallet: number; readonly node: string }
  | { readonly do: "pace"; readonly node: string; readonly hashesPerSecond: number }
  /** So many questions at a time, as a page that went wild would ask. */
  | { readonly do: "flood"; readonly node: string; readonly count: number }
  /** A block is ordered, as POST /api/mine does. */
  | { readonly do: "order"; readonly node: string }
  /** An actor fails, so many messages one after the other: a bug of ours. */
  | { readonly do: "bug"; readonly node: string; readonly actor: string; readonly times: number }
  /** Mining threads die, and none can be started. */
  | { readonly do: "thread"; readonly node: string; readonly ms: number }
  | { readonly do: "partition"; readonly side: ReadonlyArray<string>; readonly ms: number }
  | { readonly do: "reset"; readonly a: string; readonly b: string }
  | { readonly do: "drop"; readonly loss: number; readonly ms: number }
  | { readonly do: "dup"; readonly dup: number; readonly ms: number }
  | { readonly do: "reorder"; readonly shuffle: number; readonly ms: number }
  | { readonly do: "delay"; readonly delayMs: number; readonly ms: number }
  | { readonly do: "crash"; readonly node: string; readonly mute: boolean; readonly ms: number }
  | { readonly do: "restart"; readonly node: string; readonly ms: number }
  | { readonly do: "torn-write"; readonly node: string; readonly ms: number }
  | { readonly do: "disk-full"; readonly node: string; readonly ms: number }
  | { readonly do: "clock-skew"; readonly node: string; readonly by: number; readonly ms: number }
  | { readonly do: "slow-reader"; readonly node: string; readonly bytesPerSecond: number; readonly ms: number }
  | { readonly do: "byzantine"; readonly act: string; readonly node: string; readonly seed: number }
  /** The operator of a node bans another, for so long. */
  | { readonly do: "ban"; readonly node: string; readonly peer: string; readonly ms: number }
  /** Somebody without a session sends a node so many datagrams a second. */
  | {
      readonly do: "datagrams"
      readonly act: string
      readonly node: string
      readonly perSecond: number
      readonly seed: number
      readonly ms: number
    }
)

/** A chain that authorities seal: each node that mines is one. */
export interface PlannedAuthority {
  /** Leading zero bits of the work asked for beside; 0: none. */
  readonly bits: number
  /** Authorities more, which no node is: liars have their keys. Fewer than the honest ones, if those are more than one. */
  readonly traitors: number
  /** Blocks between two checkpoints that authorities vote on; absent: nothing becomes final. */
  readonly checkpointBlocks?: number
}

/** How nodes announce by UDP. */
export interface PlannedGossip {
  readonly form: GossipForm
  /** Milliseconds between two announcements of a node whose tip stays. */
  readonly everyMs: number
}

export interface Plan {
  readonly seed: number
  readonly ledger: Model
  /** Undefined: whoever does the work may seal. */
  readonly authority?: PlannedAuthority
  /** Undefined: no node has a port for datagrams. */
  readonly gossip?: PlannedGossip
  readonly nodes: ReadonlyArray<PlannedNode>
  readonly wallets: number
  readonly blockMs: number
  readonly endMs: number
  readonly strategy: Strategy
  readonly preempt: number
  /** Inboxes, pool and the time that a transfer may wait are so many times smaller than they are. */
  readonly squeeze: number
  /** Bytes of data that the chain's transactions may carry, and those of wallets do; absent: none. */
  readonly payloadBytesMax?: number
  /** In the order of their times. */
  readonly actions: ReadonlyArray<Action>
}

/** Hashes a second of a miner, at least and at most: few, so that simulated mining costs next to nothing. */
const paceMin = 15
const paceMax = 45
/** Bits of work that authorities do where both are asked for: about a second's. */
const workBits = 4
const minuteMs = 60_000

interface Sketch {
  readonly dice: Dice
  readonly options: SimOptions
  readonly ledger: Model
  readonly names: ReadonlyArray<string>
  readonly actions: Array<Action>
}

/** Times of a thing that happens every so often on the average, until the end. */
const timesOf = ({ dice, options }: Sketch, meanMs: number): ReadonlyArray<number> => {
  const times: Array<number> = []
  for (let at = 2_000; ; ) {
    at += 1 + Math.floor(-Math.log((1 + dice.int(999_999)) / 1_000_000) * meanMs)
    if (at >= options.ms) return times
    times.push(at)
  }
}

const between = (dice: Dice, low: number, high: number): number => low + dice.int(high - low + 1)

const planWork = (sketch: Sketch, wallets: number, paysPerMinute: number): void => {
  const { dice, names, actions } = sketch
  for (const at of timesOf(sketch, minuteMs / paysPerMinute)) {
    const wallet = dice.int(wallets)
    const kind = dice.int(10)
    if (kind === 0 && names.length > 1) {
      const first = dice.int(names.length)
      const other = (first + 1 + dice.int(names.length - 1)) % names.length
      actions.push({ at, do: "conflict", wallet, nodes: [names[first]!, names[other]!] })
    } else if (kind === 1) actions.push({ at, do: "replace", wallet, node: dice.pick(names) })
    else {
      const count = kind < 4 ? between(dice, 2, 8) : 1
      actions.push({ at, do: "pay", wallet, node: dice.pick(names), count, http: dice.chance(0.3) })
    }
  }
  each(sketch, 4 * minuteMs, () => ({ do: "order" }))
  each(sketch, 4 * minuteMs, () => ({ do: "flood", count: between(dice, 20, 300) }))
  for (const at of timesOf(sketch, 10 * minuteMs))
    actions.push({ at, do: "pace", node: dice.pick(names), hashesPerSecond: dice.chance(0.3) ? 0 : pace(dice) })
}

/** What only coins can do; from dice of its own, so that a plan is otherwise the same on both ledgers. */
const planCoins = ({ options, names, actions }: Sketch, wallets: number, paysPerMinute: number): void => {
  const dice = makeDice(Math.imul(options.seed, 1_597_334_677) ^ 0xc011)
  const own: Sketch = { dice, options, ledger: "utxo", names, actions }
  for (const at of timesOf(own, (2 * minuteMs) / paysPerMinute)) {
    const work = { at, wallet: dice.int(wallets), node: dice.pick(names) }
    actions.push(
      dice.chance(0.5)
        ? { ...work, do: "spend-reward" }
        : { ...work, do: "gather", wallets: dice.pick([1, 1, 2, 3, wallets]) }
    )
  }
  if (!options.faults.includes("byzantine")) return
  each(own, minuteMs, () => ({ do: "byzantine", act: dice.pick(coinActNames), seed: dice.int(1_000_000) }))
}

/** What only authorities can meet; from dice of its own, as for coins. */
const planAuthorities = ({ options, ledger, names, actions }: Sketch, blockMs: number, honest: number) => {
  const dice = makeDice(Math.imul(options.seed, 1_183_186_591) ^ 0xa07)
  const own: Sketch = { dice, options, ledger, names, actions }
  if (options.faults.includes("clock-skew")) {
    // Clocks that are off by less than others put up with, beside those that are off by more.
    const within = futureMsOf(blockMs)
    each(own, 4 * minuteMs, () => ({
      do: "clock-skew",
      by: between(dice, -within, within),
      ms: between(dice, 5_000, 5 * minuteMs)
    }))
  }
  if (!options.faults.includes("byzantine")) return 0
  each(own, minuteMs, () => ({ do: "byzantine", act: dice.pick(authorityActNames), seed: dice.int(1_000_000) }))
  return Math.min(traitorsMax, 1 + dice.int(Math.max(1, (honest - 1) >> 1)))
}

/** What only those can meet who vote on checkpoints; from dice of its own, so that a plan without votes is as it was. */
const planVotes = ({ options, ledger, names, actions }: Sketch): void => {
  if (!options.faults.includes("byzantine")) return
  const dice = makeDice(Math.imul(options.seed, 2_246_822_519) ^ 0xf1a1)
  const own: Sketch = { dice, options, ledger, names, actions }
  each(own, minuteMs, () => ({ do: "byzantine", act: dice.pick(finalityActNames), seed: dice.int(1_000_000) }))
}

const planAuthority = (sketch: Sketch, blockMs: number, honest: number): PlannedAuthority => {
  const { consensus, checkpointBlocks } = sketch.options
  const bits = consensus === "poa" ? 0 : workBits
  const traitors = planAuthorities(sketch, blockMs, honest)
  if (checkpointBlocks === undefined) return { bits, traitors }
  planVotes(sketch)
  return { bits, traitors, checkpointBlocks }
}

/** What only those meet who announce by UDP; from dice of its own, so that a plan without is as it was. */
const planGossip = (sketch: Sketch, form: GossipForm, nodes: ReadonlyArray<PlannedNode>) => {
  const { options, ledger, names, actions } = sketch
  const dice = makeDice(Math.imul(options.seed, 3_266_489_917) ^ 0x905519)
  const everyMs = dice.pick([5_000, 20_000])
  // Under seals nobody is heard who has not been met.
  const placed = nodes.map((node, i) => {
    if (form === "sealed" || i === 0 || dice.chance(0.4)) return node
    const gossipSeeds = [...new Set([names[dice.int(i)]!, ...node.seeds])]
    return { ...node, gossipSeeds, seeds: dice.chance(0.5) ? [] : node.seeds }
  })
  if (options.faults.includes("byzantine"))
    each({ dice, options, ledger, names, actions }, minuteMs, () => ({
      do: "datagrams",
      act: dice.pick(datagramActs),
      perSecond: dice.pick([1, 20, 200]),
      seed: dice.int(1_000_000),
      ms: between(dice, 500, 10_000)
    }))
  return { gossip: { form, everyMs }, nodes: placed }
}

/** How far ahead of our clock a header of authorities may be. */
export const futureMsOf = (blockMs: number): number => Math.floor(blockMs / 2)

const pace = (dice: Dice): number => between(dice, paceMin, paceMax)

/** Who may have a bug. `session`: whichever handles a message first. */
const actors = ["chain", "mempool", "miner", "sync", "maintenance", "session"]

/** Acts on the chain of a plan. Where no work is asked for, none is about it. */
const actsOf = ({ ledger, options }: Sketch): ReadonlyArray<string> =>
  options.consensus === "poa" ? actNamesOf(ledger).filter((name) => !workLies.includes(name)) : actNamesOf(ledger)

/** What one fault of each kind looks like, and how often it comes. */
const fault: Readonly<Record<Fault, (sketch: Sketch) => void>> = {
  partition: (sketch) => {
    const { dice, names, actions } = sketch
    if (names.length < 2) return
    for (const at of timesOf(sketch, 8 * minuteMs)) {
      const some = names.filter(() => dice.chance(0.5))
      const side = some.length === 0 || some.length === names.length ? [dice.pick(names)] : some
      actions.push({ at, do: "partition", side, ms: between(dice, 2_000, 6 * minuteMs) })
    }
    for (const at of timesOf(sketch, 6 * minuteMs))
      actions.push({ at, do: "reset", a: dice.pick(names), b: dice.pick(names) })
  },
  drop: (sketch) => weather(sketch, (dice) => ({ do: "drop", loss: between(dice, 1, 10) / 100 })),
  dup: (sketch) => weather(sketch, (dice) => ({ do: "dup", dup: between(dice, 10, 60) / 100 })),
  reorder: (sketch) => weather(sketch, (dice) => ({ do: "reorder", shuffle: between(dice, 5, 50) / 100 })),
  delay: (sketch) => weather(sketch, (dice) => ({ do: "delay", delayMs: between(dice, 50, 3_000) })),
  crash: (sketch) => {
    const { dice, names, actions } = sketch
    for (const at of timesOf(sketch, 5 * minuteMs)) {
      const down = { at, node: dice.pick(names), ms: between(dice, 500, 2 * minuteMs) }
      actions.push(dice.chance(0.25) ? { ...down, do: "restart" } : { ...down, do: "crash", mute: dice.chance(0.5) })
    }
    each(sketch, 20 * minuteMs, () => ({ do: "thread", ms: dice.pick([0, 500, 30_000]) }))
    each(sketch, 8 * minuteMs, () => ({ do: "bug", actor: dice.pick(actors), times: dice.pick([1, 1, 2, 8]) }))
  },
  "torn-write": (sketch) =>
    each(sketch, 8 * minuteMs, (dice) => ({ do: "torn-write", ms: between(dice, 500, minuteMs) })),
  "disk-full": (sketch) => {
    const { dice, names, actions } = sketch
    for (const at of timesOf(sketch, 10 * minuteMs)) {
      const full = { node: dice.pick(names), ms: between(dice, 1_000, 3 * minuteMs) }
      actions.push({ at, do: "disk-full", ...full })
      // An operator who sees it stops the node.
      const stopsAt = at + dice.int(full.ms)
      if (dice.chance(0.3) && stopsAt < sketch.options.ms)
        actions.push({ at: stopsAt, do: "restart", node: full.node, ms: 5_000 })
    }
  },
  "clock-skew": (sketch) =>
    each(sketch, 8 * minuteMs, (dice) => ({
      do: "clock-skew",
      by: between(dice, -90_000, 90_000),
      ms: between(dice, 10_000, 10 * minuteMs)
    })),
  "slow-reader": (sketch) =>
    each(sketch, 8 * minuteMs, (dice) => ({
      do: "slow-reader",
      bytesPerSecond: between(dice, 100, 20_000),
      ms: between(dice, 5_000, 4 * minuteMs)
    })),
  byzantine: (sketch) =>
    each(sketch, minuteMs, (dice) => ({
      do: "byzantine",
      act: dice.pick(actsOf(sketch)),
      seed: dice.int(1_000_000)
    })),
  ban: (sketch) => {
    const { dice, names, actions } = sketch
    if (names.length < 2) return
    for (const at of timesOf(sketch, 8 * minuteMs)) {
      const first = dice.int(names.length)
      const other = (first + 1 + dice.int(names.length - 1)) % names.length
      actions.push({ at, do: "ban", node: names[first]!, peer: names[other]!, ms: between(dice, 5_000, 8 * minuteMs) })
    }
  }
}

type Bare = { readonly [K in Action["do"]]: Omit<Extract<Action, { do: K }>, "at" | "node"> }

const each = <K extends Action["do"]>(sketch: Sketch, meanMs: number, make: (dice: Dice) => Bare[K]): void => {
  const { dice, names, actions } = sketch
  for (const at of timesOf(sketch, meanMs))
    actions.push({ at, node: dice.pick(names), ...make(dice) } as unknown as Action)
}

const weather = (sketch: Sketch, make: (dice: Dice) => object): void => {
  const { dice, actions } = sketch
  for (const at of timesOf(sketch, 6 * minuteMs))
    actions.push({ at, ...make(dice), ms: between(dice, 5_000, 4 * minuteMs) } as unknown as Action)
}

/** A line, a star, or a web: who knows whom at first. */
const seedsOf = (dice: Dice, names: ReadonlyArray<string>): ReadonlyArray<ReadonlyArray<string>> => {
  const shape = dice.int(3)
  return names.map((_, i) => {
    if (i === 0) return []
    if (shape === 0) return [names[i - 1]!]
    if (shape === 1) return [names[0]!]
    return [...new Set([names[dice.int(i)]!, names[dice.int(i)]!])]
  })
}

/** The ledger of a seed: dice of its own, so that a fixed ledger changes nothing else. */
const ledgerOf = (seed: number): Model => makeDice(Math.imul(seed, 668_265_263) ^ 0x1ed6e4).pick(models)

/** The plan of a seed. */
export const makePlan = (options: SimOptions): Plan => {
  const dice = makeDice(Math.imul(options.seed, 2_654_435_761) ^ 0x5eed)
  const names = Array.from({ length: options.nodes }, (_, i) => `n${i}`)
  const wallets = 8
  const ledger = options.ledger ?? ledgerOf(options.seed)
  const sketch: Sketch = { dice, options, ledger, names, actions: [] }
  const seeds = seedsOf(dice, names)
  const nodes = names.map((name, i) => ({
    name,
    address: `10.0.0.${i + 1}`,
    seeds: seeds[i]!,
    hashesPerSecond: i === 0 || dice.chance(0.7) ? pace(dice) : 0
  }))
  const { paysPerMinute = 6, consensus = "pow", blockMs = 10_000 } = options
  planWork(sketch, wallets, paysPerMinute)
  if (ledger === "utxo") planCoins(sketch, wallets, paysPerMinute)
  for (const kind of faults) if (options.faults.includes(kind)) fault[kind](sketch)
  const honest = nodes.filter(({ hashesPerSecond }) => hashesPerSecond > 0).length
  const authority = consensus === "pow" ? {} : { authority: planAuthority(sketch, blockMs, honest) }
  const { gossip } = options
  return {
    seed: options.seed,
    ledger,
    ...authority,
    ...(gossip === undefined ? { nodes } : planGossip(sketch, gossip, nodes)),
    wallets,
    blockMs,
    endMs: options.ms,
    strategy: options.strategy ?? "uniform",
    preempt: options.preempt ?? 0.02,
    squeeze: options.squeeze ?? 1,
    ...(options.payloadBytesMax === undefined ? {} : { payloadBytesMax: options.payloadBytesMax }),
    actions: sketch.actions.sort((a, b) => a.at - b.at)
  }
}

/** How a swarm draws its runs: sizes, faults and strategies of which each run leaves some out. */
export const swarmOptions = (seed: number, ms: number): SimOptions => {
  const dice = makeDice(Math.imul(seed, 40_503) ^ 0x5a5a)
  // Dice of its own: what else a seed draws is as it was before there was data.
  const payloadBytesMax = makeDice(Math.imul(seed, 374_761_393) ^ 0xda7a).pick([undefined, undefined, 1, 40])
  const checkpointBlocks = makeDice(Math.imul(seed, 374_761_393) ^ 0xf1a1).pick([undefined, undefined, 2, 5])
  const later = makeDice(Math.imul(seed, 374_761_393) ^ 0x905519)
  const gossip = later.pick([undefined, undefined, "plain", "sealed"] as const)
  const bans = later.chance(0.3) ? (["ban"] as const) : []
  return {
    seed,
    nodes: between(dice, 1, 6),
    ms: between(dice, Math.floor(ms / 3), ms),
    faults: [...faults.filter((fault) => fault !== "ban" && dice.chance(0.4)), ...bans],
    paysPerMinute: dice.pick([2, 6, 20]),
    blockMs: dice.pick([2_000, 5_000, 10_000]),
    strategy: dice.pick(["uniform", "uniform", "sparse", "fifo"] as const),
    preempt: dice.pick([0, 0.02, 0.2]),
    squeeze: dice.pick([1, 1, 1, 16, 64]),
    ...(payloadBytesMax === undefined ? {} : { payloadBytesMax }),
    ...(checkpointBlocks === undefined ? {} : { checkpointBlocks }),
    ...(gossip === undefined ? {} : { gossip }),
    consensus: makeDice(Math.imul(seed, 374_761_393) ^ 0xc025).pick(["pow", "pow", "pow", "poa", "poa", "poa+pow"])
  }
}
