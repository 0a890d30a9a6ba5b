/**
 * Import: 10 blocks of 2,000 transfers from 1,000 senders, from their bytes to the disk (decode, header, body, signatures,
 * ledger, state root, one SQL transaction a block with a flush). Beside it, in the same run, the engine's own rate.
 */
import { mkdtempSync, rmSync, statSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { Result } from "effect"
import { decodeBlock, encodeBlock } from "../../src/block/block.ts"
import { VerifiedLeaves } from "../../src/chain/verified.ts"
import { loadEngineNamed } from "../../src/crypto/native.ts"
import { engine, useEngine, verify } from "../../src/crypto/signature.ts"
import { openDatabase } from "../../src/store/db.ts"
import { ChainStore } from "../../src/store/store.ts"
import { transferOf } from "../../src/ledger/transfer.ts"
import { specOf, TestChain, transfer } from "../fixtures.ts"
import { importBlock } from "./chains.ts"
import { printTable } from "./table.ts"

const senders = 1_000
const perBlock = 2_000
const blockCount = 10

const source = new TestChain(specOf({ accounts: senders }))
const blocks: Array<Uint8Array> = []
for (let i = 0; i < blockCount; i++) {
  const transfers = Array.from({ length: perBlock }, (_, n) =>
    transfer({
      from: n % senders,
      to: (n * 7 + i) % senders === n % senders ? (n + 1) % senders : (n * 7 + i) % senders,
      nonce: i * 2 + 1 + Math.floor(n / senders)
    })
  )
  const [block] = source.mine(1, transfers)
  blocks.push(encodeBlock(block!))
}

/** Transfers a CPU-second, all blocks into a fresh store; and bytes on disk a transfer. */
const importAll = (known: boolean, filters = true): { readonly rate: number; readonly bytes: number } => {
  const folder = mkdtempSync(join(tmpdir(), "cairn-bench-"))
  const path = join(folder, "chain.db")
  const store = new ChainStore(openDatabase(path), source.rules, { filters })
  const verified = new VerifiedLeaves(200_000)
  if (known) {
    for (const bytes of blocks) {
      const decoded = decodeBlock(bytes, source.rules.ledger)
      if (Result.isSuccess(decoded)) for (const one of decoded.success.transactions) verified.add(one)
    }
  }
  const before = process.cpuUsage()
  for (const bytes of blocks) importBlock(store, { chain: source, blocks }, bytes, verified)
  const { user, system } = process.cpuUsage(before)
  store.close()
  const { size } = statSync(path)
  rmSync(folder, { recursive: true })
  return { rate: (blockCount * perBlock * 1e6) / (user + system), bytes: size / (blockCount * perBlock) }
}

/** The engine alone, over the very same signatures: one repeated would flatter its branch prediction. */
const all = blocks.flatMap((bytes) => {
  const decoded = decodeBlock(bytes, source.rules.ledger)
  return Result.isSuccess(decoded) ? decoded.success.transactions : []
})
const engineRate = (): number => {
  const before = process.cpuUsage()
  for (const one of all) {
    const { signature, publicKey } = transferOf(one)
    if (!verify(one.id, signature, publicKey)) throw new Error("wrong")
  }
  const { user, system } = process.cpuUsage(before)
  return (all.length * 1e6) / (user + system)
}
for (const name of ["secp256k1-node", "libsecp256k1"] as const) {
  const chosen = loadEngineNamed(name)
  if (chosen === undefined) continue
  useEngine(chosen)
  importAll(false)
  report()
}

function report(): void {
  const runs = Array.from({ length: 5 }, () => ({
    engine: engineRate(),
    cold: importAll(false),
    warm: importAll(true),
    bare: importAll(true, false)
  }))
  const best = (pick: (run: (typeof runs)[number]) => number): number => Math.max(...runs.map(pick))

  printTable(
    `Import of ${blockCount} x ${perBlock} transfers, ${senders} senders, stored with a flush a block (${engine().name})`,
    [
      { name: "engine alone, verifications", value: best((run) => run.engine), unit: "/CPU-s" },
      {
        name: "import, every signature checked",
        value: best((run) => run.cold.rate),
        unit: "transfers/CPU-s",
        baseline: "engine alone, verifications"
      },
      {
        name: "import, signatures known from the pool",
        value: best((run) => run.warm.rate),
        unit: "transfers/CPU-s",
        baseline: "import, every signature checked"
      },
      {
        name: "the same, no block filters",
        value: best((run) => run.bare.rate),
        unit: "transfers/CPU-s",
        baseline: "import, signatures known from the pool"
      },
      { name: "disk", value: runs[0]!.cold.bytes, unit: "bytes a transfer" },
      { name: "disk, no block filters", value: runs[0]!.bare.bytes, unit: "bytes a transfer", baseline: "disk" }
    ]
  )
}
