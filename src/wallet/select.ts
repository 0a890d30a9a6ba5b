/**
 * Which coins pay: branch and bound for a payment without change, the knapsack for one with change, largest first where
 * the number of inputs binds, and the one of them that wastes least. See docs/decisions/0020-coin-selection.md.
 */
import { Result } from "effect"
import { assert } from "../assert.ts"
import { type Amount, isAmount } from "../ledger/amount.ts"
import { branchAndBound } from "./branch.ts"
import {
  type Coin,
  type Costs,
  type Dice,
  feeOf,
  inputBytes,
  outputBytes,
  parseCoins,
  parseCosts,
  spendBytes,
  type Terms,
  type WalletReject,
  witnessBytes
} from "./coin.ts"
import { knapsack } from "./knapsack.ts"
import { makePool, type Pool, Purse } from "./purse.ts"

export interface Output {
  readonly units: Amount
  readonly owner: string
}

/** What to sign. The inputs hold exactly the outputs and the fee. */
export interface Selection {
  /** Largest first. */
  readonly inputs: ReadonlyArray<Coin>
  /** The payment; then the change, if there is any. Whoever makes the transaction may order them anew. */
  readonly outputs: ReadonlyArray<Output>
  readonly fee: Amount
  /** 0: no output for it. */
  readonly change: Amount
  readonly bytes: number
  /**
   * What this selection costs beyond the amount, now and later: its fee, and the spending of its change at the long-term
   * rate, less what its inputs would cost at that rate if they were kept. It can be negative. A witness counts as spared
   * only where the owner keeps no coin: so coins of one owner are taken together.
   */
  readonly waste: number
}

/** A payment that is to be made. */
export interface Payment {
  readonly coins: ReadonlyArray<Coin>
  readonly amount: Amount
  readonly recipient: string
  /** Another address of the payer, or the sender. */
  readonly changeTo: string
  readonly costs: Costs
  readonly dice: Dice
}

type Choice = ReadonlyArray<Coin>
type Outcome = Result.Result<Selection, WalletReject>

const fail = (reject: WalletReject): Result.Result<never, WalletReject> => Result.fail(reject)
const unitsOf = (coins: Choice): number => coins.reduce((sum, { units }) => sum + units, 0)
const bytesOf = (coins: Choice): number =>
  coins.length * inputBytes + new Set(coins.map(({ owner }) => owner)).size * witnessBytes

const countByOwner = (coins: Choice): ReadonlyMap<string, number> => {
  const counts = new Map<string, number>()
  for (const { owner } of coins) counts.set(owner, (counts.get(owner) ?? 0) + 1)
  return counts
}

/** Settles fee, change and waste of chosen coins, which can pay. `held` counts the owners' coins. */
const settle = (
  inputs: Choice,
  { amount, recipient, changeTo }: Pick<Payment, "amount" | "recipient" | "changeTo">,
  terms: Terms,
  held: ReadonlyMap<string, number>
): Selection => {
  const chosen = countByOwner(inputs)
  const units = unitsOf(inputs)
  const plain = terms.fixedBytes + outputBytes + inputs.length * inputBytes + chosen.size * witnessBytes
  const rest = units - amount - feeOf(terms, plain + outputBytes)
  const change = (rest >= terms.dust ? rest : 0) as Amount
  const bytes = change > 0 ? plain + outputBytes : plain
  const fee = (units - amount - change) as Amount
  assert(fee >= feeOf(terms, bytes), "a solver proposes only coins that pay")
  const keeps = (owner: string): boolean => (held.get(owner) ?? 0) > (chosen.get(owner) ?? 0)
  const emptied = [...chosen.keys()].filter((owner) => !keeps(owner)).length
  const spared = inputs.length * inputBytes + emptied * witnessBytes
  const added = change === 0 ? 0 : inputBytes + (keeps(changeTo) ? 0 : witnessBytes)
  const payment = { units: amount, owner: recipient }
  return {
    inputs,
    outputs: change > 0 ? [payment, { units: change, owner: changeTo }] : [payment],
    fee,
    change,
    bytes,
    waste: fee + terms.longTermRate * (added - spared)
  }
}

