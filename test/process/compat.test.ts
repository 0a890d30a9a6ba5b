/** The built binary with the routes of dotcoin and full-node, as who comes from there would use it: by curl, over real sockets. */
import { describe, expect, test } from "bun:test"
import { readFileSync, statSync, writeFileSync } from "node:fs"
import { networkInterfaces } from "node:os"
import { join } from "node:path"
import fullNode from "../../presets/full-node.json" with { type: "json" }
import { formatAddress } from "../../src/crypto/address.ts"
import { accountKey, devMnemonic } from "../../src/crypto/keys.ts"
import type { FullNodeBlock } from "../../src/compat/text.ts"
import type { Amount } from "../../src/ledger/amount.ts"
import { signPayment } from "../../src/ledger/payment.ts"
import { formatPayment } from "../../src/ledger/payment-text.ts"
import type { Outpoint, TransactionId } from "../../src/ledger/transaction.ts"
import { until } from "../network.ts"
import { run, type Running, suite } from "./binary.ts"
import { chromium, open as openPage } from "./browser.ts"

const { home, begin } = suite()

/** A node with a folder of its own, and how its owner and others ask it. */
const open = async (name: string, ...args: ReadonlyArray<string>) => {
  const folder = join(home.path, name)
  const node = await begin("--data-dir", folder, ...args)
  const token = readFileSync(join(folder, "session.token"), "utf8").trim()
  const send = (method: string, path: string, body?: unknown, headers: Readonly<Record<string, string>> = {}) => {
    const init: RequestInit = { method, headers: { ...headers } }
    if (body !== undefined) {
      init.body = JSON.stringify(body)
      init.headers = { "content-type": "application/json", ...headers }
    }
    return fetch(`${node.http}${path}`, init)
  }
  return {
    node,
    folder,
    token,
    send,
    get: async <A>(path: string): Promise<A> => (await (await send("GET", path)).json()) as A,
    post: (path: string, body: unknown) => send("POST", path, body),
    own: (method: string, path: string, body?: unknown) =>
      send(method, path, body, { authorization: `Bearer ${token}` })
  }
}
type Opened = Awaited<ReturnType<typeof open>>

const endpoint = ({ node }: { readonly node: Running }): string => node.peers
const blocksOf = async (one: Opened): Promise<number> => (await one.get<ReadonlyArray<unknown>>("/blocks")).length

