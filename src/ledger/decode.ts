/** The transaction of an encoding of any form, for who has no ledger at hand. */
import type { Result } from "effect"
import { decodePayment } from "./payment.ts"
import type { TransactionReject } from "./reject.ts"
import type { Transaction } from "./transaction.ts"
import { decodeTransfer } from "./transfer.ts"

/** Shape only; the first byte tells the form. Never throws. */
export const decodeTransaction = (bytes: Uint8Array): Result.Result<Transaction, TransactionReject> =>
  bytes[0] === 2 || bytes[0] === 3 || bytes[0] === 5 ? decodePayment(bytes) : decodeTransfer(bytes)
