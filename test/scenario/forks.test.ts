/** Whole nodes that were parted while each side mined: they end with one tip, whatever the depth, and nothing that was paid is lost. */
import { describe, expect, test } from "bun:test"
import { Effect } from "effect"
import type { ChainSpec } from "../../src/block/genesis.ts"
import { makeRules } from "../../src/chain/rules.ts"
import type { Transaction } from "../../src/ledger/transaction.ts"
import type { SimNode } from "../../src/sim/node.ts"
import { heightOf, play, type Stage, tipOf } from "../sim/stage.ts"
import { specOf } from "../fixtures.ts"
import { accountWallet, coinWallet, type TestWallet } from "../wallet.ts"

const blockMs = 1_000
/** Virtual milliseconds in which nodes that meet again agree: the longest wait before a lost peer is dialled, and the download. */
const agreeMsMax = 6 * 60_000
/** Transfers that each side confirms while it is parted, one behind the other in its branch. */
const paysMax = 3

/** Nodes that stay together; the first of them mines. */
type Side = ReadonlyArray<SimNode>

/** What was paid while the sides were parted. */
interface Paid {
  /** By side, on that side only. */
  readonly own: ReadonlyArray<ReadonlyArray<Transaction>>
  /** On every side: it is in all branches. */
  readonly shared: Transaction
}

/** The sides part, each is paid, and the i-th mines so many blocks more than the depth; then they meet again. */
const fork = (
  stage: Stage,
  sides: ReadonlyArray<Side>,
  wish: { readonly depth: number; readonly wallet: TestWallet }
) =>
  Effect.gen(function* () {
    const { depth, wallet } = wish
    sides.forEach((side, i) => stage.part(side, sides.slice(i + 1).flat()))
    const count = Math.min(depth, paysMax)
    const own = sides.map((_, from) =>
      Array.from({ length: count }, (_, i) => wallet.pay({ from, to: 9, nth: i + 1, time: stage.now }))
    )
    const shared = wallet.pay({ from: sides.length, to: 9, nth: 1, time: stage.now })
    const grow = ([miner, ...others]: Side, i: number) =>
      Effect.gen(function* () {
        yield* stage.submit(miner!, shared)
        const before = heightOf(miner!)
        for (const [n, one] of own[i]!.entries()) {
          yield* stage.submit(miner!, one)
          yield* stage.mine(miner!, Math.ceil((depth - n) / count), blockMs)
        }
        expect(heightOf(miner!)).toBe(before + depth)
        yield* stage.mine(miner!, i, blockMs)
        yield* stage.agree([miner!, ...others])
      })
    yield* Effect.forEach(sides, grow, { concurrency: "unbounded", discard: true })
    expect(new Set(sides.flat().map(tipOf)).size).toBe(sides.length)
    const longest = tipOf(sides.at(-1)![0]!)
    stage.heal()
    const healed = stage.now
    yield* stage.agree()
    expect([tipOf(sides[0]![0]!), stage.now - healed < agreeMsMax]).toEqual([longest, true])
    return { own, shared } satisfies Paid
  })

/** The losers have their transfers back, over a restart too; when each has mined once more, every transfer is in every branch. */
const payAll = (stage: Stage, sides: ReadonlyArray<Side>, { own, shared }: Paid) =>
  Effect.gen(function* () {
    yield* sides[0]![0]!.stop()
    yield* sides[0]![0]!.start()
    for (const [i, side] of sides.entries())
      for (const node of side) {
        expect(yield* stage.whereabouts(node, shared)).toBe("confirmed")
        const where = i === sides.length - 1 ? "confirmed" : "pending"
        for (const one of own[i]!) expect(yield* stage.whereabouts(node, one)).toBe(where)
      }
    for (const [miner] of sides) {
      yield* stage.mine(miner!)
      yield* stage.agree()
    }
    for (const node of sides.flat())
      for (const one of own.flat()) expect(yield* stage.whereabouts(node, one)).toBe("confirmed")
  })

