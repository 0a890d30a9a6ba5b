/** The actor of finality alone: what it tells whom and when, on a disk that is full, over a restart, with a signer that refuses. */
import { expect, test } from "bun:test"
import { Effect, Result } from "effect"
import { type CheckpointVote, decodeVote, type Link, signVote } from "../src/consensus/checkpoint.ts"
import type { FinalityView } from "../src/node/authorities.ts"
import { forSeeds } from "../src/sim/world.ts"
import { loadAnchors } from "../src/store/finality.ts"
import { DiskRoom } from "../src/store/room.ts"
import type { Signer } from "../src/validator/signer.ts"
import { firstAuthority, keyOf, specOf, TestChain } from "../test/fixtures.ts"
import { within } from "../test/sim/counter.ts"
import { Actor, type ActorRef } from "./actor.ts"
import { makeFinality } from "./finality.ts"
import type { FinalityMessage } from "./authority-protocol.ts"
import type { ChainMessage, SessionMessage, SyncMessage } from "./protocol.ts"

const every = 2
const chainOf = (): TestChain =>
  new TestChain(specOf({ authorities: 3, authority: { finality: { checkpointBlocks: every } } }))

/** One who is told, and remembers it. */
const listener = <M extends { readonly _tag: string }>(): ActorRef<M> & { readonly heard: Array<M> } => {
  const heard: Array<M> = []
  const tell = (message: M): boolean => heard.push(message) > 0
  return {
    name: "listener",
    heard,
    tell,
    offer: (message) => Effect.sync(() => tell(message)),
    ask: () => Effect.never,
    depth: () => 0
  }
}

/** The actor over a chain, with two sessions. */
const rigOf = (chain: TestChain, more: { readonly signer?: Signer; readonly disk?: DiskRoom } = {}) => {
  const { rules, store } = chain
  const [to, sync] = [listener<ChainMessage>(), listener<SyncMessage>()]
  const sessions = new Map([1, 2].map((id) => [id, listener<SessionMessage>()]))
  const actor: Actor<never, FinalityMessage> = new Actor(
    makeFinality({
      rules,
      store,
      disk: more.disk ?? new DiskRoom(),
      chain: to,
      sync,
      self: () => actor,
      sessions: { find: (id) => sessions.get(id), each: (f) => sessions.forEach((session, id) => f(session, id)) },
      signer: more.signer
    })
  ) as never
  const votesTo = (id: number): ReadonlyArray<CheckpointVote> =>
    sessions
      .get(id)!
      .heard.flatMap((message) =>
        message._tag === "TellVotes" ? message.votes.map((bytes) => decodeVote(bytes)!) : []
      )
  return { actor, to, sync, sessions, votesTo }
}

const point = (chain: TestChain, height: number) => chain.store.bestAt(height)!.header
const voteOf = (chain: TestChain, i: number, from: number, to: number): CheckpointVote =>
  signVote(
    chain.rules.genesis.header.hash,
    { source: point(chain, from), target: point(chain, to) },
    keyOf(firstAuthority + i)
  )
const hear = (actor: Actor<never, FinalityMessage>, votes: ReadonlyArray<CheckpointVote>, session = 1) =>
  Effect.andThen(
    Effect.sync(() => actor.tell({ _tag: "Votes", session, votes })),
    Effect.sleep(10)
  )
const view = (actor: Actor<never, FinalityMessage>) =>
  actor.ask<FinalityView>((reply): FinalityMessage => ({ _tag: "View", reply }))

