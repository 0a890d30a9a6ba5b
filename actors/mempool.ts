/**
 * Owns the pool. A submitted transfer is admitted in its step, put on disk in settle together with all that came with it,
 * and only then answered: what is acknowledged survives kill -9.
 */
import { Clock, Effect, Result } from "effect"
import type { Rules } from "../src/chain/rules.ts"
import type { VerifiedLeaves } from "../src/chain/verified.ts"
import { fromHex, toHex } from "../src/codec/bytes.ts"
import type { Address } from "../src/crypto/address.ts"
import { decodeAccount, keyOf } from "../src/ledger/account.ts"
import { type Amount, isAmount } from "../src/ledger/amount.ts"
import { reject, type TransactionReject } from "../src/ledger/reject.ts"
import type { Transaction } from "../src/ledger/transaction.ts"
import { Pool } from "../src/mempool/pool.ts"
import { type AccountView, type Page, TransactionRefused } from "../src/node.ts"
import { deletePending, insertPending, loadPending } from "../src/store/pending.ts"
import type { ChainStore } from "../src/store/store.ts"
import type { ActorSpec, Reply } from "./actor.ts"
import { type Admitted, type MempoolMessage, mempoolOverflow, type Source, type TipMoved } from "./protocol.ts"

export interface MempoolPorts {
  readonly rules: Rules
  readonly store: ChainStore
  readonly verified: VerifiedLeaves
  /** Hears of transactions that came in, when they are on disk. */
  readonly admitted: (transactions: ReadonlyArray<Transaction>, from: Source) => void
}

interface Fresh {
  readonly transaction: Transaction
  readonly from: Source
  readonly reply: Reply<Admitted, TransactionRefused> | undefined
}

interface State {
  readonly clock: Clock.Clock
  readonly pool: Pool
  /** Admitted since the last settle. */
  fresh: Array<Fresh>
  /** No longer pending since the last settle. */
  gone: Array<string>
}

/** The mempool actor: a mailbox around src/mempool. */
export const makeMempool = ({ rules, store, verified, admitted }: MempoolPorts): ActorSpec<State, MempoolMessage> => {
  const accountOf = (key: string) => decodeAccount(store.readEntry(key))

  const admit = (state: State, transaction: Transaction): TransactionReject | undefined => {
    if (store.isConfirmed(transaction.id)) return reject("already-confirmed", "This transaction is in a block already.")
    const outcome = state.pool.admit({
      transaction,
      account: accountOf(keyOf(transaction.transfer.sender)),
      now: state.clock.currentTimeMillisUnsafe(),
      checkSignature: () => verified.has(transaction) || rules.ledger.checkSignature(transaction)
    })
    if ("code" in outcome) return outcome
    verified.add(transaction)
    state.gone.push(...outcome.removed)
    return undefined
  }

  const submit = (state: State, transaction: Transaction, reply: Reply<Admitted, TransactionRefused>): void => {
    if (reply.abandoned()) return
    const refused = admit(state, transaction)
    if (refused === undefined) state.fresh.push({ transaction, from: undefined, reply })
    else reply.fail(new TransactionRefused({ reject: refused }))
  }

  const moveTip = (state: State, move: TipMoved): void => {
    const now = state.clock.currentTimeMillisUnsafe()
    const { dropped } = state.pool.moveTip({ touched: move.touched, returned: move.returned, accountOf, now })
    state.gone.push(...dropped)
  }

  const view = (state: State, address: Address): AccountView => {
    const key = keyOf(address)
    const { balance, nonce } = accountOf(key)
    const outgoing = state.pool.outgoing(key)
    const incoming = Math.min(state.pool.incomingTo(key), Number.MAX_SAFE_INTEGER)
    return {
      address,
      balance,
      nonce,
      pendingOutgoing: (isAmount(outgoing) ? outgoing : 0) as Amount,
      pendingIncoming: incoming as Amount,
      nextNonce: state.pool.nextNonce(key, nonce)
    }
  }

  /** One commit for all that came since the last; then the answers, then the news. */
  const settle = (state: State): void => {
    const { fresh, gone } = state
    if (fresh.length === 0 && gone.length === 0) return
    state.fresh = []
    state.gone = []
    const kept = fresh.filter(({ transaction }) => state.pool.find(toHex(transaction.id)) !== undefined)
    const now = state.clock.currentTimeMillisUnsafe()
    store.decide(() => {
      insertPending(
        store.db,
        kept.map(({ transaction }) => transaction),
        now
      )
      deletePending(
        store.db,
        gone.map((id) => fromHex(id)!)
      )
    })
    for (const { transaction, reply } of fresh) {
      // Gone from the pool by now: mined in the meantime, which is more than was asked for, or pushed out.
      const safe = state.pool.find(toHex(transaction.id)) !== undefined || store.isConfirmed(transaction.id)
      if (!safe) {
        reply?.fail(
          new TransactionRefused({ reject: reject("pool-full", "A transaction with a higher fee took its place.") })
        )
      } else reply?.succeed({ pending: state.pool.totals.count, account: view(state, transaction.transfer.sender) })
    }
    for (const from of new Set(kept.map((one) => one.from))) {
      admitted(
        kept.filter((one) => one.from === from).map(({ transaction }) => transaction),
        from
      )
    }
  }

  const step = (state: State, message: MempoolMessage): void => {
    switch (message._tag) {
      case "Submit":
        return submit(state, message.transaction, message.reply)
      case "Relay":
        for (const transaction of message.transactions) {
          const refused = admit(state, transaction)
          if (refused === undefined) state.fresh.push({ transaction, from: message.from, reply: undefined })
          else message.refused(refused)
        }
        return
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
      case "Pending":
        return message.reply.succeed(pageOf(state.pool, message.cursor, message.limit))
      case "Totals":
        return message.reply.succeed(state.pool.totals)
      case "Expire":
        state.gone.push(...state.pool.expire(state.clock.currentTimeMillisUnsafe()))
    }
  }

  /** The pool of the last run, as far as it still fits the state. */
  const open = Effect.map(Clock.Clock, (clock): State => {
    const state: State = { clock, pool: new Pool(), fresh: [], gone: [] }
    for (const { bytes } of loadPending(store.db)) {
      const decoded = rules.ledger.decode(bytes)
      if (Result.isFailure(decoded)) continue
      const transaction = decoded.success
      if (admit(state, transaction) !== undefined) state.gone.push(toHex(transaction.id))
    }
    return state
  })

  return {
    name: "mempool",
    inboxMax: 4096,
    overflow: mempoolOverflow,
    batchMax: 512,
    lingerTurns: 2,
    open,
    step,
    settle
  }
}

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
