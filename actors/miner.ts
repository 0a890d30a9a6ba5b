/**
 * Owns the search: a template on the newest tip, its nonce tried here (easy targets) or in threads, the sealed block
 * offered to the chain. A new tip makes every older job worthless.
 *
 *   wanted (a tick, the pool, an order) → Select → template → a first try in place → threads → OfferBlock → Judged
 *
 * Where authorities seal, a block is begun in the proposer's turn only, and between nonce and offer stands the signer:
 *
 *   … → nonce found → signer → Signed → OfferBlock → Judged
 *
 * A thread that fails is started again after a while; one that fails to start, several times in a row, leaves the search to the
 * others and is tried once a minute: what the machine lacks today it may have tomorrow.
 */
import { Clock, Effect, Result, type Scope } from "effect"
import type { Block } from "../src/block/block.ts"
import { type Header, makeHeader } from "../src/block/header.ts"
import { ancestryOf } from "../src/chain/reader.ts"
import type { BlockReject } from "../src/chain/reject.ts"
import type { Rules } from "../src/chain/rules.ts"
import type { Ancestry, Authorities } from "../src/consensus/consensus.ts"
import { evidenceBytes } from "../src/consensus/evidence.ts"
import { outOfTurnWeight, slotOf } from "../src/consensus/rota.ts"
import { withSeal } from "../src/block/seal.ts"
import type { Address } from "../src/crypto/address.ts"
import type { StartThread, Thread } from "../src/io/worker.ts"
import { fillerBytes } from "../src/ledger/filler.ts"
import { isSent, type Transaction } from "../src/ledger/transaction.ts"
import { search } from "../src/miner/search.ts"
import { type Ballot, makeTemplate, transactionBytesLeft, type Wish } from "../src/miner/template.ts"
import { mineOrdersMax, threadRestMs, threadRetryMs, threadStartsMax } from "../src/limits.ts"
import { reached } from "../src/marks.ts"
import { BlockRefused, Busy, Unavailable } from "../src/node/node.ts"
import type { ChainStore } from "../src/store/store.ts"
import type { Unsigned } from "../src/validator/protection.ts"
import type { Signer } from "../src/validator/signer.ts"
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
  /** Signs for the proposer, where authorities seal; undefined: this node is none. */
  readonly signer?: Signer | undefined
  /** What the next block should say of another authority. */
  readonly ballot?: (authorities: Authorities) => Ballot | undefined
  /** Is there proof that this authority has sealed twice? Then it seals no more. */
  readonly isGuilty?: () => boolean
  /** Counts hashes for the rate. */
  readonly hashed: (count: number) => void
}

/** A template is made anew at least so often: its time and its transactions grow old. */
const refreshMs = 10_000
/** Milliseconds that a signer may take. */
const signMsMax = 2_000

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
  /** It is not started before. */
  retryAt: number
}

/** So many starts were in vain that nobody counts on it. */
const rests = ({ thread, failures }: Slot): boolean => thread === undefined && failures >= threadStartsMax

interface State {
  readonly clock: Clock.Clock
  /** Filled with the first target that is not met in place. */
  readonly slots: ReadonlyArray<Slot>
  /** Blocks asked for by name, in order. */
  readonly orders: Array<Order>
  job: number
  /** What the job in hand is for: an order, or the node's own wish. */
  order: Order | undefined
  phase: "idle" | "selecting" | "searching" | "signing" | "offered"
  block: Block | undefined
  madeAt: number
  sealedAt: number
  poolGrew: boolean
  /** The last slot that the signer refused to sign. */
  refusedSlot: number
  /** Why the signer is idle, as the log has it. */
  idle: Unsigned["code"] | undefined
}

