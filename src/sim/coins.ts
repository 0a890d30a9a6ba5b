/** The coins that can be spent at a node, as its disk has them: those of its tip, and those that its pending payments make. */
import { Result } from "effect"
import type { Rules } from "../chain/rules.ts"
import { toHex } from "../codec/bytes.ts"
import type { Address } from "../crypto/address.ts"
import { type Coin, coinKey, coinsOf, decodeCoin, decodeOutpoint } from "../ledger/coin.ts"
import type { Outpoint, PaymentTransaction } from "../ledger/transaction.ts"
import { loadPending } from "../store/pending.ts"
import type { ChainStore } from "../store/store.ts"

/** A coin with its name. */
export interface NamedCoin extends Coin, Outpoint {
  readonly key: string
  /** A pending payment makes it. */
  readonly pending: boolean
}

export const pendingPayments = (store: ChainStore, rules: Rules): ReadonlyArray<PaymentTransaction> =>
  loadPending(store.db).flatMap(({ bytes }) => {
    const decoded = rules.ledger.decode(bytes)
    return Result.isSuccess(decoded) && decoded.success.kind === "payment" ? [decoded.success] : []
  })

/** Height from which on a coin may be spent. */
export const ripeAt = (rules: Rules, { coinbase, height }: Coin): number => {
  const { ledger } = rules.spec
  return coinbase && ledger.model === "utxo" ? height + ledger.coinbaseMaturity : 0
}

const ownedSql = "SELECT key, value FROM state WHERE owner = ? ORDER BY key"

/** The coins of an owner after the tip, ripe or not, whoever spends them in the pool. */
export const confirmedCoins = (store: ChainStore, owner: Address): ReadonlyArray<NamedCoin> =>
  store.db
    .query<{ key: Uint8Array; value: Uint8Array }, [Uint8Array]>(ownedSql)
    .all(owner)
    .map(({ key, value }) => ({ ...decodeOutpoint(key), ...decodeCoin(value), key: toHex(key), pending: false }))

/** What these owners can spend in the next block, in a fixed order: confirmed coins first. */
export const spendableCoins = (
  store: ChainStore,
  rules: Rules,
  ...owners: ReadonlyArray<Address>
): ReadonlyArray<NamedCoin> => {
  const height = store.tip().header.height + 1
  const payments = pendingPayments(store, rules)
  const spent = new Set(payments.flatMap(({ spends }) => spends))
  const made = payments.flatMap((payment) => paidBy(payment, height))
  const names = new Set(owners.map(toHex))
  const confirmed = owners.flatMap((owner) => confirmedCoins(store, owner))
  return [...confirmed, ...made.filter((coin) => names.has(toHex(coin.owner)))].filter(
    (coin) => !spent.has(coin.key) && ripeAt(rules, coin) <= height
  )
}

/** The coins that a payment makes in a block of that height. */
export const paidBy = (payment: PaymentTransaction, height: number): ReadonlyArray<NamedCoin> =>
  coinsOf(payment, height).map(([key, coin], index) => ({ id: payment.id, index, ...coin, key, pending: true }))

/** The coin of an outpoint after the tip. */
export const coinAt = (store: ChainStore, outpoint: Outpoint): Coin | undefined => {
  const value = store.readEntry(coinKey(outpoint))
  return value === undefined ? undefined : decodeCoin(value)
}
