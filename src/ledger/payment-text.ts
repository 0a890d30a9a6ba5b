/**
 * Payments and coinbases as JSON: what the HTTP interface takes and gives. Strict as `transfer-text.ts`, for the page and
 * the command line too. See docs/protocol.md, "Payment as JSON".
 */
import { Result } from "effect"
import { compare, equal, fromHex, toHex, utf8 } from "../codec/bytes.ts"
import { addressOf, formatAddress, isAddress, parseAddress } from "../crypto/address.ts"
import { noteBytesMax, transactionBytesMax } from "../limits.ts"
import { isAmount } from "./amount.ts"
import { isChainId } from "./chain-id.ts"
import { formatData, isData, readData } from "./payload.ts"
import { makePayment, paymentBytes } from "./payment.ts"
import { reject, type TransactionReject, type TransactionRejectCode } from "./reject.ts"
import type {
  CoinbaseTransaction,
  Outpoint,
  Output,
  PaymentTransaction,
  TransactionId,
  Witness
} from "./transaction.ts"

interface OutputText {
  readonly recipient: string
  readonly amount: number
}

/** Amounts are base units, bytes lower-case hex; a coin is named by the transaction that made it and its place there. */
export interface PaymentText {
  readonly chain_id: string
  readonly id: string
  readonly kind: "payment"
  readonly inputs: ReadonlyArray<{ readonly transaction_id: string; readonly index: number }>
  readonly outputs: ReadonlyArray<OutputText>
  readonly note: string
  /** Absent: none. */
  readonly data?: string
  readonly witnesses: ReadonlyArray<{
    readonly public_key: string
    readonly signature: string
    /** The address of the key. */
    readonly owner: string
  }>
}

export interface CoinbaseText {
  readonly chain_id: string
  readonly id: string
  readonly kind: "coinbase"
  readonly height: number
  readonly outputs: ReadonlyArray<OutputText>
}

const outputText =
  (prefix: string) =>
  ({ recipient, amount }: Output): OutputText => ({ recipient: formatAddress(recipient, prefix), amount })

/** The JSON form. */
export const formatPayment = ({ payment, id }: PaymentTransaction, prefix: string): PaymentText => ({
  chain_id: payment.chainId,
  id: toHex(id),
  kind: "payment",
  inputs: payment.inputs.map((input) => ({ transaction_id: toHex(input.id), index: input.index })),
  outputs: payment.outputs.map(outputText(prefix)),
  note: payment.note,
  ...formatData(payment.data),
  witnesses: payment.witnesses.map(({ publicKey, signature, owner }) => ({
    public_key: toHex(publicKey),
    signature: toHex(signature),
    owner: formatAddress(owner, prefix)
  }))
})

/** The JSON form; a coinbase is only ever given. */
export const formatCoinbase = ({ coinbase, id }: CoinbaseTransaction, prefix: string): CoinbaseText => ({
  chain_id: coinbase.chainId,
  id: toHex(id),
  kind: "coinbase",
  height: coinbase.height,
  outputs: coinbase.outputs.map(outputText(prefix))
})

type Fields = Readonly<Record<string, unknown>>
const refused = (code: TransactionRejectCode, what: string): TransactionReject => reject(code, what)
const wrong = (what: string): TransactionReject => refused("transaction-malformed", what)

/** The object's fields, if it has all that are required and none that is not known. */
const fieldsOf = (
  value: unknown,
  what: string,
  { required, optional = [] }: { readonly required: ReadonlyArray<string>; readonly optional?: ReadonlyArray<string> }
): { readonly fields: Fields } | TransactionReject => {
  if (typeof value !== "object" || value === null || Array.isArray(value)) return wrong(`${what} is a JSON object.`)
  const unknown = Object.keys(value).find((key) => !required.includes(key) && !optional.includes(key))
  if (unknown !== undefined) return wrong(`${what} has no field "${unknown}".`)
  const missing = required.find((key) => !Object.hasOwn(value, key))
  return missing === undefined ? { fields: value as Fields } : wrong(`${what} lacks the field "${missing}".`)
}

const isReject = <A>(outcome: ReadonlyArray<A> | TransactionReject): outcome is TransactionReject => "code" in outcome

/** Every item of a list by a reader, or the first refusal. The list is bounded by what a payment may hold. */
const listOf = <A>(
  value: unknown,
  name: string,
  read: (item: unknown, what: string) => A | TransactionReject
): ReadonlyArray<A> | TransactionReject => {
  if (!Array.isArray(value)) return wrong(`${name} must be a list.`)
  if (value.length > transactionBytesMax) return refused("transaction-too-large", `${name} is too long.`)
  const items: Array<A> = []
  for (const [i, item] of value.entries()) {
    const one = read(item, `${name}[${i}]`)
    if (typeof one === "object" && one !== null && "code" in one) return one as TransactionReject
    items.push(one as A)
  }
  return items
}

