/** The routes of full-node over two whole nodes, without a socket: blocks and payments go from one to the other in its JSON. */
import { afterAll, beforeAll, describe, expect, test } from "bun:test"
import { Context, Effect, Result } from "effect"
import type { Hono } from "hono"
import { forge, keyOf, payment, seal, specOf, TestChain } from "../../test/fixtures.ts"
import { startNode, type TestNode } from "../../test/network.ts"
import { type ChainSpec, parseSpec } from "../block/genesis.ts"
import { makeHeader } from "../block/header.ts"
import { presets } from "../chain/presets.ts"
import { toHex } from "../codec/bytes.ts"
import { targetOfBits } from "../consensus/difficulty.ts"
import { formatAddress } from "../crypto/address.ts"
import { amount } from "../ledger/amount.ts"
import { makeDice } from "../sim/dice.ts"
import { makeApp } from "../http/app.ts"
import { makeCompat } from "./compat.ts"
import { type FullNodeBlock, type FullNodeTransaction, readFullNodeBlock } from "./text.ts"

/** The preset, four bits in place of 22; and two accounts that have something from the start. */
const preset = Result.getOrThrow(parseSpec(presets["full-node"]))
const spec: ChainSpec = {
  ...preset,
  ledger: { ...preset.ledger, payloadBytesMax: 8 },
  difficulty: { rule: "fixed", blockMs: 1000, bits: 4 },
  genesis: { ...preset.genesis, alloc: [910, 911].map((i) => ({ address: keyOf(i).address, balance: amount(40) })) }
}
const secret = "cd".repeat(32)
const addressOf = (i: number): string => formatAddress(keyOf(i).address, "fnb")

const appOf = ({ tree: { node } }: TestNode, actsOnGet = false): Hono => {
  const context = Context.empty()
  const session = { secret, file: "session.token", port: 80, hosts: [] }
  const options = { system: "full-node", node, context, wallet: keyOf(900), session, actsOnGet } as const
  const compat = makeCompat({ ...options, random: makeDice(4).bytes })
  return makeApp({ node, context, adminToken: undefined, page: new Map(), hosts: ["localhost"], compat })
}

let first: TestNode
let second: TestNode
let app: Hono
let beside: Hono
beforeAll(async () => {
  first = await startNode({ spec, key: 900 })
  second = await startNode({ spec, key: 901 })
  app = appOf(first)
  beside = appOf(second)
})
afterAll(async () => {
  await first.stop()
  await second.stop()
})

interface Heard {
  readonly status: number
  readonly body: { readonly success?: boolean; readonly msg?: string; readonly code?: string }
}
const ask = async (
  method: string,
  path: string,
  wish: { body?: unknown; own?: boolean; app?: Hono; remote?: string } = {}
) => {
  const headers: Record<string, string> = { host: "localhost", node: "127.0.0.1:8001" }
  if (wish.own === true) headers["authorization"] = `Bearer ${secret}`
  const init: RequestInit = { method, headers }
  if (wish.body !== undefined) {
    headers["content-type"] = "application/json"
    init.body = JSON.stringify(wish.body)
  }
  const request = new Request(`http://localhost${path}`, init)
  return (wish.app ?? app).fetch(request, { remote: wish.remote ?? "127.0.0.1" })
}
const get = async <A>(path: string, from = app): Promise<A> =>
  (await (await ask("GET", path, { app: from })).json()) as A
const post = async (path: string, body: unknown, to = app): Promise<Heard> => {
  const response = await ask("POST", path, { body, app: to })
  return { status: response.status, body: (await response.json()) as Heard["body"] }
}
const refused = async (path: string, body: unknown, to = app): Promise<readonly [number, string]> => {
  const { status, body: heard } = await post(path, body, to)
  expect([heard.success, typeof heard.msg]).toEqual([false, "string"])
  return [status, heard.code!]
}
const mine = (node = first) => Effect.runPromise(node.tree.node.mine(undefined))
const page = (from: number): Promise<ReadonlyArray<FullNodeBlock>> => get(`/chain/sync?from_block=${from}`)
const coinsOf = async (address: string) =>
  (
    await get<{ tx: ReadonlyArray<{ tx: string; output_index: number; out_hash: string; amount: number }> }>(
      `/chain/get_unspent_tx?address=${address}`
    )
  ).tx

