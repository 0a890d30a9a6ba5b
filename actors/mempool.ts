/**
 * Owns the pool. A submitted transfer is admitted in its step, put on disk in settle together with all that came with it,
 * and only then answered: what is acknowledged survives kill -9. If the disk has no room, nothing of the batch is taken, its
 * submitters hear so, and the pool is again what the disk holds.
 */
import { Clock, Effect, Result } from "effect"
import { assert } from "../src/assert.ts"
import type { Rules } from "../src/chain/rules.ts"
import type { VerifiedLeaves } from "../src/chain/verified.ts"
import { fromHex, toHex } from "../src/codec/bytes.ts"
import type { Address } from "../src/crypto/address.ts"
import { decodeAccount } from "../src/ledger/account.ts"
import { type Amount, isAmount } from "../src/ledger/amount.ts"
import { reject, type TransactionReject } from "../src/ledger/reject.ts"
import { summaryOf } from "../src/ledger/summary.ts"
import type { Nonce, Transaction } from "../src/ledger/transaction.ts"
import { eldersFirst, makePool } from "../src/mempool/make-pool.ts"
import type { Pool, PoolBounds, View } from "../src/mempool/pool.ts"
import { hashesPerMessageMax, httpPageMax, pendingTransactionsMax, retoldMax } from "../src/limits.ts"
import { reached } from "../src/marks.ts"
import { type AccountView, type Page, TransactionRefused, Unavailable } from "../src/node/node.ts"
import { deletePending, insertPending, loadPending } from "../src/store/pending.ts"
import { type DiskRoom, storageLog } from "../src/store/room.ts"
import type { ChainStore } from "../src/store/store.ts"
import type { ActorSpec, Reply } from "./actor.ts"
import {
  type Admitted,
  type MempoolMessage,
  mempoolOverflow,
  type PendingCoins,
  type Source,
  type TipMoved
} from "./protocol.ts"

export interface MempoolPorts {
  readonly rules: Rules
  readonly store: ChainStore
  readonly verified: VerifiedLeaves
  readonly disk: DiskRoom
  readonly pool: PoolBounds
  /** Names transactions to all peers that have been pending for a while. */
  readonly retell: (ids: ReadonlyArray<string>) => void
  /** Hears of transactions that came in, when they are on disk. */
  readonly admitted: (transactions: ReadonlyArray<Admittance>, from: Source) => void
}

/** A transaction that came in, and what it pays. */
export interface Admittance {
  readonly transaction: Transaction
  readonly fee: number
}

interface Fresh {
  readonly transaction: Transaction
  readonly from: Source
  readonly reply: Reply<Admitted, TransactionRefused | Unavailable> | undefined
}

interface State {
  readonly clock: Clock.Clock
  pool: Pool
  /** Admitted since the last settle. */
  fresh: Array<Fresh>
  /** How many of the pool were named again in this round. */
  retold: number
  /** Left the pool, and may have a row on disk. */
  readonly gone: Set<string>
  /** Came back from a losing branch. The chain gave each a row, which we may have taken for that of one that left. */
  readonly restored: Map<string, Transaction>
}

/** This actor's name as one who writes to the disk. */
const writer = "mempool"
/** Messages that share one commit. */
const batchMax = 512
/** Transactions that can come to the pool and leave it again before a settle. */
const leftMax = 2 * pendingTransactionsMax + batchMax * hashesPerMessageMax
const noRoom = (disk: DiskRoom) => (): Unavailable => {
  const code = disk.faultOf(writer)
  return new Unavailable({
    actor: "mempool",
    code,
    reason: `${code}: the node's disk takes nothing, and nothing was taken`
  })
}

