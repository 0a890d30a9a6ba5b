/** Whole nodes and the world around them: an attempt to shut one in, a directory that travels, places that are given up for better ones. */
import { describe, expect, test } from "bun:test"
import { Effect } from "effect"
import { makeRules } from "../../src/chain/rules.ts"
import { outboundSessionsMax, sessionsMax } from "../../src/limits.ts"
import { marksReached } from "../../src/marks.ts"
import { outboundKept } from "../../src/peer/admission.ts"
import { liarKey } from "../../src/sim/keys.ts"
import type { SimNode } from "../../src/sim/node.ts"
import { nodeIdOf } from "../../src/transport/hello.ts"
import { specOf } from "../fixtures.ts"
import { play, type Stage, Stranger } from "../sim/stage.ts"

const rules = makeRules(specOf())
type Tells = () => ReadonlyArray<{ readonly endpoint: string; readonly nodeId: string }>
const named = (endpoint: string) => ({ endpoint, nodeId: "" })
const bookOf = (node: SimNode) => node.ask(({ node: shape }) => shape.peerBook())

/** A machine where somebody who speaks as a node listens on each port, with a key of its own; gives their ids as they are met. */
const listen = (
  stage: Stage,
  at: { readonly address: string; readonly ports: ReadonlyArray<number>; readonly keyOf: (port: number) => number },
  tells: Tells
): Effect.Effect<Set<string>, unknown> =>
  Effect.gen(function* () {
    const ids = new Set<string>()
    const host = stage.world.host(at.address)
    const door = stage.net.door(host, at.address)
    for (const port of at.ports) {
      yield* door.listen({ host: at.address, port }, { key: "", cert: "" }, (wire) => {
        const key = liarKey(at.keyOf(port))
        ids.add(nodeIdOf(key.publicKey))
        return new Stranger(host, stage.rules, { key, tells }).begin(wire, {})
      })
    }
    return ids
  })

describe("an attacker with 10,000 endpoints in four networks, each with a node that answers", () => {
  const honestCount = 16
  const honestAt = (i: number): string => `45.${i}.7.7:19100`
  const machines = 200
  const portsEach = 50
  const attackerAt = (n: number): string =>
    `60.${n % 4}.${(n >> 2) % 50}.9:${1_000 + (Math.floor(n / machines) % portsEach)}`

  test("does not shut a node in: most sessions after a restart are honest", () => {
    play(rules, 1, (stage) =>
      Effect.gen(function* () {
        const others: Tells = () => Array.from({ length: honestCount }, (_, i) => named(honestAt(i)))
        const honest: Array<Set<string>> = []
        for (let i = 0; i < honestCount; i++)
          honest.push(yield* listen(stage, { address: `45.${i}.7.7`, ports: [19_100], keyOf: () => i }, others))
        const victim = yield* stage.node("victim", { address: "44.0.0.1", seeds: [honestAt(0)] })
        yield* Effect.sleep(5 * 60_000)
        const before = yield* bookOf(victim)
        expect(before.peers.filter(({ direction }) => direction === "outbound")).toHaveLength(outboundSessionsMax)
        let told = 0
        const lies: Tells = () => Array.from({ length: 64 }, () => named(attackerAt(told++ % (machines * portsEach))))
        const ports = Array.from({ length: portsEach }, (_, i) => 1_000 + i)
        const attackers: Array<Set<string>> = []
        for (let m = 0; m < machines; m++) {
          const address = `60.${m % 4}.${m >> 2}.9`
          attackers.push(yield* listen(stage, { address, ports, keyOf: (port) => 1_000 + m * portsEach + port }, lies))
        }
        for (let i = 0; i < 8; i++)
          yield* stage.stranger(`teller ${i}`, {
            to: victim,
            key: liarKey(500 + i),
            tells: lies,
            address: `60.${i % 4}.200.${i}`
          })
        yield* stage.until("all were told of", () => told >= machines * portsEach, 90 * 60_000)
        const full = yield* bookOf(victim)
        expect(marksReached()["peer-probed"]).toBeGreaterThan(10)
        yield* victim.stop()
        yield* victim.start()
        yield* Effect.sleep(2 * 60_000)
        const after = yield* bookOf(victim)
        const isHonest = (id: string): boolean => honest.some((ids) => ids.has(id))
        const isAttacker = (id: string): boolean => attackers.some((ids) => ids.has(id))
        const outbound = after.peers.filter(({ direction }) => direction === "outbound")
        expect(full.counts.new).toBeGreaterThan(200)
        expect(outbound.length).toBeGreaterThanOrEqual(8)
        expect(outbound.filter(({ nodeId }) => isAttacker(nodeId)).length).toBeLessThanOrEqual(4)
        expect(outbound.filter(({ nodeId }) => isHonest(nodeId)).length).toBeGreaterThanOrEqual(8)
      })
    )
  }, 120_000)
})