describe("full-node", () => {
  test("tells its status, its coins and amounts", async () => {
    await mine()
    const { header } = first.store.tip()
    expect(await get<unknown>("/chain/status")).toEqual({
      block_index: 1,
      block_prev_hash: toHex(header.previous),
      block_hash: header.id,
      timestamp: Math.floor(header.time / 1000)
    })
    const address = addressOf(900)
    expect(await get<unknown>(`/chain/get_amount?address=${address}`)).toEqual({ address, amount: 25 })
    const [coin, ...others] = await coinsOf(address)
    expect([others.length, coin!.amount, coin!.out_hash]).toEqual([0, 25, `${coin!.tx}00000000`])
    expect((await coinsOf(addressOf(910))).map((one) => one.amount)).toEqual([40])
    for (const path of ["/chain/get_amount?address=me", "/chain/get_unspent_tx"])
      expect((await ask("GET", path)).status).toBe(422)
  })

  test("pays by POST, four payments a block, and the fees are the miner's (F-D7, F-D8)", async () => {
    const split = payment({
      chainId: "full-node",
      inputs: (await coinsOf(addressOf(910))).map(({ tx, output_index }) => ({
        id: Uint8Array.fromHex(tx) as never,
        index: output_index
      })),
      outputs: Array.from({ length: 6 }, () => [910, 6] as const),
      by: [910]
    })
    await Effect.runPromise(first.tree.node.submit(split))
    await mine()
    const coins = await coinsOf(addressOf(910))
    expect(coins.map((one) => one.amount)).toEqual(Array(6).fill(6))
    for (const [fee, { tx, output_index }] of coins.entries()) {
      const inputs = [{ id: Uint8Array.fromHex(tx) as never, index: output_index }]
      const one = payment({ chainId: "full-node", inputs, outputs: [[911, 6 - fee]], by: [910] })
      if (fee < 6) await Effect.runPromise(first.tree.node.submit(one))
    }
    await mine()
    const [block] = await page(3)
    // The best payers first; the coinbase takes the reward and their fees.
    expect([block!.txs.length, block!.txs[0]!.outputs[0]!.amount]).toEqual([5, 25 + 5 + 4 + 3 + 2])
    await mine()
    expect((await page(4))[0]!.txs.length).toBe(3)
    const sent = await ask("POST", `/demo/send_amount?address_to=${addressOf(920)}&amount=60`, { own: true })
    expect([sent.status, await sent.json()]).toEqual([200, { success: true }])
    await mine()
    expect(await get<unknown>(`/chain/get_amount?address=${addressOf(920)}`)).toMatchObject({ amount: 60 })
  })

  test("gives pages that begin where they are asked to, and refuses those that are none (its case 5)", async () => {
    const all = await page(0)
    expect(all.map(({ index }) => index)).toEqual([0, 1, 2, 3, 4, 5])
    expect(
      (await get<ReadonlyArray<FullNodeBlock>>("/chain/sync?from_block=2&limit=3")).map((one) => one.index)
    ).toEqual([2, 3, 4])
    expect(await page(6)).toEqual([])
    expect(await page(Number.MAX_SAFE_INTEGER)).toEqual([])
    for (const query of [
      "limit=0",
      "limit=-1",
      "limit=257",
      "limit=99999999999999999999",
      "from_block=-1",
      "from_block=a"
    ]) {
      const response = await ask("GET", `/chain/sync?${query}`)
      expect([query, response.status, ((await response.json()) as Heard["body"]).code]).toEqual([
        query,
        422,
        "query-invalid"
      ])
    }
  })

  test("takes the blocks of another node in its JSON, in order, and says which it cannot take", async () => {
    const [genesis, ...blocks] = await page(0)
    expect(await refused("/chain/add_block", genesis, beside)).toEqual([409, "block-known"])
    expect(await refused("/chain/add_block", blocks[2], beside)).toEqual([409, "parent-unknown"])
    expect((await post("/chain/add_block", blocks[2], beside)).body.msg).toBe("Out of sync")
    for (const block of blocks)
      expect(await post("/chain/add_block", block, beside)).toEqual({ status: 200, body: { success: true } })
    expect((await post("/chain/add_block", blocks[0], beside)).body.msg).toBe("Duplicate")
    expect(second.store.tip().header.id).toBe(first.store.tip().header.id)
    expect(await get<unknown>("/chain/sync", beside)).toEqual([genesis, ...blocks])
  })

  test("refuses a block of which anything was changed, and one that only has the fields of the other system", async () => {
    await mine()
    const [block] = await page(6)
    const { header, extra, hash, ...theirs } = block!
    expect(await refused("/chain/add_block", theirs, beside)).toEqual([400, "block-malformed"])
    const changes: ReadonlyArray<Partial<FullNodeBlock>> = [
      { index: 7 },
      { nonce: block!.nonce + 1 },
      { timestamp: 0 },
      { prev_hash: "00".repeat(32) },
      { hash: "00".repeat(32) },
      { extra: "00" },
      { header: header!.slice(2) },
      { txs: [{ ...block!.txs[0]!, inputs: [] }] }
    ]
    for (const change of changes)
      expect([change, ...(await refused("/chain/add_block", { ...block, ...change }, beside))]).toEqual([
        change,
        400,
        "block-malformed"
      ])
    expect(await refused("/chain/add_block", { ...block, txs: [] }, beside)).toEqual([400, "transaction-root-wrong"])
    expect(await refused("/chain/add_block", { ...block, surprise: 1 }, beside)).toEqual([422, "body-invalid"])

    const whole = first.store.block(first.store.tip().header.id)!
    const easier = forge(whole, { target: targetOfBits(3) })
    const bare = { ...block!, nonce: easier.header.nonce, header: toHex(easier.header.bytes), hash: easier.header.id }
    expect(await refused("/chain/add_block", bare, beside)).toEqual([400, "seal-wrong"])
    const harder = seal({ ...whole, header: makeHeader({ ...whole.header, target: targetOfBits(5) }) })
    const strict = { ...block!, nonce: harder.header.nonce, header: toHex(harder.header.bytes), hash: harder.header.id }
    expect(await refused("/chain/add_block", strict, beside)).toEqual([400, "target-wrong"])
    expect((await post("/chain/add_block", block, beside)).status).toBe(200)
  })

  test("reads the longer headers of a chain of authorities, seal and all", () => {
    const chain = new TestChain(specOf({ model: "utxo", authorities: 3 }))
    const { header } = chain.next()
    const { height: index, nonce, time, previous } = header
    const shared = { index, nonce, timestamp: Math.floor(time / 1000), prev_hash: toHex(previous), txs: [], extra: "" }
    const facts = { ...first.tree.node.facts, rules: chain.rules }
    const read = (hex: string) => readFullNodeBlock({ ...shared, header: hex }, facts)
    expect(toHex(Result.getOrThrow(read(toHex(header.bytes))).header.bytes)).toBe(toHex(header.bytes))
    for (const hex of [toHex(header.bytes.subarray(0, 212)), `${toHex(header.bytes)}00`])
      expect(Result.isFailure(read(hex))).toBe(true)
  })

  test("takes a payment of two owners in its JSON as it gave it, and none of which a word was changed", async () => {
    const inputs = [...(await coinsOf(addressOf(911))), ...(await coinsOf(addressOf(920)))].map((one) => ({
      id: Uint8Array.fromHex(one.tx) as never,
      index: one.output_index
    }))
    const paid = payment({
      chainId: "full-node",
      inputs,
      outputs: [[910, 50]],
      by: [911, 920],
      note: "two",
      data: Uint8Array.of(0, 255)
    })
    await Effect.runPromise(first.tree.node.submit(paid))
    await mine()
    const found = (await page(7))[0]!.txs[1]!
    expect([found.note, found.data]).toEqual(["two", "00ff"])
    // Each input names who owns its coin, though both have signed the whole.
    expect(found.inputs.map((one) => one.address)).toEqual([
      ...Array(inputs.length - 1).fill(addressOf(911)),
      addressOf(920)
    ])

    const lie = (change: Partial<FullNodeTransaction>) => refused("/chain/tx_create", { ...found, ...change }, beside)
    const input = (change: Partial<FullNodeTransaction["inputs"][number]>) =>
      lie({ hash: undefined as never, inputs: [{ ...found.inputs[0]!, ...change }, ...found.inputs.slice(1)] })
    const output = (change: Partial<FullNodeTransaction["outputs"][number]>) =>
      lie({ hash: undefined as never, outputs: [{ ...found.outputs[0]!, input_hash: "", ...change }] })
    expect(await lie({ hash: "00".repeat(32) })).toEqual([400, "transaction-malformed"])
    expect(await output({ input_hash: "00" })).toEqual([400, "transaction-malformed"])
    expect(await output({ index: 1 })).toEqual([400, "transaction-malformed"])
    // Outputs are signed here: the same signature authorises no other payment.
    expect(await output({ address: addressOf(999) })).toEqual([400, "signature-invalid"])
    expect(await output({ amount: 0 })).toEqual([400, "amount-invalid"])
    expect(await output({ amount: -5 })).toEqual([422, "body-invalid"])
    expect(await input({ signature: "00".repeat(64) })).toEqual([400, "transaction-malformed"])
    expect(await input({ address: addressOf(999) })).toEqual([400, "transaction-malformed"])
    const { public_key: _, ...bare } = found.inputs[0]!
    expect(await lie({ inputs: [bare, ...found.inputs.slice(1)] })).toEqual([400, "transaction-malformed"])
    expect(await lie({ hash: undefined as never, note: "three" })).toEqual([400, "transaction-malformed"])
    for (const data of ["00fe", "00FF", ""])
      expect(await lie({ hash: undefined as never, data })).toEqual([400, "transaction-malformed"])
    const twice = [found.inputs[0]!, ...found.inputs]
    expect(
      await lie({ hash: undefined as never, inputs: twice, outputs: [{ ...found.outputs[0]!, input_hash: "" }] })
    ).toEqual([400, "input-duplicate"])
    const coinbase = (await page(7))[0]!.txs[0]!
    expect(await refused("/chain/tx_create", coinbase, beside)).toEqual([400, "transaction-malformed"])

    expect(await post("/chain/tx_create", found, beside)).toEqual({ status: 200, body: { success: true } })
    expect(await post("/chain/tx_create", found, beside)).toEqual({
      status: 409,
      body: { success: false, msg: "Duplicate", code: "already-pending" }
    })
    const again = await Effect.runPromise(second.tree.node.transaction(paid.id))
    expect(toHex(again!.transaction.bytes)).toBe(toHex(paid.bytes))
    expect((await post("/chain/tx_create", found)).body.msg).toBe("Duplicate")
  })

  test("never fails by itself, whatever the JSON", async () => {
    const dice = makeDice(8)
    const [block] = await page(7)
    const odd = [null, 0, -1, 1.5, 2 ** 53, "", "x", "00", [], {}, true, "COINBASE"]
    const bend = (value: unknown): unknown => {
      if (dice.int(12) === 0) return dice.pick(odd)
      if (Array.isArray(value)) return value.map(bend)
      if (typeof value !== "object" || value === null) return value
      return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, bend(item)]))
    }
    const statuses = new Set<number>()
    for (let round = 0; round < 400; round++) {
      const bent = bend(block) as Partial<FullNodeBlock> | null
      statuses.add((await post("/chain/add_block", bent, beside)).status)
      statuses.add((await post("/chain/tx_create", bend(block!.txs[1]), beside)).status)
    }
    expect([...statuses].filter((status) => ![200, 400, 409, 422].includes(status))).toEqual([])
    expect(statuses.has(400)).toBe(true)
  })

  test("keeps what mines and what spends for its own session (D-X1)", async () => {
    const spend = `/demo/send_amount?address_to=${addressOf(920)}&amount=1`
    for (const path of ["/chain/start-mining", "/chain/stop-mining", spend]) {
      const stranger = await ask("POST", path)
      expect([stranger.status, await stranger.json()]).toMatchObject([
        403,
        { success: false, code: "session-required" }
      ])
      const far = await ask("POST", path, { own: true, remote: "192.0.2.7" })
      expect([far.status, await far.json()]).toMatchObject([403, { success: false, code: "caller-not-local" }])
    }
    const off = await ask("GET", spend, { own: true })
    expect([off.status, off.headers.get("allow")]).toEqual([405, "POST"])
    const acting = await ask("GET", spend, { own: true, app: appOf(first, true) })
    expect(await acting.json()).toEqual({ success: true })
    const poor = await ask("POST", `/demo/send_amount?address_to=${addressOf(920)}&amount=999999`, { own: true })
    expect([poor.status, await poor.json()]).toMatchObject([400, { success: false, code: "funds-too-low" }])
    for (const amountText of ["0", "-1", "1.5", "", "99999999999999999999"]) {
      const wrong = await ask("POST", `/demo/send_amount?address_to=${addressOf(920)}&amount=${amountText}`, {
        own: true
      })
      expect([amountText, wrong.status]).toEqual([amountText, 422])
    }
  })

  test("mines from the word to start on to the word to stop", async () => {
    const height = (): number => first.store.tip().header.height
    const before = height()
    const started = await ask("POST", "/chain/start-mining", { own: true })
    expect([started.status, await started.json()]).toEqual([200, null])
    const heard = Promise.withResolvers<void>()
    const subscription = first.tree.node.listen(undefined, (event) => {
      if (event.type === "tip" && event.height >= before + 3) heard.resolve()
    })
    if (height() < before + 3) await heard.promise
    subscription!.close()
    const stopped = await ask("POST", "/chain/stop-mining", { own: true })
    expect(await stopped.json()).toBeNull()
    expect((await Effect.runPromise(first.tree.node.stats())).miningActive).toBe(false)
  })

  test("adds nodes whose names are host and port, as many as one message may hold, and names those it has met", async () => {
    expect(await refused("/server/add_nodes", { nodes: ["nonsense"] })).toEqual([400, "endpoint-invalid"])
    expect(await refused("/server/add_nodes", { nodes: Array(65).fill("127.0.0.1:1") })).toEqual([422, "body-invalid"])
    const far = await ask("POST", "/server/add_nodes", { body: { nodes: ["10.0.0.1:22"] }, remote: "192.0.2.7" })
    expect([far.status, await far.json()]).toMatchObject([403, { success: false, code: "caller-not-local" }])
    expect((await post("/server/add_nodes", { nodes: [first.endpoint, second.endpoint] })).body).toEqual({
      success: true
    })
    const joined = Promise.withResolvers<void>()
    const subscription = first.tree.node.listen(undefined, (event) => void (event.type === "peer" && joined.resolve()))
    if ((await Effect.runPromise(first.tree.node.peers())).length === 0) await joined.promise
    subscription!.close()
    expect(await get<unknown>("/server/nodes")).toEqual([second.endpoint])
  })
})