/** The mempool actor: a mailbox around src/mempool. */
export const makeMempool = (ports: MempoolPorts): ActorSpec<State, MempoolMessage> => {
  const { rules, store, verified, disk, admitted } = ports
  /** The state that the pool stands on, as it is now. */
  const viewOf = (): View => ({
    height: store.tip().header.height + 1,
    readEntry: store.readEntry,
    isConfirmed: (id) => store.isConfirmed(id)
  })
  const nowOf = ({ clock }: State): number => clock.currentTimeMillisUnsafe()

  /** `now`: when it was received. */
  const admit = (
    state: State,
    transaction: Transaction,
    now: number,
    promised = false
  ): TransactionReject | undefined => {
    if (store.isConfirmed(transaction.id)) return reject("already-confirmed", "This transaction is in a block already.")
    const outcome = state.pool.admit({
      transaction,
      view: viewOf(),
      now,
      promised,
      checkSignature: () => verified.has(transaction) || rules.ledger.checkSignature(transaction)
    })
    if ("code" in outcome) return outcome
    verified.add(transaction)
    for (const id of outcome.removed) state.gone.add(id)
    return undefined
  }

  const submit = (state: State, { transaction, reply }: Extract<MempoolMessage, { _tag: "Submit" }>): void => {
    if (reply.abandoned()) return
    const now = nowOf(state)
    if (disk.isWaiting(writer, now)) return reply.fail(noRoom(disk)())
    const refused = admit(state, transaction, now)
    if (refused === undefined) state.fresh.push({ transaction, from: undefined, reply })
    else reply.fail(new TransactionRefused({ reject: refused }))
  }

  const relay = (state: State, message: Extract<MempoolMessage, { _tag: "Relay" }>): void => {
    const now = nowOf(state)
    if (disk.isWaiting(writer, now)) return
    for (const transaction of message.transactions) {
      const refused = admit(state, transaction, now)
      if (refused === undefined) state.fresh.push({ transaction, from: message.from, reply: undefined })
      else message.refused(refused)
    }
  }

  /** The chain has given every returned transaction a row: those that do not fit any more must not keep it. */
  const moveTip = (state: State, { touched, returned }: TipMoved): void => {
    const { dropped } = state.pool.moveTip({ touched, returned, view: viewOf(), now: nowOf(state) })
    for (const id of dropped) state.gone.add(id)
    for (const transaction of returned) {
      const id = toHex(transaction.id)
      const restored = state.pool.find(id) !== undefined
      reached(restored ? "transfer-restored" : "transfer-not-restored")
      if (restored) state.restored.set(id, transaction)
      else state.gone.add(id)
    }
  }

  /** The pool as the disk has it, as far as it still fits the state. What has waited too long, in whichever life, goes. */
  const fill = (state: State): void => {
    const now = nowOf(state)
    state.pool = makePool(rules.ledger, ports.pool)
    state.gone.clear()
    const rows = loadPending(store.db)
    if (rows.length > 0) reached("pool-reloaded")
    const receivedAt = new Map(rows.map(({ id, received }) => [toHex(id), received]))
    for (const id of receivedAt.keys()) state.gone.add(id)
    const kept = rows.map(({ bytes }) => rules.ledger.decode(bytes)).filter(Result.isSuccess)
    for (const transaction of eldersFirst(kept.map(({ success }) => success))) {
      const id = toHex(transaction.id)
      if (admit(state, transaction, Math.min(receivedAt.get(id) ?? now, now), true) === undefined) state.gone.delete(id)
    }
    for (const id of state.pool.expire(now)) state.gone.add(id)
  }

  const view = (state: State, address: Address): AccountView => {
    const key = toHex(address)
    const { outgoing, incoming } = state.pool.flowOf(key)
    const pending = {
      pendingOutgoing: (isAmount(outgoing) ? outgoing : 0) as Amount,
      pendingIncoming: Math.min(incoming, Number.MAX_SAFE_INTEGER) as Amount
    }
    if (rules.spec.ledger.model === "utxo") {
      const { units, coins } = store.balanceOf(address)
      return { address, balance: units as Amount, nonce: 0 as Nonce, coins, ...pending, nextNonce: 0 as Nonce }
    }
    const { balance, nonce } = decodeAccount(store.readEntry(key))
    const nextNonce = state.pool.nextNonce(key, nonce) as Nonce
    return { address, balance, nonce, coins: undefined, ...pending, nextNonce }
  }

  /** Gone from the pool by now: mined in the meantime, which is more than was asked for, or pushed out. */
  const answer = (
    state: State,
    fresh: ReadonlyArray<Fresh>,
    otherwise: () => TransactionRefused | Unavailable
  ): void => {
    for (const { transaction, reply } of fresh) {
      const safe = state.pool.find(toHex(transaction.id)) !== undefined || store.isConfirmed(transaction.id)
      if (safe) reply?.succeed({ pending: state.pool.totals.count, account: view(state, payerOf(transaction)) })
      else reply?.fail(otherwise())
    }
  }

  /** One commit for all that came since the last; then the answers, then the news. */
  const settle = (state: State): Effect.Effect<void> | void => {
    const { fresh, gone, restored } = state
    const now = nowOf(state)
    if (fresh.length + gone.size + restored.size === 0 || disk.isWaiting(writer, now)) return
    state.fresh = []
    const isPending = (id: string): boolean => state.pool.find(id) !== undefined
    const kept = fresh.filter(({ transaction }) => isPending(toHex(transaction.id)))
    const inserts = [...kept.map(({ transaction }) => transaction), ...restored.values()]
    const written = disk.try(writer, now, () =>
      store.decide(() => {
        insertPending(
          store.db,
          inserts.filter(({ id }) => isPending(toHex(id))),
          now
        )
        // What left and came again since has its row to keep.
        deletePending(
          store.db,
          [...gone].filter((id) => !isPending(id)).map((id) => fromHex(id)!)
        )
      })
    )
    if (Result.isFailure(written)) {
      // What was admitted has pushed others out that are promised: only the disk knows them all.
      if (fresh.length > 0) fill(state)
      answer(state, fresh, noRoom(disk))
      return written.failure.first
        ? Effect.logError(`${storageLog[written.failure.code]}: no transaction is taken`)
        : undefined
    }
    const told = (transaction: Transaction): Admittance => ({
      transaction,
      fee: state.pool.feeOf(toHex(transaction.id)) ?? 0
    })
    const back = [...restored].filter(([id]) => isPending(id)).map(([, transaction]) => told(transaction))
    gone.clear()
    restored.clear()
    answer(state, fresh, outbid)
    // The winning branch may have been made where nobody has heard of them.
    if (back.length > 0) admitted(back, undefined)
    for (const from of new Set(kept.map((one) => one.from))) {
      admitted(
        kept.filter((one) => one.from === from).map(({ transaction }) => told(transaction)),
        from
      )
    }
  }

  /**
   * A peer may have refused what it was told of: a coin that was not there yet, a rival that is gone by now, a family that was too
   * large. It does not ask again, so we name it again, each in its turn.
   */
  const retell = (state: State): void => {
    const ids = state.pool.ids(ports.pool.transactionsMax)
    const from = state.retold < ids.length ? state.retold : 0
    const told = ids.slice(from, from + retoldMax)
    state.retold = from + told.length
    if (told.length === 0) return
    reached("pool-retold")
    ports.retell(told)
  }

  const step = (state: State, message: MempoolMessage): void => {
    switch (message._tag) {
      case "Submit":
        return submit(state, message)
      case "Relay":
        return relay(state, message)
      case "TipMoved":
        return moveTip(state, message)
      case "Select":
        return message.reply.succeed(state.pool.select(message))
      case "Find":
        return message.reply.succeed(message.ids.map((id) => state.pool.find(id)))
      case "Account":
        return message.reply.succeed(view(state, message.address))
      case "Accounts":
        return message.reply.succeed(message.rows.map((address) => view(state, address)))
      case "Coins":
        return message.reply.succeed(coinsOf(state.pool, message))
      case "Pending":
        return message.reply.succeed(pageOf(state.pool, message.cursor, message.limit))
      case "Ids":
        return message.reply.succeed(state.pool.ids(message.limit))
      case "Totals":
        return message.reply.succeed(state.pool.totals)
      case "Expire":
        for (const id of state.pool.expire(nowOf(state))) state.gone.add(id)
        return retell(state)
    }
  }

  const open = Effect.map(Clock.Clock, (clock): State => {
    const state: State = {
      clock,
      pool: makePool(rules.ledger, ports.pool),
      fresh: [],
      retold: 0,
      gone: new Set(),
      restored: new Map()
    }
    fill(state)
    return state
  })

  return {
    name: "mempool",
    inboxMax: 4096,
    overflow: mempoolOverflow,
    batchMax,
    lingerTurns: 2,
    open,
    step,
    settle,
    bounds: ({ pool, fresh, gone, restored }) => [
      { of: "transactions", used: pool.totals.count, max: ports.pool.transactionsMax },
      { of: "bytes", used: pool.totals.bytes, max: ports.pool.bytesMax },
      { of: "ranked", used: pool.ranked, max: pool.rankedMax },
      { of: "fresh", used: fresh.length, max: batchMax * hashesPerMessageMax },
      { of: "gone", used: gone.size, max: leftMax },
      { of: "restored", used: restored.size, max: leftMax }
    ]
  }
}

