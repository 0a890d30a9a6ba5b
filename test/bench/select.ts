/** Coin selection beside largest first: payments a second, what they waste, and what a wallet pays over its life. */
import { Result } from "effect"
import { amount as unitsOf } from "../../src/ledger/amount.ts"
import { makeDice } from "../../src/sim/dice.ts"
import { branchAndBound } from "../../src/wallet/branch.ts"
import { type Coin, type Costs, parseCoins, parseCosts } from "../../src/wallet/coin.ts"
import { makePool, Purse } from "../../src/wallet/purse.ts"
import { largestFirst, type Payment, select, type Selection, type Solver } from "../../src/wallet/select.ts"
import { printTable, rate, type Row } from "./table.ts"

const baseline = "largest first"
const costs: Costs = { feeRate: 2, longTermRate: 1, feeMin: unitsOf(0), fixedBytes: 40, inputsMax: 1_000 }
/** What every selection pays alike: the transaction without inputs, its output included. */
const base = costs.feeRate * (40 + 28)

/** Coins between 100 and 1,000,000 units, small ones as often as large ones in each decade, ten of an owner. */
const walletOf = (count: number): ReadonlyArray<Coin> => {
  const dice = makeDice(count)
  return Array.from({ length: count }, (_, i) => ({
    id: `coin ${i}`,
    units: unitsOf(Math.floor(100 * 10 ** (dice.int(40_000) / 10_000))),
    owner: `owner ${dice.int(Math.ceil(count / 10))}`,
    height: dice.int(100_000)
  }))
}

type Way = (payment: Payment) => Result.Result<Selection, unknown>
/** Single random draw: coins at random until there is change; where that is too many, largest first. */
const randomDraw: Solver = (pool, dice) => {
  const left = pool.coins.map((_, i) => i)
  const purse = new Purse(pool)
  const drawn: Array<Coin> = []
  while (left.length > 0 && drawn.length < pool.terms.inputsMax && purse.change < pool.terms.dust) {
    const at = dice.int(left.length)
    const i = left[at]!
    left[at] = left.at(-1)!
    left.pop()
    purse.add(i)
    drawn.push(pool.coins[i]!)
  }
  return purse.change >= pool.terms.dust ? [drawn] : largestFirst(pool, dice)
}
const ways: ReadonlyArray<readonly [string, Way]> = [
  [baseline, (payment) => select(payment, largestFirst)],
  ["random draw", (payment) => select(payment, randomDraw)],
  ["selection", (payment) => select(payment)]
]

/** The same payments both ways: how many a second, and the mean waste. */
const benchWallet = (count: number, payments: number): ReadonlyArray<Row> => {
  const coins = walletOf(count)
  const total = coins.reduce((sum, { units }) => sum + units, 0)
  const size = `${count.toLocaleString("en")} coins`
  const rows = ways.map(([name, way]) => {
    let at = 0
    let waste = 0
    const run = (): void => {
      const dice = makeDice(at++)
      const wish = { coins, recipient: "shop", changeTo: "fresh", costs, dice }
      const amount = unitsOf(1_000 + dice.int(Math.floor(Math.min(total, 2_000_000) * 0.8)))
      waste += Result.getOrThrow(way({ ...wish, amount })).waste - base
    }
    const value = rate(run, payments, 3)
    const against = name === baseline ? {} : { baseline: `${size}: ${baseline}` }
    return [
      { name: `${size}: ${name}`, value, unit: "payments/s", ...against },
      {
        name: `${size}: ${name}, waste`,
        value: waste / at,
        unit: "units a payment",
        ...(name === baseline ? {} : { baseline: `${size}: ${baseline}, waste` })
      }
    ]
  })
  return [...rows.map(([speed]) => speed!), ...rows.map(([, waste]) => waste!)]
}

interface Life {
  readonly fees: number
  readonly left: number
  readonly exact: number
}

/** A wallet that is paid twice for each payment it makes, at rates around the long-term one; at the end all coins go out. */
const live = (way: Way, payments: number): Life => {
  const dice = makeDice(4)
  let coins: ReadonlyArray<Coin> = []
  let [named, fees, exact] = [0, 0, 0]
  const put = (units: number): void => {
    const id = `coin ${named++}`
    coins = [...coins, { id, units: unitsOf(units), owner: `owner ${id}`, height: named }]
  }
  for (let i = 0; i < payments; i++) {
    put(2_000 + dice.int(20_000))
    put(2_000 + dice.int(20_000))
    const [feeRate, amount] = [dice.pick([0.25, 0.5, 1, 1, 2, 4]), unitsOf(1_000 + dice.int(40_000))]
    const wish = { coins, amount, recipient: "shop", changeTo: "fresh", dice: makeDice(i) }
    const paid = way({ ...wish, costs: { ...costs, feeRate } })
    if (Result.isFailure(paid)) continue
    const { inputs, fee, change } = paid.success
    const gone = new Set(inputs.map(({ id }) => id))
    coins = coins.filter(({ id }) => !gone.has(id))
    fees += fee
    if (change > 0) put(change)
    else exact++
  }
  return { fees: fees + coins.length * 133, left: coins.length, exact: (100 * exact) / payments }
}

const lives = ways.map(([name, way]) => [name, live(way, 1_000)] as const)
const lifeRows = (what: keyof Life, label: string, unit: string): ReadonlyArray<Row> =>
  lives.map(([name, life]) => ({
    name: `a life of 1,000 payments: ${name}, ${label}`,
    value: life[what],
    unit,
    ...(name === baseline ? {} : { baseline: `a life of 1,000 payments: ${baseline}, ${label}` })
  }))

const terms = Result.getOrThrow(parseCosts({ ...costs, feeRate: 0, longTermRate: 0 }))
const pairs = Array.from({ length: 17 }, (_, i) => [2 ** (17 + i), 2 ** (17 + i) + 2 ** (16 - i)] as const)
const astray = pairs.flat().map((units, i) => ({ id: `${i}`, units: unitsOf(units), owner: "a", height: 1 }))
const hardest = makePool(
  Result.getOrThrow(parseCoins(astray, terms)),
  unitsOf(pairs.reduce((sum, [bit]) => sum + bit, 0)),
  terms
)

printTable("coin selection, 2 units a byte, later 1", [
  ...benchWallet(10, 200),
  ...benchWallet(1_000, 50),
  ...benchWallet(100_000, 5),
  { name: "branch and bound that exhausts its tries", value: rate(() => void branchAndBound(hardest), 5), unit: "/s" },
  ...lifeRows("fees", "fees with all coins spent at last", "units"),
  ...lifeRows("left", "coins at the end", "coins"),
  ...lifeRows("exact", "payments without change", "%")
])
