/**
 * Pending transactions: admit, replace, drop, select; bounded by count, bytes, and transactions of one sender.
 *
 * Each sender has a queue by nonce, so a later nonce with a higher fee waits for its elder instead of evicting itself
 * (defect 4). The pool knows each sender's confirmed account and touches on a new tip only the senders that it changed:
 * nothing here walks the whole pool but a listing of it.
 */
import { assert } from "../assert.ts"
import { toHex } from "../codec/bytes.ts"
import { keyOf, type AccountState } from "../ledger/account.ts"
import { reject, type TransactionReject } from "../ledger/reject.ts"
import type { Nonce, Transaction } from "../ledger/transaction.ts"
import {
  futureMsMax,
  nonceGapMax,
  pendingBytesMax,
  pendingMsMax,
  pendingPerSenderMax,
  pendingTransactionsMax,
  replaceFeePercent
} from "../limits.ts"
import { reached } from "../marks.ts"
import { evictedBefore, Heap, minedBefore, type Ranked } from "./order.ts"

/** A pending transaction. */
export interface Pending extends Ranked {
  readonly id: string
  readonly transaction: Transaction
  readonly receivedAt: number
}

/** What one sender has pending, by nonce, on top of what is confirmed. */
interface Queue {
  account: AccountState
  readonly byNonce: Map<number, Pending>
  /** Amounts and fees of all of them. */
  cost: number
}

export interface Admission {
  readonly transaction: Transaction
  /** The sender's confirmed account. */
  readonly account: AccountState
  readonly now: number
  /** Asked last, when everything else holds. */
  readonly checkSignature: () => boolean
}

export interface PoolLimits {
  readonly transactionsMax: number
  readonly bytesMax: number
}

/** What a pool holds at most, and milliseconds for which it holds it. */
export interface PoolBounds extends PoolLimits {
  readonly waitMsMax: number
}

export const poolBounds: PoolBounds = {
  transactionsMax: pendingTransactionsMax,
  bytesMax: pendingBytesMax,
  waitMsMax: pendingMsMax
}

const costOf = ({ transfer }: Transaction): number => transfer.amount + transfer.fee
const rateOf = ({ transfer, bytes }: Transaction): number => transfer.fee / bytes.length

export class Pool {
  private readonly limits: PoolBounds
  private readonly byId = new Map<string, Pending>()
  private readonly queues = new Map<string, Queue>()
  private readonly incoming = new Map<string, number>()
  private cheapest = new Heap<Pending>(evictedBefore)
  private arrivals = 0
  private bytes = 0
  private fees = 0
  private value = 0

  constructor(limits: Partial<PoolBounds> = {}) {
    this.limits = { ...poolBounds, ...limits }
  }

  get totals(): { readonly count: number; readonly bytes: number; readonly fees: number; readonly value: number } {
    return { count: this.byId.size, bytes: this.bytes, fees: this.fees, value: this.value }
  }

  /** Places in the order of eviction, those of transactions that left included, and what they never exceed. */
  get ranked(): number {
    return this.cheapest.size
  }
  get rankedMax(): number {
    return 2 * this.limits.transactionsMax + 1000
  }

  find(id: string): Transaction | undefined {
    return this.byId.get(id)?.transaction
  }

  /** Admits a transaction; the ids that had to go for it, or why it may not come in. Refused: nothing changes. */
  admit(admission: Admission): { readonly removed: ReadonlyArray<string> } | TransactionReject {
    const { transaction, account, now } = admission
    const id = toHex(transaction.id)
    const { transfer } = transaction
    if (this.byId.has(id)) return reject("already-pending", "This transaction is pending already.")
    const queue = this.queues.get(keyOf(transfer.sender))
    const replaced = queue?.byNonce.get(transfer.nonce)
    const refused =
      this.checkPlace(admission, queue, replaced) ??
      this.checkRoom(transaction, replaced) ??
      (admission.checkSignature()
        ? undefined
        : reject("signature-invalid", "The signature does not match the transaction."))
    if (refused !== undefined) return refused
    if (replaced !== undefined) reached("pool-replaced")
    const removed = replaced === undefined ? [] : [replaced.id]
    if (replaced !== undefined) this.remove(replaced)
    this.insert({ id, transaction, receivedAt: now, rate: rateOf(transaction), arrival: this.arrivals++ }, account)
    return { removed: [...removed, ...this.shrink()] }
  }