describe("dotcoin, its four flows", () => {
  const balance = async (one: Opened, publicKey: string): Promise<string> =>
    (await one.post("/getBalance", { publicKey })).text()
  const keyOf = async (one: Opened) =>
    (await (await one.own("GET", "/keypair")).json()) as { readonly privateKey: string; readonly publicKey: string }

  test("mine two blocks, pay 90 with two coins, add a peer both ways, and the shorter chain becomes the longer", async () => {
    const made = await run("init", "--spec", "dotcoin", "--data-dir", join(home.path, "d1"))
    expect(made.code).toBe(0)
    const one = await open("d1", "--compat", "dotcoin")
    const two = await open("d2", "--spec", "dotcoin", "--compat", "dotcoin")
    const [mine, theirs] = [(await keyOf(one)).publicKey, (await keyOf(two)).publicKey]

    expect([await balance(one, mine), await blocksOf(one)]).toEqual(["0", 1])
    for (let i = 0; i < 2; i++)
      expect(await (await one.own("POST", "/startMining")).text()).toBe("Mining status: False->True")
    expect([await balance(one, mine), await blocksOf(one)]).toEqual(["100", 3])

    const paid = (await (await one.own("POST", "/transaction", { receiver: theirs, amount: 90 })).json()) as {
      readonly txIns: ReadonlyArray<unknown>
      readonly txOuts: ReadonlyArray<unknown>
    }
    expect([paid.txIns.length, paid.txOuts]).toEqual([
      2,
      [
        { address: theirs, amount: 90 },
        { address: mine, amount: 10 }
      ]
    ])
    expect((await one.get<ReadonlyArray<unknown>>("/unspentTxOuts")).length).toBe(2)
    expect(await one.get<unknown>("/transactionPool")).toEqual([paid])
    await one.own("POST", "/startMining")
    expect([await balance(one, theirs), await balance(one, mine), await blocksOf(one)]).toEqual(["90", "60", 4])

    expect([await balance(two, theirs), await blocksOf(two)]).toEqual(["0", 1])
    const url = `http://${endpoint(two).replace("127.0.0.1", "localhost")}`
    expect(await (await one.post("/peer", { peerIP: url, addBack: true })).text()).toMatch(/^added/)
    expect(await (await one.post("/peer", { peerIP: url, addBack: true })).text()).toBe("already has peer")
    await until("each has the other once", async () => {
      const peers = await Promise.all([one, two].map((node) => node.get<ReadonlyArray<string>>("/peers")))
      return JSON.stringify(peers) === JSON.stringify([[endpoint(two)], [endpoint(one)]])
    })
    const nothing = ["received blockchain is not longer than current blockchain. Do nothing"]
    expect(await one.get<unknown>("/syncPeers")).toEqual([nothing])
    expect((await two.send("GET", "/syncPeers")).status).toBe(200)
    await until("the shorter has what the longer has", async () => (await blocksOf(two)) === 4)
    expect([await blocksOf(one), await balance(two, theirs)]).toEqual([4, "90"])
    expect(await two.get<unknown>("/blocks")).toEqual(await one.get<unknown>("/blocks"))
  }, 60_000)

  test("the key and the coins are for this machine's own page and token only", async () => {
    const one = await open("d3", "--spec", "dotcoin", "--compat", "dotcoin", "--no-p2p", "--http-host", "0.0.0.0")
    const { port } = new URL(one.node.http)
    const base = `http://127.0.0.1:${port}`
    const code = async (url: string, headers: Record<string, string> = {}) => {
      const response = await fetch(url, { headers })
      return response.status === 200 ? 200 : `${response.status} ${((await response.json()) as { code: string }).code}`
    }
    const bearer = { authorization: `Bearer ${one.token}` }
    expect(statSync(join(one.folder, "session.token")).mode & 0o777).toBe(0o600)
    expect(await code(`${base}/keypair`, bearer)).toBe(200)
    expect(await code(`${base}/keypair`)).toBe("403 session-required")
    expect(await code(`${base}/keypair`, { ...bearer, host: "evil.example" })).toBe("403 host-not-allowed")
    expect(await code(`${base}/keypair`, { ...bearer, origin: `http://127.0.0.1:${Number(port) + 1}` })).toBe(
      "403 origin-not-allowed"
    )
    const cookie = (await fetch(`${base}/`)).headers.get("set-cookie")!.split(";")[0]!
    expect(await code(`${base}/keypair`, { cookie, origin: base })).toBe(200)
    expect(await code(`${base}/keypair`, { cookie, "sec-fetch-site": "same-site" })).toBe("403 session-required")
    expect(await code(`${base}/startMining`, bearer)).toBe("405 method-not-allowed")

    // Over another address of this machine the socket says so, and neither cookie nor key is given.
    const outer = Object.values(networkInterfaces())
      .flatMap((list) => list ?? [])
      .find(({ family, internal }) => family === "IPv4" && !internal)?.address
    if (outer === undefined) return console.log("skipped: this machine has no address but the loopback one")
    expect((await fetch(`http://${outer}:${port}/`)).headers.get("set-cookie")).toBeNull()
    expect(await code(`http://${outer}:${port}/blocks`)).toBe(200)
    expect(await code(`http://${outer}:${port}/keypair`, bearer)).toBe("403 caller-not-local")
  }, 30_000)

  test("a new start has a new session; a chain of accounts is refused", async () => {
    const one = await open("d4", "--spec", "dotcoin", "--compat", "dotcoin", "--no-p2p", "--compat-get-acts")
    expect(await (await one.own("GET", "/startMining")).text()).toBe("Mining status: False->True")
    await one.node.stop()
    const again = await open("d4", "--compat", "dotcoin", "--no-p2p")
    expect(again.token).not.toBe(one.token)
    const old = await again.send("GET", "/keypair", undefined, { authorization: `Bearer ${one.token}` })
    expect(old.status).toBe(403)
    expect((await keyOf(again)).publicKey).toMatch(/^dot1/)
    expect(await blocksOf(again)).toBe(2)
    const refused = await run("start", "--dev", "--compat", "full-node", "--http-port", "0", "--no-p2p")
    expect([refused.code, JSON.parse(refused.err.trim().split("\n").at(-1)!).error.code]).toEqual([
      2,
      "compat-needs-coins"
    ])
  }, 30_000)
})

