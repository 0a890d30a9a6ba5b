/** The routes of dotcoin over a whole node, without a socket: their flows, their refusals, and what strangers must not get. */
import { afterAll, beforeAll, describe, expect, test } from "bun:test"
import { Clock, Context, Effect, Result } from "effect"
import type { Hono } from "hono"
import { keyOf } from "../../test/fixtures.ts"
import { startNode, type TestNode } from "../../test/network.ts"
import { parseSpec } from "../block/genesis.ts"
import { presets } from "../chain/presets.ts"
import { toHex } from "../codec/bytes.ts"
import { formatAddress } from "../crypto/address.ts"
import { makeDice } from "../sim/dice.ts"
import { makeApp } from "../http/app.ts"
import { makeCompat } from "./compat.ts"

const spec = Result.getOrThrow(parseSpec(presets["dotcoin"]))
const secret = "ab".repeat(32)
const [wallet, other] = [keyOf(900), keyOf(901)]
const [mine, theirs] = [wallet, other].map(({ address }) => formatAddress(address, "dot")) as [string, string]

let node: TestNode
let app: Hono
const appOf = (
  actsOnGet: boolean,
  shape = node.tree.node,
  context = Context.empty() as Context.Context<never>
): Hono => {
  const dice = makeDice(3)
  const session = { secret, file: "session.token", port: 80, hosts: [] }
  const options = { system: "dotcoin", node: shape, context, wallet, session, actsOnGet, random: dice.bytes } as const
  return makeApp({
    node: shape,
    context,
    adminToken: undefined,
    page: new Map([["/", { type: "text/html", body: "page" }]]),
    hosts: ["localhost"],
    compat: makeCompat(options)
  })
}
beforeAll(async () => {
  node = await startNode({ spec, key: 900 })
  app = appOf(false)
})
afterAll(() => node.stop())

interface Wish {
  readonly body?: unknown
  readonly own?: boolean
  readonly remote?: string
  readonly app?: Hono
}
const ask = async (method: string, path: string, wish: Wish = {}): Promise<Response> => {
  const headers: Record<string, string> = { host: "localhost" }
  if (wish.own === true) headers["authorization"] = `Bearer ${secret}`
  const init: RequestInit = { method, headers }
  if (wish.body !== undefined) {
    headers["content-type"] = "application/json"
    init.body = typeof wish.body === "string" ? wish.body : JSON.stringify(wish.body)
  }
  return (wish.app ?? app).fetch(new Request(`http://localhost${path}`, init), { remote: wish.remote ?? "127.0.0.1" })
}
const own = (method: string, path: string, body?: unknown) => ask(method, path, { own: true, body })
const get = async <A>(path: string): Promise<A> => (await (await ask("GET", path)).json()) as A
const balanceOf = async (publicKey: string): Promise<string> =>
  (await ask("POST", "/getBalance", { body: { publicKey } })).text()
const codeOf = async (response: Promise<Response>): Promise<readonly [number, string]> => {
  const answer = await response
  return [answer.status, ((await answer.json()) as { code: string }).code]
}

interface Coin {
  readonly txOutId: string
  readonly txOutIndex: number
  readonly address: string
  readonly amount: number
}
interface Paid {
  readonly id: string
  readonly txIns: ReadonlyArray<{ readonly txOutId: string; readonly txOutIndex: number; readonly signature: string }>
  readonly txOuts: ReadonlyArray<{ readonly address: string; readonly amount: number }>
}
interface Block {
  readonly index: number
  readonly hash: string
  readonly previousHash: string
  readonly difficulty: number
  readonly data: ReadonlyArray<Paid>
}

test("what came of a download is said in the other's words, for each peer by how much longer its chain was", async () => {
  const heights = [1, 4, 5, 9, 3]
  const peers = [...heights, 99].map((height, i) => ({ height, state: i < heights.length ? "active" : "known" }))
  // The tip is at 4, and after some looks at 5: what the peer with nine has does not come in time.
  let looks = 0
  const tip = () => Effect.sync(() => ({ header: { height: looks++ < 2 ? 4 : 5 } }))
  const clock = { currentTimeMillisUnsafe: () => 0, sleep: () => Effect.void }
  const shape = { ...node.tree.node, tip, peers: () => Effect.succeed(peers) } as never
  const waiting = appOf(false, shape, Context.make(Clock.Clock, clock as never))
  const nothing = ["received blockchain is not longer than current blockchain. Do nothing"]
  expect(await (await ask("GET", "/syncPeers", { app: waiting })).json()).toEqual([
    nothing,
    nothing,
    ["blockchain possibly behind. We got: 5 Peer got: 6", "block added to chain"],
    ["blockchain possibly behind. We got: 5 Peer got: 10", "We have to query the chain from our peer"],
    nothing
  ])
  peers.splice(3, 1)
  looks = 0
  const four = { ...node.tree.node, tip: () => Effect.sync(() => ({ header: { height: looks++ < 2 ? 0 : 5 } })) }
  const longer = appOf(
    false,
    { ...four, peers: () => Effect.succeed(peers) } as never,
    Context.make(Clock.Clock, clock as never)
  )
  expect(((await (await ask("GET", "/syncPeers", { app: longer })).json()) as Array<unknown>)[1]).toEqual([
    "blockchain possibly behind. We got: 1 Peer got: 5",
    "Received blockchain is 4 blocks longer than current blockchain"
  ])
})

