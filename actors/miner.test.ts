/** The miner and its threads, which die, do not start, or are too few. */
import { expect, test } from "bun:test"
import { Effect, Exit, Fiber, Logger, References } from "effect"
import type { Block } from "../src/block/block.ts"
import type { BlockRefused, Busy, Unavailable } from "../src/node/node.ts"
import { keyOf, specOf, TestChain } from "../test/fixtures.ts"
import { within } from "../test/sim/counter.ts"
import { startAlone } from "../test/sim/node.ts"
import { mineOrdersMax } from "../src/limits.ts"
import { forSeeds } from "../src/sim/world.ts"
import type { StartThread } from "../src/io/worker.ts"
import { search } from "../src/miner/search.ts"
import { Actor, type ActorRef, type Reply } from "./actor.ts"
import { makeMiner } from "./miner.ts"
import type { ChainMessage, MempoolMessage, MinerMessage, SearchJob, SearchReport } from "./protocol.ts"

/** An actor of which only what it is told matters. */
const unasked = (name: string) => ({
  name,
  offer: () => Effect.succeed(true),
  ask: () => Effect.die(new Error("nobody asks here")),
  depth: () => 0
})

/** Twelve bits: a thousand tries and more; the miner tries one of them itself. */
const spec = specOf({ difficulty: { rule: "fixed", blockMs: 1000, bits: 12 } })

/** A thread of a test: what it was given, and its two ways to speak. */
interface Held {
  readonly jobs: Array<SearchJob>
  readonly fail: () => void
  readonly solve: () => void
}

/** Threads that do nothing by themselves. `refuses`: starts, counted from 0, that fail. */
const holdThreads = (refuses: (start: number) => boolean = () => false) => {
  const held: Array<Held> = []
  let starts = 0
  const start: StartThread = (_, on) => {
    if (refuses(starts++)) throw new Error("no thread to be had")
    const jobs: Array<SearchJob> = []
    held.push({
      jobs,
      fail: () => on.failed("killed by the test"),
      solve: () => {
        const { job, header, target, from } = jobs.at(-1)!
        const report: SearchReport = { job, ...search({ header, target, from, count: 1_000_000 }) }
        on.message(report as never)
      }
    })
    return { post: (job) => void jobs.push(job as never), terminate: () => {} }
  }
  return { held, start, starts: () => starts }
}

/** Runs with a log that is kept. */
const logging = <A, E>(heard: Array<string>, body: Effect.Effect<A, E>): Effect.Effect<A, E> =>
  body.pipe(
    Effect.provide(
      Logger.layer([Logger.make(({ message }) => void heard.push(String(([] as Array<unknown>).concat(message)[0])))])
    ),
    Effect.provideService(References.MinimumLogLevel, "Info")
  )

const wish = (start: StartThread, threads: number) => ({ spec, startThread: start, threads, triesInPlace: 1 })

test("a thread that dies is replaced after a second or two, gets the search in hand, and is said once", () =>
  forSeeds(10, () => {
    const { held, start } = holdThreads()
    const heard: Array<string> = []
    const body = Effect.gen(function* () {
      const node = yield* startAlone(wish(start, 2))
      yield* Effect.sleep(500)
      expect(held.map(({ jobs }) => jobs.at(-1)!.from)).toEqual([1, 2])
      held[1]!.fail()
      yield* Effect.sleep(900)
      expect(held.length).toBe(2)
      yield* Effect.sleep(1_200)
      expect(held[2]!.jobs).toEqual([held[0]!.jobs.at(-1)!].map((job) => ({ ...job, from: 2 })))
      held[2]!.solve()
      yield* Effect.sleep(200)
      expect<number>(node.store.tip().header.height).toBe(1)
      expect(heard).toEqual(["mining thread 1 failed and will be replaced"])
      yield* node.tree.stop
    })
    return logging(heard, body)
  }))

test("a thread that cannot start rests after the third time and leaves the search to the others", () =>
  forSeeds(10, () => {
    const { held, start, starts } = holdThreads((number) => number !== 0)
    const heard: Array<string> = []
    const body = Effect.gen(function* () {
      const node = yield* startAlone(wish(start, 2))
      yield* Effect.sleep(30_000)
      expect(starts()).toBe(4)
      expect(heard).toEqual([
        "mining thread 1 failed and will be replaced",
        "mining thread 1 does not start and is tried once a minute; 1 are left"
      ])
      held[0]!.solve()
      yield* Effect.sleep(200)
      expect<number>(node.store.tip().header.height).toBe(1)
      expect(yield* node.tree.node.metrics()).not.toContain("cairn_actor_restarts_total{")
      yield* node.tree.stop
    })
    return logging(heard, body)
  }))

test("a thread that reported in between begins its count anew", () =>
  forSeeds(5, () => {
    const { held, start } = holdThreads()
    return Effect.gen(function* () {
      const node = yield* startAlone(wish(start, 1))
      for (let height = 1; height <= 6; height++) {
        yield* Effect.sleep(2_000)
        held.at(-1)!.solve()
        yield* Effect.sleep(200)
        expect<number>(node.store.tip().header.height).toBe(height)
        held.at(-1)!.fail()
      }
      yield* node.tree.stop
    })
  }))

