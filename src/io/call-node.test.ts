/** Whom the door to other nodes lets us ask: what a name means is looked at once, and what is looked at is what is asked. */
import { afterAll, describe, expect, test } from "bun:test"
import { Effect } from "effect"
import { type Call, type CallNode, makeCallNode } from "./call-node.ts"

const seen: Array<{ readonly host: string | null; readonly path: string; readonly body: string }> = []
const server: Bun.Server<undefined> = Bun.serve({
  port: 0,
  hostname: "127.0.0.1",
  fetch: async (request): Promise<Response> => {
    const { pathname } = new URL(request.url)
    seen.push({ host: request.headers.get("host"), path: pathname, body: await request.text() })
    if (pathname === "/away") return Response.redirect(`http://127.0.0.1:${server.port}/there`)
    if (pathname === "/long") return new Response("x".repeat(5_000))
    if (pathname === "/endless")
      return new Response(
        new ReadableStream({ pull: async (out) => void out.enqueue(new TextEncoder().encode("x".repeat(1_000))) })
      )
    if (pathname === "/packed")
      return new Response(Bun.gzipSync(new Uint8Array(100_000)), { headers: { "content-encoding": "gzip" } })
    if (pathname === "/never") return new Promise<Response>(() => {})
    return new Response(`hello ${request.method}`)
  }
})
afterAll(() => server.stop(true))

const looked: Array<string> = []
/** Names of the test: each look at a name gives the next of its addresses. */
const names = new Map<string, Array<ReadonlyArray<string>>>()
const door = makeCallNode(async (host) => {
  looked.push(host)
  return names.get(host)?.shift() ?? []
})

const call = (url: string, more: Partial<Call> = {}, by: CallNode = door) =>
  Effect.runPromise(
    Effect.match(by({ method: "GET", url, timeoutMs: 1_000, bytesMax: 1_000, allowPrivate: true, ...more }), {
      onSuccess: ({ status, body }) => `${status} ${body}`,
      onFailure: ({ code }) => code as string
    })
  )
const at = (path: string, host = "127.0.0.1"): string => `http://${host}:${server.port}${path}`

describe("a loopback or private address is not asked", () => {
  test.each([
    "http://127.0.0.1/",
    "http://0x7f.1/",
    "http://2130706433/",
    "http://localhost./",
    "http://10.1.2.3/",
    "http://172.16.0.1/",
    "http://192.168.1.1/",
    "http://169.254.169.254/latest/meta-data",
    "http://100.64.0.1/",
    "http://0.0.0.0/",
    "http://[::1]/",
    "http://[::]/",
    "http://[fe80::1]/",
    "http://[fd00::1]/",
    "http://[::ffff:127.0.0.1]/",
    "http://[64:ff9b::7f00:1]/",
    "https://127.0.0.1/"
  ])("%s", async (url) => {
    names.set("localhost.", [["127.0.0.1"]])
    expect(await call(url, { allowPrivate: false })).toBe("address-private")
  })

  test("nor a name that means one, alone or beside a public one", async () => {
    const before = seen.length
    names.set("inside.test", [["127.0.0.1"]])
    names.set("both.test", [["93.184.216.34", "127.0.0.1"]])
    names.set("mapped.test", [["::ffff:10.0.0.1"]])
    for (const name of ["inside.test", "both.test", "mapped.test"])
      expect([name, await call(at("/", name), { allowPrivate: false })]).toEqual([name, "address-private"])
    expect(seen.length).toBe(before)
  })
})

test("a name is looked up once, and the answer of that look is what is asked (DNS rebinding)", async () => {
  names.set("rebind.test", [["127.0.0.1"], ["203.0.113.9"]])
  looked.length = 0
  expect(await call(at("/x", "rebind.test"))).toBe("200 hello GET")
  expect(looked).toEqual(["rebind.test"])
  expect(seen.at(-1)).toEqual({ host: `rebind.test:${server.port}`, path: "/x", body: "" })
})

test("a name without an address, and what is no URL of a node, are told apart", async () => {
  expect(await call("http://nowhere.test/")).toBe("name-unknown")
  for (const url of ["file:///etc/passwd", "ftp://127.0.0.1/", "http://me:secret@127.0.0.1/", "gopher://x/", "x", ""])
    expect([url, await call(url)]).toEqual([url, "url-invalid"])
})

test("where only https is asked, no name of another URL is looked up and nobody is asked", async () => {
  const before = [seen.length, looked.length]
  expect(await call(at("/"), { requireHttps: true })).toBe("https-required")
  expect(await call("http://a.example/", { requireHttps: true })).toBe("https-required")
  expect([seen.length, looked.length]).toEqual(before)
  // This one is asked, and nobody is there who speaks it.
  expect(await call(at("/").replace("http:", "https:"), { requireHttps: true })).toBe("not-reached")
})

test("an answer that redirects, is too long, has no end or does not come is a fault", async () => {
  const before = seen.length
  for (const path of ["/away", "/long", "/endless"]) expect([path, await call(at(path))]).toEqual([path, "not-reached"])
  expect(seen.slice(before).map(({ path }) => path)).toEqual(["/away", "/long", "/endless"])
  expect(await call(at("/never"), { timeoutMs: 50 })).toBe("not-reached")
})

test("what is packed is not unpacked: a small answer stays small", async () => {
  expect(await call(at("/packed"))).toStartWith("200 ")
})

test("a look for an address that does not end is given up in time", async () => {
  const slow = makeCallNode(() => new Promise(() => {}))
  expect(await call(at("/", "slow.test"), { timeoutMs: 50 }, slow)).toBe("not-reached")
})

test("a body goes as JSON", async () => {
  expect(await call(at("/post"), { method: "POST", body: '{"a":1}' })).toBe("200 hello POST")
  expect(seen.at(-1)!.body).toBe('{"a":1}')
})
