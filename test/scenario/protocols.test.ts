/**
 * The protocols between two or three real actors, on a real store in memory, in every order of their steps: a handful of messages
 * each. What random seeds leave to luck is seen here, within the bound that each test states.
 */
import { afterAll, describe, test } from "bun:test"
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
  type SessionId,
  type SessionMessage,
  sessionOverflow,
  type SyncMessage,
  type TipMoved
} from "../../actors/protocol.ts"
import { makeSync } from "../../actors/sync.ts"
import type { Block } from "../../src/block/block.ts"
import type { BlockReject } from "../../src/chain/reject.ts"
import { VerifiedLeaves } from "../../src/chain/verified.ts"
import { toHex } from "../../src/codec/bytes.ts"
import { search } from "../../src/miner/search.ts"
import type { BlockRefused, Busy, Unavailable } from "../../src/node.ts"
import { poolBounds } from "../../src/mempool/pool.ts"
import { DiskRoom } from "../../src/store/room.ts"
import type { Transaction } from "../../src/ledger/transaction.ts"
import { type Exploration, explore, formatChoices, replay } from "../../src/sim/explore.ts"
import { quiet, together, touched, tracked, watching } from "../../src/sim/footprint.ts"
import { loadPending } from "../../src/store/pending.ts"
import { ChainStore } from "../../src/store/store.ts"
import { keyOf, specOf, TestChain, transfer } from "../fixtures.ts"

const source = new TestChain(specOf())
const { rules } = source
const image = source.store.db.serialize()
/** Of the store what changes nothing. */
const reads = [
  ...(["find", "bestAt", "tip", "block", "undo", "readEntry", "readPage", "body", "children", "heaviest"] as const),
  ...(["invalidCode", "isConfirmed", "db"] as const)
]
let opened: ChainStore | undefined
afterAll(() => opened?.close())

/** A store with the genesis. Runs that are cut short end nothing, so each closes the one before. */
const openStore = (): ChainStore => {
  opened?.close()
  opened = new ChainStore(Database.deserialize(image), rules)
  return tracked("store", opened, reads)
}

interface Scene {
  readonly store: ChainStore
  readonly chain: ActorRef<ChainMessage>
  readonly mempool: ActorRef<MempoolMessage>
  readonly miner: Actor<never, MinerMessage>
  /** What the miner offered: the block, and the height of the last tip that it had heard of. */
  readonly offered: ReadonlyArray<{ readonly block: Block; readonly heard: number }>
  readonly minerFiber: Fiber.Fiber<void, unknown>
}

type Mining = Partial<MinerPorts["options"]>

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
    const mempool = new Actor(makeMempool({ rules, store, verified, disk, pool: poolBounds, admitted }), watching)
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
          ...{ threads: 0, proposer: keyOf(98).address, onDemand: false, everyMs: undefined, extra: new Uint8Array(0) },
          ...{ triesInPlace: 10_000, ...mining }
        }
      }),
      heeding
    ) as never
    for (const actor of [chain, mempool, thread]) yield* Effect.forkDetach(actor.run, { startImmediately: true })
    const minerFiber = yield* Effect.forkDetach(miners ? miner.run : Effect.void, { startImmediately: true })
    return { store, chain, mempool, miner, offered, minerFiber } satisfies Scene
  })

/** Counts answers, and keeps the last. */
const answers = <A, E>() => {
  const given: Array<{ readonly ok: A } | { readonly no: E }> = []
  const reply: Reply<A, E> = replyWith<A, E>(
    (ok) => void given.push({ ok }),
    (no) => void given.push({ no })
  )
  return { given, reply }
}

const submit = ({ mempool }: Scene, transaction: Transaction) => {
  const { given, reply } = answers()
  return { given, transaction, tell: Effect.sync(() => void mempool.tell({ _tag: "Submit", transaction, reply })) }
}

const offer = ({ chain }: Scene, block: Block) => {
  const { reply } = answers<BlockVerdict, BlockReject>()
  return Effect.sync(() => void chain.tell({ _tag: "OfferBlock", block, from: 1, reply }))
}

