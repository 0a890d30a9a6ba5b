/**
 * The protocols between two or three real actors, on a real store in memory, in every order of their steps: a handful of messages
 * each. What random seeds leave to luck is seen here, within the bound that each test states.
 */
import { afterAll, describe, test } from "bun:test"
import { Effect, Fiber } from "effect"
import { Actor, type ActorRef } from "../../actors/actor.ts"
import { makeChain } from "../../actors/chain.ts"
import {
  type SessionId,
  type SessionMessage,
  sessionOverflow,
  type SyncMessage,
  type TipMoved
} from "../../actors/protocol.ts"
import { makeSync } from "../../actors/sync.ts"
import type { Block } from "../../src/block/block.ts"
import { VerifiedLeaves } from "../../src/chain/verified.ts"
import type { BlockRefused, Busy, Unavailable } from "../../src/node/node.ts"
import { DiskRoom } from "../../src/store/room.ts"
import type { Transaction } from "../../src/ledger/transaction.ts"
import { quiet, together, touched, watching } from "../../src/sim/footprint.ts"
import { specOf, TestChain, transfer } from "../fixtures.ts"
import { answers, holds, type Mining, offerAll, poolOf, type Scene, scenesOf, submit } from "../sim/scene.ts"

const source = new TestChain(specOf())
const { rules, openStore, stage, close } = scenesOf(source)
afterAll(close)

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
  const run =
    ({ branches, leaving }: Wish) =>
    () =>
      Effect.gen(function* () {
        const store = openStore()
        const punished: Array<string> = []
        const moved = (move: TipMoved) => Effect.sync(() => void sync.tell(move))
        const chain = new Actor(
          makeChain({ rules, store, verified: new VerifiedLeaves(1_000), disk: new DiskRoom(), moved }),
          watching
        )
        const sessions = new Map(
          Object.entries(branches).map(([id, branch]) => [
            Number(id),
            session(Number(id), branch, () => sync, punished)
          ])
        )
        const nobody = (): void => {}
        const around = { session: (id: SessionId) => sessions.get(id), rejoin: nobody, saw: nobody }
        const ports = { store, chain, self: () => sync, ...around }
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
