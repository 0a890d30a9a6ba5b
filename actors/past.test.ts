/** A node from a snapshot: it serves at once, asks for the past last, proves it block by block, and ends if it is false. */
import { expect, test } from "bun:test"
import { Cause, Effect } from "effect"
import { type Lacking, pastHead } from "../src/chain/branch.ts"
import { snapshotBlocksMax } from "../src/limits.ts"
import { forSeeds } from "../src/sim/world.ts"
import type { StoreFault } from "../src/store/db.ts"
import { DiskRoom } from "../src/store/room.ts"
import { nextOfPast, provePast } from "../src/store/past.ts"
import { ChainStore } from "../src/store/store.ts"
import { specOf, TestChain, transfer } from "../test/fixtures.ts"
import { load, make, overfill, steal } from "../test/snapshots.ts"
import { within } from "../test/sim/counter.ts"
import { startAlone } from "../test/sim/node.ts"
import { Actor } from "./actor.ts"
import { makeChain } from "./chain.ts"
import { makePast, type PastMessage } from "./past.ts"
import type { BlockVerdict, ChainMessage } from "./protocol.ts"
import type { Block } from "../src/block/block.ts"

const below = 100
const spec = specOf({ difficulty: { rule: "fixed", blockMs: 1000, bits: 1 } })
const longChain = (): TestChain => {
  const chain = new TestChain(spec)
  chain.mine(5)
  chain.mine(1, [transfer({ from: 0, to: 9, nonce: 1 })])
  chain.mine(below - 6 + snapshotBlocksMax)
  return chain
}
const chain = longChain()
const { bytes } = make(chain)

const blockAt = ({ store }: TestChain, height: number): Block => store.block(store.bestAt(height)!.header.id)!

/** The chain's actor over a store. */
const chainOf = (store: ChainStore) => {
  const { rules, verified } = chain
  const actor = new Actor(makeChain({ rules, store, verified, disk: new DiskRoom(), moved: () => Effect.void }))
  const offer = (block: Block) =>
    actor.ask<BlockVerdict>((reply): ChainMessage => ({ _tag: "OfferBlock", block, from: undefined, reply }) as never)
  const missing = (limit: number, head = pastHead) =>
    Effect.map(
      actor.ask<Lacking | undefined>((reply): ChainMessage => ({ _tag: "MissingBodies", head, limit, reply })),
      (lacking) => lacking?.ids
    )
  return { actor, offer, missing }
}
const idsOf = (from: number, to: number): ReadonlyArray<string> =>
  Array.from({ length: to - from + 1 }, (_, i) => chain.store.bestAt(from + i)!.header.id)

test("the past lacks its bodies from the bottom, whatever newer ones a branch lacks, and they are kept", () =>
  forSeeds(3, () => {
    const store = load(bytes, chain)
    const { actor, offer, missing } = chainOf(store)
    return within([actor], () =>
      Effect.gen(function* () {
        expect(yield* missing(3)).toEqual(idsOf(1, 3))
        expect(yield* missing(1000)).toEqual(idsOf(1, below))
        expect(yield* offer(blockAt(chain, 2))).toEqual({ outcome: "stored" })
        expect(yield* missing(3)).toEqual([...idsOf(1, 1), ...idsOf(3, 3)])
        const next = chain.next()
        store.saveHeaders([{ ...chain.rowFor(next), hasBody: false }])
        const again = chainOf(store)
        yield* within([again.actor], () =>
          Effect.gen(function* () {
            expect(yield* again.missing(3, next.header.id)).toEqual([next.header.id])
            expect(yield* again.missing(1)).toEqual(idsOf(1, 1))
            expect(yield* again.offer(next)).toEqual({ outcome: "attached" })
            expect(yield* again.missing(1)).toEqual(idsOf(1, 1))
          })
        )
      })
    )
  }))

/** A store from the snapshot with a whole, heavier branch beside it that parts below its floor. */
const waiting = (offer: ReturnType<typeof chainOf>["offer"], store: ChainStore) =>
  Effect.gen(function* () {
    const branch = chain.fork(below - 2).mine(snapshotBlocksMax + 4, [], 7)
    for (const block of branch) expect(yield* offer(block)).toEqual({ outcome: "stored" })
    expect(store.tip().header.id).toBe(chain.store.tip().header.id)
    return branch.at(-1)!.header.id
  })

test("a heavier branch that parts below the floor waits for the past, and is taken as soon as it is proven", () =>
  forSeeds(3, () => {
    const store = load(bytes, chain)
    const { actor, offer } = chainOf(store)
    return Effect.gen(function* () {
      const ports = { rules: chain.rules, store, disk: new DiskRoom(), chain: actor, progress: () => undefined }
      const past: Actor<never, PastMessage> = new Actor(makePast({ ...ports, self: () => past })) as never
      yield* within([actor, past], () =>
        Effect.gen(function* () {
          const head = yield* waiting(offer, store)
          for (let height = 1; height < below; height++) yield* offer(blockAt(chain, height))
          past.tell({ _tag: "Tick" })
          yield* Effect.sleep(1_000)
          expect([store.proven(), store.tip().header.id]).toEqual([below - 1, chain.store.tip().header.id])
          yield* offer(blockAt(chain, below))
          past.tell({ _tag: "Tick" })
          yield* Effect.sleep(1_000)
          expect([store.floor(), store.tip().header.id]).toEqual([0, head])
        })
      )
    })
  }))

