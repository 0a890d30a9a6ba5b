/**
 * What an actor is: a bounded inbox, one message at a time, tell and ask, and a settle in which the effects of a batch
 * land together. Supervision is in supervisor.ts.
 *
 *   tell ─► inbox ─► step, step, … (up to batchMax, or until empty) ─► settle ─► answers
 */
import { Cause, Clock, Deferred, Effect, Exit, type Fiber, type Scope } from "effect"
import { reached } from "../src/marks.ts"
import { Busy, Unavailable } from "../src/node/node.ts"
import { Inbox, type Overflow } from "./inbox.ts"

export type { Overflow } from "./inbox.ts"

/** Where an answer goes. Settled once; later calls are ignored. */
export interface Reply<A, E = never> {
  readonly succeed: (value: A) => void
  readonly fail: (error: E) => void
  /** True once nobody waits for it any more: the work may be skipped. */
  readonly abandoned: () => boolean
}

/** A reply that is a message to someone: how actors answer each other without asking. */
export const replyWith = <A, E = never>(
  succeed: (value: A) => void,
  fail: (error: E) => void = () => {}
): Reply<A, E> => ({
  succeed,
  fail,
  abandoned: () => false
})

/** Something that an actor holds: how much of it now, and at most. */
export interface Bound {
  readonly of: string
  readonly used: number
  readonly max: number
}

export interface ActorRef<in M extends { readonly _tag: string }> {
  readonly name: string
  /** Never waits. False: refused, dropped, or the actor is gone. */
  readonly tell: (message: M) => boolean
  /** Like tell, but under the policy `wait` the sender's fiber waits for room. */
  readonly offer: (message: M) => Effect.Effect<boolean>
  /**
   * Waits for the answer, at least `timeoutMs`, and never for room: a full inbox is Busy, whatever the policy. A caller that
   * hears Unavailable cannot know whether its message was handled.
   */
  readonly ask: <A, E = never>(
    make: (reply: Reply<A, E>) => M,
    timeoutMs?: number
  ) => Effect.Effect<A, E | Busy | Unavailable>
  readonly depth: () => number
}

export interface ActorSpec<S, M extends { readonly _tag: string }> {
  readonly name: string
  readonly inboxMax: number
  /** Answers that can be out at a time, of the kinds that are owed. */
  readonly owedMax?: number
  readonly overflow: { readonly [K in M["_tag"]]: Overflow }
  /** At every start and restart. Resources of its scope are released when the actor stops or crashes. */
  readonly open: Effect.Effect<S, unknown, Scope.Scope>
  /** One message at a time. A step without an effect leaves Effect. */
  readonly step: (state: S, message: M) => Effect.Effect<void, unknown> | void
  /** After the inbox has emptied, or after `batchMax` steps: one commit for all of them. Answers belong here. */
  readonly settle?: (state: S) => Effect.Effect<void, unknown> | void
  readonly batchMax?: number
  /** Turns of the scheduler given to others before settle, so that what is on its way shares the commit. */
  readonly lingerTurns?: number
  /** The last act of a graceful stop. */
  readonly drain?: (state: S) => Effect.Effect<void>
  /** What the state holds, beside the inbox. Read by whoever watches, at any time: it must not change anything. */
  readonly bounds?: (state: S) => ReadonlyArray<Bound>
}

/** What an actor reports of itself; see metrics.ts. */
export interface ActorWatch {
  readonly dropped: (actor: string, kind: string) => void
  readonly handled: (actor: string, count: number, seconds: number) => void
  /** A message that was told. Not taken: it was refused or lost. */
  readonly told?: (actor: string, message: Tagged, taken: boolean) => void
  /** A message that is handled now, in the actor's own fiber: who follows these has followed the actor. */
  readonly begun?: (actor: string, message: Tagged) => void
}

export interface Tagged {
  readonly _tag: string
}

export const unwatched: ActorWatch = { dropped: () => {}, handled: () => {} }

const askMs = 10_000
/** Milliseconds between two looks for answers that are late: one timer for all of an actor's askers. */
const sweepMs = 100
const retryAfterMs = 1000

/** What it is when a full inbox does not take a message. */
const overflowMarks = {
  refuse: "inbox-refused",
  wait: "inbox-refused",
  "drop-new": "inbox-dropped-new",
  "drop-old": "inbox-dropped-old",
  "keep-latest": "inbox-dropped-old",
  owed: "inbox-refused"
} as const

