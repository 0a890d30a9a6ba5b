/** The gate of the HTTP interface: what counting clients costs a request, alone and of the whole answer, and under invented addresses. */
import { Context } from "effect"
import { makeApp } from "../../src/http/app.ts"
import { Rate } from "../../src/http/rates.ts"
import { sipKey } from "../../src/crypto/siphash.ts"
import { startNode } from "../network.ts"
import { printTable, rate, type Row } from "./table.ts"

const key = sipKey(new Uint8Array(16).fill(1))
const client = (n: number): Uint8Array => new Uint8Array([n >> 24, n >> 16, n >> 8, n])
const plenty = 1_000_000_000

let now = 0
const one = new Rate(plenty, key)
const crowd = new Rate(240, key)
let next = 0
const rows: Array<Row> = [
  { name: "take, one client", value: rate(() => void one.take(client(1), ++now), 200_000), unit: "/s" },
  {
    name: "take, each from a new address",
    value: rate(() => void crowd.take(client(++next), ++now), 200_000),
    unit: "/s"
  },
  { name: "table of one class", value: crowd.bytes / 1024, unit: "KB" }
]

const node = await startNode()
const options = { node: node.tree.node, context: Context.empty(), adminToken: undefined, page: new Map(), hosts: [] }
const open = makeApp(options)
const limits = { public: plenty, admin: plenty, peer: plenty }
const limited = makeApp({ ...options, access: { rates: limits, now: () => performance.now() } })

/** Answers a CPU-second, one after the other, without a socket: the best of several slices, taken in turn. */
const answers = async (app: typeof open, path: string): Promise<number> => {
  const times = 3_000
  const began = process.cpuUsage()
  for (let i = 0; i < times; i++) await app.fetch(new Request(`http://localhost${path}`), { remote: "192.0.2.1" })
  const { user, system } = process.cpuUsage(began)
  return (times * 1_000_000) / (user + system)
}
const compared = async (name: string, path: string): Promise<void> => {
  let [without, withRates] = [0, 0]
  for (let slice = 0; slice < 15; slice++) {
    without = Math.max(without, await answers(open, path))
    withRates = Math.max(withRates, await answers(limited, path))
  }
  rows.push({ name: `${name}, not limited`, value: without, unit: "/cpu-s" })
  rows.push({ name: `${name}, limited`, value: withRates, unit: "/cpu-s", baseline: `${name}, not limited` })
}
await compared("the cheapest answer (/openapi.json)", "/openapi.json")
await compared("a block (/api/blocks/0)", "/api/blocks/0")
printTable("doors", rows)
await node.stop()
process.exit(0)
