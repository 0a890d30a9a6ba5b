/** Coins: their names, their entries, and which of them a transaction makes. */
import { expect, test } from "bun:test"
import { keyOf, payment, transfer } from "../../test/fixtures.ts"
import { makeDice } from "../sim/dice.ts"
import { Bug } from "../assert.ts"
import { concat, toHex, utf8 } from "../codec/bytes.ts"
import { sha256 } from "../crypto/hash.ts"
import { type Amount, amount } from "./amount.ts"
import {
  allocationId,
  type Coin,
  coinKey,
  coinsOf,
  decodeCoin,
  decodeOutpoint,
  encodeCoin,
  encodeOutpoint,
  isCoin
} from "./coin.ts"
import { makeCoinbase } from "./payment.ts"
import type { TransactionId } from "./transaction.ts"

const coin: Coin = { owner: keyOf(0).address, amount: amount(258), height: 772, coinbase: true }

test("an entry is owner, amount, height and a flag, little-endian; anything else is a bug of ours", () => {
  expect(toHex(encodeCoin(coin))).toBe(`${toHex(keyOf(0).address)}02010000000000000403000001`)
  expect(decodeCoin(encodeCoin(coin))).toEqual(coin)
  const value = encodeCoin(coin)
  const patched = (offset: number, byte: number): Uint8Array => value.with(offset, byte)
  for (const bad of [value.subarray(1), concat(value, new Uint8Array(1)), patched(32, 2), patched(26, 0x20)]) {
    expect(isCoin(bad)).toBe(false)
    expect(() => decodeCoin(bad)).toThrow(Bug)
  }
  expect(() => encodeCoin({ ...coin, height: 2 ** 32 })).toThrow(Bug)
})

test("an entry that is taken has one form", () => {
  const dice = makeDice(21)
  let taken = 0
  for (let i = 0; i < 5_000; i++) {
    const bytes = dice.mutate(encodeCoin({ ...coin, amount: dice.int(2 ** 31) as Amount, coinbase: dice.chance(0.5) }))
    if (!isCoin(bytes)) continue
    taken++
    expect(toHex(encodeCoin(decodeCoin(bytes)))).toBe(toHex(bytes))
  }
  expect(taken).toBeGreaterThan(1_000)
})

test("an outpoint is an id and an index of 32 bits; its hex is the key of the entry", () => {
  const outpoint = { id: new Uint8Array(32).fill(7) as TransactionId, index: 0xfffe_0201 }
  expect(coinKey(outpoint)).toBe(`${"07".repeat(32)}0102feff`)
  expect(decodeOutpoint(encodeOutpoint(outpoint))).toEqual(outpoint)
  expect(() => decodeOutpoint(new Uint8Array(35))).toThrow(Bug)
})

test("a payment makes a coin for each output, a coinbase one that must ripen, a transfer none", () => {
  const sent = payment({
    inputs: [{ id: allocationId("test"), index: 0 }],
    outputs: [
      [1, 5],
      [1, 6]
    ],
    by: [0]
  })
  expect(coinsOf(sent, 9)).toEqual([
    [coinKey({ id: sent.id, index: 0 }), { owner: keyOf(1).address, amount: amount(5), height: 9, coinbase: false }],
    [coinKey({ id: sent.id, index: 1 }), { owner: keyOf(1).address, amount: amount(6), height: 9, coinbase: false }]
  ])
  const minted = makeCoinbase({ chainId: "test", height: 9, outputs: [{ recipient: coin.owner, amount: coin.amount }] })
  expect(coinsOf(minted, 9)).toEqual([[coinKey({ id: minted.id, index: 0 }), { ...coin, height: 9 }]])
  expect(coinsOf(transfer({ from: 0, to: 1, nonce: 1 }), 9)).toEqual([])
})

test("the coins of the genesis carry the tagged hash of the chain id", () => {
  const t = sha256(utf8("cairn/allocation"))
  expect(toHex(allocationId("test"))).toBe(toHex(sha256(concat(t, t, utf8("test")))))
  expect(allocationId("test")).not.toEqual(allocationId("tesu"))
})
