/**
 * What a transaction may be: one shape for each form, and what all of them have. The forms are encoded, signed and read
 * in `transfer.ts` (accounts) and `payment.ts` (coins). See docs/protocol.md, "Transactions".
 */
import type { Brand } from "effect"
import type { Address } from "../crypto/address.ts"
import { type Hash32, sha256 } from "../crypto/hash.ts"
import { transactionBytesMax } from "../limits.ts"
import type { Amount } from "./amount.ts"

/** The hash that the signature signs, and the name of the transaction. */
export type TransactionId = Hash32 & Brand.Brand<"TransactionId">
/** Counts the transfers of one account from 1 (L-T8). */
export type Nonce = number & Brand.Brand<"Nonce">
/** Milliseconds since 1970, UTC. */
export type Millis = number & Brand.Brand<"Millis">

/** What the sender of a transfer signs. */
export interface TransferFields {
  readonly chainId: string
  readonly sender: Address
  readonly recipient: Address
  readonly amount: Amount
  readonly fee: Amount
  readonly nonce: Nonce
  readonly time: Millis
  readonly note: string
  /** Bytes for whoever reads the chain; absent: none. No rule looks into them. */
  readonly data?: Uint8Array
}

/** Money from one account to another, as it travels. `publicKey` is 33 bytes compressed, `signature` 64 bytes r and s, low-S. */
export interface Transfer extends TransferFields {
  readonly version: 1
  /** Empty: none, and the form without them. */
  readonly data: Uint8Array
  readonly publicKey: Uint8Array
  readonly signature: Uint8Array
}

/** The name of a coin: the transaction that made it, and its place among that one's outputs. */
export interface Outpoint {
  readonly id: TransactionId
  readonly index: number
}

/** A coin to be: whose, and how much. */
export interface Output {
  readonly recipient: Address
  readonly amount: Amount
}

/** The consent of one key to the whole payment, whichever of the inputs are its own. */
export interface Witness {
  readonly publicKey: Uint8Array
  readonly signature: Uint8Array
  /** The address of the key. */
  readonly owner: Address
}

/** What the owners of the spent coins sign: all of it. What the inputs hold above the outputs is the fee (D-M4, F-D8). */
export interface PaymentFields {
  readonly chainId: string
  readonly inputs: ReadonlyArray<Outpoint>
  readonly outputs: ReadonlyArray<Output>
  readonly note: string
  /** As that of a transfer. */
  readonly data?: Uint8Array
}

/** Coins into coins, as it travels; one witness for each owner, in the order of their public keys. */
export interface Payment extends PaymentFields {
  /** Empty: none, and the form without them. */
  readonly data: Uint8Array
  readonly witnesses: ReadonlyArray<Witness>
}

/** What a block of the coin ledger opens with: reward and fees to the proposer (D-M6, F-D7). */
export interface Coinbase {
  readonly chainId: string
  readonly height: number
  /** One output, or none if there is nothing to pay. */
  readonly outputs: ReadonlyArray<Output>
}

/** What is derived from a transaction's bytes once: nothing is encoded or hashed twice. */
export interface Encoded {
  /** The whole encoding, public keys and signatures included. */
  readonly bytes: Uint8Array
  readonly id: TransactionId
  /** Leaf of the block's transaction tree; covers the signatures too, so a body is bound to its header bit by bit. */
  readonly leaf: Hash32
}

export interface TransferTransaction extends Encoded {
  readonly kind: "transfer"
  readonly transfer: Transfer
}
export interface PaymentTransaction extends Encoded {
  readonly kind: "payment"
  readonly payment: Payment
  /** Keys of the spent coins' entries, in the order of the inputs. */
  readonly spends: ReadonlyArray<string>
}
export interface CoinbaseTransaction extends Encoded {
  readonly kind: "coinbase"
  readonly coinbase: Coinbase
}

/** A transaction of any form, as blocks, pools and peers carry it. */
export type Transaction = TransferTransaction | PaymentTransaction | CoinbaseTransaction

/** Did somebody send it? A coinbase is made with its block, and goes with it. */
export const isSent = ({ kind }: Transaction): boolean => kind !== "coinbase"

/** Scratch for hashing 0x00 ‖ whole encoding. */
const leafScratch = new Uint8Array(1 + transactionBytesMax)

/** The leaf of an encoding: SHA-256(0x00 ‖ bytes). */
export const leafOf = (bytes: Uint8Array): Hash32 => {
  leafScratch.set(bytes, 1)
  return sha256(leafScratch.subarray(0, 1 + bytes.length))
}
