/** What actors promise, under many schedules: overflow, answers, crashes, restarts, escalation, graceful stop. */
import { describe, expect, test } from "bun:test"
import { Cause, Effect, Exit, Fiber } from "effect"
import { forSeeds, World } from "../test/sim/world.ts"
import { Actor, type ActorSpec, type Reply } from "./actor.ts"
import type { Overflow } from "./inbox.ts"
import { type Group, type GroupOptions, startGroup } from "./supervisor.ts"

type Message =
  | { readonly _tag: "Add"; readonly n: number }
  | { readonly _tag: "Latest"; readonly n: number }
  | { readonly _tag: "Get"; readonly reply: Reply<ReadonlyArray<number>> }
  | { readonly _tag: "Crash" }
  | { readonly _tag: "Slow"; readonly ms: number; readonly reply: Reply<string> }

const counter = (overrides: Partial<ActorSpec<Array<number>, Message>> & { readonly add?: Overflow } = {}) =>
  new Actor<Array<number>, Message>({
    name: "counter",
    inboxMax: 4,
    overflow: { Add: overrides.add ?? "refuse", Latest: "keep-latest", Get: "refuse", Crash: "refuse", Slow: "refuse" },
    open: Effect.sync(() => []),
    step: (state, message) => {
      switch (message._tag) {
        case "Crash":
          return Effect.die(new Error("planted"))
        case "Get":
          return message.reply.succeed([...state])
        case "Slow":
          return Effect.andThen(
            Effect.sleep(message.ms),
            Effect.sync(() => message.reply.succeed("done"))
          )
        default:
          state.push(message.n)
      }
    },
    ...overrides
  })

const options: GroupOptions = {
  name: "test",
  strategy: "one-for-one",
  restartsMax: 2,
  withinMs: 10_000,
  backoffMs: 10,
  onRestart: () => {}
}

/** Runs `use` beside a group of actors and stops the group. */
const within = (
  actors: Parameters<typeof startGroup>[1],
  use: (group: Group) => Effect.Effect<void, unknown>,
  wish = options
) =>
  Effect.gen(function* () {
    const group = yield* startGroup(wish, actors)
    yield* use(group)
    yield* group.stop(1000)
  })

const get = (actor: Actor<Array<number>, Message>) =>
  actor.ask<ReadonlyArray<number>>((reply) => ({ _tag: "Get", reply }))
const fill = (actor: Actor<Array<number>, Message>, count: number) =>
  Array.from({ length: count }, (_, n) => actor.tell({ _tag: "Add", n }))

describe("a full inbox", () => {
  test("refuses, drops the new, drops the old of its kind, or keeps the latest, as the message's policy says", () => {
    const refused = counter()
    expect(fill(refused, 6)).toEqual([true, true, true, true, false, false])
    const dropNew = counter({ add: "drop-new" })
    expect(fill(dropNew, 6)).toEqual([true, true, true, true, false, false])
    forSeeds(20, () => {
      const dropOld = counter({ add: "drop-old" })
      expect([...fill(dropOld, 6), dropOld.depth()]).toEqual([true, true, true, true, true, true, 4])
      const latest = counter()
      for (let n = 0; n < 9; n++) latest.tell({ _tag: "Latest", n })
      expect(latest.depth()).toBe(1)
      return within([dropOld, latest], () =>
        Effect.gen(function* () {
          yield* Effect.sleep(10)
          expect([yield* get(dropOld), yield* get(latest)]).toEqual([[2, 3, 4, 5], [8]])
        })
      )
    })
  })

  test("makes senders wait for room, and none of their messages is lost", () =>
    forSeeds(60, () => {
      const actor = counter({ add: "wait", batchMax: 2 })
      return within([actor], () =>
        Effect.gen(function* () {
          const senders = yield* Effect.all(
            [0, 100, 200].map((base) =>
              Effect.forkChild(
                Effect.forEach(
                  Array.from({ length: 20 }, (_, i) => base + i),
                  (n) => actor.offer({ _tag: "Add", n })
                )
              )
            )
          )
          for (const sender of senders) yield* Fiber.join(sender)
          const all = yield* get(actor).pipe(Effect.retry({ times: 20 }))
          expect(all.length).toBe(60)
          for (const base of [0, 100, 200]) {
            const own = all.filter((n) => n >= base && n < base + 100)
            expect(own).toEqual([...own].sort((a, b) => a - b))
          }
        })
      )
    }))

  test("is Busy to an asker", () => {
    const actor = counter()
    fill(actor, 4)
    expect(new World(1).run(Effect.flip(get(actor)))).toMatchObject(Exit.succeed({ _tag: "Busy", actor: "counter" }))
  })
})

