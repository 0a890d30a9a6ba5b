/**
 * Who spends a coin, in every order: a payment and another of the same coin are submitted, a block spends it, and a heavier
 * branch takes that back and spends it otherwise. The real chain and mempool on a real store in memory.
 */
import { afterAll, describe, test } from "bun:test"
import { Effect } from "effect"
import { Actor } from "../../actors/actor.ts"
import { makeChain } from "../../actors/chain.ts"
import { type Block, transactionRootOf } from "../../src/block/block.ts"
import { VerifiedLeaves } from "../../src/chain/verified.ts"
import { toHex } from "../../src/codec/bytes.ts"
import type { PaymentTransaction } from "../../src/ledger/transaction.ts"
import { quiet, together, watching } from "../../src/sim/footprint.ts"
import { auditChain } from "../../src/store/audit.ts"
import { DiskRoom } from "../../src/store/room.ts"
import type { ChainStore } from "../../src/store/store.ts"
import { coinsOf, forge, payment, specOf, TestChain } from "../fixtures.ts"
import { holds, offerAll, poolOf, type Scene, scenesOf, submit } from "../sim/scene.ts"

const source = new TestChain(specOf({ model: "utxo" }))
const { rules, openStore, stage, close } = scenesOf(source)
afterAll(close)

const [coin] = coinsOf(source, 0)
/** A payment of the one coin to somebody. */
const spending = (to: number, fee = 1): PaymentTransaction =>
  payment({ inputs: [coin!], outputs: [[to, coin!.amount - fee]], by: [0] })
const [first, second, third] = [spending(1), spending(2, 5), spending(3)]
/** What builds on the first payment, and is nothing without it. */
const child = payment({ inputs: [{ id: first.id, index: 0 }], outputs: [[4, coin!.amount - 2]], by: [1] })
const all = [first, second, third, child]

const [withFirst] = source.fork(0).mine(1, [first]) as [Block]
/** Two blocks that win against `withFirst` and spend the coin otherwise, and two that leave it alone. */
const otherwise = source.fork(0).mine(2, [third], 97) as [Block, Block]
const without = source.fork(0).mine(2, [], 96) as [Block, Block]

/** A sealed block that spends the coin twice, and with it more work than any other branch. */
const doubling = ((): ReadonlyArray<Block> => {
  const chain = source.fork(0)
  const [below, above] = chain.mine(2, [], 95) as [Block, Block]
  const fair = chain.next([first])
  const transactions = [...fair.transactions, second]
  return [below, above, { ...forge(fair, { transactionRoot: transactionRootOf(transactions) }), transactions }]
})()

interface End {
  /** Payments of the coin in the best branch, and those that build on one that is not there. */
  readonly spent: number
  readonly orphans: number
  /** Why the store does not hold; "": it does. */
  readonly broken: string
  readonly height: number
}

const endOf = (store: ChainStore): End => {
  const confirmed = all.filter(({ id }) => store.isConfirmed(id))
  const audit = auditChain(store, rules)
  return {
    spent: confirmed.filter((one) => one !== child).length,
    orphans: confirmed.includes(child) && !confirmed.includes(first) ? 1 : 0,
    broken: typeof audit === "string" ? audit : store.balancesHold() ? "" : "balances",
    height: store.tip().header.height
  }
}
const wrongWith = ({ spent, orphans, broken }: End): string | undefined =>
  spent > 1 || orphans > 0 || broken !== "" ? JSON.stringify({ spent, orphans, broken }) : undefined

