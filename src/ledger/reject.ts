/** Each reason to refuse a transaction, its stable code, and whose fault it is. */

/** Who answers for a refusal: an honest node never relays what is `sender`'s; the rest can happen to anyone. */
export type Blame = "nobody" | "sender"

/** Stable codes. Documented in docs/errors.md; the texts of row L-T9 with a name each. */
export const blame = {
  "transaction-malformed": "sender",
  "transaction-too-large": "sender",
  "version-unsupported": "sender",
  "chain-id-mismatch": "sender",
  "amount-invalid": "sender",
  "fee-too-low": "sender",
  "sender-mismatch": "sender",
  "public-key-invalid": "sender",
  "signature-invalid": "sender",
  "note-too-long": "sender",
  "data-too-long": "sender",
  "data-not-allowed": "sender",
  "data-missing": "sender",
  "recipient-is-sender": "sender",
  "inputs-missing": "sender",
  "outputs-missing": "sender",
  "input-duplicate": "sender",
  "witness-missing": "sender",
  "witness-unneeded": "sender",
  "coinbase-misplaced": "sender",
  "coinbase-missing": "sender",
  "coinbase-height-wrong": "sender",
  "coinbase-outputs-wrong": "sender",
  "coinbase-amount-wrong": "sender",
  "coinbase-recipient-wrong": "sender",
  "coin-unknown": "nobody",
  "coin-spent": "nobody",
  "coin-immature": "nobody",
  "coin-not-owned": "sender",
  "outputs-exceed-inputs": "sender",
  "coin-conflict": "nobody",
  "too-many-ancestors": "nobody",
  "too-many-descendants": "nobody",
  "time-out-of-range": "nobody",
  "nonce-too-low": "nobody",
  "nonce-too-high": "nobody",
  "balance-too-low": "nobody",
  "balance-overflow": "nobody",
  "already-confirmed": "nobody",
  "already-pending": "nobody",
  "pool-full": "nobody",
  "sender-queue-full": "nobody",
  "replacement-underpriced": "nobody"
} as const satisfies Record<string, Blame>

export type TransactionRejectCode = keyof typeof blame

/** A refusal: what was wrong in words for a person, and the numbers behind it for a program. */
export interface TransactionReject {
  readonly code: TransactionRejectCode
  readonly message: string
  readonly detail?: Readonly<Record<string, string | number>>
}

/** Makes a refusal. */
export const reject = (
  code: TransactionRejectCode,
  message: string,
  detail?: Readonly<Record<string, string | number>>
): TransactionReject => (detail === undefined ? { code, message } : { code, message, detail })
