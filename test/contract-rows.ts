/** The routes of the reference system as its clients know them: class, status and keys of each (its tables 1.2, 1.5). */
import type { Route } from "../src/http/contract.ts"
import { addressOf, announcementOf, signed, wordOf } from "./door.ts"

const snapshot = ["meta", "stats", "validation", "chain", "pending_transactions", "peers", "peer_records", "accounts"]
const limits = [
  "max_peers",
  "max_peers_per_ip",
  "max_peers_per_subnet",
  "max_pending_transactions",
  "max_transactions_per_block",
  "min_transaction_fee",
  "max_transaction_note_bytes"
]
const block = [
  "index",
  "timestamp",
  "transactions",
  "proof",
  "difficulty_prefix",
  "work",
  "cumulative_work",
  "hash_format",
  "previous_hash",
  "hash",
  "mined_by"
]

/** The chain when a request is made: hash of the tip, and the tip's block as hex. */
export interface Now {
  readonly tip: string
  readonly block: string
}

/** A route of theirs: keys by the place in the answer, "" for the answer itself. */
export interface Row {
  readonly row: string
  readonly ask: string
  readonly auth: Route["auth"]
  readonly status: number
  readonly keys: Readonly<Record<string, ReadonlyArray<string>>>
  readonly body?: (now: Now) => unknown
}

const infoKeys = {
  "": ["service", "capabilities", "api", "snapshot"],
  service: ["name", "version", "runtime", "mode", "node_id", "node_url", "chain_id"],
  snapshot,
  capabilities: [
    ["signed_transactions", "nonce_enforcement", "account_balances", "peer_propagation", "peer_discovery"],
    ["peer_reputation", "inventory_announcements", "native_p2p_transport", "gossip_transport", "block_fetch_by_hash"],
    ["headers_first_sync", "retargeted_prefix_pow", "most_cumulative_work_consensus", "background_maintenance"],
    ["admin_authentication", "peer_authentication", "rate_limiting", "frontend_console", "frontend_learn"]
  ].flat()
}
const statsKeys = {
  "": ["meta", "stats"],
  stats: [
    ["blocks", "pending_transactions", "committed_transactions", "peers", "known_peers", "peer_states", "accounts"],
    ["mining_reward", "difficulty_prefix", "tip_difficulty_prefix", "target_block_seconds"],
    ["difficulty_adjustment_window", "cumulative_work", "average_block_time_seconds", "committed_value"],
    ["pending_value", "queued_fees", "circulating_supply", "last_block_hash"]
  ].flat(),
  meta: [
    ["chain_id", "consensus", "difficulty_prefix", "target_block_seconds", "difficulty_adjustment_window", "limits"],
    ["min_difficulty_prefix_length", "max_difficulty_prefix_length", "mining_reward", "name", "node_id", "node_url"],
    ["transports", "fork_choice", "schema_version", "storage_engine", "updated_at", "version"]
  ].flat(),
  "meta.limits": limits,
  "meta.transports": ["http", "p2p", "gossip"],
  "meta.transports.p2p": ["protocol", "endpoint", "port", "tls"]
}
const healthKeys = {
  "": [
    ["status", "service", "version", "mode", "node_id", "node_url", "chain_id"],
    ["config_valid", "config_errors", "timestamp"]
  ].flat()
}
const accountKeys = [
  ["address", "confirmed_balance", "pending_balance", "next_confirmed_nonce", "next_nonce"],
  ["pending_outgoing", "pending_incoming"]
].flat()
const headerKeys = [
  ["cumulative_work", "difficulty_prefix", "hash", "index", "mined_by", "previous_hash", "proof", "timestamp"],
  ["transaction_count", "work"]
].flat()
const transferKeys = [
  ["amount", "fee", "kind", "nonce", "note", "recipient", "sender", "timestamp", "public_key", "signature", "id"]
].flat()
const chainKeys = { "": snapshot, "chain.0": block, validation: ["valid", "reason"] }
const pendingKeys = { "": ["pending_transactions", "count"] }
const peersKeys = {
  "": ["active_peers", "peers", "peer_records", "counts"],
  counts: ["active", "total", "states"],
  "counts.states": ["active", "backoff", "banned"]
}
const mineKeys = { "": ["message", "block", "snapshot"], block, snapshot }
const valid = { "": ["valid", "reason"] }
const hashed = { "": ["input", "hash"] }

const open = (row: string, ask: string, keys: Row["keys"], status = 200): Row => ({
  row,
  ask,
  auth: "public",
  status,
  keys
})

const peers = (row: string, ask: string, keys: Row["keys"], status = 200): Row => ({
  row,
  ask,
  auth: "peer",
  status,
  keys
})

