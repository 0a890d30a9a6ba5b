/** The node's metrics: one prefix, base units, never an address, hash or peer id as a label. The only file that knows the text form. */
import type { ActorWatch, Bound } from "./actor.ts"

export type Labels = Readonly<Record<string, string>>

interface Series {
  readonly name: string
  readonly help: string
  readonly type: "counter" | "gauge"
  readonly read: () => ReadonlyArray<readonly [labels: Labels, value: number]>
}

interface Counted {
  readonly labels: Labels
  value: number
}

/** Counters are plain numbers that their owner raises; gauges are read when someone looks. Nothing is paid on the hot path. */
export class Metrics {
  private readonly series = new Map<string, Series>()

  /** A family of counters by labels. */
  counters(name: string, help: string): (labels: Labels, by?: number) => void {
    const values = new Map<string, Counted>()
    // Whoever counts often does so with the same labels, the same object.
    const seen = new WeakMap<Labels, Counted>()
    this.series.set(name, {
      name,
      help,
      type: "counter",
      read: () => [...values.values()].map(({ labels, value }) => [labels, value])
    })
    return (labels, by = 1) => {
      const at = seen.get(labels)
      if (at !== undefined) return void (at.value += by)
      const key = JSON.stringify(labels)
      const known = values.get(key) ?? { labels, value: 0 }
      known.value += by
      values.set(key, known)
      seen.set(labels, known)
    }
  }

  /** A family read on demand. */
  read(name: string, help: string, type: Series["type"], read: Series["read"]): void {
    this.series.set(name, { name, help, type, read })
  }

  /** A single gauge. */
  gauge(name: string, help: string, read: () => number): void {
    this.read(name, help, "gauge", () => [[{}, read()]])
  }

  /** The Prometheus text form, version 0.0.4. */
  format(): string {
    const lines: Array<string> = []
    for (const { name, help, type, read } of this.series.values()) {
      lines.push(`# HELP ${name} ${help}`, `# TYPE ${name} ${type}`)
      for (const [labels, value] of read()) lines.push(`${name}${formatLabels(labels)} ${value}`)
    }
    return `${lines.join("\n")}\n`
  }
}

const escape = (value: string): string => value.replace(/\\/g, "\\\\").replace(/"/g, '\\"').replace(/\n/g, "\\n")

const formatLabels = (labels: Labels): string => {
  const pairs = Object.entries(labels).map(([name, value]) => `${name}="${escape(value)}"`)
  return pairs.length === 0 ? "" : `{${pairs.join(",")}}`
}

/** A bound with who holds it: an actor, `session-<n>`, or a part of the tree that is none. */
export interface HeldBound extends Bound {
  readonly actor: string
}

/** The label of an actor. Sessions share one: labels must not grow with their number. */
export const labelOf = (actor: string): string => (actor.startsWith("session-") ? "session" : actor)

/** Shows bounds as gauges; of sessions the fullest. */
export const showBounds = (metrics: Metrics, bounds: () => ReadonlyArray<HeldBound>): void => {
  const fullest = (): ReadonlyArray<HeldBound> => {
    const rows = new Map<string, HeldBound>()
    for (const bound of bounds()) {
      const actor = labelOf(bound.actor)
      const key = `${actor} ${bound.of}`
      if (bound.used >= (rows.get(key)?.used ?? 0)) rows.set(key, { ...bound, actor })
    }
    return [...rows.values()]
  }
  metrics.read(
    "cairn_bounded_items",
    "What is held in bounded memory, by actor; of sessions the fullest.",
    "gauge",
    () => fullest().map(({ actor, of, used }) => [{ actor, of }, used])
  )
  metrics.read("cairn_bounded_items_max", "What cairn_bounded_items never exceeds.", "gauge", () =>
    fullest().map(({ actor, of, max }) => [{ actor, of }, max])
  )
}

/** The four figures of every actor but its inbox, which is read when asked for. Sessions share one label. */
export const watchWith = (metrics: Metrics): ActorWatch => {
  const dropped = metrics.counters(
    "cairn_actor_dropped_total",
    "Messages refused or lost to a full inbox, by actor and kind."
  )
  const handled = metrics.counters("cairn_actor_messages_total", "Messages handled, by actor.")
  const seconds = metrics.counters("cairn_actor_busy_seconds_total", "Seconds spent handling, by actor.")
  const labels = new Map<string, Labels>()
  const labelsOf = (actor: string): Labels => {
    const name = labelOf(actor)
    const known = labels.get(name) ?? { actor: name }
    labels.set(name, known)
    return known
  }
  return {
    dropped: (actor, kind) => dropped({ actor: labelOf(actor), kind }),
    handled: (actor, count, spent) => {
      const one = labelsOf(actor)
      handled(one, count)
      seconds(one, spent)
    }
  }
}

/** Hashes tried, in all and in the last second. */
export class HashRate {
  private total = 0
  private before = 0
  rate = 0

  constructor(metrics: Metrics) {
    metrics.read("cairn_miner_hashes_total", "Hashes tried.", "counter", () => [[{}, this.total]])
  }
  readonly add = (count: number): void => void (this.total += count)
  readonly tick = (): void => {
    this.rate = this.total - this.before
    this.before = this.total
  }
}
