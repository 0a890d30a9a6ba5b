/**
 * A signed transfer: its shape, its one byte form, its id. See docs/protocol.md, "Transfer".
 *
 * One encoding serves signing, hashing, the wire and the store, so a note with a slash signs the same everywhere
 * (defect 6). The chain id is in the signed bytes, so nothing replays on another chain; the id is the hash that is
 * signed, so it does not change with the signature (L-T6, L-T7).
 */
import type { Brand } from "effect"
import type { Address } from "../crypto/address.ts"
import type { Hash32 } from "../crypto/hash.ts"
import type { Amount } from "./amount.ts"

/** SHA-256 of the signed bytes: what the signature signs, and the name of the transaction. */
export type TransactionId = Hash32 & Brand.Brand<"TransactionId">
/** Counts the transfers of one account from 1 (L-T8). */
export type Nonce = number & Brand.Brand<"Nonce">
/** Milliseconds since 1970, UTC. */
export type Millis = number & Brand.Brand<"Millis">

/** What a sender signs. */
export interface TransferFields {
  readonly chainId: string
  readonly sender: Address
  readonly recipient: Address
  readonly amount: Amount
  readonly fee: Amount
  readonly nonce: Nonce
  readonly time: Millis
  readonly note: string
}

/** A transfer as it travels. `publicKey` is 33 bytes compressed, `signature` 64 bytes r and s, low-S. */
export interface Transfer extends TransferFields {
  readonly version: 1
  readonly publicKey: Uint8Array
  readonly signature: Uint8Array
}

/** A transfer with what is derived from its bytes once: nothing is encoded or hashed twice. */
export interface Transaction {
  readonly transfer: Transfer
  /** The whole encoding, public key and signature included. */
  readonly bytes: Uint8Array
  readonly id: TransactionId
  /** Leaf of the block's transaction tree; covers the signature too, so a body is bound to its header bit by bit. */
  readonly leaf: Hash32
}
