/**
 * Authorities as wholes: slots go on whoever is dead, halves come together on the branch of more turns, clocks that go wrong cost
 * their owner's turns and nobody else's. Where nothing else is said all checkers of a simulation hold, so nobody seals a slot twice.
 */
import { expect, test } from "bun:test"
import { loadEngine } from "../../src/crypto/native.ts"
import { nobleEngine, useEngine } from "../../src/crypto/signature.ts"
import { nodeKey } from "../../src/sim/keys.ts"
import type { Action } from "../../src/sim/plan.ts"
import { dead, ratesOf, runSlots, type Slots, type SlotsWish } from "../sim/slots.ts"

useEngine(loadEngine("auto") ?? nobleEngine)

const second = 1_000
const minute = 60 * second
const five: SlotsWish = { authorities: 5, blockMs: 2 * second, minutes: 6 }
const names = ["n0", "n1", "n2", "n3", "n4"]

/** What holds in every run, and nobody sealed a slot twice. */
const held = (run: Slots): Slots => {
  expect(run.report.failure).toBeUndefined()
  return run
}

const addressOf = (node: string): string => nodeKey(names.indexOf(node)).address.toHex()

/** Slots between two times, and how many of them have a block. */
const between = ({ blocks }: Slots, from: number, to: number) => {
  const slots = Array.from(
    { length: Math.floor((to - from) / five.blockMs) },
    (_, i) => Math.ceil(from / five.blockMs) + i
  )
  return { slots, sealed: slots.filter((slot) => blocks.has(slot)).length }
}

/** Slots without a block that a run may have, beside those in which something was wrong. */
const lostMax = 2

test("each slot has a block, and its leader has sealed it", () => {
  const run = held(runSlots(five))
  expect(run.blocks.size).toBeGreaterThanOrEqual(run.slots - lostMax)
  expect(ratesOf(run).inTurn).toBeGreaterThan(0.99)
}, 120_000)

test.each([1, 4])(
  "with %i of five dead each slot has a block; those of the dead are sealed out of turn",
  (count) => {
    const gone = names.slice(5 - count)
    const run = held(runSlots({ ...five, actions: gone.map((name) => dead(name, five)) }))
    expect(run.blocks.size).toBeGreaterThanOrEqual(run.slots - lostMax)
    expect(Math.abs(ratesOf(run).inTurn - (5 - count) / 5)).toBeLessThan(0.03)
    const dying = gone.map(addressOf)
    expect([...run.blocks].filter(([slot, { by }]) => slot > 1 && dying.includes(by))).toEqual([])
  },
  120_000
)

test("a leader that dies is replaced within its slot, and leads again when it is back", () => {
  const down: Action = { at: minute, do: "crash", node: "n2", mute: true, ms: 2 * minute }
  const run = held(runSlots({ ...five, actions: [down] }))
  const { slots, sealed } = between(run, minute, 3 * minute)
  expect(sealed).toBeGreaterThanOrEqual(slots.length - lostMax)
  const led = (from: number, to: number): number =>
    between(run, from, to).slots.filter((slot) => run.blocks.get(slot)?.by === addressOf("n2")).length
  expect(led(minute + 10 * second, 3 * minute)).toBe(0)
  expect(led(4 * minute, 6 * minute)).toBeGreaterThanOrEqual(10)
}, 120_000)

test("halves go on by themselves; together again they have one head within a minute, the larger half's", () => {
  const at = minute + 500
  const ms = 2 * minute
  const run = held(runSlots({ ...five, actions: [{ at, do: "partition", side: ["n3", "n4"], ms }] }))
  const { slots, sealed } = between(run, at, at + ms)
  // n0 is of the larger half: its branch has a block in each slot, and stays.
  expect(sealed).toBeGreaterThanOrEqual(slots.length - lostMax)
  const small = ["n3", "n4"].map(addressOf)
  const inside = slots.slice(2, -2)
  expect(inside.filter((slot) => small.includes(run.blocks.get(slot)?.by ?? ""))).toEqual([])
  expect(run.agreedAfter(at + ms)).toBeLessThan(minute)
}, 120_000)

test("without a majority blocks go on too, and the branch of more turns wins", () => {
  const at = minute + 500
  const ms = 2 * minute
  const cut = (side: ReadonlyArray<string>): Action => ({ at, do: "partition", side, ms })
  const run = held(runSlots({ ...five, actions: [cut(["n0", "n1"]), cut(["n2", "n3"])] }))
  const { slots, sealed } = between(run, at, at + ms)
  expect(sealed).toBeGreaterThanOrEqual(slots.length - lostMax)
  expect(run.agreedAfter(at + ms)).toBeLessThan(minute)
}, 120_000)

const skewed = (by: number): Action => ({ at: minute, do: "clock-skew", node: "n2", by, ms: 2 * minute })

test.each([-900, 900])(
  "a clock off by %i ms, less than others put up with, loses no slot",
  (by) => {
    const run = held(runSlots({ ...five, actions: [skewed(by)] }))
    expect(run.blocks.size).toBeGreaterThanOrEqual(run.slots - lostMax)
  },
  120_000
)

test.each([-30 * second, 90 * second])(
  "a clock off by %i ms, more than others put up with, costs its owner its turns, and the chain none of its slots",
  (by) => {
    const run = held(runSlots({ ...five, actions: [skewed(by)] }))
    const { slots, sealed } = between(run, minute, 3 * minute)
    expect(sealed).toBeGreaterThanOrEqual(slots.length - lostMax)
    const mine = slots.slice(2).filter((slot) => run.blocks.get(slot)?.by === addressOf("n2"))
    expect(mine.length).toBeLessThan(slots.length / 10)
    // In time again, and past the slots that it has signed ahead of time, it leads as before.
    const later = between(run, 5 * minute, 6 * minute).slots
    expect(later.filter((slot) => run.blocks.get(slot)?.by === addressOf("n2")).length).toBeGreaterThanOrEqual(4)
  },
  120_000
)

test("clocks that jump to and fro and nodes that die in the middle of it never seal a slot twice", () => {
  for (let seed = 1; seed <= 2; seed++) {
    const actions = names.flatMap(
      (node, i): ReadonlyArray<Action> =>
        Array.from({ length: 8 }, (_, j): ReadonlyArray<Action> => {
          const at = 20 * second + j * 30 * second + i * 1_700
          const by = [4, -4, 9, -2][(i + j + seed) % 4]! * second
          return [
            { at, do: "clock-skew", node, by, ms: 7 * second },
            { at: at + 300 * seed, do: "crash", node, mute: (i + j) % 2 === 0, ms: 500 },
            { at: at + 9 * second, do: "torn-write", node, ms: 300 }
          ]
        }).flat()
    )
    held(runSlots({ ...five, seed, actions: actions.sort((a, b) => a.at - b.at) }))
  }
}, 120_000)