test("a newcomer gets the place of one of a crowd when all are taken, and no useful peer loses its own for it", () => {
  const before = marksReached()["session-evicted"]
  play(rules, 5, (stage) =>
    Effect.gen(function* () {
      const a = yield* stage.node("a", { address: "44.0.0.1" })
      const places = sessionsMax - outboundKept(sessionsMax)
      const first: Array<Stranger> = []
      for (let i = 0; i < 12; i++)
        first.push(yield* stage.stranger(`honest ${i}`, { to: a, key: liarKey(i), address: `45.${i}.1.1` }))
      yield* Effect.sleep(60_000)
      const crowd: Array<Stranger> = []
      for (let i = 0; i < 2 * places; i++)
        crowd.push(yield* stage.stranger(`crowd ${i}`, { to: a, key: liarKey(100 + i), address: `60.1.${i}.1` }))
      yield* Effect.sleep(5_000)
      const inbound = (yield* bookOf(a)).peers.filter(({ direction }) => direction === "inbound")
      expect(inbound).toHaveLength(places)
      expect(first.filter(({ left }) => left === undefined).length).toBeGreaterThanOrEqual(11)
      expect(crowd.at(-1)!.left).toBeUndefined()
      expect(crowd.filter(({ left }) => left !== undefined).length).toBeGreaterThanOrEqual(places)
    })
  )
  expect(marksReached()["session-evicted"] - before).toBeGreaterThan(40)
}, 60_000)

describe("nodes", () => {
  test("that were told of are looked for, found, and told of in turn, without what was observed of them", () => {
    play(rules, 2, (stage) =>
      Effect.gen(function* () {
        const a = yield* stage.node("a")
        const b = yield* stage.node("b", { knows: [a] })
        const c = yield* stage.node("c", { knows: [b] })
        yield* Effect.sleep(90_000)
        const peers = (yield* bookOf(c)).peers
        expect(
          peers
            .filter(({ state }) => state === "active")
            .map(({ endpoint }) => endpoint)
            .sort()
        ).toEqual([a.endpoint, b.endpoint])
        const told = yield* c.ask(({ node }) => node.toldPeers(9, undefined, a.address))
        expect(told.map(({ endpoint }) => endpoint).sort()).toEqual([a.endpoint, b.endpoint])
        for (const one of told) expect(Object.keys(one)).not.toContain("observedHost")
        // Nobody outside hears of a network of one's own.
        expect(yield* c.ask(({ node }) => node.toldPeers(9, undefined, "45.1.1.1"))).toEqual([])
      })
    )
  }, 60_000)

  test("that are gone are looked for ever more seldom, and let in as soon as they come by themselves", () => {
    play(rules, 3, (stage) =>
      Effect.gen(function* () {
        const a = yield* stage.node("a")
        const b = yield* stage.node("b", { knows: [a] })
        const c = yield* stage.node("c", { knows: [b] })
        yield* Effect.sleep(90_000)
        yield* c.stop()
        yield* Effect.sleep(10 * 60_000)
        const id = nodeIdOf(c.key.publicKey)
        // Nobody named c to them as the operator's own: who had dialled it lets it rest.
        const opinions = [yield* stage.opinion(a, id), yield* stage.opinion(b, id)]
        expect(opinions.every((one) => one?.direction === "none")).toBe(true)
        expect(opinions.some((one) => one?.banReason === "unreachable")).toBe(true)
        yield* c.start()
        yield* Effect.sleep(60_000)
        for (const node of [a, b]) expect((yield* stage.opinion(node, id))?.state).toBe("active")
      })
    )
  }, 60_000)

  test("are banned by the operator over a restart, and let in when the ban is lifted", () => {
    play(rules, 4, (stage) =>
      Effect.gen(function* () {
        const a = yield* stage.node("a")
        const b = yield* stage.node("b", { knows: [a] })
        yield* Effect.sleep(10_000)
        const id = nodeIdOf(b.key.publicKey)
        yield* a.ask(({ node }) => node.banPeer(id, undefined, "test"))
        yield* Effect.sleep(5_000)
        yield* a.stop()
        yield* a.start()
        yield* Effect.sleep(60_000)
        expect(yield* stage.opinion(a, id)).toMatchObject({ state: "banned", banReason: "manual", direction: "none" })
        yield* a.ask(({ node }) => node.unbanPeer(id))
        yield* Effect.sleep(6 * 60_000)
        expect((yield* stage.opinion(a, id))?.state).toBe("active")
      })
    )
  }, 60_000)

  test("are told why they are not let in, whichever side is the first to decide", () => {
    for (let seed = 0; seed < 8; seed++)
      play(rules, seed, (stage) =>
        Effect.gen(function* () {
          const a = yield* stage.node("a")
          const b = yield* stage.node("b", { knows: [a] })
          yield* Effect.sleep(10_000)
          const id = nodeIdOf(b.key.publicKey)
          yield* a.ask(({ node }) => node.banPeer(id, undefined, "test"))
          yield* Effect.sleep(30_000)
          const said = (yield* stage.opinion(b, nodeIdOf(a.key.publicKey)))?.lastError
          expect(said).toBe("the peer left: banned: there is no place for this session")
          // The end of a story is a world without bans.
          yield* a.ask(({ node }) => node.unbanPeer(id))
        })
      )
  }, 60_000)
})
