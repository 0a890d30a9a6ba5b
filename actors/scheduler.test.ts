/** The run queue by itself, turned by hand: slices, a task that throws, flush. On a real clock: test/process/scheduler.test.ts. */
import { afterEach, beforeEach, expect, test } from "bun:test"
import { SlicedScheduler } from "./scheduler.ts"

const real = { setImmediate: globalThis.setImmediate, now: performance.now }
let turns: Array<() => void> = []
let nowMs = 0

beforeEach(() => {
  turns = []
  nowMs = 0
  globalThis.setImmediate = ((turn: () => void) => turns.push(turn)) as never
  performance.now = () => nowMs
})
afterEach(() => {
  globalThis.setImmediate = real.setImmediate
  performance.now = real.now
})

test("a slice ends when its time is over, and the next goes on where it stopped", () => {
  const dispatcher = new SlicedScheduler(4).makeDispatcher()
  const done: Array<number> = []
  for (let i = 0; i < 10; i++) dispatcher.scheduleTask(() => (nowMs++, void done.push(i)), 0)
  const lengths: Array<number> = []
  while (turns.length > 0) {
    expect(turns.length).toBe(1)
    turns.shift()!()
    lengths.push(done.length)
  }
  expect(lengths).toEqual([4, 8, 10])
  expect(done).toEqual([0, 1, 2, 3, 4, 5, 6, 7, 8, 9])
})

test("a task that throws does not take those behind it along", () => {
  const dispatcher = new SlicedScheduler().makeDispatcher()
  let ran = 0
  dispatcher.scheduleTask(() => {
    throw new Error("planted")
  }, 0)
  dispatcher.scheduleTask(() => ran++, 0)
  expect(turns.shift()!).toThrow("planted")
  turns.shift()!()
  dispatcher.scheduleTask(() => ran++, 0)
  turns.shift()!()
  expect([ran, turns.length]).toEqual([2, 0])
})

test("a flush does everything that waits, also what that adds, and the slice that was due finds nothing", () => {
  const dispatcher = new SlicedScheduler().makeDispatcher()
  let ran = 0
  for (let i = 0; i < 20; i++) dispatcher.scheduleTask(() => (nowMs++, dispatcher.scheduleTask(() => ran++, 0)), 0)
  dispatcher.flush()
  expect(ran).toBe(20)
  while (turns.length > 0) turns.shift()!()
  dispatcher.scheduleTask(() => ran++, 0)
  expect(turns.length).toBe(1)
})
