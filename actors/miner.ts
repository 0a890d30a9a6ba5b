/**
 * Owns the search: a template on the newest tip, its nonce tried here (easy targets) or in threads, the sealed block
 * offered to the chain. A new tip makes every older job worthless.
 *
 *   wanted (a tick, the pool, an order) → Select → template → a first try in place → threads → OfferBlock → Judged
 *
 * A thread that fails is started again after a while; one that fails to start, several times in a row, is given up and leaves
 * the search to the others.
 */
import { Clock, Effect, type Scope } from "effect"
import type { Block } from "../src/block/block.ts"
import { makeHeader } from "../src/block/header.ts"
import type { BlockReject } from "../src/chain/reject.ts"
import type { Rules } from "../src/chain/rules.ts"
import type { Address } from "../src/crypto/address.ts"
import type { StartThread, Thread } from "../src/io/worker.ts"
import type { Transaction } from "../src/ledger/transaction.ts"
import { search } from "../src/miner/search.ts"
import { makeTemplate, transactionBytesLeft } from "../src/miner/template.ts"
import { mineOrdersMax, threadRetryMs, threadStartsMax } from "../src/limits.ts"
import { reached } from "../src/marks.ts"
import { BlockRefused, Busy, Unavailable } from "../src/node.ts"
import type { ChainStore } from "../src/store/store.ts"
import { type ActorRef, type ActorSpec, type Reply, replyWith } from "./actor.ts"
import {
  type ChainMessage,
  type MempoolMessage,
  type MinerMessage,
  minerOverflow,
  type SearchJob,
  type SearchReport
} from "./protocol.ts"

export interface MinerPorts {
  readonly rules: Rules
  readonly store: ChainStore
  readonly chain: ActorRef<ChainMessage>
  readonly mempool: ActorRef<MempoolMessage>
  readonly self: () => ActorRef<MinerMessage>
  readonly startThread: StartThread
  readonly options: {
    readonly threads: number
    readonly proposer: Address
    readonly onDemand: boolean
    readonly everyMs: number | undefined
    readonly extra: Uint8Array
    /** Nonces tried in place before threads are asked. */
    readonly triesInPlace: number
  }
  /** Counts hashes for the rate. */
  readonly hashed: (count: number) => void
}

/** A template is made anew at least so often: its time and its transactions grow old. */
const refreshMs = 10_000

interface Order {
  readonly proposer: Address | undefined
  readonly reply: Reply<Block, BlockRefused | Busy | Unavailable>
}

/** The place of a thread; its number is its share of the nonces. */
interface Slot {
  /** Undefined: not started yet, or failed. */
  thread: Thread<SearchJob, SearchReport> | undefined
  /** Failures since it last reported. */
  failures: number
  /** It is not started before. Infinity: given up. */
  retryAt: number
}

interface State {
  readonly clock: Clock.Clock
  /** Filled with the first target that is not met in place. */
  readonly slots: ReadonlyArray<Slot>
  /** Blocks asked for by name, in order. */
  readonly orders: Array<Order>
  job: number
  /** What the job in hand is for: an order, or the node's own wish. */
  order: Order | undefined
  phase: "idle" | "selecting" | "searching" | "offered"
  block: Block | undefined
  madeAt: number
  sealedAt: number
  poolGrew: boolean
}

