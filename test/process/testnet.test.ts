/** Several real nodes and the command that watches their heads: equal, parted, hung, gone; and a testnet in one command. */
import { afterAll, beforeAll, expect, test } from "bun:test"
import { join } from "node:path"
import type { Subprocess } from "bun"
import { call } from "../../src/http/client.ts"
import type { HeadView, Round } from "../../src/cli/heads.ts"
import { until } from "../network.ts"
import { binary, run, type Running, suite } from "./binary.ts"

const { home, begin } = suite()
const started: Array<Subprocess> = []
afterAll(() => {
  for (const child of started) child.kill("SIGKILL")
})

const mine = async (node: Running, count: number): Promise<void> => {
  for (let i = 0; i < count; i++) await call(node.http, "mine", { body: {} })
}
const roundsOf = (out: string): ReadonlyArray<Round> =>
  out
    .trim()
    .split("\n")
    .map((line) => JSON.parse(line) as Round)
const statesOf = ({ nodes }: Round): ReadonlyArray<HeadView["state"]> => nodes.map(({ state }) => state)
const quick = ["--until-equal", "--interval", "100ms"]

/** A command that goes on, and the lines that it has printed so far. */
const follow = (...args: ReadonlyArray<string>) => {
  const child = Bun.spawn([binary, ...args], { stdin: "ignore", stdout: "pipe", stderr: "inherit" })
  started.push(child)
  const lines: Array<string> = []
  void (async () => {
    let rest = ""
    for await (const chunk of child.stdout) {
      const parts = (rest + new TextDecoder().decode(chunk)).split("\n")
      rest = parts.pop()!
      lines.push(...parts)
    }
  })()
  return { child, lines, last: () => JSON.parse(lines.at(-1) ?? "null") as Round | null }
}

let [a, b, alone]: ReadonlyArray<Running> = []
let urls: ReadonlyArray<string> = []

beforeAll(async () => {
  a = await begin("--dev", "--data-dir", join(home.path, "a"))
  await mine(a, 3)
  b = await begin("--dev", "--data-dir", join(home.path, "b"), "--p2p-seeds", a.peers)
  alone = await begin("--dev", "--data-dir", join(home.path, "c"))
  urls = [a, b, alone].map(({ http }) => http)
}, 30_000)

test("nodes that follow each other have one head, and the watch ends as soon as they have", async () => {
  const ended = await run("testnet", "watch", a!.http, b!.http, ...quick, "--timeout", "20s")
  expect(ended.code).toBe(0)
  const last = roundsOf(ended.out).at(-1)!
  const { last_block_hash: hash, cumulative_work: work } = (await call(a!.http, "stats")).stats
  expect(last).toMatchObject({
    equal: true,
    fork_height: 3,
    nodes: [{ url: a!.http, hash, work, height: 3, peers: 1 }, { hash }]
  })
}, 30_000)

test("a node that is behind, and then one that has grown apart: exit code 3, who it is and where they part", async () => {
  const watch = () => run("testnet", "watch", ...urls, ...quick, "--timeout", "300ms")
  const behind = await watch()
  const last = roundsOf(behind.out).at(-1)!
  expect([behind.code, statesOf(last), last.fork_height]).toEqual([3, ["best", "best", "behind"], 0])

  await mine(alone!, 2)
  const parted = await watch()
  expect([parted.code, statesOf(roundsOf(parted.out).at(-1)!)]).toEqual([3, ["best", "best", "forked"]])
  const { error } = JSON.parse(parted.err.trim().split("\n").at(-1)!)
  expect(error.code).toBe("heads-differ")
  expect(error.message).toContain(`${alone!.http} on another branch; they share the blocks up to height 0`)
}, 30_000)

test("a node that hangs or is gone is away, the watch goes on, and sees it come back", async () => {
  const { child, lines, last } = follow("testnet", "watch", ...urls, "--interval", "100ms")
  const isSeen =
    (...states: ReadonlyArray<HeadView["state"]>) =>
    () =>
      String(last() && statesOf(last()!)) === String(states)
  await until("all are seen", isSeen("best", "best", "forked"))
  b!.process.kill("SIGSTOP")
  await until("one hangs", isSeen("best", "away", "forked"))
  const { since, height } = last()!.nodes[1]!
  expect([height, since > last()!.nodes[0]!.since, last()!.fork_height]).toEqual([null, true, 0])
  b!.process.kill("SIGCONT")
  await until("it is back", isSeen("best", "best", "forked"))
  await alone!.stop("SIGKILL")
  await until("one is gone", isSeen("best", "best", "away"))
  expect(JSON.parse(lines.at(-1)!).equal).toBe(false)
  expect(child.exitCode).toBeNull()
  child.kill("SIGINT")
  await child.exited
  const never = await run("testnet", "watch", alone!.http, ...quick, "--timeout", "200ms")
  expect([never.code, JSON.parse(never.err).error.code]).toEqual([4, "unreachable"])
}, 40_000)

