/**
 * Transactions of the coin ledger: the payment, coins into coins, and the coinbase that a block opens with. Their byte
 * forms, ids and signatures. See docs/protocol.md, "Payment" and "Coinbase".
 *
 * One hash covers all inputs, all outputs, the note, the data and the chain id (defect 18), and whoever owns an input signs it once,
 * however many inputs are theirs. The witnesses are not in it, so the id does not change with a signature; they stand in
 * the order of their keys, so that nobody who relays a payment can reorder them.
 */
import { Result } from "effect"
import { assert } from "../assert.ts"
import { compare, fromUtf8, readU16, readU32, readU64, toHex, utf8, writeU64 } from "../codec/bytes.ts"
import { type Address, addressBytes, addressOf } from "../crypto/address.ts"
import { taggedHash } from "../crypto/hash.ts"
import type { Keypair } from "../crypto/keys.ts"
import { sign } from "../crypto/signature.ts"
import { noteBytesMax, payloadBytesMax, transactionBytesMax } from "../limits.ts"
import { type Amount, isAmount } from "./amount.ts"
import { fromAscii, isChainId } from "./chain-id.ts"
import { encodeOutpoint, outpointBytes } from "./coin.ts"
import { dataBytes, isData, noData, tooLong, writeData } from "./payload.ts"
import { reject, type TransactionReject } from "./reject.ts"
import {
  type Coinbase,
  type CoinbaseTransaction,
  leafOf,
  type Outpoint,
  type Output,
  type Payment,
  type PaymentFields,
  type PaymentTransaction,
  type TransactionId,
  type Witness
} from "./transaction.ts"

/** First byte of an encoding; 1 and 4 are those of a transfer. */
const paymentForm = 2
const coinbaseForm = 3
const dataForm = 5
/** Bytes of an output: recipient 20 ‖ amount u64. */
export const outputBytes = addressBytes + 8
/** Bytes of a witness: public key 33 ‖ signature 64. */
export const witnessBytes = 33 + 64

const hashPayment = taggedHash("cairn/payment", transactionBytesMax)
const hashCoinbase = taggedHash("cairn/coinbase", transactionBytesMax)

/** Bytes of a payment's encoding. */
export const paymentBytes = (payment: {
  readonly chainId: string
  readonly note: string
  /** Absent: none. */
  readonly data?: Uint8Array
  readonly inputs: number
  readonly outputs: number
  readonly witnesses: number
}): number =>
  9 +
  utf8(payment.chainId).length +
  utf8(payment.note).length +
  dataBytes(payment.data ?? noData) +
  outpointBytes * payment.inputs +
  outputBytes * payment.outputs +
  witnessBytes * payment.witnesses

const writeU16 = (out: Uint8Array, offset: number, value: number): void => {
  out[offset] = value & 0xff
  out[offset + 1] = value >>> 8
}

const writeOutputs = (out: Uint8Array, offset: number, outputs: ReadonlyArray<Output>): number => {
  writeU16(out, offset, outputs.length)
  let at = offset + 2
  for (const { recipient, amount } of outputs) {
    assert(recipient.length === addressBytes && isAmount(amount), "an output is an address and an amount")
    out.set(recipient, at)
    writeU64(out, at + addressBytes, amount)
    at += outputBytes
  }
  return at
}

const assertPayment = ({ chainId, note, data, inputs, witnesses }: Payment): void => {
  assert(isChainId(chainId) && note.isWellFormed(), "chain id and note are those of a payment")
  assert(utf8(note).length <= noteBytesMax, "a note is within its limit")
  assert(data.length <= payloadBytesMax, "data is within its limit")
  assert(inputs.every(isOutpoint), "an input is the id and the index of a coin")
  assert(witnesses.every(isWitness), "a public key has 33 bytes, a signature 64")
  assert(witnesses.every(isAfterLast), "the witnesses stand in the order of their keys, each once")
}
const isAfterLast = ({ publicKey }: Witness, i: number, all: ReadonlyArray<Witness>): boolean =>
  i === 0 || compare(all[i - 1]!.publicKey, publicKey) < 0
const isOutpoint = ({ id, index }: Outpoint): boolean =>
  id.length === 32 && Number.isInteger(index) && index >= 0 && index <= 0xffff_ffff
const isWitness = ({ publicKey, signature }: Witness): boolean => publicKey.length === 33 && signature.length === 64

