/** Gossip among whole nodes, and against those who flood, forge addresses, replay, and announce what is not so. */
import { describe, expect, test } from "bun:test"
import { Effect } from "effect"
import { makeRules } from "../../src/chain/rules.ts"
import { concat } from "../../src/codec/bytes.ts"
import type { Keypair } from "../../src/crypto/keys.ts"
import { type Announcement, decodeAnnouncement, makeAnnouncement } from "../../src/gossip/announcement.ts"
import { banScore, gossipGapMs } from "../../src/limits.ts"
import { marksReached } from "../../src/marks.ts"
import type { GossipView, PeerView } from "../../src/node/peers.ts"
import { checkBounds } from "../../src/sim/check.ts"
import { makeDice } from "../../src/sim/dice.ts"
import { liarKey } from "../../src/sim/keys.ts"
import { gossipPort, peerPort, type SimNode } from "../../src/sim/node.ts"
import type { Flying } from "../../src/sim/udp.ts"
import { nodeIdOf } from "../../src/transport/hello.ts"
import { keyOf, specOf } from "../fixtures.ts"
import { heightOf, play, type Stage } from "../sim/stage.ts"

const rules = makeRules(specOf())
const genesis = rules.genesis.header.hash
const victim = "203.0.113.99"

const peersOf = (node: SimNode) => node.ask(({ node: shape }) => shape.peers())
const activeOf = (node: SimNode) =>
  Effect.map(peersOf(node), (peers) => peers.filter(({ state }) => state === "active").length)
const viewOf = (node: SimNode): Effect.Effect<GossipView, unknown> => node.ask(({ node: shape }) => shape.gossip!())

/** Waits until each of the nodes has so many sessions. */
const meet = (nodes: ReadonlyArray<SimNode>, peers: number) =>
  Effect.gen(function* () {
    for (let tries = 0; ; tries++) {
      const counts = yield* Effect.forEach(nodes, activeOf)
      if (counts.every((count) => count >= peers)) return
      if (tries > 300) return yield* Effect.die(new Error(`they have ${counts.join(", ")} sessions`))
      yield* Effect.sleep(1_000)
    }
  })

/** What somebody announces, in the plain form. */
const announcing = (key: Keypair, time: number, wish: Partial<Announcement> = {}, hops = 0): Uint8Array => {
  const said: Announcement = {
    ...{ chainId: rules.spec.ledger.chainId, publicKey: key.publicKey, sequence: time, time, hopsMax: 255, height: 9 },
    ...{ work: new Uint8Array(32).fill(1), tip: genesis, endpoint: "", gossipEndpoint: "", entries: [] },
    ...wish
  }
  return concat(new Uint8Array([1, hops]), makeAnnouncement(said, genesis, key))
}

const toward = ({ address }: SimNode) => ({ host: address, port: gossipPort })

/** Bytes that nodes send by UDP, by the address that they go to; and bytes that others send to them. */
const countBytes = (stage: Stage) => {
  const sent = new Map<string, number>()
  let [outside, inside] = [0, 0]
  const before = stage.udp.tap
  stage.udp.tap = (flying) => {
    before(flying)
    const isNode = stage.nodes.some(({ name }) => name === flying.by)
    if (isNode) inside += flying.bytes.length
    else outside += flying.bytes.length
    if (isNode) sent.set(flying.to.host, (sent.get(flying.to.host) ?? 0) + flying.bytes.length)
  }
  return { to: (host: string) => sent.get(host) ?? 0, of: () => ({ outside, inside }) }
}

