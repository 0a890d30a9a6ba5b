/**
 * Pending payments of coins: admit, replace, drop, select; bounded by count, bytes, and by how many build on one another.
 *
 * A payment may spend what another pending one makes. No coin is spent by two: who spends it is known by its key, and the
 * second must replace the first and pay for it. A new tip names the coins that changed, and only payments around those are
 * looked at: nothing here walks the whole pool but a listing of it and the choice for a block.
 */
import { assert } from "../assert.ts"
import { fromHex, readU32, toHex } from "../codec/bytes.ts"
import { type Coin, decodeCoin, encodeCoin } from "../ledger/coin.ts"
import type { Ledger } from "../ledger/ledger.ts"
import { Overlay } from "../ledger/overlay.ts"
import { reject, type TransactionReject } from "../ledger/reject.ts"
import { summaryOf } from "../ledger/summary.ts"
import type { PaymentTransaction, Transaction } from "../ledger/transaction.ts"
import { ancestorsMax } from "../limits.ts"
import { reached } from "../marks.ts"
import { packagesOf } from "./assembly.ts"
import { checkAncestors, checkDescendants } from "./crowd.ts"
import { clamped, Flows, type PendingCoin } from "./flows.ts"
import {
  type Entry,
  keptRate,
  link,
  makerOf,
  minedRate,
  olderFirst,
  outputKey,
  parentsFirst,
  type Sum,
  sumOf,
  unlink,
  withAncestors,
  withDescendants
} from "./package.ts"
import {
  type Admission,
  type Move,
  type Pool,
  type PoolBounds,
  poolBounds,
  type PoolLimits,
  type Totals,
  type View
} from "./pool.ts"
import { Ranking } from "./ranking.ts"
import { checkReplacement } from "./replacement.ts"

/** A payment that asks to come in, and its pending surroundings. */
interface Wish {
  readonly entry: Entry
  /** What it builds on. */
  readonly ancestors: ReadonlySet<Entry>
  /** Those that spend a coin of its, and all that build on them. */
  readonly conflicts: ReadonlySet<Entry>
  readonly replaced: ReadonlySet<Entry>
}

type Refusable<A> = A | TransactionReject

export class CoinPool implements Pool {
  private readonly ledger: Ledger
  private readonly limits: PoolBounds
  private readonly maturity: number
  /** In an order in which they could be mined: nothing comes in before what it builds on. */
  private readonly byId = new Map<string, Entry>()
  private readonly spenders = new Map<string, Entry>()
  private readonly flows = new Flows()
  private readonly ranking = new Ranking()
  /** By the height from which on they may be spent: those that spend rewards. None is above `height`. */
  private readonly ripening = new Map<number, Set<Entry>>()
  private height = 0
  private arrivals = 0
  private bytes = 0
  private fees = 0
  private value = 0n

  constructor(ledger: Ledger, bounds: Partial<PoolBounds> = {}) {
    assert(ledger.rules.model === "utxo", "a pool of coins is of a chain of coins")
    this.ledger = ledger
    this.maturity = ledger.rules.coinbaseMaturity
    this.limits = { ...poolBounds, ...bounds }
  }

  get totals(): Totals {
    return { count: this.byId.size, bytes: this.bytes, fees: this.fees, value: clamped(this.value) }
  }

  get ranked(): number {
    return this.ranking.size
  }
  get rankedMax(): number {
    return 2 * this.limits.transactionsMax + 1000
  }

  find(id: string): Transaction | undefined {
    return this.byId.get(id)?.transaction
  }

  admit({ transaction, view, now, checkSignature }: Admission): ReturnType<Pool["admit"]> {
    const wish = this.examine(transaction, view, now)
    if ("code" in wish) return wish
    const going = this.checkPlace(wish)
    if ("code" in going) {
      if (wish.conflicts.size > 0) reached("pool-conflict")
      return going
    }
    if (!checkSignature()) return reject("signature-invalid", "A signature does not match the transaction.")
    if (wish.conflicts.size > 0) reached("pool-replaced")
    const evicted = going.difference(wish.replaced)
    if (evicted.size > 0) reached("pool-evicted")
    if ([...evicted].some(({ children }) => children.size > 0)) reached("package-evicted")
    const gone = this.removeAll(going)
    const { removed, waiting } = this.takeOut(this.strandedBy(wish.entry))
    this.insert(wish.entry)
    this.height = Math.max(this.height, view.height)
    const pushed = this.admitAll(waiting, view, now)
    return { removed: this.absent([...gone, ...removed, ...pushed]) }
  }