export const rows: ReadonlyArray<Row> = [
  { row: "L-R1", ask: "GET /api/health", auth: "health", status: 200, keys: healthKeys },
  { row: "L-R1", ask: "GET /health", auth: "health", status: 200, keys: healthKeys },
  {
    row: "L-R2",
    ask: "GET /api/ready",
    auth: "health",
    status: 200,
    keys: { "": ["status", "chain_id", "node_id", "timestamp"] }
  },
  open("L-R3", "GET /api/info", infoKeys),
  open("L-R3", "GET /configuration", infoKeys),
  open("L-R4", "GET /api/chain", chainKeys),
  open("L-R4", "GET /get_chain", chainKeys),
  open("L-R5", "GET /api/headers?from_height=1&limit=2", {
    "": ["headers", "count", "cumulative_work"],
    "headers.0": headerKeys
  }),
  open("L-R5", "GET /api/headers?locator=TIP,TIP&locator=TIP", { "": ["headers", "count", "cumulative_work"] }),
  open("L-R6", "GET /api/locator?limit=16", {
    "": ["meta", "locator"],
    locator: ["hashes", "height", "cumulative_work", "tip_hash"]
  }),
  open("L-R7", "GET /api/stats", statsKeys),
  open("L-R8", "GET /api/validate", valid),
  open("L-R8", "GET /validate_chain", valid),
  open("L-R9", "GET /api/blocks/1", { "": ["block"], block }),
  open("L-R10", "GET /api/blocks/hash/TIP", { "": ["block"], block }),
  open("L-R11", "GET /api/transactions/pending", pendingKeys),
  open("L-R11", "GET /api/mempool", pendingKeys),
  open("L-R12", "GET /api/accounts", { "": ["accounts", "count"], "accounts.0": accountKeys }),
  open("L-R13", `GET /api/accounts/${addressOf(0)}`, { "": ["account"], account: accountKeys }),
  {
    row: "L-R14",
    ask: "POST /api/wallets",
    auth: "admin",
    status: 201,
    keys: { "": ["message", "wallet"], wallet: ["private_key", "public_key", "address"] }
  },
  {
    ...open(
      "L-R15",
      "POST /api/transactions",
      {
        "": ["message", "next_block_index", "transaction", "pending_transactions", "account"],
        transaction: transferKeys,
        account: accountKeys
      },
      201
    ),
    body: () => signed(1)
  },
  {
    row: "L-R16",
    ask: "POST /api/mine",
    auth: "admin",
    status: 201,
    keys: mineKeys,
    body: () => ({ miner: addressOf(1) })
  },
  { row: "L-R16", ask: `GET /mine_block?miner=${addressOf(1)}`, auth: "admin", status: 201, keys: mineKeys },
  open("L-R17", "GET /api/peers", peersKeys),
  {
    row: "L-R18",
    ask: "POST /api/peers",
    auth: "admin",
    status: 201,
    keys: { "": ["message", "peers"] },
    body: () => ({ peer: "http://127.0.0.1:19101" })
  },
  {
    row: "L-R19",
    ask: "POST /api/consensus/resolve",
    auth: "admin",
    status: 200,
    keys: { "": ["replaced", "discovery", "result", "snapshot"] }
  },
  {
    row: "L-R20",
    ask: "POST /api/admin/backup",
    auth: "admin",
    status: 201,
    keys: { "": ["message", "backup"] },
    body: () => ({ label: "by-hand" })
  },
  {
    ...peers("L-R21", "GET /api/network/peers?limit=4", {
      "": ["service", "capabilities", "meta", "locator", "peers", "peer_records"],
      locator: ["hashes", "height", "cumulative_work", "tip_hash"]
    })
  },
  {
    ...peers("L-R22", "POST /api/network/p2p/peer-update", { "": ["accepted", "peer", "discovered"] }),
    body: () => wordOf("update", 40)
  },
  {
    ...peers("L-R23", "POST /api/network/p2p/peer-failure", { "": ["accepted", "peer"] }),
    body: () => wordOf("failure", 41)
  },
  {
    ...peers(
      "L-R24",
      "POST /api/network/transactions",
      { "": ["accepted", "duplicate", "next_block_index", "transaction"], transaction: transferKeys },
      202
    ),
    body: () => ({ source_peer: "http://127.0.0.1:1", transaction: signed(1, { from: 2 }) })
  },
  {
    // It tells of what this node has: 202 is for what its session brings then (src/http/network.test.ts).
    ...peers("L-R25", "POST /api/network/inventory", {
      "": ["accepted", "updated", "status", "message", "advertised_locator", "discovered", "snapshot"]
    }),
    body: ({ tip }) => ({
      source_peer: "http://127.0.0.1:1",
      inventory: { height: 3, cumulative_work: "1", tip_hash: tip, hashes: [tip] }
    })
  },
  {
    ...peers("L-R26", "POST /api/network/gossip/announce", {
      "": ["accepted", "updated", "status", "message", "source_peer", "source_gossip_endpoint", "snapshot"]
    }),
    body: () => ({ announcement: announcementOf(42) })
  },
  {
    ...peers(
      "L-R27",
      "POST /api/network/blocks",
      { "": ["accepted", "appended", "replaced", "message", "snapshot"] },
      202
    ),
    body: ({ block }) => ({ block })
  },
  open("L-R28", "GET /api/hash/sha256/a%20b/c", hashed),
  open("L-R28", "GET /hashing/sha256/a%20b/c", hashed),
  open("L-R28", "GET /hashing/sha256", { "": ["message"] }),
  open("L-R29", "GET /get_remote_chain", { "": ["peers", "message"] })
]
