/**
 * Makes a failing run small: fewer actions, fewer nodes, less time, fewer deviations from boredom, as long as it fails in the same
 * way. What is left is what the failure needs.
 */
import { boring, countOf, type Deviations, RecordedChoices, SeededChoices, type Stream, streams } from "./choices.ts"
import type { Plan } from "./plan.ts"
import { type Report, simulate } from "./run.ts"

export interface ShrinkOptions {
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
  readonly choices: Deviations
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
    this.best = simulate(plan, { choices: this.choicesOf(plan, choices) })
    this.kind = this.best.kind ?? ""
  }

  get fails(): boolean {
    return this.best.failure !== undefined
  }

  shrink(): Shrunk {
    this.actions()
    this.nodes()
    this.time()
    this.actions()
    this.settleChoices()
    return { plan: this.plan, choices: this.deviations ?? boring, report: this.best, runs: this.runs }
  }

  private choicesOf(plan: Plan, choices: Deviations | undefined) {
    return choices === undefined ? new SeededChoices(plan.seed, plan.strategy) : new RecordedChoices(choices)
  }

  /** Does it still fail in the same way? Then this is what goes on. */
  private try(plan: Plan, choices: Deviations | undefined): boolean {
    if (this.options.spent()) return false
    this.runs++
    const report = simulate(plan, { choices: this.choicesOf(plan, choices) })
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
    for (const { name, seeds } of this.plan.nodes) {
      if (this.plan.nodes.length === 1 || this.plan.actions.some((action) => JSON.stringify(action).includes(`"${name}"`)))
        continue
      const nodes = this.plan.nodes
        .filter((node) => node.name !== name)
        .map((node) => ({
          ...node,
          seeds: [...new Set(node.seeds.flatMap((seed) => (seed === name ? seeds : [seed])))].filter((seed) => seed !== node.name)
        }))
      this.try({ ...this.plan, nodes }, this.deviations)
    }
  }

  /** Ends the work right after the last action. */
  private time(): void {
    const last = this.plan.actions.at(-1)?.at ?? 0
    const endMs = Math.min(this.plan.endMs, last + 60_000)
    if (endMs < this.plan.endMs) this.try({ ...this.plan, endMs }, this.deviations)
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
    simulate(this.plan, { choices })
    return choices.deviations()
  }
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
