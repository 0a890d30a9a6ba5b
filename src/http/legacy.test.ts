/** What older clients ask for: keys made by the node, mining by GET, and one answer that says all of it; each only as far as it is safe. */
import { afterAll, beforeAll, describe, expect, spyOn, test } from "bun:test"
import { Context, Effect, Exit, Schema } from "effect"
import type { Hono } from "hono"
import { keyOf, specOf } from "../../test/fixtures.ts"
import { startNode, type TestNode } from "../../test/network.ts"
import { makeRules } from "../chain/rules.ts"
import { fromHex, toHex } from "../codec/bytes.ts"
import { defaults, type NodeConfig, peerPolicy, type RateConfig } from "../config.ts"
import { formatAddress } from "../crypto/address.ts"
import { keypairOf } from "../crypto/keys.ts"
import type { NodeFacts } from "../node/node.ts"
import { migrations } from "../store/schema.ts"
import { makeApp } from "./app.ts"
import { capabilitiesOf } from "./capabilities.ts"
import { type ReplyOf, routes } from "./contract.ts"
import { legacyRoutes } from "./legacy-contract.ts"

const token = "0123456789abcdef0123456789abcdef"
const admin = { authorization: `Bearer ${token}` }
const address = formatAddress(keyOf(1).address, "crn")
let node: TestNode
let app: Hono
/** The same node, whose operator allows what older clients need. */
let kind: Hono

const make = (http: Partial<NodeConfig["http"]>): Hono => {
  const { facts, ...calls } = node.tree.node
  const config = { ...facts.config, http: { ...facts.config.http, ...http } }
  const inside = { ...calls, facts: { ...facts, config, dev: false } }
  return makeApp({ node: inside, context: Context.empty(), adminToken: token, page: new Map(), hosts: ["localhost"] })
}

beforeAll(async () => {
  node = await startNode()
  app = make({})
  kind = make({ serverWallets: true, mineOnGet: true })
})
afterAll(() => node.stop())

const ask = (on: Hono, path: string, headers: Record<string, string> = {}, method = "GET") =>
  on.request(`http://localhost${path}`, { method, headers })
const codeOf = async (response: Response | Promise<Response>): Promise<readonly [number, string]> => {
  const answer = await response
  return [answer.status, ((await answer.json()) as { code: string }).code]
}
const height = (): number => node.store.tip().header.height

test("each of the routes gives what its schema says, and no field beside", async () => {
  for (const [name, path, method] of [
    ["wallets", "/api/wallets", "POST"],
    ["mineByGet", "/mine_block", "GET"],
    ["remoteChain", "/get_remote_chain", "GET"],
    ["hashHint", "/hashing/sha256", "GET"]
  ] as const) {
    const response = await ask(kind, path, admin, method)
    const reply = legacyRoutes[name].reply
    const exit = Schema.decodeUnknownExit(reply as never, { errors: "all", onExcessProperty: "error" })(
      await response.json()
    )
    expect([name, response.status, Exit.isSuccess(exit)]).toEqual([name, legacyRoutes[name].status, true])
  }
})

