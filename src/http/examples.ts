/**
 * One request of every route, as people would send it: from these come the collection and the request file under docs/, and the
 * tests that run them. Texts in double braces are variables of the collection.
 */

export interface Example {
  /** As people call it. */
  readonly title: string
  /** `METHOD /path`, with the parameters in braces as the OpenAPI document has them. */
  readonly route: string
  readonly params?: Readonly<Record<string, string>>
  readonly query?: Readonly<Record<string, string>>
  /** JSON, or the name of a variable that holds all of it. */
  readonly body?: Readonly<Record<string, unknown>> | "{{transaction}}" | "{{nodeWord}}" | "{{nodeFailure}}"
  /** Of success, if it is not that of the contract: what the request tells is known by then. */
  readonly status?: number
  /** Statuses that are right, too: on another chain, or where the operator does not allow it. The tests see each of them. */
  readonly also?: ReadonlyArray<number>
  /** Variables that the reply fills, and where it has them. */
  readonly keeps?: Readonly<Record<string, string>>
}

/** What a variable is at first: those of a development node, as far as they are the same on each. */
export const variables = {
  baseUrl: "http://127.0.0.1:8080",
  adminToken: "",
  peerSecret: "",
  address: "crn1q5jjwsx35h5rfkxzmhv3e8gr5ny44hgtnc5tzzv",
  nodeId: "node1qqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqyznmd6",
  blockHash: "00".repeat(32),
  blockBytes: "",
  transactionId: "00".repeat(32),
  transaction: "{}",
  announcement: "00",
  nodeWord: "{}",
  nodeFailure: "{}"
} as const

/** The ten requests of the reference system's collection, by the names that they have there (L-S9). */
const reference: ReadonlyArray<Example> = [
  { title: "frontend root", route: "GET /" },
  { title: "health", route: "GET /api/health" },
  { title: "info", route: "GET /api/info" },
  { title: "chain snapshot", route: "GET /api/chain", query: { limit: "8" }, keeps: { blockHash: "chain.0.hash" } },
  {
    title: "add transaction",
    route: "POST /api/transactions",
    body: "{{transaction}}",
    keeps: { transactionId: "transaction.id" }
  },
  { title: "mine block", route: "POST /api/mine", body: { miner: "{{address}}" } },
  { title: "validate chain", route: "GET /api/validate" },
  { title: "register peer", route: "POST /api/peers", body: { peer: "127.0.0.1:19101" } },
  { title: "resolve consensus", route: "POST /api/consensus/resolve" },
  { title: "sha256 hash", route: "GET /api/hash/sha256/{text}", params: { text: "example_string" } }
]

const hash = { hash: "{{blockHash}}" }
const transaction = { id: "{{transactionId}}" }
const account = { address: "{{address}}" }
const coin = { id: "{{transactionId}}", index: "0" }
/** Of chains of the other ledger, or without authorities. */
const elsewhere = { also: [404] }

