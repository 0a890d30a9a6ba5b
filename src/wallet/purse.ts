/** Coins being chosen: what is in the purse now, what it would cost and leave over, kept up to date coin by coin. */
import type { Amount } from "../ledger/amount.ts"
import { type Coin, feeOf, inputBytes, outputBytes, type Terms, witnessBytes } from "./coin.ts"

/** What is to be paid, and the coins that may pay it: worth their cost, largest first (coin.ts, parseCoins). */
export interface Pool {
  readonly coins: ReadonlyArray<Coin>
  readonly units: Float64Array
  /** Number of each coin's owner. */
  readonly owner: Int32Array
  /** How many coins each owner has. */
  readonly ownerCoins: Int32Array
  /** What the first i coins hold, less the cost of their inputs. */
  readonly value: Float64Array
  readonly total: number
  readonly amount: Amount
  readonly terms: Terms
}

/** Coins with numbers in place of names. */
export const makePool = (coins: ReadonlyArray<Coin>, amount: Amount, terms: Terms): Pool => {
  const units = new Float64Array(coins.length)
  const owner = new Int32Array(coins.length)
  const value = new Float64Array(coins.length + 1)
  const numbers = new Map<string, number>()
  const ownerCoins: Array<number> = []
  let total = 0
  for (const [i, coin] of coins.entries()) {
    const number = numbers.get(coin.owner) ?? numbers.size
    numbers.set(coin.owner, number)
    ownerCoins[number] = (ownerCoins[number] ?? 0) + 1
    owner[i] = number
    units[i] = coin.units
    total += coin.units
    value[i + 1] = value[i]! + coin.units - terms.feeRate * inputBytes
  }
  return { coins, units, owner, ownerCoins: Int32Array.from(ownerCoins), value, total, amount, terms }
}

/** The chosen coins of a pool. Which they are, the solver remembers. */
export class Purse {
  readonly pool: Pool
  units = 0
  count = 0
  /** Owners with a coin chosen. */
  owners = 0
  /** Owners with all coins chosen. */
  emptied = 0
  private readonly chosen: Int32Array

  constructor(pool: Pool) {
    this.pool = pool
    this.chosen = new Int32Array(pool.ownerCoins.length)
  }

  add(i: number): void {
    const owner = this.pool.owner[i]!
    const chosen = ++this.chosen[owner]!
    if (chosen === 1) this.owners++
    if (chosen === this.pool.ownerCoins[owner]!) this.emptied++
    this.units += this.pool.units[i]!
    this.count++
  }

  remove(i: number): void {
    const owner = this.pool.owner[i]!
    const chosen = this.chosen[owner]!--
    if (chosen === 1) this.owners--
    if (chosen === this.pool.ownerCoins[owner]!) this.emptied--
    this.units -= this.pool.units[i]!
    this.count--
  }

  /** Whether the coin's owner signs already. */
  signs(i: number): boolean {
    return this.chosen[this.pool.owner[i]!]! > 0
  }

  get inputsBytes(): number {
    return this.count * inputBytes + this.owners * witnessBytes
  }

  /** Bytes of the transaction that pays without change. */
  get bytes(): number {
    return this.pool.terms.fixedBytes + outputBytes + this.inputsBytes
  }

  /** What is over when the amount and the fee without change are paid; negative: so much is missing. */
  get excess(): number {
    return this.units - this.pool.amount - feeOf(this.pool.terms, this.bytes)
  }

  /** What the change would be; below the dust bound there is none. */
  get change(): number {
    return this.units - this.pool.amount - feeOf(this.pool.terms, this.bytes + outputBytes)
  }

  /** Bytes that nobody has to spend later, because these coins go now: a witness only where an owner keeps no coin. */
  get sparedBytes(): number {
    return this.count * inputBytes + this.emptied * witnessBytes
  }
}
