/** The world itself: what it finds, what it refuses, and that a seed is a run. */
import { describe, expect, test } from "bun:test"
import { Clock, Effect, Exit, Fiber, Queue, Ref } from "effect"
import { Random as RandomBytes } from "../io/random.ts"
import { SeededChoices } from "./choices.ts"
import { startMs, Stuck, World } from "./world.ts"

const failing = (preempt: number): number => {
  let lost = 0
  for (let seed = 0; seed < 300; seed++) {
    const exit = new World(seed, preempt).run(
      Effect.gen(function* () {
        const sum = yield* Ref.make(0)
        const add = Effect.flatMap(Ref.get(sum), (n) => Ref.set(sum, n + 1))
        const fibers = yield* Effect.forEach([1, 2, 3], () => Effect.forkChild(Effect.andThen(Effect.sleep(1), add)))
        for (const fiber of fibers) yield* Fiber.join(fiber)
        return yield* Ref.get(sum)
      })
    )
    if (Exit.isSuccess(exit) && exit.value !== 3) lost++
  }
  return lost
}

test("preemption finds an update lost between two neighbouring operations, which order alone does not", () => {
  expect(failing(0)).toBe(0)
  expect(failing(0.3)).toBeGreaterThan(5)
})

test("timers fire by time, those of one time in the order in which they were set, cancelled ones never", () => {
  const fired: Array<number> = []
  const world = new World(1)
  world.run(
    Effect.gen(function* () {
      const fibers = yield* Effect.forEach([50, 10, 30, 20, 40], (ms) =>
        Effect.forkChild(
          Effect.andThen(
            Effect.sleep(ms),
            Effect.sync(() => void fired.push(ms))
          )
        )
      )
      yield* Effect.sleep(1)
      yield* Fiber.interrupt(fibers[2]!)
      yield* Effect.sleep(1e9)
    })
  )
  expect(fired).toEqual([10, 20, 40, 50])
  expect(world.idle).toBe(true)
})

test("time is the world's: a year is over at once, and the same for all", () => {
  const exit = new World(1).run(
    Effect.gen(function* () {
      const began = yield* Clock.currentTimeMillis
      yield* Effect.sleep("365 days")
      return (yield* Clock.currentTimeMillis) - began
    })
  )
  expect(exit).toEqual(Exit.succeed(365 * 24 * 3600 * 1000))
})

describe("a machine whose power goes", () => {
  test("does nothing more: no operation, no finalizer, no timer", () => {
    for (let seed = 0; seed < 50; seed++) {
      const world = new World(seed, 0.2)
      const host = world.host("a")
      const did: Array<string> = []
      const say = (what: string) => Effect.sync(() => void did.push(`${what} ${host.alive ? "on" : "off"}`))
      const burst = Effect.forEach([1, 2, 3], () => Effect.andThen(say("work"), Effect.yieldNow), { discard: true })
      const work = Effect.forever(Effect.andThen(burst, Effect.sleep(3)))
      world.run(
        Effect.gen(function* () {
          host.fork(Effect.ensuring(work, say("finalizer")))
          host.fork(Effect.onInterrupt(Effect.never, () => say("interrupted")))
          host.fork(Effect.onExit(work, () => say("exit")))
          host.after(100, () => void did.push("timer"))
          yield* Effect.sleep(20 + seed)
          const before = did.length
          host.kill()
          expect([before > 5, host.waiting]).toEqual([true, 0])
          host.fork(say("born dead"))
          host.after(1, () => void did.push("late timer"))
          yield* Effect.sleep(10_000)
          expect(did.length).toBe(before)
        })
      )
      expect([world.idle, did.filter((what) => !/^work on$/.test(what))]).toEqual([true, []])
    }
  })

  test("leaves the others as they were, and another may take its place", () => {
    const world = new World(1)
    const beats: Record<string, number> = { a: 0, b: 0, again: 0 }
    const beat = (name: string) =>
      world.host(name).fork(Effect.forever(Effect.andThen(Effect.sleep(10), Effect.sync(() => void beats[name]!++))))
    world.run(
      Effect.gen(function* () {
        const a = world.host("a")
        a.fork(Effect.forever(Effect.andThen(Effect.sleep(10), Effect.sync(() => void beats["a"]!++))))
        beat("b")
        yield* Effect.sleep(105)
        a.kill()
        beat("again")
        yield* Effect.sleep(100)
      })
    )
    expect(beats).toEqual({ a: 10, b: 20, again: 9 })
  })

  test("keeps a clock of its own that may be off, and chance of its own that is the same in every run", () => {
    const run = (seed: number) => {
      const world = new World(seed)
      const [a, b] = [world.host("a"), world.host("b")]
      b.skewMs = -5_000
      const read: Array<number> = []
      world.run(
        Effect.gen(function* () {
          yield* Effect.sleep(10)
          for (const host of [a, b]) host.fork(Effect.map(Clock.currentTimeMillis, (now) => read.push(now - startMs)))
          yield* Effect.sleep(1)
        })
      )
      return { read: read.toSorted((x, y) => x - y), bytes: [a, b].map(({ dice }) => dice.bytes(4).toHex()) }
    }
    expect(run(1).read).toEqual([-4_990, 10])
    expect(run(1)).toEqual(run(1))
    expect(run(1).bytes[0]).not.toBe(run(1).bytes[1])
    expect(run(1).bytes).not.toEqual(run(2).bytes)
  })
})

describe("one seed", () => {
  const digest = (seed: number): string => {
    const world = new World(seed, 0.2)
    world.run(
      Effect.gen(function* () {
        const inbox = yield* Queue.bounded<number>(4)
        for (let i = 0; i < 6; i++)
          world.host(`h${i}`).fork(
            Effect.gen(function* () {
              const bytes = yield* RandomBytes
              for (let turn = 0; turn < 20; turn++) {
                yield* Effect.sleep(1 + (bytes(1)[0]! % 7))
                yield* Queue.offer(inbox, i)
              }
            })
          )
        for (let i = 0; i < 120; i++) world.trace.add(yield* Queue.take(inbox))
      })
    )
    return world.digest
  }

  test("is one run, step by step, and another seed another", () => {
    const digests = Array.from({ length: 20 }, (_, seed) => digest(seed))
    expect(digests).toEqual(Array.from({ length: 20 }, (_, seed) => digest(seed)))
    expect(new Set(digests).size).toBe(20)
  })
})

test("a world that finds no end is Stuck, and what an audit throws ends the run", () => {
  const forever = Effect.forever(Effect.yieldNow)
  expect(() => new World({ choices: new SeededChoices(1), stepsMax: 1_000 }).run(forever)).toThrow(Stuck)
  const world = new World(1)
  world.audit = () => {
    if (world.steps === 100) throw new Error("seen at step 100")
  }
  expect(() => world.run(forever)).toThrow("seen at step 100")
})

test("what asks for it may settle through promises: their microtasks are run after each step, and time goes on meanwhile", () => {
  const world = new World(1)
  const program = Effect.callback<number>((resume) => {
    const settled = world.promised()
    const work = async (): Promise<void> => {
      await Promise.resolve()
      await new Promise<void>((done) => void world.home.after(5_000, done))
      settled()
      resume(Effect.succeed(world.elapsed))
    }
    void work()
  })
  expect(world.run(program)).toEqual(Exit.succeed(5_000))
  const lost = Effect.callback<number>(() => void world.promised())
  expect(() => world.run(lost)).toThrow("a promise waits for the world outside")
})
