/**
 * Makes a failing run small: fewer actions, fewer nodes, less time, fewer deviations from boredom, as long as it fails in the same
 * way. What is left is what the failure needs.
 */
import { boring, countOf, type Deviations, RecordedChoices, SeededChoices, type Stream, streams } from "./choices.ts"
import type { Plan, PlannedNode } from "./plan.ts"
import { type Report, type RunOptions, simulate } from "./run.ts"

export interface ShrinkOptions {
  /** What else must hold; see RunOptions. */
  readonly check?: RunOptions["check"]
  /** True when no more runs should be made. */
  readonly spent: () => boolean
  readonly onProgress?: (state: {
    readonly runs: number
    readonly actions: number
    readonly nodes: number
    readonly deviations: number | undefined
  }) => void
}

export interface Shrunk {
  readonly plan: Plan
  /** Undefined: those of the plan's seed, if the time was over before they were looked at. */
  readonly choices: Deviations | undefined
  readonly report: Report
  readonly runs: number
}

/** Removes what is not needed: halves first, then quarters, down to single ones (delta debugging, Zeller 1999). */
const reduce = <A>(items: ReadonlyArray<A>, fails: (items: ReadonlyArray<A>) => boolean): ReadonlyArray<A> => {
  let kept = items
  for (let size = Math.ceil(kept.length / 2); size >= 1; ) {
    let removed = false
    for (let at = 0; at < kept.length; ) {
      const without = [...kept.slice(0, at), ...kept.slice(at + size)]
      if (fails(without)) {
        kept = without
        removed = true
      } else at += size
    }
    if (!removed || size > 1) size = size === 1 ? 0 : Math.ceil(size / 2)
  }
  return kept
}

class Shrinker {
  runs = 0
  best: Report
  private plan: Plan
  private deviations: Deviations | undefined
  private readonly kind: string
  private readonly options: ShrinkOptions

  constructor(plan: Plan, choices: Deviations | undefined, options: ShrinkOptions) {
    this.plan = plan
    this.deviations = choices
    this.options = options
    this.best = this.run(plan, choices)
    this.kind = this.best.kind ?? ""
  }

  get fails(): boolean {
    return this.best.failure !== undefined
  }

  shrink(): Shrunk {
    this.time()
    this.actions()
    this.nodes()
    this.time()
    this.actions()
    this.settleChoices()
    return { plan: this.plan, choices: this.deviations, report: this.best, runs: this.runs }
  }

  private run(plan: Plan, choices: Deviations | undefined): Report {
    const { check } = this.options
    return simulate(plan, {
      choices: choices === undefined ? new SeededChoices(plan.seed, plan.strategy) : new RecordedChoices(choices),
      ...(check === undefined ? {} : { check })
    })
  }

  /** Does it still fail in the same way? Then this is what goes on. */
  private try(plan: Plan, choices: Deviations | undefined): boolean {
    if (this.options.spent()) return false
    this.runs++
    const report = this.run(plan, choices)
    const same = report.kind === this.kind
    if (same) {
      this.best = report
      this.plan = plan
      this.deviations = choices
    }
    this.options.onProgress?.({
      runs: this.runs,
      actions: this.plan.actions.length,
      nodes: this.plan.nodes.length,
      deviations: this.deviations === undefined ? undefined : countOf(this.deviations)
    })
    return same
  }

  private actions(): void {
    reduce(this.plan.actions, (actions) => this.try({ ...this.plan, actions }, this.deviations))
  }

  /** Nodes that nothing speaks of; whoever knew one of them knows those whom it knew. */
  private nodes(): void {
    for (const { name } of this.plan.nodes) {
      const { nodes, actions } = this.plan
      if (nodes.length === 1 || actions.some((action) => JSON.stringify(action).includes(`"${name}"`))) continue
      const gone = nodes.find((node) => node.name === name)!
      const left = nodes.filter((node) => node.name !== name).map((node) => without(node, gone))
      this.try({ ...this.plan, nodes: left }, this.deviations)
    }
  }

  /** Ends the work when the run has failed, or else right after its last action. */
  private time(): void {
    const { actions, endMs } = this.plan
    const last = actions.at(-1)?.at ?? 0
    for (const end of [this.best.elapsed, last + 60_000])
      if (
        end < endMs &&
        this.try({ ...this.plan, endMs: end, actions: actions.filter(({ at }) => at <= end) }, this.deviations)
      )
        return
  }

  /** First without any deviation; then with fewer and fewer of those that the run had. */
  private settleChoices(): void {
    if (this.try({ ...this.plan, preempt: 0 }, boring) || this.try(this.plan, boring)) return
    const all = this.deviations ?? this.record()
    if (!this.try(this.plan, all)) return
    const flat = streams.flatMap((stream) => all[stream].map((pair) => ({ stream, pair })))
    reduce(flat, (kept) => this.try(this.plan, unflat(kept)))
  }

  /** The deviations of the seed's own choices. */
  private record(): Deviations {
    const choices = new SeededChoices(this.plan.seed, this.plan.strategy, true)
    const { check } = this.options
    simulate(this.plan, { choices, ...(check === undefined ? {} : { check }) })
    return choices.deviations()
  }
}

/** A node that knows those whom another knew, in place of that other. */
const without = (node: PlannedNode, gone: PlannedNode): PlannedNode => {
  const instead = (names: ReadonlyArray<string>, knew: ReadonlyArray<string>): ReadonlyArray<string> => {
    const all = names.flatMap((name) => (name === gone.name ? knew : [name]))
    return [...new Set(all)].filter((name) => name !== node.name)
  }
  const seeds = instead(node.seeds, gone.seeds)
  const { gossipSeeds } = node
  if (gossipSeeds === undefined) return { ...node, seeds }
  return { ...node, seeds, gossipSeeds: instead(gossipSeeds, [...(gone.gossipSeeds ?? []), ...gone.seeds]) }
}

const unflat = (
  flat: ReadonlyArray<{ readonly stream: Stream; readonly pair: readonly [number, number] }>
): Deviations =>
  Object.fromEntries(
    streams.map((stream) => [stream, flat.filter((one) => one.stream === stream).map(({ pair }) => pair)])
  ) as unknown as Deviations

/** Shrinks a failing run. Undefined: it does not fail here. */
export const shrink = (plan: Plan, choices: Deviations | undefined, options: ShrinkOptions): Shrunk | undefined => {
  const shrinker = new Shrinker(plan, choices, options)
  return shrinker.fails ? shrinker.shrink() : undefined
}