/** The whole encoding of a payment. Fields out of range are a bug: what comes from outside is decoded or parsed first. */
export const encodePayment = (payment: Payment): Uint8Array => {
  assertPayment(payment)
  const { inputs, outputs, data, witnesses } = payment
  const chainId = utf8(payment.chainId)
  const note = utf8(payment.note)
  const counts = { inputs: inputs.length, outputs: outputs.length, witnesses: witnesses.length }
  const length = paymentBytes({ chainId: payment.chainId, note: payment.note, data, ...counts })
  assert(length <= transactionBytesMax, "a payment is within its limit")
  const out = new Uint8Array(length)
  out[0] = data.length === 0 ? paymentForm : dataForm
  out[1] = chainId.length
  out.set(chainId, 2)
  let at = 2 + chainId.length
  writeU16(out, at, inputs.length)
  at += 2
  for (const input of inputs) {
    out.set(encodeOutpoint(input), at)
    at += outpointBytes
  }
  at = writeOutputs(out, at, outputs)
  writeU16(out, at, note.length)
  out.set(note, at + 2)
  at = writeData(out, at + 2 + note.length, data)
  out[at++] = witnesses.length
  for (const { publicKey, signature } of witnesses) {
    out.set(publicKey, at)
    out.set(signature, at + 33)
    at += witnessBytes
  }
  return out
}

/** The part of an encoding that the owners sign: all but the witnesses and their number. A view, not a copy. */
export const signedPayment = (bytes: Uint8Array, witnesses: number): Uint8Array =>
  bytes.subarray(0, bytes.length - 1 - witnessBytes * witnesses)

const keysOf = (bytes: Uint8Array, from: number, count: number): ReadonlyArray<string> => {
  const keys: Array<string> = []
  for (let i = 0, at = from; i < count; i++, at += outpointBytes)
    keys.push(toHex(bytes.subarray(at, at + outpointBytes)))
  return keys
}

/** A payment with its bytes, id and leaf. */
export const makePayment = (payment: Payment): PaymentTransaction => {
  const bytes = encodePayment(payment)
  const id = hashPayment(signedPayment(bytes, payment.witnesses.length)) as TransactionId
  const spends = keysOf(bytes, 4 + payment.chainId.length, payment.inputs.length)
  return { kind: "payment", payment, spends, bytes, id, leaf: leafOf(bytes) }
}

/** Signs a payment with the keys of all owners of its inputs. The signatures are deterministic (RFC 6979). */
export const signPayment = (fields: PaymentFields, keys: ReadonlyArray<Keypair>): PaymentTransaction => {
  const unsigned = { ...fields, data: fields.data ?? noData }
  const { id } = makePayment({ ...unsigned, witnesses: [] })
  const witnesses = keys
    .map(({ publicKey, address, secret }) => ({ publicKey, owner: address, signature: sign(id, secret) }))
    .sort((a, b) => compare(a.publicKey, b.publicKey))
  return makePayment({ ...unsigned, witnesses })
}

/** The whole encoding of a coinbase; its id is the tagged hash of all of it. */
export const makeCoinbase = (coinbase: Coinbase): CoinbaseTransaction => {
  const chainId = utf8(coinbase.chainId)
  const bytes = new Uint8Array(12 + chainId.length + outputBytes * coinbase.outputs.length)
  assert(bytes.length <= transactionBytesMax, "a coinbase is within its limit")
  bytes[0] = coinbaseForm
  bytes[1] = chainId.length
  bytes.set(chainId, 2)
  writeU64(bytes, 2 + chainId.length, coinbase.height)
  writeOutputs(bytes, 10 + chainId.length, coinbase.outputs)
  return { kind: "coinbase", coinbase, bytes, id: hashCoinbase(bytes) as TransactionId, leaf: leafOf(bytes) }
}

const malformed = (what: string): TransactionReject =>
  reject("transaction-malformed", `The encoding is not that of a payment or coinbase: ${what}. See docs/protocol.md.`)
const fail = (refused: TransactionReject): Result.Result<never, TransactionReject> => Result.fail(refused)

/** Reads forward through an encoding; what lies beyond its end is undefined. */
class Reader {
  at = 0
  private readonly bytes: Uint8Array
  constructor(bytes: Uint8Array) {
    this.bytes = bytes
  }
  private has(count: number): boolean {
    return this.at + count <= this.bytes.length
  }
  u8(): number | undefined {
    return this.has(1) ? this.bytes[this.at++] : undefined
  }
  u16(): number | undefined {
    if (!this.has(2)) return undefined
    this.at += 2
    return readU16(this.bytes, this.at - 2)
  }
  u64(): number | undefined {
    if (!this.has(8)) return undefined
    this.at += 8
    return readU64(this.bytes, this.at - 8)
  }
  /** A view of the next bytes. */
  take(count: number): Uint8Array | undefined {
    if (!this.has(count)) return undefined
    this.at += count
    return this.bytes.subarray(this.at - count, this.at)
  }
  get ended(): boolean {
    return this.at === this.bytes.length
  }
}

const readOutputs = (reader: Reader): ReadonlyArray<Output> | TransactionReject => {
  const count = reader.u16()
  const bytes = count === undefined ? undefined : reader.take(count * outputBytes)
  if (bytes === undefined) return malformed("the outputs are cut off")
  const outputs: Array<Output> = []
  for (let at = 0; at < bytes.length; at += outputBytes) {
    const amount = readU64(bytes, at + addressBytes)
    if (amount === undefined) return malformed("an amount above 2^53 - 1")
    outputs.push({ recipient: bytes.slice(at, at + addressBytes) as Uint8Array as Address, amount: amount as Amount })
  }
  return outputs
}

