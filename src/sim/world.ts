/**
 * A deterministic world for actors. Hosts run fibers; which fiber goes next, and where one is preempted, is a choice; time is
 * virtual and jumps to the next timer when nothing can run. The same choices give the same run, on any machine.
 *
 *   choices ─► step: a timer that is due, or a task of a runnable fiber ─► what it wakes becomes runnable ─► step …
 *
 * The driver is synchronous, so what settles through a promise cannot take part: that shows as Stuck. The one exception is asked
 * for by `promised`, for code that is promises all through (the HTTP app): its microtasks are run after each step.
 */
import { drainMicrotasks } from "bun:jsc"
import { Clock, Context, Duration, Effect, Exit, type Fiber, Logger, References, type Scheduler } from "effect"
import { Random } from "../io/random.ts"
import { type Choices, SeededChoices } from "./choices.ts"
import { type Dice, makeDice } from "./dice.ts"
import { Digest } from "./digest.ts"
import { fenced } from "./fence.ts"
import { type Timer, Timers } from "./timers.ts"

/** Nothing can run and no timer is set: a deadlock, or something waits for the world outside. */
export class Stuck extends Error {
  override readonly name = "Stuck"
}

/** The tasks of one fiber's dispatcher, in their order. Which lane goes next is the world's choice. */
interface Lane {
  readonly id: number
  readonly host: Host
  readonly tasks: Array<() => void>
}

/** Decides every step in the place of choices, and hears what the step did to the world: how explore.ts tries all orders. */
export interface Guide {
  /**
   * What goes next, and after how many of its operations it is preempted, 0: not at all. It is offered the timers that are due
   * (ids below 0), then the lanes that can run (from 0), each the longest waiting first. `late`: nothing could run any more, so
   * time passes with this step.
   */
  readonly next: (enabled: ReadonlyArray<number>, late: boolean) => { readonly at: number; readonly ops: number }
  /** The step in hand has made a lane runnable, set a timer, or drawn the dice of a host. */
  readonly touched: (what: number | string) => void
  /** The step in hand could be preempted here. */
  readonly operation: () => void
}

export interface WorldOptions {
  readonly choices: Choices
  /** Takes the place of choices. Nothing may settle through a promise then. */
  readonly guide?: Guide
  /** The probability that a fiber is interrupted between two of its operations. */
  readonly preempt?: number
  readonly stepsMax?: number
  /** Seeds what hosts draw as random bytes. */
  readonly seed?: number
}

const stepsMax = 2_000_000
/** Where the time of every world begins. */
export const startMs = Date.UTC(2026, 10, 21)
/** A preempted fiber has done at most so many operations since it was resumed. */
const preemptOpsMax = 10

/** Lanes count from 0 up, timers from -1 down. */
const timerId = ({ turn }: Timer): number => -turn - 1

export class World {
  /** Where whoever drives the run is at home: a machine that never dies. */
  readonly home: Host
  /** What happened so far; others may add what they see. */
  readonly trace = new Digest()
  private readonly choices: Choices
  private readonly preempt: number
  private readonly stepsMax: number
  private readonly seed: number
  private readonly runnable: Array<Lane> = []
  private readonly timers = new Timers()
  /** All timers that are set, for the guide: it may take any of those due at one instant. */
  private guidedTimers: Array<Timer> = []
  private laneCount = 0
  private hostCount = 0
  private nowMs = startMs
  private promises = 0
  private stepCount = 0
  readonly guide: Guide | undefined
  /** Called after every step. What it throws ends the run. */
  audit: (() => void) | undefined
  /** The fiber that is entered first in this task was chosen: it need not yield to be one. */
  granted = false
  /** Operations left to the fiber in hand before it is preempted; negative: it is not. */
  budget = -1

  /** From a seed, as tests of one actor do, or from choices. */
  constructor(options: number | WorldOptions, preempt = 0.1) {
    const given: WorldOptions =
      typeof options === "number" ? { choices: new SeededChoices(options), preempt, seed: options } : options
    this.choices = given.choices
    this.preempt = given.preempt ?? preempt
    this.stepsMax = given.stepsMax ?? stepsMax
    this.seed = given.seed ?? 0
    this.guide = given.guide
    this.home = this.host("world")
  }

  /** Virtual milliseconds since 1970. */
  get now(): number {
    return this.nowMs
  }

  /** Virtual milliseconds since the run began. */
  get elapsed(): number {
    return this.nowMs - startMs
  }

  /** What happened so far, as a hash. */
  get digest(): string {
    return this.trace.read()
  }

  get steps(): number {
    return this.stepCount
  }

  /** Is anything left that would run, or a timer that would fire? */
  get idle(): boolean {
    return this.runnable.length === 0 && this.timers.peek() === undefined
  }

  /** A machine of this world: fibers, a clock and chance of its own, and a power switch. */
  host(name: string): Host {
    return new Host(this, name, makeDice(this.seed * 1_000 + this.hostCount++))
  }

