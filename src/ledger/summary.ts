/** A transaction in one line, whatever its form: who pays whom how much. For lists, events and counters; no rule asks it. */
import { toHex } from "../codec/bytes.ts"
import type { Address } from "../crypto/address.ts"
import type { Amount } from "./amount.ts"
import type { Output, Transaction } from "./transaction.ts"

export interface Summary {
  /** Who pays; the first of them, if several own the coins. Undefined: newly issued. */
  readonly payer: Address | undefined
  /** Who is paid: of a payment, the first that is not a payer himself. */
  readonly recipient: Address | undefined
  /** Units that leave the payers, the fee not counted: what a payment gives back to them is change. */
  readonly amount: Amount
}

const sum = (outputs: ReadonlyArray<Output>): Amount =>
  outputs.reduce((total, { amount }) => total + amount, 0) as Amount

export const summaryOf = (transaction: Transaction): Summary => {
  if (transaction.kind === "transfer") {
    const { sender, recipient, amount } = transaction.transfer
    return { payer: sender, recipient, amount }
  }
  if (transaction.kind === "coinbase") {
    const { outputs } = transaction.coinbase
    return { payer: undefined, recipient: outputs[0]?.recipient, amount: sum(outputs) }
  }
  const { witnesses, outputs } = transaction.payment
  const payers = new Set(witnesses.map(({ owner }) => toHex(owner)))
  const others = outputs.filter(({ recipient }) => !payers.has(toHex(recipient)))
  return { payer: witnesses[0]?.owner, recipient: (others[0] ?? outputs[0])?.recipient, amount: sum(others) }
}

/** Whom a transaction concerns, some maybe twice: who pays and who is paid. */
export const partiesOf = (transaction: Transaction): ReadonlyArray<Address> => {
  if (transaction.kind === "transfer") return [transaction.transfer.sender, transaction.transfer.recipient]
  if (transaction.kind === "coinbase") return transaction.coinbase.outputs.map(({ recipient }) => recipient)
  const { witnesses, outputs } = transaction.payment
  return [...witnesses.map(({ owner }) => owner), ...outputs.map(({ recipient }) => recipient)]
}
