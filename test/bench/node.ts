/** Whole nodes: start, memory, HTTP, the pool over HTTP, a block over five hops. The binary is built first if it is not there. */
import { existsSync, mkdtempSync, readFileSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { call } from "../../src/http/client.ts"
import { accountKey, devMnemonic } from "../../src/crypto/keys.ts"
import type { Amount } from "../../src/ledger/amount.ts"
import type { Millis, Nonce } from "../../src/ledger/transaction.ts"
import { signTransfer } from "../../src/ledger/transfer.ts"
import { formatTransfer } from "../../src/ledger/transfer-text.ts"
import { keyOf } from "../fixtures.ts"
import { until } from "../network.ts"
import { binary, start } from "../process/binary.ts"
import { printTable, type Row, time } from "./table.ts"

if (!existsSync(binary)) Bun.spawnSync(["bun", "run", "build"], { stdio: ["ignore", "inherit", "inherit"] })
const rows: Array<Row> = []
const median = (values: Array<number>): number => values.sort((a, b) => a - b)[values.length >> 1]!
const folder = mkdtempSync(join(tmpdir(), "cairn-bench-"))

const starts: Array<number> = []
for (let i = 0; i < 7; i++) {
  let stop = (): unknown => undefined
  starts.push(
    await time(async () => {
      const node = await start("--dev", "--data-dir", join(folder, `start-${i}`))
      stop = () => node.stop("SIGKILL")
    })
  )
  await stop()
}
rows.push({ name: "start to the ready line, fresh folder (median of 7)", value: median(starts), unit: "ms" })

const node = await start("--dev", "--data-dir", join(folder, "node"), "--seal-every", "3600")
await Bun.sleep(3_000)
const resident = /VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${node.process.pid}/status`, "utf8"))
rows.push({ name: "resident memory, idle", value: Number(resident?.[1] ?? 0) / 1024, unit: "MB" })

/** Requests a second by `lanes` clients in turn, for as long as `next` gives one. */
const load = async (
  lanes: number,
  next: () => (() => Promise<Response>) | undefined
): Promise<{ readonly rate: number; readonly p99: number }> => {
  const times: Array<number> = []
  const began = performance.now()
  await Promise.all(
    Array.from({ length: lanes }, async () => {
      for (let request = next(); request !== undefined; request = next()) {
        const at = performance.now()
        const response = await request()
        await response.arrayBuffer()
        if (!response.ok) throw new Error(`${response.status}`)
        times.push(performance.now() - at)
      }
    })
  )
  const rate = (times.length * 1000) / (performance.now() - began)
  return { rate, p99: times.sort((a, b) => a - b)[Math.floor(times.length * 0.99)]! }
}

let left = 20_000
const reads = await load(16, () => (left-- > 0 ? () => fetch(`${node.http}/api/blocks/0`) : undefined))
rows.push(
  { name: "HTTP: read a block, 16 clients", value: reads.rate, unit: "/s" },
  { name: "HTTP: read a block, p99", value: reads.p99, unit: "ms" }
)

const payers = Array.from({ length: 3 }, (_, i) => accountKey(devMnemonic, i))
const funded = await fund(node.http, 100)
const queue = funded.flatMap((key) =>
  Array.from({ length: 60 }, (_, n) => {
    const fields = {
      chainId: "cairn-dev",
      recipient: keyOf(5000 + n).address,
      amount: 1 as Amount,
      fee: 1000 as Amount,
      time: Date.now() as Millis,
      note: ""
    }
    return JSON.stringify(formatTransfer(signTransfer({ ...fields, nonce: (n + 1) as Nonce }, key), "crn"))
  })
)
const post = (body: string) => () =>
  fetch(`${node.http}/api/transactions`, { method: "POST", headers: { "content-type": "application/json" }, body })
const submitted = await load(16, () => {
  const body = queue.shift()
  return body === undefined ? undefined : post(body)
})
rows.push(
  { name: "HTTP: submit a transfer, on disk, 16 clients", value: submitted.rate, unit: "/s" },
  { name: "HTTP: submit a transfer, p99", value: submitted.p99, unit: "ms" }
)
await node.stop("SIGKILL")

/** Pays `count` test keys, enough for their transfers, and seals it. */
async function fund(http: string, count: number): Promise<ReadonlyArray<ReturnType<typeof keyOf>>> {
  const keys = Array.from({ length: count }, (_, i) => keyOf(1000 + i))
  for (let from = 0; from < keys.length; from += 150) {
    for (const [i, key] of keys.slice(from, from + 150).entries()) {
      const payer = payers[i % 3]!
      const fields = {
        chainId: "cairn-dev",
        recipient: key.address,
        amount: 10_000_000 as Amount,
        fee: 1000 as Amount,
        time: Date.now() as Millis,
        note: ""
      }
      const nonce = (from / 3 + Math.floor(i / 3) + 1) as Nonce
      await call(http, "submit", { body: formatTransfer(signTransfer({ ...fields, nonce }, payer), "crn") })
    }
    await call(http, "mine", { body: {} })
  }
  return keys
}

/** Six processes in a line; how long from the order to mine at one end until the other end tells of the block. */
const line = [await start("--dev", "--data-dir", join(folder, "line-0"))]
for (let i = 1; i < 6; i++) {
  line.push(await start("--dev", "--data-dir", join(folder, `line-${i}`), "--p2p-seeds", line.at(-1)!.peers))
}
await until("a line of sessions", async () => {
  const stats = await Promise.all(line.map(({ http }) => call(http, "stats")))
  return stats.every(({ stats: { peers } }, i) => peers >= (i === 0 || i === 5 ? 1 : 2))
})
const events = (await fetch(`${line[5]!.http}/api/events`)).body!.getReader()
const hops: Array<number> = []
for (let i = 0; i < 15; i++) {
  const began = performance.now()
  const mined = call(line[0]!.http, "mine", { body: {} })
  for (let text = ""; !text.includes("event: tip"); ) text += new TextDecoder().decode((await events.read()).value)
  hops.push(performance.now() - began)
  await mined
}
rows.push({
  name: "a block from the order over five hops, six processes (median of 15)",
  value: median(hops),
  unit: "ms"
})
for (const one of line) await one.stop("SIGKILL")

printTable("Whole nodes", rows)
rmSync(folder, { recursive: true, force: true })
process.exit(0)
