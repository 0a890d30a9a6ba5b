/**
 * Who restarts whom. A group runs its actors; one that crashes is restarted (one-for-one), or it and all started after it
 * (rest-for-one), as long as that does not happen too often: then the group fails, and its failure is its owner's to hear.
 *
 * No fiber without a supervisor: everything that runs is a child of a group, and every crash is logged once with its cause.
 */
import { Cause, Clock, Data, Deferred, Effect, Exit, Fiber } from "effect"
import { reached } from "../src/marks.ts"

/** A group's child crashed more often than the group allows: whoever owns the group must decide. */
export class Escalation extends Data.TaggedError("Escalation")<{
  readonly group: string
  readonly child: string
  readonly cause: Cause.Cause<unknown>
}> {}

/** An actor of any state and message. */
interface AnyActor {
  readonly name: string
  readonly run: Effect.Effect<void, unknown>
  readonly stop: () => void
  readonly bury: () => void
}

export interface GroupOptions {
  readonly name: string
  readonly strategy: "one-for-one" | "rest-for-one"
  /** More crashes than this within the window escalate. */
  readonly restartsMax: number
  readonly withinMs: number
  /** Milliseconds to wait before a restart. */
  readonly backoffMs: number
  readonly onRestart: (child: string) => void
}

/** A running group. `failed` is completed by an escalation; `stop` is graceful. */
export interface Group {
  readonly failed: Effect.Effect<never, Escalation>
  /** Stops in reverse order: each drains before the one it was started after. What is left near the deadline is interrupted. */
  readonly stop: (deadlineMs: number) => Effect.Effect<void>
}

/** Of the time to stop in, the part for draining; the rest is for the finalizers of what had to be interrupted. */
const drainShare = 0.75
/** Milliseconds in which an interrupted child must have ended. One that has not cannot be started again: two would run. */
const endMsMax = 5_000

interface Child {
  readonly actor: AnyActor
  fiber: Fiber.Fiber<void, unknown> | undefined
  /** Ended, or being ended by the group, and not started again yet. */
  down: boolean
}

interface Crash {
  readonly child: Child
  readonly cause: Cause.Cause<unknown>
}

/** Starts the actors in order, on fibers of their own. */
export const startGroup = (options: GroupOptions, actors: ReadonlyArray<AnyActor>): Effect.Effect<Group> =>
  Effect.gen(function* () {
    const supervision = new Supervision(options, actors)
    yield* supervision.launch(supervision.children)
    const failed = Deferred.makeUnsafe<never, Escalation>()
    const loop = yield* Effect.forkDetach(supervision.run)
    loop.addObserver((exit) => {
      // An escalation, or a bug of the supervision itself: neither may pass in silence.
      if (!supervision.stopping) Deferred.doneUnsafe(failed, exit)
    })
    const stop = (deadlineMs: number) =>
      Effect.suspend(() => {
        supervision.stopping = true
        return Effect.andThen(Fiber.interrupt(loop), supervision.stop(deadlineMs))
      })
    return { failed: Deferred.await(failed), stop }
  })

/** One group's children and the single loop that restarts them: two crashes at a time are still one decision after the other. */
class Supervision {
  readonly children: ReadonlyArray<Child>
  stopping = false
  private readonly options: GroupOptions
  private readonly fallen: Array<Crash> = []
  private readonly crashedAt: Array<number> = []
  private wake: Deferred.Deferred<void> | undefined

  constructor(options: GroupOptions, actors: ReadonlyArray<AnyActor>) {
    this.options = options
    this.children = actors.map((actor) => ({ actor, fiber: undefined, down: true }))
  }

  /** Starts children in their order. Not to be interrupted: a fiber that runs and that nobody knows could not be stopped. */
  launch(children: ReadonlyArray<Child>): Effect.Effect<void> {
    const start = (child: Child): Effect.Effect<void> =>
      Effect.map(Effect.forkDetach(child.actor.run), (fiber) => {
        child.fiber = fiber
        child.down = false
        fiber.addObserver((exit) => this.ended(child, exit))
      })
    return Effect.uninterruptible(Effect.forEach(children, start, { discard: true }))
  }

