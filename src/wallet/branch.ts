/**
 * Branch and bound: a selection without change, by depth-first search over the coins, largest first. From Mark Erhardt's
 * "An Evaluation of Coin Selection Strategies" (2016), as in Bitcoin Core's SelectCoinsBnB, with the witness of an owner
 * paid by whichever coin of his is chosen first.
 */
import { selectionTriesMax } from "../limits.ts"
import { type Coin, feeOf, inputBytes, outputBytes, spendBytes } from "./coin.ts"
import { type Pool, Purse } from "./purse.ts"

/**
 * The least waste (select.ts) that the purse can come to with more coins. The fee grows with every byte and what is spared
 * grows too; where the rate is above the later one, the sum falls only as long as `feeMin` pays for the bytes.
 */
const wasteMin = (purse: Purse): number => {
  const { feeRate, feeMin, longTermRate } = purse.pool.terms
  if (feeRate < longTermRate) return Number.NEGATIVE_INFINITY
  const { bytes, inputsBytes } = purse
  const free = feeRate === 0 ? 0 : Math.max(0, feeMin / feeRate - bytes)
  return Math.max(feeMin, feeRate * (bytes + free)) - longTermRate * (inputsBytes + free)
}

/** First coin from `at` on that does not hold too much to end without change, whatever its owner costs. */
const firstFitting = ({ pool, units, bytes }: Purse, at: number): number => {
  const room = pool.amount + pool.terms.dust + feeOf(pool.terms, bytes + spendBytes + outputBytes) - units
  let low = at
  let high = pool.coins.length
  while (low < high) {
    const middle = (low + high) >>> 1
    if (pool.units[middle]! >= room) low = middle + 1
    else high = middle
  }
  return low
}

/** Whether the coins from `next` on could bring the purse to what it must pay. Their owners count as if they signed already. */
const canReach = (purse: Purse, next: number): boolean => {
  const { pool, count, units, bytes } = purse
  const { amount, terms, coins, value } = pool
  if (count >= terms.inputsMax) return false
  const end = Math.min(coins.length, next + terms.inputsMax - count)
  const more = value[end]! - value[next]!
  return (
    units + more - terms.feeRate * bytes >= amount &&
    units + more + (end - next) * terms.feeRate * inputBytes - terms.feeMin >= amount
  )
}

/**
 * The coins of the selection with the least waste among those without change, or undefined: there is none, or none was
 * found in so many tries. No subset is tried that overshoots already, that cannot reach the amount, that must waste more
 * than the best so far, or that takes a coin where its like was left. To a subset that pays no coin is added: it would be
 * burnt as a fee.
 */
export const branchAndBound = (pool: Pool, triesMax = selectionTriesMax): ReadonlyArray<Coin> | undefined => {
  const purse = new Purse(pool)
  const { terms, units, owner, coins } = pool
  const path: Array<number> = []
  let best: ReadonlyArray<number> | undefined
  let bestWaste = Number.POSITIVE_INFINITY
  let next = 0
  /** Leaves the last coin and everything like it. False at the root. */
  const back = (): boolean => {
    const last = path.pop()
    if (last === undefined) return false
    purse.remove(last)
    next = last + 1
    while (next < coins.length && units[next] === units[last] && owner[next] === owner[last]) next++
    return true
  }
  for (let tries = 0; tries < triesMax; tries++) {
    if (purse.excess >= 0) {
      const waste = purse.units - pool.amount - terms.longTermRate * purse.sparedBytes
      if (purse.change < terms.dust && waste < bestWaste) {
        best = [...path]
        bestWaste = waste
      }
      if (!back()) break
      continue
    }
    next = firstFitting(purse, next)
    if (next >= coins.length || !canReach(purse, next) || wasteMin(purse) >= bestWaste) {
      if (!back()) break
      continue
    }
    path.push(next)
    purse.add(next++)
  }
  return best?.map((i) => coins[i]!)
}
