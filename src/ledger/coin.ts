/**
 * A coin of the coin ledger: its name, its entry in the state, and the coins that a transaction makes.
 *
 * An entry's key is the outpoint, 36 bytes: transaction id ‖ u32 index; its value 33 bytes: owner 20 ‖ amount u64 ‖
 * height u32 ‖ u8 1 if a coinbase made it, else 0. Numbers little-endian. A coin that is spent has no entry.
 */
import { assert } from "../assert.ts"
import { readU32, readU64, toHex, utf8, writeU32, writeU64 } from "../codec/bytes.ts"
import { type Address, addressBytes } from "../crypto/address.ts"
import { taggedHash } from "../crypto/hash.ts"
import { chainIdBytesMax } from "../limits.ts"
import type { Amount } from "./amount.ts"
import type { Outpoint, Output, Transaction, TransactionId } from "./transaction.ts"

/** A coin that can be spent. */
export interface Coin {
  readonly owner: Address
  readonly amount: Amount
  /** Of the block that made it. */
  readonly height: number
  /** Made by a coinbase: it must ripen before it is spent. */
  readonly coinbase: boolean
}

/** Bytes of an outpoint. */
export const outpointBytes = 36
const coinBytes = 33

/** The 36 bytes of an outpoint. */
export const encodeOutpoint = ({ id, index }: Outpoint): Uint8Array => {
  const out = new Uint8Array(outpointBytes)
  out.set(id)
  writeU32(out, 32, index)
  return out
}

/** The outpoint of 36 bytes. */
export const decodeOutpoint = (bytes: Uint8Array): Outpoint => {
  assert(bytes.length === outpointBytes, "an outpoint has 36 bytes")
  return { id: bytes.slice(0, 32) as TransactionId, index: readU32(bytes, 32) }
}

/** The key of a coin's entry: the hex of its outpoint. */
export const coinKey = (outpoint: Outpoint): string => toHex(encodeOutpoint(outpoint))

export const encodeCoin = (coin: Coin): Uint8Array => {
  assert(coin.height <= 0xffff_ffff, "a height fits 32 bits")
  const out = new Uint8Array(coinBytes)
  out.set(coin.owner)
  writeU64(out, 20, coin.amount)
  writeU32(out, 28, coin.height)
  out[32] = coin.coinbase ? 1 : 0
  return out
}

/** Do these bytes have the form of a coin's entry? */
export const isCoin = (value: Uint8Array): boolean =>
  value.length === coinBytes && readU64(value, 20) !== undefined && value[32]! <= 1

/** The coin of an entry's value. */
export const decodeCoin = (value: Uint8Array): Coin => {
  assert(isCoin(value), "a coin's entry is owner, amount, height and a flag")
  return {
    owner: value.slice(0, addressBytes) as Uint8Array as Address,
    amount: readU64(value, 20) as Amount,
    height: readU32(value, 28),
    coinbase: value[32] === 1
  }
}

/** The first height in whose block a coin may be spent; a coinbase's coin is there from the next block on at the soonest. */
export const spendableFrom = ({ height, coinbase }: Coin, coinbaseMaturity: number): number =>
  coinbase ? height + Math.max(1, coinbaseMaturity) : height

/** What a transaction pays to whom; a transfer makes no coins. */
export const outputsOf = (transaction: Transaction): ReadonlyArray<Output> => {
  switch (transaction.kind) {
    case "transfer":
      return []
    case "payment":
      return transaction.payment.outputs
    case "coinbase":
      return transaction.coinbase.outputs
  }
}

/** The coins that a transaction makes in a block of that height, with the keys of their entries. */
export const coinsOf = (transaction: Transaction, height: number): ReadonlyArray<readonly [key: string, coin: Coin]> =>
  outputsOf(transaction).map(({ recipient, amount }, index) => [
    coinKey({ id: transaction.id, index }),
    { owner: recipient, amount, height, coinbase: transaction.kind === "coinbase" }
  ])

const hashAllocation = taggedHash("cairn/allocation", chainIdBytesMax)

/** The transaction id that the coins of a chain's genesis carry; their index is the place in the allocation. */
export const allocationId = (chainId: string): TransactionId => hashAllocation(utf8(chainId)) as TransactionId
