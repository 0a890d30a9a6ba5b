/** The gate: every route is in a class, secrets are guarded from guessing, callers are told apart, and rates hold. */
import { afterAll, beforeAll, describe, expect, test } from "bun:test"
import { Context } from "effect"
import { Hono } from "hono"
import { keyOf } from "../../test/fixtures.ts"
import { startNode, type TestNode } from "../../test/network.ts"
import { parseCidr } from "../codec/ip.ts"
import { eventStreamsPerClientMax, httpGuessesPerMinute, httpGuessLinesPerMinute } from "../limits.ts"
import { Access, type AccessOptions, isGuard } from "./access.ts"
import { makeApp } from "./app.ts"
import { compatSystems, makeCompat } from "../compat/compat.ts"
import { aliases, type Route, routes } from "./contract.ts"
import { hashToken } from "./tokens.ts"

const token = "a token of somebody who may do everything"
const secret = "what peers know"
const page = new Map([
  ["/", { type: "text/html", body: "<html>" }],
  ["/a.js", { type: "text/javascript", body: "" }]
])
let node: TestNode
let clock = 0

beforeAll(async () => {
  node = await startNode()
})
afterAll(() => node.stop())

type Line = readonly [string, string, Readonly<Record<string, string | number>>]
interface Made {
  readonly app: Hono
  readonly lines: ReadonlyArray<Line>
}
const make = (access: AccessOptions = {}, more: Partial<Parameters<typeof makeApp>[0]> = {}): Made => {
  const lines: Array<Line> = []
  const { facts } = node.tree.node
  const app = makeApp({
    node: { ...node.tree.node, facts: { ...facts, dev: false } },
    context: Context.empty(),
    adminToken: undefined,
    page,
    hosts: [],
    access: {
      tokens: () => [
        { name: "anna", hash: hashToken(token), created: 1 },
        { name: "ben", hash: hashToken(`${token}s`), created: 2 }
      ],
      peerSecret: secret,
      now: () => clock,
      log: (...line) => void lines.push(line),
      ...access
    },
    ...more
  })
  return { app, lines }
}

interface Asked {
  readonly method?: string
  readonly headers?: Readonly<Record<string, string>>
  readonly remote?: string | undefined
  readonly own?: boolean
}
const ask = async ({ app }: Made, path: string, { method = "GET", headers = {}, remote, own }: Asked = {}) => {
  const init = { method, headers: { host: "localhost", ...headers }, ...(method === "POST" ? { body: "{}" } : {}) }
  const env = { ...(remote === undefined ? {} : { remote }), ...(own === undefined ? {} : { own }) }
  return app.fetch(new Request(`http://localhost${path}`, init), env)
}
const codeOf = async (response: Response): Promise<readonly [number, string]> => {
  const { code } = (await response.json()) as { code?: string }
  return [response.status, code ?? ""]
}
const mine = (made: Made, given: Asked = {}) =>
  ask(made, "/api/mine", {
    method: "POST",
    ...given,
    headers: { "content-type": "application/json", ...given.headers }
  })
const bearer = (text: string) => ({ authorization: `Bearer ${text}` })