/** The miner actor: a mailbox around src/miner. */
export const makeMiner = (ports: MinerPorts): ActorSpec<State, MinerMessage> => {
  const { rules, store, options } = ports
  const nowOf = (state: State): number => state.clock.currentTimeMillisUnsafe()
  const { author } = rules.consensus
  const ancestry = (): Ancestry => ancestryOf(store, store.tip().header)
  const evidenceLength = author === undefined ? 0 : evidenceBytes
  const extraLength = Math.max(options.extra.length, evidenceLength, fillerBytes(rules.spec.block.filler))
  /** Mine all the time? Outlives the actor: who asked for it does not hear of a restart. */
  let always = options.threads > 0 || ports.signer !== undefined

  /** Is there a reason to make a block now? Orders come first. */
  const wanted = (state: State): boolean =>
    state.orders.length > 0 ||
    always ||
    (options.onDemand && state.poolGrew) ||
    (options.everyMs !== undefined && nowOf(state) - state.sealedAt >= options.everyMs)

  /** May the next block be made by us, now? */
  const isOurTurn = (state: State): boolean => {
    if (author === undefined) return true
    if (ports.isGuilty?.() === true) return false
    const now = nowOf(state)
    const turn = ports.signer && author.turn(ancestry(), ports.signer.address, now)
    if (turn === undefined || turn.slot <= state.refusedSlot || now < turn.from) return false
    return ports.signer?.idle?.(turn.slot) === undefined
  }

  const begin = (state: State): void => {
    while (state.orders[0]?.reply.abandoned() === true) state.orders.shift()
    if (state.phase !== "idle" || !wanted(state) || !isOurTurn(state)) return
    const job = ++state.job
    state.order = state.orders.shift()
    state.phase = "selecting"
    state.poolGrew = false
    const taken = ports.mempool.tell({
      _tag: "Select",
      transactionsMax: rules.spec.block.transactionsMax,
      bytesMax: transactionBytesLeft(rules, extraLength),
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
    if (transactions.length === 0 && state.order === undefined && !always && options.everyMs === undefined) {
      state.phase = "idle"
      return
    }
    const now = nowOf(state)
    if (!isOurTurn(state)) return abandon(state)
    const block = makeTemplate({ rules, reader: store, candidates: transactions, now, ...wishOf(state) })
    const sent = block.transactions.filter(isSent).length
    const isVote = block.header.authority !== undefined && block.header.authority.vote !== "none"
    if (!isVote && author?.checkPace(sent, block.header.time, store.tip().header) !== undefined) return wait(state)
    state.block = block
    state.madeAt = now
    state.phase = "searching"
    const first = search({
      header: block.header.bytes,
      target: block.header.target,
      from: 0,
      count: options.triesInPlace
    })
    ports.hashed(first.hashes)
    if (first.nonce !== undefined) return found(state, first.nonce)
    startThreads(state)
    state.slots.forEach((_, i) => give(state, i))
    if (state.slots.every(rests)) return giveUp(state)
  }

  /** Who proposes, and what the block says of its own. */
  const wishOf = (state: State): Pick<Wish, "proposer" | "extra" | "ballot"> => {
    const { extra } = options
    if (author === undefined) return { proposer: state.order?.proposer ?? options.proposer, extra }
    const ballot = ports.ballot?.(author.authorities(ancestry()))
    return { proposer: ports.signer!.address, extra, ...(ballot === undefined ? {} : { ballot }) }
  }

  /** The chain wants more transactions, or more time, before its next block. */
  const wait = (state: State): void => {
    if (state.order !== undefined) state.orders.unshift(state.order)
    state.order = undefined
    state.phase = "idle"
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

  /** Notes when to start it again. Said in the log once, and once more when it begins to rest. */
  const threadFailed = (
    state: State,
    { thread: number, reason }: Extract<MinerMessage, { _tag: "ThreadFailed" }>
  ): Effect.Effect<void> | void => {
    const slot = state.slots[number]!
    slot.thread?.terminate()
    slot.thread = undefined
    slot.failures++
    slot.retryAt = nowOf(state) + (rests(slot) ? threadRestMs : threadRetryMs * 2 ** (slot.failures - 1))
    if (slot.failures === 1) return Effect.logWarning(`mining thread ${number} failed and will be replaced`, { reason })
    if (!rests(slot)) return
    const left = state.slots.filter((other) => !rests(other)).length
    if (left === 0 && state.phase === "searching") giveUp(state)
    if (slot.failures > threadStartsMax) return
    reached("thread-rests")
    const text = `mining thread ${number} does not start and is tried once a minute; ${left} are left`
    return Effect.logError(text, { reason })
  }

  /** No thread works: whoever ordered a block hears it. The node's own wish is tried in place with every tick. */
  const giveUp = (state: State): void => {
    state.order?.reply.fail(new Unavailable({ actor: "miner", reason: "no mining thread works" }))
    state.order = undefined
    abandon(state)
  }

  /** The nonce is found: what lacks is the signature, if anything. */
  const found = (state: State, nonce: number): void => {
    const { job } = state
    const header = makeHeader({ ...state.block!.header, nonce })
    if (author === undefined) return offer(state, header)
    state.block = { ...state.block!, header }
    state.phase = "signing"
    state.madeAt = nowOf(state)
    const slot = slotOf(author.rota, header.time)
    ports.signer!.seal({ slot, header }, (answer) => void ports.self().tell({ _tag: "Signed", job, slot, answer }))
  }

  /** Refused: that slot is not ours to seal any more. */
  const signed = (
    state: State,
    { slot, answer }: Extract<MinerMessage, { _tag: "Signed" }>
  ): Effect.Effect<void> | void => {
    if (Result.isSuccess(answer)) {
      const { publicKey, signature } = answer.success
      if (state.block!.header.authority!.weight === outOfTurnWeight) reached("turn-taken")
      return offer(state, withSeal(state.block!.header, publicKey, signature))
    }
    reached("signature-refused")
    state.refusedSlot = slot
    abandon(state)
    return Effect.logWarning(`slot ${slot} is not sealed: ${answer.failure.message}`, { code: answer.failure.code })
  }

  const offer = (state: State, header: Header): void => {
    const { job } = state
    const sealed: Block = { ...state.block!, header }
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

  /** Says once that the signer is idle, and why, and once that it is not any more. */
  const sayIdle = (state: State): Effect.Effect<void> | void => {
    const why = author && ports.signer?.idle?.(slotOf(author.rota, nowOf(state)))
    // Who listens at its start says so at its start.
    if (why?.code === state.idle || why?.code === "signer-listening") return
    state.idle = why?.code
    if (why === undefined) return Effect.logInfo("blocks are sealed in our turns again")
    const text = `no block is sealed: ${why.message}`
    return (why.code === "doppelganger" ? Effect.logError : Effect.logWarning)(text, { code: why.code })
  }

  const tick = (state: State): Effect.Effect<void> | void => {
    // A signer that does not answer is asked again for a later slot.
    if (state.phase === "signing" && nowOf(state) - state.madeAt > signMsMax) abandon(state)
    if (state.phase === "searching") {
      for (const number of startThreads(state)) give(state, number)
      if (nowOf(state) - state.madeAt > refreshMs) {
        reached("template-refreshed")
        abandon(state)
      }
    }
    begin(state)
    return sayIdle(state)
  }

  const step = (state: State, message: MinerMessage): Effect.Effect<void> | void => {
    if ("job" in message && message.job !== state.job) return
    switch (message._tag) {
      case "MineNow":
        if (state.orders.length >= mineOrdersMax)
          return message.reply.fail(new Busy({ actor: "miner", retryAfterMs: 1_000 }))
        if (author !== undefined && ports.signer === undefined)
          return message.reply.fail(new Unavailable({ actor: "miner", reason: "this node is no authority" }))
        if (ports.isGuilty?.() === true)
          return message.reply.fail(new Unavailable({ actor: "miner", reason: "this authority has sealed twice" }))
        state.orders.push(message)
        return begin(state)
      case "SetMining":
        setMining(state, message.on)
        return message.reply.succeed(undefined)
      case "PoolGrew":
        state.poolGrew = true
        return begin(state)
      case "TipMoved":
        if (state.phase === "selecting" || state.phase === "searching" || state.phase === "signing") {
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
        return message.nonce !== undefined && state.phase === "searching" ? found(state, message.nonce) : undefined
      case "Signed":
        return state.phase === "signing" ? signed(state, message) : undefined
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
      poolGrew: true,
      refusedSlot: -1,
      idle: undefined
    }
  })
