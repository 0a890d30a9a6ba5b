/**
 * Every route once: method, path, who may call it, what it takes, what it gives, how it refuses. Validation, the OpenAPI
 * document and the typed client are derived from this list.
 */
import { Schema } from "effect"
import { authorityRoutes } from "./authority-contract.ts"
import { healthRoutes } from "./health-contract.ts"
import { legacyRoutes } from "./legacy-contract.ts"
import { networkRoutes } from "./network-contract.ts"
import { peerRoutes } from "./peer-contract.ts"
import { storageRoutes } from "./storage-contract.ts"
import { leaderSlotsMax } from "../limits.ts"
import {
  Account,
  Authorities,
  Backlog,
  Block,
  bytes,
  Coin,
  count,
  Finality,
  hash,
  Header,
  Limit,
  list,
  Meta,
  nullable,
  Page,
  Payment,
  PendingCoin,
  Service,
  Snapshot,
  SnapshotSize,
  SpentCoin,
  StateAccount,
  StateCoin,
  Stats,
  text,
  Transaction,
  Transfer,
  Validation
} from "./shapes.ts"

export interface Route {
  readonly method: "GET" | "POST"
  /** With Hono's parameters. */
  readonly path: string
  /** Who may call it, and which rate holds: `health` is never limited, `peer` shows the peers' secret. */
  readonly auth: "health" | "public" | "admin" | "peer"
  /** A GET that changes something: guarded as a POST is, and HEAD is refused. */
  readonly acts?: true
  readonly summary: string
  readonly query?: Schema.Top
  /** A body that the schema decodes; transactions are read by ledger/transaction-text.ts. */
  readonly body?: Schema.Top
  /** If not `httpBodyBytesMax`; only of a body that says its length. */
  readonly bodyBytesMax?: number
  readonly status: number
  /** Of the same reply where what was told is nothing new. */
  readonly noNews?: number
  readonly reply: Schema.Top
  /** Other statuses with their meaning. */
  readonly refusals: Readonly<Record<number, string>>
}

const noBody = { refusals: {} }
const notFound = { refusals: { 404: "there is none" } }

const route = <const R extends Route>(one: R): R => one

