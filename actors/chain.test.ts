/** The chain's actor: what it says that it lacks, and what it holds while it runs for long. */
import { expect, test } from "bun:test"
import { Effect } from "effect"
import { type Block, transactionRootOf } from "../src/block/block.ts"
import { type Header, type Height, makeHeader } from "../src/block/header.ts"
import type { Lacking } from "../src/chain/branch.ts"
import type { BlockReject } from "../src/chain/reject.ts"
import type { Millis } from "../src/ledger/transaction.ts"
import { branchBelowMax } from "../src/limits.ts"
import { marksReached } from "../src/marks.ts"
import { forSeeds } from "../src/sim/world.ts"
import { DiskRoom } from "../src/store/room.ts"
import { forge, specOf, TestChain, transfer } from "../test/fixtures.ts"
import { within } from "../test/sim/counter.ts"
import { Actor } from "./actor.ts"
import { makeChain } from "./chain.ts"
import type { BlockVerdict, ChainMessage, HeadersVerdict, TipMoved } from "./protocol.ts"

/** The chain's actor over a store, as it begins after a start. */
const actorOf = ({ rules, store, verified }: TestChain, heard: (move: TipMoved) => void = () => {}) => {
  const moved = (move: TipMoved): Effect.Effect<void> => Effect.sync(() => heard(move))
  return new Actor(makeChain({ rules, store, verified, disk: new DiskRoom(), moved }))
}

type ChainActor = ReturnType<typeof actorOf>

/** Bodies that the branch of a block lacks. */
const missing = (actor: ChainActor, limit: number, { header }: Block) =>
  Effect.map(
    actor.ask<Lacking | undefined>((reply): ChainMessage => ({ _tag: "MissingBodies", head: header.id, limit, reply })),
    (lacking) => lacking?.ids
  )
const offer = (actor: ChainActor, block: Block) =>
  actor.ask<BlockVerdict, BlockReject>((reply): ChainMessage => ({ _tag: "OfferBlock", block, from: undefined, reply }))

/** The work of a header so many blocks above the tip, all of one difficulty. */
const workAbove = ({ store, rules }: TestChain, blocks: number): bigint =>
  store.tip().work + BigInt(blocks) * rules.consensus.work(store.tip().header)

/** A chain that knows only the headers of a longer one, which parts from it at a height. */
const headersOnly = (own: number, theirs: number, fork = 0) => {
  const chain = new TestChain()
  chain.mine(fork)
  const other = chain.fork(fork)
  chain.mine(own - fork)
  const blocks = other.mine(theirs - fork, [], 77)
  for (const block of blocks) chain.store.saveHeaders([{ ...chain.rowFor(block), hasBody: false }])
  return { chain, other, blocks }
}

const idsOf = (blocks: ReadonlyArray<Block>): ReadonlyArray<string> => blocks.map(({ header }) => header.id)

test("a longer branch that parts below the tip is asked for from the fork on, also after a start", () =>
  forSeeds(3, () => {
    const { chain, blocks } = headersOnly(6, 9, 2)
    const before = marksReached()
    const actor = actorOf(chain)
    const ids = idsOf(blocks)
    return within([actor], () =>
      Effect.gen(function* () {
        const head = blocks.at(-1)!
        expect(yield* missing(actor, 100, head)).toEqual(ids)
        expect(yield* missing(actor, 3, head)).toEqual(ids.slice(0, 3))
        expect(yield* missing(actor, 100, blocks[2]!)).toEqual(ids.slice(0, 3))
        yield* offer(actor, blocks[0]!)
        expect(yield* missing(actor, 100, head)).toEqual(ids.slice(1))
        for (const block of blocks.slice(1)) yield* offer(actor, block)
        expect(chain.store.tip().header.id).toBe(ids.at(-1)!)
        expect(yield* missing(actor, 100, head)).toEqual([])
        const after = marksReached()
        expect(after["branch-below"]).toBeGreaterThan(before["branch-below"])
        expect(after["reorg-above-3"] - before["reorg-above-3"]).toBe(1)
      })
    )
  }))

test("what only extends the best branch is asked for above the tip", () =>
  forSeeds(3, () => {
    const { chain, blocks } = headersOnly(4, 9, 4)
    const actor = actorOf(chain)
    return within([actor], () =>
      Effect.gen(function* () {
        const head = blocks.at(-1)!
        expect(yield* missing(actor, 100, head)).toEqual(idsOf(blocks))
        expect(yield* missing(actor, 2, head)).toEqual(idsOf(blocks.slice(0, 2)))
      })
    )
  }))

