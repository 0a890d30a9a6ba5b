/**
 * Owns the search: a template on the newest tip, its nonce tried here (easy targets) or in threads, the sealed block
 * offered to the chain. A new tip makes every older job worthless.
 *
 *   wanted (a tick, the pool, an order) → Select → template → a first try in place → threads → OfferBlock → Judged
 */
import { Clock, Effect, type Scope } from "effect"
import type { Block } from "../src/block/block.ts"
import { makeHeader } from "../src/block/header.ts"
import type { Rules } from "../src/chain/rules.ts"
import type { Address } from "../src/crypto/address.ts"
import type { StartThread, Thread } from "../src/io/worker.ts"
import type { Transaction } from "../src/ledger/transaction.ts"
import { search } from "../src/miner/search.ts"
import { makeTemplate, transactionBytesLeft } from "../src/miner/template.ts"
import { BlockRefused } from "../src/node.ts"
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
  readonly reply: Reply<Block, BlockRefused>
}

interface State {
  readonly clock: Clock.Clock
  /** Started with the first target that is not met in place. */
  readonly threads: Array<Thread<SearchJob, SearchReport>>
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

  /** Is there a reason to make a block now? Orders come first. */
  const wanted = (state: State): boolean =>
    state.orders.length > 0 ||
    options.threads > 0 ||
    (options.onDemand && state.poolGrew) ||
    (options.everyMs !== undefined && nowOf(state) - state.sealedAt >= options.everyMs)

  const begin = (state: State): void => {
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
    for (const thread of state.threads) thread.post(noJob)
  }

  const selected = (state: State, transactions: ReadonlyArray<Transaction>): void => {
    if (
      transactions.length === 0 &&
      state.order === undefined &&
      options.threads === 0 &&
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
    const found = search({ header: block.header.bytes, target: block.header.target, from: 0, count: options.triesInPlace })
    ports.hashed(found.hashes)
    if (found.nonce !== undefined) return offer(state, found.nonce)
    startThreads(state)
    state.threads.forEach((thread, i) =>
      thread.post({
        job: state.job,
        header: block.header.bytes,
        target: block.header.target,
        from: i + 1,
        stride: state.threads.length
      })
    )
  }

  /** As many as the operator chose; one, if blocks are made only on order. */
  const startThreads = (state: State): void => {
    while (state.threads.length < Math.max(1, options.threads)) {
      const thread = state.threads.length
      state.threads.push(
        ports.startThread<SearchJob, SearchReport>("actors/pow-worker.ts", {
          message: (report) => void ports.self().tell({ _tag: "Searched", thread, ...report }),
          failed: () => void ports.self().tell({ _tag: "Tick" })
        })
      )
    }
  }

  const offer = (state: State, nonce: number): void => {
    const { job } = state
    const sealed: Block = { ...state.block!, header: makeHeader({ ...state.block!.header, nonce }) }
    state.block = sealed
    state.phase = "offered"
    const judged = (reject: Extract<MinerMessage, { _tag: "Judged" }>["reject"]): void =>
      void ports.self().tell({ _tag: "Judged", job, reject })
    const taken = ports.chain.tell({
      _tag: "OfferBlock",
      block: sealed,
      from: undefined,
      reply: replyWith(() => judged(undefined), judged)
    })
    if (!taken) abandon(state)
  }

  const judged = (state: State, reject: Extract<MinerMessage, { _tag: "Judged" }>["reject"]): void => {
    const { order, block } = state
    state.order = undefined
    state.phase = "idle"
    state.block = undefined
    if (reject === undefined) {
      state.sealedAt = nowOf(state)
      // What did not fit may fit the next one.
      state.poolGrew ||= block!.transactions.length > 0
      order?.reply.succeed(block!)
    } else order?.reply.fail(new BlockRefused({ reject }))
    begin(state)
  }

  const step = (state: State, message: MinerMessage): void => {
    if ("job" in message && message.job !== state.job) return
    switch (message._tag) {
      case "MineNow":
        state.orders.push(message)
        return begin(state)
      case "PoolGrew":
        state.poolGrew = true
        return begin(state)
      case "TipMoved":
        if (state.phase === "selecting" || state.phase === "searching") abandon(state)
        if (message.returned.length > 0) state.poolGrew = true
        return begin(state)
      case "Tick":
        if (state.phase === "searching" && nowOf(state) - state.madeAt > refreshMs) abandon(state)
        return begin(state)
      case "Selected":
        return state.phase === "selecting" ? selected(state, message.transactions) : undefined
      case "Searched":
        ports.hashed(message.hashes)
        return message.nonce !== undefined && state.phase === "searching" ? offer(state, message.nonce) : undefined
      case "Judged":
        return judged(state, message.reject)
    }
  }

  return { name: "miner", inboxMax: 256, overflow: minerOverflow, open, step }
}

const noJob: SearchJob = { job: 0, header: new Uint8Array(0), target: new Uint8Array(0), from: 0, stride: 1 }

/** Threads end with the actor. */
const open: Effect.Effect<State, never, Scope.Scope> = Effect.gen(function* () {
  const clock = yield* Clock.Clock
  const threads: Array<Thread<SearchJob, SearchReport>> = []
  yield* Effect.addFinalizer(() => Effect.sync(() => threads.forEach((thread) => thread.terminate())))
  return {
    clock,
    threads,
    orders: [],
    job: 0,
    order: undefined,
    phase: "idle",
    block: undefined,
    madeAt: 0,
    sealedAt: clock.currentTimeMillisUnsafe(),
    poolGrew: true
  }
})
