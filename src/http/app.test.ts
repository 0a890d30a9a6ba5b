/** The HTTP interface over a whole node, without a socket: every route keeps its contract, every refusal its code. */
import { afterAll, beforeAll, describe, expect, test } from "bun:test"
import { Context, Effect, Exit, Result, Schema } from "effect"
import type { Hono } from "hono"
import { keyOf, transfer } from "../../test/fixtures.ts"
import { startNode, type TestNode } from "../../test/network.ts"
import { checkMerkleProof } from "../block/merkle.ts"
import { verifyProof } from "../block/proof.ts"
import { fromHex, toHex } from "../codec/bytes.ts"
import { formatAddress } from "../crypto/address.ts"
import { asHash } from "../crypto/hash.ts"
import { formatTransfer } from "../ledger/transfer-text.ts"
import { eventsKeptMax } from "../limits.ts"
import { makeApp } from "./app.ts"
import { aliases, type ReplyOf, type Route, type RouteName, routes } from "./contract.ts"
import { legacyRoutes } from "./legacy-contract.ts"
import type { networkRoutes } from "./network-contract.ts"
import { operationOf, pathOf } from "./openapi.ts"
import { plainRoutes } from "./plain-contract.ts"

let node: TestNode
let app: Hono
const token = "0123456789abcdef0123456789abcdef"
const address = formatAddress(keyOf(0).address, "crn")
const payment = (nonce: number, note = "") =>
  formatTransfer(transfer({ from: 0, to: 1, nonce, note, time: Date.now(), fee: 5 }), "crn")

const make = (overrides: Partial<Parameters<typeof makeApp>[0]> = {}): Hono =>
  makeApp({
    node: node.tree.node,
    context: Context.empty(),
    adminToken: token,
    access: { peerSecret: "a secret of peers" },
    page: new Map(),
    hosts: ["localhost"],
    ...overrides
  })

beforeAll(async () => {
  node = await startNode()
  app = make()
  await Effect.runPromise(node.tree.node.mine(undefined))
})
afterAll(() => node.stop())

const get = (path: string, headers: Record<string, string> = {}) => app.request(`http://localhost${path}`, { headers })
const post = (path: string, body: unknown, headers: Record<string, string> = {}) =>
  app.request(`http://localhost${path}`, {
    method: "POST",
    headers: { "content-type": "application/json", ...headers },
    body: typeof body === "string" ? body : JSON.stringify(body)
  })
const problemOf = async (response: Response | Promise<Response>): Promise<readonly [number, string]> => {
  const answer = await response
  const body = (await answer.json()) as { code: string; status: number; title: string; detail: string }
  expect(answer.headers.get("content-type")).toBe("application/problem+json")
  expect([body.status, body.title.length > 0, body.detail.length > 0]).toEqual([answer.status, true, true])
  return [answer.status, body.code]
}

/**
 * A request that each route answers well; others are in legacy.test.ts, network.test.ts, storage.test.ts, peers.test.ts,
 * coins.test.ts, authorities.test.ts, rota-handlers.test.ts and finality.test.ts.
 */
type Sampled = Exclude<
  RouteName,
  | "coins"
  | "coin"
  | "coinProof"
  | "votes"
  | "vote"
  | "evidence"
  | "authorities"
  | "finality"
  | "backup"
  | keyof typeof legacyRoutes
  | keyof typeof networkRoutes
  | "addPeer"
  | "banPeer"
  | "unbanPeer"
  | "removePeer"
>
const samples = async (): Promise<Readonly<Record<Sampled, () => Response | Promise<Response>>>> => {
  const { header } = node.store.tip()
  const paid = payment(1)
  return {
    health: () => get("/api/health"),
    live: () => get("/livez"),
    ready: () => get("/api/ready"),
    startup: () => get("/startupz"),
    info: () => get("/api/info"),
    chain: () => get("/api/chain?limit=2"),
    headers: () => get(`/api/headers?locator=${header.previous.toHex()}&limit=5`),
    locator: () => get("/api/locator?limit=4"),
    stats: () => get("/api/stats"),
    validate: () => get("/api/validate"),
    blockAt: () => get("/api/blocks/1"),
    blockOf: () => get(`/api/blocks/hash/${header.id.toUpperCase()}`),
    stateAt: () => get("/api/blocks/0/state?limit=2"),
    pending: () => get("/api/transactions/pending"),
    submit: () => post("/api/transactions", paid),
    transaction: () => get(`/api/transactions/${paid.id}`),
    transactionProof: async () => {
      await Effect.runPromise(node.tree.node.mine(undefined))
      return get(`/api/transactions/${paid.id}/proof`)
    },
    accounts: () => get("/api/accounts?limit=2"),
    account: () => get(`/api/accounts/${address}`),
    accountProof: () => get(`/api/accounts/${address}/proof`),
    mine: () => post("/api/mine", {}, { authorization: `Bearer ${token}` }),
    peers: () => get("/api/peers"),
    hash: () => get("/api/hash/sha256/a%2Fb")
  }
}