/** The miner actor: a mailbox around src/miner. */
export const makeMiner = (ports: MinerPorts): ActorSpec<State, MinerMessage> => {
  const { rules, store, options } = ports
  const nowOf = (state: State): number => state.clock.currentTimeMillisUnsafe()
  /** Mine all the time? Outlives the actor: who asked for it does not hear of a restart. */
  let always = options.threads > 0

  /** Is there a reason to make a block now? Orders come first. */
  const wanted = (state: State): boolean =>
    state.orders.length > 0 ||
    always ||
    (options.onDemand && state.poolGrew) ||
    (options.everyMs !== undefined && nowOf(state) - state.sealedAt >= options.everyMs)

  const begin = (state: State): void => {
    while (state.orders[0]?.reply.abandoned() === true) state.orders.shift()
    if (state.phase !== "idle" || !wanted(state)) return
    const job = ++state.job
    state.order = state.orders.shift()
    state.phase = "selecting"
    state.poolGrew = false
    const taken = ports.mempool.tell({
      _tag: "Select",
      transactionsMax: rules.spec.block.transactionsMax,
      bytesMax: transactionBytesLeft(rules, options.extra),
      reply: replyWith((transactions) => void ports.self().tell({ _tag: "Selected", job, transactions }))
    })
    if (!taken) abandon(state)
  }

  /** Gives the job in hand up; its order, if any, is served by the next. */
  const abandon = (state: State): void => {
    if (state.order !== undefined) state.orders.unshift(state.order)
    state.order = undefined
    state.phase = "idle"
    state.block = undefined
    // What the job was made for may still be pending.
    state.poolGrew = true
    for (const { thread } of state.slots) thread?.post(noJob)
  }

  const selected = (state: State, transactions: ReadonlyArray<Transaction>): void => {
    if (
      transactions.length === 0 &&
      state.order === undefined &&
      !always &&
      options.everyMs === undefined
    ) {
      state.phase = "idle"
      return
    }
    const proposer = state.order?.proposer ?? options.proposer
    const now = nowOf(state)
    const block = makeTemplate({ rules, reader: store, candidates: transactions, proposer, now, extra: options.extra })
    state.block = block
    state.madeAt = now
    state.phase = "searching"
    const found = search({
      header: block.header.bytes,
      target: block.header.target,
      from: 0,
      count: options.triesInPlace
    })
    ports.hashed(found.hashes)
    if (found.nonce !== undefined) return offer(state, found.nonce)
    startThreads(state)
    state.slots.forEach((_, i) => give(state, i))
    if (state.slots.every(({ retryAt }) => retryAt === Number.POSITIVE_INFINITY)) return giveUp(state)
  }

  /** Gives a thread, if it lives, its share of the search. */
  const give = (state: State, number: number): void => {
    const { bytes, target } = state.block!.header
    const stride = state.slots.length
    state.slots[number]!.thread?.post({ job: state.job, header: bytes, target, from: number + 1, stride })
  }

  /** Starts the threads that are due; gives their numbers. */
  const startThreads = (state: State): ReadonlyArray<number> => {
    const started: Array<number> = []
    for (const [number, slot] of state.slots.entries()) {
      if (slot.thread !== undefined || nowOf(state) < slot.retryAt) continue
      try {
        slot.thread = ports.startThread<SearchJob, SearchReport>("actors/pow-worker.ts", {
          message: (report) => void ports.self().tell({ _tag: "Searched", thread: number, ...report }),
          failed: (reason) => void ports.self().tell({ _tag: "ThreadFailed", thread: number, reason })
        })
        if (slot.failures > 0) reached("thread-replaced")
        started.push(number)
      } catch (error) {
        slot.retryAt = Number.MAX_VALUE
        ports.self().tell({ _tag: "ThreadFailed", thread: number, reason: String(error) })
      }
    }
    return started
  }

  /** Notes when to start it again. Said in the log once, and once more if it is given up. */
  const threadFailed = (
    state: State,
    { thread: number, reason }: Extract<MinerMessage, { _tag: "ThreadFailed" }>
  ): Effect.Effect<void> | void => {
    const slot = state.slots[number]!
    slot.thread?.terminate()
    slot.thread = undefined
    slot.failures++
    if (slot.failures < threadStartsMax) {
      slot.retryAt = nowOf(state) + threadRetryMs * 2 ** (slot.failures - 1)
      return slot.failures === 1
        ? Effect.logWarning(`mining thread ${number} failed and will be replaced`, { reason })
        : undefined
    }
    slot.retryAt = Number.POSITIVE_INFINITY
    reached("thread-given-up")
    const left = state.slots.filter(({ retryAt }) => retryAt !== Number.POSITIVE_INFINITY).length
    if (left === 0 && state.phase === "searching") giveUp(state)
    return Effect.logError(`mining thread ${number} does not start and is given up; ${left} are left`, { reason })
  }

  /** No thread works: whoever ordered a block hears it. The node's own wish is tried in place with every tick. */
  const giveUp = (state: State): void => {
    state.order?.reply.fail(new Unavailable({ actor: "miner", reason: "no mining thread works" }))
    state.order = undefined
    abandon(state)
  }

  const offer = (state: State, nonce: number): void => {
    const { job } = state
    const sealed: Block = { ...state.block!, header: makeHeader({ ...state.block!.header, nonce }) }
    state.block = sealed
    state.phase = "offered"
    const judged = (attached: boolean, reject?: BlockReject): void =>
      void ports.self().tell({ _tag: "Judged", job, attached, reject })
    const taken = ports.chain.tell({
      _tag: "OfferBlock",
      block: sealed,
      from: undefined,
      reply: replyWith(
        ({ outcome }) => judged(outcome === "attached"),
        (reject) => judged(false, reject)
      )
    })
    if (!taken) abandon(state)
  }

  const judged = (state: State, { attached, reject }: Extract<MinerMessage, { _tag: "Judged" }>): void => {
    const { order, block } = state
    state.order = undefined
    state.phase = "idle"
    state.block = undefined
    if (reject === undefined) {
      state.sealedAt = nowOf(state)
      // What did not fit may fit the next one.
      state.poolGrew ||= block!.transactions.length > 0
      // A block that came second is not what was ordered.
      if (attached) order?.reply.succeed(block!)
      else if (order !== undefined) state.orders.unshift(order)
    } else order?.reply.fail(new BlockRefused({ reject }))
    begin(state)
  }

  const setMining = (state: State, on: boolean): void => {
    always = on
    const ownWish = state.order === undefined && (state.phase === "selecting" || state.phase === "searching")
    if (!on && ownWish) abandon(state)
    begin(state)
  }

  const tick = (state: State): void => {
    if (state.phase === "searching") {
      for (const number of startThreads(state)) give(state, number)
      if (nowOf(state) - state.madeAt > refreshMs) {
        reached("template-refreshed")
        abandon(state)
      }
    }
    begin(state)
  }

  const step = (state: State, message: MinerMessage): Effect.Effect<void> | void => {
    if ("job" in message && message.job !== state.job) return
    switch (message._tag) {
      case "MineNow":
        if (state.orders.length >= mineOrdersMax)
          return message.reply.fail(new Busy({ actor: "miner", retryAfterMs: 1_000 }))
        state.orders.push(message)
        return begin(state)
      case "SetMining":
        setMining(state, message.on)
        return message.reply.succeed(undefined)
      case "PoolGrew":
        state.poolGrew = true
        return begin(state)
      case "TipMoved":
        if (state.phase === "selecting" || state.phase === "searching") {
          reached("template-outrun")
          abandon(state)
        }
        if (message.returned.length > 0) state.poolGrew = true
        return begin(state)
      case "Tick":
        return tick(state)
      case "ThreadFailed":
        return threadFailed(state, message)
      case "Selected":
        return state.phase === "selecting" ? selected(state, message.transactions) : undefined
      case "Searched":
        state.slots[message.thread]!.failures = 0
        ports.hashed(message.hashes)
        return message.nonce !== undefined && state.phase === "searching" ? offer(state, message.nonce) : undefined
      case "Judged":
        return state.phase === "offered" ? judged(state, message) : undefined
    }
  }

  /** As many threads as the operator chose; one, if blocks are made only on order. */
  const slots = Math.max(1, options.threads)
  return {
    name: "miner",
    inboxMax: 256,
    owedMax: slots,
    overflow: minerOverflow,
    open: open(slots),
    step,
    bounds: ({ orders }) => [{ of: "orders", used: orders.length, max: mineOrdersMax + 1 }]
  }
}

const noJob: SearchJob = { job: 0, header: new Uint8Array(0), target: new Uint8Array(0), from: 0, stride: 1 }

/** Threads end with the actor. Jobs are counted from the time, so that an answer to an earlier life is known as stale. */
const open = (count: number): Effect.Effect<State, never, Scope.Scope> =>
  Effect.gen(function* () {
    const clock = yield* Clock.Clock
    const now = clock.currentTimeMillisUnsafe()
    const slots = Array.from({ length: count }, (): Slot => ({ thread: undefined, failures: 0, retryAt: 0 }))
    yield* Effect.addFinalizer(() => Effect.sync(() => slots.forEach(({ thread }) => thread?.terminate())))
    return {
      clock,
      slots,
      orders: [],
      job: now,
      order: undefined,
      phase: "idle",
      block: undefined,
      madeAt: 0,
      sealedAt: now,
      poolGrew: true
    }
  })
