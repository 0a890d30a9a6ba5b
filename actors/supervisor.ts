/**
 * Who restarts whom. A group runs its actors; one that crashes is restarted (one-for-one), or it and all started after it
 * (rest-for-one), as long as that does not happen too often: then the group fails, and its failure is its owner's to hear.
 *
 * No fiber without a supervisor: everything that runs is a child of a group, and every crash is logged once with its cause.
 */
import { Cause, Clock, Data, Deferred, Effect, Exit, Fiber } from "effect"

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

interface Child {
  readonly actor: AnyActor
  fiber: Fiber.Fiber<void, unknown>
  /** Set while the group itself ends the fiber, so that the end is not taken for a crash. */
  ending: boolean
}

/** A running group. `failed` is completed by an escalation; `stop` is graceful. */
export interface Group {
  readonly failed: Effect.Effect<never, Escalation>
  /** Stops in reverse order: each drains before the one it was started after. What is left at the deadline is interrupted. */
  readonly stop: (deadlineMs: number) => Effect.Effect<void>
}

/** Starts the actors in order, on fibers of their own. */
export const startGroup = (options: GroupOptions, actors: ReadonlyArray<AnyActor>): Effect.Effect<Group> =>
  Effect.gen(function* () {
    const failed = Deferred.makeUnsafe<never, Escalation>()
    const crashes: Array<number> = []
    const children: Array<Child> = []
    let stopping = false

    const launch = (child: Child): Effect.Effect<void> =>
      Effect.map(Effect.forkDetach(child.actor.run), (fiber) => {
        child.fiber = fiber
        child.ending = false
        fiber.addObserver((exit) => {
          if (Exit.isFailure(exit) && !child.ending && !stopping)
            Effect.runForkWith(context)(crashed(child, exit.cause))
        })
      })

    const crashed = (child: Child, cause: Cause.Cause<unknown>): Effect.Effect<void> =>
      Effect.gen(function* () {
        const now = yield* Clock.currentTimeMillis
        while (crashes.length > 0 && crashes[0]! < now - options.withinMs) crashes.shift()
        crashes.push(now)
        yield* Effect.logError(`${child.actor.name} failed`, { actor: child.actor.name, cause: Cause.pretty(cause) })
        if (crashes.length > options.restartsMax) {
          Deferred.doneUnsafe(
            failed,
            Exit.fail(new Escalation({ group: options.name, child: child.actor.name, cause }))
          )
          return
        }
        const affected = options.strategy === "one-for-one" ? [child] : children.slice(children.indexOf(child))
        for (const other of affected.slice(1).reverse()) yield* end(other)
        yield* Effect.sleep(options.backoffMs)
        if (stopping) return
        for (const other of affected) {
          options.onRestart(other.actor.name)
          yield* launch(other)
        }
      })

    const end = (child: Child): Effect.Effect<void> => {
      child.ending = true
      return Fiber.interrupt(child.fiber)
    }

    const context = yield* Effect.context<never>()
    for (const actor of actors) {
      const child: Child = { actor, fiber: Fiber.getCurrent() as Fiber.Fiber<void, unknown>, ending: false }
      children.push(child)
      yield* launch(child)
    }

    const stopAll = Effect.gen(function* () {
      for (const child of [...children].reverse()) {
        child.actor.stop()
        yield* Fiber.await(child.fiber)
      }
    })
    const stop = (deadlineMs: number): Effect.Effect<void> =>
      Effect.gen(function* () {
        stopping = true
        yield* Effect.timeoutOrElse(stopAll, {
          duration: deadlineMs,
          orElse: () => Effect.logWarning(`group ${options.name} did not stop in time`)
        })
        for (const child of children) {
          yield* end(child)
          child.actor.bury()
        }
      })
    return { failed: Deferred.await(failed), stop }
  })
