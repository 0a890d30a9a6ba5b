/** A block: header, transactions, extra data, and their byte form. See docs/protocol.md, "Block". */
import { Result } from "effect"
import { concat, concatAll, readU32, writeU32 } from "../codec/bytes.ts"
import { type Hash32, sha256 } from "../crypto/hash.ts"
import type { Ledger } from "../ledger/ledger.ts"
import type { TransactionReject } from "../ledger/reject.ts"
import type { Transaction } from "../ledger/transaction.ts"
import { blockBytesMax, blockTransactionsMax, extraBytesMax } from "../limits.ts"
import { decodeHeader, type Header, headerBytes, headerLengthAt } from "./header.ts"
import { merkleRoot } from "./merkle.ts"

export interface Block {
  readonly header: Header
  readonly transactions: ReadonlyArray<Transaction>
  /** The proposer's own bytes, at most the spec's `extraBytesMax`. */
  readonly extra: Uint8Array
}

/** Why bytes are not a block: what, and the transaction that is to blame, if one is. */
export interface BlockMalformed {
  readonly what: string
  readonly transaction?: { readonly index: number; readonly reject: TransactionReject }
}

/** Body: u32 extra length ‖ extra ‖ u32 count ‖ count × (u16 length ‖ transaction). */
export const encodeBody = (block: Pick<Block, "transactions" | "extra">): Uint8Array => {
  const head = new Uint8Array(8 + block.extra.length)
  writeU32(head, 0, block.extra.length)
  head.set(block.extra, 4)
  writeU32(head, 4 + block.extra.length, block.transactions.length)
  const parts: Array<Uint8Array> = [head]
  for (const { bytes } of block.transactions) {
    parts.push(new Uint8Array([bytes.length & 0xff, bytes.length >>> 8]), bytes)
  }
  return concatAll(parts)
}

/** Block: the header ‖ body. */
export const encodeBlock = (block: Block): Uint8Array => concat(block.header.bytes, encodeBody(block))

const malformed = (what: string): Result.Result<never, BlockMalformed> => Result.fail({ what })

/** The body behind a header: bounds before contents. Its transactions keep views of `bytes`. Never throws. */
export const decodeBody = (
  header: Header,
  bytes: Uint8Array,
  ledger: Pick<Ledger, "decode">
): Result.Result<Block, BlockMalformed> => {
  if (bytes.length < 8 || bytes.length > blockBytesMax) return malformed("the length of the body")
  const extraLength = readU32(bytes, 0)
  if (extraLength > extraBytesMax || extraLength + 8 > bytes.length) return malformed("the length of the extra data")
  const extra = bytes.slice(4, 4 + extraLength)
  const count = readU32(bytes, 4 + extraLength)
  // One more than a spec may allow: what a block opens with is not counted there.
  if (count > blockTransactionsMax + 1) return malformed("the number of transactions")
  const transactions: Array<Transaction> = []
  let at = 8 + extraLength
  for (let index = 0; index < count; index++) {
    const end = at + 2 + ((bytes[at] ?? 0) | ((bytes[at + 1] ?? 0) << 8))
    if (end > bytes.length) return malformed(`transaction ${index} is cut off`)
    const decoded = ledger.decode(bytes.subarray(at + 2, end))
    if (Result.isFailure(decoded)) {
      const reject = decoded.failure
      return Result.fail({ what: `transaction ${index}: ${reject.message}`, transaction: { index, reject } })
    }
    transactions.push(decoded.success)
    at = end
  }
  if (at !== bytes.length) return malformed("bytes after the last transaction")
  return Result.succeed({ header, transactions, extra })
}

/** The block of an encoding. Never throws. */
export const decodeBlock = (
  bytes: Uint8Array,
  ledger: Pick<Ledger, "decode">
): Result.Result<Block, BlockMalformed> => {
  if (bytes.length < headerBytes || bytes.length > blockBytesMax) return malformed("the length")
  const length = headerLengthAt(bytes)
  const header = decodeHeader(bytes.slice(0, length))
  return header === undefined ? malformed("the header") : decodeBody(header, bytes.subarray(length), ledger)
}

/** The root that a header must carry for these transactions. */
export const transactionRootOf = (transactions: ReadonlyArray<Transaction>): Hash32 =>
  merkleRoot(transactions.map(({ leaf }) => leaf))

/** The hash that a header must carry for this extra data. */
export const extraHashOf = (extra: Uint8Array): Hash32 => sha256(extra)
