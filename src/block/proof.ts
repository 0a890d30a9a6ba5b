/**
 * Proofs that need a header and nothing else: this transaction is in that block; this account stood so after it; this coin
 * was there after it, or was not. Made by a node, checked by the page, the command line, a light client. See
 * docs/protocol.md, "Proofs".
 *
 * The way up a transaction tree is told by sides and not by index and count: a header commits to no count, so those two
 * could be changed and the proof would still hold. What is in these bytes is proven, to the last bit.
 */
import { Result } from "effect"
import { assert } from "../assert.ts"
import { concat, equal, fromHex, readU64, toHex } from "../codec/bytes.ts"
import { type Address, addressBytes } from "../crypto/address.ts"
import type { Hash32 } from "../crypto/hash.ts"
import { type AccountState, keyOf } from "../ledger/account.ts"
import type { Amount } from "../ledger/amount.ts"
import {
  type Coin,
  coinKey,
  decodeCoin,
  decodeOutpoint,
  encodeOutpoint,
  isCoin,
  outpointBytes
} from "../ledger/coin.ts"
import type { LedgerRules } from "../ledger/ledger.ts"
import type { Nonce, Outpoint, Transaction } from "../ledger/transaction.ts"
import { decodeTransaction } from "../ledger/decode.ts"
import { blockTransactionsMax, proofBytesMax, transactionBytesMax } from "../limits.ts"
import type { Block } from "./block.ts"
import { type BlockHash, decodeHeader, type Header, headerBytes, headerLengthAt, meetsTarget } from "./header.ts"
import { merkleProof } from "./merkle.ts"
import { isSealed } from "./seal.ts"
import { hashLeafInto, hashNodeInto } from "./state-page.ts"
import {
  bit,
  checkProof as checkStateProof,
  decodeProof as decodeStateProof,
  encodeProof as encodeStateProof,
  pathOf,
  type StateProof
} from "./state-tree.ts"

/** Levels of the deepest transaction tree that any chain spec allows. */
const stepsMax = Math.ceil(Math.log2(blockTransactionsMax))
/** Characters of a proof file: hex, and some room for white space. */
export const proofTextMax = 2 * proofBytesMax + 1_024

/** One step up a tree. */
export interface Step {
  readonly sibling: Uint8Array
  /** The sibling is the left half. */
  readonly left: boolean
}

/** A transfer is in the block of a header; steps from the leaf up. */
export interface TransactionProof {
  readonly kind: "transaction"
  readonly header: Header
  readonly transaction: Transaction
  readonly steps: ReadonlyArray<Step>
}

/** What the state after the block of a header says of an address: its account, or that it has none. */
export interface AccountProof {
  readonly kind: "account"
  readonly header: Header
  readonly address: Address
  readonly state: StateProof
}

/** What the state after the block of a header says of a coin's name: the coin, or that it is spent or was never made. */
export interface CoinProof {
  readonly kind: "coin"
  readonly header: Header
  readonly outpoint: Outpoint
  readonly state: StateProof
}

export type Proof = TransactionProof | AccountProof | CoinProof

/** What a proof that holds has shown. */
export type Proven = {
  /** From the leaf to the root in the header, both included: one more than there are steps. An empty place of the state is zeros. */
  readonly way: ReadonlyArray<Uint8Array>
  readonly steps: ReadonlyArray<Step>
} & (
  | TransactionProof
  | (Omit<AccountProof, "state"> & {
      /** Undefined: the address was never paid. */
      readonly account: AccountState | undefined
    })
  | (Omit<CoinProof, "state"> & {
      /** Undefined: spent by then, or never made. */
      readonly coin: Coin | undefined
    })
)

export const proofRejectCodes = [
  "proof-malformed",
  "proof-header-other",
  "proof-subject-other",
  "proof-seal-wrong",
  "proof-root-wrong"
] as const

/** Why a proof shows nothing. */
export interface ProofReject {
  readonly code: (typeof proofRejectCodes)[number]
  readonly message: string
}

/** What the reader already knows and will not take from the proof. */
export interface Expected {
  /** Hash of a header that the reader trusts. Without it the proof's own header is only held against its own target and signer. */
  readonly header?: BlockHash | undefined
  /** The transaction id, address or outpoint (36 bytes) that was asked for. */
  readonly subject?: Uint8Array | undefined
}

const fail = (code: ProofReject["code"], message: string): Result.Result<never, ProofReject> =>
  Result.fail({ code, message })
const malformed = (what: string): Result.Result<never, ProofReject> =>
  fail("proof-malformed", `This is not a proof: ${what}. See docs/protocol.md, "Proofs".`)

