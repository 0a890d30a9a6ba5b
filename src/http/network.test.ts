/** The routes between nodes: who has the secret is a peer and no more; what it says of others is a hint, what of itself signed. */
import { afterAll, beforeAll, describe, expect, test } from "bun:test"
import { Context, Effect, Exit, Logger, Schema } from "effect"
import type { Hono } from "hono"
import { keyOf, specOf, TestChain, transfer } from "../../test/fixtures.ts"
import { startNode, type TestNode, until } from "../../test/network.ts"
import { encodeBlock } from "../block/block.ts"
import { headerBytes } from "../block/header.ts"
import { toHex } from "../codec/bytes.ts"
import { peerPolicy } from "../config.ts"
import { formatPeerWord, makePeerWord, type PeerWords } from "../discovery/peer-word.ts"
import { formatTransfer } from "../ledger/transfer-text.ts"
import { blockBytesMax, httpBlockBytesMax, httpBodyBytesMax, rawBlocksMax, rawHeadersMax } from "../limits.ts"
import { CallFault, type CallNode } from "../io/call-node.ts"
import type { NodeShape } from "../node/node.ts"
import { nodeIdOf } from "../transport/hello.ts"
import { makeApp } from "./app.ts"
import { type ReplyOf, type Route, type RouteName, routes } from "./contract.ts"
import { networkRoutes } from "./network-contract.ts"

const secret = "a secret of the peers"
const token = "0123456789abcdef0123456789abcdef"
let node: TestNode
let app: Hono
/** Whatever leaves the machine by fetch, or would by the door to other nodes, while a test runs. */
const fetched: Array<string> = []
const realFetch = globalThis.fetch

const make = (overrides: Partial<NodeShape> = {}, context: Context.Context<never> = Context.empty()): Hono =>
  makeApp({
    node: { ...node.tree.node, ...overrides },
    context,
    adminToken: token,
    access: { peerSecret: secret },
    page: new Map(),
    hosts: ["localhost"]
  })
beforeAll(async () => {
  const callNode: CallNode = ({ url }) => {
    fetched.push(url)
    return Effect.fail(new CallFault({ code: "not-reached", message: "nothing is asked here" }))
  }
  node = await startNode({ nodes: { urls: ["http://operator.test"], callNode } })
  app = make()
  for (let i = 0; i < 12; i++) await Effect.runPromise(node.tree.node.mine(undefined))
  globalThis.fetch = Object.assign(
    (input: unknown) => {
      fetched.push(String(input))
      return Promise.reject(new Error("nothing is fetched here"))
    },
    { preconnect: () => {} }
  )
})
afterAll(async () => {
  globalThis.fetch = realFetch
  await node.stop()
})

const withSecret = { "x-blockchain-peer-secret": secret }
const get = (path: string, headers: Record<string, string> = withSecret, by = app): Response | Promise<Response> =>
  by.request(`http://localhost${path}`, { headers })
const post = (path: string, body: unknown, headers: Record<string, string> = withSecret, by = app) =>
  by.request(`http://localhost${path}`, {
    method: "POST",
    headers: { "content-type": "application/json", ...headers },
    body: JSON.stringify(body)
  })
const codeOf = async (response: Response | Promise<Response>): Promise<readonly [number, string]> => {
  const answer = await response
  return [answer.status, ((await answer.json()) as { code: string }).code]
}
/** The reply, checked against the contract. */
const replyOf = async <N extends RouteName>(name: N, asked: Response | Promise<Response>, status = 0) => {
  const response = await asked
  const route: Route = routes[name]
  const reply = (await response.json()) as ReplyOf<N>
  const decode = Schema.decodeUnknownExit(route.reply as never, { errors: "all", onExcessProperty: "error" })
  const exit = decode(reply)
  expect([response.status, Exit.isSuccess(exit) ? "" : String(exit.cause)]).toEqual([status || route.status, ""])
  return reply
}

const words = (wish: Partial<PeerWords> = {}): PeerWords => ({
  kind: "update",
  chainId: "test",
  genesis: node.tree.node.facts.rules.genesis.header.hash,
  endpoint: "192.0.2.7:19100",
  nodeUrl: "http://169.254.169.254/latest",
  gossipEndpoint: "192.0.2.7:19090",
  height: 1_000_000,
  work: 2n ** 250n,
  error: "",
  time: Date.now(),
  nonce: new Uint8Array(16),
  ...wish
})
const wordOf = (wish: Partial<PeerWords> = {}, key = 40) => formatPeerWord(makePeerWord(words(wish), keyOf(key)))

