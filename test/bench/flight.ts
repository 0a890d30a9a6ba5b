/**
 * What the flight recorder costs: the same node without and with it, in turns, in one process. A second process serves
 * 10 blocks of 2,000 transfers, which the node downloads, checks and stores; then callers submit transfers to it. And how
 * long a journal is, and how fast it is replayed.
 */
import { mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { Clock, Context, Effect, References } from "effect"
import { SlicedScheduler } from "../../actors/scheduler.ts"
import type { TreeOptions } from "../../actors/base.ts"
import { startTree, type Tree } from "../../actors/tree.ts"
import { makeRules } from "../../src/chain/rules.ts"
import { makeCertificate } from "../../src/crypto/certificate.ts"
import { engine } from "../../src/crypto/signature.ts"
import { findEpochs, readEpoch } from "../../src/flight/epoch.ts"
import { startRecorded } from "../../src/flight/record.ts"
import { replayEpoch } from "../../src/flight/replay.ts"
import { bunTcp } from "../../src/io/tcp.ts"
import { startBunThread } from "../../src/io/worker.ts"
import { openDatabase, openReadonly } from "../../src/store/db.ts"
import { Snapshot } from "../../src/store/snapshot.ts"
import { ChainStore } from "../../src/store/store.ts"
import { keyOf, specOf, TestChain, transfer } from "../fixtures.ts"
import { startNode, until } from "../network.ts"
import { printTable } from "./table.ts"

const senders = 1_000
const perBlock = 2_000
const blockCount = 10
const submits = 3_000
const rounds = 7
const spec = specOf({ accounts: senders })

/** Runs an effect as the program does: quietly, all on one scheduler. */
const scheduler = new SlicedScheduler()
const quiet = Context.make(References.MinimumLogLevel, "None") as Context.Context<never>
const run = <A, E>(effect: Effect.Effect<A, E>): Promise<A> => Effect.runPromiseWith(quiet)(effect, { scheduler })

const folder = mkdtempSync(join(tmpdir(), "cairn-bench-"))
process.on("exit", () => rmSync(folder, { recursive: true, force: true }))

if (process.argv[2] === "serve") await serve()
else await compare()

/** Seals the blocks, serves them, and says where. */
async function serve(): Promise<void> {
  const chain = new TestChain(spec, join(folder, "chain.db"))
  for (let i = 0; i < blockCount; i++) {
    const transfers = Array.from({ length: perBlock }, (_, n) =>
      transfer({ from: n % senders, to: (n + 1 + i) % senders, nonce: i * 2 + 1 + Math.floor(n / senders) })
    )
    chain.mine(1, transfers)
  }
  chain.store.close()
  const node = await startNode({ folder, spec })
  process.stdout.write(`${node.endpoint}\n`)
}

interface Run {
  /** CPU seconds of the import and of the submits, and milliseconds of the latter. */
  readonly importCpu: number
  readonly submitCpu: number
  readonly submitMs: number
  readonly bytes: number
}

/** A node's two lives: one downloads all blocks, the other, without peers, takes transfers. */
async function live(seed: string, home: string, recorded: boolean): Promise<Run> {
  const path = join(home, "chain.db")
  const rules = makeRules(spec)
  const store = new ChainStore(openDatabase(path), rules)
  const snapshot = new Snapshot(openReadonly(path), rules)
  const now = await run(Clock.currentTimeMillis)
  const key = keyOf(7_777)
  const facts = { version: "bench", agent: "cairn/bench", dev: true, dataDir: home, httpUrl: "", startedAt: now }
  const optionsWith = (peers: TreeOptions["config"]["peers"]): TreeOptions => ({
    config: {
      dataDir: home,
      dev: true,
      http: { host: "127.0.0.1", port: 0, adminToken: undefined },
      peers,
      mining: { threads: 0, proposer: undefined, onDemand: false, everyMs: undefined },
      signatureEngine: "auto"
    },
    ...{ rules, store, snapshot, key, proposer: key.address },
    tls: makeCertificate("bench", { now, serial: crypto.getRandomValues(new Uint8Array(16)) }),
    doors: { tcp: bunTcp, startThread: startBunThread },
    facts: { ...facts, signatureEngine: engine().name, hashEngine: "bun", mineThreads: 0 }
  })
  const start = (options: TreeOptions, name: string): Promise<Tree> =>
    run(recorded ? startRecorded(options, { folder: join(home, name), bytesMax: 1e9 }) : startTree(options))
  const written = async (tree: Tree): Promise<number> =>
    Number(/cairn_flight_journal_bytes (\d+)/.exec(await run(tree.node.metrics()))?.[1] ?? 0)

  const first = await start(optionsWith({ host: "127.0.0.1", port: 0, advertise: undefined, seeds: [seed] }), "import")
  const before = process.cpuUsage()
  await until("all blocks", () => store.tip().header.height === blockCount, 60_000)
  const imported = process.cpuUsage(before)
  const importBytes = await written(first)
  await run(first.stop)

  const transfers = Array.from({ length: submits }, (_, n) => {
    const nonce = 2 * blockCount + 1 + Math.floor(n / senders)
    return transfer({ from: n % senders, to: (n + 1) % senders, nonce, time: now })
  })
  // Who is known is dialled.
  store.db.run("DELETE FROM peers")
  const second = await start(optionsWith(undefined), "submit")
  const ready = process.cpuUsage()
  const began = performance.now()
  for (let from = 0; from < submits; from += 16)
    await Promise.all(transfers.slice(from, from + 16).map((one) => run(second.node.submit(one))))
  const submitMs = performance.now() - began
  const submitted = process.cpuUsage(ready)
  const bytes = importBytes + (await written(second))
  await run(second.stop)
  snapshot.close()
  store.close()
  const seconds = ({ user, system }: NodeJS.CpuUsage): number => (user + system) / 1e6
  return { importCpu: seconds(imported), submitCpu: seconds(submitted), submitMs, bytes }
}

async function compare(): Promise<void> {
  const child = Bun.spawn([process.execPath, import.meta.path, "serve"], { stdout: "pipe" })
  const { value } = await child.stdout.getReader().read()
  const seed = new TextDecoder().decode(value).trim()
  const runs: Record<"plain" | "recorded", Array<Run>> = { plain: [], recorded: [] }
  const home = (name: string, round: number): string => mkdtempSync(join(folder, `${name}-${round}-`))
  // In turns, each first in every other round: what warms up or disturbs does so for both.
  for (let round = 0; round <= rounds; round++)
    for (const name of round % 2 === 0 ? (["plain", "recorded"] as const) : (["recorded", "plain"] as const)) {
      const one = await live(seed, home(name, round), name === "recorded")
      if (round > 0) runs[name].push(one)
    }
  const last = home("replayed", 0)
  const { bytes } = await live(seed, last, true)
  child.kill()

  const [epoch] = findEpochs(join(last, "import")) as [string]
  const began = performance.now()
  const verdict = await replayEpoch(readEpoch(epoch))
  const replayMs = performance.now() - began
  if (verdict.outcome !== "identical") throw new Error(JSON.stringify(verdict.divergence))

  const median = (name: keyof typeof runs, pick: (run: Run) => number): number =>
    runs[name].map(pick).sort((a, b) => a - b)[rounds >> 1]!
  const imports = (name: keyof typeof runs): number => (blockCount * perBlock) / median(name, (run) => run.importCpu)
  const rate = (name: keyof typeof runs): number => submits / median(name, (run) => run.submitCpu)
  const perSecond = (name: keyof typeof runs): number => (submits * 1000) / median(name, (run) => run.submitMs)
  printTable(`The flight recorder (${engine().name}; medians of ${rounds} runs in turns)`, [
    { name: "import over TLS, not recorded", value: imports("plain"), unit: "transfers/CPU-s" },
    {
      name: "import over TLS, recorded",
      value: imports("recorded"),
      unit: "transfers/CPU-s",
      baseline: "import over TLS, not recorded"
    },
    { name: "submit, 16 at a time, not recorded", value: rate("plain"), unit: "transfers/CPU-s" },
    {
      name: "submit, 16 at a time, recorded",
      value: rate("recorded"),
      unit: "transfers/CPU-s",
      baseline: "submit, 16 at a time, not recorded"
    },
    { name: "the same on the wall's clock, not recorded", value: perSecond("plain"), unit: "transfers/s" },
    {
      name: "the same on the wall's clock, recorded",
      value: perSecond("recorded"),
      unit: "transfers/s",
      baseline: "the same on the wall's clock, not recorded"
    },
    { name: "journal", value: bytes / (blockCount * perBlock + submits), unit: "bytes a transfer" },
    { name: "replay of an import", value: replayMs, unit: `ms for ${Math.round(verdict.atMs)} ms of the node` }
  ])
  process.exit(0)
}