describe("every route", () => {
  const others = ["/api/events", "/metrics", "/openapi.json", "/docs", ...page.keys()].map((path) => `GET ${path}`)

  test("of the router is one of these, and no other is served", () => {
    const known = new Set([
      ...(Object.values(routes) as ReadonlyArray<Route>).map(({ method, path }) => `${method} ${path}`),
      ...Object.entries(aliases).map(([path, name]) => `${(routes[name] as Route).method} ${path}`),
      ...others
    ])
    const served = make().app.routes.filter((one) => !isGuard(one))
    expect(served.filter(({ method, path }) => !known.has(`${method} ${path}`))).toEqual([])
    expect(new Set(served.map(({ method, path }) => `${method} ${path}`)).size).toBe(known.size)
  })

  test("that changes something, or is for peers, asks who it is: nobody gets in with nothing or with a guess", async () => {
    const made = make()
    let closed = 0
    for (const { method, path, auth } of Object.values(routes) as ReadonlyArray<Route>) {
      if (auth !== "admin" && auth !== "peer") {
        expect([path, auth === "health" || auth === "public"]).toEqual([path, true])
        continue
      }
      closed++
      const wanted = auth === "admin" ? "admin-token-required" : "peer-secret-required"
      const where = path.replace(/:[a-z_]+(\{[^}]*\}(?:\})?)?/g, "0")
      for (const headers of [{}, bearer("x"), { "x-blockchain-peer-secret": "x" }]) {
        clock += 60_000
        const response = await ask(made, where, { method, headers, remote: "192.0.2.1" })
        expect([path, ...(await codeOf(response))]).toEqual([path, 401, wanted])
      }
    }
    expect(closed).toBeGreaterThan(1)
    const posts = (Object.values(routes) as ReadonlyArray<Route>).filter(({ method }) => method === "POST")
    // Who submits has signed; nothing else is changed without a token.
    expect(posts.filter(({ auth }) => auth === "public").map(({ path }) => path)).toEqual(["/api/transactions"])
  })

  test("of a reference system that shows or uses the node's key is closed to other machines", async () => {
    const open: Readonly<Record<string, ReadonlyArray<string>>> = {
      ccoin: [
        "/",
        "/:account",
        "/:account/",
        "/:account/blk/cnt",
        "/:account/blk/cnt/",
        "/:account/blk/:n",
        "/:account/blk/:n/"
      ].concat(
        // The account's own token is asked for (account-token-required), or nothing is changed.
        ["/:account/txn", "/:account/txn/", "/:account/txn/:id", "/:account/txn/:id/"]
      ),
      dotcoin: ["/", "/getBalance", "/blocks", "/unspentTxOuts", "/transactionPool", "/peers", "/peer", "/syncPeers"],
      "full-node": [
        "/",
        "/server/nodes",
        "/chain/get_amount",
        "/chain/get_unspent_tx",
        "/chain/status",
        "/chain/sync"
      ].concat(
        // Blocks and payments are checked as those of a peer are; other nodes than itself nobody names without the session.
        ["/server/add_nodes", "/chain/add_block", "/chain/tx_create"]
      )
    }
    for (const system of compatSystems) {
      const compat = makeCompat({
        system,
        node: node.tree.node,
        context: Context.empty(),
        wallet: keyOf(0),
        session: { secret: "s", file: "session.token", port: 80, hosts: [] },
        actsOnGet: true,
        random: (length) => new Uint8Array(length)
      })
      const made = make({}, { compat })
      const left: Array<string> = []
      for (const { method, path } of compat.routes) {
        const response = await ask(made, path.replace(/:[a-z]+(\{[^}]*\})?/g, "0"), { method, remote: "192.0.2.1" })
        const { code } = (await response.json().catch(() => ({}))) as { code?: string }
        if (code !== "caller-not-local") left.push(path.replace(/\{[^}]*\}/g, ""))
      }
      expect([system, [...new Set(left)].filter((path) => !open[system]!.includes(path))]).toEqual([system, []])
    }
  })

  test("that is in no class lets nobody in", async () => {
    const app = new Hono()
    const access = new Access({}, true)
    app.use(access.gate)
    access.admit("GET", "/known", "public")
    app.get("/known", (c) => c.text("known"))
    app.get("/forgotten", (c) => c.text("forgotten"))
    app.all("/any", (c) => c.text("any"))
    expect((await app.request("/known")).status).toBe(200)
    for (const path of ["/forgotten", "/any"])
      expect(await codeOf(await app.request(path))).toEqual([403, "route-closed"])
  })
})