const peerRoutes = (Object.values(networkRoutes) as ReadonlyArray<Route>).filter(({ auth }) => auth === "peer")

describe("without the secret", () => {
  test("no route of peers answers, whatever it is asked, and with a wrong one neither", async () => {
    expect(peerRoutes.length).toBe(7)
    for (const { method, path } of peerRoutes)
      for (const headers of [{}, { "x-blockchain-peer-secret": `${secret}x` }, { authorization: `Bearer ${token}` }]) {
        const asked = method === "GET" ? get(path, headers) : post(path, {}, headers)
        expect([path, ...(await codeOf(asked))]).toEqual([path, 401, "peer-secret-required"])
      }
  })

  test("being set, nobody is a peer: an empty one opens nothing (L-H3)", async () => {
    const open = makeApp({
      node: node.tree.node,
      context: Context.empty(),
      adminToken: token,
      page: new Map(),
      hosts: ["localhost"]
    })
    for (const given of ["", secret])
      expect((await get("/api/network/peers", { "x-blockchain-peer-secret": given }, open)).status).toBe(401)
  })
})

describe("raw pages", () => {
  test("give the headers after a locator, as bytes, at most a page", async () => {
    const { header } = node.store.bestAt(7)!
    const unknown = "ab".repeat(32)
    const reply = await replyOf("headersRaw", get(`/api/headers/raw?locator=${unknown},${header.id}`, {}))
    expect([reply.count, reply.headers.length]).toEqual([5, 2 * 5 * headerBytes])
    expect(reply.headers.slice(0, 2 * headerBytes)).toBe(toHex(node.store.bestAt(8)!.header.bytes))
    expect([reply.tip.height, reply.tip.hash]).toEqual([12, node.store.tip().header.id])
    expect((await replyOf("headersRaw", get("/api/headers/raw?limit=3", {}))).count).toBe(3)
    for (const query of [`limit=${rawHeadersMax + 1}`, "limit=0", "locator=xyz", "other=1"])
      expect([query, ...(await codeOf(get(`/api/headers/raw?${query}`, {})))]).toEqual([query, 400, "query-invalid"])
  })

  test("give blocks by their hashes, up to the first that is not there", async () => {
    const ids = [3, 4, 5].map((height) => node.store.bestAt(height)!.header.id)
    const hex = ids.map((id) => toHex(encodeBlock(node.store.block(id)!)))
    expect((await replyOf("blocksRaw", get(`/api/blocks/raw?hashes=${ids.join(",")}`, {}))).blocks).toEqual(hex)
    const cut = [ids[0], "ab".repeat(32), ids[1]].join(",")
    expect((await replyOf("blocksRaw", get(`/api/blocks/raw?hashes=${cut}`, {}))).blocks).toEqual([hex[0]!])
    const view = (await Effect.runPromise(node.tree.node.blockAt(3)))!
    const large = { ...view, block: { ...view.block, extra: new Uint8Array(blockBytesMax / 2 - 1_000) } }
    const by = make({ blockOf: () => Effect.succeed(large) })
    const three = [ids[0], ids[0], ids[0]].join(",")
    expect((await replyOf("blocksRaw", get(`/api/blocks/raw?hashes=${three}`, {}, by))).count).toBe(2)
    const many = Array.from({ length: rawBlocksMax + 1 }, () => ids[0]).join(",")
    for (const query of ["", "hashes=", `hashes=${many}`, "hashes=12"])
      expect([query, ...(await codeOf(get(`/api/blocks/raw?${query}`, {})))]).toEqual([query, 400, "query-invalid"])
  })
})

