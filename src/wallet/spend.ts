/** From the coins that a node shows to the payment that their owner signs: for the command line and the page alike. */
import { assert } from "../assert.ts"
import { fromHex } from "../codec/bytes.ts"
import { isAddress, parseAddress } from "../crypto/address.ts"
import type { Amount } from "../ledger/amount.ts"
import { noData } from "../ledger/payload.ts"
import { paymentBytes } from "../ledger/payment.ts"
import type { Outpoint, PaymentFields, TransactionId } from "../ledger/transaction.ts"
import { transactionBytesMax } from "../limits.ts"
import { type Coin, type Costs, type Dice, inputBytes, outputBytes, witnessBytes } from "./coin.ts"
import type { Selection } from "./select.ts"

/** What is needed to know of a coin as the HTTP interface shows it. */
export interface ShownCoin {
  readonly transaction_id: string
  readonly index: number
  readonly owner: string
  readonly amount: number
  readonly height: number
  readonly spendable_from: number
  readonly spent_by: string | null
}

/** Of the shown coins those that may pay in the next block: ripe, and spent by nothing that is pending. */
export const freeCoins = (coins: ReadonlyArray<ShownCoin>, tipHeight: number): ReadonlyArray<Coin> =>
  coins
    .filter(({ spendable_from: from, spent_by: spender }) => from <= tipHeight + 1 && spender === null)
    .map(({ transaction_id: id, index, amount, owner, height }) => ({
      id: `${id}:${index}`,
      units: amount as Amount,
      owner,
      height
    }))

/** What the chain and the wish say of the payment's cost, and how many coins of one owner fit it. */
export const costsOf = (wish: {
  readonly chainId: string
  readonly note: string
  readonly data: Uint8Array
  readonly feeMin: Amount
  /** Units a byte; 0: the least fee. */
  readonly feeRate: number
}): Costs => {
  const { chainId, note, data, feeMin, feeRate } = wish
  const fixedBytes = paymentBytes({ chainId, note, data, inputs: 0, outputs: 0, witnesses: 0 })
  const room = transactionBytesMax - fixedBytes - 2 * outputBytes - witnessBytes
  return { feeRate, feeMin, fixedBytes, inputsMax: Math.floor(room / inputBytes) }
}

/** Chance for a selection, from a source of random bytes. */
export const diceOf = (random: (length: number) => Uint8Array): Dice => ({
  int: (n) => {
    assert(n >= 1 && n <= 0x1_0000_0000, "dice have few sides")
    // 48 bits: no side is likelier than another by more than one in 65,536.
    return random(6).reduce((sum, byte) => sum * 256 + byte, 0) % n
  }
})

const outpointOf = ({ id }: Coin): Outpoint => {
  const bytes = fromHex(id.slice(0, 64), 32)
  assert(bytes !== undefined, "a free coin is named by id and index")
  return { id: bytes as Uint8Array as TransactionId, index: Number(id.slice(65)) }
}

/** The selection as what is signed. By chance the change stands first or last, so that its place does not tell it. */
export const fieldsOf = (
  { inputs, outputs }: Selection,
  wish: Pick<PaymentFields, "chainId" | "note" | "data"> & { readonly prefix: string; readonly dice: Dice }
): PaymentFields => {
  const paid = outputs.map(({ owner, units }) => {
    const recipient = parseAddress(owner, wish.prefix)
    assert(isAddress(recipient), "who chose the outputs has read their addresses")
    return { recipient, amount: units }
  })
  const { chainId, note, data = noData, dice } = wish
  return { chainId, note, data, inputs: inputs.map(outpointOf), outputs: dice.int(2) === 0 ? paid : paid.toReversed() }
}
