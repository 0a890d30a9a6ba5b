/** The pool's rows on disk: whose they are after a reorganisation, how long they stay, and what a start makes of them. */
import { describe, expect, test } from "bun:test"
import { Clock, Effect } from "effect"
import { specOf, TestChain, transfer } from "../test/fixtures.ts"
import { options } from "../test/sim/counter.ts"
import { VerifiedLeaves } from "../src/chain/verified.ts"
import { toHex } from "../src/codec/bytes.ts"
import { keyOf as entryOf } from "../src/ledger/account.ts"
import { transferOf } from "../src/ledger/transfer.ts"
import type { Transaction } from "../src/ledger/transaction.ts"
import { pendingMsMax, retoldMax } from "../src/limits.ts"
import { TransactionRefused } from "../src/node/node.ts"
import { forSeeds } from "../src/sim/world.ts"
import { loadPending } from "../src/store/pending.ts"
import { DiskRoom } from "../src/store/room.ts"
import { Actor, type ActorRef } from "./actor.ts"
import { poolBounds } from "../src/mempool/pool.ts"
import { makeMempool } from "./mempool.ts"
import type { Admitted, MempoolMessage, TipMoved } from "./protocol.ts"
import { startGroup } from "./supervisor.ts"

interface Bench {
  readonly chain: TestChain
  readonly mempool: ActorRef<MempoolMessage>
  readonly stop: Effect.Effect<void>
}

/** The mempool's actor over a chain's store. */
const start = (chain: TestChain, retell: (ids: ReadonlyArray<string>) => void = () => {}): Effect.Effect<Bench> =>
  Effect.gen(function* () {
    const { rules, store } = chain
    const verified = new VerifiedLeaves(1000)
    const actor = new Actor(
      makeMempool({ rules, store, verified, disk: new DiskRoom(), admitted: () => {}, retell, pool: poolBounds })
    )
    const group = yield* startGroup(options, [actor])
    return { chain, mempool: actor, stop: group.stop(1000) }
  })

const submit = ({ mempool }: Bench, transaction: Transaction) =>
  mempool.ask<Admitted, TransactionRefused>((reply) => ({ _tag: "Submit", transaction, reply }) as MempoolMessage)
const find = ({ mempool }: Bench, one: Transaction) =>
  Effect.map(
    mempool.ask<ReadonlyArray<Transaction | undefined>>((reply) => ({ _tag: "Find", ids: [toHex(one.id)], reply })),
    ([found]) => found !== undefined
  )
const hasRow = ({ chain }: Bench, one: Transaction): boolean =>
  loadPending(chain.store.db).some(({ id }) => toHex(id) === toHex(one.id))

const moved = (chain: TestChain, move: Partial<TipMoved>): TipMoved => ({
  _tag: "TipMoved",
  tip: chain.store.tip().header,
  work: chain.store.tip().work,
  detached: 0,
  attached: [],
  confirmed: [],
  returned: [],
  touched: [...(move.confirmed ?? []), ...(move.returned ?? [])].map((one) => entryOf(transferOf(one).sender)),
  from: undefined,
  ...move
})

/** A chain that has left a block with `lost` for a longer branch with `won`. */
const reorganised = (lost: ReadonlyArray<Transaction>, won: ReadonlyArray<Transaction>): TestChain => {
  const chain = new TestChain(specOf())
  const other = chain.fork(0)
  chain.mine(1, lost)
  for (const block of other.mine(2, won)) chain.take(block)
  if (chain.store.tip().header.id !== other.store.tip().header.id) throw new Error("the longer branch has not won")
  return chain
}