/** The suite for a chain. What a node keeps is compared with a replay from genesis by every story's end (test/sim/stage.ts). */
const forksOn = (name: string, spec: ChainSpec, wallet: TestWallet): void => {
  const rules = makeRules(spec)

  describe.each([1, 2, 3, 10, 100, 1000])(`${name}: a fork of %d blocks (defects 3, 22)`, (depth) => {
    test("between two groups of two nodes ends with the longer branch, and the losers' transfers are paid", () => {
      play(rules, depth, (stage) =>
        Effect.gen(function* () {
          const a = yield* stage.node("a")
          const b = yield* stage.node("b", { knows: [a] })
          const c = yield* stage.node("c", { knows: [a] })
          const d = yield* stage.node("d", { knows: [c, b] })
          yield* stage.mine(a, 3)
          yield* stage.agree()
          const sides = [
            [a, b],
            [c, d]
          ]
          const paid = yield* fork(stage, sides, { depth, wallet })
          expect(heightOf(a)).toBe(3 + depth + 1)
          yield* payAll(stage, sides, paid)
        })
      )
    }, 60_000)

    test("of three branches ends with the longest on all three nodes, and the losers' transfers are paid", () => {
      play(rules, depth, (stage) =>
        Effect.gen(function* () {
          const a = yield* stage.node("a")
          const b = yield* stage.node("b", { knows: [a] })
          const c = yield* stage.node("c", { knows: [a, b] })
          yield* stage.mine(a, 3)
          yield* stage.agree()
          const sides = [[a], [b], [c]]
          yield* payAll(stage, sides, yield* fork(stage, sides, { depth, wallet }))
        })
      )
    }, 60_000)
  })

  describe(`${name}: a transfer that waits where nobody mines is paid by who does`, () => {
    test("though a losing branch gave it back", () => {
      play(rules, 1, (stage) =>
        Effect.gen(function* () {
          const a = yield* stage.node("a")
          const b = yield* stage.node("b", { knows: [a] })
          yield* stage.agree()
          const { own } = yield* fork(stage, [[a], [b]], { depth: 1, wallet })
          yield* stage.mine(b, 3, 1_000)
          yield* stage.agree()
          expect(yield* stage.whereabouts(a, own[0]![0]!)).toBe("confirmed")
        })
      )
    })

    test("though it was acknowledged before the other was there", () => {
      play(rules, 1, (stage) =>
        Effect.gen(function* () {
          const a = yield* stage.node("a")
          const paid = wallet.pay({ from: 0, to: 1, nth: 1, time: stage.now })
          yield* stage.submit(a, paid)
          const b = yield* stage.node("b", { knows: [a] })
          yield* Effect.sleep(10_000)
          yield* stage.mine(b, 3, 1_000)
          yield* stage.agree()
          expect(yield* stage.whereabouts(a, paid)).toBe("confirmed")
        })
      )
    })
  })
}

forksOn("accounts", specOf(), accountWallet)

const coins = specOf({ model: "utxo" })
forksOn("coins", coins, coinWallet(coins))

/** The reference's test run looks at three heads every two seconds; ours must not differ for longer than a few blocks take. */
const lookMs = 2_000
const differMsMax = 60_000

test("three nodes that mine all the time have one head, and again after every parting, 1 to 100 blocks deep", () => {
  const heavier = makeRules(specOf({ difficulty: { rule: "fixed", blockMs: 10_000, bits: 8 } }))
  play(heavier, 1, (stage) =>
    Effect.gen(function* () {
      const pace = { hashesPerSecond: 9 }
      const a = yield* stage.node("a", pace)
      const b = yield* stage.node("b", { ...pace, knows: [a] })
      const c = yield* stage.node("c", { ...pace, knows: [b] })
      const heads = (): number => new Set([a, b, c].map(tipOf)).size
      let differed = 0
      for (let looks = 0; looks < 300; looks++) {
        yield* Effect.sleep(lookMs)
        differed = heads() === 1 ? 0 : differed + lookMs
        expect(differed).toBeLessThan(differMsMax)
      }
      expect(heightOf(a)).toBeGreaterThan(30)
      for (const depth of [1, 2, 3, 10, 100]) {
        yield* stage.agree()
        const from = heightOf(a)
        stage.part([a], [b, c])
        const isDeep = (): boolean => [a, b, c].every((node) => heightOf(node) >= from + depth)
        yield* stage.until("both sides are so deep", isDeep, depth * 5 * 60_000)
        expect(tipOf(a)).not.toBe(tipOf(b))
        stage.heal()
        yield* stage.agree()
      }
    })
  )
}, 60_000)