  /** Runs a program on the world's own host to its end. */
  run<A, E>(program: Effect.Effect<A, E>): Exit.Exit<A, E> {
    return fenced(() => {
      const fiber = this.home.fork(program)
      for (;;) {
        const exit = fiber.pollUnsafe()
        if (exit !== undefined) return exit
        this.step()
      }
    })
  }

  /** Something settles through promises until the returned function is called. */
  promised(): () => void {
    this.promises++
    let open = true
    return () => {
      if (open) this.promises--
      open = false
    }
  }

  /** For hosts. */
  setTimer(at: number, fire: () => void): Timer {
    const timer = this.timers.set(at, fire)
    if (this.guide !== undefined) this.guidedTimers.push(timer)
    this.guide?.touched(timerId(timer))
    return timer
  }

  /** For hosts. */
  newLane(host: Host): Lane {
    return { id: this.laneCount++, host, tasks: [] }
  }

  /** For hosts. */
  schedule(lane: Lane, task: () => void): void {
    this.guide?.touched(lane.id)
    if (lane.tasks.push(task) === 1) this.runnable.push(lane)
  }

  /** For hosts: what was scheduled there will not run. */
  forget(host: Host): void {
    for (let at = this.runnable.length - 1; at >= 0; at--)
      if (this.runnable[at]!.host === host) this.runnable.splice(at, 1)[0]!.tasks.length = 0
  }

  private step(): void {
    if (++this.stepCount > this.stepsMax) throw new Stuck(`no end after ${this.stepsMax} steps`)
    if (this.guide !== undefined) return this.guided(this.guide)
    const due = this.timers.peek()
    if (this.runnable.length === 0 && due === undefined && this.promises === 0)
      throw new Stuck("nothing can run and no timer is set")
    if (due !== undefined && (due.at <= this.nowMs || (this.runnable.length === 0 && this.promises === 0)))
      this.fire(due)
    else if (this.runnable.length > 0) this.choose()
    if (this.promises > 0) this.settle(due)
    this.audit?.()
  }

  private guided(guide: Guide): void {
    const due = this.dueTimers()
    const enabled = [...due.map(timerId), ...this.runnable.map(({ id }) => id)]
    if (enabled.length === 0) throw new Stuck("nothing can run and no timer is set")
    const { at, ops } = guide.next(enabled, due.length > 0 && due[0]!.at > this.nowMs)
    if (at < due.length) this.fire(due[at]!)
    else this.dispatch(at - due.length, ops || -1)
    this.audit?.()
  }

  private dueTimers(): ReadonlyArray<Timer> {
    const first = this.timers.peek()
    if (first === undefined || (first.at > this.nowMs && this.runnable.length > 0)) return []
    this.guidedTimers = this.guidedTimers.filter(({ fire }) => fire !== undefined)
    const instant = Math.max(first.at, this.nowMs)
    return this.guidedTimers.filter(({ at }) => at <= instant).sort((a, b) => a.at - b.at || a.turn - b.turn)
  }

  /** A timer whose `fire` is empty leaves the heap when it is looked at next. */
  private fire(due: Timer): void {
    this.nowMs = Math.max(this.nowMs, due.at)
    this.trace.add(timerId(due))
    this.trace.add(this.nowMs - startMs)
    const { fire } = due
    due.fire = undefined
    fire!()
  }

  private choose(): void {
    const at = this.runnable.length === 1 ? 0 : this.choices.pick("order", this.runnable.length)
    const budget = this.preempt === 0 ? -1 : this.choices.rare("preempt", this.preempt, preemptOpsMax) || -1
    this.dispatch(at, budget)
  }

  private dispatch(at: number, budget: number): void {
    const { runnable } = this
    const lane = runnable[at]!
    const task = lane.tasks.shift()!
    if (lane.tasks.length === 0) runnable.splice(at, 1)
    this.budget = budget
    this.granted = true
    this.trace.add(lane.id)
    task()
    this.granted = false
  }

  /** Runs microtasks. If nothing else can go on and promises have not settled by themselves, time goes on. */
  private settle(due: Timer | undefined): void {
    drainMicrotasks()
    if (this.promises === 0 || this.runnable.length > 0) return
    const next = this.timers.peek()
    if (next !== undefined) this.fire(next)
    else if (due === undefined) throw new Stuck("a promise waits for the world outside")
  }
}

/** One machine from power on to power off: its fibers run under its scheduler, on its clock, and die with it. */
export class Host implements Scheduler.Scheduler {
  readonly executionMode = "async" as const
  readonly name: string
  readonly dice: Dice
  /** How far its clock is off, in milliseconds. */
  skewMs = 0
  /** Hears what an actor here died of, as its supervisor logs it. */
  crashed: (actor: string, cause: string) => void = () => {}
  private readonly world: World
  private readonly timers = new Set<Timer>()
  private readonly seen = new WeakSet<object>()
  private up = true

