/**
 * Light clients: bytes that one downloads for a chain of 100,000 blocks, beside those of a full node, on accounts and on coins, and from
 * how many transactions a block on they are one in a hundred. The headers are real, sealed, packed, and checked by the client; frames are counted whole.
 *
 * A block's other bytes depend on the number of transfers alone, so one block of each size is encoded and counted for all.
 * Filters are made of real addresses for every hundredth block: strangers, who are all different, or some of 1,000 accounts.
 */
import { headerBytes, type Height, makeHeader, type Header } from "../../src/block/header.ts"
import { packPage } from "../../src/block/packed.ts"
import { makeRules } from "../../src/chain/rules.ts"
import { makeFilter } from "../../src/block/filter.ts"
import { equal, toHex } from "../../src/codec/bytes.ts"
import type { Address } from "../../src/crypto/address.ts"
import { asHash, sha256 } from "../../src/crypto/hash.ts"
import { amount } from "../../src/ledger/amount.ts"
import { makeCoinbase } from "../../src/ledger/payment.ts"
import type { Millis, TransactionId } from "../../src/ledger/transaction.ts"
import { LightClient } from "../../src/light/client.ts"
import type { LightEffect } from "../../src/light/effect.ts"
import { checkpointBlocks, filtersPerMessageMax, headersPerMessageMax } from "../../src/limits.ts"
import { encodeMessage, type Message } from "../../src/peer/message.ts"
import { makeDice } from "../../src/sim/dice.ts"
import { encodeFrame } from "../../src/transport/frame.ts"
import { payment, specOf, transfer } from "../fixtures.ts"
import { printTable, type Row } from "./table.ts"

const blocks = 100_000
const loads = [0, 10, 40, 100, 500, 2_000]
const accounts = 1_000
const sampled = 100
/** Nonces of a difficulty of 24 bits: some 2^24 tries. */
const nonceRange = 2 ** 25
const minutes = (ms: number): number => Math.round(ms / 60_000)

const dice = makeDice(1)
const rules = makeRules(specOf({ difficulty: { rule: "fixed", blockMs: 10_000, bits: 1 }, chainId: "cairn" }))
const proposers = Array.from({ length: 20 }, () => dice.bytes(20) as Address)
const frameBytes = (message: Message): number => encodeFrame(encodeMessage(message)).length
const random = (): Uint8Array => sha256(dice.bytes(8))

/** A header on a parent, sealed by trying nonces from some place on, as after a search of 24 bits. */
const next = (parent: Header): Header => {
  const gap = Math.round(-Math.log(1 - dice.int(1_000_000) / 1_000_000) * 10_000)
  const fields = {
    version: 1,
    chainTag: parent.chainTag,
    height: (parent.height + 1) as Height,
    time: (parent.time + 1 + gap) as Millis,
    previous: parent.hash,
    transactionRoot: asHash(random()),
    stateRoot: asHash(random()),
    target: parent.target,
    proposer: dice.pick(proposers),
    extraHash: sha256(new Uint8Array(0))
  }
  for (let nonce = dice.int(nonceRange); ; nonce++) {
    const header = makeHeader({ ...fields, nonce })
    if (rules.consensus.checkSeal(header)) return header
  }
}
const headers: Array<Header> = [rules.genesis.header]
while (headers.length <= blocks) headers.push(next(headers.at(-1)!))
const now = headers.at(-1)!.time
const heightOf = new Map(headers.map(({ id, height }) => [id, height as number]))

/** A client downloads all headers; gives the bytes of the answers, and how long it took to check them. */
const download = (): { readonly bytes: number; readonly ms: number } => {
  const client = new LightClient(rules)
  let bytes = 0
  let packMs = 0
  client.joined(0, { filters: true })
  const tip = headers.at(-1)!
  const work = rules.consensus.work(tip) * BigInt(blocks + 1)
  const claim: Message = { tag: "STS", height: tip.height, work: new Uint8Array(32), tip: tip.hash }
  bytes += frameBytes(claim)
  const began = performance.now()
  let effects: ReadonlyArray<LightEffect> = client.claimed(0, { height: tip.height, work, hash: tip.hash }, now)
  for (;;) {
    const ask = effects.find((effect) => effect._tag === "Ask")
    if (ask?._tag !== "Ask" || ask.ask.tag !== "GPH") break
    const answering = performance.now()
    const after = ask.ask.locator[0]!
    const from = heightOf.get(toHex(after))!
    const rows = headers.slice(from, from + 1 + headersPerMessageMax).map((header) => header.bytes)
    const answer = { tag: "PHD" as const, request: 1, after, page: packPage(rows[0]!, rows.slice(1)) }
    bytes += frameBytes(answer)
    packMs += performance.now() - answering
    effects = client.answer(0, answer, now)
  }
  if (!equal(client.chain.tip.hash, tip.hash)) throw new Error("the client has not come to the tip")
  return { bytes, ms: performance.now() - began - packMs }
}

/** Bytes of one new block to a client that stands at the tip: the status, and a page of one header. */
const newsBytes = (): number => {
  const [before, tip] = headers.slice(-2) as [Header, Header]
  const status = { tag: "STS" as const, height: tip.height, work: new Uint8Array(32), tip: tip.hash }
  const page = packPage(before.bytes, [tip.bytes])
  return frameBytes(status) + frameBytes({ tag: "PHD", request: 1_000, after: before.hash, page })
}