/** Who pays for a transaction of the pool; a coinbase is never in it. */
const payerOf = (transaction: Transaction): Address => {
  const { payer } = summaryOf(transaction)
  assert(payer !== undefined, "what is pending has a payer")
  return payer
}

/** What is pending of coins: as many of those to come as one page may show. */
const coinsOf = (pool: Pool, { keys, address }: Extract<MempoolMessage, { _tag: "Coins" }>): PendingCoins => {
  const paid: Array<PendingCoins["paid"][number]> = []
  for (const { key, amount } of address === undefined ? [] : pool.outputsOf(toHex(address))) {
    if (paid.length === httpPageMax) break
    paid.push({ key, amount })
  }
  return { spenders: keys.map((key) => pool.spenderOf(key)), paid }
}

const outbid = (): TransactionRefused =>
  new TransactionRefused({ reject: reject("pool-full", "A transaction with a higher fee took its place.") })

/** Pending transactions in mining order from a cursor, the id after which to go on; undefined: the cursor is not pending any more. */
const pageOf = (pool: Pool, cursor: string | undefined, limit: number): Page<Transaction> | undefined => {
  const rows: Array<Transaction> = []
  let past = cursor === undefined
  for (const transaction of pool.inOrder()) {
    if (rows.length === limit) return { rows, next: toHex(rows.at(-1)!.id) }
    if (past) rows.push(transaction)
    else past = toHex(transaction.id) === cursor
  }
  return past ? { rows, next: undefined } : undefined
}