  constructor(world: World, name: string, dice: Dice) {
    this.world = world
    this.name = name
    this.dice = dice
  }

  get alive(): boolean {
    return this.up
  }

  /** Timers that are set: none, when everything that ran here has ended. */
  get waiting(): number {
    return this.timers.size
  }

  /** What time it is, as this machine believes. */
  get now(): number {
    return this.world.now + this.skewMs
  }

  /** Runs an effect on this machine. */
  fork<A, E>(program: Effect.Effect<A, E>): Fiber.Fiber<A, E> {
    return Effect.runForkWith(Context.empty())(this.within(program), { scheduler: this })
  }

  /** Calls `f` after so many milliseconds, unless the machine dies before or the returned function is called. */
  after(ms: number, f: () => void): () => void {
    if (!this.up) return () => {}
    const timer = this.world.setTimer(this.world.now + Math.max(0, Math.ceil(ms)), () => {
      this.timers.delete(timer)
      f()
    })
    this.timers.add(timer)
    return () => {
      timer.fire = undefined
      this.timers.delete(timer)
    }
  }

  /** The power goes: nothing that runs here goes on, no finalizer runs. */
  kill(): void {
    this.up = false
    for (const timer of this.timers) timer.fire = undefined
    this.timers.clear()
    this.world.forget(this)
  }

  makeDispatcher(): Scheduler.SchedulerDispatcher {
    const lane = this.world.newLane(this)
    return {
      scheduleTask: (task) => {
        if (this.up) this.world.schedule(lane, task)
      },
      flush: () => {
        while (lane.tasks.length > 0) lane.tasks.shift()!()
      }
    }
  }

  /** Effect asks before every operation. A fiber resumed inside another's stack yields, so that its turn is a choice too. */
  shouldYield(fiber: Fiber.Fiber<unknown, unknown>): boolean {
    const { world } = this
    if (fiber.currentOpCount === 1) {
      const resumedInline = !world.granted && this.seen.has(fiber)
      world.granted = false
      this.seen.add(fiber)
      return resumedInline || !this.up
    }
    world.guide?.operation()
    return (world.budget > 0 && --world.budget === 0) || !this.up
  }

  private readonly logger = Logger.make<unknown, void>(({ message }) => {
    const [what, facts] = Array.isArray(message) ? message : [message]
    const cause = (facts as { readonly cause?: unknown } | undefined)?.cause
    if (typeof cause === "string") this.crashed(String(what), cause)
  })

  private within<A, E>(program: Effect.Effect<A, E>): Effect.Effect<A, E> {
    return program.pipe(
      Effect.provideService(Clock.Clock, this.clock()),
      Effect.provideService(Random, (length) => {
        this.world.guide?.touched(`dice of ${this.name}`)
        return this.dice.bytes(length)
      }),
      Effect.provideService(References.PreventSchedulerYield, false),
      Effect.provideService(References.MinimumLogLevel, "Error"),
      Effect.provideService(Logger.CurrentLoggers, new Set([this.logger]))
    )
  }

  private clock(): Clock.Clock {
    const nanos = (): bigint => BigInt(this.world.elapsed) * 1_000_000n
    return {
      currentTimeMillisUnsafe: () => this.now,
      currentTimeNanosUnsafe: () => BigInt(this.now) * 1_000_000n,
      monotonicTimeNanosUnsafe: nanos,
      currentTimeMillis: Effect.sync(() => this.now),
      currentTimeNanos: Effect.sync(() => BigInt(this.now) * 1_000_000n),
      monotonicTimeNanos: Effect.sync(nanos),
      sleep: (duration) => {
        const ms = Duration.toMillis(duration)
        if (ms <= 0) return Effect.yieldNow
        return Effect.callback<void>((resume) => {
          const cancel = this.after(ms, () => resume(Effect.void))
          return Effect.sync(cancel)
        })
      }
    }
  }
}

/** Runs a test body in one world a seed; a failure names its seed. `SIM_SEED=n` runs that one alone. */
export const forSeeds = (count: number, body: () => Effect.Effect<void, unknown>): void => {
  const only = process.env["SIM_SEED"]
  const seeds = only === undefined ? Array.from({ length: count }, (_, i) => i) : [Number(only)]
  for (const seed of seeds) {
    const exit = new World(seed).run(Effect.suspend(body))
    if (Exit.isSuccess(exit)) continue
    const error = errorOf(exit)
    error.message += `\n  seed ${seed}: SIM_SEED=${seed} bun test …`
    throw error
  }
}

/** The error that a run ended with, as one that can be thrown. */
export const errorOf = (exit: Exit.Failure<unknown, unknown>): Error => {
  const [reason] = exit.cause.reasons
  const cause =
    reason === undefined
      ? "interrupted"
      : "defect" in reason
        ? reason.defect
        : "error" in reason
          ? reason.error
          : reason
  return cause instanceof Error ? cause : new Error(typeof cause === "string" ? cause : JSON.stringify(cause))
}