describe("an admin", () => {
  test("shows one of the tokens in either header, and the log says whose it was", async () => {
    const made = make()
    expect(
      (await mine(made, { headers: { ...bearer(token), "x-request-id": "r-1" }, remote: "192.0.2.1" })).status
    ).toBe(201)
    expect(
      (await mine(made, { headers: { "x-blockchain-admin-token": `${token}s` }, remote: "192.0.2.1" })).status
    ).toBe(201)
    expect(made.lines.map(([level, message, fields]) => [level, message, fields["token"], fields["route"]])).toEqual([
      ["info", "admin call", "anna", "POST /api/mine"],
      ["info", "admin call", "ben", "POST /api/mine"]
    ])
    expect(made.lines[0]![2]).toMatchObject({ client: "192.0.2.1", request_id: "r-1", status: 201 })
  })

  test("is not whoever shows nothing, half of it, or the hash", async () => {
    const made = make()
    const hash = Buffer.from(hashToken(token)).toString("hex")
    for (const [i, given] of ["", " ", token.slice(0, -1), `${token}x`, hash, "undefined"].entries()) {
      const response = await mine(made, { headers: { "x-blockchain-admin-token": given }, remote: `192.0.2.${i}` })
      expect([given, ...(await codeOf(response))]).toEqual([given, 401, "admin-token-required"])
    }
    expect(JSON.stringify(made.lines)).not.toContain(token.slice(0, 8))
    const none = make({ tokens: () => [] })
    expect((await mine(none, { headers: bearer(""), remote: "192.0.2.1" })).status).toBe(401)
  })

  test("who guesses is not listened to any more: neither wrong nor right is answered, and others are", async () => {
    const made = make()
    clock += 60_000
    for (let i = 0; i < httpGuessesPerMinute; i++)
      expect((await mine(made, { headers: bearer(`guess ${i}`), remote: "192.0.2.1" })).status).toBe(401)
    const guess = await mine(made, { headers: bearer("guess"), remote: "192.0.2.1" })
    const right = await mine(made, { headers: bearer(token), remote: "192.0.2.1" })
    expect(await codeOf(guess)).toEqual([429, "rate-limited"])
    expect([right.status, right.headers.get("retry-after")]).toEqual([429, String(60 / httpGuessesPerMinute)])
    expect((await mine(made, { headers: bearer(token), remote: "192.0.2.2" })).status).toBe(201)
    clock += 60_000 / httpGuessesPerMinute
    expect((await mine(made, { headers: bearer(token), remote: "192.0.2.1" })).status).toBe(201)
    expect(await (await ask(made, "/metrics")).text()).toContain(
      'cairn_http_requests_total{class="admin",outcome="rate-limited"} 2\n'
    )
  })

  test("a crowd that guesses fills no log", async () => {
    const made = make()
    clock += 60_000
    for (let i = 0; i < 3 * httpGuessLinesPerMinute; i++)
      await mine(made, { headers: bearer("guess"), remote: `198.51.100.${i}` })
    expect(made.lines.length).toBe(httpGuessLinesPerMinute)
    expect(made.lines[0]!.slice(0, 2)).toEqual(["warning", "a wrong secret was shown"])
  })

  test("is whoever may open the operator's socket, and the log says so", async () => {
    const made = make({ rates: { public: 1, admin: 1, peer: 1 } })
    for (let i = 0; i < 3; i++) expect((await mine(made, { own: true, remote: "127.0.0.1" })).status).toBe(201)
    expect(made.lines.map(([, , { token: who, client }]) => [who, client])).toEqual(Array(3).fill(["socket", "socket"]))
  })

  test("of a development node is this machine without a token, but no page of others and nobody behind a proxy", async () => {
    const made = make({}, { node: node.tree.node, cors: ["http://wallet.example"] })
    const headers = { "x-forwarded-for": "127.0.0.1" }
    expect((await mine(made, { remote: "127.0.0.1" })).status).toBe(201)
    expect((await mine(made, { remote: "::ffff:127.0.0.1", headers: { origin: "http://localhost" } })).status).toBe(201)
    expect((await mine(made, { remote: "127.0.0.1", headers })).status).toBe(401)
    expect((await mine(made, { remote: "127.0.0.1", headers: { forwarded: "for=127.0.0.1" } })).status).toBe(401)
    expect((await mine(made, { remote: "127.0.0.1", headers: { origin: "http://wallet.example" } })).status).toBe(401)
    expect((await mine(made, { remote: "192.0.2.1" })).status).toBe(401)
    expect(made.lines.map(([, , { token: who }]) => who)).toEqual(["near", "near"])
  })

  test("reads answers that nobody keeps", async () => {
    const response = await mine(make(), { headers: bearer(token), remote: "192.0.2.1" })
    expect(response.headers.get("cache-control")).toBe("no-store")
  })
})

