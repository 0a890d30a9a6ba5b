/**
 * What the number of coins costs: blocks of payments that spend coins from all over a set of ten thousand to a million.
 * Each set is made by one process and measured by another, which has nothing of it but the database and the blocks.
 */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { spawnSync } from "bun"
import { Result } from "effect"
import { decodeBlock, encodeBlock } from "../../src/block/block.ts"
import { StateTree } from "../../src/block/state-tree.ts"
import { makeLedger, type Rules } from "../../src/chain/rules.ts"
import { VerifiedLeaves } from "../../src/chain/verified.ts"
import { makePow } from "../../src/consensus/pow.ts"
import { amount } from "../../src/ledger/amount.ts"
import { allocationId } from "../../src/ledger/coin.ts"
import type { Outpoint } from "../../src/ledger/transaction.ts"
import { openDatabase } from "../../src/store/db.ts"
import { ChainStore } from "../../src/store/store.ts"
import { TestChain } from "../fixtures.ts"
import { coinSpec, importBlock, owners, payments, perBlock, purseUnits } from "./chains.ts"
import { printTable, type Row } from "./table.ts"

/** Coins in the set, and payments in a block. */
interface Size {
  readonly coins: number
  readonly payments: number
}

interface Measured {
  readonly ms: number
  readonly cpuMs: number
  readonly treeMs: number
  /** Pages of the state tree that one block writes or removes. */
  readonly pages: number
  readonly megabytes: number
}

/** Blocks, of which the first third only warms. */
const blocksOf = ({ payments: count }: Size): number => (count === perBlock ? 9 : 90)

/** Writes a store with the coins, and the blocks that spend some of them. */
const make = (folder: string, size: Size): void => {
  const spread = Math.floor(size.coins / size.payments)
  const first = (n: number): Outpoint => {
    const at = n * spread
    return { id: allocationId("test"), index: at - (at % owners) + (n % owners) }
  }
  const chain = new TestChain(coinSpec(size.coins))
  new ChainStore(openDatabase(join(folder, "chain.db")), chain.rules).close()
  const load = payments(first, size.payments)
  const blocks = Array.from({ length: blocksOf(size) }, (_, i) => encodeBlock(chain.mine(1, load(i))[0]!).toHex())
  writeFileSync(join(folder, "blocks.json"), JSON.stringify([encodeBlock(chain.rules.genesis).toHex(), ...blocks]))
}

/** The rules without the allocation, whose million objects each garbage collection would walk. */
const rulesOf = (genesis: Uint8Array, size: Size): Rules => {
  const spec = coinSpec(0)
  const ledger = makeLedger(spec.ledger, amount(size.coins * purseUnits))
  return { spec, ledger, consensus: makePow(spec), genesis: Result.getOrThrow(decodeBlock(genesis, ledger)) }
}

const cpuMs = (): number => {
  const { user, system } = process.cpuUsage()
  return (user + system) / 1000
}
const median = (values: ReadonlyArray<number>): number => values.toSorted((x, y) => x - y)[values.length >> 1]!

const measure = (folder: string, size: Size): Measured => {
  const texts = JSON.parse(readFileSync(join(folder, "blocks.json"), "utf8")) as ReadonlyArray<string>
  const [genesis, ...blocks] = texts.map((text) => Uint8Array.fromHex(text))
  const rules = rulesOf(genesis!, size)
  const store = new ChainStore(openDatabase(join(folder, "chain.db")), rules)
  let treeMs = 0
  const update = StateTree.prototype.update
  StateTree.prototype.update = function (changes) {
    const began = performance.now()
    const root = update.call(this, changes)
    treeMs += performance.now() - began
    return root
  }
  const changed: Array<number> = []
  const pages = StateTree.prototype.pages
  StateTree.prototype.pages = function () {
    const all = pages.call(this)
    changed.push(all.size)
    return all
  }
  const source = { chain: { rules, now: Number.MAX_SAFE_INTEGER / 2 }, blocks }
  const times = blocks.map((bytes) => {
    const began = [performance.now(), cpuMs(), treeMs] as const
    importBlock(store, source, bytes, new VerifiedLeaves(2))
    return { ms: performance.now() - began[0], cpuMs: cpuMs() - began[1], treeMs: treeMs - began[2] }
  })
  store.close()
  const warm = times.slice(times.length / 3)
  return {
    ms: median(warm.map((one) => one.ms)),
    cpuMs: median(warm.map((one) => one.cpuMs)),
    treeMs: median(warm.map((one) => one.treeMs)),
    pages: median(changed),
    megabytes: process.memoryUsage().rss / 1e6
  }
}

const child = (step: "make" | "measure", folder: string, size: Size): string => {
  const args = [step, folder, String(size.coins), String(size.payments)]
  const { success, stdout } = spawnSync(["bun", import.meta.path, ...args], { stdio: ["ignore", "pipe", "inherit"] })
  if (!success) throw new Error(`${step} failed`)
  return stdout.toString()
}

const rowsOf = (size: Size): ReadonlyArray<Row> => {
  const folder = mkdtempSync(join(tmpdir(), "cairn-bench-"))
  try {
    child("make", folder, size)
    const { ms, cpuMs: cpu, treeMs, pages, megabytes } = JSON.parse(child("measure", folder, size)) as Measured
    const name = `${size.coins.toLocaleString("en")} coins`
    return [
      { name, value: ms, unit: "ms a block", baseline: "10,000 coins" },
      { name: `${name}, processor`, value: cpu, unit: "ms", baseline: "10,000 coins, processor" },
      { name: `${name}, state root`, value: treeMs, unit: "ms" },
      {
        name: `${name}, pages of the tree`,
        value: pages,
        unit: "a block",
        baseline: "10,000 coins, pages of the tree"
      },
      { name: `${name}, memory`, value: megabytes, unit: "MB", baseline: "10,000 coins, memory" }
    ]
  } finally {
    rmSync(folder, { recursive: true })
  }
}

const [step, folder, coins, count] = process.argv.slice(2)
const size = { coins: Number(coins), payments: Number(count) }
if (step === "make") make(folder!, size)
else if (step === "measure") process.stdout.write(JSON.stringify(measure(folder!, size)))
else
  for (const many of [100, perBlock])
    printTable(
      `A block of ${many} payments, every signature checked`,
      [10_000, 100_000, 1_000_000].flatMap((all) => rowsOf({ coins: all, payments: many }))
    )
