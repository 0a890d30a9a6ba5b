/**
 * Pending transfers: admit, replace, drop, select; bounded by count, bytes, and transactions of one sender.
 *
 * Each sender has a queue by nonce, so a later nonce with a higher fee waits for its elder instead of evicting itself
 * (defect 4). The pool knows each sender's confirmed account and touches on a new tip only the senders that it changed:
 * nothing here walks the whole pool but a listing of it.
 */
import { assert } from "../assert.ts"
import { toHex } from "../codec/bytes.ts"
import { type AccountState, decodeAccount, keyOf } from "../ledger/account.ts"
import { reject, type TransactionReject } from "../ledger/reject.ts"
import type { Transaction, TransferTransaction } from "../ledger/transaction.ts"
import { futureMsMax, nonceGapMax, pendingPerSenderMax, replaceFeePercent } from "../limits.ts"
import { reached } from "../marks.ts"
import { evictedBefore, Heap, minedBefore } from "./order.ts"
import {
  type Admission,
  type Move,
  type Pending,
  type Pool,
  type PoolBounds,
  poolBounds,
  type PoolLimits,
  type Totals
} from "./pool.ts"

/** A pending transfer. */
type PendingTransfer = Pending & { readonly transaction: TransferTransaction }

/** What one sender has pending, by nonce, on top of what is confirmed. */
interface Queue {
  account: AccountState
  readonly byNonce: Map<number, PendingTransfer>
  /** Amounts and fees of all of them. */
  cost: number
}

const costOf = ({ transfer }: TransferTransaction): number => transfer.amount + transfer.fee
const rateOf = ({ transfer, bytes }: TransferTransaction): number => transfer.fee / bytes.length

/** A transfer that asks to come in, with its sender's confirmed account. */
interface Wish {
  readonly transaction: TransferTransaction
  readonly account: AccountState
  readonly now: number
  readonly promised: boolean
}

export class AccountPool implements Pool {
  private readonly limits: PoolBounds
  private readonly byId = new Map<string, PendingTransfer>()
  private readonly queues = new Map<string, Queue>()
  private readonly incoming = new Map<string, number>()
  private cheapest = new Heap<PendingTransfer>(evictedBefore)
  private arrivals = 0
  private bytes = 0
  private fees = 0
  private value = 0

  constructor(limits: Partial<PoolBounds> = {}) {
    this.limits = { ...poolBounds, ...limits }
  }

