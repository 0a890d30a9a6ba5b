/** Blocks and their bytes: bounds come before contents, and a bad transaction is named. */
import { describe, expect, test } from "bun:test"
import { Result } from "effect"
import { specOf, TestChain, transfer } from "../../test/fixtures.ts"
import { concat, writeU32 } from "../codec/bytes.ts"
import { blockBytesMax, blockTransactionsMax, extraBytesMax } from "../limits.ts"
import { type Block, decodeBlock, decodeBody, encodeBlock, encodeBody } from "./block.ts"
import { headerBytes } from "./header.ts"

const chain = new TestChain(specOf())
const { ledger } = chain.rules
const transactions = [transfer({ from: 0, to: 1, nonce: 1, note: "x" }), transfer({ from: 1, to: 2, nonce: 1 })]
const block: Block = { ...chain.next(transactions), extra: new Uint8Array([1, 2, 3]) }
const body = encodeBody(block)

test("a block comes back from its bytes as it was, the empty genesis too", () => {
  for (const each of [block, chain.rules.genesis])
    expect(decodeBlock(encodeBlock(each), ledger)).toEqual(Result.succeed(each))
})

test("a body comes back behind the header it is given", () => {
  expect(decodeBody(block.header, body, ledger)).toEqual(Result.succeed(block))
})

describe("bytes that are no block are refused:", () => {
  const whatOf = (bytes: Uint8Array): string | undefined => {
    const decoded = decodeBlock(bytes, ledger)
    return Result.isFailure(decoded) ? decoded.failure.what : undefined
  }
  const withBody = (bytes: Uint8Array): Uint8Array => concat(block.header.bytes, bytes)
  const patched = (offset: number, value: number): Uint8Array => {
    const out = body.slice()
    writeU32(out, offset, value)
    return withBody(out)
  }

  test("no byte more or less", () => {
    const bytes = encodeBlock(block)
    for (let length = 0; length < bytes.length; length++) expect(whatOf(bytes.subarray(0, length))).toBeDefined()
    expect(whatOf(concat(bytes, new Uint8Array(1)))).toBe("bytes after the last transaction")
  })

  test("longer than any block, before anything is read", () => {
    expect(whatOf(new Uint8Array(blockBytesMax + 1))).toBe("the length")
    const decoded = decodeBody(block.header, new Uint8Array(blockBytesMax + 1), ledger)
    expect(Result.isFailure(decoded) && decoded.failure.what).toBe("the length of the body")
  })

  test("lengths and counts that promise more than they hold, before anything is made for them", () => {
    const places = { extra: 0, count: 7 }
    expect([extraBytesMax + 1, 0xffff_ffff].map((n) => whatOf(patched(places.extra, n)))).toEqual(
      Array(2).fill("the length of the extra data")
    )
    expect([blockTransactionsMax + 2, 0xffff_ffff].map((n) => whatOf(patched(places.count, n)))).toEqual(
      Array(2).fill("the number of transactions")
    )
    // As many as a spec may allow, and one to open with.
    expect([3, blockTransactionsMax + 1].map((n) => whatOf(patched(places.count, n)))).toEqual(
      Array(2).fill("transaction 2 is cut off")
    )
    expect(whatOf(patched(places.count, 1))).toBe("bytes after the last transaction")
  })

  test("extra data longer than any chain may allow, though it is all there", () => {
    expect(whatOf(encodeBlock({ ...block, extra: new Uint8Array(extraBytesMax) }))).toBeUndefined()
    expect(whatOf(encodeBlock({ ...block, extra: new Uint8Array(extraBytesMax + 1) }))).toBe(
      "the length of the extra data"
    )
  })

  test("a header whose numbers leave the safe integers", () => {
    const bytes = encodeBlock(block)
    bytes.fill(255, 8, 16)
    expect(whatOf(bytes)).toBe("the header")
  })

  test("a transaction that the ledger refuses, by its place and its reject", () => {
    const alien = transfer({ from: 0, to: 1, nonce: 1, chainId: "other" })
    const decoded = decodeBlock(encodeBlock({ ...block, transactions: [transactions[0]!, alien] }), ledger)
    expect(decoded).toMatchObject({ failure: { transaction: { index: 1, reject: { code: "chain-id-mismatch" } } } })
  })

  test("transactions of no bytes at all", () => {
    const empty = new Uint8Array(8 + 2 * 4)
    writeU32(empty, 4, 4)
    expect(whatOf(withBody(empty))).toStartWith("transaction 0: ")
  })
})

test("the bytes of a block are header, extra data and transactions, and what their lengths take", () => {
  const content = block.extra.length + transactions.reduce((sum, { bytes }) => sum + bytes.length, 0)
  expect(encodeBlock(block).length).toBe(headerBytes + 8 + 2 * transactions.length + content)
})
