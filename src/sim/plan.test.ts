/** Plans: a function of the seed, in order, within their time, and of every fault that was asked for. */
import { expect, test } from "bun:test"
import { finalityActNames } from "./finality-acts.ts"
import { type Action, consensuses, faults, gossipForms, makePlan, swarmOptions } from "./plan.ts"

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

test("a swarm seals by work and by authorities; the rest of a plan is the same for both", () => {
  const drawn = Array.from({ length: 200 }, (_, seed) => swarmOptions(seed, 3_600_000))
  for (const name of consensuses) expect(drawn.filter(({ consensus }) => consensus === name).length).toBeGreaterThan(15)
  const options = { seed: 3, nodes: 5, ms: 3_600_000, faults: ["partition", "crash"] } as const
  const { authority, ...work } = makePlan(options)
  expect(authority).toBeUndefined()
  expect(makePlan({ ...options, consensus: "poa" })).toEqual({ ...work, authority: { bits: 0, traitors: 0 } })
})

test("of authorities that lie there are fewer than honest ones, and none without liars", () => {
  for (let seed = 0; seed < 100; seed++) {
    const wish = { seed, nodes: 2 + (seed % 6), ms: 60_000, consensus: "poa" } as const
    const { authority, nodes } = makePlan({ ...wish, faults })
    const honest = nodes.filter(({ hashesPerSecond }) => hashesPerSecond > 0).length
    expect(authority!.traitors).toBeGreaterThan(0)
    if (honest > 1) expect(authority!.traitors).toBeLessThan(honest)
    expect(makePlan({ ...wish, faults: ["crash"] }).authority!.traitors).toBe(0)
  }
})

test("votes on checkpoints add their lies and change nothing else; those who lie cannot make two blocks final", () => {
  const isOfVotes = (action: Action): boolean => action.do === "byzantine" && finalityActNames.includes(action.act)
  for (let seed = 0; seed < 50; seed++) {
    const wish = { seed, nodes: 1 + (seed % 6), ms: 600_000, consensus: "poa", faults } as const
    const { authority: bare, actions: bareActions, ...bareRest } = makePlan(wish)
    const { authority, actions, ...rest } = makePlan({ ...wish, checkpointBlocks: 3 })
    const others = actions.filter((action) => !isOfVotes(action))
    expect(rest).toEqual(bareRest)
    expect(others).toEqual([...bareActions])
    expect(authority).toEqual({ ...bare!, checkpointBlocks: 3 })
    expect(others.length).toBeLessThan(actions.length)
    const honest = rest.nodes.filter(({ hashesPerSecond }) => hashesPerSecond > 0).length
    const { traitors } = authority!
    expect(3 * traitors <= honest + traitors || honest + traitors === 2).toBe(true)
  }
})

const isDatagrams = (action: Action): boolean => action.do === "datagrams"

test("gossip adds datagrams, to liars' plans alone, and seeds of its own; nothing else changes", () => {
  for (let seed = 0; seed < 50; seed++) {
    const wish = { seed, nodes: 2 + (seed % 6), ms: 600_000, faults } as const
    const { nodes: bareNodes, actions: bareActions, ...bare } = makePlan(wish)
    for (const form of gossipForms) {
      const { gossip, nodes, actions, ...rest } = makePlan({ ...wish, gossip: form })
      expect([gossip!.form, rest]).toEqual([form, bare])
      expect(actions.filter((action) => !isDatagrams(action))).toEqual([...bareActions])
      expect(actions.length).toBeGreaterThan(bareActions.length)
      expect(makePlan({ ...wish, faults: ["crash"], gossip: form }).actions.some(isDatagrams)).toBe(false)
      for (const [i, { seeds, gossipSeeds = [] }] of nodes.entries()) {
        expect(gossipSeeds.length === 0 || form === "plain").toBe(true)
        // Nobody is left who knows nobody.
        if (i > 0) expect(seeds.length + gossipSeeds.length).toBeGreaterThan(0)
        if (gossipSeeds.length === 0) expect(seeds).toEqual(bareNodes[i]!.seeds)
      }
    }
  }
})

test("half of a swarm announces, in both forms, and some operators ban; nobody bans himself", () => {
  const drawn = Array.from({ length: 200 }, (_, seed) => swarmOptions(seed, 3_600_000))
  for (const form of gossipForms) expect(drawn.filter(({ gossip }) => gossip === form).length).toBeGreaterThan(30)
  const bans = makePlan({ seed: 1, nodes: 3, ms: 3_600_000, faults: ["ban"] }).actions.filter((one) => one.do === "ban")
  expect(bans.length).toBeGreaterThan(3)
  expect(bans.every(({ node, peer }) => node !== peer)).toBe(true)
  expect(makePlan({ seed: 1, nodes: 1, ms: 3_600_000, faults: ["ban"] }).actions.some((one) => one.do === "ban")).toBe(
    false
  )
})