/** One who waits for an answer. */
interface Asked {
  /** The sweep at which the answer is late. */
  readonly due: number
  readonly fail: (error: Busy | Unavailable) => void
  /** The message has left the inbox: the answer dies with the actor's state. */
  taken: boolean
}

/** An actor that is made but not running: its inbox takes messages, `run` handles them until it is stopped. */
export class Actor<S, M extends { readonly _tag: string }> implements ActorRef<M> {
  readonly name: string
  private readonly spec: ActorSpec<S, M>
  private readonly watch: ActorWatch
  private readonly inbox: Inbox<M>
  private readonly asked = new Set<Asked>()
  private readonly askOf = new WeakMap<object, Asked>()
  /** While it runs. */
  private state: S | undefined
  private wake: Deferred.Deferred<void> | undefined
  private room: Deferred.Deferred<void> | undefined
  private phase: "open" | "draining" | "gone" = "open"
  private sweeps = 0
  private sweeper: Fiber.Fiber<void> | undefined

  constructor(spec: ActorSpec<S, M>, watch: ActorWatch = unwatched) {
    this.name = spec.name
    this.spec = spec
    this.watch = watch
    this.inbox = new Inbox(spec.inboxMax, spec.overflow, spec.owedMax)
  }

  readonly depth = (): number => this.inbox.size

  /** What it holds now, and at most: its inbox, and what its state says. */
  readonly bounds = (): ReadonlyArray<Bound> => [
    { of: "inbox", used: this.inbox.size, max: this.inbox.capacity },
    ...(this.state === undefined ? [] : (this.spec.bounds?.(this.state) ?? []))
  ]

  readonly tell = (message: M): boolean => {
    const taken = this.push(message)
    if (!taken) {
      if (this.phase === "open") reached(overflowMarks[this.inbox.policyOf(message)])
      this.watch.dropped(this.name, message._tag)
    }
    this.watch.told?.(this.name, message, taken)
    return taken
  }

  readonly offer = (message: M): Effect.Effect<boolean> =>
    Effect.suspend(() => {
      if (this.phase !== "open" || this.inbox.policyOf(message) !== "wait") return Effect.succeed(this.tell(message))
      if (this.push(message)) {
        this.watch.told?.(this.name, message, true)
        return Effect.succeed(true)
      }
      reached("inbox-waited")
      this.room ??= Deferred.makeUnsafe<void>()
      return Effect.flatMap(Deferred.await(this.room), () => this.offer(message))
    })

  readonly ask = <A, E = never>(
    make: (reply: Reply<A, E>) => M,
    timeoutMs: number = askMs
  ): Effect.Effect<A, E | Busy | Unavailable> =>
    Effect.withFiber((asker) => {
      if (this.phase !== "open") return Effect.fail(this.unavailable("it has stopped"))
      const answer = Deferred.makeUnsafe<A, E | Busy | Unavailable>()
      let abandoned = false
      const end = (exit: Exit.Exit<A, E | Busy | Unavailable>): void => {
        abandoned = true
        this.asked.delete(asked)
        Deferred.doneUnsafe(answer, exit)
      }
      const due = this.sweeps + 1 + Math.ceil(timeoutMs / sweepMs)
      const asked: Asked = { due, taken: false, fail: (error) => end(Exit.fail(error)) }
      const message = make({
        succeed: (value) => end(Exit.succeed(value)),
        fail: (error) => end(Exit.fail(error)),
        abandoned: () => abandoned
      })
      this.askOf.set(message, asked)
      this.asked.add(asked)
      if (!this.tell(message)) {
        this.asked.delete(asked)
        return Effect.fail(this.busy())
      }
      this.sweeper ??= Effect.runForkWith(asker.context)(this.sweep)
      return Effect.onInterrupt(Deferred.await(answer), () => Effect.sync(() => end(Exit.interrupt())))
    })

  /** Handles messages until `stop`; fails or dies as a step does. Run again, it goes on with the messages that wait. */
  readonly run: Effect.Effect<void, unknown> = Effect.scoped(
    Effect.gen({ self: this }, function* () {
      const state = yield* this.spec.open
      this.state = state
      while (!(this.phase === "draining" && this.inbox.size === 0)) {
        if (this.inbox.size === 0) yield* this.sleep()
        else yield* this.batch(state)
      }
      if (this.spec.drain !== undefined) yield* this.spec.drain(state)
    })
  ).pipe(
    Effect.onExit((exit) =>
      Effect.sync(() => {
        this.state = undefined
        if (Exit.isFailure(exit)) this.crashed(exit.cause)
      })
    )
  )

