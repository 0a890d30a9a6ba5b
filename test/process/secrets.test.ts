/** What an operator's secrets are seen in: nothing that a node answers, prints, records or stores, whoever asks and whatever fails. */
import { afterAll, expect, test } from "bun:test"
import { readdirSync, readFileSync } from "node:fs"
import { join } from "node:path"
import type { Subprocess } from "bun"
import { type Route, routes } from "../../src/http/contract.ts"
import { plainRoutes } from "../../src/http/plain-contract.ts"
import { rows } from "../../src/settings/table.ts"
import { until } from "../network.ts"
import { binary, folder, plainEnvironment, readyLine } from "./binary.ts"

const home = folder()
const started: Array<Subprocess> = []
/** What another node is shown of ours, as the operator wants it. */
const shown: Array<string | null> = []
const other = Bun.serve({
  port: 0,
  hostname: "127.0.0.1",
  fetch: (request) => {
    shown.push(request.headers.get("x-blockchain-peer-secret"))
    return new Response("no", { status: 500 })
  }
})
afterAll(async () => {
  for (const child of started) {
    child.kill("SIGKILL")
    await child.exited
  }
  await other.stop(true)
  home.remove()
})

/** A text of its own for each secret that a setting can hold. */
const secrets = new Map(
  rows.flatMap(([key, { secret, variable }]) =>
    secret === true ? [[variable, `secret-${key}-0123456789abcdef0123456789`] as const] : []
  )
)
const secretOf = (variable: string): string => secrets.get(variable)!

/** The variables whose secret stands in a text. */
const toldIn = (text: string): ReadonlyArray<string> =>
  [...secrets].flatMap(([variable, secret]) => (text.includes(secret) ? [variable] : []))

/** Starts a node that knows all of them, and gives what it prints as it does. */
const begin = async (...args: ReadonlyArray<string>) => {
  const child = Bun.spawn([binary, "start", "--dev", "--http-port", "0", "--p2p-port", "0", ...args], {
    cwd: home.path,
    env: {
      ...plainEnvironment,
      ...Object.fromEntries(secrets),
      HOME: home.path,
      BLOCKCHAIN_BOOTSTRAP_PEERS: `http://127.0.0.1:${other.port}`,
      BLOCKCHAIN_P2P_POLL_INTERVAL_SECONDS: "1"
    },
    stdin: "ignore",
    stdout: "pipe",
    stderr: "pipe"
  })
  started.push(child)
  let printed = ""
  const read = async (from: ReadableStream<Uint8Array>): Promise<void> => {
    const decoder = new TextDecoder()
    for await (const bytes of from) printed += decoder.decode(bytes, { stream: true })
  }
  const all = Promise.all([read(child.stdout), read(child.stderr)])
  await until("it is ready", () => readyLine(printed) !== undefined)
  const { http } = JSON.parse(readyLine(printed)!) as { readonly http: string }
  return {
    http,
    printed: () => printed,
    stop: async (): Promise<string> => {
      child.kill("SIGTERM")
      await child.exited
      await all
      return printed
    }
  }
}

/** Everything that can be read of a node by a GET, as a peer and as an admin, and what it says to those who guess. */
const answersOf = async (http: string): Promise<string> => {
  const headers = {
    "x-blockchain-admin-token": secretOf("BLOCKCHAIN_ADMIN_TOKEN"),
    "x-blockchain-peer-secret": secretOf("BLOCKCHAIN_PEER_SHARED_SECRET"),
    "content-type": "application/json"
  }
  const reads = (Object.values(routes) as ReadonlyArray<Route>).filter(({ method, acts }) => method === "GET" && !acts)
  const paths = [...reads, ...Object.values(plainRoutes)].flatMap(({ path }) =>
    path.includes(":") || path === "/api/events" ? [] : [path]
  )
  expect(paths.length).toBeGreaterThan(20)
  const texts: Array<string> = []
  for (const path of paths) {
    const answer = await fetch(`${http}${path}`, { headers })
    texts.push(path, String(answer.status), JSON.stringify([...answer.headers]), await answer.text())
  }
  for (const [path, body] of [
    ["/api/mine", "{}"],
    ["/api/admin/backup", "{}"],
    ["/api/mine", `{"miner":"${secretOf("BLOCKCHAIN_ADMIN_TOKEN").slice(0, 8)}"}`],
    ["/api/consensus/resolve", ""],
    ["/api/network/p2p/peer-update", "{}"]
  ] as const) {
    const answer = await fetch(`${http}${path}`, { method: "POST", headers, body })
    texts.push(await answer.text())
    const guess = { ...headers, "x-blockchain-admin-token": "a guess", "x-blockchain-peer-secret": "a guess" }
    texts.push(await (await fetch(`${http}${path}`, { method: "POST", headers: guess, body })).text())
  }
  return texts.join("\n")
}

/** The names of files, at any depth, in which a secret stands. */
const filesWith = (path: string): ReadonlyArray<string> =>
  readdirSync(path, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .flatMap((entry) => {
      const file = join(entry.parentPath, entry.name)
      return toldIn(readFileSync(file, "latin1")).map((variable) => `${entry.name} has ${variable}`)
    })

test.each([
  ["a node", []],
  ["a node that is recorded", ["--record", "flight"]]
] as const)("%s tells nobody its secrets, and writes none anywhere", async (_, args) => {
  expect(secrets.size).toBeGreaterThanOrEqual(4)
  shown.length = 0
  const node = await begin("--data-dir", `chain-${args.length}`, ...args)
  const answers = await answersOf(node.http)
  expect(toldIn(answers)).toEqual([])
  await until("the other node was asked", () => shown.length > 0)
  const printed = await node.stop()
  expect([printed.includes("admin call"), toldIn(printed)]).toEqual([true, []])
  expect(filesWith(home.path)).toEqual([])
})

test("what is looked for would be found", () => {
  const text = [...secrets.values()].join(" ")
  expect(toldIn(text)).toEqual([...secrets.keys()])
})
