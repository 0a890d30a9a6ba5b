/** Plans: a function of the seed, in order, within their time, and of every fault that was asked for. */
import { expect, test } from "bun:test"
import { faults, makePlan, swarmOptions } from "./plan.ts"

test("the same options are the same plan, in the order of time and within it", () => {
  for (let seed = 0; seed < 50; seed++) {
    const options = { seed, nodes: 1 + (seed % 7), ms: 3_600_000, faults }
    const plan = makePlan(options)
    expect(plan).toEqual(makePlan(options))
    expect(plan.actions.map(({ at }) => at)).toEqual(plan.actions.map(({ at }) => at).sort((a, b) => a - b))
    expect(plan.actions.every(({ at }) => at > 0 && at < options.ms)).toBe(true)
    expect(plan.nodes.length).toBe(options.nodes)
  }
})

test("only the faults that were asked for are planned, and each of them", () => {
  for (const fault of faults) {
    const kinds = new Set(
      makePlan({ seed: 1, nodes: 4, ms: 10 * 3_600_000, faults: [fault] }).actions.map((action) => action.do)
    )
    expect(kinds.has(fault)).toBe(true)
    for (const other of faults) if (other !== fault) expect(kinds.has(other)).toBe(false)
  }
})

test("a swarm leaves some faults out of every run, and none out of all", () => {
  const drawn = Array.from({ length: 200 }, (_, seed) => swarmOptions(seed, 3_600_000))
  const full = drawn.filter((options) => options.faults.length === faults.length)
  expect(full.length).toBeLessThan(10)
  for (const fault of faults) expect(drawn.some((options) => options.faults.includes(fault))).toBe(true)
  expect(new Set(drawn.map(({ nodes }) => nodes)).size).toBe(6)
  expect(new Set(drawn.map(({ payloadBytesMax }) => payloadBytesMax))).toEqual(new Set([undefined, 1, 40]))
})
