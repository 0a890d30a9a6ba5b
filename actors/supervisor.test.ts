/** What a group of actors promises, under many schedules: restarts, escalation, one life at a time, graceful stop. */
import { describe, expect, test } from "bun:test"
import { Cause, Effect, Exit, Fiber, Logger, References } from "effect"
import { counter, type Counter, fill, get, options, within } from "../test/sim/counter.ts"
import { forSeeds, World } from "../src/sim/world.ts"
import { startGroup } from "./supervisor.ts"

describe("a group", () => {
  test("escalates when a child crashes more often than it allows", () =>
    forSeeds(50, () => {
      const actor = counter({ inboxMax: 20 })
      return within([actor], (group) =>
        Effect.gen(function* () {
          for (let i = 0; i < 3; i++) actor.tell({ _tag: "Crash" })
          const error = yield* Effect.flip(group.failed)
          expect(error).toMatchObject({ _tag: "Escalation", group: "test", child: "counter" })
          expect(Cause.pretty(error.cause)).toContain("planted")
        })
      )
    }))

  test("forgets crashes that lie behind the window", () =>
    forSeeds(20, () => {
      const actor = counter({ inboxMax: 20 })
      return within([actor], (group) =>
        Effect.gen(function* () {
          const escalated = yield* Effect.forkChild(Effect.flip(group.failed))
          for (let i = 0; i < 5; i++) {
            actor.tell({ _tag: "Crash" })
            yield* Effect.sleep(6_000)
          }
          expect(escalated.pollUnsafe()).toBeUndefined()
          expect(yield* get(actor)).toEqual([])
          yield* Fiber.interrupt(escalated)
        })
      )
    }))

  test("rest-for-one restarts what was started after the one that crashed, and not what was before", () =>
    forSeeds(50, () => {
      const opened: Array<string> = []
      const named = (name: string) => counter({ name, open: Effect.sync(() => (opened.push(name), [])) })
      const [first, second, third] = [named("first"), named("second"), named("third")]
      return within(
        [first, second, third],
        () =>
          Effect.gen(function* () {
            yield* Effect.all([get(first), get(second), get(third)])
            second.tell({ _tag: "Crash" })
            yield* Effect.sleep(100)
            yield* Effect.all([get(first), get(second), get(third)])
            expect([...opened].sort()).toEqual(["first", "second", "second", "third", "third"])
          }),
        { ...options, strategy: "rest-for-one" }
      )
    }))

  test("stops gracefully: what waits is handled, drain comes last, later messages are refused", () =>
    forSeeds(50, () => {
      const seen: Array<string> = []
      const actor = counter({
        step: (_, message) => void seen.push(message._tag),
        drain: () => Effect.sync(() => void seen.push("drain"))
      })
      return Effect.gen(function* () {
        const group = yield* startGroup(options, [actor])
        fill(actor, 3)
        yield* group.stop(1000)
        expect(seen).toEqual(["Add", "Add", "Add", "drain"])
        expect(actor.tell({ _tag: "Add", n: 1 })).toBe(false)
        expect((yield* Effect.flip(get(actor)))._tag).toBe("Unavailable")
      })
    }))

  test("a step that hangs is interrupted at the deadline, and its asker hears it", () =>
    forSeeds(20, () => {
      const actor = counter()
      return Effect.gen(function* () {
        const group = yield* startGroup(options, [actor])
        const asker = yield* Effect.forkChild(
          Effect.flip(actor.ask<string>((reply) => ({ _tag: "Slow", ms: 1e9, reply }), 1e8))
        )
        yield* Effect.sleep(10)
        yield* group.stop(1000)
        expect((yield* Fiber.join(asker))._tag).toBe("Unavailable")
      })
    }))
})

/** An actor that knows how many of its lives run at the same time, and the most that ever did. */
const single = (name: string, lives: { now: number; most: number; all: number }): Counter =>
  counter({
    name,
    inboxMax: 20,
    open: Effect.acquireRelease(
      Effect.sync((): Array<number> => {
        lives.all++
        lives.most = Math.max(lives.most, ++lives.now)
        return []
      }),
      () => Effect.sync(() => void lives.now--)
    )
  })

