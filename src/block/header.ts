/**
 * The block header: 212 fixed bytes that commit to everything in the block. See docs/protocol.md, "Header".
 *
 * Its hash is SHA-256(SHA-256(first 204 bytes) ‖ nonce): a miner hashes 40 bytes a try, in one SHA-256 chunk, without
 * needing an engine that exposes a midstate.
 */
import type { Brand } from "effect"
import type { Address } from "../crypto/address.ts"
import type { Hash32 } from "../crypto/hash.ts"
import type { Millis } from "../ledger/transaction.ts"

export type BlockHash = Hash32 & Brand.Brand<"BlockHash">
/** Blocks above genesis, which is 0. */
export type Height = number & Brand.Brand<"Height">
/** 256 bits, big-endian: a seal is right if hash <= target, compared as bytes. */
export type Target = Uint8Array & Brand.Brand<"Target">

/** Little-endian integers at fixed offsets, in this order. */
export interface HeaderFields {
  /** u32 at 0; 1. */
  readonly version: number
  /** u32 at 4: the first four bytes of SHA-256 of the chain id. */
  readonly chainTag: number
  /** u64 at 8. */
  readonly height: Height
  /** u64 at 16. */
  readonly time: Millis
  /** 32 bytes at 24. */
  readonly previous: BlockHash
  /** 32 bytes at 56. */
  readonly transactionRoot: Hash32
  /** 32 bytes at 88: the state after this block. */
  readonly stateRoot: Hash32
  /** 32 bytes at 120. */
  readonly target: Target
  /** 20 bytes at 152. */
  readonly proposer: Address
  /** 32 bytes at 172: SHA-256 of the block's extra data. */
  readonly extraHash: Hash32
  /** u64 at 204, at most 2^53 - 1. */
  readonly nonce: number
}

/** A header with its bytes and its hash, made once. */
export interface Header extends HeaderFields {
  readonly bytes: Uint8Array
  readonly hash: BlockHash
  /** Lower-case hex of the hash: the key in every map and log. */
  readonly id: string
}

export const headerBytes = 212
export const nonceOffset = 204
