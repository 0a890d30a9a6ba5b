/**
 * The one funnel of chance in a world. Everything that could go another way is a choice, and 0 is always the boring one: the
 * fiber that waits longest, no preemption, the least delay, no fault. So a run is its deviations from boredom, a recording is a
 * list of them, and shrinking is taking some away.
 */
import { type Dice, makeDice } from "./dice.ts"

/**
 * What is chosen: which fiber goes next, after how many operations one is preempted, how long a segment travels, whether it is
 * lost, which sectors a torn write leaves, which timer of one instant is first.
 */
export const streams = ["order", "preempt", "delay", "loss", "sector", "thread"] as const
export type Stream = (typeof streams)[number]

export interface Choices {
  /** 0 to n - 1. */
  readonly pick: (stream: Stream, n: number) => number
  /** 0, or with the probability p one of 1 to n. */
  readonly rare: (stream: Stream, p: number, n: number) => number
}

/** The deviations of a run: for each stream pairs of place (how many choices before it) and value. */
export type Deviations = Readonly<Record<Stream, ReadonlyArray<readonly [place: number, value: number]>>>

/**
 * How choices are drawn. `uniform`: all alike. `fifo`: always the boring order. `sparse`: boring order but for one choice in ten,
 * which finds what hides behind a single unlucky moment.
 */
export type Strategy = "uniform" | "fifo" | "sparse"

interface Cursor {
  place: number
  readonly dice: Dice
  readonly kept: Array<readonly [number, number]>
}

/** Draws from a seed, each stream from dice of its own: a choice more in one does not shift the others. */
export class SeededChoices implements Choices {
  private readonly cursors: Readonly<Record<Stream, Cursor>>
  private readonly strategy: Strategy
  private readonly keep: boolean

  /** `keep`: deviations are remembered, for a recording. */
  constructor(seed: number, strategy: Strategy = "uniform", keep = false) {
    const cursor = (i: number): Cursor => ({ place: 0, dice: makeDice(Math.imul(seed, 31) + i * 7919), kept: [] })
    this.cursors = Object.fromEntries(streams.map((stream, i) => [stream, cursor(i)])) as Record<Stream, Cursor>
    this.strategy = strategy
    this.keep = keep
  }

  pick(stream: Stream, n: number): number {
    const cursor = this.cursors[stream]
    return this.chosen(cursor, n < 2 || this.bored(stream, cursor) ? 0 : cursor.dice.int(n))
  }

  rare(stream: Stream, p: number, n: number): number {
    const cursor = this.cursors[stream]
    return this.chosen(cursor, p > 0 && cursor.dice.chance(p) ? 1 + cursor.dice.int(n) : 0)
  }

  /** What was not boring so far. Empty unless deviations are kept. */
  deviations(): Deviations {
    return Object.fromEntries(streams.map((stream) => [stream, this.cursors[stream].kept])) as unknown as Deviations
  }

  private bored(stream: Stream, { dice }: Cursor): boolean {
    if (stream !== "order" || this.strategy === "uniform") return false
    return this.strategy === "fifo" || !dice.chance(0.1)
  }

  private chosen(cursor: Cursor, value: number): number {
    if (this.keep && value !== 0) cursor.kept.push([cursor.place, value])
    cursor.place++
    return value
  }
}

/** Repeats a recording: boring wherever it has nothing to say. */
export class RecordedChoices implements Choices {
  private readonly cursors: Readonly<Record<Stream, { place: number; next: number }>>
  private readonly recorded: Deviations

  constructor(recorded: Deviations) {
    this.recorded = recorded
    this.cursors = Object.fromEntries(streams.map((stream) => [stream, { place: 0, next: 0 }])) as never
  }

  pick(stream: Stream, n: number): number {
    return Math.min(this.take(stream), Math.max(0, n - 1))
  }

  rare(stream: Stream, _: number, n: number): number {
    return Math.min(this.take(stream), n)
  }

  private take(stream: Stream): number {
    const cursor = this.cursors[stream]
    const due = this.recorded[stream][cursor.next]
    const at = cursor.place++
    if (due === undefined || due[0] !== at) return 0
    cursor.next++
    return due[1]
  }
}

/** No deviation at all. */
export const boring: Deviations = { order: [], preempt: [], delay: [], loss: [], sector: [], thread: [] }

/** How many deviations there are. */
export const countOf = (deviations: Deviations): number =>
  streams.reduce((sum, stream) => sum + deviations[stream].length, 0)
