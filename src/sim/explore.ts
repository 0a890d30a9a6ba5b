/**
 * All orders of a small program. `exhaustive` runs it again and again, each time another way, until every order of its steps has
 * been seen or the bound is reached; `random` draws orders from seeds. A step is what one fiber does between two waits, or one
 * timer; with preemptions also a part of that.
 *
 *   path of nodes ─► run: the path's choices, then the first ones ─► the deepest node with a choice left takes it ─► run …
 *
 * Two steps whose footprints do not meet give the same in either order, so one order of them is enough. Who need not be tried is
 * found by sleep sets (Godefroid, "Partial-Order Methods", 1996), who must be by races: two steps that meet, where the later could
 * have come first (source sets: Abdulla, Aronis, Jonsson, Sagonas, "Optimal Dynamic Partial Order Reduction", 2014). So each class
 * of orders is run once. That holds only if footprints tell all, so `reduce` is a promise of the program: it declares what its
 * steps share, by cells, signals, `tracked` objects, `touch`, or actors under `watching`. A step that declares nothing, or waits
 * for something undeclared, is in everybody's way all the same.
 */
import { Effect, Exit } from "effect"
import { boring, type Choices, countOf, type Deviations, RecordedChoices, SeededChoices } from "./choices.ts"
import { type Dice, makeDice } from "./dice.ts"
import { type Choice, Halt, Recorder, type Step, type Strategy, upTo, watchedBy } from "./footprint.ts"
import { errorOf, Stuck, World } from "./world.ts"

export interface Bound {
  /** Runs, those cut short included. */
  readonly runs: number
  /** Steps of one run; a longer one is given up. 1,000 unless told. */
  readonly steps?: number
  /** Preemptions in one run; none unless told. */
  readonly preemptions?: number
}

export type ExploreStrategy =
  /** `reduce`: the program declares all that its steps share. */
  | { readonly kind: "exhaustive"; readonly reduce?: boolean }
  | { readonly kind: "random"; readonly seed?: number }
  /** Probabilistic concurrency testing (Burckhardt et al. 2010): finds a bug of this depth with a known probability. */
  | { readonly kind: "pct"; readonly depth: number; readonly seed?: number }

export interface Exploration<A, E> {
  /** Makes the program anew: nothing that it changes may outlive a run. What it gives is the outcome, told apart as JSON. */
  readonly program: () => Effect.Effect<A, E>
  /** What is wrong with an outcome; undefined: nothing. A run that fails or waits for ever is wrong in any case. */
  readonly check?: (outcome: A) => string | undefined
  readonly bound: Bound
  readonly strategy: ExploreStrategy
}

export interface Found {
  readonly message: string
  /** Which run it was, from 1. */
  readonly run: number
  /** Made short: no deviation can be taken away. For `replay`. */
  readonly choices: Deviations
}

export interface Findings {
  /** Runs that came to an end. */
  readonly runs: number
  /** Runs given up because another has shown, or will show, the same. */
  readonly cut: number
  /** Runs given up as too long. */
  readonly deep: number
  /** Nothing is left to see within the bound of preemptions. */
  readonly complete: boolean
  /** What runs ended with, and how many did so. */
  readonly outcomes: ReadonlyMap<string, number>
  readonly failures: number
  readonly first: Found | undefined
}

export interface Replayed {
  readonly outcome: string
  readonly failure: string | undefined
  /** A line for each step: who, and what it shared. */
  readonly steps: ReadonlyArray<string>
}

const stepsMax = 1_000
/** A random preemption comes after at most so many operations, and so often. */
const randomOpsMax = 20
const randomPreempt = 0.1
/** Runs spent on making a failure short. */
const shrinkRunsMax = 500

// ── one run ──────────────────────────────────────────────────────────────────────────────────────────────────────────

interface Run<A, E> {
  readonly halted: Halt["why"] | undefined
  readonly exit: Exit.Exit<A, E>
  readonly steps: number
}

const runOnce = <A, E>({ program, bound }: Exploration<A, E>, strategy: Strategy): Run<A, E> => {
  const recorder = new Recorder(strategy, bound.steps ?? stepsMax)
  const world = new World({ choices: new RecordedChoices(boring), guide: recorder, preempt: 0 })
  try {
    const exit = watchedBy(recorder, () => world.run(recorder.around(Effect.suspend(program))))
    return { halted: undefined, exit, steps: recorder.steps }
  } catch (error) {
    if (error instanceof Halt) return { halted: error.why, exit: Exit.die(error), steps: recorder.steps }
    if (error instanceof Stuck) return { halted: undefined, exit: Exit.die(error), steps: recorder.steps }
    throw error
  }
}

// ── strategies ───────────────────────────────────────────────────────────────────────────────────────────────────────

