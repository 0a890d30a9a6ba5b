/**
 * The block header: 212 fixed bytes that commit to everything in the block. See docs/protocol.md, "Header".
 *
 * Its hash is SHA-256(SHA-256(first 204 bytes) ‖ nonce): a miner hashes 40 bytes a try, in one SHA-256 chunk, without
 * needing an engine that exposes a midstate.
 */
import type { Brand } from "effect"
import type { Address } from "../crypto/address.ts"
import { compare, readU32, readU64, toHex, utf8, writeU32, writeU64 } from "../codec/bytes.ts"
import { type Hash32, sha256 } from "../crypto/hash.ts"
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

/** Reads the chain tag of a chain id: a cheap refusal of another chain's headers. */
export const chainTag = (chainId: string): number => readU32(sha256(utf8(chainId)), 0)

/** The 212 bytes of a header. */
export const encodeHeader = (fields: HeaderFields): Uint8Array => {
  const out = new Uint8Array(headerBytes)
  writeU32(out, 0, fields.version)
  writeU32(out, 4, fields.chainTag)
  writeU64(out, 8, fields.height)
  writeU64(out, 16, fields.time)
  out.set(fields.previous, 24)
  out.set(fields.transactionRoot, 56)
  out.set(fields.stateRoot, 88)
  out.set(fields.target, 120)
  out.set(fields.proposer, 152)
  out.set(fields.extraHash, 172)
  writeU64(out, nonceOffset, fields.nonce)
  return out
}

/** What stays the same while a miner tries nonces: SHA-256 of the first 204 bytes. */
export const sealDigest = (bytes: Uint8Array): Hash32 => sha256(bytes.subarray(0, nonceOffset))

const sealScratch = new Uint8Array(40)

/** SHA-256(SHA-256(first 204 bytes) ‖ nonce). */
export const hashHeader = (bytes: Uint8Array): BlockHash => {
  sealScratch.set(sealDigest(bytes))
  sealScratch.set(bytes.subarray(nonceOffset, headerBytes), 32)
  return sha256(sealScratch) as BlockHash
}

/** A header of its fields. */
export const makeHeader = (fields: HeaderFields): Header => {
  const bytes = encodeHeader(fields)
  const hash = hashHeader(bytes)
  return { ...fields, bytes, hash, id: toHex(hash) }
}

/** The header of 212 bytes, which it keeps; undefined if there are more or fewer, or a number leaves the safe integers. */
export const decodeHeader = (bytes: Uint8Array): Header | undefined => {
  if (bytes.length !== headerBytes) return undefined
  const height = readU64(bytes, 8)
  const time = readU64(bytes, 16)
  const nonce = readU64(bytes, nonceOffset)
  if (height === undefined || time === undefined || nonce === undefined) return undefined
  const hash = hashHeader(bytes)
  return {
    version: readU32(bytes, 0),
    chainTag: readU32(bytes, 4),
    height: height as Height,
    time: time as Millis,
    previous: bytes.subarray(24, 56) as Uint8Array as BlockHash,
    transactionRoot: bytes.subarray(56, 88) as Uint8Array as Hash32,
    stateRoot: bytes.subarray(88, 120) as Uint8Array as Hash32,
    target: bytes.subarray(120, 152) as Uint8Array as Target,
    proposer: bytes.subarray(152, 172) as Uint8Array as Address,
    extraHash: bytes.subarray(172, 204) as Uint8Array as Hash32,
    nonce,
    bytes,
    hash,
    id: toHex(hash)
  }
}

/** Is the hash at or below the target? Both as big-endian numbers. */
export const meetsTarget = (hash: Uint8Array, target: Uint8Array): boolean => compare(hash, target) <= 0
