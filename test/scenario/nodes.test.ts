/** Whole nodes in the deterministic world: the same actors, store and rules, over simulated wires and virtual time. */
import { describe, expect, test } from "bun:test"
import { join } from "node:path"
import { Effect } from "effect"
import { makeRules } from "../../src/chain/rules.ts"
import { toHex } from "../../src/codec/bytes.ts"
import { makeDice } from "../../src/sim/dice.ts"
import { play, tipOf } from "../sim/stage.ts"
import { keyOf, specOf, transfer } from "../fixtures.ts"

const rules = makeRules(specOf())

describe("nodes in the world", () => {
  test("take transfers from many at once, seal them, and count every one exactly once", () => {
    for (let seed = 0; seed < 15; seed++) {
      play(rules, seed, (stage) =>
        Effect.gen(function* () {
          const node = yield* stage.node("a", { onDemand: true })
          const paid = [0, 1, 2].flatMap((from) =>
            [1, 2, 3, 4].map((nonce) => transfer({ from, to: 9, nonce, amount: 5, time: stage.now }))
          )
          yield* Effect.forEach(paid, (one) => stage.submit(node, one), { concurrency: "unbounded", discard: true })
          yield* stage.until("all are confirmed", () => paid.every(({ id }) => node.store.isConfirmed(id)))
          const account = yield* node.ask((tree) => tree.node.account(keyOf(9).address))
          expect(account.balance as number).toBe(60)
        })
      )
    }
  }, 60_000)

  test("have as many sessions as the chain allows, and dial no more (C max_peers)", () => {
    const sessionsOf = (peersMax: number | undefined): ReadonlyArray<number> => {
      const spec = { ...specOf(), ...(peersMax === undefined ? {} : { network: { peersMax } }) }
      let most: ReadonlyArray<number> = []
      play(makeRules(spec), 3, (stage) =>
        Effect.gen(function* () {
          const a = yield* stage.node("a")
          const others = [a, yield* stage.node("b", { knows: [a] }), yield* stage.node("c", { knows: [a] })]
          others.push(yield* stage.node("d", { knows: others }))
          for (let i = 0; i < 10; i++) {
            yield* Effect.sleep(3_000)
            const counts = yield* Effect.forEach(others, (one) => one.ask((tree) => tree.node.peers()))
            const active = counts.map((peers) => peers.filter(({ state }) => state === "active").length)
            most = active.map((count, at) => Math.max(count, most[at] ?? 0))
          }
        })
      )
      return most
    }
    expect(sessionsOf(undefined)).toEqual([3, 3, 3, 3])
    expect(Math.max(...sessionsOf(2))).toBe(2)
    expect(Math.max(...sessionsOf(1))).toBe(1)
  }, 60_000)

  test("acknowledge a transfer that was mined before its own acknowledgement was written", () => {
    for (let seed = 0; seed < 60; seed++) {
      play(rules, seed, (stage) =>
        Effect.gen(function* () {
          const node = yield* stage.node("a", { onDemand: true })
          const pay = (from: number) =>
            Effect.forEach(
              [1, 2, 3, 4, 5, 6],
              (nonce) => stage.submit(node, transfer({ from, to: 9, nonce, time: stage.now })),
              { discard: true }
            )
          yield* Effect.all([pay(0), pay(1)], { concurrency: 2, discard: true })
        })
      )
    }
  }, 60_000)

  test("in a line agree after each has mined, and a cut line agrees again when it is mended", () => {
    for (let seed = 0; seed < 8; seed++) {
      play(rules, seed, (stage) =>
        Effect.gen(function* () {
          const dice = makeDice(seed)
          const a = yield* stage.node("a")
          const b = yield* stage.node("b", { knows: [a] })
          const c = yield* stage.node("c", { knows: [b] })
          for (let i = 0; i < 4; i++) {
            yield* stage.mine(dice.pick([a, b, c]))
            yield* stage.agree()
          }
          stage.part([a], [b, c])
          const lost = transfer({ from: 0, to: 1, nonce: 1, time: stage.now })
          yield* stage.submit(a, lost)
          yield* stage.mine(a)
          expect(yield* stage.whereabouts(a, lost)).toBe("confirmed")
          yield* stage.mine(c, 3)
          yield* stage.agree([b, c])
          expect(tipOf(a)).not.toBe(tipOf(c))
          stage.heal()
          yield* stage.agree()
          expect(yield* stage.whereabouts(a, lost)).toBe("pending")
        })
      )
    }
  }, 120_000)

  test("that catch up over a long branch keep their bounds and end at the same state", () => {
    play(rules, 5, (stage) =>
      Effect.gen(function* () {
        const a = yield* stage.node("a")
        yield* stage.mine(a, 120)
        const b = yield* stage.node("b", { knows: [a] })
        yield* stage.agree()
        expect(toHex(b.store.tip().header.stateRoot)).toBe(toHex(a.store.tip().header.stateRoot))
      })
    )
  }, 60_000)

  test("tell a miner that was away what is pending: it needs the nonces that it missed", () => {
    for (let seed = 0; seed < 8; seed++) {
      play(rules, seed, (stage) =>
        Effect.gen(function* () {
          const miner = yield* stage.node("a")
          const wallet = yield* stage.node("b", { knows: [miner] })
          yield* stage.mine(miner)
          yield* stage.agree()
          stage.part([miner], [wallet])
          // Longer than a silent session lasts: the announcement is lost with it.
          yield* stage.submit(wallet, transfer({ from: 0, to: 1, nonce: 1, time: stage.now }))
          yield* Effect.sleep(120_000)
          stage.heal()
          const later = transfer({ from: 0, to: 1, nonce: 2, time: stage.now })
          yield* stage.submit(wallet, later)
          yield* Effect.sleep(60_000)
          yield* stage.mine(miner, 2, 5_000)
          yield* stage.until("both are confirmed", () => wallet.store.isConfirmed(later.id))
        })
      )
    }
  }, 60_000)

  test("run the same way from the same seed: twice, and in another process, at another place and time zone", () => {
    const digest = (seed: number): string =>
      play(rules, seed, (stage) =>
        Effect.gen(function* () {
          const a = yield* stage.node("a")
          const b = yield* stage.node("b", { knows: [a] })
          yield* stage.submit(a, transfer({ from: 0, to: 1, nonce: 1, time: stage.now }))
          yield* stage.mine(a)
          yield* stage.agree([a, b])
        })
      )
    const mine = digest(3)
    expect([digest(3), digest(4) === mine]).toEqual([mine, false])
    if (process.env["SCENARIO_DIGEST"] !== undefined) return console.log(`digest ${mine}`)
    const other = Bun.spawnSync([process.execPath, "test", import.meta.path, "-t", "run the same way"], {
      env: { ...process.env, SCENARIO_DIGEST: "1", TZ: "Asia/Tokyo", LANG: "tr_TR.UTF-8" },
      cwd: join(import.meta.dir, "..", ".."),
      timeout: 30_000
    })
    expect(other.stdout.toString()).toContain(`digest ${mine}`)
  }, 60_000)
})