/** One step of the path in hand, and what is left to try in its place. */
interface Node {
  readonly enabled: ReadonlyArray<number>
  /** Where the instant of this step began. */
  readonly instant: number
  /** Steps that need not be taken here: in another run they came earlier, and nothing since has met what they meet. */
  readonly asleep: ReadonlyArray<Step>
  /** Preemptions before this step. */
  readonly preempted: number
  /** Who is not to be taken here. */
  readonly barred: number | undefined
  readonly done: Array<Step>
  /** Whose turn here has been taken, or will be. */
  readonly wanted: Set<number>
  readonly todo: Array<Choice>
  now: Choice
  step: Step | undefined
}

/** Depth first over all choices; reduced, over those that a race asks for. */
class Exhaustive implements Strategy {
  private readonly path: Array<Node> = []
  private depth = 0
  private readonly reduce: boolean
  private readonly preemptions: number

  constructor(reduce: boolean, preemptions: number) {
    this.reduce = reduce
    this.preemptions = preemptions
  }

  next(enabled: ReadonlyArray<number>, late: boolean): Choice {
    const node = this.path[this.depth] ?? this.grow(enabled, late)
    if (node.enabled.join() !== enabled.join())
      throw new Error("the program is not the same in every run: does it share something with the run before?")
    this.depth++
    return node.now
  }

  did(step: Step): void {
    this.path[this.depth - 1]!.step = step
  }

  choices(): Deviations {
    const kept = (of: "at" | "ops"): ReadonlyArray<readonly [number, number]> =>
      this.path.slice(0, this.depth).flatMap(({ now }, i) => (now[of] === 0 ? [] : [[i, now[of]] as const]))
    return { ...boring, order: kept("at"), preempt: kept("ops") }
  }

  /** Makes the path the next one. `ended`: the run before came to its end. False: there is no next. */
  advance(ended: boolean): boolean {
    if (this.reduce) this.findRaces(ended)
    this.depth = 0
    for (let node = this.path.at(-1); node !== undefined; node = this.path.at(-1)) {
      const next = this.another(node)
      if (next !== undefined) {
        node.now = next
        return true
      }
      this.path.pop()
    }
    return false
  }

  /** What to do at a node instead, when everything after its present choice has been seen. */
  private another(node: Node): Choice | undefined {
    const { now, step, enabled } = node
    if (step !== undefined) node.done.push(step)
    if (now.ops === 0 && node.preempted < this.preemptions) {
      const all = this.reduce ? step?.cuts : upTo(step?.operations ?? 0)
      const cuts = (all ?? []).filter((ops) => !sleeps(node.asleep, enabled[now.at]!, ops))
      node.todo.unshift(...cuts.map((ops) => ({ at: now.at, ops })))
    }
    return node.todo.shift()
  }

  private grow(enabled: ReadonlyArray<number>, late: boolean): Node {
    const parent = this.path.at(-1)
    const last = parent?.step
    const asleep =
      !this.reduce || parent === undefined || last === undefined
        ? []
        : [...parent.asleep, ...parent.done].filter(
            ({ id, footprint }) => id !== last.id && footprint.apartFrom(last.footprint)
          )
    const node: Node = {
      enabled,
      instant: late ? this.path.length : (parent?.instant ?? 0),
      asleep,
      preempted: (parent?.preempted ?? 0) + (last !== undefined && last.ops > 0 ? 1 : 0),
      // Whoever was preempted and goes on at once was not preempted.
      barred: this.reduce && last !== undefined && last.ops > 0 ? last.id : undefined,
      done: [],
      wanted: new Set(),
      todo: [],
      now: { at: 0, ops: 0 },
      step: undefined
    }
    for (const id of enabled) if (!this.reduce || node.todo.length === 0) want(node, id)
    const now = node.todo.shift()
    if (now === undefined) throw new Halt("asleep")
    node.now = now
    this.path.push(node)
    return node
  }

  /** Asks, for each race of the run, for a run in which it ends the other way. */
  private findRaces(ended: boolean): void {
    const { path } = this
    // The end of a run keeps others from what they would have done.
    const end = path.at(-1)
    if (ended && end !== undefined) for (const id of end.enabled) want(end, id)
    /** For each step those of its instant that it follows from. */
    const before: Array<Set<number>> = []
    path.forEach(({ step, instant }, j) => {
      const causes = new Set<number>()
      before.push(causes)
      const waker = this.wakerOf(j)
      for (let i = j - 1; i >= instant && step !== undefined; i--) {
        const earlier = path[i]!.step!
        // It could not have come before its own lane's last step, or before that which made its lane runnable.
        const bound = earlier.id === step.id || waker === i
        if (causes.has(i) || (!bound && earlier.footprint.apartFrom(step.footprint))) continue
        if (!bound) this.reverse(i, j, before)
        causes.add(i)
        for (const cause of before[i]!) causes.add(cause)
      }
    })
  }