interface Operation {
  readonly operationId: string
  readonly tags: ReadonlyArray<string>
  readonly security: ReadonlyArray<object>
  readonly parameters: ReadonlyArray<{ readonly name: string; readonly in: string }>
  readonly responses: Readonly<Record<string, { readonly content: object }>>
}
interface Document {
  readonly openapi: string
  readonly paths: Readonly<Record<string, Readonly<Record<string, Operation>>>>
  readonly components: { readonly securitySchemes: object }
}

describe("every route", () => {
  test("gives its status and a reply that its schema takes, with no field beside (defect 8)", async () => {
    for (const [name, ask] of Object.entries(await samples())) {
      const route = routes[name as RouteName]
      const response = await ask()
      const decode = Schema.decodeUnknownExit(route.reply as never, { errors: "all", onExcessProperty: "error" })
      const exit = decode(await response.json())
      expect([name, response.status, Exit.isSuccess(exit) ? "" : String(exit.cause)]).toEqual([name, route.status, ""])
    }
  })

  test("has its older names", async () => {
    for (const [path, name] of Object.entries(aliases)) {
      const response = await get(path.replace(":text{.+}", "x"))
      expect([path, response.status]).toEqual([path, routes[name].status])
    }
  })

  test("stands in the OpenAPI document, and none beside", async () => {
    const document = (await (await get("/openapi.json")).json()) as Document
    const listed = Object.entries(document.paths).flatMap(([path, methods]) =>
      Object.keys(methods).map((method) => `${method} ${path}`)
    )
    expect(document.openapi).toBe("3.1.0")
    const named = [
      ...Object.values(routes).map(({ method, path }) => `${method.toLowerCase()} ${pathOf(path)}`),
      ...Object.entries(aliases).map(([path, name]) => `${routes[name].method.toLowerCase()} ${pathOf(path)}`),
      ...Object.values(plainRoutes).map(({ path }) => `get ${path}`)
    ]
    expect(listed.sort()).toEqual(named.sort())
    expect(await (await get("/docs")).text()).toContain("/api/transactions/{id}")
  })

  test("says there who may call it, how it refuses, and nothing that is not explained", async () => {
    const text = await (await get("/openapi.json")).text()
    const document = JSON.parse(text) as Document
    const { securitySchemes } = document.components
    const asked: Readonly<Record<string, ReadonlyArray<string>>> = {
      admin: ["adminToken", "adminBearer"],
      peer: ["peerSecret"]
    }
    const ids: Array<string> = []
    for (const [path, methods] of Object.entries(document.paths)) {
      for (const [method, operation] of Object.entries(methods)) {
        const { operationId, security, tags, responses, parameters } = operation
        ids.push(operationId)
        const [auth] = tags
        expect([path, security.flatMap((one) => Object.keys(one))]).toEqual([path, [...(asked[auth!] ?? [])]])
        expect([path, "401" in responses]).toStrictEqual([path, asked[auth!] !== undefined])
        expect([path, "429" in responses]).toEqual([path, auth !== "health"])
        const inPath = parameters.filter((one) => one.in === "path").map((one) => `{${one.name}}`)
        expect([path, [...path.matchAll(/\{[^}]*\}/g)].map(([found]) => found)]).toEqual([path, inPath])
        for (const [status, { content }] of Object.entries(responses)) {
          const isGood = status.startsWith("2")
          expect([path, method, status, Object.keys(content)[0] === "application/problem+json"]).toEqual([
            path,
            method,
            status,
            !isGood
          ])
        }
      }
    }
    expect(new Set(ids).size).toBe(ids.length)
    expect(Object.keys(securitySchemes).sort()).toEqual(["adminBearer", "adminToken", "peerSecret"])
    for (const [, reference] of text.matchAll(/"\$ref":"#\/([^"]+)"/g)) {
      const found = reference!.split("/").reduce<unknown>((at, key) => (at as Record<string, unknown>)?.[key], document)
      expect([reference, found !== undefined]).toEqual([reference, true])
    }
  })

  test("between nodes asks there for the peers' secret, and says so when it is not shown", () => {
    const one = operationOf("telling", { ...(routes.stats as Route), auth: "peer" }) as unknown as Operation
    expect([one.security, one.tags, Object.keys(one.responses)]).toEqual([
      [{ peerSecret: [] }],
      ["peer"],
      ["200", "401", "429", "default"]
    ])
  })
})

