/**
 * The coin model (UTXO): money is coins, each made by one output and spent whole by one input (D-M7, F-D11).
 *
 * A payment names the coins it spends, is signed by all their owners, and pays new coins; what is left is the fee. Each
 * block opens with a coinbase that pays reward and fees to the proposer of the header; its coin is there from the next
 * block on, and to be spent `coinbaseMaturity` blocks later. A coin that is spent has no entry, so nothing is spent twice,
 * in one block or in two (defect 10); an outpoint within one payment is refused before the state is asked (defect 20).
 */
import { Result } from "effect"
import { equal, toHex, utf8 } from "../codec/bytes.ts"
import { verify } from "../crypto/signature.ts"
import { add, type Amount, amount, zero } from "./amount.ts"
import { allocationId, type Coin, coinKey, coinsOf, decodeCoin, encodeCoin, isCoin, outpointBytes } from "./coin.ts"
import { makeIssue, money } from "./issue.ts"
import type { BlockFacts, CoinRules, Ledger, Place } from "./ledger.ts"
import type { Overlay } from "./overlay.ts"
import { checkData } from "./payload.ts"
import { decodePayment, makeCoinbase } from "./payment.ts"
import { reject, type TransactionReject } from "./reject.ts"
import type { Coinbase, CoinbaseTransaction, Outpoint, Output, PaymentTransaction, Transaction } from "./transaction.ts"

/** An amount that no honest output has: nothing, or more than can ever exist; then the sum of all (defect 11). */
const checkOutputs = (rules: CoinRules, outputs: ReadonlyArray<Output>): TransactionReject | undefined => {
  let sum: number = zero
  for (const { amount: units } of outputs) {
    if (units < 1) return reject("amount-invalid", "Each output must hold at least one base unit.")
    sum += units
    if (units > rules.supplyMax || sum > rules.supplyMax) {
      return reject(
        "amount-invalid",
        `The outputs must hold at most ${money(rules, rules.supplyMax)}: more can never exist.`
      )
    }
  }
  return undefined
}

/** Rules of a payment that need no state, cheap ones first. */
const checkFields = (rules: CoinRules, { payment, spends }: PaymentTransaction): TransactionReject | undefined => {
  if (payment.inputs.length === 0) return reject("inputs-missing", "A payment spends at least one coin. Name one.")
  if (payment.outputs.length === 0)
    return reject("outputs-missing", "A payment makes at least one coin. Add an output.")
  if (payment.witnesses.length === 0) return reject("witness-missing", "Nobody has signed. Sign with the coins' keys.")
  if (new Set(spends).size !== spends.length)
    return reject("input-duplicate", "A coin can be spent once: name it once.")
  if (payment.note !== "" && utf8(payment.note).length > rules.noteBytesMax) {
    const { noteBytesMax } = rules
    return reject("note-too-long", `A note has at most ${noteBytesMax} bytes on this chain. Shorten it.`, {
      noteBytesMax
    })
  }
  return checkData(rules, payment.data) ?? checkOutputs(rules, payment.outputs)
}

const checkChain = (rules: CoinRules, chainId: string): TransactionReject | undefined =>
  chainId === rules.chainId
    ? undefined
    : reject(
        "chain-id-mismatch",
        `It is signed for chain "${chainId}"; this is "${rules.chainId}". Sign it for this one.`
      )

const textOf = ({ id, index }: Outpoint): string => `${toHex(id)}:${index}`

/** Why a coin is not there, as far as it can be told; who judges alone says unknown. */
const checkMissing = (rules: CoinRules, state: Overlay, input: Outpoint, place: Place): TransactionReject => {
  const change = state.changes.get(coinKey(input))
  const spentHere = change?.before !== undefined && change.after === undefined
  const made = spentHere || place.isConfirmed?.(input.id) === true || equal(input.id, allocationId(rules.chainId))
  return made
    ? reject("coin-spent", `The coin ${textOf(input)} is spent already. Choose another.`, { coin: textOf(input) })
    : reject("coin-unknown", `There is no coin ${textOf(input)}. Look for a wrong id or index.`, {
        coin: textOf(input)
      })
}

const checkRipe = (rules: CoinRules, coin: Coin, input: Outpoint, place: Place): TransactionReject | undefined => {
  const ripeAt = coin.height + rules.coinbaseMaturity
  if (!coin.coinbase || place.height >= ripeAt) return undefined
  return reject(
    "coin-immature",
    `The coin ${textOf(input)} is a reward and can be spent from height ${ripeAt} on; this is ${place.height}.`,
    { coin: textOf(input), ripeAt, height: place.height }
  )
}

/** The fee of a payment that the state allows, or why it does not. */
const checkSpend = (
  rules: CoinRules,
  state: Overlay,
  { payment, spends }: PaymentTransaction,
  place: Place
): Amount | TransactionReject => {
  const owners = new Map(payment.witnesses.map(({ owner }) => [toHex(owner), false]))
  let held: Amount = zero
  for (const [i, key] of spends.entries()) {
    const input = payment.inputs[i]!
    const value = state.get(key)
    if (value === undefined) return checkMissing(rules, state, input, place)
    const coin = decodeCoin(value)
    const unripe = checkRipe(rules, coin, input, place)
    if (unripe !== undefined) return unripe
    const owner = toHex(coin.owner)
    if (!owners.has(owner)) {
      return reject("coin-not-owned", `The owner of the coin ${textOf(input)} has not signed.`, { coin: textOf(input) })
    }
    owners.set(owner, true)
    held = amount(held + coin.amount)
  }
  if ([...owners.values()].includes(false)) {
    return reject("witness-unneeded", "Someone has signed who owns none of the coins. Leave that witness out.")
  }
  const paid = payment.outputs.reduce((sum, output) => sum + output.amount, 0)
  if (paid > held) {
    return reject("outputs-exceed-inputs", `It pays ${money(rules, paid)} out of ${money(rules, held)}.`, {
      held,
      paid
    })
  }
  const { feeMin } = rules
  if (held - paid < feeMin) {
    return reject("fee-too-low", `The fee must be at least ${money(rules, feeMin)}.`, { feeMin, fee: held - paid })
  }
  return amount(held - paid)
}

