/**
 * Both ledgers side by side, on the same machinery: import of blocks from their bytes to the disk, the state root's share
 * of it, bytes on disk; then what the number of coins costs, from ten thousand to a million of them.
 */
import { mkdtempSync, rmSync, statSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { Result } from "effect"
import { decodeBlock, encodeBlock } from "../../src/block/block.ts"
import type { ChainSpec } from "../../src/block/genesis.ts"
import { StateTree } from "../../src/block/state-tree.ts"
import { checkBody, checkHeader } from "../../src/chain/check.ts"
import { choosePlan } from "../../src/chain/choose.ts"
import { runPlan } from "../../src/chain/connect.ts"
import { ancestryOf, type ChainReader } from "../../src/chain/reader.ts"
import { VerifiedLeaves } from "../../src/chain/verified.ts"
import { makePow } from "../../src/consensus/pow.ts"
import { amount } from "../../src/ledger/amount.ts"
import { allocationId } from "../../src/ledger/coin.ts"
import type { Outpoint, Transaction } from "../../src/ledger/transaction.ts"
import { openDatabase } from "../../src/store/db.ts"
import { ChainStore } from "../../src/store/store.ts"
import { keyOf, payment, specOf, TestChain, transfer } from "../fixtures.ts"
import { printTable, type Row } from "./table.ts"

const owners = 1_000
const perBlock = 2_000
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

/** What wallets of `owners` keys send, block by block. */
type Load = (block: number) => ReadonlyArray<Transaction>

const transfers: Load = (block) =>
  Array.from({ length: perBlock }, (_, n) =>
    transfer({ from: n % owners, to: (n * 7 + block + 1) % owners === n % owners ? (n + 1) % owners : (n * 7 + block + 1) % owners, nonce: block * 2 + 1 + Math.floor(n / owners) })
  )

/** Each payment spends one coin and makes two: one to somebody, and the change; the change is what is spent next. */
const payments = (first: (n: number) => Outpoint, count = perBlock): Load => {
  const purses = Array.from({ length: count }, (_, n) => ({ coin: first(n), units: purseUnits }))
  return () =>
    purses.map((purse, n) => {
      const by = n % owners
      purse.units -= 11
      const made = payment({ inputs: [purse.coin], outputs: [[(n * 7 + 1) % owners, 10], [by, purse.units]], by: [by] })
      purse.coin = { id: made.id, index: 1 }
      return made
    })
}
const purseUnits = 1_000_000

/** A spec of coins whose genesis holds so many, each key's in turn; an address may stand there more than once, as JSON may not. */
const coinSpec = (coins: number): ChainSpec => {
  const spec = specOf({ model: "utxo", accounts: 0 })
  const alloc = Array.from({ length: coins }, (_, i) => ({ address: keyOf(i % owners).address, balance: amount(purseUnits) }))
  return { ...spec, genesis: { ...spec.genesis, alloc } }
}

const accountSpec = specOf({ accounts: owners })

interface Source {
  readonly chain: Pick<TestChain, "rules" | "now">
  readonly blocks: ReadonlyArray<Uint8Array>
}

const sourceOf = (spec: ChainSpec, load: Load, count: number): Source => {
  const chain = new TestChain(spec)
  return { chain, blocks: Array.from({ length: count }, (_, i) => encodeBlock(chain.mine(1, load(i))[0]!)) }
}

/** One block as the chain actor takes it. */
const importBlock = (store: ChainStore, { chain }: Source, bytes: Uint8Array, verified: VerifiedLeaves): void => {
  const { rules } = chain
  const decoded = decodeBlock(bytes, rules.ledger)
  if (Result.isFailure(decoded)) throw new Error(decoded.failure.what)
  const block = decoded.success
  const parent = store.tip()
  const refused =
    checkHeader(rules, block.header, { ancestry: ancestryOf(store, parent.header), now: chain.now }) ??
    checkBody(rules, block)
  if (refused !== undefined) throw new Error(refused.code)
  const row = { header: block.header, work: parent.work + rules.consensus.work(block.header), hasBody: true }
  const reader: ChainReader = {
    ...store,
    find: (id) => (id === block.header.id ? row : store.find(id)),
    block: (id) => (id === block.header.id ? block : store.block(id))
  }
  const outcome = runPlan(choosePlan(reader, row), { rules, reader, verified })
  if (Result.isFailure(outcome)) throw new Error(outcome.failure.reject.message)
  store.decide(() => {
    store.saveHeaders([row])
    store.saveBody(block)
    store.land(outcome.success, chain.now)
  })
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

const genesisCoin = (chainId: string) => (n: number): Outpoint => ({ id: allocationId(chainId), index: n })

const coins = sourceOf(coinSpec(perBlock), payments(genesisCoin("test")), blockCount)
printTable(`Import of ${blockCount} x ${perBlock} transactions, a flush a block`, [
  ...rowsOf("accounts", sourceOf(accountSpec, transfers, blockCount)),
  ...rowsOf("coins", coins, "accounts")
])

const cpuMs = (): number => {
  const { user, system } = process.cpuUsage()
  return (user + system) / 1000
}

/** CPU milliseconds a block of payments with that many coins beside them, and what the process then holds. */
const growth = (coinCount: number, count: number): ReadonlyArray<Row> => {
  const spread = Math.floor(coinCount / count)
  const first = (n: number): Outpoint => {
    const at = n * spread
    return { id: allocationId("test"), index: at - (at % owners) + (n % owners) }
  }
  const folder = mkdtempSync(join(tmpdir(), "cairn-bench-"))
  const path = join(folder, "chain.db")
  const source = preparedOf(coinCount, payments(first, count), path)
  try {
    const store = new ChainStore(openDatabase(path), source.chain.rules)
    Bun.gc(true)
    treeMs = 0
    const times = source.blocks.map((bytes) => {
      const began = cpuMs()
      importBlock(store, source, bytes, new VerifiedLeaves(2))
      return cpuMs() - began
    })
    const name = `${coinCount.toLocaleString("en")} coins, ${count} payments`
    store.close()
    const median = times.sort((a, b) => a - b)[times.length >> 1]!
    return [
      { name, value: median, unit: "CPU-ms a block", baseline: `10,000 coins, ${count} payments` },
      { name: `${name}: state root`, value: treeMs / times.length, unit: "ms a block" },
      { name: `${name}: memory`, value: process.memoryUsage().rss / 1e6, unit: "MB" }
    ]
  } finally {
    rmSync(folder, { recursive: true })
  }
}

/** A store on disk with so many coins, and blocks to import; the genesis allocation itself is let go, or its million objects would be walked by each garbage collection. */
const preparedOf = (coinCount: number, load: Load, path: string): Source => {
  const spec = coinSpec(coinCount)
  const chain = new TestChain(spec)
  new ChainStore(openDatabase(path), chain.rules).close()
  const blocks = Array.from({ length: 8 }, (_, i) => encodeBlock(chain.mine(1, load(i))[0]!))
  chain.store.close()
  const bare = { ...spec, genesis: { ...spec.genesis, alloc: [] } }
  const rules = { ...chain.rules, spec: bare, consensus: makePow(bare) }
  return { chain: { rules, now: chain.now }, blocks }
}

for (const count of [100, perBlock])
  printTable(
    `A block of ${count} payments, every signature checked`,
    [10_000, 100_000, 1_000_000].flatMap((coinCount) => growth(coinCount, count))
  )
