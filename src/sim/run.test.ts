/** Runs as wholes: one seed is one run, a recording repeats it, and what does not hold is found and made small. */
import { expect, test } from "bun:test"
import { loadEngine } from "../crypto/native.ts"
import { nobleEngine, useEngine } from "../crypto/signature.ts"
import { marksReached } from "../marks.ts"
import { RecordedChoices, SeededChoices } from "./choices.ts"
import { datagramActs } from "./datagrams.ts"
import type { SimNode } from "./node.ts"
import { faults, makePlan, models, type Plan } from "./plan.ts"
import { simulate } from "./run.ts"
import { shrink } from "./shrink.ts"

useEngine(loadEngine("auto") ?? nobleEngine)

const minuteMs = 60_000
const troubled = (seed: number): Plan => makePlan({ seed, nodes: 3, ms: 6 * minuteMs, faults, blockMs: 4_000 })

test("one seed is one run; its recorded choices are the same run again; another seed is another", () => {
  const plan = troubled(5)
  const choices = new SeededChoices(plan.seed, plan.strategy, true)
  const first = simulate(plan, { choices })
  expect(first.failure).toBeUndefined()
  expect(simulate(plan).digest).toBe(first.digest)
  expect(simulate(plan, { choices: new RecordedChoices(choices.deviations()) }).digest).toBe(first.digest)
  expect(simulate(troubled(6)).digest).not.toBe(first.digest)
}, 60_000)

test("watching a run does not change it", () => {
  const plan = troubled(7)
  let notes = 0
  const watched = simulate(plan, { messages: true, onNote: () => notes++, onBegun: () => {} })
  expect(watched.digest).toBe(simulate(plan).digest)
  expect(notes).toBeGreaterThan(10)
  const { run } = watched
  expect(run.messages.length).toBeGreaterThan(1_000)
  expect(run.messages.every(({ sentAt, begunAt }) => begunAt === undefined || begunAt >= sentAt)).toBe(true)
  expect(run.blocks.length).toBeGreaterThan(20)
  expect(run.spans.every(({ from, to }) => to >= from)).toBe(true)
}, 60_000)

/** Holds until two nodes have gone different ways: it takes a partition, and blocks on both sides. */
const neverForked = (_: SimNode, nodes: ReadonlyMap<string, SimNode>): string | undefined => {
  const up = [...nodes.values()].filter(({ up: runs }) => runs)
  const heights = Math.min(...up.map(({ store }) => store.tip().header.height))
  const ids = new Set(up.map(({ store }) => store.bestAt(Math.max(0, heights - 1))!.header.id))
  return ids.size > 1 ? "two nodes have gone different ways" : undefined
}

test("a failing run is made small: what is left is what it needs", () => {
  const plan = makePlan({
    seed: 2,
    nodes: 4,
    ms: 15 * minuteMs,
    faults: ["partition", "crash", "drop"],
    blockMs: 4_000
  })
  const failing = simulate(plan, { check: neverForked })
  expect(failing.failure).toBe("two nodes have gone different ways")
  let runs = 0
  const small = shrink(plan, undefined, { check: neverForked, spent: () => runs++ > 150 })!
  expect(small.report.failure).toBe("two nodes have gone different ways")
  expect(small.plan.actions.length).toBeLessThan(plan.actions.length / 4)
  const again = simulate(small.plan, { check: neverForked, choices: new RecordedChoices(small.choices!) })
  expect(again.digest).toBe(small.report.digest)
}, 120_000)

/** Four nodes, of which each knows the one before by its gossip seed alone; two are cut off for a while, and one is flooded. */
const gossiping = (seed: number): Plan => {
  const plan = makePlan({ seed, nodes: 4, ms: 5 * minuteMs, faults: [], blockMs: 4_000, gossip: "plain" })
  const flood = (act: string) =>
    ({ at: minuteMs, do: "datagrams", act, node: "n1", perSecond: 100, seed, ms: 10_000 }) as const
  return {
    ...plan,
    nodes: plan.nodes.map((node, i) => ({
      ...{ ...node, hashesPerSecond: 30, seeds: [] },
      gossipSeeds: i === 0 ? [] : [`n${i - 1}`]
    })),
    actions: [
      { at: 30_000, do: "partition", side: ["n0", "n1"], ms: 2 * minuteMs },
      ...datagramActs.map(flood),
      { at: 3 * minuteMs, do: "ban", node: "n2", peer: "n1", ms: minuteMs }
    ]
  }
}

test("nodes that know one another by gossip seeds alone find together again after a partition, a flood and a ban", () => {
  const before = marksReached()
  const joined: Array<string> = []
  const report = simulate(gossiping(1), {
    onNote: ({ kind, at, node }) => void (kind === "joined" && at > 150_000 && at < 195_000 && joined.push(node))
  })
  expect(report.failure).toBeUndefined()
  expect(new Set(joined).size).toBe(4)
  const after = marksReached()
  for (const mark of ["gossip-found", "gossip-passed", "gossip-forged", "gossip-flooded"] as const)
    expect(after[mark]).toBeGreaterThan(before[mark])
  expect(simulate(gossiping(1)).digest).toBe(report.digest)
}, 60_000)

test("what gossip adds to a failing run goes, if the failure does not need it; whoever is left knows somebody", () => {
  let runs = 0
  const small = shrink(gossiping(5), undefined, { check: neverForked, spent: () => runs++ > 60 })!
  expect(small.report.failure).toBe("two nodes have gone different ways")
  expect(small.plan.actions.map((one) => one.do)).toEqual(["partition"])
  const names = small.plan.nodes.map(({ name }) => name)
  expect(names.length).toBeLessThan(4)
  for (const { gossipSeeds = [] } of small.plan.nodes) for (const seed of gossipSeeds) expect(names).toContain(seed)
  expect(small.plan.nodes.slice(1).every(({ gossipSeeds = [] }) => gossipSeeds.length > 0)).toBe(true)
}, 120_000)

test.each(models)(
  "wallets of model %s send data of every length that the chain takes, and of none",
  (ledger) => {
    const lengths = new Set<number>()
    const look = ({ store }: SimNode): undefined => {
      for (const one of store.block(store.tip().header.id)!.transactions) {
        if (one.kind !== "coinbase") lengths.add((one.kind === "transfer" ? one.transfer : one.payment).data.length)
      }
    }
    const wish = { seed: 3, ledger, nodes: 1, ms: 3 * minuteMs, faults: [], blockMs: 4_000, paysPerMinute: 60 }
    expect(simulate(makePlan({ ...wish, payloadBytesMax: 2 }), { check: look }).failure).toBeUndefined()
    expect([...lengths].sort()).toEqual([0, 1, 2])
    lengths.clear()
    simulate(makePlan(wish), { check: look })
    expect([...lengths]).toEqual([0])
  },
  60_000
)

test("a run that holds cannot be shrunk", () => {
  expect(shrink(troubled(5), undefined, { spent: () => false })).toBeUndefined()
}, 60_000)
