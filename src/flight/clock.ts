/**
 * The time of a recorded node: it stands still while tasks run and moves when a sample is taken between them, so that a
 * replay can move it at the same places. Sleeps end by the monotonic clock: a wall clock that is set wakes nobody.
 */
import { Clock, Duration, Effect } from "effect"

interface Timer {
  readonly at: number
  fire: (() => void) | undefined
}

export class FlightClock implements Clock.Clock {
  /** Milliseconds since the recording began. */
  nowMs = 0
  /** What the wall clock showed when the recording began, as far as it has gone along since. */
  originMs = 0
  /** By the time at which they fire; those set first go first. */
  private timers: Array<Timer> = []
  private readonly monotonicNanos: () => bigint

  /** `monotonicNanos` feeds figures of cost alone. */
  constructor(monotonicNanos: () => bigint) {
    this.monotonicNanos = monotonicNanos
  }

  /** When the next timer is due; undefined: there is none. */
  get nextMs(): number | undefined {
    while (this.timers.length > 0 && this.timers[0]!.fire === undefined) this.timers.shift()
    return this.timers[0]?.at
  }

  /** Moves time on and fires what is due. */
  pass(ms: number): void {
    this.nowMs += ms
    for (let next = this.nextMs; next !== undefined && next <= this.nowMs; next = this.nextMs)
      this.timers.shift()!.fire!()
  }

  readonly currentTimeMillisUnsafe = (): number => this.originMs + this.nowMs
  readonly currentTimeNanosUnsafe = (): bigint => BigInt(this.currentTimeMillisUnsafe()) * 1_000_000n
  readonly monotonicTimeNanosUnsafe = (): bigint => this.monotonicNanos()
  readonly currentTimeMillis = Effect.sync(this.currentTimeMillisUnsafe)
  readonly currentTimeNanos = Effect.sync(this.currentTimeNanosUnsafe)
  readonly monotonicTimeNanos = Effect.sync(this.monotonicTimeNanosUnsafe)

  readonly sleep = (duration: Duration.Duration): Effect.Effect<void> => {
    const ms = Duration.toMillis(duration)
    if (ms <= 0) return Effect.yieldNow
    return Effect.callback<void>((resume) => {
      const timer: Timer = { at: this.nowMs + Math.ceil(ms), fire: () => resume(Effect.void) }
      this.set(timer)
      return Effect.sync(() => (timer.fire = undefined))
    })
  }

  private set(timer: Timer): void {
    let at = this.timers.length
    while (at > 0 && this.timers[at - 1]!.at > timer.at) at--
    this.timers.splice(at, 0, timer)
  }
}