const transferSize = transfer({ from: 0, to: 1, nonce: 1, chainId: "cairn" }).bytes.length
/** The usual payment: one coin of one owner, to somebody else and back. It names two addresses, as a transfer does. */
const paymentSize = payment({
  inputs: [{ id: asHash(random()) as TransactionId, index: 0 }],
  outputs: [
    [1, 1],
    [0, 1]
  ],
  by: [0],
  chainId: "cairn"
}).bytes.length
const coinbaseSize = makeCoinbase({
  chainId: "cairn",
  height: 1,
  outputs: [{ recipient: proposers[0]!, amount: amount(1) }]
}).bytes.length

/** Bytes of all blocks with so many transactions, as a full node downloads them: headers first, then each block in a frame. */
const fullBytes = (perBlock: number, one = transferSize, opening = 0): number => {
  const block = new Uint8Array(headerBytes + 8 + opening + perBlock * (2 + one))
  const page = frameBytes({ tag: "HDR", request: 1, headers: new Uint8Array(headersPerMessageMax * headerBytes) })
  return blocks * frameBytes({ tag: "BLK", request: 1, block }) + (blocks / headersPerMessageMax) * page
}

/** Bytes of the filters of all blocks, and of the checkpoints that they are held against. */
const filterBytes = (perBlock: number, address: () => Uint8Array, every = sampled): number => {
  let bytes = 0
  let count = 0
  for (let height = every; height <= blocks; height += every, count++) {
    const elements = Array.from({ length: 2 * perBlock }, address)
    const filter = makeFilter(headers[height]!.hash, [headers[height]!.proposer, ...elements])
    bytes += frameBytes({ tag: "FLT", request: 1, filters: [filter.bytes] })
  }
  // A frame a filter was counted; they come up to a thousand in one.
  const empty = frameBytes({ tag: "FLT", request: 1, filters: [] })
  const frames = blocks / filtersPerMessageMax
  const points = frameBytes({ tag: "FHD", request: 1, headers: new Uint8Array((blocks / checkpointBlocks + 1) * 32) })
  return ((bytes - count * empty) * blocks) / count + frames * empty + points
}

const known = Array.from({ length: accounts }, () => dice.bytes(20))
const light = download()
const rows: Array<Row> = [
  { name: "headers, checked", value: (blocks * 1000) / light.ms, unit: "/s" },
  { name: "headers as they are", value: headerBytes, unit: "bytes a header" },
  { name: "headers, packed", value: light.bytes / blocks, unit: "bytes a header", baseline: "headers as they are" },
  { name: "headers, packed, all", value: light.bytes / 1e6, unit: "MB" },
  { name: "a new block, at the tip", value: newsBytes(), unit: "bytes" },
  { name: "a transfer", value: transferSize, unit: "bytes" },
  { name: "a payment of one coin, with change", value: paymentSize, unit: "bytes" },
  { name: "a block of one payment", value: headerBytes + 8 + 4 + coinbaseSize + paymentSize, unit: "bytes" }
]
for (const perBlock of loads) {
  const full = fullBytes(perBlock)
  const name = `${perBlock} transfers a block`
  const percent = (bytes: number, of = full): number => (100 * bytes) / of
  const strangers = light.bytes + filterBytes(perBlock, () => dice.bytes(20))
  rows.push({ name: `${name}: full node`, value: full / 1e6, unit: "MB" })
  rows.push({ name: `${name}: headers and proofs`, value: percent(light.bytes), unit: "%" })
  rows.push({
    name: `${name}: and all filters, strangers`,
    value: percent(strangers),
    unit: "%"
  })
  rows.push({
    name: `${name}: and all filters, ${accounts} accounts`,
    value: percent(light.bytes + filterBytes(perBlock, () => dice.pick(known))),
    unit: "%"
  })
  const coins = fullBytes(perBlock, paymentSize, 2 + coinbaseSize)
  const paid = `${perBlock} payments a block`
  rows.push({ name: `${paid}: full node`, value: coins / 1e6, unit: "MB" })
  rows.push({ name: `${paid}: headers and proofs`, value: percent(light.bytes, coins), unit: "%" })
  rows.push({ name: `${paid}: and all filters, strangers`, value: percent(strangers, coins), unit: "%" })
}

/** The least number of transactions a block from which on so many bytes are 1 %. */
const leastLoad = (bytesAt: (perBlock: number) => number, fullAt: (perBlock: number) => number = fullBytes): number => {
  let [low, high] = [0, 20_000]
  while (low < high) {
    const middle = (low + high) >> 1
    if (100 * bytesAt(middle) <= fullAt(middle)) high = middle
    else low = middle + 1
  }
  return low
}
rows.push({ name: "headers and proofs are 1 % from", value: leastLoad(() => light.bytes), unit: "transfers a block" })
rows.push({
  name: "headers and proofs are 1 % from",
  value: leastLoad(
    () => light.bytes,
    (perBlock) => fullBytes(perBlock, paymentSize, 2 + coinbaseSize)
  ),
  unit: "payments a block"
})
rows.push({
  name: `and all filters, ${accounts} accounts: 1 % from`,
  value: leastLoad((perBlock) => light.bytes + filterBytes(perBlock, () => dice.pick(known), 50 * sampled)),
  unit: "transfers a block"
})
printTable(`Light client: ${blocks} blocks over ${minutes(now - headers[0]!.time)} minutes`, rows)