test("a page of blocks ends where another branch has won between two looks", async () => {
  const [one, two] = [await startNode({ spec, key: 903 }), await startNode({ spec, key: 904 })]
  try {
    for (let i = 0; i < 4; i++) for (const each of [one, two]) await Effect.runPromise(each.tree.node.mine(undefined))
    const torn = { ...one.tree.node, blockAt: (height: number) => (height < 3 ? one : two).tree.node.blockAt(height) }
    const response = await ask("GET", "/blocks", { app: appOf(false, torn) })
    expect(((await response.json()) as Array<Block>).map(({ index }) => index)).toEqual([0, 1, 2])
    expect(response.headers.get("link")).toBe('</blocks?from_block=3&limit=256>; rel="next"')
  } finally {
    await one.stop()
    await two.stop()
  }
})

test("the wallet leaves rewards alone that are not ripe", async () => {
  const ripening = { ...spec, ledger: { ...spec.ledger, model: "utxo", coinbaseMaturity: 3 } } as const
  const alone = await startNode({ spec: ripening, key: 900 })
  try {
    const payer = appOf(false, alone.tree.node)
    const pay = () => ask("POST", "/transaction", { body: { receiver: theirs, amount: 50 }, own: true, app: payer })
    await Effect.runPromise(alone.tree.node.mine(undefined))
    await Effect.runPromise(alone.tree.node.mine(undefined))
    expect(await codeOf(pay())).toEqual([400, "funds-too-low"])
    await Effect.runPromise(alone.tree.node.mine(undefined))
    // The next block is the fourth: the reward of the first may be in it, and no other.
    expect((await pay()).status).toBe(200)
    expect(await codeOf(pay())).toEqual([400, "funds-too-low"])
  } finally {
    await alone.stop()
  }
})

