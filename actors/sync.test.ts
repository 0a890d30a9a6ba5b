/** The download's actor under a full inbox: what the chain has judged it must hear. */
import { expect, test } from "bun:test"
import { Effect } from "effect"
import { TestChain } from "../test/fixtures.ts"
import { options, within } from "../test/sim/counter.ts"
import { chainInboxMax, syncInboxMax } from "../src/limits.ts"
import { reject } from "../src/chain/reject.ts"
import { forSeeds } from "../src/sim/world.ts"
import { Actor, type ActorRef } from "./actor.ts"
import type { ChainMessage, SessionMessage, SyncMessage } from "./protocol.ts"
import { makeSync } from "./sync.ts"

/** An actor that only keeps what it is told. */
const keeper = <M extends { readonly _tag: string }>() => {
  const kept: Array<M> = []
  const ref: ActorRef<M> = {
    name: "keeper",
    tell: (message) => kept.push(message) > 0,
    offer: (message) => Effect.sync(() => kept.push(message) > 0),
    ask: () => Effect.never,
    depth: () => 0
  }
  return { kept, ref }
}

/** The download's actor between a chain and one session that are the test's. */
const makeBench = () => {
  const chain = new TestChain()
  const [judge, session] = [keeper<ChainMessage>(), keeper<SessionMessage>()]
  const around = { chain: judge.ref, session: () => session.ref, rejoin: () => {}, saw: () => {} }
  const sync: Actor<never, SyncMessage> = new Actor(
    makeSync({ store: chain.store, self: () => sync, ...around })
  ) as never
  const other = chain.fork(0)
  const blocks = other.mine(3)
  /** What the chain does before it says that headers are good. */
  const know = (): void => chain.store.saveHeaders(blocks.map(({ header }) => other.store.find(header.id)!))
  return { sync, judged: judge.kept, said: session.kept, blocks, other, know }
}

const fillInbox = (sync: ActorRef<SyncMessage>): void => {
  while (sync.tell({ _tag: "NotGiven", session: 1, ids: [], stalled: false }));
}

const tagsOf = (list: ReadonlyArray<{ readonly _tag: string }>) => list.map(({ _tag }) => _tag)

test("a verdict on headers comes through, at once and without a tick", () =>
  forSeeds(10, () => {
    const { sync, judged, blocks, other, know } = makeBench()
    return within([sync], () =>
      Effect.gen(function* () {
        const tip = { height: 3, work: other.store.tip().work, hash: blocks[2]!.header.id }
        sync.tell({ _tag: "Joined", session: 1, tip })
        yield* sync.offer({ _tag: "Headers", session: 1, headers: blocks.map(({ header }) => header), asked: true })
        yield* Effect.sleep(1)
        const [offer] = judged.splice(0)
        if (offer?._tag !== "OfferHeaders") throw new Error(`the chain was told ${offer?._tag}`)
        fillInbox(sync)
        expect(sync.depth()).toBe(syncInboxMax)
        know()
        offer.reply.succeed({
          known: 3,
          last: blocks[2]!.header,
          reject: undefined,
          heaviest: { height: 3, work: other.store.tip().work }
        })
        yield* Effect.sleep(1)
        expect(tagsOf(judged)).toEqual(["MissingBodies"])
      })
    )
  }))

test("verdicts on bodies come through, as many as can be out at a time", () =>
  forSeeds(3, () => {
    const { sync, judged, said, blocks } = makeBench()
    return within(
      [sync],
      () =>
        Effect.gen(function* () {
          sync.tell({ _tag: "Joined", session: 1, tip: { height: 3, work: 1n, hash: "" } })
          const sent = chainInboxMax + 200
          for (let i = 0; i < sent; i++) yield* sync.offer({ _tag: "Body", session: 1, block: blocks[0]! })
          yield* Effect.sleep(1)
          const offers = judged.splice(0)
          expect(offers.length).toBe(sent)
          fillInbox(sync)
          for (const offer of offers)
            if (offer._tag === "OfferBlock") offer.reply.fail(reject("state-root-wrong", "planted"))
          const { used, max } = sync.bounds().find(({ of }) => of === "inbox")!
          expect([used >= syncInboxMax + sent, used <= max]).toEqual([true, true])
          yield* Effect.sleep(1)
          expect(said.filter(({ _tag }) => _tag === "Punish").length).toBe(sent)
        }),
      options
    )
  }))

test("a refused body is priced, and asked for again of others only", () =>
  forSeeds(10, () => {
    const { sync, judged, said, blocks, other, know } = makeBench()
    const { id } = blocks[0]!.header
    const tip = { height: 3, work: other.store.tip().work, hash: blocks[2]!.header.id }
    /** The chain answers the last look. */
    const list = Effect.gen(function* () {
      yield* Effect.sleep(1)
      const look = judged.splice(0).find((message) => message._tag === "MissingBodies")
      look?.reply.succeed({ ids: [id], walked: 1 })
      yield* Effect.sleep(1)
      return look?.head
    })
    return within([sync], () =>
      Effect.gen(function* () {
        know()
        sync.tell({ _tag: "Joined", session: 1, tip })
        expect(yield* list).toBe(tip.hash)
        expect(said.splice(0)).toEqual([{ _tag: "AskBodies", ids: [id] }])
        yield* sync.offer({ _tag: "Body", session: 1, block: blocks[0]! })
        yield* Effect.sleep(1)
        const offer = judged.find((message) => message._tag === "OfferBlock")
        offer!.reply.fail(reject("transaction-root-wrong", "planted"))
        yield* list
        yield* list
        expect(tagsOf(said.splice(0))).toEqual(["Punish"])
        sync.tell({ _tag: "Joined", session: 2, tip })
        yield* Effect.sleep(1)
        expect(said).toEqual([{ _tag: "AskBodies", ids: [id] }])
      })
    )
  }))