test("the directory tells whom the book lets it tell, without where we see them", async () => {
  const asked: Array<ReadonlyArray<unknown>> = []
  const told = {
    nodeId: "d",
    endpoint: "d.example:1",
    agent: "cairn/test",
    capabilities: ["transactions"],
    height: 7,
    work: 2n ** 70n,
    nodeUrl: "https://d.example",
    gossipEndpoint: undefined,
    gossipKey: undefined,
    tlsFingerprint: "ab".repeat(32),
    remoteHost: "203.0.113.77",
    networkGroup: "203.0.113.0/24"
  }
  const toldPeers: NodeShape["toldPeers"] = (...args) => {
    asked.push(args)
    return Effect.succeed([told])
  }
  const by = make({ toldPeers })
  const reply = await replyOf("networkPeers", get("/api/network/peers", withSecret, by))
  expect(reply.peers).toEqual(["d.example:1"])
  expect(reply.peer_records).toEqual([
    {
      node_id: "d",
      url: "d.example:1",
      node_url: "https://d.example",
      gossip_endpoint: null,
      tls_cert_fingerprint: "ab".repeat(32),
      version: "cairn/test",
      capabilities: ["transactions"],
      last_advertised_height: 7,
      last_cumulative_work: String(2n ** 70n)
    }
  ])
  expect([reply.locator.height, reply.locator.hashes[0]]).toEqual([12, node.store.tip().header.id])
  await replyOf("networkPeers", get("/api/network/peers?exclude=d.example:1&limit=1", withSecret, by))
  expect(asked.map(([max, except]) => [max, except])).toEqual([
    [16, undefined],
    [1, "d.example:1"]
  ])
  expect(await codeOf(get("/api/network/peers?limit=65"))).toEqual([400, "query-invalid"])
  const peers = { ...node.tree.node.facts.config.peers!, policy: { ...peerPolicy, advertisedMax: 40 } }
  const generous = { ...node.tree.node.facts, config: { ...node.tree.node.facts.config, peers } }
  await replyOf("networkPeers", get("/api/network/peers", withSecret, make({ toldPeers, facts: generous })))
  expect(asked.at(-1)![0]).toBe(40)
})

describe("an inventory", () => {
  const inventory = { height: 99, cumulative_work: String(2n ** 200n), tip_hash: "cd".repeat(32) }
  const told = (fields: object, by = app) => post("/api/network/inventory", fields, withSecret, by)

  test("must say whose it is", async () => {
    for (const fields of [{ inventory }, { inventory, source_peer: "" }])
      expect(await codeOf(told(fields))).toEqual([400, "source-peer-missing"])
    expect(await codeOf(told({ source_peer: "x" }))).toEqual([400, "body-invalid"])
    expect(await codeOf(told({ source_peer: "x", inventory: { ...inventory, cumulative_work: "-1" } }))).toEqual([
      400,
      "body-invalid"
    ])
  })

  test("of what we have, or of a node that we have no session with, is no news", async () => {
    const { header, work } = node.store.tip()
    const ours = { height: 12, cumulative_work: String(work), tip_hash: header.id }
    const known = await replyOf("networkInventory", told({ source_peer: "x", inventory: ours }), 200)
    expect([known.status, known.updated, known.advertised_locator[0]]).toEqual(["noop", false, header.id])
    const noted = await replyOf("networkInventory", told({ source_peer: "http://evil.test/", inventory }), 200)
    expect([noted.status, noted.discovered]).toEqual(["noop", []])
  })

  test("that our session follows is answered by what came of it", async () => {
    const updated = make({ inventory: () => Effect.succeed("updated") })
    expect((await replyOf("networkInventory", told({ source_peer: "x", inventory }, updated))).updated).toBe(true)
    const failed = make({ inventory: () => Effect.succeed("failed") })
    expect(await codeOf(told({ source_peer: "x", inventory }, failed))).toEqual([409, "pull-failed"])
  })

  test("about a peer with a session is asked of that session: a boast is a pull that failed", async () => {
    const other = await startNode({ seeds: [node.endpoint] })
    try {
      await until("they agree", () => other.store.tip().header.id === node.store.tip().header.id)
      const { nodeId } = other.tree.node.facts
      await until("the session is let in", async () => {
        const peers = await Effect.runPromise(node.tree.node.peers())
        return peers.some((peer) => peer.nodeId === nodeId && peer.state === "active")
      })
      expect(await codeOf(told({ source_peer: nodeId, inventory }))).toEqual([409, "pull-failed"])
    } finally {
      await other.stop()
    }
  })
})

