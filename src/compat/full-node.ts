/** The routes of full-node (rows F-R1 to F-R10), answered by this node. docs/compat.md says where it is stricter, and why. */
import { Effect, Result, Schema } from "effect"
import type { Context, Hono } from "hono"
import { toHex } from "../codec/bytes.ts"
import { httpPageMax, peersPerMessageMax } from "../limits.ts"
import type { Answer } from "../node/node.ts"
import { badCursor, type Desk, type Given, type Handled, heightIn, limitIn, wholeIn } from "./desk.ts"
import { fullNodeBlock, fullNodeCoin, readFullNodeBlock, readFullNodePayment } from "./text.ts"
import { isProblem } from "../http/exchange.ts"
import { problem, type Problem } from "../http/problem.ts"
import { count, list, text } from "../http/shapes.ts"

const Nodes = Schema.Struct({ nodes: list(text).check(Schema.isMaxLength(peersPerMessageMax)) })
const Input = Schema.Struct({
  prev_tx_hash: text,
  output_index: count,
  address: text,
  index: count,
  signature: text,
  public_key: Schema.optionalKey(text)
})
const Output = Schema.Struct({ amount: count, address: text, index: count, input_hash: text })
const Transaction = Schema.Struct({
  hash: Schema.optionalKey(text),
  inputs: list(Input),
  outputs: list(Output),
  timestamp: Schema.Finite,
  note: Schema.optionalKey(text),
  data: Schema.optionalKey(text)
})
const Block = Schema.Struct({
  index: count,
  nonce: count,
  timestamp: Schema.Finite,
  prev_hash: text,
  txs: list(Transaction),
  hash: Schema.optionalKey(text),
  header: Schema.optionalKey(text),
  extra: Schema.optionalKey(text)
})

/** Blocks of a page where nothing is said (F-R8). */
const blocksPage = 20

const done: Answer<Given> = Effect.succeed({ json: { success: true } })
const duplicate = (code: string): Problem => problem(409, code, "Duplicate")

/** The refusal as {success: false, msg}, with our code beside it. Shapes are 422, as there. */
export const refuseFullNode = (c: Context, { status, code, detail, headers }: Problem): Response => {
  const shape = ["body-invalid", "query-invalid", "json-invalid", "address-invalid", "cursor-invalid"].includes(code)
  const body = JSON.stringify({ success: false, msg: detail, code })
  return c.body(body, (shape ? 422 : status) as 400, { "content-type": "application/json", ...headers })
}

const addNodes = (desk: Desk, c: Context, { nodes }: typeof Nodes.Type): Handled =>
  Effect.gen(function* () {
    for (const node of nodes) {
      const added = yield* desk.addPeer(c, node)
      if (isProblem(added) && added.code !== "peer-is-self") return added
    }
    return { json: { success: true } }
  })

const sendAmount = (desk: Desk, c: Context): Handled => {
  const to = desk.address(c.req.query("address_to") ?? "")
  if ("code" in to) return Effect.succeed(to)
  const amount = wholeIn(c, "amount", { min: 1, max: Number.MAX_SAFE_INTEGER })
  if (typeof amount !== "number") return Effect.succeed(amount)
  return Effect.flatMap(desk.wallet.pay(to, amount), (paid): Handled => (isProblem(paid) ? Effect.succeed(paid) : done))
}

const unspent = (desk: Desk, c: Context): Handled => {
  const address = c.req.query("address") ?? ""
  const owner = desk.address(address)
  const limit = limitIn(c, httpPageMax)
  if ("code" in owner) return Effect.succeed(owner)
  if (typeof limit !== "number") return Effect.succeed(limit)
  return Effect.map(desk.node.coins(owner, c.req.query("cursor"), limit), (page) => {
    if (page === undefined) return badCursor
    const next = page.next === undefined ? undefined : { address, cursor: page.next, limit }
    return { json: { address, tx: page.rows.map(fullNodeCoin) }, next }
  })
}

