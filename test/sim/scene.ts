/** A few real actors on a real store in memory, and every order of their steps: the stage of the protocol tests. */
import { Database } from "bun:sqlite"
import { Effect, Fiber } from "effect"
import { Actor, type ActorRef, type ActorWatch, type Reply, replyWith } from "../../actors/actor.ts"
import { makeChain } from "../../actors/chain.ts"
import { makeMempool } from "../../actors/mempool.ts"
import { makeMiner, type MinerPorts } from "../../actors/miner.ts"
import {
  type BlockVerdict,
  type ChainMessage,
  type MempoolMessage,
  type MinerMessage,
  type SearchJob,
  type TipMoved
} from "../../actors/protocol.ts"
import type { Block } from "../../src/block/block.ts"
import type { BlockReject } from "../../src/chain/reject.ts"
import { VerifiedLeaves } from "../../src/chain/verified.ts"
import { toHex } from "../../src/codec/bytes.ts"
import { search } from "../../src/miner/search.ts"
import { poolBounds } from "../../src/mempool/pool.ts"
import { DiskRoom } from "../../src/store/room.ts"
import type { Transaction } from "../../src/ledger/transaction.ts"
import { type Exploration, explore, formatChoices, replay } from "../../src/sim/explore.ts"
import { quiet, tracked, watching } from "../../src/sim/footprint.ts"
import { loadPending } from "../../src/store/pending.ts"
import { ChainStore } from "../../src/store/store.ts"
import { keyOf, TestChain } from "../fixtures.ts"

/** Of the store what changes nothing. */
const reads = [
  ...(["find", "bestAt", "tip", "block", "undo", "readEntry", "readPage", "body", "children", "heaviest"] as const),
  ...(["invalidCode", "isConfirmed", "db"] as const)
]

export interface Scene {
  readonly store: ChainStore
  readonly chain: ActorRef<ChainMessage>
  readonly mempool: ActorRef<MempoolMessage>
  readonly miner: Actor<never, MinerMessage>
  /** What the miner offered: the block, and the height of the last tip that it had heard of. */
  readonly offered: ReadonlyArray<{ readonly block: Block; readonly heard: number }>
  readonly minerFiber: Fiber.Fiber<void, unknown>
}

export type Mining = Partial<MinerPorts["options"]>
/** A mining thread: an actor that finds the nonce of the newest job. */
const makeThread = (miner: () => ActorRef<MinerMessage>) =>
  new Actor<undefined, SearchJob & { readonly _tag: "Job" }>(
    {
      name: "thread",
      inboxMax: 8,
      overflow: { Job: "keep-latest" },
      open: Effect.succeed(undefined),
      step: (_, { job, header, target }) => {
        if (job === 0) return
        const found = search({ header, target, from: 0, count: 10_000 })
        miner().tell({ _tag: "Searched", job, thread: 0, ...found })
      }
    },
    watching
  )

