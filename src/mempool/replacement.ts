/**
 * May a payment take the place of pending ones that spend the same coins? Any may be replaced, as in Core since full RBF
 * (BIP 125 without the signal): what counts is that the miner earns more and that replacing is not free for who floods.
 */
import { reject, type TransactionReject } from "../ledger/reject.ts"
import { replacedMax, replaceFeePercent } from "../limits.ts"
import { type Entry, type Sum, sumOf } from "./package.ts"

/** A fraction: fees over bytes. */
interface Rate {
  readonly fees: number
  readonly bytes: number
}

/** The rate at which a payment would be mined, to the unit. */
const minedRateOf = ({ fee, transaction, ancestors }: Entry): Rate => {
  const bytes = transaction.bytes.length
  const own = { fees: fee, bytes }
  return BigInt(fee) * BigInt(ancestors.bytes) <= BigInt(ancestors.fees) * BigInt(bytes) ? own : ancestors
}

/** The least fees over so many bytes that make a higher rate. */
const above = ({ fees, bytes }: Rate, overBytes: number): bigint =>
  (BigInt(fees) * BigInt(overBytes)) / BigInt(bytes) + 1n

/**
 * The least fee with which a payment replaces others: more than all that goes, by the part of the direct conflicts' fees that
 * `replaceFeePercent` names and by at least one unit; and mined at a higher rate than each of the direct conflicts.
 */
const replacingFee = (wish: Entry, conflicts: ReadonlySet<Entry>, gone: Sum): bigint => {
  const bytes = wish.transaction.bytes.length
  const feesBelow = BigInt(wish.ancestors.fees - wish.fee)
  const percent = BigInt(sumOf(conflicts).fees) * BigInt(replaceFeePercent - 100)
  const more = (percent + 99n) / 100n
  const wanted = [BigInt(gone.fees) + (more > 0n ? more : 1n)]
  for (const conflict of conflicts) {
    const rate = minedRateOf(conflict)
    wanted.push(above(rate, bytes), above(rate, wish.ancestors.bytes) - feesBelow)
  }
  return wanted.reduce((most, fee) => (fee > most ? fee : most))
}

const conflict = (message: string): TransactionReject => reject("coin-conflict", message)

/**
 * Why a payment may not replace the conflicts and what builds on them (`gone`, the conflicts included). `ancestors`: what it
 * builds on itself.
 */
export const checkReplacement = (
  wish: Entry,
  conflicts: ReadonlySet<Entry>,
  { gone, ancestors }: { readonly gone: ReadonlySet<Entry>; readonly ancestors: ReadonlySet<Entry> }
): TransactionReject | undefined => {
  if (conflicts.size === 0) return undefined
  if (!ancestors.isDisjointFrom(gone)) {
    return conflict("It spends a coin of a pending payment that it would replace. Leave one of the two out.")
  }
  if (gone.size > replacedMax) {
    return conflict(`It would replace ${gone.size} pending payments; at most ${replacedMax} may go for one.`)
  }
  const feeMin = replacingFee(wish, conflicts, sumOf(gone))
  if (BigInt(wish.fee) >= feeMin) return undefined
  const { id } = [...conflicts][0]!
  const detail = { feeMin: Number(feeMin), pending: id }
  if (wish.fee <= sumOf(conflicts).fees) {
    const message = `The pending payment ${id} spends the same coin. Choose another, or replace it with a fee of ${feeMin} units.`
    return reject("coin-conflict", message, detail)
  }
  const message = `The pending payment ${id} spends the same coin; a fee of ${feeMin} units replaces it.`
  return reject("replacement-underpriced", message, detail)
}