const blocks = (desk: Desk, c: Context): Handled => {
  const from = heightIn(c)
  const limit = limitIn(c, blocksPage)
  if (typeof from !== "number") return Effect.succeed(from)
  if (typeof limit !== "number") return Effect.succeed(limit)
  return Effect.gen(function* () {
    const { views, next } = yield* desk.blocksFrom(from, limit)
    const json = yield* Effect.forEach(views, ({ block }) => fullNodeBlock(desk.node, block))
    return { json, next: next === undefined ? undefined : { from_block: next, limit } }
  })
}

const addBlock = (desk: Desk, body: typeof Block.Type): Handled => {
  const block = readFullNodeBlock(body, desk.node.facts)
  if (Result.isFailure(block)) return Effect.succeed(problem(400, "block-malformed", block.failure))
  return desk.node.offerBlock(block.success).pipe(
    Effect.map((outcome): Given | Problem =>
      outcome === "known" ? duplicate("block-known") : { json: { success: true } }
    ),
    Effect.catchTag("BlockRefused", ({ reject }): Handled => {
      const unknown = reject.code === "parent-unknown"
      return Effect.succeed(problem(unknown ? 409 : 400, reject.code, unknown ? "Out of sync" : reject.message))
    })
  )
}

const addTransaction = (desk: Desk, body: typeof Transaction.Type): Handled => {
  const { node } = desk
  const read = readFullNodePayment(body, node.facts)
  const decoded = Result.isFailure(read) ? read : node.facts.rules.ledger.decode(read.success.bytes)
  if (Result.isFailure(decoded)) {
    const { code, message } = decoded.failure
    return Effect.succeed(problem(400, code, message))
  }
  return Effect.flatMap(node.submit(decoded.success), () => done).pipe(
    Effect.catchTag("TransactionRefused", (refused): Handled => {
      const { code } = refused.reject
      const known = code === "already-pending" || code === "already-confirmed"
      return known ? Effect.succeed(duplicate(code)) : Effect.fail(refused)
    })
  )
}

const mine = (desk: Desk, on: boolean) => (): Handled => Effect.as(desk.node.setMining(on), { json: null })

const amountOf = (desk: Desk, c: Context): Handled => {
  const address = c.req.query("address") ?? ""
  const owner = desk.address(address)
  if ("code" in owner) return Effect.succeed(owner)
  return Effect.map(desk.node.account(owner), ({ balance }) => ({ json: { address, amount: balance } }))
}

const status = (desk: Desk): Handled =>
  Effect.map(desk.node.tip(), ({ header }) => ({
    json: {
      block_index: header.height,
      block_prev_hash: toHex(header.previous),
      block_hash: header.id,
      timestamp: Math.floor(header.time / 1000)
    }
  }))

/** Adds the routes. */
export const addFullNode = (app: Hono, desk: Desk): void => {
  const { node } = desk
  app.post("/chain/start-mining", desk.route({ own: true }, mine(desk, true)))
  app.post("/chain/stop-mining", desk.route({ own: true }, mine(desk, false)))
  app.get(
    "/server/nodes",
    desk.route({}, () =>
      Effect.map(node.peers(), (peers) => ({ json: peers.map(({ endpoint }) => endpoint).filter((one) => one !== "") }))
    )
  )
  app.post(
    "/server/add_nodes",
    desk.route({ body: Nodes }, (c, body: typeof Nodes.Type) => addNodes(desk, c, body))
  )
  app.on(
    ["GET", "POST"],
    "/demo/send_amount",
    desk.route({ own: true, acts: true }, (c) => sendAmount(desk, c))
  )
  app.get(
    "/chain/get_amount",
    desk.route({}, (c) => amountOf(desk, c))
  )
  app.get(
    "/chain/get_unspent_tx",
    desk.route({}, (c) => unspent(desk, c))
  )
  app.get(
    "/chain/status",
    desk.route({}, () => status(desk))
  )
  app.get(
    "/chain/sync",
    desk.route({}, (c) => blocks(desk, c))
  )
  app.post(
    "/chain/add_block",
    desk.route({ body: Block }, (_, body: typeof Block.Type) => addBlock(desk, body))
  )
  app.post(
    "/chain/tx_create",
    desk.route({ body: Transaction }, (_, body: typeof Transaction.Type) => addTransaction(desk, body))
  )
}
