/** The world itself: what it finds, what it refuses, and that a seed is a run. */
import { describe, expect, test } from "bun:test"
import { Clock, Effect, Exit, Fiber, Ref } from "effect"
import { Leak } from "./fence.ts"
import { Stuck, World } from "./world.ts"

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

describe("a world has no door to ours", () => {
  const leaks: Readonly<Record<string, () => unknown>> = {
    now: () => Date.now(),
    random: () => Math.random(),
    setTimeout: () => setTimeout(() => {}, 1),
    getRandomValues: () => crypto.getRandomValues(new Uint8Array(1))
  }
  for (const [name, leak] of Object.entries(leaks))
    test(`${name} is found out, even if whoever used it survives that; afterwards it works again`, () => {
      expect(() => new World(1).run(Effect.ignoreCause(Effect.sync(leak)))).toThrow(Leak)
      const timer = leak()
      clearTimeout(timer as never)
    })

  test("a promise and a deadlock are Stuck", () => {
    expect(() => new World(1).run(Effect.promise(() => Promise.resolve(1)))).toThrow(Stuck)
    expect(() => new World(1).run(Effect.never)).toThrow(Stuck)
  })
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
