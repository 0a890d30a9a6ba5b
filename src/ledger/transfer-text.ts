/**
 * A transfer as JSON: what the HTTP interface takes and gives. Hand-written and strict, so that the page, the command line
 * and the node read it by the same code without a schema library. docs/protocol.md, "Transfer as JSON".
 */
import { Result } from "effect"
import { fromHex, toHex } from "../codec/bytes.ts"
import { formatAddress, isAddress, parseAddress } from "../crypto/address.ts"
import { noteBytesMax } from "../limits.ts"
import { isAmount } from "./amount.ts"
import { reject, type TransactionReject } from "./reject.ts"
import { isChainId, makeTransaction, type Millis, type Nonce, type Transaction } from "./transaction.ts"

/** Names as the reference system has them (L-T2); amounts are base units, `timestamp` milliseconds, bytes lower-case hex. */
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
  readonly public_key: string
  readonly signature: string
}

/** The JSON form. */
export const formatTransfer = ({ transfer, id }: Transaction, prefix: string): TransferText => ({
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
  public_key: toHex(transfer.publicKey),
  signature: toHex(transfer.signature)
})

const required = ["version", "chain_id", "sender", "recipient", "amount", "fee", "nonce", "timestamp", "note", "public_key", "signature"]
const optional = ["id", "kind"]
const textEncoder = new TextEncoder()

const wrong = (what: string): Result.Result<never, TransactionReject> => Result.fail(reject("transaction-malformed", what))
const isCount = (value: unknown): value is number => Number.isSafeInteger(value) && (value as number) >= 0
const isWellFormed = (text: string): boolean => text.isWellFormed()

/** The transaction of parsed JSON. Unknown and missing fields are errors; an id, if there, must be the right one. */
export const parseTransfer = (json: unknown, prefix: string): Result.Result<Transaction, TransactionReject> => {
  if (typeof json !== "object" || json === null || Array.isArray(json)) return wrong("A transaction is a JSON object.")
  const fields = json as Record<string, unknown>
  const unknown = Object.keys(fields).find((key) => !required.includes(key) && !optional.includes(key))
  if (unknown !== undefined) return wrong(`There is no field "${unknown}".`)
  const missing = required.find((key) => !Object.hasOwn(fields, key))
  if (missing !== undefined) return wrong(`The field "${missing}" is missing.`)
  if (fields["version"] !== 1) return Result.fail(reject("version-unsupported", "version must be 1."))
  if ((fields["kind"] ?? "transfer") !== "transfer") return wrong('kind must be "transfer": rewards are derived, never sent.')
  return parseFields(fields, prefix)
}

const parseFields = (fields: Record<string, unknown>, prefix: string): Result.Result<Transaction, TransactionReject> => {
  const { chain_id: chainId, amount, fee, nonce, timestamp, note } = fields
  if (typeof chainId !== "string" || !isChainId(chainId)) return wrong("chain_id must be 1 to 32 of a-z, 0-9 and hyphen.")
  const addresses: Array<Uint8Array> = []
  for (const name of ["sender", "recipient"]) {
    const text = fields[name]
    const parsed = typeof text === "string" ? parseAddress(text, prefix) : { wrong: "must be text" }
    if (!isAddress(parsed)) return wrong(`${name} ${parsed.wrong}.`)
    addresses.push(parsed)
  }
  if (!isAmount(amount) || amount < 1) return Result.fail(reject("amount-invalid", "amount must be a whole number of base units, at least 1."))
  if (!isAmount(fee)) return Result.fail(reject("fee-too-low", "fee must be a whole number of base units."))
  if (!isCount(nonce)) return wrong("nonce must be a whole number.")
  if (!isCount(timestamp)) return wrong("timestamp must be milliseconds since 1970.")
  if (typeof note !== "string" || !isWellFormed(note)) return wrong("note must be text of whole characters.")
  if (textEncoder.encode(note).length > noteBytesMax) return Result.fail(reject("note-too-long", `A note has at most ${noteBytesMax} bytes.`))
  const publicKey = typeof fields["public_key"] === "string" ? fromHex(fields["public_key"], 33) : undefined
  const signature = typeof fields["signature"] === "string" ? fromHex(fields["signature"], 64) : undefined
  if (publicKey === undefined) return Result.fail(reject("public-key-invalid", "public_key must be 33 bytes of lower-case hex."))
  if (signature === undefined) return Result.fail(reject("signature-invalid", "signature must be 64 bytes of lower-case hex."))
  const [sender, recipient] = addresses as [never, never]
  const transaction = makeTransaction({
    version: 1, chainId, sender, recipient, amount, fee, nonce: nonce as Nonce, time: timestamp as Millis, note, publicKey, signature
  })
  if (fields["id"] !== undefined && fields["id"] !== toHex(transaction.id)) return wrong("id is not that of these fields.")
  return Result.succeed(transaction)
}