  /** The step that made the lane of step j runnable; -1: none since the beginning. */
  private wakerOf(j: number): number {
    const { path } = this
    const { id } = path[j]!.step!
    let at = j
    while (at >= 0 && path[at]!.enabled.includes(id)) at--
    return at
  }

  /** Sees to it that in some run what led to step j without step i comes first. */
  private reverse(i: number, j: number, before: ReadonlyArray<ReadonlySet<number>>): void {
    const { path } = this
    const node = path[i]!
    const leading: Array<number> = []
    for (let k = i + 1; k <= j; k++) if (k === j || !before[k]!.has(i)) leading.push(k)
    const idOf = (k: number): number => path[k]!.step!.id
    const starts = leading.filter((k, n) => leading.slice(0, n).every((m) => idOf(m) !== idOf(k) && !before[k]!.has(m)))
    const able = starts.map(idOf).filter((id) => node.enabled.includes(id))
    if (able.some((id) => node.wanted.has(id))) return
    const [first] = able
    for (const id of first === undefined ? node.enabled : [first]) want(node, id)
  }
}

/** Sees to it that this lane or timer is taken at a node, unless that would show nothing new. */
const want = (node: Node, id: number): void => {
  if (node.wanted.has(id)) return
  node.wanted.add(id)
  if (id !== node.barred && !sleeps(node.asleep, id, 0)) node.todo.push({ at: node.enabled.indexOf(id), ops: 0 })
}

const sleeps = (asleep: ReadonlyArray<Step>, id: number, ops: number): boolean =>
  asleep.some((step) => step.id === id && step.ops === ops)

/** Whatever the choices say. Both streams are asked at each step, so a place in a recording is the number of a step. */
class Following implements Strategy {
  readonly lines: Array<string> = []
  private readonly from: Choices
  private readonly opsMax: number
  private preemptions: number

  constructor(from: Choices, preemptions: number, opsMax: number) {
    this.from = from
    this.preemptions = preemptions
    this.opsMax = opsMax
  }

  next(enabled: ReadonlyArray<number>): Choice {
    const at = this.from.pick("order", enabled.length)
    const ops = this.from.rare("preempt", this.preemptions > 0 ? randomPreempt : 0, this.opsMax)
    if (ops > 0) this.preemptions--
    return { at, ops }
  }

  did({ who, ops, footprint }: Step): void {
    const names = [...footprint.met.keys()].filter((what) => typeof what === "string")
    const shared = footprint.opaque ? ["anything"] : names
    this.lines.push(`${who}${ops > 0 ? `, preempted after ${ops} operations` : ""}: ${shared.join(", ") || "-"}`)
  }

  choices(): Deviations {
    return this.from instanceof SeededChoices ? this.from.deviations() : boring
  }
}

/** Whoever has the highest priority, drawn at first sight; at a few steps, drawn as well, whoever has it becomes the lowest. */
class Priorities implements Strategy {
  private readonly dice: Dice
  private readonly of = new Map<number, number>()
  /** The steps at which a priority changes, in the order of what it becomes. */
  private readonly changes: ReadonlyArray<number>
  private readonly order: Array<readonly [number, number]> = []
  private readonly preempt: Array<readonly [number, number]> = []
  private preemptions: number
  private place = 0

  constructor(seed: number, wish: { readonly depth: number; readonly length: number; readonly preemptions: number }) {
    this.dice = makeDice(seed)
    this.changes = Array.from({ length: wish.depth - 1 }, () => this.dice.int(Math.max(1, wish.length)))
    this.preemptions = wish.preemptions
  }

  next(enabled: ReadonlyArray<number>): Choice {
    const place = this.place++
    for (const id of enabled) if (!this.of.has(id)) this.of.set(id, this.changes.length + this.dice.int(2 ** 30))
    const change = this.changes.indexOf(place)
    let at = this.highest(enabled)
    let ops = 0
    if (change >= 0) {
      this.of.set(enabled[at]!, change)
      if (this.preemptions > 0) ops = 1 + this.dice.int(randomOpsMax)
      else at = this.highest(enabled)
    }
    if (ops > 0) this.preemptions--
    if (at > 0) this.order.push([place, at])
    if (ops > 0) this.preempt.push([place, ops])
    return { at, ops }
  }

  choices(): Deviations {
    return { ...boring, order: this.order, preempt: this.preempt }
  }

  private highest(enabled: ReadonlyArray<number>): number {
    return enabled.reduce((best, id, at) => (this.of.get(id)! > this.of.get(enabled[best]!)! ? at : best), 0)
  }
}

// ── many runs ────────────────────────────────────────────────────────────────────────────────────────────────────────

