/** Chance in one funnel: the same seed chooses the same, each stream by itself, and a recording repeats what was not boring. */
import { expect, test } from "bun:test"
import { boring, type Choices, countOf, RecordedChoices, SeededChoices, streams } from "./choices.ts"
import { makeDice } from "./dice.ts"

/** Some thousand questions of every kind; the answers. */
const answers = (choices: Choices, seed = 1): ReadonlyArray<number> => {
  const dice = makeDice(seed)
  return Array.from({ length: 3_000 }, () => {
    const stream = dice.pick(streams)
    return dice.chance(0.5) ? choices.pick(stream, 1 + dice.int(5)) : choices.rare(stream, 0.2, 1 + dice.int(9))
  })
}

test("a seed is its answers; another seed has others", () => {
  expect(answers(new SeededChoices(1))).toEqual(answers(new SeededChoices(1)))
  expect(answers(new SeededChoices(1))).not.toEqual(answers(new SeededChoices(2)))
})

test("an answer is within what was asked: a pick below n, a rare choice 0 or up to n, as often as it should be", () => {
  const choices = new SeededChoices(3)
  const picks = Array.from({ length: 4_000 }, () => choices.pick("delay", 4))
  const rares = Array.from({ length: 4_000 }, () => choices.rare("loss", 0.1, 3))
  const countsOf = (values: ReadonlyArray<number>) => [0, 1, 2, 3].map((one) => values.filter((value) => value === one).length)
  for (const count of countsOf(picks)) expect(Math.abs(count - 1_000)).toBeLessThan(150)
  const [none, ...some] = countsOf(rares)
  expect(Math.abs(none! - 3_600)).toBeLessThan(100)
  for (const count of some) expect(Math.abs(count - 133)).toBeLessThan(50)
})

test("a choice more in one stream does not shift the others", () => {
  const [plain, busy] = [new SeededChoices(4), new SeededChoices(4)]
  const delays = (choices: Choices) => Array.from({ length: 100 }, () => choices.pick("delay", 40))
  const first = delays(plain)
  for (let i = 0; i < 50; i++) busy.pick("order", 3)
  expect(delays(busy)).toEqual(first)
  expect(Array.from({ length: 100 }, () => plain.pick("loss", 40))).not.toEqual(first)
})

test("no strategy changes what is not the order of fibers: fifo keeps it boring, sparse nearly", () => {
  const orderOf = (strategy: "uniform" | "fifo" | "sparse") => {
    const choices = new SeededChoices(5, strategy)
    return Array.from({ length: 2_000 }, () => choices.pick("order", 4)).filter((value) => value !== 0).length
  }
  expect(orderOf("fifo")).toBe(0)
  expect(Math.abs(orderOf("sparse") - 150)).toBeLessThan(50)
  expect(Math.abs(orderOf("uniform") - 1_500)).toBeLessThan(100)
  const delays = (["uniform", "fifo", "sparse"] as const).map((strategy) => new SeededChoices(5, strategy).pick("delay", 1_000))
  expect(new Set(delays).size).toBe(1)
})

test("a recording of the deviations gives the same answers; without any all is boring; a shorter question is answered in its bounds", () => {
  const kept = new SeededChoices(6, "uniform", true)
  const first = answers(kept)
  const deviations = kept.deviations()
  expect(countOf(deviations)).toBe(first.filter((value) => value !== 0).length)
  expect(answers(new RecordedChoices(deviations))).toEqual(first)
  expect(answers(new RecordedChoices(JSON.parse(JSON.stringify(deviations)) as typeof deviations))).toEqual(first)
  expect(new Set(answers(new RecordedChoices(boring)))).toEqual(new Set([0]))
  expect(countOf(new SeededChoices(6).deviations())).toBe(0)
  const far = new RecordedChoices({ ...boring, delay: [[0, 30]], loss: [[0, 6]] })
  expect([far.pick("delay", 4), far.rare("loss", 1, 2)]).toEqual([3, 2])
})

test("a deviation that is taken away leaves the others in their places", () => {
  const kept = new SeededChoices(7, "uniform", true)
  const first = Array.from({ length: 20 }, () => kept.pick("delay", 9))
  const { delay } = kept.deviations()
  const less = new RecordedChoices({ ...boring, delay: delay.filter(([place]) => place !== delay[3]![0]) })
  const expected = first.map((value, place) => (place === delay[3]![0] ? 0 : value))
  expect(Array.from({ length: 20 }, () => less.pick("delay", 9))).toEqual(expected)
})