const others: ReadonlyArray<Example> = [
  { title: "ready", route: "GET /api/ready" },
  { title: "stats", route: "GET /api/stats" },
  { title: "headers", route: "GET /api/headers", query: { from_height: "0", limit: "4" } },
  { title: "locator", route: "GET /api/locator", query: { limit: "4" } },
  { title: "block at a height", route: "GET /api/blocks/{height}", params: { height: "0" } },
  { title: "block of a hash", route: "GET /api/blocks/hash/{hash}", params: hash },
  {
    title: "state after a block",
    route: "GET /api/blocks/{height}/state",
    params: { height: "0" },
    query: { limit: "4" }
  },
  { title: "pending transactions", route: "GET /api/transactions/pending", query: { limit: "4" } },
  { title: "one transaction", route: "GET /api/transactions/{id}", params: transaction },
  { title: "proof of a transaction", route: "GET /api/transactions/{id}/proof", params: transaction },
  { title: "accounts", route: "GET /api/accounts", query: { limit: "4" } },
  { title: "one account", route: "GET /api/accounts/{address}", params: account },
  { title: "proof of an account", route: "GET /api/accounts/{address}/proof", params: account, ...elsewhere },
  { title: "coins of an address", route: "GET /api/accounts/{address}/coins", params: account, ...elsewhere },
  { title: "one coin", route: "GET /api/coins/{id}/{index}", params: coin, ...elsewhere },
  { title: "proof of a coin", route: "GET /api/coins/{id}/{index}/proof", params: coin, ...elsewhere },
  { title: "peers", route: "GET /api/peers" },
  { title: "finality", route: "GET /api/finality", ...elsewhere },
  { title: "authorities", route: "GET /api/authorities", query: { slots: "4" }, ...elsewhere },
  { title: "votes of authorities", route: "GET /api/authorities/votes", ...elsewhere },
  { title: "evidence against authorities", route: "GET /api/authorities/evidence", ...elsewhere },
  {
    title: "vote on an authority",
    route: "POST /api/authorities/votes",
    body: { vote: "forget", subject: "{{address}}" },
    ...elsewhere
  },
  { title: "new wallet", route: "POST /api/wallets", body: {}, also: [403] },
  { title: "mine by GET", route: "GET /mine_block", query: { miner: "{{address}}" }, ...elsewhere },
  { title: "remote chain", route: "GET /get_remote_chain" },
  { title: "how to hash", route: "GET /hashing/sha256" },
  { title: "events", route: "GET /api/events" },
  { title: "metrics", route: "GET /metrics" },
  { title: "OpenAPI document", route: "GET /openapi.json" },
  { title: "API page", route: "GET /docs" }
]

const peer = { id: "{{nodeId}}" }
/** What a node signs of itself, no example can: without it the route says what is wrong. */
const signed = { also: [400] }

/** What a node is watched by, and what operators and other nodes ask it. */
const service: ReadonlyArray<Example> = [
  { title: "alive", route: "GET /livez" },
  { title: "started", route: "GET /startupz" },
  { title: "backup", route: "POST /api/admin/backup", body: { label: "by-hand" } },
  { title: "ban a peer", route: "POST /api/peers/{id}/ban", params: peer, body: { seconds: 60, reason: "a trial" } },
  { title: "unban a peer", route: "POST /api/peers/{id}/unban", params: peer },
  { title: "forget a peer", route: "POST /api/peers/{id}/remove", params: peer },
  { title: "headers as bytes", route: "GET /api/headers/raw", query: { limit: "4" } },
  {
    title: "blocks as bytes",
    route: "GET /api/blocks/raw",
    query: { hashes: "{{blockHash}}" },
    keeps: { blockBytes: "blocks.0" }
  },
  { title: "directory of peers", route: "GET /api/network/peers", query: { limit: "4" } },
  {
    title: "inventory",
    route: "POST /api/network/inventory",
    body: { source_peer: "{{nodeId}}", inventory: { height: 0, cumulative_work: "1", tip_hash: "{{blockHash}}" } },
    status: 200
  },
  { title: "block from a node", route: "POST /api/network/blocks", body: { block: "{{blockBytes}}" } },
  {
    title: "transaction from a node",
    route: "POST /api/network/transactions",
    body: "{{transaction}}",
    status: 200
  },
  {
    title: "announcement",
    route: "POST /api/network/gossip/announce",
    body: { announcement: "{{announcement}}" },
    status: 200,
    // The bytes are signed by a node; and not every node hears them.
    also: [409, 503]
  },
  { title: "a node's word of itself", route: "POST /api/network/p2p/peer-update", body: "{{nodeWord}}", ...signed },
  {
    title: "a node's word of a failure",
    route: "POST /api/network/p2p/peer-failure",
    body: "{{nodeFailure}}",
    ...signed
  }
]

export const examples: ReadonlyArray<Example> = [...reference, ...others, ...service]
export const referenceTitles: ReadonlyArray<string> = reference.map(({ title }) => title)