describe("chain", () => {
  /** Peers offer their branches to a chain alone. */
  const run = (branches: Readonly<Record<string, ReadonlyArray<Block>>>) => () =>
    Effect.gen(function* () {
      const store = openStore()
      const verified = new VerifiedLeaves(1_000)
      const chain = new Actor(
        makeChain({ rules, store, verified, disk: new DiskRoom(), moved: () => Effect.void }),
        watching
      )
      yield* Effect.forkDetach(chain.run, { startImmediately: true })
      const offers = Object.entries(branches).map(
        ([name, blocks]) => [name, offerAll({ chain } as unknown as Scene, blocks)] as const
      )
      yield* together<void, never>(Object.fromEntries(offers))
      yield* quiet
      return endOf(store)
    })
  const check = (height: number) => (end: End) =>
    wrongWith(end) ?? (end.height === height ? undefined : `it stands at ${end.height}`)

  test("a coin is spent once, whichever of two branches that spend it comes first, or between the other's blocks", () => {
    const program = run({ one: [withFirst], other: otherwise })
    holds("two branches of one coin", { program, check: check(2), bound: { runs: 2_000 } })
  }, 30_000)

  test("also if a third branch with more work spends it twice in a block: of that nothing is left (defects 10, 21)", () => {
    const program = run({ one: [withFirst], other: otherwise, liar: doubling })
    holds("and a liar", { program, check: check(2), bound: { runs: 2_000 } })
  }, 30_000)
})

describe("mempool and chain", () => {
  interface PoolEnd extends End {
    readonly pool: ReadonlyArray<{ readonly pending: boolean; readonly kept: boolean; readonly confirmed: boolean }>
    readonly answers: ReadonlyArray<number>
  }
  const run = (sent: ReadonlyArray<PaymentTransaction>, branches: ReadonlyArray<ReadonlyArray<Block>>) => () =>
    Effect.gen(function* () {
      const scene = yield* stage({}, false)
      const submitted = sent.map((one) => submit(scene, one))
      const tells = submitted.map(({ tell }, i) => [`submit ${i}`, tell] as const)
      const offers = branches.map((blocks, i) => [`peer ${i}`, offerAll(scene, blocks)] as const)
      yield* together<void, never>(Object.fromEntries([...tells, ...offers]))
      yield* quiet
      const pool = yield* poolOf(scene, all)
      return { ...endOf(scene.store), pool, answers: submitted.map(({ given }) => given.length) } satisfies PoolEnd
    })
  /** Coins that are spent by what is confirmed and by what is pending: none of them twice. */
  const check = (end: PoolEnd): string | undefined => {
    const live = all.filter((_, i) => end.pool[i]!.pending || end.pool[i]!.confirmed)
    const spends = live.flatMap(({ spends: keys }) => keys)
    if (new Set(spends).size !== spends.length)
      return `one coin is spent by ${live.map(({ id }) => toHex(id)).join(" and ")}`
    if (live.includes(child) && !live.includes(first)) return "a payment is pending that builds on nothing"
    for (const { pending, kept, confirmed } of end.pool) {
      if (pending && confirmed) return "confirmed and pending"
      if (pending !== kept) return "memory and disk differ"
    }
    if (end.answers.some((count) => count !== 1)) return `answers: ${end.answers.join()}`
    return wrongWith(end)
  }

  test("a submit, one that conflicts, and a block that spends the coin", () => {
    const program = run([first, second], [[withFirst]])
    holds("two payments of one coin", { program, check, bound: { runs: 2_000 } })
  }, 60_000)

  test("and a heavier branch that spends it otherwise", () => {
    const program = run([second], [[withFirst], otherwise])
    holds("a reorganisation that spends otherwise", { program, check, bound: { runs: 2_000 } })
  }, 60_000)

  test("and a heavier branch without it: what was confirmed comes back, or what was submitted stays", () => {
    const program = run([second], [[withFirst], without])
    holds("a reorganisation that gives back", { program, check, bound: { runs: 2_000 } })
  }, 60_000)

  test("a payment that builds on one that a heavier branch takes back", () => {
    const program = run([child], [[withFirst], without])
    holds("a child", { program, check, bound: { runs: 2_000 } })
    holds("a child of what is spent otherwise", {
      program: run([child], [[withFirst], otherwise]),
      check,
      bound: { runs: 2_000 }
    })
  }, 60_000)
})
