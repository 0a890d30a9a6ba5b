/**
 * The contract of a money model: check, apply, undo, supply.
 *
 * A model keeps its state as entries, bytes to bytes, and touches them only through an `Overlay`. So undo, the state
 * root, the store and the proofs are written once for every model (`account.ts` and `utxo.ts`).
 */
import type { Result } from "effect"
import type { Address } from "../crypto/address.ts"
import type { Amount } from "./amount.ts"
import type { Filler } from "./filler.ts"
import type { Overlay } from "./overlay.ts"
import type { TransactionReject } from "./reject.ts"
import type { Millis, Nonce, Transaction } from "./transaction.ts"

/** What a chain spec says of its money, whatever the model. Amounts in base units. */
export interface MoneyRules {
  readonly chainId: string
  readonly symbol: string
  readonly decimals: number
  readonly supplyMax: Amount
  readonly feeMin: Amount
  readonly noteBytesMax: number
  /** Bytes of data that a transaction may carry beside its note; absent or 0: none. */
  readonly payloadBytesMax?: number
  /** Each transaction carries data, and this is what senders put who have nothing to say (C `transaction.placeholder_data`). */
  readonly filler?: Filler
  /** Paid to the proposer of height 1; halved every `rewardHalvingBlocks` (0: never), until `supplyMax` is issued. */
  readonly reward: Amount
  readonly rewardHalvingBlocks: number
}
/** Balances and nonces: `account.ts`. */
export interface AccountRules extends MoneyRules {
  readonly model: "account"
}
/** Coins: `utxo.ts`. */
export interface CoinRules extends MoneyRules {
  readonly model: "utxo"
  /** Blocks after which the coin of a coinbase may be spent; 0 and 1: in the next block. */
  readonly coinbaseMaturity: number
}
export type LedgerRules = AccountRules | CoinRules

/** What the genesis gives an address. */
export interface Allocation {
  readonly address: Address
  readonly balance: Amount
  /** Nonce that counts as the last one used, of an account; absent: none yet. */
  readonly nonce?: Nonce
}

/** Facts about the block that a transaction is applied in. */
export interface BlockFacts {
  readonly height: number
  readonly time: Millis
  readonly proposer: Address
}

/** Where a transaction is to stand, and what is known around it. */
export interface Place {
  /** Of the block that it would be in. */
  readonly height: number
  /** Is that transaction in the chain? Asked only to say more of what is refused. */
  readonly isConfirmed?: (id: Uint8Array) => boolean
}

/** One money model. All of it is pure. */
export interface Ledger {
  readonly rules: LedgerRules
  /** The transaction of its encoding, with every rule that needs neither state nor signature. */
  readonly decode: (bytes: Uint8Array) => Result.Result<Transaction, TransactionReject>
  /** Does the signature hold? The dear check, apart from `decode` so that it comes last and may be remembered. */
  readonly checkSignature: (transaction: Transaction) => boolean
  /** The fee of a transaction that may come next on this state, or why it may not. Reads only. */
  readonly check: (state: Overlay, transaction: Transaction, place: Place) => Amount | TransactionReject
  /** Checks, then moves the money but for the fee, which `applyReward` pays out. Refused: nothing is written. */
  readonly apply: (state: Overlay, transaction: Transaction, place: Place) => Amount | TransactionReject
  /** Does each block open with a transaction that pays the reward? It then stands at position 0 and nowhere else. */
  readonly opens: boolean
  /** The transaction that a block must open with, once its fees are known; undefined if the model has none, or for an absurd sum. */
  readonly opening: (facts: BlockFacts, fees: Amount) => Transaction | undefined
  /**
   * Pays reward and fees to the proposer; what the reward may be is derived, never claimed (L-B8, defect 14). `opening` is
   * the block's first transaction, where the model has one; refused, nothing is written.
   */
  readonly applyReward: (
    state: Overlay,
    facts: BlockFacts,
    fees: Amount,
    opening: Transaction | undefined
  ) => TransactionReject | undefined
  /** Newly issued units at a height, fees not counted. Height 0 is the genesis and issues its allocation. */
  readonly rewardAt: (height: number) => Amount
  /** Units in existence after a height: the genesis allocation and every reward. The invariant of the chain. */
  readonly supplyAt: (height: number) => Amount
  /** Units held by one entry; the sum over all entries is the supply. */
  readonly unitsOf: (value: Uint8Array) => Amount
  /** Do these bytes, of another origin, have the form of an entry? Only then may `unitsOf` be asked. */
  readonly isEntry: (key: Uint8Array, value: Uint8Array) => boolean
  /** Whose an entry is, if its key does not say it: the index of the store. */
  readonly ownerOf: (value: Uint8Array) => Address | undefined
  /** The entries of a genesis allocation. */
  readonly allocate: (state: Overlay, alloc: ReadonlyArray<Allocation>) => void
}
