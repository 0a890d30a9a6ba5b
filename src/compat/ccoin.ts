/**
 * The five routes of ccoin (C 4.6) under the address of an account, answered by this node. Reading is free, as there; who spends
 * names the token of that account, which there nobody had to. docs/ccoin.md says what else is stricter, and why.
 */
import { timingSafeEqual } from "node:crypto"
import { Clock, Effect, Result, Schema, Semaphore } from "effect"
import type { Context, Hono } from "hono"
import { readAddress } from "../block/ccoin.ts"
import { canonicalSpec } from "../block/genesis.ts"
import type { Header } from "../block/header.ts"
import { fromHex, fromUtf8, toHex, utf8 } from "../codec/bytes.ts"
import { bitsOf } from "../consensus/difficulty.ts"
import { type Address, formatAddress, isAddress } from "../crypto/address.ts"
import { sha256 } from "../crypto/hash.ts"
import type { Keypair } from "../crypto/keys.ts"
import { decodeAccount } from "../ledger/account.ts"
import type { Amount } from "../ledger/amount.ts"
import { checkData, dataOrFiller } from "../ledger/payload.ts"
import type { Millis, Transaction, TransactionId, TransferTransaction } from "../ledger/transaction.ts"
import { signTransfer } from "../ledger/transfer.ts"
import { compatAccountsMax, httpPageMax } from "../limits.ts"
import type { Answer, BlockView, StateAbsence, StatePage } from "../node/node.ts"
import type { Desk, Handled } from "./desk.ts"
import { isProblem } from "../http/exchange.ts"
import { problem, type Problem } from "../http/problem.ts"
import { text } from "../http/shapes.ts"
import { stateAbsences } from "../http/state-handlers.ts"

/** An account that this node may spend of. */
export interface Spender {
  readonly tokenHash: Uint8Array
  /** The key, which only the token opens; undefined: it does not. */
  readonly unlock: (token: string) => Promise<Keypair | undefined>
}

/** Whose money the node may spend, by address; undefined: not that one's. */
export type Spenders = (address: string) => Spender | undefined

export interface CcoinPorts {
  readonly spenders: Spenders
  readonly random: (length: number) => Uint8Array
}

const Spending = Schema.Struct({
  sendto_address: text,
  amount: Schema.Number,
  data: Schema.optionalKey(Schema.NullOr(text))
})
const Lookup = Schema.Struct({ block_number: Schema.optionalKey(Schema.Int) })

const tokenOf = (c: Context): string | undefined => /^Bearer (.{1,256})$/.exec(c.req.header("authorization") ?? "")?.[1]

/** Undefined if the request has the token of the account that it would spend of. Whose key is here, a stranger does not learn. */
const checkToken =
  (spenders: Spenders) =>
  (c: Context): Problem | undefined => {
    const token = tokenOf(c)
    if (token === undefined) {
      const detail =
        "Spending needs the account's token: Authorization: Bearer …, from cairn keys token NAME --data-dir DIR."
      return problem(401, "account-token-required", detail, { headers: { "www-authenticate": "Bearer" } })
    }
    const spender = spenders(c.req.param("account") ?? "")
    const known = spender?.tokenHash ?? new Uint8Array(32)
    if (timingSafeEqual(sha256(utf8(token)), known) && spender !== undefined) return undefined
    const detail = "That is not the token of this account, or this node keeps no key of it."
    return problem(403, "account-token-wrong", detail)
  }

/** Bytes as text; what is no text, in hex. */
const textOf = (bytes: Uint8Array): string => fromUtf8(bytes) ?? toHex(bytes)

/** A transfer as that system writes it. Whom it pays is known by address only, so `to` is one. */
const transferJson = (desk: Desk, { id, transfer }: TransferTransaction) => ({
  id: toHex(id),
  number: transfer.nonce,
  from: toHex(transfer.publicKey),
  to: formatAddress(transfer.recipient, desk.node.facts.rules.spec.addressPrefix),
  time: transfer.time / 1000,
  amount: transfer.amount,
  data: textOf(transfer.data),
  signature: Buffer.from(transfer.signature).toString("base64")
})

/** An account as a block's state shows it. */
interface Held {
  readonly address: string
  readonly nonce: number
  readonly balance: number
}