/** The coins, largest first, until they pay. `thrifty` passes over a coin that does not pay for its owner's witness itself. */
const largestUntilPaid = (pool: Pool, thrifty: boolean): Choice | undefined => {
  const purse = new Purse(pool)
  const taken: Array<Coin> = []
  const alone = pool.terms.feeRate * spendBytes
  for (const [i, coin] of pool.coins.entries()) {
    if (purse.count >= pool.terms.inputsMax) return undefined
    if (thrifty && coin.units <= alone && !purse.signs(i)) continue
    purse.add(i)
    taken.push(coin)
    if (purse.excess >= 0) return taken
  }
  return undefined
}

/** A way to propose choices for a payment; the one that wastes least is taken. */
export type Solver = (pool: Pool, dice: Dice) => ReadonlyArray<Choice>

/** Largest first: the fewest inputs. Nothing, if so many as there may be do not pay. */
export const largestFirst: Solver = (pool) => {
  const found = largestUntilPaid(pool, true) ?? largestUntilPaid(pool, false)
  return found === undefined ? [] : [found]
}

/**
 * The change that the knapsack aims at: between half and twice the amount, by chance. So change can be spent again, and who
 * reads the chain cannot tell by its size which output it is.
 */
const changeGoal = ({ amount, terms }: Pool, dice: Dice): number =>
  Math.max(terms.dust, Math.ceil((amount * (0x8000 + dice.int(0x1_8000))) / 0x1_0000))

const solve: Solver = (pool, dice) => {
  const exact = branchAndBound(pool)
  const roomy = knapsack(pool, changeGoal(pool, dice), dice)
  const changing = roomy.length > 0 ? roomy : knapsack(pool, pool.terms.dust, dice)
  return [...(exact === undefined ? [] : [exact]), ...changing, ...largestFirst(pool, dice)]
}

/** The coins of the owner who has least among those who can pay alone, or undefined. */
const poorestAble = ({ coins, owner, ownerCoins, units, amount, terms }: Pool): Choice | undefined => {
  const count = new Int32Array(ownerCoins.length)
  const sum = new Float64Array(ownerCoins.length)
  for (let i = 0; i < coins.length; i++) {
    const at = owner[i]!
    if (count[at]! >= terms.inputsMax) continue
    count[at]!++
    sum[at]! += units[i]!
  }
  const base = terms.fixedBytes + outputBytes + witnessBytes
  let best = -1
  for (let at = 0; at < sum.length; at++) {
    const pays = sum[at]! - amount >= feeOf(terms, base + count[at]! * inputBytes)
    if (pays && (best < 0 || sum[at]! < sum[best]!)) best = at
  }
  return best < 0 ? undefined : coins.filter((_, i) => owner[i] === best)
}

/** All ways, for all coins and for those of one owner. */
const everyWay: Solver = (pool, dice) => {
  const alone = pool.ownerCoins.length > 1 ? poorestAble(pool) : undefined
  return [...solve(pool, dice), ...(alone === undefined ? [] : solve(makePool(alone, pool.amount, pool.terms), dice))]
}

/** Less waste; of equals fewer owners, then more inputs: fewer coins for every node to keep. */
const better = (a: Selection, b: Selection): number =>
  a.waste - b.waste ||
  countByOwner(a.inputs).size - countByOwner(b.inputs).size ||
  b.inputs.length - a.inputs.length ||
  a.fee - b.fee

const tooMany = (available: number, needed: number, inputsMax: number): Result.Result<never, WalletReject> =>
  fail({
    code: "too-many-coins",
    message: `The coins are too small: more than ${inputsMax} would be needed. Consolidate some of them first.`,
    available,
    needed,
    inputsMax
  })

const fundsTooLow = (available: number, needed: number): Result.Result<never, WalletReject> =>
  fail({
    code: "funds-too-low",
    message: `${needed} units are needed, fee included; the coins worth their cost hold ${available}.`,
    available,
    needed
  })

const isDust = ({ dust }: Terms): Result.Result<never, WalletReject> =>
  fail({
    code: "amount-is-dust",
    message: `At this rate an output of less than ${dust} units costs more to spend than it holds.`,
    dust
  })

/** The terms and the coins worth their cost at them, or what is wrong with either. */
const prepare = (
  costs: Costs,
  coins: Choice
): Result.Result<{ readonly terms: Terms; readonly coins: Choice }, WalletReject> => {
  const terms = parseCosts(costs)
  if (Result.isFailure(terms)) return Result.fail(terms.failure)
  const worthy = parseCoins(coins, terms.success)
  if (Result.isFailure(worthy)) return Result.fail(worthy.failure)
  return Result.succeed({ terms: terms.success, coins: worthy.success })
}