describe("a peer", () => {
  /** A gate with a route of that class. */
  const peers = (access: AccessOptions) => {
    const app = new Hono()
    const gate = new Access(access, true)
    app.use(gate.gate)
    gate.admit("GET", "/peers", "peer")
    app.get("/peers", (c) => c.text("peers"))
    return (headers: Record<string, string>, env: object = {}) =>
      app.fetch(new Request("http://localhost/peers", { headers }), env)
  }

  test("shows the secret; on a node that has none nobody is one", async () => {
    const now = (): number => clock
    const asked = peers({ peerSecret: secret, now })
    expect((await asked({ "x-blockchain-peer-secret": secret })).status).toBe(200)
    expect((await asked({}, { own: true })).status).toBe(200)
    expect(await codeOf(await asked({}))).toEqual([401, "peer-secret-required"])
    expect(await codeOf(await asked({ "x-blockchain-peer-secret": "no" }))).toEqual([401, "peer-secret-required"])
    for (const peerSecret of [undefined, ""])
      for (const given of ["", "undefined"])
        expect((await peers({ peerSecret, now })({ "x-blockchain-peer-secret": given })).status).toBe(401)
  })
})

describe("rates", () => {
  const rates = { public: 3, admin: 2, peer: 0 }
  const remote = "192.0.2.1"

  test("hold for each class by itself, health is outside, and what is no route counts", async () => {
    const made = make({ rates })
    const statuses = async (path: string, times: number, asked: Asked = {}) => {
      const all: Array<number> = []
      for (let i = 0; i < times; i++) all.push((await ask(made, path, { remote, ...asked })).status)
      return all
    }
    expect(await statuses("/api/stats", 4)).toEqual([200, 200, 200, 429])
    expect(await statuses("/nowhere", 1)).toEqual([429])
    expect(await statuses("/metrics", 1)).toEqual([429])
    expect(await statuses("/api/mine", 3, { method: "POST" })).toEqual([401, 401, 429])
    expect(await statuses("/api/health", 50)).toEqual(Array(50).fill(200))
    expect(await statuses("/api/stats", 1, { remote: "192.0.2.2" })).toEqual([200])
  })

  test("are told in every answer, and a refusal says when to come back", async () => {
    const made = make({ rates })
    const first = await ask(made, "/api/stats", { remote })
    expect(first.headers.get("x-ratelimit-limit")).toBe("3")
    expect(first.headers.get("x-ratelimit-remaining")).toBe("2")
    expect(first.headers.get("ratelimit-policy")).toBe('"public";q=3;w=60')
    expect(first.headers.get("ratelimit")).toBe('"public";r=2;t=20')
    await ask(made, "/nowhere", { remote })
    await ask(made, "/api/stats", { remote })
    const refused = await ask(made, "/api/stats", { remote })
    expect(refused.headers.get("retry-after")).toBe("20")
    expect(refused.headers.get("ratelimit")).toBe('"public";r=0;t=20')
    expect(await codeOf(refused)).toEqual([429, "rate-limited"])
    clock += 20_000
    expect((await ask(made, "/api/stats", { remote })).status).toBe(200)
    expect((await ask(made, "/api/health", { remote })).headers.get("x-ratelimit-limit")).toBeNull()
  })

  test("of 0 or less are none, and near callers are spared where that is chosen", async () => {
    const off = make({ rates: { public: 0, admin: -1, peer: 0 } })
    for (let i = 0; i < 300; i++) expect((await ask(off, "/docs", { remote })).status).toBe(200)
    const spared = make({ rates, sparesNear: true })
    for (let i = 0; i < 10; i++) expect((await ask(spared, "/docs", { remote: "127.0.0.1" })).status).toBe(200)
    const proxied = { remote: "127.0.0.1", headers: { "x-forwarded-for": remote } }
    for (let i = 0; i < 3; i++) await ask(spared, "/docs", proxied)
    expect((await ask(spared, "/docs", proxied)).status).toBe(429)
  })
})