  /** No new messages; those that wait are handled, then `run` ends. */
  readonly stop = (): void => {
    if (this.phase === "open") this.phase = "draining"
    this.wakeUp()
  }

  /** The actor will not run again: everyone who still waits hears it. */
  readonly bury = (): void => {
    this.phase = "gone"
    for (const asked of this.asked) asked.fail(this.unavailable("it has stopped"))
    this.sweeper?.interruptUnsafe()
    this.makeRoom()
  }

  private push(message: M): boolean {
    if (this.phase !== "open") return false
    if (this.inbox.full && this.inbox.policyOf(message) === "owed") reached("inbox-owed")
    const admitted = this.inbox.push(message)
    if (admitted === "full" || admitted === "lost") return false
    if (admitted !== "taken") this.displaced(admitted.displaced)
    this.wakeUp()
    return true
  }

  /** A newer message stands in its place: whoever asked with it hears so at once. Only what was lost counts as dropped. */
  private displaced(message: M): void {
    if (this.inbox.policyOf(message) !== "keep-latest") {
      reached("inbox-dropped-old")
      this.watch.dropped(this.name, message._tag)
    }
    this.askOf.get(message)?.fail(this.busy())
  }

  /** Steps until the inbox is empty or the batch is full, then settles. */
  private batch(state: S): Effect.Effect<void, unknown> {
    const max = this.spec.batchMax ?? 64
    return Effect.gen({ self: this }, function* () {
      const clock = yield* Clock.Clock
      const started = clock.monotonicTimeNanosUnsafe()
      let handled = 0
      let turns = this.spec.lingerTurns ?? 0
      for (;;) {
        handled += yield* this.steps(state, max - handled)
        if (turns-- === 0 || handled >= max) break
        yield* Effect.yieldNow
      }
      const settled = this.spec.settle?.(state)
      if (settled !== undefined) yield* settled
      this.makeRoom()
      this.watch.handled(this.name, handled, Number(clock.monotonicTimeNanosUnsafe() - started) / 1e9)
      // With nothing left it sleeps, and others have their turn anyway.
      if (this.inbox.size > 0) yield* Effect.yieldNow
    })
  }

  /** Handles what waits, at most `max` messages; how many it were. */
  private steps(state: S, max: number): Effect.Effect<number, unknown> {
    return Effect.gen({ self: this }, function* () {
      let handled = 0
      for (let message = this.inbox.shift(); message !== undefined; message = this.inbox.shift()) {
        const asked = this.askOf.get(message)
        if (asked !== undefined) asked.taken = true
        this.watch.begun?.(this.name, message)
        const effect = this.spec.step(state, message)
        if (effect !== undefined) yield* effect
        if (++handled >= max) break
      }
      return handled
    })
  }

  private sleep(): Effect.Effect<void> {
    this.wake = Deferred.makeUnsafe<void>()
    return Deferred.await(this.wake)
  }

  private wakeUp(): void {
    const { wake } = this
    this.wake = undefined
    if (wake !== undefined) Deferred.doneUnsafe(wake, Exit.void)
  }

  private makeRoom(): void {
    const { room } = this
    this.room = undefined
    if (room !== undefined) Deferred.doneUnsafe(room, Exit.void)
  }

  /** Runs while anyone waits for an answer. Nothing may come between its last look and its end: no operation is there. */
  private readonly sweep: Effect.Effect<void> = Effect.gen({ self: this }, function* () {
    while (this.asked.size > 0) {
      yield* Effect.sleep(sweepMs)
      this.sweeps++
      for (const asked of this.asked) {
        if (asked.due > this.sweeps) continue
        reached("ask-late")
        asked.fail(this.unavailable("it did not answer in time"))
      }
    }
    this.sweeper = undefined
  })

  /** An answer that was not given yet died with the state; its work may be done or not. The rest of the inbox stays. */
  private crashed(cause: Cause.Cause<unknown>): void {
    const why = Cause.hasInterruptsOnly(cause) ? "it was stopped" : "it failed while handling this"
    for (const asked of this.asked) if (asked.taken) asked.fail(this.unavailable(why))
    this.makeRoom()
  }

  private busy(): Busy {
    return new Busy({ actor: this.name, retryAfterMs })
  }

  private unavailable(reason: string): Unavailable {
    return new Unavailable({ actor: this.name, reason })
  }
}
