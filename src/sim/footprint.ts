/**
 * What a step of a world meets: the lanes it wakes, which the world tells, and what it shares with
 * other steps, which the program declares. explore.ts leaves out orders that differ only in steps which do not meet.
 */
import { Effect, type Exit, Fiber, Tracer } from "effect"
import type { ActorWatch } from "../../actors/actor.ts"
import type { Deviations } from "./choices.ts"
import type { Guide } from "./world.ts"

// ── what a program declares ──────────────────────────────────────────────────────────────────────────────────────────

/** The run in hand. Runs are synchronous, so there is one at a time. */
let hand: Recorder | undefined

/** Runs `f` as the run that this recorder watches. */
export const watchedBy = <A>(recorder: Recorder, f: () => A): A => {
  hand = recorder
  try {
    return f()
  } finally {
    recorder.close()
    hand = undefined
  }
}

/** Declares, from within a step, that it reads or changes what goes by this name. Outside of an exploration it does nothing. */
export const touched = (name: string, how: "read" | "write" = "write"): void => hand?.declare(name, how === "write")

/** Declares what the step in hand shares with others. No name: nothing. */
export const touch = (...names: ReadonlyArray<string>): Effect.Effect<void> =>
  Effect.sync(() => {
    if (names.length === 0) hand?.declareNothing()
    for (const name of names) touched(name)
  })

/** Waits until nothing else can run: a millisecond, which passes only then. */
export const quiet: Effect.Effect<void> = Effect.andThen(touch(), Effect.sleep(1))

/** A value that fibers share. Each of the three is one operation. */
export interface Cell<A> {
  readonly get: Effect.Effect<A>
  readonly set: (value: A) => Effect.Effect<void>
  readonly update: (f: (value: A) => A) => Effect.Effect<A>
}

export const cell = <A>(name: string, initial: A): Cell<A> => {
  let value = initial
  const update = (f: (value: A) => A): Effect.Effect<A> =>
    Effect.sync(() => {
      touched(name)
      return (value = f(value))
    })
  const get = Effect.sync(() => {
    touched(name, "read")
    return value
  })
  return { get, update, set: (next) => Effect.asVoid(update(() => next)) }
}

/** Something that happens once, and that fibers wait for. */
export interface Signal {
  readonly set: Effect.Effect<void>
  readonly wait: Effect.Effect<void>
}

export const signal = (name: string): Signal => {
  let isSet = false
  const waiting = new Set<() => void>()
  return {
    set: Effect.sync(() => {
      touched(name)
      isSet = true
      for (const go of [...waiting]) go()
      waiting.clear()
    }),
    wait: Effect.callback<void>((resume) => {
      touched(name, "read")
      const go = (): void => resume(Effect.void)
      if (isSet) return go()
      waiting.add(go)
      return Effect.sync(() => {
        touched(name)
        waiting.delete(go)
      })
    })
  }
}

/** The same object; whoever calls a method of it or takes anything else from it has touched the name. `reads` change nothing. */
export const tracked = <A extends object>(name: string, object: A, reads: ReadonlyArray<keyof A>): A =>
  new Proxy(object, {
    get: (target, key) => {
      const value: unknown = Reflect.get(target, key, target)
      const how = reads.includes(key as keyof A) ? "read" : "write"
      if (typeof value !== "function") {
        touched(name, how)
        return value
      }
      return (...args: ReadonlyArray<unknown>): unknown => {
        touched(name, how)
        return Reflect.apply(value, target, args)
      }
    }
  })

/** Actors that are watched by this declare their messages. They may wait for messages and time, and for nothing else. */
export const watching: ActorWatch = {
  dropped: () => {},
  handled: () => {},
  told: (actor) => touched(inboxOf(actor)),
  begun: (actor) => hand?.begun(actor)
}

const inboxOf = (actor: string): string => `inbox of ${actor}`

/** Runs named programs side by side, each from a turn of its own, to their ends. Their values, in order. */
export const together = <A, E>(
  programs: Readonly<Record<string, Effect.Effect<A, E>>>
): Effect.Effect<ReadonlyArray<A>, E> =>
  Effect.gen(function* () {
    const all = Object.entries(programs)
    const exits: Array<Exit.Exit<A, E>> = []
    const done = signal(all.map(([name]) => name).join(" and "))
    let left = all.length
    // The count does not care who comes first: it need not be declared.
    const ended = Effect.suspend(() => (--left === 0 ? done.set : Effect.void))
    for (const [i, [name, program]] of all.entries()) {
      const named = Effect.sync(() => hand?.name(name))
      const kept = Effect.map(Effect.exit(program), (exit) => void (exits[i] = exit))
      const whole = named.pipe(Effect.andThen(Effect.yieldNow), Effect.andThen(kept), Effect.andThen(ended))
      yield* Effect.forkChild(whole, { startImmediately: true })
    }
    if (all.length > 0) yield* done.wait
    return yield* Effect.forEach(exits, (exit) => exit)
  })

// ── one run, step by step ──────────────────────────────────────────────────────────────────────────────────────────────

/** What a step met, and whether it changed it: lanes and timers by id, what is declared by name. */
class Footprint {
  readonly met = new Map<number | string, boolean>()
  /** It may have met anything. */
  opaque = false

  add(what: number | string, changed: boolean): void {
    this.met.set(what, changed || this.met.get(what) === true)
  }

  apartFrom(other: Footprint): boolean {
    if (this.opaque || other.opaque) return false
    for (const [what, changed] of this.met) {
      const there = other.met.get(what)
      if (there !== undefined && (changed || there)) return false
    }
    return true
  }
}