test("on a terminal it is one table, drawn again in its place, in colours unless they are unwanted", async () => {
  const { NO_COLOR: _, ...plain } = process.env
  const draw = async (environment: typeof process.env): Promise<string> => {
    let text = ""
    const data = (_terminal: unknown, bytes: Uint8Array): void => void (text += new TextDecoder().decode(bytes))
    const child = Bun.spawn([binary, "testnet", "watch", a!.http, b!.http, "--interval", "100ms"], {
      env: environment,
      terminal: { cols: 200, rows: 40, data }
    })
    started.push(child)
    await until("three tables", () => text.split("one head at height 3").length > 3)
    child.kill("SIGTERM")
    await child.exited
    return text
  }
  const table = await draw(plain)
  expect(table).toContain(`\u001b[32m${a!.http}       3  `)
  expect(table.split("\u001b[5A\u001b[J").length).toBeGreaterThan(2)
  expect(await draw({ ...plain, NO_COLOR: "1" })).not.toContain("\u001b[32m")
}, 30_000)

test.each([
  ["--interval=2", "duration-invalid"],
  ["--timeout=0s", "duration-invalid"],
  ["--timeout=25h", "duration-invalid"],
  ["ftp://127.0.0.1", "endpoint-invalid"],
  ["http://127.0.0.1/api", "endpoint-invalid"]
])("%s is not understood", async (argument, code) => {
  const { code: exit, err } = await run("testnet", "watch", argument)
  expect([exit, JSON.parse(err).error.code]).toEqual([2, code])
})

test("a testnet of authorities: each node seals in its turns, and the heads are equal", async () => {
  const ports = ["--http-port", "0", "--p2p-port", "0"]
  const { child, lines } = follow("testnet", "start", "--spec", "dev-authorities", "--nodes", "4", ...ports)
  await until("the testnet is ready", () => lines.some((line) => line.startsWith('{"ready":true')))
  const ready = JSON.parse(lines.find((line) => line.startsWith('{"ready":true'))!)
  const names: ReadonlyArray<string> = ready.nodes.map(({ http }: { readonly http: string }) => http)
  expect([ready.chain, names.length]).toEqual(["cairn-dev-poa", 4])
  const sealers = async (): Promise<number> => {
    const { headers } = await call(names[3]!, "headers", { query: { from_height: 1, limit: 100 } })
    return new Set(headers.map(({ mined_by: by }) => by)).size
  }
  await until("all three have sealed", async () => (await sealers()) === 3, 20_000)
  expect((await run("testnet", "watch", ...names, ...quick, "--timeout", "20s")).code).toBe(0)
  const watch = follow("testnet", "watch", ...names, "--interval", "500ms")
  const isFinal = (): boolean => watch.last()?.nodes.every(({ final_height }) => final_height! >= 8) === true
  await until("all know of blocks that are final", isFinal, 60_000)
  watch.child.kill("SIGINT")
  await watch.child.exited
  child.kill("SIGINT")
  expect(await child.exited).toBe(0)
}, 120_000)

test("a testnet in one command: joined, one mines, and all end together", async () => {
  const ports = ["--http-port", "0", "--p2p-port", "0"]
  const { child, lines } = follow("testnet", "start", "--nodes", "3", "--seal-every", "200ms", ...ports)
  await until("the testnet is ready", () => lines.length > 0)
  const ready = JSON.parse(lines[0]!) as { readonly nodes: ReadonlyArray<{ readonly http: string }> }
  const names = ready.nodes.map(({ http }) => http)
  expect(new Set(names).size).toBe(3)
  const heightOf = async (url: string): Promise<number> => (await call(url, "stats")).stats.blocks
  await until("the last has what the first mined", async () => (await heightOf(names[2]!)) > 3)
  expect((await run("testnet", "watch", ...names, ...quick, "--timeout", "20s")).code).toBe(0)
  child.kill("SIGINT")
  expect(await child.exited).toBe(0)
  expect((await run("testnet", "watch", ...names, ...quick, "--timeout", "100ms")).code).toBe(4)
}, 40_000)
