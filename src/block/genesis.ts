/**
 * The chain spec: one JSON file that chooses the money model, the seal and every parameter, and so the genesis block.
 * Two nodes agree on a chain if and only if their genesis hashes are equal: the hash covers the whole spec.
 */
import type { Amount } from "../ledger/amount.ts"
import type { LedgerRules } from "../ledger/ledger.ts"
import type { Address } from "../crypto/address.ts"
import type { Millis } from "../ledger/transaction.ts"

/** How the target of the next block follows from its ancestors. */
export type DifficultyRule =
  /** Leading hex zeros, moved by one each window (L-B5, L-B6). */
  | {
      readonly rule: "prefix-window"
      readonly blockMs: number
      readonly windowBlocks: number
      readonly prefixStart: number
      readonly prefixMin: number
      readonly prefixMax: number
    }
  /** Leading zero bits, moved by one each interval (D-V5). */
  | {
      readonly rule: "interval-bits"
      readonly blockMs: number
      readonly intervalBlocks: number
      readonly bitsStart: number
      readonly bitsMin: number
      readonly bitsMax: number
    }
  /** Leading zero bits for ever (F-D6). */
  | { readonly rule: "fixed"; readonly blockMs: number; readonly bits: number }
  /** aserti3-2d over a 256-bit target, anchored at the genesis. */
  | { readonly rule: "asert"; readonly blockMs: number; readonly halfLifeMs: number; readonly bitsStart: number; readonly bitsMin: number }

export interface TimeRule {
  /** A header's time must exceed the median of this many ancestors (fewer near genesis). Odd. */
  readonly medianBlocks: number
  /** And be at most this far ahead of the clock of who checks it. */
  readonly futureMsMax: number
}

export interface ChainSpec {
  readonly name: string
  readonly ledger: LedgerRules
  readonly difficulty: DifficultyRule
  readonly time: TimeRule
  readonly block: {
    readonly bytesMax: number
    /** Transfers in a block; the derived reward not counted. */
    readonly transactionsMax: number
    readonly extraBytesMax: number
  }
  readonly genesis: {
    readonly time: Millis
    readonly alloc: ReadonlyArray<{ readonly address: Address; readonly balance: Amount }>
    readonly note: string
  }
  /** Human-readable part of this chain's addresses. */
  readonly addressPrefix: string
}
