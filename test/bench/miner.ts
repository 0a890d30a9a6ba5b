/** Sealing on one core: the nonce search beside the usual double hash of a whole header, and what judging a header costs. */
import { type Header, headerBytes, type Height, nonceOffset } from "../../src/block/header.ts"
import { writeU64 } from "../../src/codec/bytes.ts"
import { targetOfBits } from "../../src/consensus/difficulty.ts"
import { makePow } from "../../src/consensus/pow.ts"
import { sha256Into } from "../../src/crypto/hash.ts"
import type { Millis } from "../../src/ledger/transaction.ts"
import { search } from "../../src/miner/search.ts"

const slices = 12
const perSlice = 400_000

/** Runs of `count` steps a second, the best of some slices: the machine is not ours alone. */
const bestRate = (count: number, run: (count: number) => void): number => {
  let best = 0
  for (let slice = 0; slice < slices; slice++) {
    const start = performance.now()
    run(count)
    best = Math.max(best, (count * 1000) / (performance.now() - start))
  }
  return best
}

const header = new Uint8Array(headerBytes).fill(7)
/** Never met, so that every nonce is tried. */
const target = new Uint8Array(32)

/** What a miner without the seal digest would do: SHA-256 twice, over all 212 bytes. */
const doubleHash = (count: number): void => {
  const bytes = header.slice()
  const once = new Uint8Array(32)
  const twice = new Uint8Array(32)
  for (let nonce = 0; nonce < count; nonce++) {
    writeU64(bytes, nonceOffset, nonce)
    sha256Into(bytes, once)
    sha256Into(once, twice)
    if (twice[0]! < target[0]!) throw new Error("nothing is below zero")
  }
}

const pow = makePow({
  difficulty: { rule: "asert", blockMs: 10_000, halfLifeMs: 3_600_000, bitsStart: 20, bitsMin: 8 },
  time: { medianBlocks: 11, futureMsMax: 0 }
})
const headers = Array.from(
  { length: 1000 },
  (_, height) => ({ height: height as Height, time: (height * 10_100) as Millis, target: pow.genesisTarget }) as Header
)
const at = (height: number): Header => headers[height]!
const judgements = (judge: (parent: Header) => void): number =>
  bestRate(50_000, (count) => {
    for (let i = 0; i < count; i++) judge(headers[1 + (i % 999)]!)
  })
const targets = [targetOfBits(20), targetOfBits(21)]

const ours = bestRate(perSlice, (count) => void search({ header, target, from: 5_000_000_000, count }))
const double = bestRate(perSlice, doubleHash)
const rows = [
  { name: "nonce search", value: ours, unit: "hashes/s", baseline: double, ratio: ours / double },
  { name: "double SHA-256 of the whole header", value: double, unit: "hashes/s" },
  { name: "next target, asert", value: judgements((parent) => pow.nextTarget({ parent, at })), unit: "/s" },
  { name: "earliest time, 11 ancestors", value: judgements((parent) => pow.earliestTime({ parent, at })), unit: "/s" },
  {
    name: "work, every target new",
    value: judgements(({ height: h }) => pow.work({ target: targets[h & 1]! })),
    unit: "/s"
  }
]
for (const { name, value, unit, ratio } of rows) {
  const beside = ratio === undefined ? "" : `  ${ratio.toFixed(2)}x`
  process.stdout.write(`${name.padEnd(40)}${Math.round(value).toLocaleString("en").padStart(14)} ${unit}${beside}\n`)
}