/**
 * Coins, fee and change for a payment. Refused: `amount-invalid`, `costs-invalid`, `coins-invalid`, `amount-is-dust`,
 * `funds-too-low`, `too-many-coins`.
 *
 * Privacy: spending coins of two owners together shows that they are one person. So the waste counts the second witness,
 * the owner who has least among those who can pay alone is also tried alone, and of equals the selection with fewer owners
 * is taken. Coins of one owner are not forced together: a wallet with one address would spend all it has in each payment,
 * and could not pay again before the next block. `solver` is for comparisons.
 */
export const select = (payment: Payment, solver: Solver = everyWay): Outcome => {
  const { amount, dice } = payment
  if (!isAmount(amount) || amount < 1) return fail({ code: "amount-invalid", message: "A whole number, at least 1." })
  const prepared = prepare(payment.costs, payment.coins)
  if (Result.isFailure(prepared)) return Result.fail(prepared.failure)
  const { terms, coins } = prepared.success
  if (amount < terms.dust) return isDust(terms)
  const available = unitsOf(coins)
  const needed = amount + feeOf(terms, terms.fixedBytes + outputBytes + Math.max(spendBytes, bytesOf(coins)))
  if (available < needed) return fundsTooLow(available, needed)
  const held = countByOwner(coins)
  const selections = solver(makePool(coins, amount, terms), dice).flatMap(
    (choice) => settle(choice, payment, terms, held) ?? []
  )
  const best = selections.toSorted(better)[0]
  return best === undefined ? tooMany(available, needed, terms.inputsMax) : Result.succeed(best)
}

/** Everything in one output: the fee is taken from the amount, and a coin that costs more than it holds stays. */
export const sendAll = (wish: {
  readonly coins: ReadonlyArray<Coin>
  readonly recipient: string
  readonly costs: Costs
}): Outcome => {
  const prepared = prepare(wish.costs, wish.coins)
  if (Result.isFailure(prepared)) return Result.fail(prepared.failure)
  const { terms, coins } = prepared.success
  return join(coins, coins, wish.recipient, terms)
}

/** Some of the coins into one output, without change. */
const join = (inputs: Choice, coins: Choice, recipient: string, terms: Terms): Outcome => {
  const available = unitsOf(inputs)
  const fee = feeOf(terms, terms.fixedBytes + outputBytes + Math.max(spendBytes, bytesOf(inputs)))
  if (available <= fee) return fundsTooLow(available, fee + 1)
  if (inputs.length > terms.inputsMax) return tooMany(available, available, terms.inputsMax)
  const amount = (available - fee) as Amount
  if (amount < terms.dust) return isDust(terms)
  return Result.succeed(settle(inputs, { amount, recipient, changeTo: recipient }, terms, countByOwner(coins)))
}

/**
 * The smallest coins, as many as fit, in one coin of `to`. Refused with `consolidation-does-not-pay`: fewer than two coins,
 * or, unless it was `asked` for, a fee not below what it saves at the long-term rate. It shows that all their owners are
 * one: who minds gives the coins of one owner. Other refusals as of `select`.
 */
export const consolidate = (wish: {
  readonly coins: ReadonlyArray<Coin>
  readonly to: string
  readonly costs: Costs
  readonly asked?: boolean
}): Outcome => {
  const prepared = prepare(wish.costs, wish.coins)
  if (Result.isFailure(prepared)) return Result.fail(prepared.failure)
  const { terms, coins } = prepared.success
  const inputs = coins.slice(-terms.inputsMax)
  const joined = join(inputs, coins, wish.to, terms)
  if (Result.isFailure(joined)) return joined
  const { fee, waste } = joined.success
  const keeps = countByOwner(coins.slice(0, -terms.inputsMax)).has(wish.to)
  const saves = fee - waste - terms.longTermRate * (inputBytes + (keeps ? 0 : witnessBytes))
  if (inputs.length > 1 && (fee < saves || wish.asked === true)) return joined
  const message = `The fee is ${fee} units, and spending one coin in place of ${inputs.length} saves ${Math.floor(saves)}.`
  return fail({ code: "consolidation-does-not-pay", message, fee, saves })
}
