/** The chain's actor: what it says that it lacks, and what it holds while it runs for long. */
import { expect, test } from "bun:test"
import { Effect } from "effect"
import type { Block } from "../src/block/block.ts"
import type { BlockReject } from "../src/chain/reject.ts"
import { branchBelowMax } from "../src/limits.ts"
import { marksReached } from "../src/marks.ts"
import { forSeeds } from "../src/sim/world.ts"
import { DiskRoom } from "../src/store/room.ts"
import { TestChain } from "../test/fixtures.ts"
import { within } from "../test/sim/counter.ts"
import { Actor } from "./actor.ts"
import { makeChain } from "./chain.ts"
import type { BlockVerdict, ChainMessage } from "./protocol.ts"

/** The chain's actor over a store, as it begins after a start. */
const actorOf = ({ rules, store, verified }: TestChain) =>
  new Actor(makeChain({ rules, store, verified, disk: new DiskRoom(), moved: () => Effect.void }))

type ChainActor = ReturnType<typeof actorOf>

const missing = (actor: ChainActor, limit: number) =>
  actor.ask<ReadonlyArray<string>>((reply): ChainMessage => ({ _tag: "MissingBodies", limit, reply }))
const offer = (actor: ChainActor, block: Block) =>
  actor.ask<BlockVerdict, BlockReject>((reply): ChainMessage => ({ _tag: "OfferBlock", block, from: undefined, reply }))

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

test("a longer branch that parts below the tip is asked for from the fork on, also after a start", () =>
  forSeeds(3, () => {
    const { chain, blocks } = headersOnly(6, 9, 2)
    const before = marksReached()
    const actor = actorOf(chain)
    const ids = blocks.map(({ header }) => header.id)
    return within([actor], () =>
      Effect.gen(function* () {
        expect(yield* missing(actor, 100)).toEqual(ids)
        expect(yield* missing(actor, 3)).toEqual(ids.slice(0, 3))
        yield* offer(actor, blocks[0]!)
        expect(yield* missing(actor, 100)).toEqual(ids.slice(1))
        for (const block of blocks.slice(1)) yield* offer(actor, block)
        expect(chain.store.tip().header.id).toBe(ids.at(-1)!)
        expect(yield* missing(actor, 100)).toEqual([])
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
        expect(yield* missing(actor, 100)).toEqual(blocks.map(({ header }) => header.id))
        expect(yield* missing(actor, 2)).toEqual(blocks.slice(0, 2).map(({ header }) => header.id))
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