/** Stores that begin as a chain's, and actors on them. */
export const scenesOf = (source: TestChain) => {
  const { rules } = source
  const image = source.store.db.serialize()
  let opened: ChainStore | undefined

  /** A store with the genesis. Runs that are cut short end nothing, so each closes the one before. */
  const openStore = (): ChainStore => {
    opened?.close()
    opened = new ChainStore(Database.deserialize(image), rules)
    return tracked("store", opened, reads)
  }

  /** Chain, mempool, miner and its thread as tree.ts wires them. They stand and wait when the first step begins. */
  const stage = (mining: Mining = {}, miners = true) =>
    Effect.gen(function* () {
      const store = openStore()
      // What it remembers spares work and changes no verdict: it need not be declared.
      const verified = new VerifiedLeaves(1_000)
      const disk = new DiskRoom()
      const offered: Array<{ block: Block; heard: number }> = []
      let heard = 0
      const heeding: ActorWatch = {
        ...watching,
        begun: (actor, message) => {
          watching.begun?.(actor, message)
          if (message._tag === "TipMoved") heard = (message as TipMoved).tip.height
        }
      }
      const moved = (move: TipMoved) => Effect.map(mempool.offer(move), () => void miner.tell(move))
      const chain = new Actor(makeChain({ rules, store, verified, disk, moved }), watching)
      const admitted = (): void => void miner.tell({ _tag: "PoolGrew" })
      const mempool = new Actor(makeMempool({ rules, store, verified, disk, pool: poolBounds, admitted, retell: () => {} }), watching)
      const tell: typeof chain.tell = (message) => {
        if (message._tag === "OfferBlock") offered.push({ block: message.block, heard })
        return chain.tell(message)
      }
      const thread = makeThread(() => miner)
      const miner: Actor<never, MinerMessage> = new Actor(
        makeMiner({
          rules,
          store,
          chain: { ...chain, tell },
          mempool,
          self: () => miner,
          startThread: () => ({
            post: (job) => void thread.tell({ _tag: "Job", ...(job as SearchJob) }),
            terminate: () => {}
          }),
          hashed: () => {},
          options: {
            ...{
              threads: 0,
              proposer: keyOf(98).address,
              onDemand: false,
              everyMs: undefined,
              extra: new Uint8Array(0)
            },
            ...{ triesInPlace: 10_000, ...mining }
          }
        }),
        heeding
      ) as never
      for (const actor of [chain, mempool, thread]) yield* Effect.forkDetach(actor.run, { startImmediately: true })
      const minerFiber = yield* Effect.forkDetach(miners ? miner.run : Effect.void, { startImmediately: true })
      return { store, chain, mempool, miner, offered, minerFiber } satisfies Scene
    })

  return { rules, openStore, stage, close: () => opened?.close() }
}

/** Counts answers, and keeps the last. */
export const answers = <A, E>() => {
  const given: Array<{ readonly ok: A } | { readonly no: E }> = []
  const reply: Reply<A, E> = replyWith<A, E>(
    (ok) => void given.push({ ok }),
    (no) => void given.push({ no })
  )
  return { given, reply }
}

export const submit = ({ mempool }: Scene, transaction: Transaction) => {
  const { given, reply } = answers()
  return { given, transaction, tell: Effect.sync(() => void mempool.tell({ _tag: "Submit", transaction, reply })) }
}

export const offer = ({ chain }: Scene, block: Block) => {
  const { reply } = answers<BlockVerdict, BlockReject>()
  return Effect.sync(() => void chain.tell({ _tag: "OfferBlock", block, from: 1, reply }))
}

export const offerAll = (scene: Scene, blocks: ReadonlyArray<Block>) =>
  Effect.forEach(blocks, (block) => offer(scene, block), { discard: true })

/** The pool: ids in memory, and ids on disk. */
export const poolOf = ({ mempool, store }: Scene, of: ReadonlyArray<Transaction>) =>
  Effect.gen(function* () {
    let found: ReadonlyArray<Transaction | undefined> = []
    const ids = of.map(({ id }) => toHex(id))
    mempool.tell({ _tag: "Find", ids, reply: replyWith((all) => void (found = all)) })
    yield* quiet
    const kept = loadPending(store.db).map(({ bytes }) => toHex(bytes))
    return of.map((transaction, i) => ({
      pending: found[i] !== undefined,
      kept: kept.includes(toHex(transaction.bytes)),
      confirmed: store.isConfirmed(transaction.id)
    }))
  })

const randomRuns = 300

/** All orders within the bound; if that were not all, some random ones. Fails with the choices and steps of what was found. */
export const holds = <A, E>(name: string, what: Omit<Exploration<A, E>, "strategy">): void => {
  const all: Exploration<A, E> = { ...what, strategy: { kind: "exhaustive", reduce: true } }
  const some: Exploration<A, E> = { ...what, strategy: { kind: "random" }, bound: { ...what.bound, runs: randomRuns } }
  const began = performance.now()
  const found = explore(all)
  const { runs, cut, complete, outcomes } = found
  const { first } = complete || found.first !== undefined ? found : explore(some)
  const ms = (performance.now() - began).toFixed(0)
  if (process.env["EXPLORE_SHOW"] !== undefined)
    console.log(`${name}: ${runs} runs, ${cut} cut, ${outcomes.size} ends, ${complete ? "all" : "not all"}, ${ms} ms`)
  if (first === undefined) return
  const { steps } = replay(all, first.choices)
  throw new Error([`${first.message} (run ${first.run}; ${formatChoices(first.choices)})`, ...steps].join("\n  "))
}