  /**
   * Touches only what spends a coin that changed, and its relatives. What lost a coin goes with all that builds on it; if a
   * losing branch gave payments back, it is then asked in again, as what it builds on may be among those.
   */
  moveTip({ touched, returned, view, now }: Move): ReturnType<Pool["moveTip"]> {
    const gone: Array<string> = []
    const suspects = this.suspectsOf(touched, view.height)
    this.height = view.height
    for (const suspect of suspects) {
      if (this.byId.get(suspect.id) !== suspect || !view.isConfirmed(suspect.transaction.id)) continue
      for (const { id, children } of this.confirm(suspect)) {
        gone.push(id)
        // What it made is the chain's from now on, and may be spent there too.
        for (const child of children) suspects.add(child)
      }
    }
    const lost = [...suspects].filter(
      (one) => this.byId.get(one.id) === one && !this.isSpendable(one.transaction, view)
    )
    if (lost.length > 0) reached("payment-impossible")
    if (lost.some(({ ripeAt }) => ripeAt > 0)) reached("reward-lost")
    const { removed, waiting } = this.takeOut(lost)
    const payments = parentsFirst(returned.filter((one) => one.kind === "payment"))
    const pushed = payments.length === 0 ? [] : this.admitAll([...payments, ...waiting], view, now)
    return {
      dropped: this.absent([...gone, ...removed, ...pushed]),
      restored: payments.filter((one) => this.byId.get(toHex(one.id))?.transaction === one)
    }
  }

  expire(now: number): ReadonlyArray<string> {
    const dropped: Array<string> = []
    for (const entry of this.byId.values()) {
      if (entry.receivedAt > now - this.limits.waitMsMax) break
      reached("pool-expired")
      dropped.push(...this.removeAll(withDescendants([entry])))
    }
    return dropped
  }

  *inOrder(): Generator<Transaction> {
    for (const pack of packagesOf(this.byId.values(), () => true)) {
      for (const { transaction } of pack) yield transaction
    }
  }

  /** Packages in the order of mining; one for which there is no room is passed over. */
  select({ transactionsMax, bytesMax }: PoolLimits): ReadonlyArray<Transaction> {
    const chosen: Array<Transaction> = []
    let room = bytesMax
    const fits = ({ count, bytes }: Sum): boolean =>
      chosen.length + count <= transactionsMax && bytes + 2 * count <= room
    for (const pack of packagesOf(this.byId.values(), fits)) {
      for (const { transaction } of pack) {
        chosen.push(transaction)
        room -= transaction.bytes.length + 2
      }
      if (chosen.length >= transactionsMax) break
    }
    return chosen
  }

  ids(limit: number): ReadonlyArray<string> {
    return [...this.byId.keys().take(limit)]
  }

  feeOf(id: string): number | undefined {
    return this.byId.get(id)?.fee
  }

  /**
   * The coins of an address that are spent, and the coins that it is paid, pending ones included. Coins are spent whole, so what
   * comes back to their owner as change counts in both: the difference is what the balance will change by.
   */
  flowOf(address: string): { readonly outgoing: number; readonly incoming: number } {
    return this.flows.of(address)
  }

  /** Coins have no nonces. */
  nextNonce(): number {
    return 0
  }

  /** The pending payment that spends the coin of an entry's key. */
  spenderOf(key: string): string | undefined {
    return this.spenders.get(key)?.id
  }

  /** The pending coins of an address, its hex, that no pending payment spends. */
  outputsOf(address: string): ReadonlyArray<PendingCoin> {
    return [...this.flows.coinsOf(address).filter(({ key }) => !this.spenders.has(key))]
  }