  /**
   * A new tip: `touched` are the keys of the accounts that changed. Drops what is confirmed, stale or no longer payable,
   * puts back what the losing branch had confirmed (defect 3). The ids that are no longer pending.
   */
  moveTip(move: {
    readonly touched: Iterable<string>
    readonly returned: ReadonlyArray<Transaction>
    readonly accountOf: (key: string) => AccountState
    readonly now: number
  }): { readonly dropped: ReadonlyArray<string>; readonly restored: ReadonlyArray<Transaction> } {
    const dropped: Array<string> = []
    for (const key of move.touched) {
      const queue = this.queues.get(key)
      if (queue !== undefined) dropped.push(...this.refresh(queue, move.accountOf(key)))
    }
    const restored = move.returned.filter((transaction) => {
      const account = move.accountOf(keyOf(transaction.transfer.sender))
      const outcome = this.admit({ transaction, account, now: move.now, checkSignature: () => true })
      if ("removed" in outcome) dropped.push(...outcome.removed)
      return "removed" in outcome
    })
    return { dropped, restored }
  }

  /** Drops what has waited too long; the ids. */
  expire(now: number): ReadonlyArray<string> {
    const dropped: Array<string> = []
    for (const pending of this.byId.values()) {
      if (pending.receivedAt > now - this.limits.waitMsMax) break
      reached("pool-expired")
      dropped.push(...this.cutFrom(pending))
    }
    return dropped
  }

  /** Pending transactions as they would be mined: best rate first, each sender's in the order of nonces, gaps left out. */
  *inOrder(): Generator<Transaction> {
    const head = (queue: Queue, nonce: number): { queue: Queue; pending: Pending } | undefined => {
      const pending = queue.byNonce.get(nonce)
      return pending === undefined ? undefined : { queue, pending }
    }
    const heads = [...this.queues.values()].flatMap((queue) => head(queue, queue.account.nonce + 1) ?? [])
    const heap = new Heap<(typeof heads)[number]>((a, b) => minedBefore(a.pending, b.pending), heads)
    for (let next = heap.pop(); next !== undefined; next = heap.pop()) {
      yield next.pending.transaction
      const after = head(next.queue, next.pending.transaction.transfer.nonce + 1)
      if (after !== undefined) heap.push(after)
    }
  }

  /** What to mine next. */
  select(limits: PoolLimits): ReadonlyArray<Transaction> {
    const chosen: Array<Transaction> = []
    let bytes = 0
    for (const transaction of this.inOrder()) {
      bytes += transaction.bytes.length + 2
      if (chosen.length >= limits.transactionsMax || bytes > limits.bytesMax) break
      chosen.push(transaction)
    }
    return chosen
  }

  /** The ids of what is pending, each sender's in the order of nonces, those that wait for a nonce included. */
  ids(limit: number): ReadonlyArray<string> {
    const ids: Array<string> = []
    for (const { byNonce } of this.queues.values()) {
      const inTurn = [...byNonce].sort(([a], [b]) => a - b).map(([, { id }]) => id)
      ids.push(...inTurn.slice(0, limit - ids.length))
      if (ids.length >= limit) break
    }
    return ids
  }

  /** The nonce to sign next, after the unbroken run of pending ones. */
  nextNonce(key: string, confirmed: Nonce): Nonce {
    const queue = this.queues.get(key)
    let nonce = confirmed + 1
    while (queue?.byNonce.has(nonce)) nonce++
    return nonce as Nonce
  }

  /** Amounts and fees that the pool would take from an account. */
  outgoing(key: string): number {
    return this.queues.get(key)?.cost ?? 0
  }

  /** Amounts that the pool would give to an account. */
  incomingTo(key: string): number {
    return this.incoming.get(key) ?? 0
  }

  private checkPlace(
    { transaction, account, now }: Admission,
    queue: Queue | undefined,
    replaced: Pending | undefined
  ) {
    const { transfer } = transaction
    const next = account.nonce + 1
    if (transfer.nonce < next) {
      return reject("nonce-too-low", `Nonce ${transfer.nonce} is used; the next is ${next}.`, {
        expected: next,
        got: transfer.nonce
      })
    }
    if (transfer.nonce >= next + nonceGapMax) {
      return reject("nonce-too-high", `Nonce ${transfer.nonce} is too far ahead of ${next}.`, {
        expected: next,
        got: transfer.nonce
      })
    }
    if (transfer.time > now + futureMsMax || transfer.time < now - this.limits.waitMsMax) {
      return reject(
        "time-out-of-range",
        "The timestamp must be within a day before and two hours after the node's clock."
      )
    }
    if (replaced !== undefined && transfer.fee * 100 < replaced.transaction.transfer.fee * replaceFeePercent) {
      const feeMin = Math.ceil((replaced.transaction.transfer.fee * replaceFeePercent) / 100)
      return reject(
        "replacement-underpriced",
        `Nonce ${transfer.nonce} is pending; a fee of ${feeMin} units replaces it.`,
        { feeMin }
      )
    }
    if (replaced === undefined && (queue?.byNonce.size ?? 0) >= pendingPerSenderMax) {
      return reject("sender-queue-full", `At most ${pendingPerSenderMax} transactions of one sender may be pending.`)
    }
    const needed =
      (queue?.cost ?? 0) - (replaced === undefined ? 0 : costOf(replaced.transaction)) + costOf(transaction)
    if (needed > account.balance) {
      return reject("balance-too-low", "The balance does not cover this and what is pending already.", {
        balance: account.balance,
        needed
      })
    }
    return undefined
  }