export interface Step {
  /** Its lane or timer. */
  readonly id: number
  /** Operations after which it was preempted; 0: it was not. */
  readonly ops: number
  readonly footprint: Footprint
  /** Operations before which it could be preempted. */
  operations: number
  /** Those where that would make a difference. */
  cuts: ReadonlyArray<number>
  who: string
}

export interface Choice {
  readonly at: number
  readonly ops: number
}

export interface Strategy {
  /** See Guide. */
  readonly next: (enabled: ReadonlyArray<number>, late: boolean) => Choice
  /** Hears of each step when it is over. */
  readonly did?: (step: Step) => void
  /** The run so far, for a replay. */
  readonly choices: () => Deviations
}

/** The run is given up. */
export class Halt extends Error {
  readonly why: "asleep" | "deep"
  constructor(why: "asleep" | "deep") {
    super(why)
    this.why = why
  }
}

/** Watches a run step by step. */
export class Recorder implements Guide {
  private readonly strategy: Strategy
  private readonly stepsMax: number
  /** Steps so far. */
  steps = 0
  private step: Step | undefined
  private declared = false
  private entered: object | undefined
  /** What the step has met so far that others could notice. */
  private events = 0
  /** The same, and the timers that it has set. */
  private heard = 0
  private eventsAtOp: Array<number> = []
  private lastTimer = 0
  private lastLane = -1
  private readonly actors = new WeakMap<object, string>()
  private readonly names = new WeakMap<object, string>()

  constructor(strategy: Strategy, steps: number) {
    this.strategy = strategy
    this.stepsMax = steps
  }

  next(enabled: ReadonlyArray<number>, late: boolean): Choice {
    this.close()
    if (this.steps++ === this.stepsMax) throw new Halt("deep")
    const choice = this.strategy.next(enabled, late)
    const id = enabled[choice.at]!
    const footprint = new Footprint()
    footprint.add(id, true)
    this.step = { id, ops: choice.ops, footprint, operations: 0, cuts: [], who: "" }
    this.declared = false
    this.entered = undefined
    this.events = 0
    this.eventsAtOp = []
    return choice
  }

  touched(what: number | string): void {
    const { step } = this
    this.heard++
    // A timer just set is nobody's business before its time.
    const timer = typeof what === "number" && what < this.lastTimer
    const lane = typeof what === "number" && what > this.lastLane
    if (timer) this.lastTimer = what
    if (lane) this.lastLane = what
    // What is new cannot be in anyone's way, and has another id in another order of the same steps.
    if (!timer && !lane) step?.footprint.add(what, true)
    if (!timer && what !== step?.id) this.events++
  }

  operation(): void {
    this.eventsAtOp.push(this.events)
  }

  declare(name: string, changed: boolean): void {
    this.declared = true
    this.heard++
    this.events++
    this.step?.footprint.add(name, changed)
  }

  declareNothing(): void {
    this.declared = true
  }

  begun(actor: string): void {
    const fiber = Fiber.getCurrent()
    if (fiber !== undefined) this.actors.set(fiber, actor)
    this.name(actor)
    this.declare(inboxOf(actor), true)
  }

  name(name: string): void {
    const fiber = Fiber.getCurrent()
    if (fiber !== undefined) this.names.set(fiber, name)
  }

  /** The program, with every operation of its fibers seen. */
  around<A, E>(program: Effect.Effect<A, E>): Effect.Effect<A, E> {
    const tracer = Tracer.make({
      span: (options) => new Tracer.NativeSpan(options),
      context: (operation, fiber) => this.evaluate(operation, fiber)
    })
    return Effect.provideService(program, Tracer.Tracer, tracer)
  }

  /** Every operation of every fiber passes here. One that waits, or would have waited, for something unknown is noticed. */
  private evaluate<X>(operation: Tracer.EffectPrimitive<X>, fiber: Fiber.Fiber<unknown, unknown>): X {
    this.entered ??= fiber
    const waits = (operation as { readonly [identifier]?: string })[identifier] === "Async"
    const { heard } = this
    const next = operation[evaluate](fiber)
    if (waits && heard === this.heard && !this.actors.has(fiber) && this.step !== undefined)
      this.step.footprint.opaque = true
    return next
  }

  /** The step in hand is over: now it is known what it met. */
  close(): void {
    const { step, entered } = this
    if (step === undefined) return
    this.step = undefined
    const { footprint } = step
    const actor = entered === undefined ? undefined : this.actors.get(entered)
    if (actor !== undefined) footprint.add(inboxOf(actor), true)
    const resumed = step.id < 0 && this.events > 0
    if (!this.declared && actor === undefined && !resumed) footprint.opaque = true
    step.operations = this.eventsAtOp.length
    // An actor looks into its inbox without a word, so every place may lie between that and what it does about it.
    step.cuts = footprint.opaque || actor !== undefined ? upTo(step.operations) : this.usefulCuts()
    const known = entered === undefined ? undefined : this.names.get(entered)
    step.who = step.id < 0 ? "timer" : (known ?? `fiber of lane ${step.id}`)
    this.strategy.did?.(step)
  }

  /** Of the places between two events the first. Before the first event or after the last a preemption changes nothing. */
  private usefulCuts(): ReadonlyArray<number> {
    const at = this.eventsAtOp
    return at.flatMap((events, i) => (events > (at[i - 1] ?? 0) && events < this.events ? [i + 1] : []))
  }
}

/** 1 to n. */
export const upTo = (n: number): ReadonlyArray<number> => Array.from({ length: n }, (_, i) => i + 1)

const identifier = "~effect/Effect/identifier"
const evaluate = "~effect/Effect/evaluate"
