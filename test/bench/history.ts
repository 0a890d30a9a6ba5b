/** Headers, reorganisations and growth: what must not depend on how long the chain is. */
import { makeHeader } from "../../src/block/header.ts"
import { checkHeader } from "../../src/chain/check.ts"
import { ancestryOf } from "../../src/chain/reader.ts"
import { decodeHeader } from "../../src/block/header.ts"
import { sealHash } from "../../src/block/seal.ts"
import { leaderView } from "../../src/consensus/leaders.ts"
import { engine, verify } from "../../src/crypto/signature.ts"
import { specOf, TestChain, transfer } from "../fixtures.ts"
import { printTable, type Row, rate, time } from "./table.ts"

const rows: Array<Row> = []

const chain = new TestChain(
  specOf({ difficulty: { rule: "asert", blockMs: 1000, halfLifeMs: 3_600_000, bitsStart: 1, bitsMin: 0 } })
)
const { header } = chain.mine(30).at(-1)!
const parent = chain.store.find(header.previous.toHex())!.header
const ancestry = ancestryOf(chain.store, parent)
rows.push({
  name: "header: decode, seal, target (asert), time",
  value: rate(() => {
    const again = decodeHeader(header.bytes)!
    if (checkHeader(chain.rules, again, { ancestry, now: chain.now }) !== undefined) throw new Error("refused")
  }, 20_000),
  unit: "/s"
})
/** The same of a chain of authorities, over many headers: one signature repeated would flatter the engine's branch prediction. */
const sealed = new TestChain(specOf({ authorities: 21 }))
sealed.mine(1_000)
const judged = Array.from({ length: 1_000 }, (_, i) => {
  const { header: at } = sealed.store.bestAt(i + 1)!
  return { bytes: at.bytes, ancestry: ancestryOf(sealed.store, sealed.store.bestAt(i)!.header) }
})
const decoded = judged.map(({ bytes }) => decodeHeader(bytes)!)
let turn = 0
rows.push({
  name: `header of 21 authorities: decode, turn, vote, seal (${engine().name})`,
  value: rate(() => {
    const { bytes, ancestry: above } = judged[turn++ % judged.length]!
    if (checkHeader(sealed.rules, decodeHeader(bytes)!, { ancestry: above, now: sealed.now }) !== undefined)
      throw new Error("refused")
  }, 20_000),
  unit: "/s",
  baseline: "header: decode, seal, target (asert), time"
})
turn = 0
rows.push({
  name: "its signature alone",
  value: rate(() => {
    const { hash, authority } = decoded[turn++ % decoded.length]!
    if (!verify(sealHash(hash), authority!.signature, authority!.publicKey)) throw new Error("wrong")
  }, 20_000),
  unit: "/s"
})
const view = rate(() => {
  const { header: tip } = sealed.store.tip()
  leaderView(sealed.rules.consensus.author!, ancestryOf(sealed.store, tip), { now: sealed.now, ahead: 16 })
}, 500)
rows.push({ name: "view of leaders: 256 headers, 21 authorities", value: view, unit: "/s" })
rows.push({ name: "header: make", value: rate(() => void makeHeader(header), 50_000), unit: "/s" })

for (const perBlock of [0, 10]) {
  const mine = new TestChain()
  const rival = mine.fork(0)
  const fill = (other: TestChain, blocks: number, proposer: number): ReadonlyArray<ReturnType<TestChain["next"]>> => {
    let nonce = 1
    return Array.from({ length: blocks }, () => {
      const transfers = Array.from({ length: perBlock }, () => transfer({ from: 0, to: 1, nonce: nonce++, amount: 1 }))
      return other.mine(1, transfers, proposer)[0]!
    })
  }
  fill(mine, 1_000, 1)
  const heavier = fill(rival, 1_001, 2)
  for (const block of heavier.slice(0, -1)) mine.take(block)
  const ms = await time(() => mine.take(heavier.at(-1)!))
  if (mine.store.tip().header.id !== heavier.at(-1)!.header.id) throw new Error("the heavier branch did not win")
  rows.push({ name: `reorganisation of 1,000 blocks with ${perBlock} transfers each`, value: ms, unit: "ms" })
}

const long = new TestChain()
const growth: Array<Row> = []
for (const height of [1_000, 10_000, 100_000]) {
  long.mine(height - 200 - long.store.tip().header.height)
  const ms = await time(() => long.mine(200))
  growth.push({
    name: `make and land a block at height ${height}`,
    value: ms / 200,
    unit: "ms",
    baseline: "make and land a block at height 1000"
  })
}

printTable("History", [...rows, ...growth])
