/**
 * A deterministic world for actors: a seed decides which runnable fiber goes next and where one is preempted; time is
 * virtual and jumps to the next timer when nothing can run. The same seed gives the same trace, on any machine.
 *
 * The driver is synchronous, so nothing that settles through a promise or a real timer can take part: that shows as Stuck.
 */
import { Clock, Duration, Effect, Exit, Fiber, References, type Scheduler } from "effect"
import { type Dice, makeDice } from "../fuzz/dice.ts"
import { sha256 } from "../../src/crypto/hash.ts"
import { toHex, utf8 } from "../../src/codec/bytes.ts"

/** Nothing can run and no timer is set: a deadlock, or something waits for the world outside. */
export class Stuck extends Error {
  override readonly name = "Stuck"
}

interface Lane {
  readonly id: number
  readonly tasks: Array<() => void>
}

interface Timer {
  readonly at: number
  readonly order: number
  fire: (() => void) | undefined
}

const stepsMax = 2_000_000
const startMs = Date.UTC(2026, 10, 21)

export class World implements Scheduler.Scheduler {
  readonly executionMode = "async" as const
  private readonly dice: Dice
  private readonly preempt: number
  private readonly lanes: Array<Lane> = []
  private timers: Array<Timer> = []
  private laneCount = 0
  private timerCount = 0
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
    if (this.lanes.length === 0 || (due !== undefined && due.at <= this.nowMs)) {
      this.nowMs = Math.max(this.nowMs, due!.at)
      const { fire } = due!
      due!.fire = undefined
      this.trace += `t${this.nowMs};`
      fire!()
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
    this.timers = this.timers.filter(({ fire }) => fire !== undefined)
    let next: Timer | undefined
    for (const timer of this.timers) {
      if (next === undefined || timer.at < next.at || (timer.at === next.at && timer.order < next.order)) next = timer
    }
    return next
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
          const timer: Timer = {
            at: this.nowMs + Math.ceil(ms),
            order: this.timerCount++,
            fire: () => resume(Effect.void)
          }
          this.timers.push(timer)
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