describe("nodes that announce", () => {
  test("find one another by a gossip seed alone, over a lossy network, and agree", () => {
    for (let seed = 0; seed < 6; seed++)
      play(rules, seed, (stage) =>
        Effect.gen(function* () {
          Object.assign(stage.net.weather, { loss: 0.2, delayMs: 400, dup: 0.3 })
          const a = yield* stage.node("a", { gossip: {} })
          const b = yield* stage.node("b", { gossip: { seeds: [a] } })
          const c = yield* stage.node("c", { gossip: { seeds: [b] } })
          yield* meet([a, b, c], 2)
          yield* stage.mine(a, 2)
          yield* stage.agree()
          expect(heightOf(c)).toBe(2)
        })
      )
  }, 60_000)

  test("speak under a seal once they have met, and of what they say then nothing is in the clear", () => {
    play(rules, 3, (stage) =>
      Effect.gen(function* () {
        const a = yield* stage.node("a", { gossip: { plaintext: false } })
        const b = yield* stage.node("b", { knows: [a], gossip: { plaintext: false } })
        yield* meet([a, b], 1)
        yield* Effect.sleep(2_000)
        const flown: Array<Flying> = []
        stage.udp.tap = (flying) => void flown.push(flying)
        const before = yield* viewOf(b)
        yield* Effect.sleep(30_000)
        const after = yield* viewOf(b)
        expect([after.peers, after.heard - before.heard >= 5, after.dropped]).toEqual([1, true, before.dropped])
        expect([flown.length >= 10, flown.every(({ bytes }) => bytes[0] === 2)]).toEqual([true, true])
        const chainId = Buffer.from(rules.spec.ledger.chainId)
        expect(flown.some(({ bytes }) => Buffer.from(bytes).includes(chainId))).toBe(false)
      })
    )
  })

  test("tell of a new tip within a second and a half, and a node that waits for its session to say so asks it", () => {
    play(rules, 4, (stage) =>
      Effect.gen(function* () {
        const a = yield* stage.node("a", { gossip: {} })
        const b = yield* stage.node("b", { knows: [a], gossip: {} })
        yield* meet([a, b], 1)
        yield* Effect.sleep(3_000)
        const heights: Array<readonly [number, number]> = []
        stage.udp.tap = ({ by }) => void (by === "a" && heights.push([stage.now, heightOf(a)]))
        yield* stage.mine(a)
        const mined = stage.now
        yield* stage.until("it is announced", () => heights.some(([, height]) => height === 1))
        expect(stage.now - mined).toBeLessThanOrEqual(gossipGapMs + 600)
        const asked = marksReached()["gossip-behind"]
        const more = announcing(a.key, stage.now, { sequence: stage.now + 500, work: new Uint8Array(32).fill(1) })
        yield* Effect.sleep(600)
        stage.udp.send({ by: "a", from: toward(a), to: toward(b), bytes: more })
        yield* Effect.sleep(500)
        expect(marksReached()["gossip-behind"]).toBe(asked + 1)
        yield* stage.agree()
      })
    )
  })

  test("bring two halves together that know each other by gossip seeds only, when the cut between them is mended", () => {
    for (let seed = 0; seed < 4; seed++)
      play(rules, seed, (stage) =>
        Effect.gen(function* () {
          const a = yield* stage.node("a", { gossip: {} })
          const c = yield* stage.node("c", { gossip: { seeds: [a] } })
          stage.part([a], [c])
          const b = yield* stage.node("b", { knows: [a], gossip: {} })
          const d = yield* stage.node("d", { knows: [c], gossip: {} })
          stage.part([a], [d])
          stage.part([b], [c, d])
          yield* meet([a, b, c, d], 1)
          yield* stage.mine(a, 2)
          yield* stage.mine(c, 3)
          yield* Effect.sleep(60_000)
          expect([heightOf(b), heightOf(d), yield* activeOf(a)]).toEqual([2, 3, 1])
          stage.heal()
          yield* stage.agree()
          expect(heightOf(b)).toBe(3)
        })
      )
  }, 60_000)

  test("look for a seed that is a name until it has an address, and now and then again, for it may move", () => {
    play(rules, 10, (stage) =>
      Effect.gen(function* () {
        const name = "seed.example"
        const a = yield* stage.node("a", { gossip: {} })
        const b = yield* stage.node("b", { gossip: { names: [`${name}:${gossipPort}`] } })
        yield* Effect.sleep(60_000)
        expect([(yield* viewOf(b)).seeds, (yield* viewOf(b)).sent]).toEqual([0, 0])
        stage.udp.names.set(name, a.address)
        yield* meet([a, b], 1)
        const moved = "10.0.0.200"
        stage.udp.names.set(name, moved)
        const flown = countBytes(stage)
        yield* Effect.sleep(400_000)
        expect(flown.to(moved)).toBeGreaterThan(0)
        // Who cannot be found any more is still where he was.
        stage.udp.names.delete(name)
        yield* Effect.sleep(400_000)
        expect((yield* viewOf(b)).seeds).toBe(1)
      })
    )
  })

  test.each([
    ["tell where others are whom they have met", {}, true],
    ["tell nobody outside of places that only they can reach", { advertise: `b.example.org:${gossipPort}` }, false]
  ] as const)("%s", (_, wish, isTold) => {
    play(rules, 6, (stage) =>
      Effect.gen(function* () {
        const a = yield* stage.node("a")
        const names = [`${victim}:${gossipPort}`]
        const b = yield* stage.node("b", { knows: [a], gossip: { names, ...wish } })
        yield* meet([a, b], 1)
        const told = new Set<string>()
        let count = 0
        stage.udp.tap = ({ bytes }) => {
          const said = decodeAnnouncement(bytes.subarray(2))
          if (said !== undefined) count++
          for (const entry of said?.entries ?? []) told.add(entry)
        }
        yield* Effect.sleep(60_000)
        expect([count > 10, ...told]).toEqual([true, ...(isTold ? [`${a.address}:${peerPort}`] : [])])
      })
    )
  })

  test("lose nothing but hints when their actor dies: it goes on, under the same key", () => {
    play(rules, 5, (stage) =>
      Effect.gen(function* () {
        const a = yield* stage.node("a", { gossip: { plaintext: false } })
        const b = yield* stage.node("b", { knows: [a], gossip: { plaintext: false } })
        yield* meet([a, b], 1)
        a.fail("gossip", 1)
        yield* Effect.sleep(5_000)
        const [before, ofB] = [yield* viewOf(a), yield* viewOf(b)]
        yield* Effect.sleep(20_000)
        const [after, laterOfB] = [yield* viewOf(a), yield* viewOf(b)]
        expect([after.heard > before.heard, laterOfB.heard > ofB.heard, laterOfB.dropped]).toEqual([
          true,
          true,
          ofB.dropped
        ])
        yield* a.stop()
        yield* a.start()
        yield* meet([a, b], 1)
      })
    )
  })
})