test("a vote goes on to all but its sender, once; chain and download hear what becomes final, and it outlives the actor", () =>
  forSeeds(2, () => {
    const chain = chainOf()
    chain.mine(6)
    const { actor, to, sync, votesTo } = rigOf(chain)
    const all = [0, 1, 2].flatMap((i) => [voteOf(chain, i, 0, 2), voteOf(chain, i, 2, 4)])
    return within([actor], () =>
      Effect.gen(function* () {
        for (const vote of all) yield* hear(actor, [vote])
        for (const vote of all) yield* hear(actor, [vote], 2)
        expect(votesTo(1)).toEqual([])
        expect(votesTo(2)).toEqual(all)
        expect((yield* view(actor)).final.height).toBe(2)
        const last = to.heard.at(-1)
        expect(last).toMatchObject({ _tag: "Anchored", anchors: { final: { height: 2 }, justified: { height: 4 } } })
        expect(sync.heard.at(-1)).toEqual(last as never)
        expect(loadAnchors(chain.store.db)).toMatchObject({ final: { height: 2 }, justified: { height: 4 } })
        const again = rigOf(chain)
        yield* within([again.actor], () =>
          Effect.gen(function* () {
            const shown = yield* view(again.actor)
            expect([shown.final.height, shown.justified.height, shown.onBranch]).toEqual([2, 4, true])
            again.actor.tell({ _tag: "Asked", session: 2, above: 0 })
            yield* Effect.sleep(10)
            // The link from 2 to 4 is all that a newcomer needs.
            expect(again.votesTo(2)).toEqual([all[1]!, all[3]!, all[5]!])
          })
        )
      })
    )
  }))

test("nothing is told that is not on disk; when there is room again, it is", () =>
  forSeeds(2, () => {
    const chain = chainOf()
    chain.mine(4)
    let full = true
    class Full extends DiskRoom {
      override try<A>(writer: string, now: number, write: () => A) {
        return super.try(writer, now, () => {
          if (full) throw Object.assign(new Error("full"), { code: "SQLITE_FULL" })
          return write()
        })
      }
    }
    const { actor, to, votesTo } = rigOf(chain, { disk: new Full() })
    return within([actor], () =>
      Effect.gen(function* () {
        yield* hear(
          actor,
          [0, 1, 2].map((i) => voteOf(chain, i, 0, 2))
        )
        yield* Effect.sleep(2_000)
        expect([votesTo(2), to.heard, loadAnchors(chain.store.db)]).toStrictEqual([[], [], undefined])
        full = false
        yield* Effect.sleep(60_000)
        actor.tell({ _tag: "Tick" })
        yield* Effect.sleep(10)
        expect(votesTo(2)).toHaveLength(3)
        expect(to.heard).toHaveLength(1)
      })
    )
  }))

test("the signer is asked once for each new checkpoint, from the highest justified one, and not on an old tip", () =>
  forSeeds(2, () => {
    const chain = chainOf()
    const asked: Array<Link> = []
    const key = keyOf(firstAuthority)
    const signer: Signer = {
      address: key.address,
      seal: () => {},
      vote: (ask, answered) => {
        asked.push(ask)
        if (ask.target.height === 4) return answered(Result.fail({ code: "vote-signed", message: "no" }))
        const { publicKey, signature } = signVote(ask.genesis, ask, key)
        answered(Result.succeed({ publicKey, signature }))
      }
    }
    const { actor, votesTo } = rigOf(chain, { signer })
    const tick = Effect.andThen(
      Effect.sync(() => actor.tell({ _tag: "Tick" })),
      Effect.sleep(10)
    )
    return within([actor], () =>
      Effect.gen(function* () {
        const mine = (count: number) =>
          Effect.andThen(
            Effect.sleep(1_000 * count),
            Effect.andThen(
              Effect.sync(() => chain.mine(count)),
              tick
            )
          )
        yield* mine(2)
        yield* tick
        expect(asked.map(({ source, target }) => [source.height, target.height])).toEqual([[0, 2]])
        expect(votesTo(1).map(({ target }) => target.height)).toEqual([2])
        yield* mine(2)
        yield* tick
        expect(votesTo(1)).toHaveLength(1)
        yield* hear(
          actor,
          [1, 2].map((i) => voteOf(chain, i, 0, 2))
        )
        yield* mine(2)
        expect(asked.slice(1).map(({ source, target }) => [source.height, target.height])).toEqual([
          [0, 4],
          [2, 6]
        ])
        chain.mine(2)
        yield* Effect.sleep(60_000)
        yield* tick
        expect(asked).toHaveLength(3)
      })
    )
  }))