const isTransfer = (transaction: Transaction): transaction is TransferTransaction => transaction.kind === "transfer"

/** The data of a block. Of the genesis: the chain spec, whose hash its data is. */
const dataOf = ({ node }: Desk, { block }: BlockView): string =>
  block.header.height === 0 ? canonicalSpec(node.facts.rules.spec) : textOf(block.extra)

const blockJson = (desk: Desk, view: BlockView) => {
  const { header, transactions } = view.block
  const { ledger, spec } = desk.node.facts.rules
  return {
    number: header.height + 1,
    hash_parent: toHex(header.previous),
    body: transactions.filter(isTransfer).map((transaction) => transferJson(desk, transaction)),
    nonce: header.nonce,
    data: dataOf(desk, view),
    id: header.id,
    difficulty: Math.floor(bitsOf(header.target) / 4),
    hash_state: toHex(header.stateRoot),
    hash_txns: toHex(header.transactionRoot),
    reward: header.height === 0 ? 0 : ledger.rewardAt(header.height),
    time: header.time / 1000,
    coinbase: header.height === 0 ? "" : formatAddress(header.proposer, spec.addressPrefix)
  }
}

const blockMissing = (number: string): Problem =>
  problem(404, "block-not-found", `There is no block ${number.slice(0, 20)}: the first is 1, blk/cnt/ tells the last.`)
const tooMany = (height: number): Problem =>
  problem(
    400,
    "state-too-large",
    `There are more than ${compatAccountsMax} accounts: no answer holds them all. GET /api/blocks/${height}/state has pages.`
  )
/** Since the block was found, or between two pages, another branch has won. */
const moved = problem(503, "busy", "The chain moved on while its accounts were read.", {
  headers: { "retry-after": "1" }
})
const transactionMissing = problem(404, "transaction-not-found", "No transaction with this id is known here.")

/** Every account after a block, or why they are not told. Small chains only: one answer holds them all. */
const stateOf = ({ node }: Desk, { height, id }: Header): Answer<Readonly<Record<string, Held>> | Problem> =>
  Effect.gen(function* () {
    const { spec } = node.facts.rules
    const rows: Array<readonly [string, Held]> = []
    for (let cursor: string | undefined = undefined; ; ) {
      const page: StatePage | StateAbsence = yield* node.stateAt(height, cursor, httpPageMax)
      if (page === "state-too-old") return stateAbsences(spec)[page]
      if (typeof page === "string" || page.header.id !== id) return moved
      for (const { key, value } of page.rows) {
        const address = formatAddress(fromHex(key) as Uint8Array as Address, spec.addressPrefix)
        const { balance, nonce } = decodeAccount(value)
        rows.push([address, { address, nonce, balance }])
      }
      if (rows.length > compatAccountsMax) return tooMany(height)
      cursor = page.next
      if (cursor === undefined) return Object.fromEntries(rows.sort(([a], [b]) => (a < b ? -1 : 1)))
    }
  })

const showBlock = (desk: Desk, number: string): Handled =>
  Effect.gen(function* () {
    const height = /^\d{1,15}$/.test(number) ? Number(number) - 1 : -1
    const view = height < 0 ? undefined : yield* desk.node.blockAt(height)
    if (view === undefined) return blockMissing(number)
    const state = yield* stateOf(desk, view.block.header)
    return isProblem(state) ? state : { json: { ...blockJson(desk, view), state } }
  })

const showTransaction = (desk: Desk, id: string, { block_number: number }: typeof Lookup.Type): Handled => {
  const bytes = fromHex(id.toLowerCase(), 32)
  if (bytes === undefined) return Effect.succeed(transactionMissing)
  return Effect.map(desk.node.transaction(bytes as TransactionId), (view) => {
    if (view === undefined || !isTransfer(view.transaction)) return transactionMissing
    if (number === undefined || view.block?.height === number - 1) return { json: transferJson(desk, view.transaction) }
    const where = view.block === undefined ? "It is pending." : `It is in block ${view.block.height + 1}.`
    return problem(404, "transaction-not-found", `Block ${number} has no transaction with this id. ${where}`)
  })
}

