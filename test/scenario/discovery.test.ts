/** Nodes that know nobody but a discovery service, which may be away, slow, mute, full of nonsense, or lie. */
import { describe, expect, test } from "bun:test"
import { Effect } from "effect"
import { makeRules } from "../../src/chain/rules.ts"
import { registeredMs } from "../../src/discovery/client.ts"
import type { SimNode } from "../../src/sim/node.ts"
import { forSeeds } from "../../src/sim/world.ts"
import { nodeIdOf } from "../../src/transport/hello.ts"
import { specOf } from "../fixtures.ts"
import { heightOf, play, type Stage } from "../sim/stage.ts"
import { startAlone } from "../sim/node.ts"
import { type Mood, SimService } from "../sim/service.ts"

const rules = makeRules(specOf())
const genesis = rules.genesis.header.hash

const peersOf = (node: SimNode) =>
  Effect.map(
    node.ask(({ node: shape }) => shape.peers()),
    (peers) => peers.filter(({ state }) => state === "active").length
  )
/** Waits until each of the nodes has so many peers. */
const meet = (nodes: ReadonlyArray<SimNode>, peers: number) =>
  Effect.gen(function* () {
    for (let tries = 0; ; tries++) {
      const counts = yield* Effect.forEach(nodes, peersOf)
      if (counts.every((count) => count === peers)) return
      if (tries > 600) return yield* Effect.die(new Error(`they have ${counts.join(", ")} peers`))
      yield* Effect.sleep(1_000)
    }
  })
const begin = (stage: Stage, asks: SimService, names = ["a", "b", "c"]) =>
  Effect.forEach(names, (name) => stage.node(name, { asks }))

describe("nodes that know nothing but a discovery service", () => {
  test("find each other, agree, and stay together when it dies", () => {
    for (let seed = 0; seed < 10; seed++) {
      play(rules, seed, (stage) =>
        Effect.gen(function* () {
          const service = new SimService()
          const nodes = yield* begin(stage, service)
          yield* meet(nodes, 2)
          yield* stage.mine(nodes[0]!, 2)
          yield* stage.agree()
          service.mood = "away"
          yield* Effect.sleep(2 * registeredMs)
          yield* meet(nodes, 2)
          yield* stage.mine(nodes[2]!, 2)
          yield* stage.agree()
          expect(heightOf(nodes[1]!)).toBe(4)
        })
      )
    }
  }, 60_000)

  test.each([
    ["away", "away"],
    ["slow", "slow"],
    ["mute", "mute"],
    ["full of nonsense", { says: { status: 200, body: "<html>" } }],
    ["another server", { says: { status: 404, body: "{}" } }],
    ["long-winded", { says: { status: 200, body: `{"members":[${"{},".repeat(20_000)}{}]}` } }]
  ] as ReadonlyArray<readonly [string, Mood]>)(
    "bear one that is %s, ask it ever more seldom, and meet when it is well",
    (_, mood) => {
      play(rules, 7, (stage) =>
        Effect.gen(function* () {
          const service = new SimService()
          service.mood = mood
          const nodes = yield* begin(stage, service, ["a", "b"])
          yield* stage.mine(nodes[0]!, 1)
          yield* Effect.sleep(20 * 60_000)
          // Two nodes, each some ten times in twenty minutes; without backoff it would be hundreds.
          expect(service.askedAt.length).toBeWithin(8, 50)
          expect([heightOf(nodes[0]!), heightOf(nodes[1]!)]).toEqual([1, 0])
          service.mood = "up"
          yield* meet(nodes, 1)
          yield* stage.agree()
        })
      )
    }
  )

  test("are not harmed by one that lies: of another chain, of nobody, of ourselves, of this machine", () => {
    for (let seed = 0; seed < 5; seed++) {
      play(rules, seed, (stage) =>
        Effect.gen(function* () {
          const service = new SimService()
          const [a, b] = yield* begin(stage, service, ["a", "b"])
          yield* meet([a!, b!], 1)
          const lies = [
            "10.66.0.9:1",
            "192.0.2.99:19100",
            a!.endpoint,
            "127.0.0.1:19100",
            "0.0.0.0:1",
            `${a!.address}:1`
          ]
          const members = Array.from({ length: 64 }, (_, i) => ({ endpoint: lies[i % lies.length] }))
          service.mood = { says: { status: 200, body: JSON.stringify({ members }) } }
          yield* Effect.sleep(10 * 60_000)
          yield* meet([a!, b!], 1)
          yield* stage.mine(a!, 3)
          yield* stage.agree()
        })
      )
    }
  }, 60_000)

  test("name the place where they listen, say when they leave, and are forgotten when they cannot", () => {
    play(rules, 2, (stage) =>
      Effect.gen(function* () {
        const service = new SimService()
        const [a, b, c] = yield* begin(stage, service)
        const placesOf = (...nodes: ReadonlyArray<SimNode>) =>
          Object.fromEntries(nodes.map(({ key, endpoint }) => [nodeIdOf(key.publicKey), endpoint]))
        const there = () => service.members(genesis, stage.now)
        yield* meet([a!, b!, c!], 2)
        expect(there()).toEqual(placesOf(a!, b!, c!))
        yield* a!.stop()
        expect([service.heard.at(-1), there()]).toEqual(["remove", placesOf(b!, c!)])
        b!.kill(true)
        yield* Effect.sleep(registeredMs)
        expect(there()).toEqual(placesOf(c!))
        service.mood = "mute"
        const before = stage.now
        yield* c!.stop()
        expect(stage.now - before).toBeLessThan(3_000)
      })
    )
  })

  test("do not register a place that is none: who listens on every address and names none only looks", () => {
    for (const [host, heard] of [
      ["0.0.0.0", "get_all"],
      ["::", "get_all"],
      ["192.0.2.1", "add"]
    ] as const)
      forSeeds(2, () =>
        Effect.gen(function* () {
          const service = new SimService()
          const node = yield* startAlone({ host, asks: service })
          yield* Effect.sleep(1_000)
          expect(service.heard[0]).toBe(heard)
          yield* node.tree.stop
        })
      )
  })
})