/** The proof that a block holds its transaction at an index; undefined if there is none at it. */
export const proveTransaction = ({ header, transactions }: Block, index: number): TransactionProof | undefined => {
  const leaves = transactions.map(({ leaf }) => leaf)
  const siblings = merkleProof(leaves, index)
  if (siblings === undefined) return undefined
  const steps: Array<Step> = []
  for (let at = index, size = leaves.length; size > 1; at >>= 1, size = (size + 1) >> 1) {
    // The last of an odd number has nobody beside it and is carried up.
    if (at % 2 === 0 && at === size - 1) continue
    steps.push({ sibling: siblings[steps.length]!, left: at % 2 === 1 })
  }
  return { kind: "transaction", header, transaction: transactions[index]!, steps }
}

const transactionKind = 1
const accountKind = 2
const coinKind = 3

/**
 * The bytes of a proof: u8 kind ‖ header, then for a transaction (1) u16 length ‖ transaction ‖ u8 number of steps ‖ u16
 * sides ‖ siblings, for an account (2) address and for a coin (3) outpoint ‖ proof of the state tree. Bit i of the sides: the
 * sibling of step i is left.
 */
export const encodeProof = (proof: Proof): Uint8Array => {
  const { header } = proof
  if (proof.kind !== "transaction") {
    const kind = new Uint8Array([proof.kind === "account" ? accountKind : coinKind])
    return concat(kind, header.bytes, subjectOf(proof), encodeStateProof(proof.state))
  }
  const { transaction, steps } = proof
  assert(steps.length <= stepsMax, "a transaction tree is no deeper than its largest block")
  const { length } = transaction.bytes
  const sides = steps.reduce((bits, { left }, i) => bits | (left ? 1 << i : 0), 0)
  return concat(
    new Uint8Array([transactionKind]),
    header.bytes,
    new Uint8Array([length & 0xff, length >>> 8]),
    transaction.bytes,
    new Uint8Array([steps.length, sides & 0xff, sides >>> 8]),
    ...steps.map(({ sibling }) => sibling)
  )
}

/** The proof of bytes: its shape only. Never throws. */
export const decodeProof = (bytes: Uint8Array): Result.Result<Proof, ProofReject> => {
  if (bytes.length <= 1 + headerBytes || bytes.length > proofBytesMax) return malformed("its length")
  const end = 1 + headerLengthAt(bytes, 1)
  const header = decodeHeader(bytes.slice(1, end))
  if (header === undefined) return malformed("its header")
  const rest = bytes.slice(end)
  if (bytes[0] === transactionKind) return decodeTransactionProof(header, rest)
  if (bytes[0] === accountKind || bytes[0] === coinKind) return decodeEntryProof(bytes[0], header, rest)
  return malformed(`its kind ${bytes[0]}`)
}

const decodeTransactionProof = (header: Header, rest: Uint8Array): Result.Result<Proof, ProofReject> => {
  const length = rest[0]! | ((rest[1] ?? 0) << 8)
  const end = 2 + length
  if (length > transactionBytesMax || rest.length < end + 3) return malformed("the length of its transaction")
  const transaction = decodeTransaction(rest.subarray(2, end))
  if (Result.isFailure(transaction)) return malformed(`its transaction, ${transaction.failure.code}`)
  const count = rest[end]!
  const sides = rest[end + 1]! | (rest[end + 2]! << 8)
  if (count > stepsMax || rest.length !== end + 3 + count * 32) return malformed("the number of its steps")
  if (sides >>> count !== 0) return malformed("the sides of its steps")
  const steps = Array.from({ length: count }, (_, i) => ({
    sibling: rest.subarray(end + 3 + i * 32, end + 35 + i * 32),
    left: ((sides >>> i) & 1) === 1
  }))
  return Result.succeed({ kind: "transaction", header, transaction: transaction.success, steps })
}

const decodeEntryProof = (kind: number, header: Header, rest: Uint8Array): Result.Result<Proof, ProofReject> => {
  const end = kind === accountKind ? addressBytes : outpointBytes
  const state = decodeStateProof(rest.subarray(end))
  if (state === undefined) return malformed("its way through the state")
  const subject = rest.slice(0, end)
  return Result.succeed(
    kind === accountKind
      ? { kind: "account", header, address: subject as Uint8Array as Address, state }
      : { kind: "coin", header, outpoint: decodeOutpoint(subject), state }
  )
}

/** What a proof is about: transaction id, address or outpoint. */
export const subjectOf = (proof: Proof | Proven): Uint8Array => {
  switch (proof.kind) {
    case "transaction":
      return proof.transaction.id
    case "account":
      return proof.address
    case "coin":
      return encodeOutpoint(proof.outpoint)
  }
}

/** Has a ledger of this model entries with such names? Then its state says of each of them that it is there, or that it is not. */
export const isOfState = (subject: Uint8Array, model: LedgerRules["model"]): boolean =>
  subject.length === (model === "account" ? addressBytes : outpointBytes)