describe("a key by the node", () => {
  test("is made only where the operator allows it, and for nobody without the token", async () => {
    expect(await codeOf(ask(app, "/api/wallets", {}, "POST"))).toEqual([401, "admin-token-required"])
    expect(await codeOf(ask(kind, "/api/wallets", {}, "POST"))).toEqual([401, "admin-token-required"])
    expect(await codeOf(ask(app, "/api/wallets", admin, "POST"))).toEqual([403, "server-wallets-disabled"])
    expect(await codeOf(ask(kind, "/api/wallets", admin))).toEqual([405, "method-not-allowed"])
  })

  test("is whole, another each time, kept by no cache and written nowhere", async () => {
    const written: Array<string> = []
    const spies = [process.stdout, process.stderr].map((stream) =>
      spyOn(stream, "write").mockImplementation((text) => {
        written.push(String(text))
        return true
      })
    )
    const seen = new Set<string>()
    try {
      for (let i = 0; i < 3; i++) {
        const response = await ask(kind, "/api/wallets", admin, "POST")
        expect([response.status, response.headers.get("cache-control")]).toEqual([201, "no-store"])
        const { wallet } = (await response.json()) as ReplyOf<"wallets">
        const key = keypairOf(fromHex(wallet.private_key, 32)!)
        expect(wallet.public_key).toBe(toHex(key.publicKey))
        expect(wallet.address).toBe(formatAddress(key.address, "crn"))
        seen.add(wallet.private_key)
      }
    } finally {
      for (const spy of spies) spy.mockRestore()
    }
    expect(seen.size).toBe(3)
    expect(written.filter((line) => [...seen].some((secret) => line.includes(secret)))).toEqual([])
  })

  test("is asked for with no body or an empty one, and with nothing in it", async () => {
    const post = (body: string) =>
      kind.request("http://localhost/api/wallets", {
        method: "POST",
        headers: { ...admin, "content-type": "application/json" },
        body
      })
    expect((await post("{}")).status).toBe(201)
    for (const body of ['{"seed":"1"}', "7", "[]", '"x"'])
      expect([body, ...(await codeOf(post(body)))]).toEqual([body, 400, "body-invalid"])
  })
})

describe("a GET that mines", () => {
  test("does so only where the operator allows it, for who has the token, to whom it names", async () => {
    const before = height()
    expect(await codeOf(ask(app, "/mine_block"))).toEqual([401, "admin-token-required"])
    expect(await codeOf(ask(kind, "/mine_block"))).toEqual([401, "admin-token-required"])
    expect(await codeOf(ask(app, "/mine_block", admin))).toEqual([404, "mine-on-get-disabled"])
    expect(await codeOf(ask(kind, "/mine_block?miner=me", admin))).toEqual([400, "address-invalid"])
    expect(await codeOf(ask(kind, "/mine_block?minre=me", admin))).toEqual([400, "query-invalid"])
    expect(height()).toBe(before)
    const response = await ask(kind, `/mine_block?miner=${address}`, admin)
    const { block, snapshot } = (await response.json()) as ReplyOf<"mineByGet">
    expect([response.status, response.headers.get("cache-control"), block.mined_by]).toEqual([201, "no-store", address])
    expect([height(), snapshot.chain[0]?.hash]).toEqual([before + 1, block.hash])
  })

  test("is not done for HEAD, nor for a page, picture or link of another origin", async () => {
    const before = height()
    const head = await ask(kind, "/mine_block", admin, "HEAD")
    expect([head.status, head.headers.get("allow")]).toEqual([405, "GET"])
    const foreign: ReadonlyArray<Record<string, string>> = [
      { origin: "https://evil.example" },
      { origin: "null" },
      { origin: "http://[" },
      { "sec-fetch-site": "cross-site" },
      { "sec-fetch-site": "same-site" }
    ]
    for (const headers of foreign)
      expect([headers, ...(await codeOf(ask(kind, "/mine_block", { ...admin, ...headers })))]).toEqual([
        headers,
        403,
        "origin-not-allowed"
      ])
    expect(height()).toBe(before)
    const own: ReadonlyArray<Record<string, string>> = [
      { origin: "http://localhost", "sec-fetch-site": "same-origin" },
      { "sec-fetch-site": "none" }
    ]
    for (const headers of own) expect((await ask(kind, "/mine_block", { ...admin, ...headers })).status).toBe(201)
  })
})