test("a lighter branch is asked for beside a heavier one whose bodies nobody gives, and becomes ours", () =>
  forSeeds(3, () => {
    const { chain, blocks } = headersOnly(2, 12, 2)
    const honest = chain.fork(2).mine(3, [], 78)
    const rows = honest.map(({ header }, i) => ({ header, work: workAbove(chain, i + 1), hasBody: false }))
    chain.store.saveHeaders(rows)
    const actor = actorOf(chain)
    return within([actor], () =>
      Effect.gen(function* () {
        const head = honest.at(-1)!
        expect(yield* missing(actor, 100, head)).toEqual(idsOf(honest))
        for (const block of honest) yield* offer(actor, block)
        expect(chain.store.tip().header.id).toBe(head.header.id)
        expect(yield* missing(actor, 100, head)).toEqual([])
        expect(yield* missing(actor, 100, blocks.at(-1)!)).toEqual(idsOf(blocks))
      })
    )
  }))

test("a block that its own body refutes is asked for no longer, nor what builds on it, and another takes its place", () =>
  forSeeds(3, () => {
    const chain = new TestChain()
    const [good] = chain.fork(0).mine(1)
    const spend = transfer({ from: 0, to: 1, nonce: 1 })
    const twice = { ...chain.next(), transactions: [spend, spend] }
    const bad = { ...twice, header: forge(twice, { transactionRoot: transactionRootOf(twice.transactions) }).header }
    const time = (bad.header.time + 1_000) as Millis
    const child = forge(bad, { height: 2 as Height, previous: bad.header.hash, time })
    const actor = actorOf(chain)
    return within([actor], () =>
      Effect.gen(function* () {
        const heights = (headers: ReadonlyArray<Header>) =>
          Effect.map(
            actor.ask<HeadersVerdict>((reply): ChainMessage => ({ _tag: "OfferHeaders", headers, reply })),
            ({ heaviest }) => heaviest.height
          )
        expect(yield* heights([bad.header, child.header])).toBe(2)
        expect(yield* missing(actor, 100, child)).toEqual([bad.header.id, child.header.id])
        expect(yield* Effect.flip(offer(actor, bad))).toMatchObject({ code: "transaction-duplicate" })
        for (const block of [bad, child]) expect(yield* missing(actor, 100, block)).toBeUndefined()
        expect(yield* heights([good!.header])).toBe(1)
      })
    )
  }))

test(
  "a node that only ever extends its tip does not remember every block of its life",
  () =>
    forSeeds(1, () => {
      const chain = new TestChain()
      const source = chain.fork(0)
      const actor = actorOf(chain)
      const sizeOf = (): number => actor.bounds().find(({ of }) => of === "header-branch")!.used
      return within([actor], () =>
        Effect.gen(function* () {
          for (let height = 1; height <= branchBelowMax + 5; height++) yield* offer(actor, source.mine(1)[0]!)
          expect<number>(chain.store.tip().header.height).toBe(branchBelowMax + 5)
          expect(sizeOf()).toBeLessThan(10)
        })
      )
    }),
  30_000
)

test("bodies that were stored before a crash could land them move the tip after the start, without an offer", () =>
  forSeeds(3, () => {
    const { chain, blocks } = headersOnly(3, 6, 3)
    for (const block of blocks) chain.store.saveBody(block)
    const before = marksReached()["stored-resumed"]
    const actor = actorOf(chain)
    return within([actor], () =>
      Effect.gen(function* () {
        expect<number>(chain.store.tip().header.height).toBe(3)
        yield* missing(actor, 1, blocks.at(-1)!)
        yield* Effect.sleep(1_000)
        expect(chain.store.tip().header.id).toBe(blocks.at(-1)!.header.id)
        expect(marksReached()["stored-resumed"] - before).toBe(1)
      })
    )
  }))

