/** Both ledgers side by side on the same machinery: import of blocks from their bytes to the disk, the state root's share of it, bytes on disk. */
import { mkdtempSync, rmSync, statSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { Result } from "effect"
import { decodeBlock } from "../../src/block/block.ts"
import { StateTree } from "../../src/block/state-tree.ts"
import { VerifiedLeaves } from "../../src/chain/verified.ts"
import { allocationId } from "../../src/ledger/coin.ts"
import type { Outpoint } from "../../src/ledger/transaction.ts"
import { openDatabase } from "../../src/store/db.ts"
import { ChainStore } from "../../src/store/store.ts"
import { accountSpec, coinSpec, importBlock, payments, perBlock, type Source, sourceOf, transfers } from "./chains.ts"
import { printTable, type Row } from "./table.ts"

const blockCount = 5

/** Milliseconds in the state tree, counted at its one door. */
let treeMs = 0
const update = StateTree.prototype.update
StateTree.prototype.update = function (changes) {
  const began = performance.now()
  try {
    return update.call(this, changes)
  } finally {
    treeMs += performance.now() - began
  }
}

const inStore = <A>(source: Source, use: (store: ChainStore, path: string) => A): A => {
  const folder = mkdtempSync(join(tmpdir(), "cairn-bench-"))
  const path = join(folder, "chain.db")
  const store = new ChainStore(openDatabase(path), source.chain.rules)
  try {
    return use(store, path)
  } finally {
    rmSync(folder, { recursive: true })
  }
}

interface Run {
  /** Transactions a CPU-second. */
  readonly rate: number
  /** Of the time, the state tree's. */
  readonly treeShare: number
  readonly bytes: number
}

const importAll = (source: Source, known: boolean): Run =>
  inStore(source, (store, path) => {
    const verified = new VerifiedLeaves(100_000)
    const decoded = source.blocks.map((bytes) => Result.getOrThrow(decodeBlock(bytes, source.chain.rules.ledger)))
    if (known) for (const { transactions } of decoded) for (const one of transactions) verified.add(one)
    treeMs = 0
    const cpu = process.cpuUsage()
    const began = performance.now()
    for (const bytes of source.blocks) importBlock(store, source, bytes, verified)
    const took = performance.now() - began
    const { user, system } = process.cpuUsage(cpu)
    const share = treeMs / took
    store.close()
    const count = blockCount * perBlock
    return { rate: (count * 1e6) / (user + system), treeShare: share, bytes: statSync(path).size / count }
  })

const best = (runs: ReadonlyArray<Run>): Run => runs.reduce((a, b) => (b.rate > a.rate ? b : a))

const rowsOf = (name: string, source: Source, other?: string): ReadonlyArray<Row> => {
  const [cold, warm] = [false, true].map((known) => best(Array.from({ length: 3 }, () => importAll(source, known))))
  const beside = (row: string) => (other === undefined ? {} : { baseline: `${other}: ${row}` })
  return [
    { name: `${name}: import`, value: cold!.rate, unit: "/CPU-s", ...beside("import") },
    { name: `${name}: signatures known`, value: warm!.rate, unit: "/CPU-s", ...beside("signatures known") },
    { name: `${name}: state root of the import`, value: 100 * cold!.treeShare, unit: "% of the time" },
    { name: `${name}: state root, signatures known`, value: 100 * warm!.treeShare, unit: "% of the time" },
    { name: `${name}: disk`, value: cold!.bytes, unit: "bytes a transaction", ...beside("disk") }
  ]
}

const genesisCoin =
  (chainId: string) =>
  (n: number): Outpoint => ({ id: allocationId(chainId), index: n })

const coins = sourceOf(coinSpec(perBlock), payments(genesisCoin("test")), blockCount)
printTable(`Import of ${blockCount} x ${perBlock} transactions, a flush a block`, [
  ...rowsOf("accounts", sourceOf(accountSpec, transfers, blockCount)),
  ...rowsOf("coins", coins, "accounts")
])
