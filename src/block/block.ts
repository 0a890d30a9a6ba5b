/** A block: header, transactions, extra data, and their byte form. See docs/protocol.md, "Block". */
import type { Transaction } from "../ledger/transaction.ts"
import type { Header } from "./header.ts"

export interface Block {
  readonly header: Header
  readonly transactions: ReadonlyArray<Transaction>
  /** The proposer's own bytes, at most the spec's `extraBytesMax`. */
  readonly extra: Uint8Array
}
