/**
 * A transfer as JSON: what the HTTP interface takes and gives. Hand-written and strict, so that the page, the command
 * line and the node read it by the same code without a schema library. See docs/protocol.md, "Transfer as JSON".
 */
import { Result } from "effect"
import { fromHex, toHex, utf8 } from "../codec/bytes.ts"
import { type Address, formatAddress, isAddress, parseAddress } from "../crypto/address.ts"
import { noteBytesMax } from "../limits.ts"
import { isAmount } from "./amount.ts"
import { formatData, isData, readData } from "./payload.ts"
import { reject, type TransactionReject, type TransactionRejectCode } from "./reject.ts"
import type { Millis, Nonce, TransferTransaction } from "./transaction.ts"
import { makeTransfer } from "./transfer.ts"
import { isChainId } from "./chain-id.ts"

/** Names as in row L-T2; amounts are base units, `timestamp` milliseconds, bytes lower-case hex. */
export interface TransferText {
  readonly version: number
  readonly chain_id: string
  readonly id: string
  readonly kind: "transfer"
  readonly sender: string
  readonly recipient: string
  readonly amount: number
  readonly fee: number
  readonly nonce: number
  readonly timestamp: number
  readonly note: string
  /** Absent: none. */
  readonly data?: string
  readonly public_key: string
  readonly signature: string
}

/** The JSON form. */
export const formatTransfer = ({ transfer, id }: TransferTransaction, prefix: string): TransferText => ({
  version: transfer.version,
  chain_id: transfer.chainId,
  id: toHex(id),
  kind: "transfer",
  sender: formatAddress(transfer.sender, prefix),
  recipient: formatAddress(transfer.recipient, prefix),
  amount: transfer.amount,
  fee: transfer.fee,
  nonce: transfer.nonce,
  timestamp: transfer.time,
  note: transfer.note,
  ...formatData(transfer.data),
  public_key: toHex(transfer.publicKey),
  signature: toHex(transfer.signature)
})

const required = [
  "version",
  "chain_id",
  "sender",
  "recipient",
  "amount",
  "fee",
  "nonce",
  "timestamp",
  "note",
  "public_key",
  "signature"
]
const optional = ["id", "kind", "data"]

type Refusal = Result.Result<never, TransactionReject>
const refuse = (code: TransactionRejectCode, what: string): Refusal => Result.fail(reject(code, what))
const wrong = (what: string): Refusal => refuse("transaction-malformed", what)

/** The transaction of parsed JSON. Unknown and missing fields are errors; an id, if there, must be the right one. */
export const parseTransfer = (json: unknown, prefix: string): Result.Result<TransferTransaction, TransactionReject> => {
  if (typeof json !== "object" || json === null || Array.isArray(json)) return wrong("A transaction is a JSON object.")
  const fields = json as Record<string, unknown>
  const unknown = Object.keys(fields).find((key) => !required.includes(key) && !optional.includes(key))
  if (unknown !== undefined) return wrong(`There is no field "${unknown}".`)
  const missing = required.find((key) => !Object.hasOwn(fields, key))
  if (missing !== undefined) return wrong(`The field "${missing}" is missing.`)
  if (fields["version"] !== 1) return refuse("version-unsupported", "version must be 1.")
  if (Object.hasOwn(fields, "kind") && fields["kind"] !== "transfer") {
    return wrong('kind must be "transfer": rewards are derived, never sent.')
  }
  const parsed = parseFields(fields, prefix)
  if (Result.isSuccess(parsed) && Object.hasOwn(fields, "id") && fields["id"] !== toHex(parsed.success.id)) {
    return wrong("id is not that of these fields. Leave it out, or take it from the signed bytes.")
  }
  return parsed
}

const parseFields = (
  fields: Record<string, unknown>,
  prefix: string
): Result.Result<TransferTransaction, TransactionReject> => {
  const { chain_id: chainId, amount, fee, nonce, timestamp, note } = fields
  if (typeof chainId !== "string" || !isChainId(chainId))
    return wrong("chain_id must be 1 to 32 of a-z, 0-9 and hyphen.")
  const sender = parseParty(fields["sender"], prefix)
  if (!isAddress(sender)) return wrong(`sender ${sender.wrong}.`)
  const recipient = parseParty(fields["recipient"], prefix)
  if (!isAddress(recipient)) return wrong(`recipient ${recipient.wrong}.`)
  if (!isAmount(amount) || amount < 1)
    return refuse("amount-invalid", "amount must be a whole number of base units, at least 1.")
  if (!isAmount(fee)) return refuse("amount-invalid", "fee must be a whole number of base units, 0 or more.")
  if (!isCount(nonce)) return wrong("nonce must be a whole number.")
  if (!isCount(timestamp)) return wrong("timestamp must be whole milliseconds since 1970.")
  if (typeof note !== "string" || !note.isWellFormed()) return wrong("note must be text of whole characters.")
  if (utf8(note).length > noteBytesMax) return refuse("note-too-long", `note must have at most ${noteBytesMax} bytes.`)
  const data = readData(fields["data"])
  if (!isData(data)) return Result.fail(data)
  const publicKey = parseBytes(fields["public_key"], 33)
  if (publicKey === undefined) return refuse("public-key-invalid", "public_key must be 33 bytes of lower-case hex.")
  const signature = parseBytes(fields["signature"], 64)
  if (signature === undefined) return refuse("signature-invalid", "signature must be 64 bytes of lower-case hex.")
  const numbers = { amount, fee, nonce: nonce as Nonce, time: timestamp as Millis }
  return Result.succeed(
    makeTransfer({ version: 1, chainId, sender, recipient, ...numbers, note, data, publicKey, signature })
  )
}

const parseParty = (value: unknown, prefix: string): Address | { readonly wrong: string } =>
  typeof value === "string" ? parseAddress(value, prefix) : { wrong: "must be text" }

const parseBytes = (value: unknown, length: number): Uint8Array | undefined =>
  typeof value === "string" ? fromHex(value, length) : undefined

const isCount = (value: unknown): value is number => isAmount(value)