test("a signer that is idle is not asked, and asked once it is there; what an earlier run voted for is not contradicted", () =>
  forSeeds(2, () => {
    const chain = chainOf()
    const asked: Array<readonly [source: number, target: number, slot: number]> = []
    let isIdle = true
    const signer: Signer = {
      address: keyOf(firstAuthority).address,
      seal: () => {},
      idle: () => (isIdle ? { code: "signer-away", message: "gone" } : undefined),
      vote: ({ source, target, slot }, answered) => {
        asked.push([source.height, target.height, slot])
        answered(Result.fail({ code: "vote-signed", message: "no" }))
      }
    }
    const { actor } = rigOf(chain, { signer })
    const mine = (count: number) =>
      Effect.andThen(
        Effect.sleep(1_000 * count),
        Effect.sync(() => chain.mine(count))
      )
    const tick = Effect.andThen(
      Effect.sync(() => actor.tell({ _tag: "Tick" })),
      Effect.sleep(10)
    )
    return within([actor], () =>
      Effect.gen(function* () {
        yield* mine(2)
        yield* tick
        expect(asked).toEqual([])
        isIdle = false
        yield* tick
        const { genesisTime, slotMs } = chain.rules.consensus.author!.rota
        expect(asked).toEqual([[0, 2, Math.floor((point(chain, 2).time - genesisTime) / slotMs)]])
        yield* mine(3)
        // Our own, from before the restart.
        yield* hear(actor, [voteOf(chain, 0, 0, 4)])
        yield* tick
        expect(asked).toHaveLength(1)
        yield* mine(1)
        yield* hear(actor, [voteOf(chain, 0, 2, 6)])
        yield* tick
        expect(asked).toHaveLength(1)
        // As far as is known here it would lead from 0 to 8: around what was said from 2 to 6.
        yield* mine(2)
        yield* tick
        expect(asked).toHaveLength(1)
        yield* hear(
          actor,
          [0, 1, 2].map((i) => voteOf(chain, i, 0, 2))
        )
        yield* tick
        expect(asked.slice(1).map(([source, target]) => [source, target])).toEqual([[2, 8]])
      })
    )
  }))

test("what is forged is priced and not told; a vote for an unknown block makes the download ask; a liar's two votes are told once", () =>
  forSeeds(2, () => {
    const chain = chainOf()
    chain.mine(4)
    const other = chain.fork(1)
    other.now = chain.now
    other.mine(3)
    const { actor, sync, sessions, votesTo } = rigOf(chain)
    return within([actor], () =>
      Effect.gen(function* () {
        const good = voteOf(chain, 0, 0, 2)
        const forged = { ...voteOf(chain, 1, 0, 2), signature: good.signature }
        yield* hear(actor, [good, forged])
        expect(votesTo(2)).toEqual([])
        expect(sessions.get(1)!.heard.at(-1)).toMatchObject({ _tag: "Punish", code: "checkpoint-vote-forged" })
        yield* hear(actor, [good])
        yield* hear(actor, [voteOf(other, 0, 0, 2)])
        yield* hear(actor, [voteOf(other, 0, 0, 2)])
        expect(votesTo(2)).toHaveLength(2)
        const { guilty } = yield* view(actor)
        expect(guilty.map(({ authority }) => authority)).toEqual([keyOf(firstAuthority).address])
        actor.tell({ _tag: "Tick" })
        yield* Effect.sleep(10)
        expect(sync.heard).toContainEqual({ _tag: "Behind", session: 1 })
        // Nobody's vote.
        const stranger = signVote(chain.rules.genesis.header.hash, good, keyOf(7))
        yield* hear(actor, [stranger])
        expect(votesTo(2)).toHaveLength(2)
      })
    )
  }))