test("such a branch is taken at the next start, if the past was proven while no chain listened", () =>
  forSeeds(3, () => {
    const store = load(bytes, chain)
    const { actor, offer } = chainOf(store)
    return Effect.gen(function* () {
      let head = ""
      yield* within([actor], () => Effect.map(waiting(offer, store), (id) => void (head = id)))
      const rest = { blocks: below, transactions: below }
      const blocks = nextOfPast(store, rest, ({ height }) => blockAt(chain, height))
      provePast(store, chain.rules, { blocks, verified: chain.verified })
      expect([store.floor(), store.tip().header.id === head]).toEqual([0, false])
      const node = yield* startAlone({ spec, store })
      yield* Effect.sleep(1_000)
      expect(store.tip().header.id).toBe(head)
      yield* node.tree.stop
    })
  }))

test("a node is ready at once and proves its past as bodies come", () =>
  forSeeds(3, () =>
    Effect.gen(function* () {
      const store = load(bytes, chain)
      const node = yield* startAlone({ spec, store })
      expect(yield* node.tree.node.ready()).toMatchObject({ ready: true, reasons: [] })
      expect(yield* node.tree.node.blockAt(6)).toBeUndefined()
      expect((yield* node.tree.node.locator(64)).length).toBeGreaterThan(5)
      expect(yield* node.tree.node.metrics()).toContain("cairn_past_proven_blocks 0")
      const past = Effect.map(node.tree.node.stats(), (stats) => stats.past)
      expect(yield* past).toEqual({ height: 0, targetHeight: below, blocksPerSecond: 0, etaMs: undefined })
      yield* node.tree.node.mine(undefined)
      const bring = (from: number, to: number): void => {
        for (let height = from; height <= to; height++) store.saveBody(blockAt(chain, height))
      }
      bring(1, 10)
      bring(12, below)
      yield* Effect.sleep(2_000)
      expect(store.proven()).toBe(10)
      const { height, blocksPerSecond, etaMs } = (yield* past)!
      expect([height, Math.round(etaMs! * blocksPerSecond)]).toEqual([10, (below - 10) * 1000])
      bring(11, 11)
      // One reminder is enough for all that is here.
      yield* Effect.sleep(1_000)
      expect([store.floor(), store.proven(), yield* past]).toStrictEqual([0, undefined, undefined])
      expect(yield* node.tree.node.metrics()).toContain(`cairn_past_proven_blocks ${below}`)
      expect((yield* node.tree.node.blockAt(6))?.block.transactions.length).toBe(1)
      yield* node.tree.stop
    })
  ))

test("a past that breaks the rules ends the node with its code", () =>
  forSeeds(3, () =>
    Effect.gen(function* () {
      const liar = new TestChain(spec)
      steal(liar)
      liar.mine(snapshotBlocksMax + 2)
      const store = load(make(liar).bytes, liar)
      const node = yield* startAlone({ spec, store })
      for (let height = 1; height <= store.floor(); height++) store.saveBody(blockAt(liar, height))
      const { child, cause } = yield* Effect.flip(node.tree.failed)
      expect(child).toBe("past")
      expect((Cause.squash(cause) as StoreFault).code).toBe("past-invalid")
      yield* node.tree.stop
    })
  ))

test("a block of the past that the rules do not allow behind any header ends the node, and condemns nothing else", () =>
  forSeeds(3, () =>
    Effect.gen(function* () {
      const liar = new TestChain(spec)
      liar.mine(1)
      const bad = overfill(liar)
      liar.mine(snapshotBlocksMax + 2)
      const store = load(make(liar).bytes, liar)
      expect(store.floor()).toBeGreaterThan(2)
      const { actor, offer } = chainOf(store)
      yield* within([actor], () =>
        Effect.gen(function* () {
          const { header } = store.tip()
          expect(yield* Effect.flip(offer(bad))).toMatchObject({ code: "extra-too-large" })
          expect([store.invalidCode(bad.header.id), store.invalidCode(header.id)]).toStrictEqual([undefined, undefined])
          expect([store.brokenPast(), store.heaviest().header.id]).toEqual([
            expect.stringContaining("block 2 "),
            header.id
          ])
        })
      )
      const node = yield* startAlone({ spec, store })
      const { child, cause } = yield* Effect.flip(node.tree.failed)
      expect([child, (Cause.squash(cause) as StoreFault).code]).toEqual(["past", "past-invalid"])
      yield* node.tree.stop
      expect(() => new ChainStore(store.db, liar.rules)).toThrow("extra-too-large")
    })
  ))