const readWitnesses = (reader: Reader): ReadonlyArray<Witness> | TransactionReject => {
  const count = reader.u8()
  const bytes = count === undefined ? undefined : reader.take(count * witnessBytes)
  if (bytes === undefined) return malformed("the witnesses are cut off")
  const witnesses: Array<Witness> = []
  for (let at = 0; at < bytes.length; at += witnessBytes) {
    const publicKey = bytes.subarray(at, at + 33)
    const before = witnesses.at(-1)
    if (before !== undefined && compare(before.publicKey, publicKey) >= 0) {
      return malformed("the witnesses are not in the order of their keys")
    }
    witnesses.push({ publicKey, signature: bytes.subarray(at + 33, at + witnessBytes), owner: addressOf(publicKey) })
  }
  return witnesses
}

const isReject = <A>(outcome: ReadonlyArray<A> | TransactionReject): outcome is TransactionReject => "code" in outcome

/** The data that follows the note. */
const readData = (reader: Reader): Uint8Array | TransactionReject => {
  const data = reader.take(reader.u16() ?? Infinity)
  if (data === undefined) return malformed("the data is cut off")
  if (data.length > payloadBytesMax) return tooLong()
  return data.length === 0 ? malformed("form 5 without data") : data
}

const readPayment = (
  reader: Reader,
  { form, chainId, bytes }: { readonly form: number; readonly chainId: string; readonly bytes: Uint8Array }
): PaymentTransaction | TransactionReject => {
  const count = reader.u16()
  const from = reader.at
  const points = count === undefined ? undefined : reader.take(count * outpointBytes)
  if (count === undefined || points === undefined) return malformed("the inputs are cut off")
  const inputs: Array<Outpoint> = []
  for (let at = 0; at < points.length; at += outpointBytes) {
    inputs.push({ id: points.subarray(at, at + 32) as TransactionId, index: readU32(points, at + 32) })
  }
  const outputs = readOutputs(reader)
  if (isReject(outputs)) return outputs
  const noteBytes = reader.take(reader.u16() ?? Infinity)
  if (noteBytes === undefined) return malformed("the note is cut off")
  if (noteBytes.length > noteBytesMax) {
    return reject("note-too-long", `A note has at most ${noteBytesMax} bytes. Shorten it.`)
  }
  const note = fromUtf8(noteBytes)
  if (note === undefined) return malformed("the note is not UTF-8")
  const data = form === dataForm ? readData(reader) : noData
  if (!isData(data)) return data
  const signed = bytes.subarray(0, reader.at)
  const witnesses = readWitnesses(reader)
  if (isReject(witnesses)) return witnesses
  if (!reader.ended) return malformed("its length")
  const payment = { chainId, inputs, outputs, note, data, witnesses }
  const id = hashPayment(signed) as TransactionId
  return { kind: "payment", payment, spends: keysOf(bytes, from, count), bytes, id, leaf: leafOf(bytes) }
}

const readCoinbase = (reader: Reader, chainId: string, bytes: Uint8Array): CoinbaseTransaction | TransactionReject => {
  const height = reader.u64()
  if (height === undefined) return malformed("the height")
  const outputs = readOutputs(reader)
  if (isReject(outputs)) return outputs
  if (!reader.ended) return malformed("its length")
  const coinbase = { chainId, height, outputs }
  return { kind: "coinbase", coinbase, bytes, id: hashCoinbase(bytes) as TransactionId, leaf: leafOf(bytes) }
}

/**
 * The payment or coinbase of an encoding: shape only; what the chain demands of it is the ledger's to check. Never throws.
 * Keeps the bytes it is given, so they must stay as they are.
 */
export const decodePayment = (
  bytes: Uint8Array
): Result.Result<PaymentTransaction | CoinbaseTransaction, TransactionReject> => {
  if (bytes.length > transactionBytesMax) {
    return fail(reject("transaction-too-large", `A transaction has at most ${transactionBytesMax} bytes.`))
  }
  const reader = new Reader(bytes)
  const form = reader.u8()
  if (form !== paymentForm && form !== coinbaseForm && form !== dataForm) {
    if (form === undefined) return fail(malformed("there are no bytes"))
    const forms = "2 is a payment, 3 a coinbase, 5 a payment with data"
    return fail(reject("version-unsupported", `Form ${form} is not one of this chain; ${forms}.`))
  }
  const name = reader.take(reader.u8() ?? Infinity)
  const chainId = name === undefined ? "" : fromAscii(name, 0, name.length)
  if (!isChainId(chainId)) return fail(malformed("the chain id"))
  const read =
    form === coinbaseForm ? readCoinbase(reader, chainId, bytes) : readPayment(reader, { form, chainId, bytes })
  return "code" in read ? fail(read) : Result.succeed(read)
}
