/**
 * The knapsack: selections with change, for where none without it is found. As Bitcoin Core's KnapsackSolver: the smallest
 * coin that is large enough alone, and the best of many random subsets of the smaller ones.
 */
import { selectionDrawsMax, selectionLooksMax } from "../limits.ts"
import { type Coin, type Dice, feeOf, outputBytes, spendBytes } from "./coin.ts"
import { type Pool, Purse } from "./purse.ts"

/** The last coin, of those from large to small, that pays alone and leaves so much change; -1 if none does. */
const smallestLarger = ({ coins, units, amount, terms }: Pool, goal: number): number => {
  const needed = amount + goal + feeOf(terms, terms.fixedBytes + 2 * outputBytes + spendBytes)
  let low = 0
  let high = coins.length
  while (low < high) {
    const middle = (low + high) >>> 1
    if (units[middle]! >= needed) low = middle + 1
    else high = middle
  }
  return low - 1
}

/**
 * One draw: each coin from `from` on with a chance of one half, then those that were left out, large ones first. Whenever
 * the change reaches the goal the subset is offered, and goes on without its last coin. The purse is empty again afterwards.
 */
const draw = (
  purse: Purse,
  from: number,
  goal: number,
  dice: Dice,
  offer: (included: Uint8Array, units: number) => void
): void => {
  const { coins, terms } = purse.pool
  const included = new Uint8Array(coins.length)
  let reached = false
  for (let pass = 0; pass < 2 && !reached; pass++)
    for (let i = from; i < coins.length && purse.count < terms.inputsMax; i++) {
      if (included[i] === 1 || (pass === 0 && dice.int(2) === 0)) continue
      included[i] = 1
      purse.add(i)
      if (purse.change < goal) continue
      reached = true
      offer(included, purse.units)
      included[i] = 0
      purse.remove(i)
    }
  for (let i = from; i < coins.length; i++) if (included[i] === 1) purse.remove(i)
}

/**
 * Selections whose change is at least `goal` units and as little above it as was found: the smallest larger coin, and the
 * best random subset of the coins below it. Either may be missing. The same throws of the dice give the same coins.
 */
export const knapsack = (pool: Pool, goal: number, dice: Dice): ReadonlyArray<ReadonlyArray<Coin>> => {
  const { coins, value, amount, terms } = pool
  const larger = smallestLarger(pool, goal)
  const from = larger + 1
  const draws = Math.min(selectionDrawsMax, Math.ceil(selectionLooksMax / coins.length))
  const purse = new Purse(pool)
  let best: Uint8Array | undefined
  let bestUnits = Number.POSITIVE_INFINITY
  const offer = (included: Uint8Array, units: number): void => {
    if (units >= bestUnits) return
    best = included.slice()
    bestUnits = units
  }
  const end = Math.min(coins.length, from + terms.inputsMax)
  const reachable = end > from && value[end]! - value[from]! >= amount + goal
  for (let i = 0; i < draws && reachable; i++) draw(purse, from, goal, dice, offer)
  const subset = best
  return [
    ...(larger >= 0 ? [[coins[larger]!]] : []),
    ...(subset === undefined ? [] : [coins.filter((_, i) => subset[i] === 1)])
  ]
}