describe("event streams", () => {
  test("of one client are few, so that others have some, and one that ended counts no more", async () => {
    const made = make()
    const opened: Array<Response> = []
    const stream = (remote: string) => ask(made, "/api/events", { remote })
    for (let i = 0; i < eventStreamsPerClientMax; i++) opened.push(await stream("2001:db8::1"))
    expect(opened.every(({ status }) => status === 200)).toBe(true)
    expect(await codeOf(await stream("2001:db8::2"))).toEqual([503, "streams-full"])
    const other = await stream("2001:db8:0:1::1")
    expect(other.status).toBe(200)
    await opened.pop()!.body!.cancel()
    opened.push(await stream("2001:db8::3"))
    expect(opened.at(-1)!.status).toBe(200)
    expect((await stream("2001:db8::3")).status).toBe(503)
    for (const { body } of [...opened, other]) await body!.cancel()
  })
})

describe("a client", () => {
  /** How many of these requests are let in, if each client has one: as many as there are clients. */
  const clients = async (asked: ReadonlyArray<Asked>, trusted: ReadonlyArray<string> = []): Promise<number> => {
    const trustedProxies = trusted.map((text) => parseCidr(text)!)
    const made = make({ rates: { public: 1, admin: 1, peer: 1 }, trustedProxies })
    let count = 0
    for (const one of asked) if ((await ask(made, "/docs", one)).status === 200) count++
    return count
  }
  const proxy = "10.0.0.1"
  const via = (header: string, ...values: ReadonlyArray<string>): ReadonlyArray<Asked> =>
    values.map((value) => ({ remote: proxy, headers: { [header]: value } }))

  test("is an IPv4 address, in any clothes, or a /64", async () => {
    expect(
      await clients([{ remote: "192.0.2.1" }, { remote: "::ffff:192.0.2.1" }, { remote: "::ffff:c000:201" }])
    ).toBe(1)
    expect(
      await clients([{ remote: "2001:db8::1" }, { remote: "2001:db8::ffff:2" }, { remote: "2001:DB8:0:0:9::" }])
    ).toBe(1)
    expect(await clients([{ remote: "2001:db8::1" }, { remote: "2001:db8:0:1::1" }, { remote: "fe80::1%eth0" }])).toBe(
      3
    )
  })

  test("that no trusted proxy speaks for is its socket, whatever it writes", async () => {
    expect(await clients(via("x-forwarded-for", "192.0.2.1", "192.0.2.2", "192.0.2.3"))).toBe(1)
    expect(await clients(via("forwarded", "for=192.0.2.1", "for=192.0.2.2"), ["10.9.0.0/16"])).toBe(1)
  })

  test("behind trusted proxies is the right-most address that is none of theirs", async () => {
    const trusted = ["10.0.0.0/8"]
    expect(await clients(via("x-forwarded-for", "192.0.2.1", "192.0.2.2", "192.0.2.1"), trusted)).toBe(2)
    // What stands to the left is the client's own invention.
    expect(await clients(via("x-forwarded-for", "1.1.1.1, 192.0.2.1", "2.2.2.2, 192.0.2.1, 10.0.0.9"), trusted)).toBe(1)
    expect(await clients(via("forwarded", "for=192.0.2.1;proto=https", 'for=x, FOR="192.0.2.1:4711"'), trusted)).toBe(1)
    expect(
      await clients(via("forwarded", 'for="[2001:db8::1]:80"', 'for="[2001:db8::2]"', "for=192.0.2.1"), trusted)
    ).toBe(2)
  })

  test("that cannot be read is the proxy that it came through; two headers that differ are not believed", async () => {
    const trusted = ["10.0.0.0/8"]
    expect(await clients(via("x-forwarded-for", "unknown", "_hidden", "", "192.0.2.1, 999.1.1.1"), trusted)).toBe(1)
    const both = (forwarded: string, xff: string): Asked => ({
      remote: proxy,
      headers: { forwarded, "x-forwarded-for": xff }
    })
    expect(await clients([both("for=1.1.1.1", "192.0.2.1"), both("for=1.1.1.2", "192.0.2.1")], trusted)).toBe(1)
    expect(await clients([both("for=1.1.1.1", "1.1.1.1"), both("for=1.1.1.2", "1.1.1.2")], trusted)).toBe(2)
  })

  test("with a header without end is read as far as it matters", async () => {
    const long = `${"1.1.1.1, ".repeat(1_000)}192.0.2.1`
    expect(await clients(via("x-forwarded-for", long, "192.0.2.1"), ["10.0.0.0/8"])).toBe(1)
  })
})