  /** A payment by the ledger's own rules, as if its conflicts were not there; and what it would meet. */
  private examine(transaction: Transaction, view: View, now: number): Refusable<Wish> {
    const id = toHex(transaction.id)
    if (this.byId.has(id)) return reject("already-pending", "This transaction is pending already.")
    const state = this.stateOn(view)
    const fee = this.ledger.check(state, transaction, view)
    if (typeof fee !== "number") return fee
    assert(transaction.kind === "payment", "a chain of coins refuses what is not a payment")
    const parents = new Set<Entry>()
    const conflicts = new Set<Entry>()
    for (const key of transaction.spends) {
      const parent = this.byId.get(makerOf(key))
      const rival = this.spenders.get(key)
      if (parent !== undefined) parents.add(parent)
      if (rival !== undefined) conflicts.add(rival)
    }
    const ancestors = withAncestors(parents, ancestorsMax)
    const bytes = transaction.bytes.length
    const others = sumOf(ancestors)
    const entry: Entry = {
      ...{ id, transaction, fee, parents, children: new Set(), rate: fee / bytes },
      value: summaryOf(transaction).amount,
      ...this.describe(transaction.spends.map((key) => decodeCoin(state.get(key)!))),
      receivedAt: now,
      arrival: this.arrivals,
      ancestors: { count: others.count + 1, bytes: others.bytes + bytes, fees: others.fees + fee },
      descendants: { count: 1, bytes, fees: fee }
    }
    return { entry, ancestors, conflicts, replaced: withDescendants(conflicts) }
  }

  /** Of the coins that are spent: how much of whom, and when they may be. */
  private describe(coins: ReadonlyArray<Coin>): Pick<Entry, "spent" | "ripeAt"> {
    const spent = new Map<string, number>()
    let ripeAt = 0
    for (const { owner, amount, coinbase, height } of coins) {
      const address = toHex(owner)
      spent.set(address, (spent.get(address) ?? 0) + amount)
      if (coinbase) ripeAt = Math.max(ripeAt, height + this.maturity)
    }
    return { spent: [...spent], ripeAt }
  }

  /** The entries of the tip and the coins of pending payments, those that are spent included. */
  private stateOn({ readEntry, height }: View): Overlay {
    return new Overlay((key) => {
      const maker = this.byId.get(makerOf(key))
      if (maker === undefined) return readEntry(key)
      const output = maker.transaction.payment.outputs[readU32(fromHex(key)!, 32)]
      return output && encodeCoin({ owner: output.recipient, amount: output.amount, height, coinbase: false })
    })
  }

  private isSpendable(transaction: PaymentTransaction, view: View): boolean {
    return typeof this.ledger.check(this.stateOn(view), transaction, view) === "number"
  }

  /** What must go for a payment, or why it may not come in. */
  private checkPlace(wish: Wish): Refusable<ReadonlySet<Entry>> {
    const { entry, ancestors, conflicts, replaced } = wish
    return (
      checkAncestors(entry) ??
      checkReplacement(entry, conflicts, { gone: replaced, ancestors }) ??
      checkDescendants(entry, ancestors, replaced) ??
      this.makeRoom(wish)
    )
  }

  /**
   * What a payment replaces, and of a full pool what is worth least, until there is room. It must be mined at a better rate
   * than each of these is kept for; what it builds on itself does not go for it.
   */
  private makeRoom({ entry, ancestors, replaced }: Wish): Refusable<ReadonlySet<Entry>> {
    const { transactionsMax, bytesMax } = this.limits
    const going = new Set(replaced)
    const freed = sumOf(going)
    let count = this.byId.size + 1 - freed.count
    let bytes = this.bytes + entry.transaction.bytes.length - freed.bytes
    if (count <= transactionsMax && bytes <= bytesMax) return going
    const rate = minedRate(entry, entry.ancestors)
    for (const worst of this.ranking.worstFirst()) {
      if (ancestors.has(worst)) continue
      if (rate <= keptRate(worst)) break
      for (const one of withDescendants([worst]).difference(going)) {
        going.add(one)
        count--
        bytes -= one.transaction.bytes.length
      }
      if (count <= transactionsMax && bytes <= bytesMax) return going
    }
    return reject("pool-full", "The pool is full and the fee does not beat the lowest in it. Raise the fee or wait.")
  }