  get totals(): Totals {
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

  admit({
    transaction,
    view,
    now,
    promised = false,
    checkSignature
  }: Admission): { readonly removed: ReadonlyArray<string> } | TransactionReject {
    if (transaction.kind !== "transfer")
      return reject("version-unsupported", "This chain has accounts: send a transfer.")
    const id = toHex(transaction.id)
    if (this.byId.has(id)) return reject("already-pending", "This transaction is pending already.")
    const { transfer } = transaction
    const key = keyOf(transfer.sender)
    const account = decodeAccount(view.readEntry(key))
    const queue = this.queues.get(key)
    const replaced = queue?.byNonce.get(transfer.nonce)
    const refused =
      this.checkPlace({ transaction, account, now, promised }, queue, replaced) ??
      this.checkRoom(transaction, replaced) ??
      (checkSignature() ? undefined : reject("signature-invalid", "The signature does not match the transaction."))
    if (refused !== undefined) return refused
    if (replaced !== undefined) reached("pool-replaced")
    const removed = replaced === undefined ? [] : [replaced.id]
    if (replaced !== undefined) this.remove(replaced)
    this.insert({ id, transaction, receivedAt: now, rate: rateOf(transaction), arrival: this.arrivals++ }, account)
    return { removed: [...removed, ...this.shrink()] }
  }

  /** Touches only the senders whose accounts changed. */
  moveTip({ touched, returned, view, now }: Move): ReturnType<Pool["moveTip"]> {
    const dropped: Array<string> = []
    for (const key of touched) {
      const queue = this.queues.get(key)
      if (queue !== undefined) dropped.push(...this.refresh(queue, decodeAccount(view.readEntry(key))))
    }
    const restored = returned.filter((transaction) => {
      const outcome = this.admit({ transaction, view, now, promised: true, checkSignature: () => true })
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
  *inOrder(): Generator<TransferTransaction> {
    const head = (queue: Queue, nonce: number): { queue: Queue; pending: PendingTransfer } | undefined => {
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

  /** After the unbroken run of pending ones. */
  spenderOf(): undefined {
    return undefined
  }

  outputsOf(): ReadonlyArray<never> {
    return []
  }

  nextNonce(address: string, confirmed: number): number {
    const queue = this.queues.get(address)
    let nonce = confirmed + 1
    while (queue?.byNonce.has(nonce)) nonce++
    return nonce
  }

  feeOf(id: string): number | undefined {
    return this.byId.get(id)?.transaction.transfer.fee
  }

  /** Amounts and fees out, amounts in. */
  flowOf(address: string): { readonly outgoing: number; readonly incoming: number } {
    return { outgoing: this.queues.get(address)?.cost ?? 0, incoming: this.incoming.get(address) ?? 0 }
  }

  private checkPlace(
    { transaction, account, now, promised }: Wish,
    queue: Queue | undefined,
    replaced: PendingTransfer | undefined
  ) {
    const { transfer } = transaction
    const next = account.nonce + 1
    if (transfer.nonce < next) {
      return reject("nonce-too-low", `Nonce ${transfer.nonce} is used; the next is ${next}.`, {
        expected: next,
        got: transfer.nonce
      })
    }
    if (!promised && transfer.nonce >= next + nonceGapMax) {
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
    const paid = replaced?.transaction.transfer.fee ?? 0
    // A unit more at least: where nothing is paid, replacing would be free.
    const feeMin = Math.max(Math.ceil((paid * replaceFeePercent) / 100), paid + 1)
    if (replaced !== undefined && transfer.fee < feeMin) {
      return reject(
        "replacement-underpriced",
        `Nonce ${transfer.nonce} is pending; a fee of ${feeMin} units replaces it.`,
        { feeMin }
      )
    }
    if (!promised && replaced === undefined && (queue?.byNonce.size ?? 0) >= pendingPerSenderMax) {
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
  private checkRoom(
    transaction: TransferTransaction,
    replaced: PendingTransfer | undefined
  ): TransactionReject | undefined {
    const grows = transaction.bytes.length - (replaced?.transaction.bytes.length ?? 0)
    const count = this.byId.size + (replaced === undefined ? 1 : 0)
    if (count <= this.limits.transactionsMax && this.bytes + grows <= this.limits.bytesMax) return undefined
    const worst = this.worst()
    // What would go must not be an elder of the newcomer: both would.
    const elder = worst !== undefined && keyOf(worst.transaction.transfer.sender) === keyOf(transaction.transfer.sender)
    if (worst !== undefined && !elder && rateOf(transaction) > worst.rate) return undefined
    return reject("pool-full", "The pool is full and the fee does not beat the lowest in it. Raise the fee or wait.")
  }

  private insert(pending: PendingTransfer, account: AccountState): void {
    const { transfer, bytes } = pending.transaction
    const key = keyOf(transfer.sender)
    const queue = this.queues.get(key) ?? { account, byNonce: new Map<number, PendingTransfer>(), cost: 0 }
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

  private remove(pending: PendingTransfer): void {
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
  private worst(): PendingTransfer | undefined {
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
  private cutFrom({ transaction }: PendingTransfer): ReadonlyArray<string> {
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
      broke ||= cost > account.balance
      if (!stale && !broke) continue
      dropped.push(pending.id)
      this.remove(pending)
    }
    return dropped
  }
}
