/** The peer book over HTTP: two nodes that meet, one that the operator names, bans, lets in again and forgets. */
import { afterAll, beforeAll, describe, expect, test } from "bun:test"
import { Context, Effect, Exit, Schema } from "effect"
import type { Hono } from "hono"
import { startNode, type TestNode, until } from "../../test/network.ts"
import { formatName } from "../crypto/address.ts"
import { makeApp } from "./app.ts"
import { type ReplyOf, type RouteName, routes } from "./contract.ts"

let first: TestNode
let second: TestNode
let app: Hono
const adminToken = "0123456789abcdef0123456789abcdef"

beforeAll(async () => {
  first = await startNode()
  second = await startNode()
  app = makeApp({
    node: first.tree.node,
    context: Context.empty(),
    adminToken,
    page: new Map(),
    hosts: ["localhost"]
  })
})
afterAll(async () => {
  await first.stop()
  await second.stop()
})

/** Asks, checks a good answer against the route's schema, and gives status and body. */
const ask = async <N extends RouteName>(name: N, id = "", body?: unknown, token = adminToken) => {
  const { method, path, status, reply } = routes[name]
  const headers = { "content-type": "application/json", authorization: `Bearer ${token}` }
  const init = { method, headers, ...(body === undefined ? {} : { body: JSON.stringify(body) }) }
  const answer = await app.request(`http://localhost${path.replace(":id", encodeURIComponent(id))}`, init)
  const json = await answer.json()
  if (answer.status === status) {
    const exit = Schema.decodeUnknownExit(reply as never, { errors: "all", onExcessProperty: "error" })(json)
    expect([name, Exit.isSuccess(exit) ? "" : String(exit.cause)]).toEqual([name, ""])
  }
  return { status: answer.status, code: (json as { code?: string }).code, reply: json as ReplyOf<N> }
}
const add = async (body: unknown) => {
  const { status, code } = await ask("addPeer", "", body)
  return [status, code]
}
const record = async () =>
  (await ask("peers")).reply.peer_records.find(({ node_id: id }) => id === second.tree.node.facts.nodeId)

describe("a peer that the operator names", () => {
  test("must be host and port of somebody else (L-E2)", async () => {
    expect([
      await add({}),
      await add({ peer: " " }),
      await add({ peer: "nonsense" }),
      await add({ url: "ftp://127.0.0.1:1" }),
      await add({ url: `http://${first.endpoint}/` }),
      await add({ peer: "/ip4/192.0.2.7/tcp/4001/p2p/16Uiu2HAmFyscSqSJNAMesP2A3jLd2ahB8zPeBbX2idoBvURWXYuX" }),
      await add({ peer: "/ip4/192.0.2.7/tcp/4001" })
    ]).toEqual([
      [400, "peer-required"],
      [400, "peer-required"],
      [400, "endpoint-invalid"],
      [400, "peer-scheme-wrong"],
      [400, "peer-is-self"],
      [409, "transport-off"],
      [400, "endpoint-invalid"]
    ])
    expect((await ask("addPeer", "", { peer: second.endpoint }, "wrong")).status).toBe(401)
  })

  test("is met, banned, kept out, let in again, and forgotten", async () => {
    const id = second.tree.node.facts.nodeId
    const added = await ask("addPeer", "", { url: `https://${second.endpoint}` })
    expect([added.status, added.reply.peer, added.reply.peers]).toEqual([201, second.endpoint, [second.endpoint]])
    expect((await add({ peer: second.endpoint }))[0]).toBe(201)
    await until("they meet", async () => (await record())?.state === "active")
    expect(await record()).toMatchObject({
      source: "manual",
      direction: "outbound",
      url: second.endpoint,
      score: 10,
      success_count: 1,
      failure_count: 0,
      banned_until: null,
      capabilities: expect.arrayContaining(["headers-first"]) as never
    })
    const banned = await ask("banPeer", id, { seconds: 600, reason: "spam" })
    expect(banned.reply.peer).toMatchObject({ node_id: id, state: "banned", ban_reason: "manual", last_error: "spam" })
    await until("its session ends", async () => (await record())?.direction === "none")
    expect((await ask("peers")).reply.counts).toMatchObject({ active: 0, total: 1, states: { banned: 1 } })
    // It knows of no reason not to come: it must be kept out.
    await Effect.runPromise(second.tree.node.addPeer(first.endpoint))
    const theirs = async () => (await Effect.runPromise(second.tree.node.peerBook())).peers[0]
    await until("it was refused", async () => /banned/.test((await theirs())?.lastError ?? ""))
    expect((await record())?.state).toBe("banned")
    expect((await ask("unbanPeer", id)).reply.peer.state).not.toBe("banned")
    await until("they meet again", async () => (await record())?.state === "active")
    expect((await ask("removePeer", id)).reply).toEqual({ removed: id })
    expect((await ask("removePeer", "127.0.0.1:9")).code).toBe("peer-unknown")
  }, 60_000)

  test("that nobody is at is shown with its failures, apart from those that were met", async () => {
    expect((await add({ peer: "127.0.0.1:9" }))[0]).toBe(201)
    await until("it was looked for", async () =>
      (await ask("peers")).reply.unmet.some(({ last_error: why }) => why !== null)
    )
    const [place] = (await ask("peers")).reply.unmet.filter(({ url }) => url === "127.0.0.1:9")
    expect(place).toMatchObject({ source: "manual", state: "backoff" })
    expect((await ask("removePeer", "127.0.0.1:9")).status).toBe(200)
  }, 30_000)
})

test("a node id is checked before anything is done", async () => {
  const stranger = formatName("node", new Uint8Array(20))
  expect([
    (await ask("banPeer", "node1x", {})).code,
    (await ask("unbanPeer", stranger.toUpperCase())).code,
    (await ask("unbanPeer", stranger)).code,
    (await ask("banPeer", stranger, {})).reply.peer.state,
    (await ask("banPeer", stranger, { seconds: 0 })).code
  ]).toEqual(["node-id-invalid", "node-id-invalid", "peer-unknown", "banned", "body-invalid"])
})
