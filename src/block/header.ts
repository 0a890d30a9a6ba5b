/**
 * The block header: fixed bytes that commit to everything in the block. See docs/protocol.md, "Header".
 *
 * Version 1 has 212 of them. Its hash is SHA-256(SHA-256(first 204 bytes) ‖ nonce): a miner hashes 40 bytes a try, in one
 * SHA-256 chunk, without needing an engine that exposes a midstate. Version 2, of chains with authorities, has 339: 30 more
 * are hashed with the first 204, and the last 97, key and signature of who sealed it, are not part of the hash, which they sign.
 */
import type { Brand } from "effect"
import type { Address } from "../crypto/address.ts"
import { assert } from "../assert.ts"
import { compare, concat, readU32, readU64, toHex, utf8, writeU32, writeU64 } from "../codec/bytes.ts"
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
  /** From 212 on, in version 2 and in no other. */
  readonly authority?: AuthorityFields
}

/** What a vote in a header is for; `convict` comes with evidence in the block's extra data. */
export const voteKinds = ["none", "admit", "expel", "convict"] as const
export type VoteKind = (typeof voteKinds)[number]

/** What a header of version 2 has more: the rank of its sealer, a vote, the seal. All zero in a genesis. */
export interface AuthorityFields {
  /** u8 at 212: 2 if it was its sealer's turn, else 1. */
  readonly weight: number
  /** u8 at 213: an index of `voteKinds`. */
  readonly vote: VoteKind
  /** 20 bytes at 214: whom the vote is about; zeros without one. */
  readonly subject: Address
  /** u64 at 234: height of the nearest ancestor with a vote; 0 if there is none. */
  readonly lastVote: number
  /** 33 bytes at 242: the sealer's key, whose address is the proposer. */
  readonly publicKey: Uint8Array
  /** 64 bytes at 275: its signature of the header's hash. */
  readonly signature: Uint8Array
}

/** A header with its bytes and its hash, made once. */
export interface Header extends HeaderFields {
  readonly bytes: Uint8Array
  readonly hash: BlockHash
  /** Lower-case hex of the hash: the key in every map and log. */
  readonly id: string
}

export type HeaderVersion = 1 | 2
/** Bytes of a header of version 1, and the least of any. */
export const headerBytes = 212
export const nonceOffset = 204
/** Where the seal of an authority begins. */
const sealOffset = headerBytes + 30
/** Bytes of a header of version 2. */
export const authorityHeaderBytes = sealOffset + 33 + 64

/** Bytes of a header of some version; of an unknown one as of the first, so that it is read and refused by its version. */
export const headerLength = (version: number): number => (version === 2 ? authorityHeaderBytes : headerBytes)

/** Bytes of the header that begins at an offset. */
export const headerLengthAt = (bytes: Uint8Array, offset = 0): number =>
  offset + 4 > bytes.length ? headerBytes : headerLength(readU32(bytes, offset))

/** Reads the chain tag of a chain id: a cheap refusal of another chain's headers. */
export const chainTag = (chainId: string): number => readU32(sha256(utf8(chainId)), 0)

const encodeAuthority = (out: Uint8Array, fields: AuthorityFields): void => {
  out[212] = fields.weight
  out[213] = voteKinds.indexOf(fields.vote)
  out.set(fields.subject, 214)
  writeU64(out, 234, fields.lastVote)
  out.set(fields.publicKey, sealOffset)
  out.set(fields.signature, sealOffset + 33)
}

const decodeAuthority = (bytes: Uint8Array): AuthorityFields | undefined => {
  const vote = voteKinds[bytes[213]!]
  const lastVote = readU64(bytes, 234)
  if (vote === undefined || lastVote === undefined) return undefined
  return {
    weight: bytes[212]!,
    vote,
    subject: bytes.subarray(214, 234) as Uint8Array as Address,
    lastVote,
    publicKey: bytes.subarray(sealOffset, sealOffset + 33),
    signature: bytes.subarray(sealOffset + 33, authorityHeaderBytes)
  }
}

/** The bytes of a header. */
export const encodeHeader = (fields: HeaderFields): Uint8Array => {
  assert(
    (fields.version === 2) === (fields.authority !== undefined),
    "headers of version 2 and no others have a sealer"
  )
  const out = new Uint8Array(headerLength(fields.version))
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
  if (fields.authority !== undefined) encodeAuthority(out, fields.authority)
  return out
}

/** What stays the same while a miner tries nonces: SHA-256 of the first 204 bytes, and in version 2 of the 30 after the nonce. */
export const sealDigest = (bytes: Uint8Array): Hash32 => {
  const first = bytes.subarray(0, nonceOffset)
  return sha256(headerLengthAt(bytes) === headerBytes ? first : concat(first, bytes.subarray(headerBytes, sealOffset)))
}

const sealScratch = new Uint8Array(40)

/** SHA-256(seal digest ‖ nonce) of a header that some bytes begin with. */
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

/** The header of its bytes, which it keeps; undefined if there are more or fewer, or a field is none. */
export const decodeHeader = (bytes: Uint8Array): Header | undefined => {
  if (bytes.length < headerBytes || bytes.length !== headerLengthAt(bytes)) return undefined
  const height = readU64(bytes, 8)
  const time = readU64(bytes, 16)
  const nonce = readU64(bytes, nonceOffset)
  if (height === undefined || time === undefined || nonce === undefined) return undefined
  const version = readU32(bytes, 0)
  const authority = version === 2 ? decodeAuthority(bytes) : undefined
  if (version === 2 && authority === undefined) return undefined
  const hash = hashHeader(bytes)
  return {
    version,
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
    ...(authority === undefined ? {} : { authority }),
    bytes,
    hash,
    id: toHex(hash)
  }
}

/** Headers that lie one after the other, as long as each says itself; the last may be cut off. Views. */
export const splitHeaders = (bytes: Uint8Array): ReadonlyArray<Uint8Array> => {
  const rows: Array<Uint8Array> = []
  for (let at = 0; at < bytes.length; at += rows.at(-1)!.length)
    rows.push(bytes.subarray(at, Math.min(bytes.length, at + headerLengthAt(bytes, at))))
  return rows
}

/** Is the hash at or below the target? Both as big-endian numbers. */
export const meetsTarget = (hash: Uint8Array, target: Uint8Array): boolean => compare(hash, target) <= 0