describe("crashes at the same time", () => {
  for (const strategy of ["one-for-one", "rest-for-one"] as const)
    test(`leave each actor one life, and all alive (${strategy})`, () =>
      forSeeds(200, () => {
        const lives = ["a", "b", "c"].map(() => ({ now: 0, most: 0, all: 0 }))
        const actors = lives.map((life, i) => single(`actor-${i}`, life))
        const use = Effect.gen(function* () {
          yield* Effect.sleep(5)
          for (const at of [2, 1, 0, 1]) {
            actors[at]!.tell({ _tag: "Crash" })
            yield* Effect.sleep(2)
          }
          yield* Effect.sleep(500)
          for (const { now, most } of lives) expect([now, most]).toEqual([1, 1])
          expect(lives[1]!.all).toBeGreaterThan(1)
          for (const actor of actors) expect(yield* get(actor)).toEqual([])
        })
        return Effect.gen(function* () {
          yield* within(actors, () => use, { ...options, strategy, restartsMax: 10 })
          expect(lives.map(({ now }) => now)).toEqual([0, 0, 0])
        })
      }))
})

describe("a stop", () => {
  test("goes from the last started to the first, and leaves nothing that runs or would wake", () => {
    for (let seed = 0; seed < 50; seed++) {
      const world = new World(seed)
      const order: Array<string> = []
      const make = (name: string) => counter({ name, drain: () => Effect.sync(() => void order.push(name)) })
      const [first, second] = [make("first"), make("second")]
      const program = Effect.andThen(
        within([first, second], () => get(first)),
        Effect.sleep(1)
      )
      expect(Exit.isSuccess(world.run(program))).toBe(true)
      expect([order, world.idle]).toEqual([["second", "first"], true])
    }
  })

  test("while a restart waits for its time stays a stop", () => {
    for (let seed = 0; seed < 50; seed++) {
      const world = new World(seed)
      const lives = { now: 0, most: 0, all: 0 }
      const actor = single("actor", lives)
      const crash = Effect.sync(() => void actor.tell({ _tag: "Crash" }))
      const program = within([actor], () => Effect.andThen(crash, Effect.sleep(5)))
      expect(Exit.isSuccess(world.run(Effect.andThen(program, Effect.sleep(1))))).toBe(true)
      expect([lives, world.idle]).toEqual([{ now: 0, most: 1, all: 1 }, true])
    }
  })

  test("keeps its deadline when a finalizer hangs", () =>
    forSeeds(20, () => {
      const actor = counter({ open: Effect.acquireRelease(Effect.succeed([]), () => Effect.never) })
      return Effect.gen(function* () {
        const group = yield* startGroup(options, [actor])
        yield* get(actor)
        yield* Effect.timeout(group.stop(1000), 1001)
      })
    }))
})

describe("supervision never fails in silence", () => {
  const hearing = (heard: Array<unknown>, body: Effect.Effect<void, unknown>) =>
    body.pipe(
      Effect.provide(Logger.layer([Logger.make(({ message }) => void heard.push(message))])),
      Effect.provideService(References.MinimumLogLevel, "Info")
    )

  test("a crash is logged once with its cause, in a step and in the last act alike", () => {
    for (const last of [false, true])
      forSeeds(20, () => {
        const heard: Array<unknown> = []
        const actor = counter(last ? { drain: () => Effect.die(new Error("planted")) } : {})
        const use = Effect.gen(function* () {
          if (!last) actor.tell({ _tag: "Crash" })
          yield* Effect.sleep(100)
        })
        return Effect.gen(function* () {
          yield* hearing(
            heard,
            within([actor], () => use)
          )
          expect(heard).toEqual([["counter failed", { actor: "counter", cause: expect.stringContaining("planted") }]])
        })
      })
  })

  test("a child that cannot be ended is not started a second time: the group escalates", () =>
    forSeeds(20, () => {
      const hanging = counter({ name: "hanging", open: Effect.acquireRelease(Effect.succeed([]), () => Effect.never) })
      const first = counter({ name: "first" })
      const use = (failed: Effect.Effect<never, { readonly child: string }>) =>
        Effect.gen(function* () {
          yield* get(hanging)
          first.tell({ _tag: "Crash" })
          expect((yield* Effect.flip(failed)).child).toBe("hanging")
        })
      return within([first, hanging], (group) => use(group.failed), { ...options, strategy: "rest-for-one" })
    }))

  test("a bug of the supervision itself fails the group", () =>
    forSeeds(20, () => {
      const actor = counter()
      const onRestart = (): void => {
        throw new Error("a bug in the supervision")
      }
      return within(
        [actor],
        (group) =>
          Effect.gen(function* () {
            actor.tell({ _tag: "Crash" })
            const exit = yield* Effect.exit(group.failed)
            expect(Exit.isFailure(exit) && Cause.pretty(exit.cause)).toContain("a bug in the supervision")
          }),
        { ...options, onRestart }
      )
    }))
})