describe("the snapshot", () => {
  const infoOf = async (query: string): Promise<ReplyOf<"info">> =>
    (await (await ask(app, `/api/info${query}`)).json()) as ReplyOf<"info">

  test("has as many rows as were asked for, and a bound if nothing was said", async () => {
    for (let i = 0; i < 14; i++) await Effect.runPromise(node.tree.node.mine(undefined))
    const rowsOf = async (query: string) => (await infoOf(query)).snapshot.chain.length
    expect([await rowsOf(""), await rowsOf("?limit=0"), await rowsOf("?limit=3")]).toEqual([12, 0, 3])
    const none = (await infoOf("?limit=0")).snapshot
    expect([none.accounts, none.pending_transactions, none.stats.blocks]).toEqual([[], [], height() + 1])
    for (const query of ["?limit=-1", "?limit=257", "?limit=x", "?cursor=1"])
      expect([query, ...(await codeOf(ask(app, `/api/info${query}`)))]).toEqual([query, 400, "query-invalid"])
  })

  test("says what the check of the chain found", async () => {
    const inside = node.tree.node
    const ill = { valid: false, reason: "the state tree is not the tip's" }
    const broken = { ...inside, validate: () => Effect.succeed(ill) }
    const other = makeApp({ node: broken, context: Context.empty(), adminToken: token, page: new Map(), hosts: [] })
    for (const path of ["/api/info", "/api/chain"]) {
      const reply = (await (await ask(other, path)).json()) as ReplyOf<"chain"> & ReplyOf<"info">
      expect([path, (reply.snapshot ?? reply).validation]).toEqual([path, ill])
    }
  })

  test("names the node as its operator does, its id among peers beside that, and where it is reached", async () => {
    const { facts, ...calls } = node.tree.node
    const http = { ...facts.config.http, nodeUrl: "https://node.example" }
    const config = { ...facts.config, http, name: "demo-node-1", mode: "production" as const }
    const inside = { ...calls, facts: { ...facts, config } }
    const named = makeApp({ node: inside, context: Context.empty(), adminToken: token, page: new Map(), hosts: [] })
    const ours = { node_id: "demo-node-1", node_url: "https://node.example" }
    const { service, meta } = (await (await ask(named, "/api/info")).json()) as ReplyOf<"info">
    expect(service).toMatchObject({ ...ours, peer_id: facts.nodeId, mode: "production" })
    expect(meta.schema_version).toBe(migrations.length)
    expect(meta).toMatchObject({ ...ours, peer_id: facts.nodeId, transports: { http: { endpoint: ours.node_url } } })
    expect((await (await ask(named, "/api/health")).json()) as object).toMatchObject({ ...ours, mode: "production" })
    expect((await (await ask(named, "/api/ready")).json()) as object).toMatchObject({ node_id: "demo-node-1" })
    const { meta: plain, service: ourselves } = await infoOf("")
    expect([plain.node_id, ourselves.mode, ourselves.node_url]).toEqual([facts.nodeId, "development", facts.httpUrl])
  })

  test("tells the transports, the limits of peers and the bounds of the difficulty as they are", async () => {
    const { facts, ...calls } = node.tree.node
    const metaOf = async (changed: Partial<NodeFacts>): Promise<ReplyOf<"info">["meta"]> => {
      const inside = { ...calls, facts: { ...facts, ...changed } }
      const other = makeApp({ node: inside, context: Context.empty(), adminToken: token, page: new Map(), hosts: [] })
      return ((await (await ask(other, "/api/stats")).json()) as ReplyOf<"stats">).meta
    }
    const gossip = {
      host: "::",
      port: 19_090,
      advertise: undefined,
      seeds: [],
      plaintext: false,
      ...defaults.gossip
    }
    const gossipEndpoint = "node.example:19090"
    const { peers, ...alone } = facts.config
    const policy = { ...peerPolicy, peersMax: 7, perIpMax: 2, perSubnetMax: 3 }
    const told = await metaOf({ config: { ...facts.config, gossip, peers: { ...peers!, policy } }, gossipEndpoint })
    const port = Number(facts.p2pEndpoint!.split(":")[1])
    expect(told.transports.p2p).toEqual({ protocol: "cairn/1", endpoint: facts.p2pEndpoint!, port, tls: true })
    const udp = { protocol: "udp", endpoint: gossipEndpoint, port: 19_090, fanout: 3, plaintext: false }
    expect(told.transports.gossip).toEqual(udp)
    const anywhere = await metaOf({ config: { ...facts.config, gossip }, gossipEndpoint: "0.0.0.0:4" })
    expect(anywhere.transports.gossip).toEqual({ ...udp, endpoint: null, port: 4 })
    expect(told.limits).toMatchObject({ max_peers: 7, max_peers_per_ip: 2, max_peers_per_subnet: 3 })
    const { transports } = await metaOf({ config: { ...alone, peers: undefined } })
    expect([transports.p2p, transports.gossip]).toEqual([null, null])
    const addresses = ["/ip4/192.0.2.7/tcp/4001/p2p/16Uiu2"]
    const libp2p = { protocol: "/cairn/x/1", peerId: "16Uiu2", aeadEngine: "", addresses: () => addresses }
    const only = { ...alone, peers: { ...peers!, native: false } }
    const by = (await metaOf({ config: only, libp2p })).transports
    expect([transports.libp2p, by.p2p, by.libp2p]).toEqual([
      null,
      null,
      { protocol: "/cairn/x/1", peer_id: "16Uiu2", addresses }
    ])
    expect(told).toMatchObject({ min_difficulty_prefix_length: null, difficulty_prefix: "0", target_block_seconds: 1 })
    const difficulty = {
      rule: "prefix-window" as const,
      blockMs: 30_000,
      windowBlocks: 10,
      prefixStart: 4,
      prefixMin: 2,
      prefixMax: 6
    }
    expect(await metaOf({ rules: makeRules(specOf({ difficulty })) })).toMatchObject({
      difficulty_prefix: "0000",
      min_difficulty_prefix_length: 2,
      max_difficulty_prefix_length: 6,
      target_block_seconds: 30,
      difficulty_adjustment_window: 10
    })
  })
})