describe("a block", () => {
  const bring = (body: unknown) => post("/api/network/blocks", body)
  /** A chain of the test that goes on where the node is. */
  const ahead = (height: number): TestChain => {
    const chain = new TestChain(specOf())
    for (let at = 1; at <= height; at++) chain.take(node.store.block(node.store.bestAt(at)!.header.id)!)
    chain.now = chain.store.tip().header.time
    return chain
  }

  test("comes as hex or as our JSON, under a name or bare, and says what it made of the tip", async () => {
    const chain = ahead(12)
    const [hex, json, known] = chain.mine(3, [transfer({ from: 0, to: 1, nonce: 1, time: chain.now + 1 })])
    const first = await replyOf("networkBlocks", bring({ source_peer: "x", block: toHex(encodeBlock(hex!)) }))
    expect([first.appended, first.replaced, first.snapshot.hash]).toEqual([true, false, hex!.header.id])
    // As another node shows it.
    const other = await startNode()
    try {
      for (let at = 1; at <= 15; at++)
        await Effect.runPromise(other.tree.node.offerBlock(chain.store.block(chain.store.bestAt(at)!.header.id)!))
      const shown = makeApp({
        node: other.tree.node,
        context: Context.empty(),
        adminToken: undefined,
        page: new Map(),
        hosts: []
      })
      const { block } = (await (await shown.request(`http://localhost/api/blocks/hash/${json!.header.id}`)).json()) as {
        block: object
      }
      expect((await replyOf("networkBlocks", bring(block))).appended).toBe(true)
      const wrong = { ...block, time: json!.header.time + 1 }
      expect(await codeOf(bring({ block: wrong }))).toEqual([400, "block-malformed"])
    } finally {
      await other.stop()
    }
    await replyOf("networkBlocks", bring({ block: toHex(encodeBlock(known!)) }))
    const again = await replyOf("networkBlocks", bring({ block: toHex(encodeBlock(known!)) }))
    expect([again.appended, again.replaced, node.store.tip().header.id]).toEqual([false, false, known!.header.id])
  })

  test("of a branch that wins replaces the tip", async () => {
    const chain = ahead(13)
    chain.now += 500
    const blocks = chain.mine(4)
    const replies = []
    for (const block of blocks)
      replies.push(await replyOf("networkBlocks", bring({ block: toHex(encodeBlock(block)) })))
    expect(replies.map(({ appended, replaced }) => [appended, replaced])).toEqual([
      [false, false],
      [false, false],
      [false, true],
      [true, false]
    ])
  })

  test("that is refused, or none, changes nothing and says why", async () => {
    const chain = ahead(node.store.tip().header.height)
    chain.mine(1)
    const [orphan] = chain.mine(1)
    const answer = await bring({ block: toHex(encodeBlock(orphan!)) })
    const body = (await answer.json()) as { accepted: boolean; error: string; code: string }
    expect([answer.status, body.accepted, body.code, body.error.length > 0]).toEqual([
      409,
      false,
      "parent-unknown",
      true
    ])
    for (const block of ["", "zz", "00", 7, null, [], {}, { extra: "" }, "ab".repeat(300)])
      expect([block, ...(await codeOf(bring({ block })))]).toEqual([block, 400, "block-malformed"])
    expect(await codeOf(bring(7))).toEqual([400, "body-invalid"])
  })

  test("may be longer than other bodies, if it says how long it is", async () => {
    const long = JSON.stringify({ block: "ab".repeat(httpBodyBytesMax) })
    const send = (path: string, length: number | undefined) =>
      app.request(`http://localhost${path}`, {
        method: "POST",
        headers: {
          "content-type": "application/json",
          ...withSecret,
          ...(length === undefined ? {} : { "content-length": String(length) })
        },
        body: long
      })
    expect(await codeOf(send("/api/network/blocks", long.length))).toEqual([400, "block-malformed"])
    expect(await codeOf(send("/api/network/blocks", undefined))).toEqual([413, "body-too-large"])
    expect(await codeOf(send("/api/network/blocks", httpBlockBytesMax + 1))).toEqual([413, "body-too-large"])
    expect(await codeOf(send("/api/network/inventory", long.length))).toEqual([413, "body-too-large"])
  })
})

