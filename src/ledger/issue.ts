/** How money comes to be: the reward of each height, halved in time and cut off at the largest supply. For every money model. */
import { assert } from "../assert.ts"
import { type Amount, amount, format, zero } from "./amount.ts"
import type { Ledger, LedgerRules } from "./ledger.ts"

/**
 * Units issued by the rewards of heights 1 to `height`, as if there were no cap; at most 2^53 - 1. One step a halving, of
 * which there are at most 53: sums below the bound are exact, and a sum above it only has to be above it.
 */
const issuedUncapped = (rules: LedgerRules, height: number): number => {
  const { reward, rewardHalvingBlocks } = rules
  if (rewardHalvingBlocks === 0) return Math.min(reward * height, Number.MAX_SAFE_INTEGER)
  let issued = 0
  let left = height
  for (let units: number = reward; units > 0 && left > 0; units = Math.floor(units / 2)) {
    issued += units * Math.min(left, rewardHalvingBlocks)
    left -= rewardHalvingBlocks
  }
  return Math.min(issued, Number.MAX_SAFE_INTEGER)
}

/** The schedule of some rules; `allocated` units exist from the genesis on. */
export const makeIssue = (rules: LedgerRules, allocated: Amount): Pick<Ledger, "supplyAt" | "rewardAt"> => {
  assert(allocated <= rules.supplyMax, "a genesis allocates at most the largest supply")
  const supplyAt = (height: number): Amount =>
    amount(Math.min(rules.supplyMax, allocated + Math.min(issuedUncapped(rules, height), rules.supplyMax)))
  const rewardAt = (height: number): Amount => (height === 0 ? zero : amount(supplyAt(height) - supplyAt(height - 1)))
  return { supplyAt, rewardAt }
}

/** An amount as a person reads it: decimals and symbol of the chain. */
export const money = (rules: LedgerRules, units: number): string =>
  `${format(amount(units), rules.decimals)} ${rules.symbol}`