  /** Restarts what crashes, until a crash is one too many. */
  readonly run: Effect.Effect<never, Escalation> = Effect.gen({ self: this }, function* () {
    for (;;) {
      yield* this.sleep
      // More may crash while we end and wait; whoever is down by then starts once, in order.
      while (this.fallen.length > 0) {
        for (let crash = this.fallen.shift(); crash !== undefined; crash = this.fallen.shift()) yield* this.fell(crash)
        yield* Effect.sleep(this.options.backoffMs)
      }
      const down = this.children.filter((child) => child.down)
      for (const { actor } of down) {
        reached("actor-restarted")
        this.options.onRestart(actor.name)
      }
      yield* this.launch(down)
    }
  })

  /** Lets each drain, the last started first; then interrupts the rest, and buries all. */
  stop(deadlineMs: number): Effect.Effect<void> {
    const { name } = this.options
    const late = Effect.suspend(() => {
      reached("stop-forced")
      const running = this.children.filter(({ fiber }) => fiber?.pollUnsafe() === undefined)
      return Effect.logWarning(`group ${name} did not stop in time`, {
        running: running.map(({ actor }) => actor.name)
      })
    })
    const endAll = Effect.forEach(this.children, end, { concurrency: "unbounded", discard: true })
    const bury = Effect.sync(() => {
      for (const { actor } of this.children) actor.bury()
    })
    return Effect.forEach(this.fallen, ({ child, cause }) => logCrash(child.actor.name, cause)).pipe(
      Effect.andThen(this.drainAll),
      Effect.timeoutOrElse({ duration: deadlineMs * drainShare, orElse: () => late }),
      Effect.andThen(Effect.timeoutOrElse(endAll, { duration: deadlineMs * (1 - drainShare), orElse: () => late })),
      Effect.andThen(bury)
    )
  }

  private readonly drainAll = Effect.suspend(() =>
    Effect.forEach(
      [...this.children].reverse(),
      ({ actor, fiber, down }) =>
        Effect.gen(function* () {
          actor.stop()
          if (fiber === undefined) return
          const exit = yield* Fiber.await(fiber)
          if (!down && Exit.isFailure(exit)) yield* logCrash(actor.name, exit.cause)
        }),
      { discard: true }
    )
  )

  /** A child's fiber has ended. That is a crash unless the group ends it itself. */
  private ended(child: Child, exit: Exit.Exit<void, unknown>): void {
    if (Exit.isSuccess(exit) || child.down || this.stopping) return
    child.down = true
    this.fallen.push({ child, cause: exit.cause })
    if (this.wake !== undefined) Deferred.doneUnsafe(this.wake, Exit.void)
  }

  private readonly sleep = Effect.suspend(() => {
    this.wake = Deferred.makeUnsafe<void>()
    return this.fallen.length > 0 ? Effect.void : Deferred.await(this.wake)
  })

  /** Counts a crash against the window and ends, last first, whoever leans on the child. */
  private fell({ child, cause }: Crash): Effect.Effect<void, Escalation> {
    const { strategy, restartsMax, withinMs } = this.options
    return Effect.gen({ self: this }, function* () {
      yield* logCrash(child.actor.name, cause)
      const now = yield* Clock.currentTimeMillis
      while (this.crashedAt.length > 0 && this.crashedAt[0]! < now - withinMs) this.crashedAt.shift()
      this.crashedAt.push(now)
      if (this.crashedAt.length > restartsMax) return yield* this.escalation(child, cause)
      if (strategy === "one-for-one") return
      for (const other of this.children.slice(this.children.indexOf(child) + 1).reverse()) {
        other.down = true
        yield* Effect.timeoutOrElse(end(other), {
          duration: endMsMax,
          orElse: () => this.escalation(other, Cause.die(new Error(`did not end within ${endMsMax} ms`)))
        })
      }
    })
  }

  private escalation(child: Child, cause: Cause.Cause<unknown>): Effect.Effect<never, Escalation> {
    reached("group-escalated")
    return Effect.fail(new Escalation({ group: this.options.name, child: child.actor.name, cause }))
  }
}

const end = ({ fiber }: Child): Effect.Effect<void> => (fiber === undefined ? Effect.void : Fiber.interrupt(fiber))

const logCrash = (actor: string, cause: Cause.Cause<unknown>): Effect.Effect<void> =>
  Effect.logError(`${actor} failed`, { actor, cause: Cause.pretty(cause) })
