/**
 * A signed transfer of the account ledger: its one byte form, its id, its signature. See docs/protocol.md, "Transfer".
 *
 * One encoding serves signing, hashing, the wire and the store, so a note with a slash signs the same everywhere
 * (defect 6). The chain id is in the signed bytes, so nothing replays on another chain; the id is the hash that is
 * signed, so it does not change with the signature (L-T6, L-T7).
 */
import { Result } from "effect"
import { assert } from "../assert.ts"
import { fromUtf8, readU16, readU64, utf8, writeU64 } from "../codec/bytes.ts"
import type { Address } from "../crypto/address.ts"
import { sha256 } from "../crypto/hash.ts"
import type { Keypair } from "../crypto/keys.ts"
import { sign } from "../crypto/signature.ts"
import { noteBytesMax, payloadBytesMax, transferBytesMax } from "../limits.ts"
import { type Amount, isAmount } from "./amount.ts"
import { fromAscii, isChainId } from "./chain-id.ts"
import { dataBytes, noData, tooLong, writeData } from "./payload.ts"
import { reject, type TransactionReject } from "./reject.ts"
import {
  leafOf,
  type Millis,
  type Nonce,
  type Transaction,
  type TransactionId,
  type Transfer,
  type TransferFields,
  type TransferTransaction
} from "./transaction.ts"

/** First byte of an encoding; 2, 3 and 5 are those of the coin ledger. */
const plainForm = 1
const dataForm = 4
/** Bytes of the encoding that do not depend on chain id, note and data. */
const fixedBytes = 1 + 1 + 20 + 20 + 4 * 8 + 2 + 33 + 64
const signatureBytes = 33 + 64
const tag = utf8("cairn/transfer")
/** Scratch for hashing tag ‖ signed part without an allocation a transfer. */
const scratch = new Uint8Array(tag.length + transferBytesMax)
scratch.set(tag)
/** Nothing but what decodes to the same may be signed: no fraction cut off, no half of a character replaced (defects 11, 13). */
const assertInRange = (transfer: Transfer): void => {
  const { amount, fee, nonce, time, sender, recipient, publicKey, signature } = transfer
  assert(transfer.version === 1 && isChainId(transfer.chainId), "version and chain id are those of a transfer")
  assert(
    [amount, fee, nonce, time].every(isAmount),
    "the numbers of a transfer are safe integers, none of them negative"
  )
  assert(sender.length === 20 && recipient.length === 20, "an address has 20 bytes")
  assert(publicKey.length === 33 && signature.length === 64, "a public key has 33 bytes, a signature 64")
  assert(transfer.note.isWellFormed(), "a note has no half of a surrogate pair")
  assert(transfer.data.length <= payloadBytesMax, "data is within its limit")
}

/** The whole encoding of a transfer. Fields out of range are a bug: what comes from outside is decoded or parsed first. */
export const encodeTransfer = (transfer: Transfer): Uint8Array => {
  assertInRange(transfer)
  const chainId = utf8(transfer.chainId)
  const note = transfer.note === "" ? undefined : utf8(transfer.note)
  const noteLength = note?.length ?? 0
  assert(noteLength <= noteBytesMax, "a note is within its limit")
  const out = new Uint8Array(fixedBytes + chainId.length + noteLength + dataBytes(transfer.data))
  out[0] = transfer.data.length === 0 ? plainForm : dataForm
  out[1] = chainId.length
  out.set(chainId, 2)
  let at = 2 + chainId.length
  out.set(transfer.sender, at)
  out.set(transfer.recipient, at + 20)
  writeU64(out, at + 40, transfer.amount)
  writeU64(out, at + 48, transfer.fee)
  writeU64(out, at + 56, transfer.nonce)
  writeU64(out, at + 64, transfer.time)
  at += 72
  out[at] = noteLength & 0xff
  out[at + 1] = noteLength >>> 8
  if (note !== undefined) out.set(note, at + 2)
  at = writeData(out, at + 2 + noteLength, transfer.data)
  out.set(transfer.publicKey, at)
  out.set(transfer.signature, at + 33)
  return out
}

/** The part of an encoding that its sender signs: all but public key and signature. A view, not a copy. */
export const signedPart = (bytes: Uint8Array): Uint8Array => bytes.subarray(0, bytes.length - signatureBytes)