describe("an attacker", () => {
  /** Three nodes that have met; the last knows the others by gossip alone. */
  const three = (stage: Stage) =>
    Effect.gen(function* () {
      const a = yield* stage.node("a", { gossip: {} })
      const b = yield* stage.node("b", { knows: [a], gossip: {} })
      const c = yield* stage.node("c", { gossip: { seeds: [a] } })
      yield* meet([a, b, c], 2)
      return [a, b, c] as const
    })

  /** So many datagrams a second, for so many seconds; the nodes' bounds are looked at all the while. */
  const flood = (stage: Stage, nodes: ReadonlyArray<SimNode>, perMs: number, ms: number, one: (i: number) => Flying) =>
    Effect.gen(function* () {
      for (let at = 0; at < ms; at++) {
        for (let i = 0; i < perMs; i++) stage.udp.send(one(at * perMs + i))
        if (at % 100 === 0)
          for (const node of nodes) {
            const over = checkBounds(node)
            if (over !== undefined) return yield* Effect.die(new Error(over))
          }
        yield* Effect.sleep(1)
      }
    })

  test("that floods with 10,000 datagrams a second, forged, junk or signed by itself, stops no block and gets less out than in", () => {
    play(rules, 6, (stage) =>
      Effect.gen(function* () {
        const nodes = yield* three(stage)
        const [a, b, c] = nodes
        const quiet = countBytes(stage)
        yield* Effect.sleep(10_000)
        const usual = quiet.of().inside / 10
        const dice = makeDice(6)
        const scoresOf = (peers: ReadonlyArray<PeerView>) =>
          peers.map(({ nodeId, score, points }) => ({ nodeId, score, points }))
        const scores = scoresOf(yield* peersOf(c))
        const keys = Array.from({ length: 40 }, (_, i) => keyOf(500 + i))
        const signed = keys.map((key) => announcing(key, stage.now))
        const flown = countBytes(stage)
        const one = (i: number): Flying => {
          const from = { host: i % 2 === 0 ? "198.51.100.66" : `198.51.${dice.int(250)}.${dice.int(250)}`, port: 1 }
          const bytes =
            i % 3 === 0 ? dice.bytes(dice.int(1_400)) : i % 3 === 1 ? dice.mutate(dice.pick(signed)) : dice.pick(signed)
          return { by: "mallory", from, to: toward(a), bytes }
        }
        yield* Effect.forkDetach(flood(stage, nodes, 10, 3_000, one))
        const began = stage.now
        yield* stage.mine(b, 3, 500)
        yield* stage.agree()
        expect(stage.now - began).toBeLessThan(5_000)
        yield* Effect.sleep(Math.max(0, began + 4_000 - stage.now))
        const { inside, outside } = flown.of()
        const { dropped } = yield* viewOf(a)
        expect(outside).toBeGreaterThan(8_000_000)
        // What nodes say for themselves in these four seconds, twice over, and of the flood next to nothing.
        expect(inside).toBeLessThan(8 * usual + 40 * 1_200)
        expect(dropped["source-too-often"]).toBeGreaterThan(5_000)
        expect(dropped["signatures-too-many"]).toBeGreaterThan(300)
        expect(scoresOf(yield* peersOf(c))).toEqual(scores)
      })
    )
  }, 60_000)

  test("that names a victim's address as its own gets nothing sent there, and no more than it sent to anybody", () => {
    for (let seed = 0; seed < 3; seed++)
      play(rules, seed, (stage) =>
        Effect.gen(function* () {
          const nodes = yield* three(stage)
          const [a] = nodes
          const mallory = Array.from({ length: 30 }, (_, i) => keyOf(600 + i))
          const flown = countBytes(stage)
          const sentBefore = (yield* viewOf(a)).sent
          yield* flood(stage, nodes, 1, 2_000, (i) => ({
            by: "mallory",
            from: { host: victim, port: 53 },
            to: toward(a),
            bytes: announcing(mallory[i % 30]!, stage.now, {
              sequence: stage.now * 10 + i,
              endpoint: `${victim}:22`,
              gossipEndpoint: `${victim}:53`
            })
          }))
          yield* Effect.sleep(1_000)
          const { inside, outside } = flown.of()
          expect([flown.to(victim), outside > 400_000, inside < outside / 10]).toEqual([0, true, true])
          // Of that address 32 datagrams at once and 16 a second are heard, and what is heard goes on in no more bytes.
          expect((yield* viewOf(a)).sent - sentBefore).toBeLessThan(32 + 3 * 16 + 12)
        })
      )
  }, 60_000)

  test("that replays what nodes have said, at once and much later, from anywhere, makes nobody say anything", () => {
    play(rules, 7, (stage) =>
      Effect.gen(function* () {
        const nodes = yield* three(stage)
        const caught: Array<Flying> = []
        stage.udp.tap = (flying) => void (flying.by !== "mallory" && caught.length < 400 && caught.push(flying))
        yield* Effect.sleep(20_000)
        yield* stage.mine(nodes[0], 2, 2_000)
        yield* stage.agree()
        const old = caught.slice()
        stage.udp.tap = () => {}
        const replay = (hops: number) =>
          Effect.gen(function* () {
            const before = yield* Effect.forEach(nodes, viewOf)
            for (const [i, { to, bytes }] of old.entries()) {
              const copy = bytes.slice()
              // In the plain form anybody can count hops anew.
              if (copy[0] === 1) copy[1] = hops
              stage.udp.send({ by: "mallory", from: { host: `198.51.100.${i % 250}`, port: 9 }, to, bytes: copy })
              yield* Effect.sleep(5)
            }
            const after = yield* Effect.forEach(nodes, viewOf)
            return after.map((view, i) => view.sent - before[i]!.sent)
          })
        const told = yield* replay(0)
        // What three nodes say for themselves meanwhile, to two each, and what they pass on of each other.
        for (const count of told) expect(count).toBeLessThanOrEqual(6)
        yield* Effect.sleep(120_000)
        const later = yield* replay(0)
        for (const count of later) expect(count).toBeLessThanOrEqual(6)
        const dropped = (yield* Effect.forEach(nodes, viewOf)).map((view) => view.dropped["announcement-stale"] ?? 0)
        expect(dropped.reduce((sum, count) => sum + count)).toBeGreaterThan(old.length / 2)
      })
    )
  }, 60_000)

  test("that is banned stays so, and nobody's score moves, whatever it announces (L-G7, defect 5)", () => {
    play(rules, 8, (stage) =>
      Effect.gen(function* () {
        const [a, b, c] = yield* three(stage)
        const stranger = yield* stage.stranger("mallory", { to: a })
        for (let i = 0; i < 3 && stranger.left === undefined; i++) {
          stranger.say({ tag: "EVD", evidence: new Uint8Array(678) })
          yield* Effect.sleep(500)
        }
        const key = liarKey(0)
        expect(nodeIdOf(key.publicKey)).toBe(stranger.nodeId)
        const opinion = () =>
          Effect.map(stage.opinion(a, stranger.nodeId), (one) => [one?.state, one?.bannedUntil, one?.score])
        const before = yield* opinion()
        expect(before[0]).toBe("banned")
        const scores = () =>
          Effect.map(peersOf(a), (peers) => peers.map(({ nodeId, score, state }) => [nodeId, score, state]))
        const all = yield* scores()
        for (let i = 0; i < 60; i++) {
          const wish = { endpoint: `10.66.0.1:${peerPort}`, entries: [`10.66.0.1:${peerPort + 1}`] }
          stage.udp.send({
            by: "mallory",
            from: { host: "10.66.0.1", port: 1 },
            to: toward(a),
            bytes: announcing(key, stage.now, wish)
          })
          const forged = announcing(b.key, stage.now + 1)
          forged[forged.length - 1]! ^= 1
          stage.udp.send({ by: "mallory", from: toward(b), to: toward(a), bytes: forged })
          yield* Effect.sleep(1_000)
        }
        expect([yield* opinion(), yield* scores()]).toEqual([before, all])
        expect((yield* viewOf(a)).dropped["announcement-forged"]!).toBeGreaterThan(20)
        expect(banScore).toBe(100)
        yield* stage.mine(c)
        yield* stage.agree()
      })
    )
  }, 60_000)
})