if (chromium === undefined)
  process.stderr.write("skipped: sessions in a browser; there is no Chromium on this machine\n")

test.if(chromium !== undefined)(
  "in a real browser the node's page acts, and a page on another port of this machine does not, cookie or not",
  async () => {
    const one = await open("b1", "--spec", "dotcoin", "--compat", "dotcoin", "--no-p2p", "--compat-get-acts")
    const heard: Array<string> = []
    const hostile = Bun.serve({
      hostname: "127.0.0.1",
      port: 0,
      fetch: (request) => {
        heard.push(request.headers.get("cookie") ?? "")
        return new Response("<p>hostile", { headers: { "content-type": "text/html" } })
      }
    })
    const page = await openPage(one.node.http)
    try {
      // Whole, too: a document that is still being replaced takes what is asked of it along.
      const where = "document.readyState === 'complete' ? location.href : ''"
      const at = (url: string) => until(url, async () => (await page.evaluate<string>(where)).startsWith(url))
      await at(one.node.http)
      const key = "fetch('/keypair').then((r) => r.json()).then(({ publicKey }) => publicKey)"
      expect(await page.evaluate<string>(key)).toMatch(/^dot1/)
      expect(await page.evaluate<number>("fetch('/startMining', { method: 'POST' }).then((r) => r.status)")).toBe(200)
      expect(await page.evaluate<number>("fetch('/startMining').then((r) => r.status)")).toBe(200)
      expect(await blocksOf(one)).toBe(3)

      await page.evaluate(`location.href = ${JSON.stringify(hostile.url.href)}`)
      await at(hostile.url.origin)
      // The port keeps no cookie apart: this page's requests to the node carry it as well.
      expect(heard.some((cookie) => cookie.includes("cairn-session-"))).toBe(true)
      const target = (path: string): string => JSON.stringify(`${one.node.http}${path}`)
      const tries = [
        `new Promise((done) => { const image = new Image(); image.onload = image.onerror = () => done("asked"); image.src = ${target("/startMining")} })`,
        `fetch(${target("/startMining")}, { mode: "no-cors", credentials: "include" }).then(() => "answered", () => "asked")`,
        `fetch(${target("/startMining")}, { mode: "no-cors", credentials: "include", method: "POST" }).then(() => "answered", () => "asked")`
      ]
      // The requests are sent; not even an answer that nobody may read comes back (Cross-Origin-Resource-Policy).
      for (const attempt of tries) expect(await page.evaluate<string>(attempt)).toBe("asked")
      const read = `fetch(${target("/keypair")}, { credentials: "include" }).then((r) => r.status, () => "blocked")`
      expect(await page.evaluate<string>(read)).toBe("blocked")
      expect(await blocksOf(one)).toBe(3)
    } finally {
      await page.close()
      await hostile.stop(true)
    }
  },
  60_000
)

test("a development node on coins has funded accounts in one command, and its wallet is the first of them", async () => {
  const one = await open("dev", "--dev", "--spec", "dev-coins", "--compat", "dotcoin", "--no-p2p")
  const [first, second] = [0, 1].map((i) => formatAddress(accountKey(devMnemonic, i).address, "crn")) as [
    string,
    string
  ]
  const paid = await one.own("POST", "/transaction", { receiver: second, amount: 250 })
  expect(paid.status).toBe(200)
  await until("it is mined on demand", async () => (await blocksOf(one)) === 2)
  const balanceOf = async (publicKey: string) => Number(await (await one.post("/getBalance", { publicKey })).text())
  // The first pays the least fee, and is the miner: it gets that back, and the reward.
  expect([await balanceOf(second), await balanceOf(first)]).toEqual([100_000_000_000_250, 100_000_499_999_750])
}, 30_000)

