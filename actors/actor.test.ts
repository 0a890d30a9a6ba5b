/** What actors promise, under many schedules: overflow, answers, lateness, crashes. Groups of them: supervisor.test.ts. */
import { describe, expect, test } from "bun:test"
import { Clock, Effect, Exit, Fiber } from "effect"
import { counter, fill, get, within } from "../test/sim/counter.ts"
import { forSeeds, World } from "../src/sim/world.ts"
import type { Reply } from "./actor.ts"

const refuseAll = { Add: "refuse", Latest: "refuse", Get: "refuse", Crash: "refuse", Slow: "refuse" } as const

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

  test("counts each message that is lost, once, by actor and kind; one that gave way to a newer is none", () => {
    for (const add of ["refuse", "drop-new", "drop-old", "wait"] as const) {
      const lost: Array<string> = []
      const dropped = (actor: string, kind: string): void => void lost.push(`${actor}.${kind}`)
      const actor = counter({ add }, { dropped, handled: () => {} })
      fill(actor, 6)
      actor.tell({ _tag: "Latest", n: 1 })
      actor.tell({ _tag: "Latest", n: 2 })
      expect(lost).toEqual(["counter.Add", "counter.Add"])
    }
  })

  test("tells a sender of the drop-old kind the truth when only others wait", () => {
    const actor = counter({ overflow: { ...refuseAll, Latest: "drop-old" } })
    fill(actor, 4)
    expect([actor.tell({ _tag: "Latest", n: 1 }), actor.depth()]).toEqual([false, 4])
  })

  test("is Busy at once to an asker whose message had to give way", () =>
    forSeeds(20, () => {
      const actor = counter({ overflow: { ...refuseAll, Get: "keep-latest" } })
      return Effect.gen(function* () {
        const first = yield* Effect.forkChild(Effect.flip(get(actor)))
        yield* Effect.sleep(1)
        const second = yield* Effect.forkChild(get(actor))
        const before = yield* Clock.currentTimeMillis
        expect((yield* Fiber.join(first))._tag).toBe("Busy")
        expect((yield* Clock.currentTimeMillis) - before).toBe(0)
        yield* within([actor], () => Fiber.join(second))
      })
    }))

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

  test("waits as long as it said and hardly longer, each by its own time", () =>
    forSeeds(30, () => {
      const actor = counter({ inboxMax: 20, step: () => {} })
      const late = (ms: number) =>
        Effect.gen(function* () {
          const began = yield* Clock.currentTimeMillis
          yield* Effect.sleep(ms % 7)
          yield* Effect.flip(actor.ask<string>((reply) => ({ _tag: "Slow", ms: 0, reply }), ms))
          return (yield* Clock.currentTimeMillis) - began - (ms % 7) - ms
        })
      return within([actor], () =>
        Effect.gen(function* () {
          const lateness = yield* Effect.all([1, 99, 100, 350, 777, 5000].map(late), { concurrency: "unbounded" })
          expect(lateness.filter((ms) => ms < 0 || ms > 200)).toEqual([])
        })
      )
    }))

  test("that is interrupted leaves its answer abandoned", () =>
    forSeeds(30, () => {
      const seen: Array<boolean> = []
      const actor = counter({
        step: (_, message) => void (message._tag === "Slow" && seen.push(message.reply.abandoned()))
      })
      return Effect.gen(function* () {
        const asker = yield* Effect.forkChild(actor.ask<string>((reply) => ({ _tag: "Slow", ms: 0, reply })))
        yield* Effect.sleep(1)
        yield* Fiber.interrupt(asker)
        yield* within([actor], () => Effect.sleep(10))
        expect(seen).toEqual([true])
      })
    }))

  test("hears Unavailable when the actor crashes over its message; those behind it are answered", () =>
    forSeeds(100, () => {
      const actor = counter({ inboxMax: 20 })
      return within([actor], () =>
        Effect.gen(function* () {
          const before = yield* Clock.currentTimeMillis
          const asker = yield* Effect.forkChild(Effect.flip(actor.ask<string>((reply) => ({ _tag: "Crash", reply }))))
          yield* Effect.sleep(1)
          fill(actor, 3)
          expect(yield* get(actor)).toEqual([0, 1, 2])
          expect((yield* Fiber.join(asker))._tag).toBe("Unavailable")
          expect((yield* Clock.currentTimeMillis) - before).toBeLessThan(1000)
        })
      )
    }))

  test("hears Unavailable when the state that kept its answer over a settle is lost, and not at its deadline", () =>
    forSeeds(30, () => {
      const kept: Array<unknown> = []
      const actor = counter({
        step: (_, message) => (message._tag === "Crash" ? Effect.die(new Error("planted")) : void kept.push(message))
      })
      return within([actor], () =>
        Effect.gen(function* () {
          const asker = yield* Effect.forkChild(Effect.flip(get(actor)))
          yield* Effect.sleep(50)
          const before = yield* Clock.currentTimeMillis
          actor.tell({ _tag: "Crash" })
          expect((yield* Fiber.join(asker))._tag).toBe("Unavailable")
          expect((yield* Clock.currentTimeMillis) - before).toBeLessThan(10)
          expect(kept.length).toBe(1)
        })
      )
    }))

  test("gets its answer from settle, which lands what waits together, batchMax at a time", () => {
    for (const batchMax of [64, 30, 8]) {
      forSeeds(20, () => {
        const settled: Array<number> = []
        const waiting: Array<Reply<ReadonlyArray<number>>> = []
        const actor = counter({
          inboxMax: 50,
          batchMax,
          step: (_, message) => void (message._tag === "Get" && waiting.push(message.reply)),
          settle: () => {
            settled.push(waiting.length)
            for (const reply of waiting.splice(0)) reply.succeed([settled.length])
          }
        })
        return Effect.gen(function* () {
          const askers = yield* Effect.forEach(Array.from({ length: 30 }), () => Effect.forkChild(get(actor)))
          yield* Effect.sleep(1)
          expect(actor.depth()).toBe(30)
          yield* within([actor], () => Effect.forEach(askers, Fiber.join, { discard: true }))
          expect([settled.length, settled.reduce((sum, n) => sum + n)]).toEqual([Math.ceil(30 / batchMax), 30])
        })
      })
    }
  })

  test("of a batch whose settle crashes hears Unavailable, all of them", () =>
    forSeeds(30, () => {
      let armed = true
      const actor = counter({
        step: () => {},
        settle: () => (armed ? ((armed = false), Effect.die(new Error("disk"))) : undefined)
      })
      return Effect.gen(function* () {
        const askers = yield* Effect.forEach([1, 2, 3], () => Effect.forkChild(Effect.flip(get(actor))))
        yield* Effect.sleep(1)
        yield* within([actor], () =>
          Effect.gen(function* () {
            const began = yield* Clock.currentTimeMillis
            const errors = yield* Effect.forEach(askers, (asker) => Fiber.join(asker))
            expect(errors.map(({ _tag }) => _tag)).toEqual(["Unavailable", "Unavailable", "Unavailable"])
            expect((yield* Clock.currentTimeMillis) - began).toBeLessThan(10)
          })
        )
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

test("an actor says what it holds while it runs: its inbox, and what its state says", () =>
  forSeeds(5, () => {
    const actor = counter({
      overflow: { ...refuseAll, Latest: "keep-latest", Add: "owed" },
      owedMax: 2,
      bounds: (state) => [{ of: "numbers", used: state.length, max: 99 }]
    })
    expect(actor.bounds()).toEqual([{ of: "inbox", used: 0, max: 7 }])
    return Effect.gen(function* () {
      fill(actor, 3)
      yield* within([actor], () =>
        Effect.gen(function* () {
          yield* get(actor)
          expect(actor.bounds()[1]).toEqual({ of: "numbers", used: 3, max: 99 })
        })
      )
      expect(actor.bounds()).toEqual([{ of: "inbox", used: 0, max: 7 }])
    })
  }))