/** Whom, how much and what for; or what is wrong with it. */
const readSpending = (
  { node }: Desk,
  { sendto_address: to, amount, data }: typeof Spending.Type,
  random: CcoinPorts["random"]
) => {
  const { addressPrefix, ledger } = node.facts.rules.spec
  const recipient = readAddress(to, addressPrefix)
  if (!isAddress(recipient)) {
    const detail = `sendto_address ${recipient.wrong}. Name an address, or a public key of 33 bytes in hex; RSA keys have no account here.`
    return problem(400, "address-invalid", detail)
  }
  if (!Number.isSafeInteger(amount) || amount < 1)
    return problem(400, "amount-invalid", "amount must be a whole number of at least 1.")
  if (data?.isWellFormed() === false) return problem(400, "body-invalid", "data must be text of whole characters.")
  const payload = dataOrFiller(utf8(data ?? ""), ledger.filler, random)
  const unfit = checkData(ledger, payload)
  if (unfit !== undefined) return problem(400, unfit.code, unfit.message)
  return { recipient, amount: amount as Amount, note: "", data: payload }
}

/** Signs with the account's key and submits; the nonce is the pool's. One at a time: two would take the same. */
const makeSpend = (desk: Desk, { spenders, random }: CcoinPorts) => {
  const turn = Semaphore.makeUnsafe(1)
  const { node } = desk
  const { spec, ledger } = node.facts.rules
  const send = (key: Keypair, wish: Exclude<ReturnType<typeof readSpending>, Problem>): Handled =>
    Effect.gen(function* () {
      const { nextNonce: nonce } = yield* node.account(key.address)
      const time = (yield* Clock.currentTimeMillis) as Millis
      const { chainId, feeMin: fee } = spec.ledger
      const signed = signTransfer({ ...wish, chainId, fee, nonce, time }, key)
      // The same reader as for bytes from peers.
      const decoded = ledger.decode(signed.bytes)
      if (Result.isFailure(decoded)) return problem(400, decoded.failure.code, decoded.failure.message)
      yield* node.submit(decoded.success)
      return { json: transferJson(desk, signed) }
    })
  return (c: Context, body: typeof Spending.Type): Handled =>
    turn.withPermits(1)(
      Effect.gen(function* () {
        const wish = readSpending(desk, body, random)
        if (isProblem(wish)) return wish
        const spender = spenders(c.req.param("account") ?? "")
        const key = yield* Effect.promise(async () => spender?.unlock(tokenOf(c) ?? ""))
        if (key === undefined) return problem(403, "account-token-wrong", "The token does not open the account's key.")
        return yield* send(key, wish)
      })
    )
}

/** Adds the routes. */
export const addCcoin = (app: Hono, desk: Desk, ports: CcoinPorts): void => {
  const { node } = desk
  const { addressPrefix } = node.facts.rules.spec
  const base = `/:account{${addressPrefix}1[02-9ac-hj-np-z]+}`
  const both = (path: string): Array<string> => [`${base}${path}`, `${base}${path}/`]
  /** Behind an address that is one. */
  const of = (c: Context, f: () => Handled): Handled => {
    const address = desk.address(c.req.param("account") ?? "")
    return "code" in address ? Effect.succeed(address) : f()
  }
  const peers = (): Handled =>
    Effect.map(node.peers(), (all) => ({ json: { peers: all.filter(({ state }) => state === "active").length } }))
  const count = (): Handled => Effect.map(node.tip(), ({ header }) => ({ json: header.height + 1 }))
  const spend = makeSpend(desk, ports)
  app.on(
    "GET",
    both(""),
    desk.route({}, (c) => of(c, peers))
  )
  app.on(
    "GET",
    both("/blk/cnt"),
    desk.route({}, (c) => of(c, count))
  )
  app.on(
    "GET",
    both("/blk/:n"),
    desk.route({}, (c) => of(c, () => showBlock(desk, c.req.param("n") ?? "")))
  )
  app.on(
    "POST",
    both("/txn"),
    desk.route({ denies: checkToken(ports.spenders), body: Spending }, (c, body: typeof Spending.Type) =>
      of(c, () => spend(c, body))
    )
  )
  app.on(
    "POST",
    both("/txn/:id"),
    desk.route({ body: Lookup }, (c, body: typeof Lookup.Type) =>
      of(c, () => showTransaction(desk, c.req.param("id") ?? "", body))
    )
  )
}