test("a transaction is taken once, and then known; a wrong one is refused by its code", async () => {
  const bring = (body: unknown) => post("/api/network/transactions", body)
  const one = transfer({ from: 2, to: 1, nonce: 1, time: Date.now() })
  const taken = await replyOf("networkTransactions", bring({ source_peer: "x", transaction: toHex(one.bytes) }))
  expect([taken.accepted, "transaction" in taken && taken.transaction.id]).toEqual([true, toHex(one.id)])
  const again = await replyOf("networkTransactions", bring(formatTransfer(one, "crn")), 200)
  expect([again.accepted, again.duplicate]).toEqual([false, true])
  const bare = transfer({ from: 2, to: 1, nonce: 2, time: Date.now() })
  await replyOf("networkTransactions", bring(formatTransfer(bare, "crn")))
  const poor = transfer({ from: 2, to: 1, nonce: 3, amount: 9_000_000_000, time: Date.now() })
  expect(await codeOf(bring({ transaction: toHex(poor.bytes) }))).toEqual([400, "balance-too-low"])
  const low = transfer({ from: 2, to: 1, nonce: 1, amount: 99, time: Date.now() })
  expect((await codeOf(bring({ transaction: toHex(low.bytes) })))[0]).toBe(400)
  for (const transaction of ["", "zz", "00", 7, null, {}])
    expect([transaction, (await codeOf(bring({ transaction })))[0]]).toEqual([transaction, 400])
})

test("an announcement goes to who hears them, with where it came from; without anybody it is refused", async () => {
  const bring = (body: unknown, by = app) => post("/api/network/gossip/announce", body, withSecret, by)
  expect(await codeOf(bring({ announcement: "00" }))).toEqual([503, "gossip-off"])
  const heard: Array<string> = []
  const verdict = { refused: undefined, nodeId: "node1x", endpoint: "a:1", gossipEndpoint: "", found: 2, isAhead: true }
  const answers = [
    verdict,
    { ...verdict, isAhead: false },
    { ...verdict, refused: "announcement-seen", isAhead: false }
  ]
  const by = make({
    announce: (bytes, remote) => {
      const found = answers[heard.push(`${toHex(bytes)} ${remote}`) - 1]
      return Effect.succeed(
        found ?? { ...verdict, refused: heard.length > 4 ? "source-too-often" : "announcement-forged", isAhead: false }
      )
    }
  })
  const first = await replyOf("gossipAnnounce", bring({ announcement: "0102" }, by), 202)
  expect([first.updated, first.source_peer, first.source_gossip_endpoint]).toEqual([true, "a:1", null])
  await replyOf("gossipAnnounce", bring({ announcement: "0102" }, by), 200)
  expect((await replyOf("gossipAnnounce", bring({ announcement: "0102" }, by), 200)).accepted).toBe(false)
  expect(await codeOf(bring({ announcement: "0102" }, by))).toEqual([409, "announcement-forged"])
  expect(await codeOf(bring({ announcement: "0102" }, by))).toEqual([429, "source-too-often"])
  expect(heard).toEqual(Array.from({ length: 5 }, () => "0102 127.0.0.1"))
  for (const body of [{ announcement: "xyz" }, {}, { announcement: "00", source_peer: "http://evil.test" }])
    expect(await codeOf(bring(body, by))).toEqual([400, "body-invalid"])
})

/** What is written to the log meanwhile. */
const logged = async (during: () => Promise<unknown>): Promise<ReadonlyArray<string>> => {
  const lines: Array<string> = []
  const logger = Logger.make<unknown, void>(({ message }) => void lines.push(JSON.stringify(message)))
  const context = await Effect.runPromise(Effect.provide(Effect.context<never>(), Logger.layer([logger])))
  app = make({}, context)
  await during()
  app = make()
  return lines
}

