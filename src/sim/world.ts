/**
 * A deterministic world for actors: a seed decides which runnable fiber goes next and where one is preempted; time is
 * virtual and jumps to the next timer when nothing can run. The same seed gives the same trace, on any machine.
 *
 * The driver is synchronous, so nothing that settles through a promise can take part: that shows as Stuck. Who reads the
 * machine's clock or chance, or sets its timers, while a world runs is found out: Leak.
 */
import { Clock, Duration, Effect, Exit, Fiber, References, type Scheduler } from "effect"
import { type Dice, makeDice } from "./dice.ts"
import { sha256 } from "../crypto/hash.ts"
import { toHex, utf8 } from "../codec/bytes.ts"

/** Nothing can run and no timer is set: a deadlock, or something waits for the world outside. */
export class Stuck extends Error {
  override readonly name = "Stuck"
}

/** Something of the world outside was used while a world ran: the run would differ from machine to machine. */
export class Leak extends Error {
  override readonly name = "Leak"
}

interface Lane {
  readonly id: number
  readonly tasks: Array<() => void>
}

interface Timer {
  readonly at: number
  fire: (() => void) | undefined
}

/** What no one may use while a world runs: owner and name. */
const outside: ReadonlyArray<readonly [owner: object, name: string]> = [
  [Date, "now"],
  [performance, "now"],
  [Math, "random"],
  [crypto, "getRandomValues"],
  [crypto, "randomUUID"],
  ...["setTimeout", "setInterval", "setImmediate", "queueMicrotask", "fetch"].map((name) => [globalThis, name] as const)
]

/** Runs `f` behind a fence. A leak counts even if whoever leaked has caught it. */
const fenced = <A>(f: () => A): A => {
  const real = outside.map(([owner, name]): unknown => Reflect.get(owner, name))
  let leak: Leak | undefined
  for (const [owner, name] of outside)
    Reflect.set(owner, name, () => {
      throw (leak ??= new Leak(`${name} was used inside a world`))
    })
  try {
    return f()
  } finally {
    outside.forEach(([owner, name], i) => Reflect.set(owner, name, real[i]))
    if (leak !== undefined) throw leak
  }
}

const stepsMax = 2_000_000
const startMs = Date.UTC(2026, 10, 21)

export class World implements Scheduler.Scheduler {
  readonly executionMode = "async" as const
  private readonly dice: Dice
  private readonly preempt: number
  private readonly lanes: Array<Lane> = []
  /** By the time at which they fire; those set first go first. */
  private readonly timers: Array<Timer> = []
  private laneCount = 0
  private nowMs = startMs
  private granted = false
  private budget = -1
  private readonly seen = new WeakSet<object>()
  private trace = ""

  /** `preempt`: the probability that a fiber is interrupted between two of its operations. */
  constructor(seed: number, preempt = 0.1) {
    this.dice = makeDice(seed)
    this.preempt = preempt
  }

  /** What happened, as a hash. */
  get digest(): string {
    return toHex(sha256(utf8(this.trace)))
  }

  /** Is anything left that would run, or a timer that would fire? */
  get idle(): boolean {
    return this.lanes.length === 0 && this.nextTimer() === undefined
  }

  makeDispatcher(): Scheduler.SchedulerDispatcher {
    const lane: Lane = { id: this.laneCount++, tasks: [] }
    return {
      scheduleTask: (task) => {
        if (lane.tasks.push(task) === 1) this.lanes.push(lane)
      },
      flush: () => {
        while (lane.tasks.length > 0) lane.tasks.shift()!()
      }
    }
  }

  /** Effect asks before every operation. A fiber resumed inside another's stack yields, so that its turn is a choice too. */
  shouldYield(fiber: Fiber.Fiber<unknown, unknown>): boolean {
    if (fiber.currentOpCount === 1) {
      const resumedInline = !this.granted && this.seen.has(fiber)
      this.granted = false
      this.seen.add(fiber)
      return resumedInline
    }
    return this.budget > 0 && --this.budget === 0
  }

  /** Runs a program to its end. */
  run<A, E>(program: Effect.Effect<A, E>): Exit.Exit<A, E> {
    return fenced(() => this.drive(program))
  }

  private drive<A, E>(program: Effect.Effect<A, E>): Exit.Exit<A, E> {
    const fiber = Effect.runFork(
      program.pipe(
        Effect.provideService(Clock.Clock, this.clock()),
        Effect.provideService(References.PreventSchedulerYield, false),
        Effect.provideService(References.MinimumLogLevel, "None")
      ),
      { scheduler: this }
    )
    for (let steps = 0; ; steps++) {
      const exit = fiber.pollUnsafe()
      if (exit !== undefined) return exit
      if (steps > stepsMax) throw new Stuck(`no end after ${stepsMax} steps`)
      this.step()
    }
  }

  private step(): void {
    const due = this.nextTimer()
    if (this.lanes.length === 0 && due === undefined) throw new Stuck("nothing can run and no timer is set")
    if (due !== undefined && (this.lanes.length === 0 || due.at <= this.nowMs)) {
      this.timers.shift()
      this.nowMs = Math.max(this.nowMs, due.at)
      this.trace += `t${this.nowMs};`
      due.fire!()
      return
    }
    const at = this.dice.int(this.lanes.length)
    const lane = this.lanes[at]!
    const task = lane.tasks.shift()!
    if (lane.tasks.length === 0) this.lanes.splice(at, 1)
    this.budget = this.dice.chance(this.preempt) ? 1 + this.dice.int(10) : -1
    this.granted = true
    this.trace += `${lane.id};`
    task()
    this.granted = false
  }

  private nextTimer(): Timer | undefined {
    while (this.timers.length > 0 && this.timers[0]!.fire === undefined) this.timers.shift()
    return this.timers[0]
  }

  private setTimer(timer: Timer): void {
    let at = this.timers.length
    while (at > 0 && this.timers[at - 1]!.at > timer.at) at--
    this.timers.splice(at, 0, timer)
  }

  private clock(): Clock.Clock {
    const nanos = (): bigint => BigInt(this.nowMs) * 1_000_000n
    return {
      currentTimeMillisUnsafe: () => this.nowMs,
      currentTimeNanosUnsafe: nanos,
      monotonicTimeNanosUnsafe: nanos,
      currentTimeMillis: Effect.sync(() => this.nowMs),
      currentTimeNanos: Effect.sync(nanos),
      monotonicTimeNanos: Effect.sync(nanos),
      sleep: (duration) => {
        const ms = Duration.toMillis(duration)
        if (ms <= 0) return Effect.yieldNow
        return Effect.callback<void>((resume) => {
          const timer: Timer = { at: this.nowMs + Math.ceil(ms), fire: () => resume(Effect.void) }
          this.setTimer(timer)
          return Effect.sync(() => (timer.fire = undefined))
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
    const reasons = exit.cause.reasons.map((reason) =>
      "defect" in reason ? reason.defect : "error" in reason ? reason.error : reason
    )
    const error = reasons[0] instanceof Error ? reasons[0] : new Error(String(reasons[0]))
    error.message += `\n  seed ${seed}: SIM_SEED=${seed} bun test …`
    throw error
  }
}
