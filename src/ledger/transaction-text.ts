/** A transaction of any form as JSON. */
import type { Result } from "effect"
import type { LedgerRules } from "./ledger.ts"
import { type CoinbaseText, formatCoinbase, formatPayment, parsePayment, type PaymentText } from "./payment-text.ts"
import type { TransactionReject } from "./reject.ts"
import type { Transaction } from "./transaction.ts"
import { formatTransfer, parseTransfer, type TransferText } from "./transfer-text.ts"

export type TransactionText = TransferText | PaymentText | CoinbaseText

/** The JSON form. */
export const formatTransaction = (transaction: Transaction, prefix: string): TransactionText => {
  switch (transaction.kind) {
    case "transfer":
      return formatTransfer(transaction, prefix)
    case "payment":
      return formatPayment(transaction, prefix)
    case "coinbase":
      return formatCoinbase(transaction, prefix)
  }
}

/** A transaction in one line, for lists: who pays whom how much; what goes back to a payer is change and not counted. */
export const lineOf = (
  one: TransactionText
): { readonly from: string; readonly to: string; readonly amount: number; readonly note: string } => {
  if (one.kind === "transfer") return { from: one.sender, to: one.recipient, amount: one.amount, note: one.note }
  const sum = (outputs: PaymentText["outputs"]): number => outputs.reduce((total, { amount }) => total + amount, 0)
  if (one.kind === "coinbase") {
    return { from: "", to: one.outputs[0]?.recipient ?? "", amount: sum(one.outputs), note: "" }
  }
  const payers = new Set(one.witnesses.map(({ owner }) => owner))
  const others = one.outputs.filter(({ recipient }) => !payers.has(recipient))
  const to = (others[0] ?? one.outputs[0])?.recipient ?? ""
  return { from: one.witnesses[0]?.owner ?? "", to, amount: sum(others), note: one.note }
}

/** The transaction of parsed JSON, in the form of that money model. */
export const parseTransaction = (
  json: unknown,
  prefix: string,
  model: LedgerRules["model"]
): Result.Result<Transaction, TransactionReject> =>
  model === "account" ? parseTransfer(json, prefix) : parsePayment(json, prefix)
