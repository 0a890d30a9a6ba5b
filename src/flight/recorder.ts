/**
 * The live side: runs a deck in slices as the scheduler of production does, and journals what comes in.
 *
 *   I/O callback, timer, caller ─► sample of the clock ─► journal ─► deck ─► a slice of tasks ─► journal to disk
 */
import type { Context, Effect } from "effect"
import type { Tree, TreeFault } from "../../actors/tree.ts"
import { type Audience, Deck, type Outside, type Tape } from "./deck.ts"
import type { Fields, Input, Kind } from "./entry.ts"
import { JournalWriter } from "./journal.ts"

/** What the machine gives a recorder: time, and turns. Tests give their own. */
export interface Machine {
  /** Milliseconds of a clock that only goes forward. */
  readonly monotonicMs: () => number
  readonly wallMs: () => number
  readonly soon: (f: () => void) => void
  /** Gives what calls it off. */
  readonly later: (ms: number, f: () => void) => () => void
}

const timerMsMax = 2 ** 31 - 1

/** The machine as it is, with the wall clock that the program goes by. */
export const machineWith = (wallMs: () => number): Machine => ({
  wallMs,
  monotonicMs: () => performance.now(),
  soon: (f) => void setImmediate(f),
  later: (ms, f) => {
    const timer = setTimeout(f, Math.min(ms, timerMsMax))
    return () => clearTimeout(timer)
  }
})

const sliceMs = 4
/** Milliseconds between the clocks that are rounding and no more. */
const roundingMs = 2

export interface RecorderOptions {
  /** Undefined: nothing is written. */
  readonly folder: string | undefined
  /** Bytes of journal after which `onFull` is told, and those after which it ends. */
  readonly bytesWanted: number
  readonly bytesMax: number
  readonly outside: Outside
  readonly audience: Audience
  readonly onFull: () => void
  readonly onFault: (reason: string) => void
  readonly machine: Machine
}

export class Recorder {
  readonly deck: Deck
  readonly journal: JournalWriter
  private readonly options: RecorderOptions
  private readonly beganMs: number
  /** Inputs that came while a task ran: a socket that was cut by it says so at once. */
  private readonly waiting: Array<Input> = []
  private sliceEnd = 0
  private armed = false
  private full = false
  private closed = false
  private wakeAt = Number.POSITIVE_INFINITY
  private callOff = (): void => {}

  constructor(options: RecorderOptions) {
    this.options = options
    const { folder, bytesMax, onFault, machine, outside, audience } = options
    this.beganMs = machine.monotonicMs()
    this.journal = new JournalWriter({ folder, bytesMax, onFault })
    this.deck = new Deck({
      tape: this.tape,
      outside,
      audience,
      hear: this.hear,
      onWork: () => this.rearm(),
      monotonicNanos: () => BigInt(Math.round(machine.monotonicMs() * 1e6))
    })
  }

  start(tree: Effect.Effect<Tree, TreeFault>, context: Context.Context<never>): void {
    this.sample()
    this.deck.start(tree, context)
    this.rearm()
  }

  /** Nothing more is run, heard or written: whatever the node left behind must not outlive its journal. */
  close(): void {
    this.closed = true
    this.callOff()
    this.journal.close()
  }

  /** Takes an input: at once, or after the task that caused it. */
  readonly hear = (input: Input): void => {
    if (this.closed) return
    this.waiting.push(input)
    if (this.deck.busy) return
    this.sample()
    this.takeWaiting()
    this.rearm()
  }

  private takeWaiting(): void {
    for (let input = this.waiting.shift(); input !== undefined; input = this.waiting.shift()) this.take(input)
  }

  private take(input: Input): void {
    this.journal.append({ ...input, at: this.deck.tasks })
    this.deck.apply(input)
  }

  /** Lets the deck's time be what it is by now. */
  private sample(): void {
    const { clock } = this.deck
    const { machine } = this.options
    const ms = Math.floor(machine.monotonicMs() - this.beganMs) - clock.nowMs
    if (ms > 0) this.take({ kind: "time", ms })
    const wall = machine.wallMs()
    if (Math.abs(wall - clock.currentTimeMillisUnsafe()) > roundingMs) this.take({ kind: "wall", unixMs: wall })
  }

  private readonly slice = (): void => {
    const { deck, journal, options } = this
    this.armed = false
    if (this.closed) return
    this.sample()
    this.sliceEnd = options.machine.monotonicMs() + sliceMs
    try {
      while (!deck.idle && !this.closed) {
        deck.next()
        this.takeWaiting()
        if (options.machine.monotonicMs() > this.sliceEnd) break
      }
    } finally {
      if (journal.waits) {
        journal.append({ kind: "rest", at: deck.tasks, check: deck.digest.check })
        journal.flush()
      }
      this.rearm()
    }
    if (this.full || journal.bytes < options.bytesWanted) return
    this.full = true
    options.onFull()
  }

  /** Sees to it that a slice comes: soon if there is a task, else with the next timer. */
  private rearm(): void {
    const { deck, options } = this
    if (this.armed || this.closed || deck.busy) return
    if (!deck.idle) {
      this.armed = true
      return options.machine.soon(this.slice)
    }
    const next = deck.clock.nextMs ?? Number.POSITIVE_INFINITY
    if (next >= this.wakeAt) return
    this.callOff()
    this.wakeAt = next
    const ms = this.beganMs + next - options.machine.monotonicMs()
    this.callOff = options.machine.later(Math.max(1, Math.ceil(ms)), () => {
      this.wakeAt = Number.POSITIVE_INFINITY
      if (!this.armed) this.slice()
    })
  }

  private readonly tape: Tape = {
    event: (kind, at, fields) => this.put(kind, at, fields),
    answer: (kind, at, live) => {
      const fields = live()
      this.put(kind, at, fields)
      return fields
    },
    rare: (kind, at, fields, live) => {
      const happened = live()
      if (happened) this.put(kind, at, fields)
      return happened
    },
    over: (at, operation) => {
      if (this.options.machine.monotonicMs() <= this.sliceEnd) return false
      this.put("yield", at, { operation })
      return true
    }
  }

  private put<K extends Kind>(kind: K, at: number, fields: Fields<K>): void {
    this.journal.append({ kind, at, ...fields } as never)
  }
}