const misplaced = (): TransactionReject =>
  reject("coinbase-misplaced", "A coinbase stands at position 0 of a block and nowhere else; it is never sent.")

/** The fee of a transaction that may come next, or why it may not (defect 19: a coinbase may not). */
const check = (
  rules: CoinRules,
  state: Overlay,
  transaction: Transaction,
  place: Place
): Amount | TransactionReject => {
  if (transaction.kind === "coinbase") return misplaced()
  if (transaction.kind === "payment") return checkSpend(rules, state, transaction, place)
  return reject("version-unsupported", "A transfer belongs to the account ledger; this chain has coins.")
}

const apply = (
  rules: CoinRules,
  state: Overlay,
  transaction: Transaction,
  place: Place
): Amount | TransactionReject => {
  const fee = check(rules, state, transaction, place)
  if (typeof fee !== "number" || transaction.kind !== "payment") return fee
  for (const key of transaction.spends) state.set(key, undefined)
  for (const [key, coin] of coinsOf(transaction, place.height)) state.add(key, encodeCoin(coin))
  return fee
}

/** What a block must open with. */
const openingOf = (rules: CoinRules, { height, proposer }: BlockFacts, units: Amount): Coinbase => ({
  chainId: rules.chainId,
  height,
  outputs: units === 0 ? [] : [{ recipient: proposer, amount: units }]
})

/** A block's first transaction against what it must be: every difference has its name. */
const checkOpening = (opening: Transaction | undefined, wanted: Coinbase): CoinbaseTransaction | TransactionReject => {
  if (opening?.kind !== "coinbase") return reject("coinbase-missing", "The block does not open with a coinbase.")
  const { height, outputs } = opening.coinbase
  if (height !== wanted.height) {
    return reject(
      "coinbase-height-wrong",
      `The coinbase is that of height ${height}, the block that of ${wanted.height}.`
    )
  }
  const [want] = wanted.outputs
  const [got] = outputs
  if (outputs.length !== wanted.outputs.length) {
    const right = want === undefined ? "none" : "one"
    return reject("coinbase-outputs-wrong", `The coinbase has ${outputs.length} outputs; it must have ${right}.`)
  }
  if (want === undefined || got === undefined) return opening
  if (got.amount !== want.amount) {
    return reject(
      "coinbase-amount-wrong",
      `The coinbase takes ${got.amount} base units; reward and fees are ${want.amount}.`
    )
  }
  if (!equal(got.recipient, want.recipient)) {
    return reject("coinbase-recipient-wrong", "The coinbase pays another than the proposer of the header.")
  }
  return opening
}

/** The coin ledger of some rules; `allocated` units exist from the genesis on. */
export const makeCoinLedger = (rules: CoinRules, allocated: Amount): Ledger => {
  const issue = makeIssue(rules, allocated)
  const openingFor = (facts: BlockFacts, fees: Amount): Coinbase | undefined => {
    const units = add(issue.rewardAt(facts.height), fees)
    return units === undefined ? undefined : openingOf(rules, facts, units)
  }
  return {
    rules,
    ...issue,
    decode: (bytes) => {
      const decoded = decodePayment(bytes)
      if (Result.isFailure(decoded)) return decoded
      const transaction = decoded.success
      const wrong =
        transaction.kind === "coinbase"
          ? checkChain(rules, transaction.coinbase.chainId)
          : (checkChain(rules, transaction.payment.chainId) ?? checkFields(rules, transaction))
      return wrong === undefined ? decoded : Result.fail(wrong)
    },
    checkSignature: (transaction) =>
      transaction.kind === "coinbase" ||
      (transaction.kind === "payment" &&
        transaction.payment.witnesses.every(({ publicKey, signature }) =>
          verify(transaction.id, signature, publicKey)
        )),
    check: (state, transaction, place) => check(rules, state, transaction, place),
    apply: (state, transaction, place) => apply(rules, state, transaction, place),
    opens: true,
    opening: (facts, fees) => {
      const wanted = openingFor(facts, fees)
      return wanted === undefined ? undefined : makeCoinbase(wanted)
    },
    applyReward: (state, facts, fees, opening) => {
      const wanted = openingFor(facts, fees)
      if (wanted === undefined) return reject("coinbase-amount-wrong", "Reward and fees are more than can be counted.")
      const coinbase = checkOpening(opening, wanted)
      if ("code" in coinbase) return coinbase
      for (const [key, coin] of coinsOf(coinbase, facts.height)) state.add(key, encodeCoin(coin))
      return undefined
    },
    isEntry: (key, value) => key.length === outpointBytes && isCoin(value),
    unitsOf: (value) => decodeCoin(value).amount,
    ownerOf: (value) => decodeCoin(value).owner,
    allocate: (state, alloc) => {
      const id = allocationId(rules.chainId)
      for (const [index, { address, balance }] of alloc.entries()) {
        state.set(coinKey({ id, index }), encodeCoin({ owner: address, amount: balance, height: 0, coinbase: false }))
      }
    }
  }
}