test("without a thread an order hears so, and the node's own wish goes on in place", () =>
  forSeeds(5, () => {
    const { start } = holdThreads(() => true)
    return Effect.gen(function* () {
      const node = yield* startAlone(wish(start, 0))
      const error = yield* Effect.flip(node.tree.node.mine(undefined))
      expect(error).toMatchObject({ _tag: "Unavailable", actor: "miner" })
      yield* node.tree.stop
      const wishing = yield* startAlone({ ...wish(start, 1), triesInPlace: 512 })
      yield* Effect.sleep(600_000)
      expect<number>(wishing.store.tip().header.height).toBeGreaterThan(10)
      yield* wishing.tree.stop
    })
  }))

test("threads that the machine did not have for a while are there again within a minute, and an order is served", () =>
  forSeeds(5, () => {
    let refuses = true
    const { held, start, starts } = holdThreads(() => refuses)
    const heard: Array<string> = []
    const body = Effect.gen(function* () {
      const node = yield* startAlone(wish(start, 1))
      yield* Effect.sleep(30_000)
      expect(starts()).toBe(3)
      refuses = false
      yield* Effect.sleep(61_000)
      expect([starts(), held.length]).toEqual([4, 1])
      held[0]!.solve()
      yield* Effect.sleep(200)
      expect<number>(node.store.tip().header.height).toBe(1)
      expect(heard.length).toBe(2)
      yield* node.tree.stop
    })
    return logging(heard, body)
  }))

test("an order is not answered with a block that came second: another is sealed", () =>
  forSeeds(5, () => {
    const { rules, store } = new TestChain(specOf())
    const outcomes = ["stored", "stored", "attached"] as const
    let offers = 0
    const chain: ActorRef<ChainMessage> = {
      ...unasked("chain"),
      tell: (message) => {
        if (message._tag === "OfferBlock") message.reply.succeed({ outcome: outcomes[offers++]! })
        return true
      }
    }
    const mempool: ActorRef<MempoolMessage> = {
      ...unasked("mempool"),
      tell: (message) => {
        if (message._tag === "Select") message.reply.succeed([])
        return true
      }
    }
    const { start } = holdThreads()
    const options = { threads: 0, proposer: keyOf(1).address, onDemand: false, everyMs: undefined }
    const own = { extra: new Uint8Array(0), triesInPlace: 1_000 }
    const miner: Actor<never, MinerMessage> = new Actor(
      makeMiner({
        ...{ rules, store, chain, mempool, self: () => miner, startThread: start, hashed: () => {} },
        options: { ...options, ...own }
      })
    ) as never
    return within([miner], () =>
      Effect.map(
        miner.ask(
          (reply: Reply<Block, BlockRefused | Busy | Unavailable>) =>
            ({
              ...{ _tag: "MineNow", proposer: undefined, reply }
            }) as const
        ),
        () => expect(offers).toBe(3)
      )
    )
  }))

test("orders that wait are bounded: one too many is Busy, those before it are served in their order", () =>
  forSeeds(5, () => {
    const { held, start } = holdThreads()
    return Effect.gen(function* () {
      const node = yield* startAlone(wish(start, 0))
      const orders = yield* Effect.forEach(Array.from({ length: mineOrdersMax + 2 }), () =>
        Effect.forkChild(Effect.exit(node.tree.node.mine(undefined)))
      )
      yield* Effect.sleep(100)
      const busy = orders.map((order) => order.pollUnsafe()).filter((exit) => exit !== undefined)
      expect(busy.length).toBe(1)
      expect(JSON.stringify(busy)).toContain("Busy")
      for (let i = 0; i <= mineOrdersMax; i++) {
        yield* Effect.sleep(100)
        held[0]!.solve()
      }
      yield* Effect.sleep(100)
      const exits = yield* Effect.forEach(orders, (order) => Fiber.join(order))
      expect(exits.filter(Exit.isSuccess).length).toBe(mineOrdersMax + 1)
      expect<number>(node.store.tip().header.height).toBe(mineOrdersMax + 1)
      yield* node.tree.stop
    })
  }))

test("told to mine, it mines all the time; told to stop, it stops, in the middle of a search too", () =>
  forSeeds(5, () => {
    const { held, start } = holdThreads()
    const body = Effect.gen(function* () {
      const node = yield* startAlone(wish(start, 0))
      const height = (): number => node.store.tip().header.height
      const jobs = (): number => held[0]?.jobs.length ?? 0
      yield* Effect.sleep(2_000)
      expect([jobs(), (yield* node.tree.node.stats()).miningActive]).toEqual([0, false])
      yield* node.tree.node.setMining(true)
      for (const wanted of [1, 2]) {
        yield* Effect.sleep(500)
        held[0]!.solve()
        yield* Effect.sleep(200)
        expect(height()).toBe(wanted)
      }
      expect((yield* node.tree.node.stats()).miningActive).toBe(true)
      yield* node.tree.node.setMining(false)
      yield* Effect.sleep(200)
      // Told to do nothing, and what an old search still finds is not wanted.
      expect(held[0]!.jobs.at(-1)!.job).toBe(0)
      const asked = jobs()
      yield* Effect.sleep(30_000)
      expect([jobs(), height(), (yield* node.tree.node.stats()).miningActive]).toEqual([asked, 2, false])
      yield* node.tree.stop
    })
    return body
  }))
