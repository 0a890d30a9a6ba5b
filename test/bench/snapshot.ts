/** Snapshots: making, loading and proving the past, on 100,000 accounts and 4,000 blocks, beside a replay from genesis. */
import { mkdtempSync, rmSync, statSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import type { ChainSpec } from "../../src/block/genesis.ts"
import { VerifiedLeaves } from "../../src/chain/verified.ts"
import type { Address } from "../../src/crypto/address.ts"
import { amount } from "../../src/ledger/amount.ts"
import { FileReader, FileWriter } from "../../src/io/stream.ts"
import { makeDice } from "../../src/sim/dice.ts"
import { auditChain } from "../../src/store/audit.ts"
import { openDatabase } from "../../src/store/db.ts"
import { bodiesOf, nextOfPast, provePast } from "../../src/store/past.ts"
import { loadSnapshot, openSnapshot } from "../../src/store/snapshot-load.ts"
import { makeSnapshot } from "../../src/store/snapshot-make.ts"
import { ChainStore } from "../../src/store/store.ts"
import { specOf, TestChain, transfer } from "../fixtures.ts"
import { printTable, type Row, time } from "./table.ts"

const accounts = 100_000
const blocks = 4_000
const perBlock = 5
const folder = mkdtempSync(join(tmpdir(), "cairn-bench-"))
const rows: Array<Row> = []

const dice = makeDice(1)
const base = specOf({ accounts: 1, difficulty: { rule: "fixed", blockMs: 1000, bits: 1 } })
const alloc = Array.from({ length: accounts - 1 }, () => ({
  address: dice.bytes(20) as Address,
  balance: amount(1_000)
}))
const spec: ChainSpec = { ...base, genesis: { ...base.genesis, alloc: [...base.genesis.alloc, ...alloc] } }
const chain = new TestChain(spec, join(folder, "source.db"))
chain.store.db.run("PRAGMA synchronous = OFF")
let nonce = 1
for (let i = 0; i < blocks; i++) {
  const payments = Array.from({ length: perBlock }, () => transfer({ from: 0, to: 1 + (nonce % 50), nonce: nonce++ }))
  chain.mine(1, payments)
}

const path = join(folder, "chain.snapshot")
const makeMs = await time(() => {
  const out = new FileWriter(path)
  makeSnapshot(chain.store.db, chain.rules, { out, height: undefined, progress: () => {} })
  out.commit()
})
rows.push({ name: "make", value: makeMs, unit: "ms" })
rows.push({ name: "file", value: statSync(path).size / 1e6, unit: "MB" })

const db = openDatabase(join(folder, "loaded.db"))
db.run("PRAGMA synchronous = OFF")
const began = new Map<string, number>()
const ended = new Map<string, number>()
const loadMs = await time(() => {
  const progress = (part: string): void => {
    if (!began.has(part)) began.set(part, performance.now())
    ended.set(part, performance.now())
  }
  const file = new FileReader(path)
  loadSnapshot(db, chain.rules, { ...openSnapshot(file), now: chain.now, progress })
  file.close()
})
rows.push({ name: "load, all checked", value: loadMs, unit: "ms", baseline: "replay from genesis" })
const entriesMs = ended.get("entries")! - began.get("entries")!
rows.push({ name: "load: entries", value: (accounts * 1000) / entriesMs, unit: "/s" })

const store = new ChainStore(db, chain.rules)
const source = bodiesOf(chain.store.db, chain.rules)
const below = store.floor()
const pastMs = await time(() => {
  const verified = new VerifiedLeaves(2)
  while (store.proven() !== undefined)
    provePast(store, chain.rules, { blocks: nextOfPast(store, { blocks: 256, transactions: 4_096 }, source), verified })
})
rows.push({ name: "prove the past", value: (below * 1000) / pastMs, unit: "blocks/s" })
const replayMs = await time(() => {
  if (typeof auditChain(store, chain.rules) === "string") throw new Error("the chain does not hold")
})
rows.push({ name: "replay from genesis", value: replayMs, unit: "ms" })

printTable(`Snapshots: ${accounts} accounts, ${blocks} blocks of ${perBlock} transfers`, rows)
store.close()
chain.store.close()
rmSync(folder, { recursive: true, force: true })