describe("a word of a node about itself", () => {
  const update = (body: unknown) => post("/api/network/p2p/peer-update", body)
  const failure = (body: unknown) => post("/api/network/p2p/peer-failure", body)

  test("is heard once, and where it is may be dialled", async () => {
    const word = wordOf()
    const reply = await replyOf("peerUpdate", update(word))
    expect([reply.accepted, reply.peer.url, reply.discovered]).toEqual([true, "192.0.2.7:19100", ["192.0.2.7:19100"]])
    expect(await Effect.runPromise(node.tree.node.addPeer("192.0.2.7:19100"))).toBe("known")
    expect(await codeOf(update(word))).toEqual([409, "peer-word-replayed"])
  })

  test("with what only others can see of a peer is refused, with or without a signature", async () => {
    for (const name of ["remote_ip", "network_group", "tls_enabled", "tls_cert_fingerprint"])
      expect(await codeOf(update({ ...wordOf({}, 41), [name]: "203.0.113.1" }))).toEqual([400, "observation-refused"])
    const legacy = { source_peer: "http://10.0.0.1", chain_id: "test", remote_ip: "203.0.113.1" }
    expect(await codeOf(update(legacy))).toEqual([400, "observation-refused"])
    expect(await codeOf(update({ source_peer: "http://10.0.0.1" }))).toEqual([400, "peer-word-malformed"])
  })

  test("of a failure is one line of the log, of which its author chooses no sign that is not seen", async () => {
    const error = "no\nERROR forged\u001b[31m \u202e\\n\u0085\u2028 Ä"
    const lines = await logged(async () => {
      await replyOf("peerFailure", failure(wordOf({ kind: "failure", error }, 45)))
      // And then none for a while, whoever says so.
      await replyOf("peerFailure", failure(wordOf({ kind: "failure", error }, 46)))
    })
    expect(lines.length).toBe(1)
    const [, said] = JSON.parse(lines[0]!) as [string, { peer: string; why: string }]
    expect([said.peer, said.why]).toEqual([
      nodeIdOf(keyOf(45).publicKey),
      "no\\u{a}ERROR forged\\u{1b}[31m \\u{202e}\\\\n\\u{85}\\u{2028} Ä"
    ])
  })

  test("with the URL of a node that nobody here would ask is refused", async () => {
    const { facts } = node.tree.node
    const policy = { ...peerPolicy, requireHttps: true }
    const strict = make({ facts: { ...facts, config: { ...facts.config, peers: { ...facts.config.peers!, policy } } } })
    const send = (nodeUrl: string) => post("/api/network/p2p/peer-update", wordOf({ nodeUrl }, 47), withSecret, strict)
    expect([(await send("http://a.example")).status, (await send("https://a.example")).status]).toEqual([400, 200])
  })

  test("of a failure changes no score, nor does one that another signs (defect 5)", async () => {
    const other = await startNode({ seeds: [node.endpoint], key: 42 })
    try {
      const scores = async () => {
        const peers = await Effect.runPromise(node.tree.node.peers())
        return peers.map(({ nodeId, score, state, bannedUntil }) => [nodeId, score, state, bannedUntil])
      }
      await until("the session is let in", async () => (await scores()).some(([, , state]) => state === "active"))
      const before = await scores()
      await replyOf("peerFailure", failure(wordOf({ kind: "failure", error: "no answer" }, 42)))
      const forged = { ...wordOf({ kind: "failure", error: "it lies" }, 43), source_peer: other.tree.node.facts.nodeId }
      expect(await codeOf(failure(forged))).toEqual([400, "node-id-mismatch"])
      expect(await scores()).toEqual(before)
    } finally {
      await other.stop()
    }
  })
})

test("an order to look for a heavier branch tells what it found", async () => {
  const reply = await replyOf("resolve", post("/api/consensus/resolve", {}, { authorization: `Bearer ${token}` }))
  const inspected = reply.result.inspected.map(({ url, status, code }) => [url, status, code])
  expect(inspected).toEqual([["http://operator.test", "failed", "not-reached"]])
  expect([reply.replaced, reply.result.source_peer]).toEqual([false, null])
  expect(reply.snapshot.tip.hash).toBe(node.store.tip().header.id)
  const { tip } = await Effect.runPromise(Effect.all({ tip: node.tree.node.tip() }))
  const genesis = node.store.bestAt(0)!
  const found = make({
    resolve: () =>
      Effect.succeed({
        before: { header: genesis.header, work: genesis.work },
        after: tip,
        inspected: [
          { url: "http://a", status: "failed", code: "chain-mismatch", claim: undefined, headers: 0, blocks: 0 },
          {
            url: "http://b",
            status: "updated",
            code: undefined,
            claim: { height: 3, hash: tip.header.id, work: 9n },
            headers: 3,
            blocks: 3
          }
        ],
        discovered: ["1.2.3.4:1"],
        sessions: []
      })
  })
  const told = await replyOf("resolve", post("/api/consensus/resolve", {}, { authorization: `Bearer ${token}` }, found))
  expect([told.replaced, told.result.source_peer, told.discovery]).toEqual([
    true,
    "http://b",
    { discovered: ["1.2.3.4:1"], inspected: ["http://a", "http://b"] }
  ])
})

test("of all this only the operator's own node was asked for anything, whatever URLs bodies named", () => {
  expect(fetched.length).toBeGreaterThan(0)
  expect(fetched.filter((url) => !url.startsWith("http://operator.test/api/"))).toEqual([])
})