test("full-node: three nodes mine, agree on one head, put four payments in a block, and the fees are the miner's", async () => {
  const key = accountKey(devMnemonic, 0)
  const payer = formatAddress(key.address, "fnb")
  const spec = join(home.path, "full-node.json")
  const genesis = { ...fullNode.genesis, alloc: [{ address: payer, balance: 700 }] }
  // Fourteen bits in place of 22: three nodes share the cores of the machine that tests.
  writeFileSync(spec, JSON.stringify({ ...fullNode, difficulty: { ...fullNode.difficulty, bits: 14 }, genesis }))
  const first = await open("f1", "--spec", spec, "--compat", "full-node")
  const second = await open("f2", "--spec", spec, "--compat", "full-node")
  const third = await open("f3", "--spec", spec, "--compat", "full-node")
  const all = [first, second, third]
  for (const one of [second, third])
    expect(await (await one.post("/server/add_nodes", { nodes: [endpoint(first)] })).json()).toEqual({ success: true })
  await until("they know each other", async () =>
    (await Promise.all(all.map((one) => one.get<ReadonlyArray<string>>("/server/nodes")))).every(
      ({ length }) => length > 0
    )
  )
  const head = (one: Opened) => one.get<{ readonly block_index: number; readonly block_hash: string }>("/chain/status")
  const order = (what: string) => Promise.all(all.map((one) => one.own("POST", `/chain/${what}-mining`)))
  await order("start")
  await until("six blocks", async () => (await head(first)).block_index >= 6, 60_000)
  await order("stop")
  const equal = async (): Promise<boolean> =>
    new Set((await Promise.all(all.map(head))).map(({ block_hash }) => block_hash)).size === 1
  // Heads of equal work stay until one is longer. It must have stopped growing before three nodes can be asked one after another.
  const highest = Math.max(...(await Promise.all(all.map(head))).map(({ block_index }) => block_index))
  await first.own("POST", "/chain/start-mining")
  await until("one head is the highest", async () => (await head(first)).block_index > highest, 60_000)
  await first.own("POST", "/chain/stop-mining")
  await until("equal heads", equal, 60_000)

  const pay = async (inputs: ReadonlyArray<Outpoint>, amounts: ReadonlyArray<number>): Promise<TransactionId> => {
    const outputs = amounts.map((amount) => ({ recipient: key.address, amount: amount as Amount }))
    const paid = signPayment({ chainId: "full-node", inputs, outputs, note: "" }, [key])
    expect((await second.post("/api/transactions", formatPayment(paid, "fnb"))).status).toBe(201)
    return paid.id
  }
  const sealOne = async (): Promise<FullNodeBlock> => {
    const before = (await head(first)).block_index
    await first.own("POST", "/chain/start-mining")
    await until("a block", async () => (await head(first)).block_index > before, 60_000)
    await first.own("POST", "/chain/stop-mining")
    const [block] = await first.get<ReadonlyArray<FullNodeBlock>>(`/chain/sync?from_block=${before + 1}&limit=1`)
    return block!
  }
  const [coin] = (
    await first.get<{ readonly tx: ReadonlyArray<{ readonly tx: string }> }>(`/chain/get_unspent_tx?address=${payer}`)
  ).tx
  const whole = await pay([{ id: Uint8Array.fromHex(coin!.tx) as TransactionId, index: 0 }], Array(7).fill(100))
  await until(
    "the first has heard of it",
    async () => (await first.get<{ count: number }>("/api/transactions/pending")).count === 1
  )
  await sealOne()
  for (let fee = 1; fee <= 7; fee++) await pay([{ id: whole, index: fee - 1 }], [100 - fee])
  await until(
    "the first has heard of all",
    async () => (await first.get<{ count: number }>("/api/transactions/pending")).count === 7
  )
  const block = await sealOne()
  expect([block.txs.length, block.txs[0]!.outputs[0]!.amount]).toEqual([5, 25 + 7 + 6 + 5 + 4])
  await until("all have its head", equal)
}, 180_000)
