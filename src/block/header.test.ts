/** The header: where each field lies, what the seal covers, when it is met. */
import { expect, test } from "bun:test"
import { keyOf, specOf } from "../../test/fixtures.ts"
import { makeRules } from "../chain/rules.ts"
import { concat, toHex, utf8 } from "../codec/bytes.ts"
import { asHash, sha256 } from "../crypto/hash.ts"
import type { Millis } from "../ledger/transaction.ts"
import {
  type BlockHash,
  chainTag,
  decodeHeader,
  encodeHeader,
  hashHeader,
  headerBytes,
  type Height,
  makeHeader,
  meetsTarget,
  sealDigest,
  type Target
} from "./header.ts"

const filled = (value: number): Uint8Array => new Uint8Array(32).fill(value)
const header = makeHeader({
  version: 0x04030201,
  chainTag: 0x08070605,
  height: 0x0c0b0a09 as Height,
  time: 0x1f_ffff_ffff_ffff as Millis,
  previous: asHash(filled(1)) as BlockHash,
  transactionRoot: asHash(filled(2)),
  stateRoot: asHash(filled(3)),
  target: filled(4) as Target,
  proposer: keyOf(0).address,
  extraHash: asHash(filled(5)),
  nonce: 0x100
})

test("a header is 212 bytes, each field at its place, little-endian", () => {
  const words = ["01020304", "05060708", "090a0b0c00000000", "ffffffffffff1f00"]
  const hashes = ["01", "02", "03", "04"].map((byte) => byte.repeat(32))
  const rest = [toHex(keyOf(0).address), "05".repeat(32), "0001000000000000"]
  expect(toHex(header.bytes)).toBe([...words, ...hashes, ...rest].join(""))
  expect(headerBytes).toBe(header.bytes.length)
})

test("a header comes back from its bytes as it was, the genesis too", () => {
  for (const each of [header, makeRules(specOf()).genesis.header]) {
    expect(decodeHeader(each.bytes)).toEqual(each)
    expect(encodeHeader(each)).toEqual(each.bytes)
  }
})

test("bytes of another length, or a number above 2^53 - 1, are no header", () => {
  for (const length of [0, 211, 213]) expect(decodeHeader(new Uint8Array(length))).toBeUndefined()
  for (const offset of [8, 16, 204]) {
    const bytes = header.bytes.slice()
    bytes[offset + 6] = 0x20
    expect(decodeHeader(bytes)).toBeUndefined()
  }
})

test("the hash is SHA-256 of the hash of all but the nonce, and the nonce: a seal covers every byte (defect 1)", () => {
  const { bytes, hash } = header
  expect(hash).toEqual(sha256(concat(sha256(bytes.subarray(0, 204)), bytes.subarray(204))) as BlockHash)
  const hashes = new Set([header.id])
  for (let i = 0; i < headerBytes; i++) {
    const other = bytes.slice()
    other[i]! ^= 1
    hashes.add(toHex(hashHeader(other)))
  }
  expect(hashes.size).toBe(headerBytes + 1)
})

test("what a miner hashes beside the nonce does not depend on the nonce", () => {
  expect(sealDigest(makeHeader({ ...header, nonce: 77 }).bytes)).toEqual(sealDigest(header.bytes))
})

test("a target is met at or below it, as big-endian numbers", () => {
  const target = filled(0x80)
  const next = (byte: number, by: number): Uint8Array => target.map((value, i) => (i === byte ? value + by : value))
  expect([target, next(31, -1), next(0, -1), filled(0)].map((hash) => meetsTarget(hash, target))).toEqual([
    true,
    true,
    true,
    true
  ])
  expect([next(31, 1), next(0, 1), filled(255)].map((hash) => meetsTarget(hash, target))).toEqual([false, false, false])
})

test("a chain tag is the first four bytes of the hash of the chain id", () => {
  expect(chainTag("cairn")).toBe(new DataView(sha256(utf8("cairn")).buffer as ArrayBuffer).getUint32(0, true))
  expect(chainTag("cairn")).not.toBe(chainTag("cairn-dev"))
})
