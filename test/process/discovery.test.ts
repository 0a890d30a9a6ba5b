/** The discovery service and nodes that know nothing but it, as built binaries; and the way out by HTTP over real sockets. */
import { afterAll, describe, expect, test } from "bun:test"
import { join } from "node:path"
import { Effect } from "effect"
import type { Subprocess } from "bun"
import { fromHex } from "../../src/codec/bytes.ts"
import { formatCommand, makeStatement, type Statement } from "../../src/discovery/statement.ts"
import { call } from "../../src/http/client.ts"
import { bunFetch } from "../../src/io/fetch.ts"
import { keyOf } from "../fixtures.ts"
import { until } from "../network.ts"
import { binary, run, type Running, suite } from "./binary.ts"

const { home, begin } = suite()
const services: Array<Subprocess> = []
afterAll(() => {
  for (const service of services) service.kill("SIGKILL")
})

const startService = async (...args: ReadonlyArray<string>) => {
  const child = Bun.spawn([binary, "discovery", "--port", "0", ...args], { stdout: "pipe", stderr: "inherit" })
  services.push(child)
  const { value } = await child.stdout.getReader().read()
  const ready = JSON.parse(new TextDecoder().decode(value)) as { readonly ready: boolean; readonly http: string }
  expect(ready.ready).toBe(true)
  return { url: ready.http, child }
}
const post = async (url: string, body: unknown) => {
  const headers = { "content-type": "application/json" }
  const response = await fetch(url, { method: "POST", headers, body: JSON.stringify(body) })
  const json = (await response.json()) as Readonly<Record<string, unknown>>
  return { status: response.status, ...json }
}
const membersOf = async (url: string, genesis: unknown) => {
  const { members } = (await (await fetch(`${url}/api/members?genesis=${String(genesis)}`)).json()) as {
    readonly members: ReadonlyArray<{ readonly id: string; readonly endpoint: string }>
  }
  return members
}
const peersOf = async ({ http }: Running): Promise<number> => (await call(http, "peers")).counts.active
const stateOf = async ({ http }: Running) => (await call(http, "stats")).stats.state.name
const node = (name: string, ...args: ReadonlyArray<string>) =>
  begin("--dev", "--data-dir", join(home.path, name), ...args)