const readInput = (value: unknown, what: string): Outpoint | TransactionReject => {
  const read = fieldsOf(value, what, { required: ["transaction_id", "index"] })
  if ("code" in read) return read
  const { transaction_id: id, index } = read.fields
  const bytes = typeof id === "string" ? fromHex(id, 32) : undefined
  if (bytes === undefined) return wrong(`${what}.transaction_id must be 32 bytes of lower-case hex.`)
  if (!isAmount(index) || index > 0xffff_ffff) return wrong(`${what}.index must be a whole number below 2^32.`)
  return { id: bytes as TransactionId, index }
}

const readOutput =
  (prefix: string) =>
  (value: unknown, what: string): Output | TransactionReject => {
    const read = fieldsOf(value, what, { required: ["recipient", "amount"] })
    if ("code" in read) return read
    const { recipient, amount } = read.fields
    const address = typeof recipient === "string" ? parseAddress(recipient, prefix) : { wrong: "must be text" }
    if (!isAddress(address)) return wrong(`${what}.recipient ${address.wrong}.`)
    if (!isAmount(amount) || amount < 1)
      return refused("amount-invalid", `${what}.amount must be a whole number of base units, at least 1.`)
    return { recipient: address, amount }
  }

const readWitness =
  (prefix: string) =>
  (value: unknown, what: string): Witness | TransactionReject => {
    const read = fieldsOf(value, what, { required: ["public_key", "signature"], optional: ["owner"] })
    if ("code" in read) return read
    const { public_key: key, signature } = read.fields
    const publicKey = typeof key === "string" ? fromHex(key, 33) : undefined
    if (publicKey === undefined)
      return refused("public-key-invalid", `${what}.public_key must be 33 bytes of lower-case hex.`)
    const bytes = typeof signature === "string" ? fromHex(signature, 64) : undefined
    if (bytes === undefined)
      return refused("signature-invalid", `${what}.signature must be 64 bytes of lower-case hex.`)
    const address = addressOf(publicKey)
    if (Object.hasOwn(read.fields, "owner") && read.fields["owner"] !== formatAddress(address, prefix))
      return wrong(`${what}.owner is not the address of its key. Leave it out, or take it from the key.`)
    return { publicKey, signature: bytes, owner: address }
  }

const required = ["chain_id", "inputs", "outputs", "note", "witnesses"]

/** The payment of parsed JSON. Unknown and missing fields are errors; an id, if there, must be the right one. */
export const parsePayment = (json: unknown, prefix: string): Result.Result<PaymentTransaction, TransactionReject> => {
  const read = fieldsOf(json, "A payment", { required, optional: ["id", "kind", "data"] })
  if ("code" in read) return Result.fail(read)
  const { fields } = read
  if (Object.hasOwn(fields, "kind") && fields["kind"] !== "payment") {
    return Result.fail(wrong('kind must be "payment": a coinbase is made with its block, never sent.'))
  }
  const parsed = parseFields(fields, prefix)
  if ("code" in parsed) return Result.fail(parsed)
  if (Object.hasOwn(fields, "id") && fields["id"] !== toHex(parsed.id)) {
    return Result.fail(wrong("id is not that of these fields. Leave it out, or take it from the signed bytes."))
  }
  return Result.succeed(parsed)
}

const parseFields = (fields: Fields, prefix: string): PaymentTransaction | TransactionReject => {
  const { chain_id: chainId, note } = fields
  if (typeof chainId !== "string" || !isChainId(chainId))
    return wrong("chain_id must be 1 to 32 of a-z, 0-9 and hyphen.")
  if (typeof note !== "string" || !note.isWellFormed()) return wrong("note must be text of whole characters.")
  if (utf8(note).length > noteBytesMax) return refused("note-too-long", `note must have at most ${noteBytesMax} bytes.`)
  const data = readData(fields["data"])
  if (!isData(data)) return data
  const inputs = listOf(fields["inputs"], "inputs", readInput)
  if (isReject(inputs)) return inputs
  const outputs = listOf(fields["outputs"], "outputs", readOutput(prefix))
  if (isReject(outputs)) return outputs
  const witnesses = listOf(fields["witnesses"], "witnesses", readWitness(prefix))
  if (isReject(witnesses)) return witnesses
  const counts = { inputs: inputs.length, outputs: outputs.length, witnesses: witnesses.length }
  if (paymentBytes({ chainId, note, data, ...counts }) > transactionBytesMax) {
    return refused(
      "transaction-too-large",
      `A transaction has at most ${transactionBytesMax} bytes. Spend fewer coins.`
    )
  }
  const inOrder = witnesses.toSorted((a, b) => compare(a.publicKey, b.publicKey))
  const twice = inOrder.some(({ publicKey }, i) => i > 0 && equal(publicKey, inOrder[i - 1]!.publicKey))
  if (twice) return wrong("two witnesses are of one key: it signs once, however many inputs are its owner's.")
  return makePayment({ chainId, inputs, outputs, note, data, witnesses: inOrder })
}