  /** When the pool is full, a newcomer must pay better than what would have to go. */
  private checkRoom(transaction: Transaction, replaced: Pending | undefined): TransactionReject | undefined {
    const grows = transaction.bytes.length - (replaced?.transaction.bytes.length ?? 0)
    const count = this.byId.size + (replaced === undefined ? 1 : 0)
    if (count <= this.limits.transactionsMax && this.bytes + grows <= this.limits.bytesMax) return undefined
    const worst = this.worst()
    // What would go must not be an elder of the newcomer: both would.
    const elder = worst !== undefined && keyOf(worst.transaction.transfer.sender) === keyOf(transaction.transfer.sender)
    if (worst !== undefined && !elder && rateOf(transaction) > worst.rate) return undefined
    return reject("pool-full", "The pool is full and the fee does not beat the lowest in it. Raise the fee or wait.")
  }

  private insert(pending: Pending, account: AccountState): void {
    const { transfer, bytes } = pending.transaction
    const key = keyOf(transfer.sender)
    const queue = this.queues.get(key) ?? { account, byNonce: new Map<number, Pending>(), cost: 0 }
    queue.account = account
    queue.byNonce.set(transfer.nonce, pending)
    queue.cost += costOf(pending.transaction)
    this.queues.set(key, queue)
    this.byId.set(pending.id, pending)
    const recipient = keyOf(transfer.recipient)
    this.incoming.set(recipient, (this.incoming.get(recipient) ?? 0) + transfer.amount)
    this.bytes += bytes.length
    this.fees += transfer.fee
    this.value += transfer.amount
    this.cheapest.push(pending)
    // Those that left stay in the heap until they come up; a pool that is never full would keep them for ever.
    if (this.cheapest.size > 2 * this.byId.size + 1000) this.cheapest = new Heap(evictedBefore, this.byId.values())
  }

  private remove(pending: Pending): void {
    const { transfer, bytes } = pending.transaction
    const key = keyOf(transfer.sender)
    const queue = this.queues.get(key)
    assert(queue !== undefined && this.byId.delete(pending.id), "what is removed was pending")
    queue.byNonce.delete(transfer.nonce)
    queue.cost -= costOf(pending.transaction)
    if (queue.byNonce.size === 0) this.queues.delete(key)
    const recipient = keyOf(transfer.recipient)
    const left = this.incoming.get(recipient)! - transfer.amount
    if (left === 0) this.incoming.delete(recipient)
    else this.incoming.set(recipient, left)
    this.bytes -= bytes.length
    this.fees -= transfer.fee
    this.value -= transfer.amount
  }

  /** The live transaction that goes first; the heap also holds ones that left, which are passed over here. */
  private worst(): Pending | undefined {
    while (this.cheapest.size > 0 && this.byId.get(this.cheapest.peek()!.id) !== this.cheapest.peek())
      this.cheapest.pop()
    return this.cheapest.peek()
  }

  /** Evicts until the pool is within its limits. What followed an evicted one of the same sender goes with it. */
  private shrink(): ReadonlyArray<string> {
    const evicted: Array<string> = []
    while (this.byId.size > this.limits.transactionsMax || this.bytes > this.limits.bytesMax) {
      const worst = this.worst()
      assert(worst !== undefined, "a pool above its limits is not empty")
      reached("pool-evicted")
      evicted.push(...this.cutFrom(worst))
    }
    return evicted
  }

  /** Removes a transaction and those of the same sender that come after it. */
  private cutFrom({ transaction }: Pending): ReadonlyArray<string> {
    const queue = this.queues.get(keyOf(transaction.transfer.sender))!
    const cut = [...queue.byNonce.values()].filter(
      (other) => other.transaction.transfer.nonce >= transaction.transfer.nonce
    )
    for (const pending of cut) this.remove(pending)
    return cut.map(({ id }) => id)
  }

  /** Takes a sender's new confirmed account: the used nonces go, then the first that cannot be paid and all after it. */
  private refresh(queue: Queue, account: AccountState): ReadonlyArray<string> {
    queue.account = account
    const dropped: Array<string> = []
    let cost = 0
    let broke = false
    for (const [nonce, pending] of [...queue.byNonce].sort(([a], [b]) => a - b)) {
      const stale = nonce <= account.nonce
      if (!stale) cost += costOf(pending.transaction)
      broke ||= cost > account.balance || nonce >= account.nonce + 1 + nonceGapMax
      if (!stale && !broke) continue
      dropped.push(pending.id)
      this.remove(pending)
    }
    return dropped
  }
}