/** The hash that a sender signs, and the transaction's id: SHA-256("cairn/transfer" ‖ signed part). */
const hashSignedPart = (bytes: Uint8Array): TransactionId => {
  const signed = signedPart(bytes)
  scratch.set(signed, tag.length)
  return sha256(scratch.subarray(0, tag.length + signed.length)) as TransactionId
}

/** The transfer of a transaction that is known to be one. */
export const transferOf = (transaction: Transaction): Transfer => {
  assert(transaction.kind === "transfer", "a chain of accounts has transfers")
  return transaction.transfer
}

/** A transfer with its bytes, id and leaf. */
export const makeTransfer = (transfer: Transfer): TransferTransaction => {
  const bytes = encodeTransfer(transfer)
  return { kind: "transfer", transfer, bytes, id: hashSignedPart(bytes), leaf: leafOf(bytes) }
}

/** Signs the fields with the sender's key pair. The signature is deterministic (RFC 6979). */
export const signTransfer = (fields: Omit<TransferFields, "sender">, key: Keypair): TransferTransaction => {
  const unsigned: Transfer = {
    ...fields,
    version: 1,
    data: fields.data ?? noData,
    sender: key.address,
    publicKey: key.publicKey,
    signature: new Uint8Array(64)
  }
  const id = makeTransfer(unsigned).id
  return makeTransfer({ ...unsigned, signature: sign(id, key.secret) })
}

const malformed = (what: string): Result.Result<never, TransactionReject> =>
  Result.fail(reject("transaction-malformed", `The encoding is not that of a transfer: ${what}. See docs/protocol.md.`))

/**
 * The transaction of an encoding: shape only; what the chain demands of it is the ledger's to check. Never throws.
 * Keeps the bytes it is given, so they must stay as they are.
 */
export const decodeTransfer = (bytes: Uint8Array): Result.Result<TransferTransaction, TransactionReject> => {
  if (bytes.length > transferBytesMax) {
    return Result.fail(reject("transaction-too-large", `A transaction has at most ${transferBytesMax} bytes.`))
  }
  if (bytes.length < fixedBytes) return malformed("too short")
  const form = bytes[0]
  if (form !== plainForm && form !== dataForm) {
    return Result.fail(
      reject("version-unsupported", `Form ${form} is not one of this chain; 1 is a transfer, 4 one with data.`)
    )
  }
  const chainIdLength = bytes[1]!
  let at = 2 + chainIdLength
  if (bytes.length < fixedBytes + chainIdLength) return malformed("too short")
  const chainId = fromAscii(bytes, 2, chainIdLength)
  if (!isChainId(chainId)) return malformed("the chain id")
  const amount = readU64(bytes, at + 40)
  const fee = readU64(bytes, at + 48)
  const nonce = readU64(bytes, at + 56)
  const time = readU64(bytes, at + 64)
  if (amount === undefined || fee === undefined || nonce === undefined || time === undefined) {
    return malformed("a number above 2^53 - 1")
  }
  const sender = bytes.slice(at, at + 20) as Uint8Array as Address
  const recipient = bytes.slice(at + 20, at + 40) as Uint8Array as Address
  at += 72
  const noteLength = readU16(bytes, at)
  const noteEnd = at + 2 + noteLength
  const dataLength = form === dataForm ? readU16(bytes, noteEnd) : 0
  const dataAt = form === dataForm ? noteEnd + 2 : noteEnd
  if (bytes.length !== dataAt + dataLength + signatureBytes) return malformed("its length")
  if (noteLength > noteBytesMax) {
    return Result.fail(reject("note-too-long", `A note has at most ${noteBytesMax} bytes. Shorten it.`))
  }
  const note = noteLength === 0 ? "" : fromUtf8(bytes.subarray(at + 2, noteEnd))
  if (note === undefined) return malformed("the note is not UTF-8")
  if (dataLength > payloadBytesMax) return Result.fail(tooLong())
  if (form === dataForm && dataLength === 0) return malformed("form 4 without data")
  at = dataAt + dataLength
  const transfer: Transfer = {
    version: 1,
    chainId,
    sender,
    recipient,
    amount: amount as Amount,
    fee: fee as Amount,
    nonce: nonce as Nonce,
    time: time as Millis,
    note,
    data: dataLength === 0 ? noData : bytes.subarray(dataAt, at),
    publicKey: bytes.subarray(at, at + 33),
    signature: bytes.subarray(at + 33, at + 97)
  }
  return Result.succeed({ kind: "transfer", transfer, bytes, id: hashSignedPart(bytes), leaf: leafOf(bytes) })
}