describe("a discovery service", () => {
  test("brings three nodes together that know nothing else; it dies, and they stay", async () => {
    const { url, child } = await startService()
    const nodes: Array<Running> = []
    for (const name of ["a", "b", "c"]) nodes.push(await node(name, "--discovery", url))
    await until(
      "each has two peers",
      async () => (await Promise.all(nodes.map(peersOf))).every((count) => count === 2),
      30_000
    )
    await until(
      "each is ready",
      async () => (await Promise.all(nodes.map(stateOf))).every((name) => name === "ready"),
      30_000
    )
    const genesis = nodes[0]!.ready["genesis"]
    expect((await membersOf(url, genesis)).map(({ endpoint }) => endpoint).sort()).toEqual(
      nodes.map(({ peers }) => peers).sort()
    )
    expect(await membersOf(url, "08".repeat(32))).toEqual([])

    const [member] = await membersOf(url, genesis)
    const time = Date.now() + 1_000
    const words = {
      action: "remove",
      chainId: "cairn-dev",
      genesis: fromHex(String(genesis))!,
      endpoint: "",
      time,
      expires: time
    } as const
    const thief = makeStatement(words, keyOf(9))
    const spoofed = formatCommand({ command: "remove", statement: { ...thief, nodeId: member!.id } })
    expect(await post(url, spoofed)).toMatchObject({ status: 403, code: "node-id-mismatch" })
    expect((await membersOf(url, genesis)).length).toBe(3)

    expect(await nodes[2]!.stop()).toBe(0)
    expect((await membersOf(url, genesis)).length).toBe(2)
    child.kill("SIGTERM")
    expect(await child.exited).toBe(0)
    const [a, b] = nodes
    await call(a!.http, "mine", { body: {} })
    await until("the other follows", async () => (await call(b!.http, "stats")).stats.blocks === 2)
    expect(await peersOf(a!)).toBe(1)
    // The peers of last time are known without it.
    const again = await node("c", "--discovery", url)
    await until("it has two peers again", async () => (await peersOf(again)) === 2, 30_000)
    await until("it has the block", async () => (await call(again.http, "stats")).stats.blocks === 2, 30_000)
  }, 90_000)

  test("keeps members in a file over a restart, and lets them end in their time", async () => {
    const file = join(home.path, "members.db")
    const first = await startService("--data", file)
    const genesis = new Uint8Array(32).fill(7)
    const signed = (lifeMs: number): Statement => {
      const time = Date.now()
      const words = { chainId: "c", genesis, endpoint: "192.0.2.7:19100", time, expires: time + lifeMs }
      return makeStatement({ action: "register", ...words }, keyOf(1))
    }
    const kept = formatCommand({ command: "add", statement: signed(60_000) })
    expect(await post(first.url, kept)).toMatchObject({ status: 200 })
    first.child.kill("SIGKILL")
    await first.child.exited
    const second = await startService("--data", file)
    const there = async (): Promise<number> => (await membersOf(second.url, "07".repeat(32))).length
    expect([await there(), (await post(second.url, kept))["status"]]).toEqual([1, 409])
    expect(await post(second.url, formatCommand({ command: "add", statement: signed(1_500) }))).toMatchObject({
      status: 200
    })
    expect(await there()).toBe(1)
    // Not asked as often as could be: the service would not bear it.
    await until("the registration has ended", async () => {
      await Bun.sleep(200)
      return (await there()) === 0
    })
  }, 30_000)

  test("says what is wrong with how it is started", async () => {
    const service = await startService()
    const taken = await run("discovery", "--port", new URL(service.url).port)
    expect([taken.code, taken.err]).toMatchObject([1, expect.stringContaining("listen-failed")])
    const unusable = await run("discovery", "--port", "0", "--data", join(home.path, "no", "such", "folder.db"))
    expect([unusable.code, unusable.err]).toMatchObject([5, expect.stringContaining("store-unusable")])
    const wrong = await run("start", "--dev", "--discovery", "http://127.0.0.1:4444/x")
    expect([wrong.code, wrong.err]).toMatchObject([2, expect.stringContaining("service-invalid")])
  }, 30_000)
})

describe("the way out by HTTP", () => {
  const bytesMax = 1_000
  const ask = (url: string, timeoutMs = 5_000) =>
    Effect.runPromise(
      Effect.match(bunFetch({ url, body: "{}", timeoutMs, bytesMax }), {
        onSuccess: ({ body }) => body.length,
        onFailure: ({ message }) => message
      })
    )
  /** How many bytes of an endless answer were asked for. */
  let drawn = 0
  const endless = (): ReadableStream =>
    new ReadableStream({
      pull: (controller) => {
        drawn += 1_000
        controller.enqueue(new Uint8Array(1_000))
      }
    })
  const server = Bun.serve({
    port: 0,
    hostname: "127.0.0.1",
    fetch: (request) => {
      const { pathname } = new URL(request.url)
      if (pathname === "/fits") return new Response("x".repeat(bytesMax))
      if (pathname === "/long") return new Response("x".repeat(bytesMax + 1))
      if (pathname === "/endless") return new Response(endless())
      if (pathname === "/elsewhere") return Response.redirect("/fits")
      return new Promise<Response>(() => {})
    }
  })
  afterAll(() => server.stop(true))
  const at = (path: string): string => `http://127.0.0.1:${server.port}${path}`

  test("takes an answer of its bound, none of a byte more, and no more of an endless one than it must", async () => {
    expect([await ask(at("/fits")), await ask(at("/long"))]).toEqual([bytesMax, "the answer has more than 1000 bytes"])
    expect(await ask(at("/endless"))).toBe("the answer has more than 1000 bytes")
    expect(drawn).toBeLessThan(10_000_000)
  })

  test("follows nowhere, waits no longer than it may, and says that nobody is there", async () => {
    expect(await ask(at("/elsewhere"))).toBeString()
    const began = performance.now()
    expect([await ask(at("/never"), 300), performance.now() - began < 3_000]).toMatchObject([expect.any(String), true])
    expect(await ask("http://127.0.0.1:1/")).toBeString()
  })
})