export const routes = {
  health: route({
    method: "GET",
    path: "/api/health",
    auth: "health",
    summary: "Is the process alive?",
    status: 200,
    ...noBody,
    reply: Schema.Struct({
      status: Schema.Literal("ok"),
      service: text,
      version: text,
      mode: text,
      node_id: text,
      node_url: text,
      chain_id: text,
      config_valid: Schema.Boolean,
      config_errors: list(text),
      timestamp: text
    })
  }),
  ...healthRoutes,
  info: route({
    method: "GET",
    path: "/api/info",
    auth: "public",
    summary: "What this node is and can, and how it is.",
    query: SnapshotSize,
    status: 200,
    refusals: { 400: "a wrong limit" },
    reply: Schema.Struct({
      service: Service,
      capabilities: Schema.Record(text, Schema.Boolean),
      api: Schema.Record(text, text),
      meta: Meta,
      dev_accounts: list(text),
      snapshot: Snapshot
    })
  }),
  chain: route({
    method: "GET",
    path: "/api/chain",
    auth: "public",
    summary: "Blocks of the best branch, newest first, with the node as it is and the first rows of its other lists.",
    query: Page,
    status: 200,
    refusals: { 400: "a wrong cursor or limit" },
    reply: Schema.Struct({ ...Snapshot.fields, page: Backlog })
  }),
  headers: route({
    method: "GET",
    path: "/api/headers",
    auth: "public",
    summary: "Headers of the best branch from a height, or after a locator.",
    status: 200,
    query: Schema.Struct({
      from_height: Schema.optionalKey(count),
      start: Schema.optionalKey(count),
      limit: Schema.optionalKey(Limit),
      locator: Schema.optionalKey(list(hash))
    }),
    refusals: { 400: "a wrong parameter" },
    reply: Schema.Struct({ headers: list(Header), count, cumulative_work: text })
  }),
  locator: route({
    method: "GET",
    path: "/api/locator",
    auth: "public",
    summary: "Hashes by which another node finds where the chains part.",
    status: 200,
    query: Schema.Struct({
      limit: Schema.optionalKey(Schema.Int.check(Schema.isBetween({ minimum: 1, maximum: 64 })))
    }),
    refusals: { 400: "a wrong limit" },
    reply: Schema.Struct({
      meta: Meta,
      locator: Schema.Struct({ hashes: list(hash), height: count, cumulative_work: text, tip_hash: hash })
    })
  }),
  stats: route({
    method: "GET",
    path: "/api/stats",
    auth: "public",
    summary: "Figures of chain, pool, peers and miner.",
    status: 200,
    ...noBody,
    reply: Schema.Struct({ meta: Meta, stats: Stats })
  }),
  validate: route({
    method: "GET",
    path: "/api/validate",
    auth: "public",
    summary: "The cheap consistency check; `cairn verify` replays the whole chain.",
    status: 200,
    ...noBody,
    reply: Validation
  }),
  finality: route({
    method: "GET",
    path: "/api/finality",
    auth: "public",
    summary: "What the votes of authorities have settled, and who has broken their rules.",
    status: 200,
    refusals: { 404: "the authorities of this chain do not vote on checkpoints" },
    reply: Finality
  }),
  blockAt: route({
    method: "GET",
    path: "/api/blocks/:height{[0-9]{1,15}}",
    auth: "public",
    summary: "The best branch's block at a height (genesis is 0).",
    status: 200,
    refusals: { 404: "there is none", 410: "it is pruned here" },
    reply: Schema.Struct({ block: Block })
  }),
  blockOf: route({
    method: "GET",
    path: "/api/blocks/hash/:hash{[0-9a-fA-F]{64}}",
    auth: "public",
    summary: "The best branch's block of a hash.",
    status: 200,
    ...notFound,
    reply: Schema.Struct({ block: Block })
  }),
  stateAt: route({
    method: "GET",
    path: "/api/blocks/:height{[0-9]{1,15}}/state",
    auth: "public",
    summary: "The whole state after a block, in the order of its keys: accounts, or coins.",
    query: Page,
    status: 200,
    refusals: {
      400: "a wrong cursor or limit",
      404: "no block has that height",
      409: "the block of the cursor is no longer on the best branch",
      410: "too far below the tip",
      503: "busy: Retry-After"
    },
    reply: Schema.Struct({
      height: count,
      hash,
      state_root: hash,
      header: bytes,
      /** Null on a chain of coins. */
      accounts: nullable(list(StateAccount)),
      /** Null on a chain of accounts. */
      coins: nullable(list(StateCoin)),
      page: Backlog
    })
  }),
  pending: route({
    method: "GET",
    path: "/api/transactions/pending",
    auth: "public",
    summary: "Pending transactions as they would be mined.",
    status: 200,
    query: Page,
    refusals: { 400: "a wrong cursor or limit" },
    reply: Schema.Struct({ pending_transactions: list(Transaction), count, page: Backlog })
  }),
  transaction: route({
    method: "GET",
    path: "/api/transactions/:id{[0-9a-fA-F]{64}}",
    auth: "public",
    summary: "One transaction, confirmed or pending.",
    status: 200,
    ...notFound,
    reply: Schema.Struct({
      transaction: Transaction,
      status: Schema.Literals(["pending", "confirmed"]),
      /** What a payment spends, in the order of its inputs; null of other forms. */
      spends: nullable(list(SpentCoin)),
      /** Null of a coinbase. */
      fee: nullable(count),
      block: nullable(Schema.Struct({ hash, height: count, index: count, confirmations: count }))
    })
  }),
  transactionProof: route({
    method: "GET",
    path: "/api/transactions/:id{[0-9a-fA-F]{64}}/proof",
    auth: "public",
    summary: "Proof that a confirmed transaction is in its block, to be checked against the header alone.",
    status: 200,
    refusals: { 404: "there is none, or no block has it yet" },
    reply: Schema.Struct({
      proof: bytes,
      header: bytes,
      hash,
      height: count,
      index: count,
      count,
      leaf: hash,
      siblings: list(hash),
      confirmations: count
    })
  }),
  submit: route({
    method: "POST",
    path: "/api/transactions",
    auth: "public",
    summary: "Submits a signed transfer, or on a chain of coins a signed payment. 201: it is on disk.",
    status: 201,
    body: Schema.Union([
      Transfer.mapFields((fields) => ({
        ...fields,
        id: Schema.optionalKey(fields.id),
        kind: Schema.optionalKey(fields.kind)
      })),
      Payment.mapFields((fields) => ({
        ...fields,
        id: Schema.optionalKey(fields.id),
        kind: Schema.optionalKey(fields.kind)
      }))
    ]),
    refusals: {
      400: "refused; the code says why",
      409: "known already, or another takes its nonce or spends its coins",
      503: "full or busy: Retry-After"
    },
    reply: Schema.Struct({
      message: text,
      next_block_index: count,
      transaction: Transaction,
      pending_transactions: count,
      account: Account
    })
  }),
  accounts: route({
    method: "GET",
    path: "/api/accounts",
    auth: "public",
    summary: "Addresses with money, largest balance first.",
    status: 200,
    query: Page,
    refusals: { 400: "a wrong cursor or limit" },
    reply: Schema.Struct({ accounts: list(Account), count, page: Backlog })
  }),
  account: route({
    method: "GET",
    path: "/api/accounts/:address{[a-z0-9]{10,90}}",
    auth: "public",
    summary: "What one address has. One that was never paid has zeros.",
    status: 200,
    refusals: { 400: "not an address of this chain" },
    reply: Schema.Struct({ account: Account })
  }),
  accountProof: route({
    method: "GET",
    path: "/api/accounts/:address{[a-z0-9]{10,90}}/proof",
    auth: "public",
    summary: "Proof of an account, or that there is none, against the state root of the tip.",
    status: 200,
    refusals: { 400: "not an address of this chain", 404: "a chain of coins" },
    reply: Schema.Struct({
      proof: bytes,
      header: bytes,
      hash,
      height: count,
      account: nullable(Schema.Struct({ balance: count, nonce: count })),
      leaf: nullable(Schema.Struct({ path: hash, value: bytes })),
      siblings: list(hash)
    })
  }),
  coins: route({
    method: "GET",
    path: "/api/accounts/:address{[a-z0-9]{10,90}}/coins",
    auth: "public",
    summary: "The coins of an address, largest first, and those that pending transactions would pay it.",
    query: Page,
    status: 200,
    refusals: { 400: "not an address of this chain, or a wrong cursor or limit", 404: "a chain of accounts" },
    reply: Schema.Struct({
      address: text,
      /** Of the tip. What is pending stands in no block. */
      height: count,
      coins: list(Coin),
      pending_coins: list(PendingCoin),
      count,
      page: Backlog
    })
  }),
  coin: route({
    method: "GET",
    path: "/api/coins/:id{[0-9a-fA-F]{64}}/:index{[0-9]{1,10}}",
    auth: "public",
    summary: "One coin, by the transaction that made it and its place among the outputs.",
    status: 200,
    refusals: { 404: "spent, pending or unknown: the code says which; or a chain of accounts" },
    reply: Schema.Struct({ coin: Coin })
  }),
  coinProof: route({
    method: "GET",
    path: "/api/coins/:id{[0-9a-fA-F]{64}}/:index{[0-9]{1,10}}/proof",
    auth: "public",
    summary: "Proof of a coin, or that it is not there, against the state root of the tip.",
    status: 200,
    refusals: { 404: "a chain of accounts, or an index that none can have" },
    reply: Schema.Struct({
      proof: bytes,
      header: bytes,
      hash,
      height: count,
      coin: nullable(Schema.Struct({ owner: text, amount: count, height: count, coinbase: Schema.Boolean })),
      leaf: nullable(Schema.Struct({ path: hash, value: bytes })),
      siblings: list(hash)
    })
  }),
  mine: route({
    method: "POST",
    path: "/api/mine",
    auth: "admin",
    summary: "Seals one block now.",
    status: 201,
    body: Schema.Struct({ miner: Schema.optionalKey(text) }),
    refusals: { 400: "miner is not an address", 401: "no token", 403: "not from here", 503: "busy" },
    reply: Schema.Struct({ message: text, block: Block, snapshot: Snapshot })
  }),
  authorities: route({
    method: "GET",
    path: "/api/authorities",
    auth: "public",
    summary: "Who seals on a chain of authorities: the rota, who leads now and next, what each did lately, votes.",
    query: Schema.Struct({
      slots: Schema.optionalKey(Schema.Int.check(Schema.isBetween({ minimum: 1, maximum: leaderSlotsMax })))
    }),
    status: 200,
    refusals: { 400: "a wrong number of slots", 404: "the chain has no authorities" },
    reply: Authorities
  }),
  ...peerRoutes,
  ...authorityRoutes,
  ...legacyRoutes,
  ...networkRoutes,
  ...storageRoutes,
  hash: route({
    method: "GET",
    path: "/api/hash/sha256/:text{.+}",
    auth: "public",
    summary: "SHA-256 of a text.",
    status: 200,
    ...noBody,
    reply: Schema.Struct({ input: text, hash })
  })
} as const

export type RouteName = keyof typeof routes
/** What a route gives. */
export type ReplyOf<N extends RouteName> = Schema.Schema.Type<(typeof routes)[N]["reply"]>

/** Other names of routes (L legacy). */
export const aliases: Readonly<Record<string, RouteName>> = {
  "/health": "health",
  "/readyz": "ready",
  "/configuration": "info",
  "/get_chain": "chain",
  "/validate_chain": "validate",
  "/api/mempool": "pending",
  "/hashing/sha256/:text{.+}": "hash"
}