describe("a proof", () => {
  const bytes = (hex: string): Uint8Array => fromHex(hex)!

  test("of a transaction holds, by its bytes and by the fields beside them (RFC 6962)", async () => {
    const sent = [1, 2, 3].map((nonce) =>
      formatTransfer(transfer({ from: 2, to: 1, nonce, time: Date.now(), fee: 5 }), "crn")
    )
    for (const one of sent) expect((await post("/api/transactions", one)).status).toBe(201)
    expect(await problemOf(get(`/api/transactions/${sent[0]!.id}/proof`))).toEqual([404, "transaction-pending"])
    await Effect.runPromise(node.tree.node.mine(undefined))
    await Effect.runPromise(node.tree.node.mine(undefined))
    const [row] = await Effect.runPromise(node.tree.node.headersFrom(node.store.tip().header.height - 1, 1))
    const { header } = row!
    for (const { id } of sent) {
      const reply = (await (await get(`/api/transactions/${id}/proof`)).json()) as ReplyOf<"transactionProof">
      const expected = { header: header.hash, subject: bytes(id) }
      expect(Result.isSuccess(verifyProof(bytes(reply.proof), expected))).toBe(true)
      expect([reply.header, reply.hash, reply.height]).toEqual([toHex(header.bytes), header.id, header.height])
      expect(reply.confirmations).toBe(2)
      const { index, count } = reply
      const proof = reply.siblings.map(bytes)
      const claim = { root: header.transactionRoot, leaf: asHash(bytes(reply.leaf)), index, count, proof }
      expect([checkMerkleProof(claim), checkMerkleProof({ ...claim, index: index + 1 })]).toEqual([true, false])
    }
  })

  test("of an account holds against the tip, and of one that was never paid", async () => {
    const { header } = node.store.tip()
    const stranger = formatAddress(keyOf(77).address, "crn")
    for (const [text, key] of [
      [address, keyOf(0)],
      [stranger, keyOf(77)]
    ] as const) {
      const reply = (await (await get(`/api/accounts/${text}/proof`)).json()) as ReplyOf<"accountProof">
      const proven = Result.getOrThrow(verifyProof(bytes(reply.proof), { header: header.hash, subject: key.address }))
      expect(proven.kind === "account" ? (proven.account ?? null) : proven.kind).toEqual(reply.account as never)
      const { account } = (await (await get(`/api/accounts/${text}`)).json()) as ReplyOf<"account">
      expect(reply.account?.balance ?? 0).toBe(account.confirmed_balance)
      expect(reply.account === null).toBe(text === stranger)
    }
  })

  test("of what is not there is refused", async () => {
    expect(await problemOf(get(`/api/transactions/${"00".repeat(32)}/proof`))).toEqual([404, "transaction-not-found"])
    expect(await problemOf(get("/api/accounts/crn1qqqqqqqqqqqqq/proof"))).toEqual([400, "address-invalid"])
    expect(await problemOf(post(`/api/accounts/${address}/proof`, {}))).toEqual([405, "method-not-allowed"])
  })

  test("or of a coin is refused on a chain that has none", async () => {
    for (const path of [`accounts/${address}/coins`, `coins/${"00".repeat(32)}/0`, `coins/${"00".repeat(32)}/0/proof`])
      expect([path, ...(await problemOf(get(`/api/${path}`)))]).toEqual([path, 404, "ledger-without-coins"])
  })
})