describe("an asker", () => {
  test("hears Unavailable when the answer is late, and the actor can see that nobody waits", () =>
    forSeeds(20, () => {
      let abandoned = false
      const actor = counter({
        step: (_, message) => {
          if (message._tag !== "Slow") return
          return Effect.andThen(
            Effect.sleep(message.ms),
            Effect.sync(() => (abandoned = message.reply.abandoned()))
          )
        }
      })
      return within([actor], () =>
        Effect.gen(function* () {
          const error = yield* Effect.flip(actor.ask<string>((reply) => ({ _tag: "Slow", ms: 500, reply }), 100))
          expect(error._tag).toBe("Unavailable")
          yield* Effect.sleep(600)
          expect(abandoned).toBe(true)
        })
      )
    }))

  test("hears Unavailable when the actor crashes over its message; what waits in the inbox survives", () =>
    forSeeds(100, () => {
      const actor = counter({ inboxMax: 20 })
      return within([actor], () =>
        Effect.gen(function* () {
          actor.tell({ _tag: "Crash" })
          fill(actor, 3)
          yield* Effect.sleep(100)
          expect(yield* get(actor)).toEqual([0, 1, 2])
        })
      )
    }))

  test("gets its answer from settle, once for the whole batch", () =>
    forSeeds(50, () => {
      let commits = 0
      const waiting: Array<Reply<ReadonlyArray<number>>> = []
      const actor = counter({
        inboxMax: 50,
        step: (_, message) => void (message._tag === "Get" && waiting.push(message.reply)),
        settle: () => {
          commits++
          for (const reply of waiting.splice(0)) reply.succeed([commits])
        }
      })
      return within([actor], () =>
        Effect.gen(function* () {
          yield* Effect.all(
            Array.from({ length: 30 }, () => get(actor)),
            { concurrency: "unbounded" }
          )
          expect(commits).toBeLessThanOrEqual(30)
        })
      )
    }))

  test("of a batch whose settle crashes hears Unavailable, all of them", () =>
    forSeeds(30, () => {
      let armed = true
      const actor = counter({
        step: () => {},
        settle: () => (armed ? ((armed = false), Effect.die(new Error("disk"))) : undefined)
      })
      return within([actor], () =>
        Effect.gen(function* () {
          const errors = yield* Effect.all(
            [get(actor), get(actor)].map((ask) => Effect.flip(Effect.timeout(ask, 5000))),
            { concurrency: 2 }
          )
          expect(errors.every(({ _tag }) => _tag === "Unavailable" || _tag === "TimeoutError")).toBe(true)
          expect(errors.some(({ _tag }) => _tag === "Unavailable")).toBe(true)
        })
      )
    }))
})

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

test("one seed is one trace; seeds differ", () => {
  const trace = (seed: number): string => {
    const world = new World(seed)
    const actor = counter({ add: "wait" })
    world.run(
      within([actor], () =>
        Effect.gen(function* () {
          yield* Effect.all(
            [1, 2, 3].map((n) => Effect.forEach([n, n, n], () => actor.offer({ _tag: "Add", n }))),
            { concurrency: 3 }
          )
          yield* get(actor).pipe(Effect.retry({ times: 9 }))
        })
      )
    )
    return world.digest
  }
  expect(trace(1)).toBe(trace(1))
  expect(new Set([1, 2, 3, 4, 5].map(trace)).size).toBe(5)
})
