/** What a wallet weighs when it pays with coins: the coins, the sizes and costs, and the reasons not to pay. */
import { Result } from "effect"
import { type Amount, isAmount } from "../ledger/amount.ts"
import { selectionCoinsMax } from "../limits.ts"

/** An unspent output that the wallet can sign for. `id` names it, `owner` is the address whose key signs. */
export interface Coin {
  readonly id: string
  readonly units: Amount
  readonly owner: string
  readonly height: number
}

/** Bytes of an input. */
export const inputBytes = 36
/** Bytes of a witness: one signature over the whole transaction serves all inputs of one owner. */
export const witnessBytes = 97
/** Bytes of an output. */
export const outputBytes = 28
/** Bytes that a coin costs when it is spent alone. */
export const spendBytes = inputBytes + witnessBytes

/** What space costs, and how much of it there is. */
export interface Costs {
  /** Units a byte, at least 0; may be a fraction. */
  readonly feeRate: number
  readonly feeMin: Amount
  /** Bytes of a transaction without inputs, witnesses and outputs: about 40, the note and the data. */
  readonly fixedBytes: number
  readonly inputsMax: number
  /** Units a byte at which coins left now are expected to be spent later. `feeRate` if not given. */
  readonly longTermRate?: number
  /** The least units of an output. What it costs to spend a coin alone at `feeRate` if not given, at least 1. */
  readonly dust?: Amount
}

/** Costs that were checked, with nothing left out. */
export interface Terms extends Required<Costs> {}

/** A source of chance; the same throws give the same selection. */
export interface Dice {
  /** 0 to n - 1. */
  readonly int: (n: number) => number
}

/** Why a payment cannot be made, its stable code, and the numbers behind it in base units. Nobody's fault. */
export type WalletReject =
  | { readonly code: "amount-invalid"; readonly message: string }
  | { readonly code: "costs-invalid"; readonly message: string }
  | { readonly code: "coins-invalid"; readonly message: string }
  | { readonly code: "amount-is-dust"; readonly message: string; readonly dust: Amount }
  | { readonly code: "funds-too-low"; readonly message: string; readonly available: number; readonly needed: number }
  | {
      readonly code: "too-many-coins"
      readonly message: string
      readonly available: number
      readonly needed: number
      readonly inputsMax: number
    }
  | {
      readonly code: "consolidation-does-not-pay"
      readonly message: string
      readonly fee: number
      readonly saves: number
    }

/** The fee that so many bytes must pay. */
export const feeOf = ({ feeRate, feeMin }: Terms, bytes: number): number => Math.max(feeMin, Math.ceil(feeRate * bytes))

/** The least units worth an output: what a coin costs to be spent alone, for change may find no other of its owner. */
export const dustAt = (feeRate: number): Amount => Math.max(1, Math.ceil(feeRate * spendBytes)) as Amount

const isRate = (rate: number, bytes: number): boolean => rate >= 0 && isAmount(Math.ceil(rate * bytes))

/** The costs, whole. Refused: what is no number of its kind, or makes the fee of a full transaction one that cannot be. */
export const parseCosts = (costs: Costs): Result.Result<Terms, WalletReject> => {
  const { feeRate, feeMin, fixedBytes, inputsMax, longTermRate = feeRate } = costs
  const bytesMax = fixedBytes + 2 * outputBytes + inputsMax * spendBytes
  const fail = (message: string) => Result.fail({ code: "costs-invalid", message } as const)
  if (!isAmount(fixedBytes) || !isAmount(inputsMax) || inputsMax < 1 || !isAmount(bytesMax))
    return fail("fixedBytes and inputsMax are whole numbers, and inputsMax at least 1.")
  if (!isRate(feeRate, bytesMax) || !isRate(longTermRate, bytesMax))
    return fail("A rate is at least 0, and the fee of a full transaction an amount.")
  const { dust = dustAt(feeRate) } = costs
  if (!isAmount(feeMin) || !isAmount(dust) || dust < 1) return fail("feeMin and dust are amounts, and dust at least 1.")
  return Result.succeed({ feeRate, feeMin, fixedBytes, inputsMax, longTermRate, dust })
}

/** Larger first, then older, then by name: the same coins in whatever order they came. */
const compare = (a: Coin, b: Coin): number =>
  b.units - a.units || a.height - b.height || (a.id < b.id ? -1 : a.id > b.id ? 1 : 0)

/** What is wrong with a list of coins as a whole, or undefined. */
const wrongCoins = (coins: ReadonlyArray<Coin>): string | undefined => {
  if (coins.length > selectionCoinsMax) return `At most ${selectionCoinsMax} coins.`
  const ids = new Set<string>()
  let sum = 0
  for (const { id, units, height } of coins) {
    if (!isAmount(units) || !isAmount(height)) return `Coin ${id}: units and height are whole numbers.`
    ids.add(id)
    sum += units
    if (!isAmount(sum)) return "The coins hold more than there can be."
  }
  return ids.size === coins.length ? undefined : "A coin is in the list twice."
}

/**
 * The coins that are worth their cost at this rate, largest first: each holds more than its input costs, and those of an
 * owner together more than his witness too. The others are left alone, even where `feeMin` would pay for their bytes.
 */
export const parseCoins = (
  coins: ReadonlyArray<Coin>,
  { feeRate }: Terms
): Result.Result<ReadonlyArray<Coin>, WalletReject> => {
  const wrong = wrongCoins(coins)
  if (wrong !== undefined) return Result.fail({ code: "coins-invalid", message: wrong })
  const inputCost = feeRate * inputBytes
  const held = new Map<string, number>()
  for (const { owner, units } of coins)
    if (units > inputCost) held.set(owner, (held.get(owner) ?? 0) + units - inputCost)
  const worthy = coins.filter(
    ({ owner, units }) => units > inputCost && (held.get(owner) ?? 0) > feeRate * witnessBytes
  )
  return Result.succeed(worthy.sort(compare))
}