describe("a bad request", () => {
  test("is told what was wrong, by a stable code", async () => {
    expect(await problemOf(get("/nowhere"))).toEqual([404, "route-not-found"])
    expect(await problemOf(get("/api/blocks/999999"))).toEqual([404, "block-not-found"])
    expect(await problemOf(get(`/api/transactions/${"00".repeat(32)}`))).toEqual([404, "transaction-not-found"])
    expect(await problemOf(get("/api/accounts/crn1qqqqqqqqqqqqq"))).toEqual([400, "address-invalid"])
    for (const query of ["limit=0", "limit=9999", "limit=x", "cursor=1&other=2"]) {
      expect([query, ...(await problemOf(get(`/api/chain?${query}`)))]).toEqual([query, 400, "query-invalid"])
    }
    expect(await problemOf(get("/api/chain?cursor=nonsense"))).toEqual([400, "cursor-invalid"])
    expect(await problemOf(get("/api/accounts?cursor=nonsense"))).toEqual([400, "cursor-invalid"])
    expect(await problemOf(get("/api/blocks/0/state?cursor=nonsense"))).toEqual([400, "cursor-invalid"])
    expect(await problemOf(get(`/api/blocks/0/state?cursor=${"00".repeat(32)}-00`))).toEqual([409, "state-moved"])
    expect(await problemOf(get("/api/blocks/999999/state"))).toEqual([404, "block-not-found"])
  })

  test("by the wrong method is 405 and names the right one", async () => {
    const response = await app.request("http://localhost/api/stats", { method: "POST" })
    expect([response.status, response.headers.get("allow")]).toEqual([405, "GET"])
    expect(await problemOf(get("/api/mine"))).toEqual([405, "method-not-allowed"])
  })

  test("with a body that is none, too large, no JSON or no object is refused before it is used", async () => {
    expect(await problemOf(post("/api/transactions", "{"))).toEqual([400, "json-invalid"])
    expect(await problemOf(post("/api/transactions", "7"))).toEqual([400, "transaction-malformed"])
    expect(await problemOf(post("/api/transactions", "{}", { "content-type": "text/plain" }))).toEqual([
      415,
      "content-type-unsupported"
    ])
    expect(await problemOf(post("/api/transactions", `"${"x".repeat(300_000)}"`))).toEqual([413, "body-too-large"])
    expect(await problemOf(post("/api/mine", { miner: "me" }, { authorization: `Bearer ${token}` }))).toEqual([
      400,
      "address-invalid"
    ])
    expect(await problemOf(post("/api/mine", { minre: address }, { authorization: `Bearer ${token}` }))).toEqual([
      400,
      "body-invalid"
    ])
  })

  test("with a body that is no object is refused by every route that takes one, and by none with a bug", async () => {
    const known = { authorization: `Bearer ${token}`, "x-blockchain-peer-secret": "a secret of peers" }
    const takers = (Object.values(routes) as ReadonlyArray<Route>).filter(({ body }) => body !== undefined)
    expect(takers.length).toBeGreaterThan(2)
    for (const { path } of takers)
      for (const body of ["7", '"text"', "null", "true", "[]", "[{}]"]) {
        const [status] = await problemOf(post(path, body, known))
        expect([path, body, status]).toEqual([path, body, 400])
      }
    for (const type of ["text/plain", "application/x-www-form-urlencoded", "application/json-patch+json", ""])
      for (const { path } of takers) {
        const headers = { ...known, "content-type": type }
        expect([type, path, (await problemOf(post(path, '{"a":1}', headers)))[0]]).toEqual([type, path, 415])
      }
  })

  test("to submit has the code of the rule that it breaks", async () => {
    const good = payment(2)
    const codeOf = async (fields: object) =>
      (await problemOf(post("/api/transactions", { ...good, id: undefined, ...fields })))[1]
    expect(await codeOf({ amount: -5 })).toBe("amount-invalid")
    expect(await codeOf({ amount: 1.5 })).toBe("amount-invalid")
    expect(await codeOf({ amount: 2 ** 60 })).toBe("amount-invalid")
    expect(await codeOf({ fee: 0 })).toBe("fee-too-low")
    expect(await codeOf({ chain_id: "elsewhere" })).toBe("chain-id-mismatch")
    expect(await codeOf({ sender: formatAddress(keyOf(3).address, "crn") })).toBe("sender-mismatch")
    expect(await codeOf({ amount: 11 })).toBe("signature-invalid")
    expect(await codeOf({ note: "x".repeat(281) })).toBe("note-too-long")
    expect(await codeOf({ surprise: 1 })).toBe("transaction-malformed")
    expect(await codeOf({ id: "00".repeat(32) })).toBe("transaction-malformed")
  })

  test("sent twice is a conflict, and the second changes nothing", async () => {
    const body = payment(2)
    await post("/api/transactions", body)
    expect(await problemOf(post("/api/transactions", body))).toEqual([409, "already-pending"])
  })
})