const outcomeOf = <A, E>(exit: Exit.Exit<A, E>): string => {
  if (Exit.isSuccess(exit)) {
    const text = (_: string, value: unknown): unknown => (typeof value === "bigint" ? String(value) : value)
    return JSON.stringify(exit.value, text) ?? "undefined"
  }
  const { name, message } = errorOf(exit)
  return `${name}: ${message}`
}

const wrongWith = <A, E>({ check }: Exploration<A, E>, exit: Exit.Exit<A, E>): string | undefined =>
  Exit.isSuccess(exit) ? check?.(exit.value) : outcomeOf(exit)

/** What has come out so far. */
class Tally<A, E> {
  private readonly what: Exploration<A, E>
  private readonly outcomes = new Map<string, number>()
  private readonly halted = { asleep: 0, deep: 0 }
  private runs = 0
  private failures = 0
  private first: Found | undefined

  constructor(what: Exploration<A, E>) {
    this.what = what
  }

  get all(): number {
    return this.runs + this.halted.asleep + this.halted.deep
  }

  /** One run more. */
  run(strategy: Strategy): { readonly steps: number; readonly ended: boolean } {
    const { halted, exit, steps } = runOnce(this.what, strategy)
    if (halted !== undefined) {
      this.halted[halted]++
      return { steps, ended: false }
    }
    this.runs++
    const outcome = outcomeOf(exit)
    this.outcomes.set(outcome, (this.outcomes.get(outcome) ?? 0) + 1)
    const message = wrongWith(this.what, exit)
    if (message === undefined) return { steps, ended: true }
    this.failures++
    this.first ??= { message, run: this.all, choices: shorten(this.what, strategy.choices(), message) }
    return { steps, ended: true }
  }

  findings(exhausted: boolean): Findings {
    const { runs, outcomes, failures, first } = this
    const { asleep, deep } = this.halted
    return { runs, cut: asleep, deep, complete: exhausted && deep === 0, outcomes, failures, first }
  }
}

/** Takes deviations away, many at once and then one by one, as long as the same goes wrong. */
const shorten = <A, E>(what: Exploration<A, E>, choices: Deviations, message: string): Deviations => {
  let best = choices
  let left = shrinkRunsMax
  for (let size = countOf(best); size >= 1; size = Math.min(size >> 1, countOf(best))) {
    for (let from = 0; from < countOf(best); ) {
      if (left-- === 0) return best
      const fewer = without(best, from, size)
      if (replay(what, fewer).failure === message) best = fewer
      else from += size
    }
  }
  return best
}

/** Deviations but for some: counted through the order of steps first, then through preemptions. */
const without = ({ order, preempt }: Deviations, from: number, size: number): Deviations => {
  const kept = (i: number): boolean => i < from || i >= from + size
  return {
    ...boring,
    order: order.filter((_, i) => kept(i)),
    preempt: preempt.filter((_, i) => kept(order.length + i))
  }
}

/** Runs the program in many orders. */
export const explore = <A, E>(what: Exploration<A, E>): Findings => {
  const { bound, strategy } = what
  const { runs, preemptions = 0 } = bound
  const tally = new Tally(what)
  if (strategy.kind === "exhaustive") {
    const search = new Exhaustive(strategy.reduce ?? false, preemptions)
    let more = true
    while (more && tally.all < runs) more = search.advance(tally.run(search).ended)
    return tally.findings(!more)
  }
  const seed = strategy.seed ?? 0
  let length = 0
  while (tally.all < runs) {
    const at = seed + tally.all
    const next =
      strategy.kind === "random"
        ? new Following(new SeededChoices(at, "uniform", true), preemptions, randomOpsMax)
        : new Priorities(at, { depth: strategy.depth, length, preemptions })
    length = tally.run(next).steps
  }
  return tally.findings(false)
}

/** Runs the program in one order: that of a failure found, or, without deviations, the boring one. */
export const replay = <A, E>(what: Exploration<A, E>, choices: Deviations = boring): Replayed => {
  const strategy = new Following(new RecordedChoices(choices), 0, Number.MAX_SAFE_INTEGER)
  const { exit, halted } = runOnce(what, strategy)
  const failure = halted === undefined ? wrongWith(what, exit) : undefined
  return { outcome: halted ?? outcomeOf(exit), failure, steps: strategy.lines }
}

/** Choices as one line: the place of each deviation and what was chosen there. */
export const formatChoices = ({ order, preempt }: Deviations): string =>
  [["order", order] as const, ["preempt", preempt] as const]
    .filter(([, list]) => list.length > 0)
    .map(([name, list]) => `${name} ${list.map(([place, value]) => `${place}:${value}`).join(" ")}`)
    .join(", ") || "boring"