test("work, its sum and the next difficulty are told as the reference system counts them (L-B5, L-B6)", async () => {
  const bounds = { prefixStart: 2, prefixMin: 2, prefixMax: 6 }
  const fast = await startNode({
    spec: specOf({ difficulty: { rule: "prefix-window", blockMs: 30_000, windowBlocks: 2, ...bounds } })
  })
  try {
    const other = makeApp({
      node: fast.tree.node,
      context: Context.empty(),
      adminToken: token,
      page: new Map(),
      hosts: []
    })
    for (let i = 0; i < 2; i++) await Effect.runPromise(fast.tree.node.mine(undefined))
    const { headers } = (await (await ask(other, "/api/headers?start=1")).json()) as ReplyOf<"headers">
    const told = headers.map((one) => [one.index, one.difficulty_prefix, one.work, one.cumulative_work])
    expect(told).toEqual([
      [1, "00", "256", "256"],
      [2, "00", "256", "512"],
      [3, "00", "256", "768"]
    ])
    const { stats } = (await (await ask(other, "/api/stats")).json()) as ReplyOf<"stats">
    expect(stats).toMatchObject({ tip_difficulty_prefix: "00", difficulty_prefix: "000", cumulative_work: "768" })
  } finally {
    await fast.stop()
  }
})

test("the next difficulty of a chain with a long window is that which its next block has (L-B6)", async () => {
  const bounds = { prefixStart: 1, prefixMin: 1, prefixMax: 6 }
  const slow = await startNode({
    spec: specOf({ difficulty: { rule: "prefix-window", blockMs: 30_000, windowBlocks: 130, ...bounds } })
  })
  try {
    const other = makeApp({
      ...{ node: slow.tree.node, context: Context.empty(), adminToken: token, page: new Map(), hosts: [] }
    })
    const told = async () => ((await (await ask(other, "/api/stats")).json()) as ReplyOf<"stats">).stats
    for (let height = 1; height <= 131; height++) {
      const { difficulty_prefix: expected } = await told()
      await Effect.runPromise(slow.tree.node.mine(undefined))
      expect([height, (await told()).tip_difficulty_prefix]).toEqual([height, expected])
    }
    expect((await told()).tip_difficulty_prefix).toBe("00")
  } finally {
    await slow.stop()
  }
})