describe("who may do what", () => {
  test("mining needs the token; a wrong one is refused; a development node lets its own machine in", async () => {
    const production = make({ node: { ...node.tree.node, facts: { ...node.tree.node.facts, dev: false } } })
    const mine = (target: Hono, headers: Record<string, string>, host = "localhost") =>
      target.request(`http://${host}/api/mine`, {
        method: "POST",
        headers: { "content-type": "application/json", host, ...headers },
        body: "{}"
      })
    expect(await problemOf(mine(production, {}))).toEqual([401, "admin-token-required"])
    expect(await problemOf(mine(production, { authorization: "Bearer wrong" }))).toEqual([401, "admin-token-required"])
    expect((await mine(production, { "x-blockchain-admin-token": token })).status).toBe(201)
    expect((await mine(app, {})).status).toBe(201)
    expect(await problemOf(mine(app, { authorization: "Bearer wrong" }))).toEqual([401, "admin-token-required"])
  })

  test("a caller from elsewhere is not let in by the name that it gives to the host", async () => {
    const request = new Request("http://localhost/api/mine", { method: "POST", headers: { host: "localhost" } })
    expect(await problemOf(app.fetch(request, { remote: "192.0.2.7" }))).toEqual([401, "admin-token-required"])
    expect((await app.fetch(request, { remote: "127.0.0.1" })).status).toBe(201)
  })

  test("a page of another origin, or of a name that is not ours, does not reach us", async () => {
    const rebound = app.request("http://evil.example/api/stats", { headers: { host: "evil.example" } })
    expect(await problemOf(rebound)).toEqual([403, "host-not-allowed"])
    expect(await problemOf(post("/api/mine", {}, { origin: "https://evil.example" }))).toEqual([
      403,
      "origin-not-allowed"
    ])
  })
})

test("a block's answer can be kept: the same tag is answered 304", async () => {
  const first = await get("/api/blocks/0")
  const etag = first.headers.get("etag")!
  expect((await get("/api/blocks/0", { "if-none-match": etag })).status).toBe(304)
  expect(first.headers.get("content-security-policy")).toContain("default-src 'none'")
  expect(first.headers.get("x-request-id")).not.toBeNull()
})

test("pages follow one another without a gap or a double", async () => {
  const heights: Array<number> = []
  for (let cursor: string | null = ""; cursor !== null; ) {
    const response = await get(`/api/chain?limit=2${cursor === "" ? "" : `&cursor=${cursor}`}`)
    const body = (await response.json()) as {
      chain: ReadonlyArray<{ height: number }>
      page: { next_cursor: string | null }
    }
    heights.push(...body.chain.map(({ height }) => height))
    cursor = body.page.next_cursor
  }
  expect(heights).toEqual(Array.from({ length: heights.length }, (_, i) => heights.length - 1 - i))
  const first = (await (await get("/api/accounts?limit=1")).json()) as {
    page: { next_cursor: string }
    accounts: ReadonlyArray<{ address: string }>
  }
  const second = (await (await get(`/api/accounts?limit=1&cursor=${first.page.next_cursor}`)).json()) as typeof first
  expect(second.accounts[0]!.address).not.toBe(first.accounts[0]!.address)
})

describe("the event stream", () => {
  const read = async (headers: Record<string, string>, until: string): Promise<string> => {
    const response = await get("/api/events", headers)
    const reader = response.body!.getReader()
    let text = ""
    while (!text.includes(until)) text += new TextDecoder().decode((await reader.read()).value)
    await reader.cancel()
    return text
  }

  test("tells of a new tip, and goes on after the last id that a reader saw", async () => {
    const heard = read({}, "event: tip")
    await post("/api/mine", {}, { authorization: `Bearer ${token}` })
    const id = Number(/id: (\d+)\nevent: tip/.exec(await heard)![1])
    await post("/api/mine", {}, { authorization: `Bearer ${token}` })
    const replayed = await read({ "last-event-id": String(id) }, `"height":${node.store.tip().header.height}`)
    expect(replayed).not.toContain("resync")
  })

  test("says resync when that id is too old", async () => {
    expect(await read({ "last-event-id": "1" }, "\n\n")).toContain(":")
    expect(await read({ "last-event-id": "1" }, "resync")).toContain("event: resync")
    expect(eventsKeptMax).toBeGreaterThan(0)
  })
})

test("metrics are in Prometheus form, with no address, hash or peer as a label", async () => {
  const text = await (await get("/metrics")).text()
  expect(text).toContain("# TYPE cairn_chain_height gauge")
  expect(text).toMatch(/cairn_actor_messages_total\{actor="chain"\} \d+/)
  expect(text).not.toMatch(/[0-9a-f]{40}|node1|crn1/)
})
