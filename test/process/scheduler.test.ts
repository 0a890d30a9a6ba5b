/** The production scheduler against a real clock: heavy handlers must not starve timers. */
import { expect, test } from "bun:test"
import { Effect } from "effect"
import { SlicedScheduler } from "../../actors/scheduler.ts"

const spin = (ms: number): void => {
  const end = performance.now() + ms
  while (performance.now() < end);
}

test("300 handlers of a millisecond leave a 5 ms timer its turn", async () => {
  const late: Array<number> = []
  let last = performance.now()
  const timer = setInterval(() => {
    const now = performance.now()
    late.push(now - last - 5)
    last = now
  }, 5)
  const heavy = Effect.forEach(Array.from({ length: 300 }), () => Effect.sync(() => spin(1)), { discard: true })
  await Effect.runPromise(heavy, { scheduler: new SlicedScheduler() })
  clearInterval(timer)
  expect(late.length).toBeGreaterThan(15)
  expect(late.sort((a, b) => a - b)[late.length >> 1]!).toBeLessThan(30)
})

test("fibers take turns: none waits for another to end", async () => {
  const order: Array<string> = []
  const worker = (name: string): Effect.Effect<void> =>
    Effect.forEach(
      [1, 2, 3],
      () =>
        Effect.andThen(
          Effect.sync(() => (order.push(name), spin(6))),
          Effect.yieldNow
        ),
      { discard: true }
    )
  await Effect.runPromise(Effect.all([worker("a"), worker("b")], { concurrency: 2, discard: true }), {
    scheduler: new SlicedScheduler()
  })
  expect(order.slice(0, 4).sort()).toEqual(["a", "a", "b", "b"])
})
