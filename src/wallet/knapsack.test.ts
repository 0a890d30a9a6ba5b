/** The knapsack: change of at least the goal, and as little above it as there is. */
import { describe, expect, test } from "bun:test"
import { Result } from "effect"
import { type Amount, amount } from "../ledger/amount.ts"
import { makeDice } from "../sim/dice.ts"
import { type Coin, type Costs, parseCoins, parseCosts } from "./coin.ts"
import { knapsack } from "./knapsack.ts"
import { makePool } from "./purse.ts"

const coins = (...values: ReadonlyArray<number>): ReadonlyArray<Coin> =>
  values.map((units, i) => ({ id: `${i}`, units: amount(units), owner: "a", height: 1 }))
const free: Costs = { feeRate: 0, feeMin: amount(0), fixedBytes: 40, inputsMax: 100 }

const solve = (offered: ReadonlyArray<Coin>, target: number, goal: number, costs: Costs = free, seed = 1) => {
  const terms = Result.getOrThrow(parseCosts(costs))
  const pool = makePool(Result.getOrThrow(parseCoins(offered, terms)), target as Amount, terms)
  return knapsack(pool, goal, makeDice(seed)).map((found) => found.map(({ units }) => units))
}
const sum = (values: ReadonlyArray<number>): number => values.reduce((total, one) => total + one, 0)

describe("out of 1, 2, 5, 10 and 20, with change of at least 1", () => {
  const wallet = coins(1, 2, 5, 10, 20)
  test.each<[number, ReadonlyArray<ReadonlyArray<number>>]>([
    [7, [[10], [5, 2, 1]]],
    [9, [[10]]],
    [19, [[20]]],
    [16, [[20], [10, 5, 2]]],
    [34, [[20, 10, 5]]],
    [37, [[20, 10, 5, 2, 1]]],
    [38, []]
  ])("%p", (target, expected) => {
    expect(solve(wallet, target, 1) as unknown).toEqual(expected)
  })
})

test("a draw goes on with what chance left out, until the goal is reached", () => {
  const [all] = solve(coins(...Array.from({ length: 40 }, () => 10)), 390, 5)
  expect(all?.length).toBe(40)
})

test("the best subset of small wallets is nearly always found, and none that misses the goal", () => {
  const dice = makeDice(7)
  let best = 0
  let all = 0
  for (let i = 0; i < 300; i++) {
    const costs = { ...free, feeRate: dice.pick([0, 1]), inputsMax: dice.pick([3, 100]) }
    const wallet = coins(...Array.from({ length: 2 + dice.int(8) }, () => 100 + dice.int(900)))
    const target = 50 + dice.int(3_000)
    const goal = 1 + dice.int(200)
    const reaches = (values: ReadonlyArray<number>): boolean =>
      values.length <= costs.inputsMax &&
      sum(values) - target - costs.feeRate * (40 + 56 + 97 + 36 * values.length) >= goal
    let least = Number.POSITIVE_INFINITY
    for (let set = 1; set < 1 << wallet.length; set++) {
      const values = wallet.filter((_, at) => set & (1 << at)).map(({ units }) => units)
      if (reaches(values)) least = Math.min(least, sum(values))
    }
    const found = solve(wallet, target, goal, costs, i)
    expect([i, found.every(reaches)]).toEqual([i, true])
    if (least === Number.POSITIVE_INFINITY) {
      expect([i, found.length]).toEqual([i, 0])
      continue
    }
    all++
    if (found.some((values) => sum(values) === least)) best++
  }
  expect(all).toBeGreaterThan(150)
  expect(best / all).toBeGreaterThan(0.97)
})