describe("a capability", () => {
  const of = (changed: Partial<NodeFacts>, hasPage = true) =>
    capabilitiesOf({ ...node.tree.node.facts, ...changed }, { hasPage, isLimited: true })
  const config = (changed: Partial<NodeConfig>): Partial<NodeFacts> => ({
    config: { ...node.tree.node.facts.config, ...changed }
  })
  const { http } = { http: (): NodeConfig["http"] => node.tree.node.facts.config.http }

  test("is told only where it is so", () => {
    const usual = of({ dev: false })
    const without = (changed: Partial<NodeFacts>, hasPage = true): ReadonlyArray<string> => {
      const now = of({ dev: false, ...changed }, hasPage)
      return Object.keys(usual).filter((name) => usual[name] === true && now[name] === false)
    }
    expect(without({})).toEqual([])
    expect(without({ dev: true })).toEqual(["admin_authentication"])
    expect(without({}, false)).toEqual(["frontend_console", "frontend_learn"])
    expect(without(config({ filters: false }))).toEqual(["block_filters"])
    expect(without({ prunedTo: 3 })).toEqual(["full_history"])
    const { peers } = node.tree.node.facts.config
    const still = { ...peers!, policy: { ...peerPolicy, maintenanceMs: undefined } }
    expect(without(config({ peers: still }))).toEqual(["background_maintenance"])
    expect(without(config({ peers: { ...peers!, native: false } }))).toEqual(["native_p2p_transport"])
    const libp2p = { protocol: "", peerId: "", aeadEngine: "", addresses: () => [] }
    expect([of({})["libp2p_transport"], of({ libp2p })["libp2p_transport"]]).toEqual([false, true])
    expect(without(config({ peers: undefined }))).toEqual([
      "peer_propagation",
      "peer_discovery",
      "peer_reputation",
      "inventory_announcements",
      "native_p2p_transport",
      "headers_first_sync",
      "background_maintenance",
      "block_filters"
    ])
    expect(without({ rules: makeRules(specOf({ model: "utxo" })) })).toEqual(["nonce_enforcement"])
    expect(without({ rules: makeRules(specOf({ authorities: 3 })) })).toEqual(["most_cumulative_work_consensus"])
  })

  test("of limits is told by what the gate does, whatever was chosen", async () => {
    const inside = node.tree.node
    const limited = async (rates: RateConfig | undefined): Promise<boolean> => {
      const other = makeApp({
        ...{ node: inside, context: Context.empty(), adminToken: token, page: new Map(), hosts: [] },
        ...(rates === undefined ? {} : { access: { rates } })
      })
      const { capabilities } = (await (await ask(other, "/api/info")).json()) as ReplyOf<"info">
      return capabilities["rate_limiting"]!
    }
    expect([
      await limited(undefined),
      await limited({ public: 0, admin: 0, peer: 0 }),
      await limited({ public: 0, admin: 0, peer: 1 }),
      await limited(defaults.rates)
    ]).toEqual([false, false, true, true])
  })

  test("that is off comes with what makes it so", () => {
    const usual = of({ dev: false })
    const more = (changed: Partial<NodeFacts>): ReadonlyArray<string> => {
      const now = of({ dev: false, ...changed })
      return Object.keys(now).filter((name) => now[name] === true && usual[name] === false)
    }
    const gossip = { host: "::", port: 1, advertise: undefined, seeds: [], plaintext: false, ...defaults.gossip }
    expect(more(config({ gossip }))).toEqual(["gossip_transport"])
    expect(more(config({ http: { ...http(), serverWallets: true } }))).toEqual(["server_wallets"])
    expect(more(config({ http: { ...http(), mineOnGet: true } }))).toEqual(["mine_on_get"])
    expect(more({ rules: makeRules(specOf({ authorities: 3 })) })).toEqual(["proof_of_authority"])
    const difficulty = {
      rule: "prefix-window" as const,
      blockMs: 1,
      windowBlocks: 2,
      prefixStart: 1,
      prefixMin: 1,
      prefixMax: 2
    }
    expect(more({ rules: makeRules(specOf({ difficulty })) })).toEqual(["retargeted_prefix_pow"])
  })
})

test("every route that acts by GET is an admin's", () => {
  const acting = Object.values(routes).filter((route) => "acts" in route)
  expect(acting.map(({ path, auth }) => [path, auth])).toEqual([["/mine_block", "admin"]])
})
