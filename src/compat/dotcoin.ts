/** The routes of dotcoin (rows D-R2 to D-R11), answered by this node. docs/compat.md says where it is stricter, and why. */
import { Effect, Schema } from "effect"
import type { Context, Hono } from "hono"
import { toHex } from "../codec/bytes.ts"
import { httpPageMax } from "../limits.ts"
import type { Answer } from "../node/node.ts"
import { badCursor, type Desk, type Given, type Handled, heightIn, limitIn } from "./desk.ts"
import { dotcoinBlock, dotcoinCoin, dotcoinTransaction } from "./text.ts"
import { isProblem } from "../http/exchange.ts"
import { problem } from "../http/problem.ts"
import { text } from "../http/shapes.ts"

const Named = Schema.Struct({ publicKey: text })
const Paid = Schema.Struct({ receiver: text, amount: Schema.Unknown })
const Peer = Schema.Struct({ peerIP: text, addBack: Schema.optionalKey(Schema.Boolean) })

/** Milliseconds that a new peer has to answer, and that a download may take, before the caller hears how far it is. */
const reachMsMax = 3_000
const claimMsMax = 300
const syncMsMax = 10_000

const blocks =
  (desk: Desk) =>
  (c: Context): Handled => {
    const from = heightIn(c)
    const limit = limitIn(c, httpPageMax)
    if (typeof from !== "number") return Effect.succeed(from)
    if (typeof limit !== "number") return Effect.succeed(limit)
    return Effect.gen(function* () {
      const { views, next } = yield* desk.blocksFrom(from, limit)
      const json = yield* Effect.forEach(views, ({ block }) => dotcoinBlock(desk.node, block))
      return { json, next: next === undefined ? undefined : { from_block: next, limit } }
    })
  }

/** A page of a list by cursor: every coin, what is pending. */
const listed =
  <A>(
    page: (
      cursor: string | undefined,
      limit: number
    ) => Answer<{ rows: ReadonlyArray<A>; next: string | undefined } | undefined>,
    show: (row: A) => Answer<unknown>
  ) =>
  (c: Context): Handled => {
    const limit = limitIn(c, httpPageMax)
    if (typeof limit !== "number") return Effect.succeed(limit)
    return Effect.gen(function* () {
      const found = yield* page(c.req.query("cursor"), limit)
      if (found === undefined) return badCursor
      const json = yield* Effect.forEach(found.rows, show)
      return { json, next: found.next === undefined ? undefined : { cursor: found.next, limit } }
    })
  }

const pay = (desk: Desk, { receiver, amount }: typeof Paid.Type): Handled => {
  if (!Number.isSafeInteger(amount) || (amount as number) < 1)
    return Effect.succeed(problem(400, "amount-invalid", "Invalid amount"))
  const to = desk.address(receiver)
  if ("code" in to) return Effect.succeed(to)
  return Effect.flatMap(desk.wallet.pay(to, amount as number), (paid): Handled => {
    if (!isProblem(paid)) return Effect.map(dotcoinTransaction(desk.node, paid), (json) => ({ json }))
    const poor = paid.code === "funds-too-low"
    return Effect.succeed(poor ? { ...paid, detail: `not enough coins to send transaction: ${paid.detail}` } : paid)
  })
}

/** Adds a peer and waits a little for its first words. One session serves both ways, so the peer has us then, too. */
const addPeer = (desk: Desk, c: Context, { peerIP, addBack }: typeof Peer.Type): Handled =>
  Effect.gen(function* () {
    const named = yield* desk.addPeer(c, peerIP)
    if (isProblem(named)) return named
    if (named.added === "known") return { text: "already has peer" }
    const peer = Effect.map(desk.node.peers(), (peers) => peers.find((one) => one.endpoint === named.endpoint))
    const reached = yield* desk.until(
      Effect.map(peer, (one) => one?.state === "active"),
      reachMsMax
    )
    // Then it says how high its chain is; a peer at the genesis says nothing that could be told from that.
    yield* desk.until(
      Effect.map(peer, (one) => !reached || (one?.height ?? 0) > 0),
      claimMsMax
    )
    return { text: addBack === true && reached ? "added, added back" : "added" }
  })

/** What came of the download from a peer, in the words of row D-V10: our height before and after it, and the peer's. */
const syncTexts = (had: number, theirs: number, has: number): ReadonlyArray<string> => {
  const more = theirs - had
  if (more <= 0) return ["received blockchain is not longer than current blockchain. Do nothing"]
  const behind = `blockchain possibly behind. We got: ${had + 1} Peer got: ${theirs + 1}`
  if (has < theirs) return [behind, "We have to query the chain from our peer"]
  return [
    behind,
    more === 1 ? "block added to chain" : `Received blockchain is ${more} blocks longer than current blockchain`
  ]
}

/** Waits for the longest chain of our peers, which comes by itself, and says what came of it. Only what they have more comes over. */
const sync = ({ node, until }: Desk): Handled =>
  Effect.gen(function* () {
    const height = Effect.map(node.tip(), ({ header }): number => header.height)
    const had = yield* height
    const heights = (yield* node.peers()).filter(({ state }) => state === "active").map((peer) => peer.height)
    const longest = Math.max(had, ...heights)
    yield* until(
      Effect.map(height, (has) => has >= longest),
      syncMsMax
    )
    const has = yield* height
    return { json: heights.map((theirs) => syncTexts(had, theirs, has)) }
  })

/** Adds the routes. */
export const addDotcoin = (app: Hono, desk: Desk): void => {
  const { node, wallet } = desk
  const given = (json: unknown): Answer<Given> => Effect.succeed({ json })
  let mining = 0
  const mine = (): Handled =>
    Effect.suspend(() => {
      const before = mining++ > 0 ? "True" : "False"
      const said = { text: `Mining status: ${before}->True` }
      return Effect.ensuring(
        Effect.as(node.mine(undefined), said),
        Effect.sync(() => void mining--)
      )
    })
  app.get(
    "/keypair",
    desk.route({ own: true }, () => given({ privateKey: toHex(wallet.key.secret), publicKey: wallet.address }))
  )
  app.post(
    "/getBalance",
    desk.route({ body: Named }, (_, { publicKey }: typeof Named.Type) => {
      const address = desk.address(publicKey)
      if ("code" in address) return Effect.succeed(address)
      return Effect.map(node.account(address), ({ balance }) => ({ text: String(balance) }))
    })
  )
  app.on(["GET", "POST"], "/startMining", desk.route({ own: true, acts: true }, mine))
  app.get("/blocks", desk.route({}, blocks(desk)))
  app.get(
    "/unspentTxOuts",
    desk.route(
      {},
      listed(
        node.everyCoin,
        (coin) => Effect.succeed(dotcoinCoin(node, coin))
      )
    )
  )
  app.get(
    "/transactionPool",
    desk.route(
      {},
      listed(node.pending, (one) => dotcoinTransaction(node, one))
    )
  )
  app.post(
    "/transaction",
    desk.route({ own: true, body: Paid }, (_, body: typeof Paid.Type) => pay(desk, body))
  )
  app.get(
    "/peers",
    desk.route({}, () =>
      Effect.map(node.peers(), (peers) => ({ json: peers.map(({ endpoint }) => endpoint).filter((one) => one !== "") }))
    )
  )
  app.post(
    "/peer",
    desk.route({ body: Peer }, (c, body: typeof Peer.Type) => addPeer(desk, c, body))
  )
  app.get(
    "/syncPeers",
    desk.route({}, () => sync(desk))
  )
}