/** What bytes prove, or why nothing. Never throws. */
export const verifyProof = (bytes: Uint8Array, expected: Expected = {}): Result.Result<Proven, ProofReject> => {
  const decoded = decodeProof(bytes)
  if (Result.isFailure(decoded)) return Result.fail(decoded.failure)
  const proof = decoded.success
  const { header } = proof
  if (expected.header !== undefined && !equal(header.hash, expected.header))
    return fail("proof-header-other", `It is a proof against header ${header.id}, not ${toHex(expected.header)}.`)
  if (expected.subject !== undefined && !equal(subjectOf(proof), expected.subject))
    return fail("proof-subject-other", `It is a proof of ${toHex(subjectOf(proof))}, not ${toHex(expected.subject)}.`)
  // The genesis has no seal.
  if (header.height > 0 && !meetsTarget(header.hash, header.target))
    return fail("proof-seal-wrong", `Header ${header.id} does not meet its own target: nobody worked for it.`)
  if (header.height > 0 && header.authority !== undefined && !isSealed(header))
    return fail("proof-seal-wrong", `Header ${header.id} is not signed by its proposer: nobody sealed it.`)
  return proof.kind === "transaction" ? climb(proof) : readState(proof)
}

/** The hashes from a leaf up. */
const wayFrom = (leaf: Uint8Array, steps: ReadonlyArray<Step>): ReadonlyArray<Uint8Array> => {
  const way = [leaf]
  for (const { sibling, left } of steps) {
    const here = way.at(-1)!
    const above = new Uint8Array(32)
    hashNodeInto(left ? sibling : here, left ? here : sibling, above)
    way.push(above)
  }
  return way
}

const climb = (proof: TransactionProof): Result.Result<Proven, ProofReject> => {
  const way = wayFrom(proof.transaction.leaf, proof.steps)
  return equal(way.at(-1)!, proof.header.transactionRoot)
    ? Result.succeed({ ...proof, way })
    : fail("proof-root-wrong", "The way up does not end at the header's transaction root.")
}

/** The way of a proof of the state, which holds. */
const stateWay = (key: string, { siblings, leaf }: StateProof): Pick<Proven, "way" | "steps"> => {
  const path = pathOf(key)
  const steps = siblings.map((sibling, depth) => ({ sibling, left: bit(path, depth) === 1 })).reverse()
  const start = new Uint8Array(32)
  if (leaf !== undefined) hashLeafInto(leaf, start)
  return { steps, way: wayFrom(start, steps) }
}

const readState = ({ state, ...proof }: AccountProof | CoinProof): Result.Result<Proven, ProofReject> => {
  const key = proof.kind === "account" ? keyOf(proof.address) : coinKey(proof.outpoint)
  const value = state.leaf !== undefined && equal(state.leaf.path, pathOf(key)) ? state.leaf.value : undefined
  if (!checkStateProof({ root: proof.header.stateRoot as Hash32, key, value, proof: state }))
    return fail("proof-root-wrong", "The way up does not end at the header's state root.")
  const way = stateWay(key, state)
  if (proof.kind === "coin") {
    if (value !== undefined && !isCoin(value)) return malformed("its entry is no coin")
    return Result.succeed({ ...proof, ...way, coin: value === undefined ? undefined : decodeCoin(value) })
  }
  const account = value === undefined ? undefined : accountOf(value)
  return value !== undefined && account === undefined
    ? malformed("its entry is no account")
    : Result.succeed({ ...proof, ...way, account })
}

/** The account of an entry's value that anyone may have written; undefined if it is none. */
const accountOf = (value: Uint8Array): AccountState | undefined => {
  if (value.length !== 16) return undefined
  const balance = readU64(value, 0)
  const nonce = readU64(value, 8)
  return balance === undefined || nonce === undefined
    ? undefined
    : { balance: balance as Amount, nonce: nonce as Nonce }
}

const fileFormat = "cairn-proof-1"

/** The text of a proof file. It holds the bytes alone: a word beside them would look proven and would not be. */
export const formatProof = (bytes: Uint8Array): string =>
  `${JSON.stringify({ format: fileFormat, proof: toHex(bytes) }, null, 1)}\n`

/** The bytes in the text of a proof file. Never throws. */
export const parseProof = (text: string): Result.Result<Uint8Array, ProofReject> => {
  if (text.length > proofTextMax) return malformed("the file is too long")
  let json: unknown
  try {
    json = JSON.parse(text)
  } catch {
    return malformed("the file is not JSON")
  }
  if (typeof json !== "object" || json === null) return malformed("the file holds no object")
  const { format, proof, ...others } = json as Readonly<Record<string, unknown>>
  if (format !== fileFormat) return malformed(`its format is not ${fileFormat}`)
  const bytes = typeof proof === "string" ? fromHex(proof) : undefined
  return bytes === undefined || Object.keys(others).length > 0
    ? malformed("the file has format and proof in hex, and nothing else")
    : Result.succeed(bytes)
}
