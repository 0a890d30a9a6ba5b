/** A whole node that began at a snapshot among nodes that have the whole chain: it proves its past, whatever happens meanwhile. */
import { describe, expect, test } from "bun:test"
import { Effect } from "effect"
import type { ChainSpec } from "../../src/block/genesis.ts"
import { makeRules } from "../../src/chain/rules.ts"
import { snapshotBlocksMax } from "../../src/limits.ts"
import { makeDice } from "../../src/sim/dice.ts"
import type { SimNode } from "../../src/sim/node.ts"
import { heightOf, play, type Stage, tipOf } from "../sim/stage.ts"
import { specOf } from "../fixtures.ts"
import { make } from "../snapshots.ts"
import { accountWallet, type TestWallet } from "../wallet.ts"

/** Blocks below the floor: some groups of the replay. */
const below = 150
const blockMs = 1_000
/** Some twenty blocks: slow enough that the past does not come all at once. */
const bytesPerSecond = 6_000

/** Two nodes with a chain in whose past something was paid. */
const wholeNodes = (stage: Stage, wallet: TestWallet) =>
  Effect.gen(function* () {
    const a = yield* stage.node("a")
    const b = yield* stage.node("b", { knows: [a] })
    yield* stage.agree()
    for (let nth = 1; nth <= 4; nth++) {
      yield* stage.submit(a, wallet.pay({ from: 0, to: 9, nth, time: stage.now }))
      yield* stage.mine(a, 10, blockMs)
    }
    return [a, b] as const
  })

/** Waits until so many blocks of a node's past are proven. */
const proven = (stage: Stage, node: SimNode, height: number) =>
  stage.until(`${height} blocks of the past are proven`, () => (node.store.proven() ?? below) >= height)

/** Lets a node lose its power in a commit, most likely the next of its replay: it is armed when one begins that has blocks. */
const tearReplay = (node: SimNode): void => {
  const { store } = node
  store.brokenPast = () => {
    if (store.bestAt((store.proven() ?? below) + 1)?.hasBody === true) node.tear(() => {})
    return undefined
  }
}

const snapshotsOn = (name: string, spec: ChainSpec, wallet: TestWallet): void => {
  const rules = makeRules(spec)

  describe(`${name}: a node from a snapshot`, () => {
    test("that loses its power while it proves its past goes on where it was, and has all in the end", () => {
      for (let seed = 0; seed < 3; seed++) {
        play(rules, seed, (stage) =>
          Effect.gen(function* () {
            const dice = makeDice(seed)
            const [a, b] = yield* wholeNodes(stage, wallet)
            yield* stage.mine(a, below + snapshotBlocksMax - heightOf(a), blockMs)
            const c = yield* stage.node("c", { knows: [a, b], snapshot: make({ store: a.store, rules }).bytes })
            expect([c.store.floor(), c.store.proven()]).toEqual([below, 0])
            stage.net.slow("c", bytesPerSecond)
            for (const height of [1, 40, 80]) {
              yield* proven(stage, c, height)
              const before = c.store.proven()!
              expect(before < below).toBe(true)
              if (dice.chance(0.8)) tearReplay(c)
              else c.kill(true)
              yield* stage.mine(a, 1)
              yield* stage.until("the power is gone", () => !c.up)
              yield* Effect.sleep(dice.int(90_000))
              yield* c.start()
              // What was torn may have been the last of it.
              expect((c.store.proven() ?? below) >= before).toBe(true)
            }
            yield* proven(stage, c, below)
            yield* stage.agree()
            expect([c.store.floor(), tipOf(c)]).toEqual([0, tipOf(b)])
          })
        )
      }
    }, 60_000)

    test("takes a heavier branch that parts below its floor as soon as its past is proven", () => {
      for (let seed = 0; seed < 2; seed++) {
        play(rules, seed, (stage) =>
          Effect.gen(function* () {
            const [a, b] = yield* wholeNodes(stage, wallet)
            const d = yield* stage.node("d", { knows: [a] })
            yield* stage.agree()
            stage.part([d], [a, b])
            const more = below + snapshotBlocksMax - heightOf(a)
            yield* stage.mine(a, more, blockMs)
            yield* stage.mine(d, more + 1, blockMs)
            const snapshot = make({ store: a.store, rules }).bytes
            const old = tipOf(a)
            stage.heal()
            yield* stage.agree()
            const c = yield* stage.node("c", { knows: [a, b, d], snapshot })
            const isWhole = (): boolean => c.store.find(tipOf(d))?.hasBody === true
            yield* stage.until("the branch is here", isWhole)
            expect([tipOf(c), c.store.floor()]).toEqual([old, below])
            yield* stage.until("the past is proven", () => c.store.floor() === 0)
            yield* stage.until("the branch is taken", () => tipOf(c) === tipOf(d), 1_000)
          })
        )
      }
    }, 60_000)
  })
}

snapshotsOn("accounts", specOf(), accountWallet)