  /**
   * Who spends what a newcomer makes, although it was not pending: the chain has moved, and had it confirmed when they came.
   * They build on a pending payment now.
   */
  private strandedBy({ id, transaction }: Entry): ReadonlyArray<Entry> {
    return transaction.payment.outputs.flatMap((_, index) => this.spenders.get(outputKey(id, index)) ?? [])
  }

  /** Removes payments with all that build on them; the ids, and the payments themselves as they could come back. */
  private takeOut(entries: Iterable<Entry>): {
    readonly removed: ReadonlyArray<string>
    readonly waiting: ReadonlyArray<PaymentTransaction>
  } {
    const all = withDescendants(entries)
    const waiting = [...all].sort(olderFirst).map(({ transaction }) => transaction)
    return { removed: this.removeAll(all), waiting }
  }

  /** Asks payments in whose signatures are known; the ids of what had to go for them. */
  private admitAll(payments: ReadonlyArray<PaymentTransaction>, view: View, now: number): ReadonlyArray<string> {
    return payments.flatMap((transaction) => {
      const outcome = this.admit({ transaction, view, now, checkSignature: () => true })
      return "removed" in outcome ? outcome.removed : []
    })
  }

  /** Of some that left, those that are not back. */
  private absent(ids: ReadonlyArray<string>): ReadonlyArray<string> {
    return [...new Set(ids)].filter((id) => !this.byId.has(id))
  }

  private insert(entry: Entry): void {
    link(entry)
    this.byId.set(entry.id, entry)
    for (const key of entry.transaction.spends) this.spenders.set(key, entry)
    this.flows.add(entry)
    if (entry.ripeAt > 0) {
      const ripe = this.ripening.get(entry.ripeAt) ?? new Set()
      this.ripening.set(entry.ripeAt, ripe.add(entry))
    }
    this.arrivals++
    this.count(entry, 1)
    for (const one of withAncestors([entry])) this.ranking.rank(one)
  }

  /** Those removed must be closed: with all that builds on them, or with all that they build on. */
  private remove(entry: Entry): void {
    const ancestors = unlink(entry)
    this.byId.delete(entry.id)
    for (const key of entry.transaction.spends) this.spenders.delete(key)
    this.flows.remove(entry)
    const ripe = this.ripening.get(entry.ripeAt)
    if (ripe?.delete(entry) === true && ripe.size === 0) this.ripening.delete(entry.ripeAt)
    this.count(entry, -1)
    this.ranking.drop(entry)
    for (const one of ancestors) this.ranking.rank(one)
  }

  private count({ fee, value, transaction }: Entry, sign: 1 | -1): void {
    this.bytes += sign * transaction.bytes.length
    this.fees += sign * fee
    this.value += BigInt(sign * value)
  }

  /** Removes payments with all that build on them, the youngest first; the ids. */
  private removeAll(entries: ReadonlySet<Entry>): ReadonlyArray<string> {
    const youngestFirst = [...entries].sort((a, b) => olderFirst(b, a))
    for (const entry of youngestFirst) this.remove(entry)
    return youngestFirst.map(({ id }) => id)
  }

  /** Removes a payment that is in a block, and what it builds on first, which then is too; these. */
  private confirm(entry: Entry): ReadonlyArray<Entry> {
    const oldestFirst = [...withAncestors([entry])].sort(olderFirst)
    for (const one of oldestFirst) this.remove(one)
    return oldestFirst
  }

  /** What a new tip may have made impossible or done: spenders of coins that changed, and of rewards that are unripe again. */
  private suspectsOf(touched: Iterable<string>, height: number): Set<Entry> {
    const suspects = new Set<Entry>()
    for (const key of touched) {
      const spender = this.spenders.get(key)
      if (spender !== undefined) suspects.add(spender)
    }
    for (let at = height + 1; at <= this.height; at++) {
      for (const spender of this.ripening.get(at) ?? []) suspects.add(spender)
    }
    return suspects
  }
}