describe("dotcoin", () => {
  test("mines two blocks: 0 becomes 100, in three blocks; pays 90 of two coins, with 10 back (its flows 2 and 3)", async () => {
    expect([await balanceOf(mine), (await get<Array<Block>>("/blocks")).length]).toEqual(["0", 1])
    expect(await (await own("POST", "/startMining")).text()).toBe("Mining status: False->True")
    await own("POST", "/startMining")
    expect([await balanceOf(mine), (await get<Array<Block>>("/blocks")).length]).toEqual(["100", 3])

    const coins = await get<Array<Coin>>("/unspentTxOuts")
    expect(coins.map(({ address, amount }) => [address, amount])).toEqual([
      [mine, 50],
      [mine, 50]
    ])
    const paid = (await (await own("POST", "/transaction", { receiver: theirs, amount: 90 })).json()) as Paid
    expect(paid.txOuts).toEqual([
      { address: theirs, amount: 90 },
      { address: mine, amount: 10 }
    ])
    expect(paid.txIns.map(({ txOutId }) => txOutId).sort()).toEqual(coins.map(({ txOutId }) => txOutId).sort())
    expect(paid.txIns.every(({ signature }) => /^[0-9a-f]{128}$/.test(signature))).toBe(true)
    expect(await get<Array<Paid>>("/transactionPool")).toEqual([paid])
    // Both coins are promised: nothing is left to pay with.
    expect(await codeOf(own("POST", "/transaction", { receiver: theirs, amount: 1 }))).toEqual([400, "funds-too-low"])

    await own("POST", "/startMining")
    expect([await balanceOf(theirs), await balanceOf(mine)]).toEqual(["90", "60"])
    expect(await get<Array<Paid>>("/transactionPool")).toEqual([])
    const last = (await get<Array<Block>>("/blocks")).at(-1)!
    expect([last.index, last.data[0]!.txIns, last.data[1]]).toEqual([
      3,
      [{ txOutId: "", txOutIndex: 3, signature: "" }],
      paid
    ])
    const after = await get<Array<Coin>>("/unspentTxOuts")
    expect(after.map(({ amount }) => amount).sort((a, b) => a - b)).toEqual([10, 50, 90])
  })

  test("tells blocks that are those of the chain, each on the one before", async () => {
    const blocks = await get<Array<Block>>("/blocks")
    const { header } = node.store.tip()
    expect([blocks.at(-1)!.hash, blocks.at(-1)!.difficulty]).toEqual([header.id, 0])
    for (const [i, { previousHash }] of blocks.slice(1).entries()) expect(previousHash).toBe(blocks[i]!.hash)
  })

  test("gives lists in pages that name the next, and refuses limits that are none", async () => {
    const heights: Array<number> = []
    let path: string | undefined = "/blocks?limit=2"
    while (path !== undefined) {
      const response = await ask("GET", path)
      heights.push(...((await response.json()) as Array<Block>).map(({ index }) => index))
      path = /^<([^>]+)>; rel="next"$/.exec(response.headers.get("link") ?? "")?.[1]
    }
    expect(heights).toEqual(Array.from({ length: node.store.tip().header.height + 1 }, (_, i) => i))
    expect(await get<Array<Block>>("/blocks?from_block=1000000")).toEqual([])
    for (const query of ["limit=0", "limit=-1", "limit=257", "limit=1e3", "from_block=-1", "from_block=x"])
      expect([query, ...(await codeOf(ask("GET", `/blocks?${query}`)))]).toEqual([query, 400, "query-invalid"])

    const all = await get<Array<Coin>>("/unspentTxOuts")
    const first = await ask("GET", "/unspentTxOuts?limit=2")
    const next = /^<([^>]+)>/.exec(first.headers.get("link")!)![1]!
    expect([...((await first.json()) as Array<Coin>), ...(await get<Array<Coin>>(next))]).toEqual(all)
    expect(await codeOf(ask("GET", "/unspentTxOuts?cursor=nonsense"))).toEqual([400, "cursor-invalid"])
    expect(await codeOf(ask("GET", "/transactionPool?cursor=nonsense"))).toEqual([400, "cursor-invalid"])
  })

  test("says what is wrong with an amount, an address or a body, where the other crashed", async () => {
    for (const amount of [-5, 0, 1.5, "5", null, 2 ** 60]) {
      const response = await own("POST", "/transaction", { receiver: theirs, amount })
      expect([amount, response.status, await response.json()]).toMatchObject([
        amount,
        400,
        { code: "amount-invalid", detail: "Invalid amount" }
      ])
    }
    const poor = await own("POST", "/transaction", { receiver: theirs, amount: 1_000_000 })
    const { code, detail } = (await poor.json()) as { code: string; detail: string }
    expect([poor.status, code, detail]).toEqual([
      400,
      "funds-too-low",
      expect.stringContaining("not enough coins to send transaction")
    ])
    expect(await codeOf(own("POST", "/transaction", { receiver: "04bfcab8", amount: 1 }))).toEqual([
      400,
      "address-invalid"
    ])
    expect(await codeOf(own("POST", "/transaction", { amount: 1 }))).toEqual([400, "body-invalid"])
    expect(await codeOf(ask("POST", "/getBalance", { body: {} }))).toEqual([400, "body-invalid"])
    expect(await codeOf(ask("POST", "/getBalance", { body: { publicKey: "me" } }))).toEqual([400, "address-invalid"])
    expect(await codeOf(ask("POST", "/getBalance", { body: "{" }))).toEqual([400, "json-invalid"])
  })

  test("pays twice at once from different coins", async () => {
    await own("POST", "/startMining")
    await own("POST", "/startMining")
    const both = await Promise.all([1, 2].map((n) => own("POST", "/transaction", { receiver: theirs, amount: 50 + n })))
    expect(both.map(({ status }) => status)).toEqual([200, 200])
    const spent = (await get<Array<Paid>>("/transactionPool")).flatMap(({ txIns }) => txIns.map((one) => one.txOutId))
    expect(new Set(spent).size).toBe(spent.length)
    await own("POST", "/startMining")
  })

  test("adds a peer by its host and port, once, and not itself (its flow 1)", async () => {
    const peer = (body: unknown, remote = "127.0.0.1") => ask("POST", "/peer", { body, remote })
    const self = `http://${node.endpoint.replace("127.0.0.1", "localhost")}`
    expect(await codeOf(peer({ peerIP: self, addBack: true }))).toEqual([400, "peer-is-self"])
    expect(await codeOf(peer({ peerIP: "http://localhost:****" }))).toEqual([400, "endpoint-invalid"])
    expect(await codeOf(peer({ peerIP: "http://localhost:1/../x" }))).toEqual([400, "endpoint-invalid"])
    const second = await startNode({ spec, key: 902 })
    try {
      await Effect.runPromise(second.tree.node.mine(undefined))
      const added = await peer({ peerIP: second.endpoint, addBack: true })
      expect(await added.text()).toBe("added, added back")
      expect(await (await peer({ peerIP: `http://${second.endpoint}/` })).text()).toBe("already has peer")
      expect(await get<Array<string>>("/peers")).toEqual([second.endpoint])
      const theirPeers = await Effect.runPromise(second.tree.node.peers())
      expect(theirPeers.map(({ endpoint }) => endpoint)).toEqual([node.endpoint])
      // The node has more: nothing comes over, and the peer's lighter block is forgotten there.
      const before = node.store.tip().header.id
      expect(await get<unknown>("/syncPeers")).toEqual([
        ["received blockchain is not longer than current blockchain. Do nothing"]
      ])
      expect(node.store.tip().header.id).toBe(before)
    } finally {
      await second.stop()
    }
  })

  test("knocks at no door that a stranger names, but at the stranger's own", async () => {
    const from = (remote: string, peerIP: string) => ask("POST", "/peer", { body: { peerIP }, remote })
    for (const target of ["10.0.0.5:22", "169.254.169.254:80", "[::1]:22", "localhost:22", "internal.lan:80"])
      expect([target, ...(await codeOf(from("192.0.2.7", target)))]).toEqual([target, 403, "caller-not-local"])
    expect(await codeOf(from("127.0.0.1", "10.0.0.5:22"))).toEqual([403, "session-required"])
    const named = await ask("POST", "/peer", { body: { peerIP: "192.0.2.8:19100" }, remote: "192.0.2.8", app })
    expect([named.status, await named.text()]).toEqual([200, "added"])
  }, 10_000)

  const keyRoutes = [
    ["GET", "/keypair", undefined],
    ["POST", "/startMining", undefined],
    ["POST", "/transaction", { receiver: theirs, amount: 1 }]
  ] as const

  test.each(keyRoutes)("keeps %s %s for its own session (D-X1)", async (method, path, body) => {
    const before = node.store.tip().header.id
    expect(await codeOf(ask(method, path, { body }))).toEqual([403, "session-required"])
    expect(await codeOf(ask(method, path, { body, own: true, remote: "192.0.2.7" }))).toEqual([403, "caller-not-local"])
    expect(await get<Array<Paid>>("/transactionPool")).toEqual([])
    expect(node.store.tip().header.id).toBe(before)
    expect((await ask(method, path, { body, own: true })).status).toBe(200)
  })

  test("shows the key of the wallet whose address it names", async () => {
    const shown = await own("GET", "/keypair")
    expect(shown.headers.get("cache-control")).toBe("no-store")
    expect(await shown.json()).toEqual({ privateKey: toHex(wallet.secret), publicKey: mine })
  })

  test("answers what reveals nothing to everyone", async () => {
    for (const path of ["/blocks", "/unspentTxOuts", "/transactionPool", "/peers", "/syncPeers"])
      expect([path, (await ask("GET", path, { remote: "192.0.2.7" })).status]).toEqual([path, 200])
    const balance = await ask("POST", "/getBalance", { body: { publicKey: mine }, remote: "192.0.2.7" })
    expect(balance.status).toBe(200)
  })

  test("mines by GET only if the operator said so, and then for the session only", async () => {
    const off = await own("GET", "/startMining")
    expect([off.status, off.headers.get("allow")]).toEqual([405, "POST"])
    const acting = appOf(true)
    expect(await codeOf(ask("GET", "/startMining", { app: acting }))).toEqual([403, "session-required"])
    const before = node.store.tip().header.height
    expect((await ask("GET", "/startMining", { app: acting, own: true })).status).toBe(200)
    expect(node.store.tip().header.height).toBe((before + 1) as typeof before)
  })

  test("gives the page with a cookie that opens the session", async () => {
    const page = await ask("GET", "/")
    expect(await page.text()).toBe("page")
    const cookie = page.headers.get("set-cookie")!.split(";")[0]!
    const headers = { host: "localhost", cookie, origin: "http://localhost" }
    const asked = new Request("http://localhost/keypair", { headers })
    expect((await app.fetch(asked, { remote: "127.0.0.1" })).status).toBe(200)
  })
})