const offerAll = (scene: Scene, blocks: ReadonlyArray<Block>) =>
  Effect.forEach(blocks, (block) => offer(scene, block), { discard: true })

/** The pool: ids in memory, and ids on disk. */
const poolOf = ({ mempool, store }: Scene, of: ReadonlyArray<Transaction>) =>
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
const holds = <A, E>(name: string, what: Omit<Exploration<A, E>, "strategy">): void => {
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

const first = transfer({ from: 0, to: 1, nonce: 1 })
const second = transfer({ from: 0, to: 1, nonce: 2 })
const other = transfer({ from: 2, to: 3, nonce: 1 })
const [withFirst] = source.fork(0).mine(1, [first]) as [Block]
/** Two blocks that win against `withFirst` and leave its transaction out. */
const winning = source.fork(0).mine(2, [other], 97) as [Block, Block]

describe("mempool and chain", () => {
  interface End {
    readonly pending: boolean
    readonly kept: boolean
    readonly confirmed: boolean
    readonly answered: ReadonlyArray<object>
  }
  const wrong = (all: ReadonlyArray<End>) => {
    for (const { pending, kept, confirmed, answered } of all) {
      if (answered.length !== 1) return `${answered.length} answers`
      if ("ok" in answered[0]! && !kept && !confirmed) return "acknowledged and lost"
      if (pending && confirmed) return "confirmed and pending"
      if (pending !== kept) return "memory and disk differ"
    }
    return undefined
  }
  const run = (transactions: ReadonlyArray<Transaction>, blocks: ReadonlyArray<ReadonlyArray<Block>>) => () =>
    Effect.gen(function* () {
      const scene = yield* stage({}, false)
      const submitted = transactions.map((one) => submit(scene, one))
      const tells = submitted.map(({ tell }, i) => [`submit ${i}`, tell] as const)
      const offers = blocks.map((list, i) => [`peer ${i}`, offerAll(scene, list)] as const)
      yield* together<void, never>(Object.fromEntries([...tells, ...offers]))
      yield* quiet
      const pool = yield* poolOf(scene, transactions)
      return pool.map((one, i) => ({ ...one, answered: submitted[i]!.given }))
    })

  test("a transfer that is submitted while a block confirms it is not lost, and not kept", () => {
    holds("one block", { program: run([first, second], [[withFirst]]), check: wrong, bound: { runs: 5_000 } })
  }, 30_000)

  test("also if one of them loses its turn between two operations", () => {
    const bound = { runs: 5_000, preemptions: 1 }
    holds("one block, preempted", { program: run([first], [[withFirst]]), check: wrong, bound })
  }, 60_000)

  // The mempool noted an id as gone when its block was attached, and deleted its row when the batch settled. If the chain gave
  // the transfer back in between, that was the row which the chain had just written: pending in memory, lost by a kill.
  test("nor is one that is confirmed and given back by a heavier branch", () => {
    holds("a reorganisation", { program: run([first], [[withFirst], winning]), check: wrong, bound: { runs: 5_000 } })
  }, 30_000)
})

const order = ({ miner }: Scene) => {
  const { given, reply } = answers<Block, BlockRefused | Busy | Unavailable>()
  return { given, tell: Effect.sync(() => void miner.tell({ _tag: "MineNow", proposer: undefined, reply })) }
}

describe("chain and miner", () => {
  interface Mined {
    readonly answers: number
    /** Orders answered with a block that the chain does not have, and with one that is not in its best branch. */
    readonly unknown: number
    readonly beside: number
    /** Blocks offered on a parent older than the tip that the miner had heard of. */
    readonly stale: number
    readonly height: number
  }
  const run = (mining: Mining, orders: number, blocks: ReadonlyArray<Block>) => () =>
    Effect.gen(function* () {
      const scene = yield* stage(mining)
      const { store, offered } = scene
      const all = Array.from({ length: orders }, () => order(scene))
      const peer = offerAll(scene, blocks)
      yield* together({ ...Object.fromEntries(all.map(({ tell }, i) => [`order ${i}`, tell])), peer })
      yield* quiet
      const sealed = all.flatMap(({ given }) => given.flatMap((one) => ("ok" in one ? [one.ok.header] : [])))
      return {
        answers: all.filter(({ given }) => given.length === 1).length,
        unknown: sealed.filter(({ id }) => store.find(id)?.hasBody !== true).length,
        beside: sealed.filter(({ id, height }) => store.bestAt(height)?.header.id !== id).length,
        stale: offered.filter(({ block, heard }) => block.header.height <= heard).length,
        height: store.tip().header.height
      } satisfies Mined
    })
  const wrong = (orders: number) => (mined: Mined) =>
    mined.answers !== orders || mined.unknown > 0 || mined.stale > 0 ? JSON.stringify(mined) : undefined

  test("an order is answered once, with a block that is stored, whenever a peer's block moves the tip", () => {
    holds("an order and a block", { program: run({}, 1, [withFirst]), check: wrong(1), bound: { runs: 5_000 } })
  }, 30_000)

  test("two orders are answered once each", () => {
    holds("two orders", { program: run({}, 2, []), check: wrong(2), bound: { runs: 1_000 } })
  }, 30_000)

  test("a job that a thread searches is dropped when the miner hears of a new tip", () => {
    const program = run({ triesInPlace: 0 }, 1, [withFirst])
    holds("a thread and a block", { program, check: wrong(1), bound: { runs: 1_000 } })
  }, 30_000)

  // The chain answers "stored" for a block that lost, and the miner passed that on as success.
  test("an order is answered with a block that was in the chain", () => {
    const check = (mined: Mined) => (mined.beside > 0 ? "sealed beside the chain" : undefined)
    holds("an order beside", { program: run({}, 1, [withFirst]), check, bound: { runs: 5_000 } })
  }, 30_000)

  /** The supervisor ends the miner, as it does when the mempool has crashed, and starts it again after a while. */
  const restart = ({ miner, minerFiber }: Scene) =>
    Effect.gen(function* () {
      yield* Fiber.interrupt(minerFiber)
      yield* Effect.sleep(100)
      return yield* Effect.forkDetach(miner.run)
    })

  // Jobs were numbered from 1 in each life, and the inbox outlives the miner: the verdict on the block of the life before was
  // taken for that on the first job of this one, which had no block yet.
  test("a miner that is started again is not brought down by the verdict on what it had offered before", () => {
    const program = () =>
      Effect.gen(function* () {
        const scene = yield* stage({ onDemand: true })
        const { tell } = order(scene)
        const [, again] = yield* together<unknown, never>({ order: tell, restart: restart(scene) })
        yield* quiet
        return (again as Fiber.Fiber<void>).pollUnsafe() === undefined
      })
    const check = (runs: boolean) => (runs ? undefined : "the miner has crashed")
    holds("a restart", { program, check, bound: { runs: 1_000 } })
  }, 30_000)
})

describe("mempool and miner", () => {
  const run = (transactions: ReadonlyArray<Transaction>, blocks: ReadonlyArray<Block>) => () =>
    Effect.gen(function* () {
      const scene = yield* stage({ onDemand: true })
      const submitted = transactions.map((one, i) => [`submit ${i}`, submit(scene, one).tell] as const)
      const peer = offerAll(scene, blocks)
      yield* together<void, never>({ ...Object.fromEntries(submitted), peer })
      yield* quiet
      return yield* poolOf(scene, transactions)
    })
  const check = (all: ReadonlyArray<{ readonly pending: boolean; readonly confirmed: boolean }>) =>
    all.every(({ pending, confirmed }) => confirmed && !pending) ? undefined : "pending, and nobody mines"

  test("on demand, what is submitted is mined", () => {
    holds("on demand", { program: run([first], []), check, bound: { runs: 5_000 } })
    holds("on demand, two", { program: run([first, other], []), check, bound: { runs: 1_000 } })
  }, 30_000)

  // A tip that moves while the miner selects or searches makes it drop the job. It dropped the reason for the job as well.
  test("on demand, what is submitted is mined, also if a peer's block comes in between", () => {
    holds("on demand and a block", { program: run([first], [winning[0]]), check, bound: { runs: 1_000 } })
  }, 30_000)
})

describe("sync and chain", () => {
  interface Wish {
    readonly branches: Readonly<Record<SessionId, ReadonlyArray<Block>>>
    /** Sessions that end at any time. */
    readonly leaving: ReadonlyArray<SessionId>
  }
  /** A peer that answers all it is asked. */
  const session = (
    id: SessionId,
    branch: ReadonlyArray<Block>,
    sync: () => ActorRef<SyncMessage>,
    punished: Array<string>
  ) =>
    new Actor<undefined, SessionMessage>(
      {
        name: `session-${id}`,
        inboxMax: 16,
        overflow: sessionOverflow,
        open: Effect.succeed(undefined),
        step: (_, message) => {
          if (message._tag === "Punish") punished.push(message.code)
          if (message._tag === "Close") punished.push(message.reason)
          if (message._tag === "AskHeaders")
            sync().tell({ _tag: "Headers", session: id, headers: branch.map(({ header }) => header), asked: true })
          if (message._tag !== "AskBodies") return
          for (const block of branch)
            if (message.ids.includes(block.header.id)) sync().tell({ _tag: "Body", session: id, block })
          const ids = message.ids.filter((one) => branch.every(({ header }) => header.id !== one))
          if (ids.length > 0) sync().tell({ _tag: "NotGiven", session: id, ids, stalled: false })
        }
      },
      watching
    )
  const run = ({ branches, leaving }: Wish) => () =>
    Effect.gen(function* () {
      const store = openStore()
      const punished: Array<string> = []
      const moved = (move: TipMoved) => Effect.sync(() => void sync.tell(move))
      const chain = new Actor(makeChain({ rules, store, verified: new VerifiedLeaves(1_000), disk: new DiskRoom(), moved }), watching)
      const sessions = new Map(
        Object.entries(branches).map(([id, branch]) => [Number(id), session(Number(id), branch, () => sync, punished)])
      )
      const ports = { store, chain, self: () => sync, session: (id: SessionId) => sessions.get(id), rejoin: () => {} }
      const sync: Actor<never, SyncMessage> = new Actor(makeSync(ports), watching) as never
      for (const actor of [chain, sync, ...sessions.values()])
        yield* Effect.forkDetach(actor.run as Effect.Effect<void>, { startImmediately: true })
      const join = (id: SessionId) =>
        Effect.gen(function* () {
          const { header } = branches[id]!.at(-1)!
          const work = rules.consensus.work(header) * BigInt(header.height + 1)
          const tip = { height: header.height, work, hash: header.id }
          sync.tell({ _tag: "Joined", session: id, tip })
          if (!leaving.includes(id)) return
          yield* Effect.yieldNow
          touched("sessions")
          sessions.delete(id)
          sync.tell({ _tag: "Left", session: id })
        })
      yield* together(Object.fromEntries([...sessions.keys()].map((id) => [`join ${id}`, join(id)])))
      yield* quiet
      return { tip: store.tip().header.id, punished }
    })
  const check = ({ tip, punished }: { readonly tip: string; readonly punished: ReadonlyArray<string> }) => {
    if (punished.length > 0) return `honest and punished: ${punished.join()}`
    return tip === winning[1].header.id ? undefined : "not the heaviest branch"
  }

  test("two peers with two branches: the heavier one wins, and nobody is punished", () => {
    const program = run({ branches: { 1: winning, 2: [withFirst] }, leaving: [] })
    holds("two branches", { program, check, bound: { runs: 1_000 } })
  }, 30_000)

  test("two peers with one branch, of whom one leaves: what it was asked for is asked of the other", () => {
    const program = run({ branches: { 1: winning, 2: winning }, leaving: [2] })
    holds("one leaves", { program, check, bound: { runs: 1_000 } })
  }, 30_000)
})
