/** Block filters: what a block of 2,000 transfers costs to filter and to match, beside a Set of its addresses as text. */
import { Result } from "effect"
import { decodeFilter, makeFilter, matchesAny } from "../../src/block/filter.ts"
import type { BlockHash } from "../../src/block/header.ts"
import { toHex } from "../../src/codec/bytes.ts"
import { sha256 } from "../../src/crypto/hash.ts"
import { sipHashInto, sipKey } from "../../src/crypto/siphash.ts"
import { makeDice } from "../../src/sim/dice.ts"
import { printTable, rate as rateOf, type Row } from "./table.ts"

/** Many short slices: the best of them met no other work on the machine. */
const rate = (f: () => void, calls: number): number => rateOf(f, Math.ceil(calls / 10), 60)

const dice = makeDice(1)
const addresses = (count: number): ReadonlyArray<Uint8Array> => Array.from({ length: count }, () => dice.bytes(20))
const hash = sha256(dice.bytes(8)) as Uint8Array as BlockHash

/** What a node would do without filters: every address of the block as a key, and each of a wallet looked up. */
const makeSet = (elements: ReadonlyArray<Uint8Array>): ReadonlySet<string> => new Set(elements.map(toHex))
const setHolds = (set: ReadonlySet<string>, wallet: ReadonlyArray<Uint8Array>): boolean =>
  wallet.some((address) => set.has(toHex(address)))

/** A block's addresses through filter and Set, a wallet of so many addresses against both. No address is in the block. */
const benchBlock = (elements: ReadonlyArray<Uint8Array>, wallets: ReadonlyArray<number>): ReadonlyArray<Row> => {
  const filter = makeFilter(hash, elements)
  const set = makeSet(elements)
  const calls = Math.ceil(200_000 / elements.length)
  const n = elements.length.toLocaleString("en")
  const perElement = (f: () => void): number => rate(f, calls) * elements.length
  return [
    { name: `${n} elements: Set of hex, made`, value: perElement(() => makeSet(elements)), unit: "elements/s" },
    {
      name: `${n} elements: filter, made`,
      value: perElement(() => makeFilter(hash, elements)),
      unit: "elements/s",
      baseline: `${n} elements: Set of hex, made`
    },
    {
      name: `${n} elements: filter, decoded`,
      value: perElement(() => void Result.getOrThrow(decodeFilter(hash, filter.bytes))),
      unit: "elements/s",
      baseline: `${n} elements: Set of hex, made`
    },
    ...wallets.flatMap((count) => {
      const wallet = addresses(count)
      if (matchesAny(filter, wallet) || setHolds(set, wallet)) throw new Error("a stranger matched: take another seed")
      const repeat = Math.ceil(200_000 / count)
      const name = `${n} elements: Set, wallet of ${count}`
      return [
        { name, value: rate(() => setHolds(set, wallet), repeat) * count, unit: "addresses/s" },
        {
          name: `${n} elements: filter, wallet of ${count}`,
          value: rate(() => matchesAny(filter, wallet), repeat) * count,
          unit: "addresses/s",
          baseline: name
        }
      ]
    }),
    { name: `${n} elements: their addresses`, value: 20, unit: "bytes/element" },
    {
      name: `${n} elements: their filter`,
      value: filter.bytes.length / elements.length,
      unit: "bytes/element",
      baseline: `${n} elements: their addresses`
    }
  ]
}

/** A light client's work for a block: decode its filter, match a wallet of 20. */
const benchClient = (elements: ReadonlyArray<Uint8Array>): Row => {
  const { bytes } = makeFilter(hash, elements)
  const wallet = addresses(20)
  const run = (): boolean => matchesAny(Result.getOrThrow(decodeFilter(hash, bytes)), wallet)
  const name = `a light client: decode, match a wallet of 20, ${elements.length.toLocaleString("en")} elements`
  return { name, value: rate(run, Math.ceil(200_000 / elements.length)), unit: "blocks/s" }
}

const key = sipKey(hash.slice(0, 16))
const out = new Uint32Array(2)
const [one] = addresses(1)

printTable("block filters", [
  { name: "SHA-256 of an address", value: rate(() => sha256(one!), 200_000), unit: "/s" },
  {
    name: "SipHash-2-4 of an address",
    value: rate(() => sipHashInto(key, one!, out), 200_000),
    unit: "/s",
    baseline: "SHA-256 of an address"
  },
  ...benchBlock(addresses(21), [20]),
  ...benchBlock(addresses(4_001), [1, 20, 1_000]),
  ...benchBlock(addresses(40_001), []),
  benchClient(addresses(4_001))
])