describe("a transfer of a losing branch", () => {
  test("that does not fit the winning one loses its row, one that does keeps it", () =>
    forSeeds(10, () =>
      Effect.gen(function* () {
        const time = yield* Clock.currentTimeMillis
        const [beaten, kept] = [
          transfer({ from: 0, to: 5, nonce: 1, time }),
          transfer({ from: 1, to: 5, nonce: 1, time })
        ]
        const winner = transfer({ from: 0, to: 6, nonce: 1, time, fee: 7 })
        // The pool stood on the losing branch: it is asked once before it hears of the move.
        const chain = new TestChain(specOf())
        const bench = yield* start(chain)
        const other = chain.fork(0)
        chain.mine(1, [beaten, kept])
        expect(yield* find(bench, kept)).toBe(false)
        for (const block of other.mine(2, [winner])) chain.take(block)
        expect([hasRow(bench, beaten), hasRow(bench, kept)]).toEqual([true, true])
        bench.mempool.tell(moved(chain, { confirmed: [winner], returned: [beaten, kept], detached: 1 }))
        yield* Effect.sleep(10)
        expect([yield* find(bench, beaten), yield* find(bench, kept)]).toEqual([false, true])
        expect([hasRow(bench, beaten), hasRow(bench, kept)]).toEqual([false, true])
        yield* bench.stop
      })
    ))

  test("keeps its row, whenever between two steps of the pool it was confirmed and came back", () => {
    for (let turns = 0; turns < 8; turns++)
      forSeeds(10, () =>
        Effect.gen(function* () {
          const time = yield* Clock.currentTimeMillis
          const one = transfer({ from: 0, to: 5, nonce: 1, time })
          const chain = new TestChain(specOf())
          const bench = yield* start(chain)
          yield* submit(bench, one)
          const other = chain.fork(0)
          const [block] = chain.mine(1, [one])
          bench.mempool.tell(moved(chain, { confirmed: [one], attached: [block!.header] }))
          for (let turn = 0; turn < turns; turn++) yield* Effect.yieldNow
          for (const next of other.mine(2)) chain.take(next)
          for (let turn = 0; turn < turns; turn++) yield* Effect.yieldNow
          bench.mempool.tell(moved(chain, { returned: [one], detached: 1 }))
          yield* Effect.sleep(10)
          expect([yield* find(bench, one), hasRow(bench, one)]).toEqual([true, true])
          yield* bench.stop
        })
      )
  })
})

describe("every minute", () => {
  test("what is pending is named again, so much at a time, and all of it in turn", () =>
    forSeeds(1, () =>
      Effect.gen(function* () {
        const chain = new TestChain(specOf({ accounts: 12 }))
        const time = yield* Clock.currentTimeMillis
        const told: Array<ReadonlyArray<string>> = []
        const bench = yield* start(chain, (ids) => told.push(ids))
        bench.mempool.tell({ _tag: "Expire" })
        const ids: Array<string> = []
        for (let i = 0; i < retoldMax + 100; i++) {
          const one = transfer({ from: i % 12, to: 20, nonce: 1 + Math.floor(i / 12), time })
          ids.push(toHex(one.id))
          yield* submit(bench, one)
        }
        for (let i = 0; i < 3; i++) {
          bench.mempool.tell({ _tag: "Expire" })
          yield* Effect.sleep(10)
        }
        expect(told.map(({ length }) => length)).toEqual([retoldMax, 100, retoldMax])
        expect(new Set([...told[0]!, ...told[1]!])).toEqual(new Set(ids))
        expect(told[2]!).toEqual(told[0]!)
        yield* bench.stop
      })
    ))
})

describe("a start", () => {
  test("goes on with the time that a transfer has waited already", () =>
    forSeeds(5, () =>
      Effect.gen(function* () {
        const chain = new TestChain(specOf())
        const time = yield* Clock.currentTimeMillis
        const first = yield* start(chain)
        const one = transfer({ from: 0, to: 5, nonce: 1, time })
        yield* submit(first, one)
        yield* first.stop
        yield* Effect.sleep(pendingMsMax - 60_000)
        const second = yield* start(chain)
        expect(yield* find(second, one)).toBe(true)
        yield* Effect.sleep(61_000)
        second.mempool.tell({ _tag: "Expire" })
        yield* Effect.sleep(10)
        expect([yield* find(second, one), hasRow(second, one)]).toEqual([false, false])
        yield* second.stop
      })
    ))

  test("drops what waited too long while the node was off, and rows that it cannot read", () =>
    forSeeds(5, () =>
      Effect.gen(function* () {
        const chain = new TestChain(specOf())
        const time = yield* Clock.currentTimeMillis
        const first = yield* start(chain)
        const one = transfer({ from: 0, to: 5, nonce: 1, time })
        yield* submit(first, one)
        yield* first.stop
        chain.store.db.run("INSERT INTO pending (id, bytes, received) VALUES (x'01', x'02', 3)")
        yield* Effect.sleep(pendingMsMax + 1)
        const second = yield* start(chain)
        expect(yield* find(second, one)).toBe(false)
        yield* Effect.sleep(10)
        expect(loadPending(chain.store.db)).toEqual([])
        yield* second.stop
      })
    ))
})

test("what a reorganisation leaves on disk is what the pool has after a start", () => {
  forSeeds(3, () =>
    Effect.gen(function* () {
      const time = yield* Clock.currentTimeMillis
      const [beaten, kept] = [
        transfer({ from: 0, to: 5, nonce: 1, time }),
        transfer({ from: 1, to: 5, nonce: 1, time })
      ]
      const bench = yield* start(reorganised([beaten, kept], [transfer({ from: 0, to: 6, nonce: 1, time, fee: 7 })]))
      expect([yield* find(bench, beaten), yield* find(bench, kept)]).toEqual([false, true])
      yield* Effect.sleep(10)
      expect([hasRow(bench, beaten), hasRow(bench, kept)]).toEqual([false, true])
      yield* bench.stop
    })
  )
})