test("an announcement that a caller brings is judged as one that came by UDP, also where the plain form is off", () => {
  play(rules, 9, (stage) =>
    Effect.gen(function* () {
      const a = yield* stage.node("a", { gossip: { plaintext: false } })
      const key = keyOf(700)
      const bring = (bytes: Uint8Array) => a.ask(({ node }) => node.announce!(bytes, "10.0.0.77"))
      const one = announcing(key, stage.now, {
        endpoint: "10.0.0.77:1",
        gossipEndpoint: "10.0.0.77:2",
        entries: ["10.0.0.78:1"]
      })
      expect(yield* bring(one)).toEqual({
        refused: undefined,
        nodeId: nodeIdOf(key.publicKey),
        endpoint: "10.0.0.77:1",
        gossipEndpoint: "10.0.0.77:2",
        found: 2,
        isAhead: false
      })
      expect((yield* bring(one)).refused).toBe("announcement-seen")
      expect((yield* bring(new Uint8Array([1, 2, 3]))).refused).toBe("announcement-malformed")
      const off = yield* stage.node("off")
      const shape = yield* off.ask(({ node }) => Effect.succeed(node))
      expect([shape.announce, shape.gossip, shape.facts.gossipEndpoint]).toStrictEqual([undefined, undefined, undefined])
      expect(a.tree.node.facts.gossipEndpoint).toBe(`${a.address}:${gossipPort}`)
    })
  )
})
