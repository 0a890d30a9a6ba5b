/**
 * Pending payments that build on one another: what each stands on, and what stands on it.
 *
 * Both are few (`ancestorsMax`, `descendantsMax`), and their sums are kept beside each payment, so that its worth to a miner
 * and its worth to the pool are at hand. A payment comes in after all that it builds on and before all that builds on it,
 * and it leaves when it has no ancestor left or no descendant: then the sums of the others change by what is its own.
 */
import { assert } from "../assert.ts"
import { toHex } from "../codec/bytes.ts"
import type { PaymentTransaction } from "../ledger/transaction.ts"
import type { Pending } from "./pool.ts"

/** Of some payments: how many, their bytes, and their fees in base units. */
export interface Sum {
  count: number
  bytes: number
  fees: number
}

/** A pending payment among its relatives. `rate` is its own: fee units per byte. */
export interface Entry extends Pending {
  readonly transaction: PaymentTransaction
  readonly fee: number
  /** Units that leave the payers, change and fee not counted. */
  readonly value: number
  /** Whose coins it spends: hex of the address, and units of all its coins. */
  readonly spent: ReadonlyArray<readonly [address: string, units: number]>
  /** The height from which on the youngest reward among its coins may be spent; 0: it spends none. */
  readonly ripeAt: number
  /** Pending payments whose outputs it spends, and those that spend its own. */
  readonly parents: Set<Entry>
  readonly children: Set<Entry>
  /** Of what it builds on, and of what builds on it, however far; itself included. */
  readonly ancestors: Sum
  readonly descendants: Sum
}

const change = (sum: Sum, { fee, transaction }: Entry, sign: 1 | -1): void => {
  sum.count += sign
  sum.bytes += sign * transaction.bytes.length
  sum.fees += sign * fee
}

/** The sum of some payments. */
export const sumOf = (entries: Iterable<Entry>): Sum => {
  const sum = { count: 0, bytes: 0, fees: 0 }
  for (const entry of entries) change(sum, entry, 1)
  return sum
}

/** Takes a payment out of a sum. */
export const without = (sum: Sum, entry: Entry): Sum => {
  const less = { ...sum }
  change(less, entry, -1)
  return less
}

/** The payments and all that they build on. Stops once there are more than `max`. */
export const withAncestors = (entries: Iterable<Entry>, max = Number.POSITIVE_INFINITY): Set<Entry> => {
  const all = new Set(entries)
  for (const { parents } of all) {
    if (all.size > max) break
    for (const parent of parents) all.add(parent)
  }
  return all
}

/** The payments and all that build on them. */
export const withDescendants = (entries: Iterable<Entry>): Set<Entry> => {
  const all = new Set(entries)
  for (const { children } of all) for (const child of children) all.add(child)
  return all
}

/** Negative if `a` must come before `b`, as an ancestor has fewer ancestors; of strangers the earlier arrival first. */
export const olderFirst = (a: Entry, b: Entry): number => a.ancestors.count - b.ancestors.count || a.arrival - b.arrival

/** Fee units per byte at which a miner would take a payment with all that it still needs: its own rate, or the package's if that is worse. */
export const minedRate = ({ rate }: Entry, ancestors: Sum): number => Math.min(rate, ancestors.fees / ancestors.bytes)

/** Fee units per byte that would be lost with a payment: its own rate, or that of all that goes with it if that is better. */
export const keptRate = ({ rate, descendants }: Entry): number => Math.max(rate, descendants.fees / descendants.bytes)

/** Puts a payment among its relatives: the ancestors that its own sum counts. */
export const link = (entry: Entry): void => {
  assert(entry.children.size === 0, "a payment comes before those that build on it")
  for (const parent of entry.parents) parent.children.add(entry)
  for (const ancestor of withAncestors(entry.parents)) change(ancestor.descendants, entry, 1)
}

/** Takes a payment from among its relatives; the ancestors that it had. */
export const unlink = (entry: Entry): ReadonlySet<Entry> => {
  assert(entry.parents.size === 0 || entry.children.size === 0, "a payment leaves first or last of its relatives")
  const ancestors = withAncestors(entry.parents)
  for (const ancestor of ancestors) change(ancestor.descendants, entry, -1)
  for (const descendant of withDescendants(entry.children)) change(descendant.ancestors, entry, -1)
  for (const parent of entry.parents) parent.children.delete(entry)
  for (const child of entry.children) child.parents.delete(entry)
  return ancestors
}

/** Hex digits of a transaction id, with which the key of its coin's entry begins. */
const idDigits = 64

/** The transaction that made a coin: its id, in hex. */
export const makerOf = (key: string): string => key.slice(0, idDigits)

/** The key of an output's entry: that of `coinKey`, from hex. */
export const outputKey = (id: string, index: number): string => id + outputDigits(index)
const outputDigits = (index: number): string => {
  assert(index < 0x1_0000, "a payment has fewer outputs")
  return (((index & 0xff) << 8) | (index >>> 8)).toString(16).padStart(4, "0") + "0000"
}

/** Payments with each after those of them that it builds on; else in the order given. */
export const parentsFirst = (payments: ReadonlyArray<PaymentTransaction>): ReadonlyArray<PaymentTransaction> => {
  const byId = new Map(payments.map((payment) => [toHex(payment.id), payment]))
  const sorted = new Set<PaymentTransaction>()
  const left = payments.toReversed()
  for (let next = left.at(-1); next !== undefined; next = left.at(-1)) {
    const parents = next.spends.flatMap((key) => byId.get(makerOf(key)) ?? []).filter((one) => !sorted.has(one))
    if (parents.length > 0 && !sorted.has(next)) left.push(...parents.reverse())
    else sorted.add(left.pop()!)
  }
  return [...sorted]
}