test("of a known header the seal that was checked stays: a body that comes with a false one is taken, and passed on with the true one", () =>
  forSeeds(2, () => {
    const chain = new TestChain(specOf({ authorities: 3 }))
    const block = chain.next()
    chain.store.saveHeaders([{ ...chain.rowFor(block), hasBody: false }])
    const { authority } = block.header
    const header = makeHeader({ ...block.header, authority: { ...authority!, signature: new Uint8Array(64).fill(7) } })
    const announced: Array<Header> = []
    const actor = actorOf(chain, ({ attached }) => void announced.push(...attached))
    return within([actor], () =>
      Effect.gen(function* () {
        expect(header.id).toBe(block.header.id)
        expect(yield* offer(actor, { ...block, header })).toEqual({ outcome: "attached" })
        expect(announced.map(({ bytes }) => bytes)).toEqual([block.header.bytes])
        expect(chain.store.block(header.id)?.header.bytes).toEqual(block.header.bytes)
      })
    )
  }))

test("a false seal does not condemn the hash that it stands beside: the true one is taken after it", () =>
  forSeeds(2, () => {
    const chain = new TestChain(specOf({ authorities: 3 }))
    const block = chain.next()
    const { authority } = block.header
    const header = makeHeader({ ...block.header, authority: { ...authority!, signature: new Uint8Array(64).fill(7) } })
    const actor = actorOf(chain)
    return within([actor], () =>
      Effect.gen(function* () {
        yield* Effect.sleep(1_000)
        const refused = yield* Effect.flip(offer(actor, { ...block, header }))
        expect(refused).toMatchObject({ code: "signature-wrong" })
        expect(yield* offer(actor, block)).toEqual({ outcome: "attached" })
      })
    )
  }))

/** A chain of authorities with a block more, and a branch from height 2 that is heavier, its bodies stored here. */
const lighterAndHeavier = () => {
  const chain = new TestChain(specOf({ authorities: 3 }))
  chain.mine(2)
  const other = chain.fork(2)
  const ours = chain.mine(2)
  other.now = chain.now
  const theirs = other.mine(4)
  return { chain, ours, theirs }
}

test("no branch leaves a final block, and a header beside it is refused without blame or memory", () =>
  forSeeds(2, () => {
    const { chain, ours, theirs } = lighterAndHeavier()
    const final = ours[0]!.header
    const actor = actorOf(chain)
    return within([actor], () =>
      Effect.gen(function* () {
        yield* Effect.sleep(60_000)
        actor.tell({ _tag: "Anchored", anchors: { final, justified: final } })
        for (const block of theirs.slice(0, 1))
          expect(yield* Effect.flip(offer(actor, block))).toMatchObject({ code: "final-left" })
        const verdict = yield* actor.ask<HeadersVerdict>(
          (reply): ChainMessage => ({ _tag: "OfferHeaders", headers: theirs.map(({ header }) => header), reply })
        )
        expect(verdict).toMatchObject({ known: 0, reject: { code: "final-left" } })
        expect(chain.store.invalidCode(theirs[0]!.header.id)).toBeUndefined()
        expect(chain.store.tip().header.id).toBe(ours[1]!.header.id)
      })
    )
  }))

test("a lighter branch wins when its checkpoint is justified: at once if it is stored, else when its bodies come", () =>
  forSeeds(2, () => {
    const { chain, ours, theirs } = lighterAndHeavier()
    const final = chain.rules.genesis.header
    const actor = actorOf(chain)
    return within([actor], () =>
      Effect.gen(function* () {
        yield* Effect.sleep(60_000)
        for (const block of theirs) yield* offer(actor, block)
        expect(chain.store.tip().header.id).toBe(theirs[3]!.header.id)
        actor.tell({ _tag: "Anchored", anchors: { final, justified: ours[0]!.header } })
        yield* Effect.sleep(1_000)
        expect(chain.store.tip().header.id).toBe(ours[1]!.header.id)
        // Back to the other, of which a body is new.
        chain.now = theirs[3]!.header.time
        const more = chain.fork(2)
        for (const block of theirs) more.take(block)
        more.now = chain.now
        const [last] = more.mine(1)
        actor.tell({ _tag: "Anchored", anchors: { final: theirs[0]!.header, justified: last!.header } })
        yield* Effect.sleep(1_000)
        expect(chain.store.tip().header.id).toBe(theirs[3]!.header.id)
        expect(yield* offer(actor, last!)).toEqual({ outcome: "attached" })
        expect(chain.store.tip().header.id).toBe(last!.header.id)
      })
    )
  }))
