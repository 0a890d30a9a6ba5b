/** Whole nodes that speak to each other by libp2p, or by both transports, in the deterministic world: one chain all the same. */
import { describe, expect, test } from "bun:test"
import { Effect } from "effect"
import { makeRules } from "../../src/chain/rules.ts"
import { play, type Stage, tipOf } from "../sim/stage.ts"
import { specOf, transfer } from "../fixtures.ts"

const rules = makeRules(specOf())

/** Native only, both, libp2p only: in a line, for the ends have no transport in common. */
const line = (stage: Stage) =>
  Effect.gen(function* () {
    const native = yield* stage.node("a")
    const both = yield* stage.node("b", { knows: [native], by: "both" })
    const libp2p = yield* stage.node("c", { seeds: [both.multiaddr], by: "libp2p" })
    return { native, both, libp2p }
  })

describe("a line of a native node, one of both transports, one of libp2p", () => {
  test("passes blocks and transfers from end to end, and the same seed does it the same way", () => {
    const digest = (seed: number): string =>
      play(rules, seed, (stage) =>
        Effect.gen(function* () {
          const { native, libp2p } = yield* line(stage)
          yield* stage.mine(native, 2)
          yield* stage.agree()
          const paid = transfer({ from: 0, to: 1, nonce: 1, time: stage.now })
          yield* stage.submit(libp2p, paid)
          yield* Effect.sleep(20_000)
          expect(yield* stage.whereabouts(native, paid)).toBe("pending")
          yield* stage.mine(native)
          yield* stage.agree()
          expect(libp2p.store.isConfirmed(paid.id)).toBe(true)
        })
      )
    const first = digest(1)
    expect([digest(1), digest(2) === first]).toEqual([first, false])
  }, 60_000)

  test("that is cut and healed, and whose middle loses power and comes back, agrees again", () => {
    play(rules, 1, (stage) =>
      Effect.gen(function* () {
        const { native, both, libp2p } = yield* line(stage)
        Object.assign(stage.net.weather, { loss: 0.02, delayMs: 100, shuffle: 0.3, dup: 0.2 })
        yield* stage.mine(native)
        yield* stage.agree()
        stage.part([both], [libp2p])
        const lost = transfer({ from: 0, to: 1, nonce: 1, time: stage.now })
        yield* stage.submit(libp2p, lost)
        yield* stage.mine(libp2p)
        yield* stage.mine(native, 3)
        // Longer than a silent session lasts.
        yield* Effect.sleep(120_000)
        expect(tipOf(libp2p)).not.toBe(tipOf(both))
        stage.heal()
        yield* stage.agree()
        both.kill(true)
        yield* stage.mine(libp2p)
        yield* Effect.sleep(90_000)
        yield* both.start()
        yield* stage.agree()
        expect(yield* stage.whereabouts(native, lost)).not.toBe("nowhere")
      })
    )
  }, 60_000)
})

test("two that dial each other by both transports at once keep one session, whoever was first", () => {
  for (let seed = 0; seed < 2; seed++)
    play(rules, seed, (stage) =>
      Effect.gen(function* () {
        const a = yield* stage.node("a", { by: "both" })
        const b = yield* stage.node("b", { by: "both", knows: [a], seeds: [a.multiaddr] })
        yield* a.ask(({ node }) => node.addPeer(b.multiaddr))
        yield* a.ask(({ node }) => node.addPeer(b.endpoint))
        yield* Effect.sleep(90_000)
        for (const node of [a, b]) {
          const peers = yield* node.ask((tree) => tree.node.peers())
          expect(peers.map(({ state }) => state)).toEqual(["active"])
          const text = yield* node.ask((tree) => tree.node.metrics())
          expect(text).toContain("\ncairn_peer_sessions 1\n")
        }
        yield* stage.mine(a)
        yield* stage.agree()
      })
    )
}, 60_000)

test("a multiaddr with the key of another node is told as such and is no session; a peer that speaks neither is not dialled", () => {
  play(rules, 1, (stage) =>
    Effect.gen(function* () {
      const a = yield* stage.node("a", { by: "libp2p" })
      const b = yield* stage.node("b", { by: "libp2p" })
      const wrong = a.multiaddr.replace(/p2p\/.*/, `p2p/${b.multiaddr.split("/p2p/")[1]}`)
      const c = yield* stage.node("c", { by: "libp2p", seeds: [wrong] })
      yield* Effect.sleep(5_000)
      const { unmet } = yield* c.ask(({ node }) => node.peerBook())
      expect(unmet).toHaveLength(1)
      expect(unmet[0]).toMatchObject({ endpoint: wrong, state: "backoff" })
      expect(unmet[0]?.lastError).toMatch(/ was expected, and .* answered/)
      expect(yield* a.ask(({ node }) => node.peers())).toEqual([])
      expect(yield* c.ask(({ node }) => node.addPeer("10.0.0.9:19100"))).toBe("unspoken")
      const native = yield* stage.node("d")
      expect(yield* native.ask(({ node }) => node.addPeer(a.multiaddr))).toBe("unspoken")
    })
  )
}, 60_000)
