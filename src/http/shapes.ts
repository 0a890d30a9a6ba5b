/** What the HTTP interface takes and gives, as schemas. Field names are those of the reference system (rows L-R, L-B). */
import { Schema } from "effect"
import { httpPageMax } from "../limits.ts"

export const text = Schema.String
export const count = Schema.Int.check(Schema.isGreaterThanOrEqualTo(0))
export const hash = Schema.String.check(Schema.isPattern(/^[0-9a-f]{64}$/u))
/** Hex of whole bytes. A pattern that counts pairs takes a second for a long block, and then forgets where it was. */
export const bytes = Schema.String.check(
  Schema.isPattern(/^[0-9a-f]*$/u),
  Schema.makeFilter((hex) => hex.length % 2 === 0, { expected: "an even number of digits" })
)
export const nullable = <S extends Schema.Top>(schema: S) => Schema.NullOr(schema)
export const list = <S extends Schema.Top>(schema: S) => Schema.Array(schema)

export const Transfer = Schema.Struct({
  version: count,
  chain_id: text,
  id: hash,
  kind: Schema.Literal("transfer"),
  sender: text,
  recipient: text,
  amount: count,
  fee: count,
  nonce: count,
  timestamp: count,
  note: text,
  data: Schema.optionalKey(bytes),
  public_key: text,
  signature: text
})
const Output = Schema.Struct({ recipient: text, amount: count })
/** Coins into coins; `owner` is derived from the key. */
export const Payment = Schema.Struct({
  chain_id: text,
  id: hash,
  kind: Schema.Literal("payment"),
  inputs: list(Schema.Struct({ transaction_id: hash, index: count })),
  outputs: list(Output),
  note: text,
  data: Schema.optionalKey(bytes),
  witnesses: list(Schema.Struct({ public_key: text, signature: text, owner: text }))
})
/** First in each block of a chain of coins. */
const Coinbase = Schema.Struct({
  chain_id: text,
  id: hash,
  kind: Schema.Literal("coinbase"),
  height: count,
  outputs: list(Output)
})
/** By the chain's ledger: transfers between accounts, or payments of coins. */
export const Transaction = Schema.Union([Transfer, Payment, Coinbase])
/** Derived by the rules, last in its block on a chain of accounts (L-B8). */
const Reward = Schema.Struct({
  id: hash,
  kind: Schema.Literal("reward"),
  recipient: text,
  amount: count,
  fee: count,
  note: text
})

const VoteKind = Schema.Literals(["admit", "expel", "convict"])
/** What a header says, as numbers and as text, and the work up to it. */
const headerFields = {
  height: count,
  index: count,
  hash,
  previous_hash: hash,
  timestamp: text,
  time: count,
  proof: count,
  difficulty_prefix: text,
  target: hash,
  work: text,
  cumulative_work: text,
  mined_by: text,
  transaction_root: hash,
  state_root: hash,
  version: count,
  /** Null where no authorities seal, and of a genesis. */
  authority: nullable(
    Schema.Struct({
      slot: count,
      in_turn: Schema.Boolean,
      weight: count,
      vote: nullable(Schema.Struct({ kind: VoteKind, subject: text })),
      public_key: bytes,
      signature: bytes
    })
  )
}
export const Header = Schema.Struct({ ...headerFields, transaction_count: count })
export const Block = Schema.Struct({
  ...headerFields,
  hash_format: text,
  extra: text,
  confirmations: count,
  /** Have the votes of authorities settled it? Absent where they do not vote. */
  final: Schema.optionalKey(Schema.Boolean),
  transactions: list(Schema.Union([Transfer, Payment, Coinbase, Reward]))
})
const Checkpoint = Schema.Struct({ height: count, hash })
/** What the votes of authorities have settled. */
export const Finality = Schema.Struct({
  checkpoint_blocks: count,
  final: Checkpoint,
  justified: Checkpoint,
  /** False: the node's branch lacks the final block. */
  on_branch: Schema.Boolean,
  /** A final block that contradicts ours. */
  conflict: nullable(Checkpoint),
  votes: list(
    Schema.Struct({
      authority: text,
      vote: nullable(Schema.Struct({ source: Checkpoint, target: Checkpoint }))
    })
  ),
  /** Two votes that exclude each other, one after the other. */
  guilty: list(Schema.Struct({ authority: text, evidence: bytes }))
})
export const Account = Schema.Struct({
  address: text,
  confirmed_balance: count,
  pending_balance: Schema.Int,
  next_confirmed_nonce: count,
  next_nonce: count,
  pending_outgoing: count,
  pending_incoming: count,
  /** How many coins hold the confirmed balance; null on a chain of accounts. */
  coins: nullable(count)
})
const outpoint = { transaction_id: hash, index: count }
/** A coin that can be spent, now or from a height on. */
export const Coin = Schema.Struct({
  ...outpoint,
  owner: text,
  amount: count,
  /** Of the block that made it. */
  height: count,
  coinbase: Schema.Boolean,
  /** The first height in whose block it may be spent. */
  spendable_from: count,
  /** The pending transaction that spends it. */
  spent_by: nullable(hash)
})
/** A coin that a pending transaction would make, and no other of them spends. */
export const PendingCoin = Schema.Struct({ ...outpoint, amount: count })
/** A coin that a transaction spends. */
export const SpentCoin = Schema.Struct({ ...outpoint, owner: text, amount: count })
/** What an address has after a block. */
export const StateAccount = Schema.Struct({ address: text, balance: count, nonce: count })
/** A coin that could be spent after a block. */
export const StateCoin = Schema.Struct({
  ...outpoint,
  owner: text,
  amount: count,
  height: count,
  coinbase: Schema.Boolean
})
const slot = { slot: count, start: count, leader: text }
/** The rota of a chain of authorities at the tip. Times are milliseconds. */
export const Authorities = Schema.Struct({
  rule: Schema.Struct({
    slot_ms: count,
    out_of_turn_ms: count,
    vote_blocks: count,
    allow_empty: Schema.Boolean,
    pace: nullable(Schema.Struct({ pending_min: count, idle_ms: count })),
    checkpoint_blocks: nullable(count)
  }),
  height: count,
  hash,
  /** The node's clock. */
  time: count,
  members: list(
    Schema.Struct({
      address: text,
      place: count,
      /** Does this node seal for it? */
      is_self: Schema.Boolean,
      last_sealed: nullable(Schema.Struct({ height: count, slot: count, time: count })),
      in_turn: count,
      out_of_turn: count,
      missed: count
    })
  ),
  convicted: list(text),
  /** What the counts of members are of. */
  window: Schema.Struct({ blocks: count, from_height: count, from_slot: count }),
  present: Schema.Struct({
    ...slot,
    end: count,
    open: Schema.Boolean,
    turns: list(Schema.Struct({ address: text, from: count, weight: count, may_seal: Schema.Boolean }))
  }),
  recent: list(
    Schema.Struct({
      ...slot,
      block: nullable(Schema.Struct({ sealer: text, height: count, hash, in_turn: Schema.Boolean }))
    })
  ),
  next: list(Schema.Struct(slot)),
  votes: list(Schema.Struct({ voter: text, vote: VoteKind, subject: text, height: count, lapses_at: count })),
  tallies: list(Schema.Struct({ vote: VoteKind, subject: text, votes: count, needed: count }))
})
export const Validation = Schema.Struct({ valid: Schema.Boolean, reason: text })
/** What the node is doing, since when (milliseconds) and why. */
export const State = Schema.Struct({
  name: Schema.Literals(["genesis", "boot", "syncing", "ready", "failed", "stopping", "dead"]),
  since: count,
  reason: text,
  message: text
})
const Sync = Schema.Struct({
  state: text,
  height: count,
  target_height: count,
  blocks_per_second: Schema.Finite,
  eta_ms: nullable(Schema.Finite)
})
/** The replay of the blocks below a loaded snapshot. */
const Past = Schema.Struct({
  height: count,
  target_height: count,
  blocks_per_second: Schema.Finite,
  eta_ms: nullable(Schema.Finite)
})
export const Backups = Schema.Struct({
  last: nullable(Schema.Struct({ name: text, label: text, at: count, height: count, bytes: count })),
  /** Null: they are made when asked for. */
  next_at: nullable(count),
  failures: count,
  last_error: nullable(text)
})
/** Announcements by UDP since the start: datagrams sent, heard, not sent, and by code those that were not heard. */
const Gossip = Schema.Struct({
  /** Met peers that are sent to under a seal; seeds whose address is known; nodes whose announcement is remembered. */
  peers: count,
  seeds: count,
  nodes: count,
  sent: count,
  heard: count,
  unsent: count,
  dropped: Schema.Record(text, count)
})
export const Stats = Schema.Struct({
  blocks: count,
  pending_transactions: count,
  pending_bytes: count,
  committed_transactions: count,
  peers: count,
  known_peers: count,
  peer_states: Schema.Struct({ active: count, known: count, backoff: count, banned: count }),
  accounts: count,
  /** Coins that can be spent; null on a chain of accounts. */
  coins: nullable(count),
  mining_reward: count,
  difficulty_prefix: text,
  tip_difficulty_prefix: text,
  target_block_seconds: Schema.Finite,
  difficulty_adjustment_window: count,
  cumulative_work: text,
  average_block_time_seconds: nullable(Schema.Finite),
  committed_value: Schema.Finite,
  pending_value: count,
  queued_fees: count,
  circulating_supply: count,
  last_block_hash: hash,
  hashes_per_second: Schema.Finite,
  mining: Schema.Boolean,
  state: State,
  sync: Sync,
  /** Absent where authorities do not vote on checkpoints. */
  final_height: Schema.optionalKey(count),
  past: nullable(Past),
  /** Null: this node makes no backups of itself. */
  backups: nullable(Backups),
  /** Null: nothing is announced by UDP. */
  gossip: nullable(Gossip)
})
export const Meta = Schema.Struct({
  name: text,
  version: text,
  schema_version: count,
  storage_engine: text,
  consensus: text,
  fork_choice: text,
  /** The ledger: balances and nonces, or coins. */
  model: Schema.Literals(["account", "utxo"]),
  /** Blocks until a reward may be spent; null on a chain of accounts. */
  coinbase_maturity: nullable(count),
  chain_id: text,
  genesis: hash,
  symbol: text,
  decimals: count,
  address_prefix: text,
  /** What the operator calls the node; its id among peers if nothing. */
  node_id: text,
  /** Its id among peers. */
  peer_id: text,
  node_url: text,
  difficulty: Schema.Record(text, Schema.Unknown),
  /** Leading hex zeros of the genesis, and between which they stay; null where the rule has no such bounds. */
  difficulty_prefix: text,
  min_difficulty_prefix_length: nullable(count),
  max_difficulty_prefix_length: nullable(count),
  target_block_seconds: Schema.Finite,
  difficulty_adjustment_window: count,
  limits: Schema.Record(text, count),
  /** What a sender without data of his own writes; null: transactions need none. */
  data_filler: nullable(
    Schema.Union([
      Schema.Struct({ rule: Schema.Literal("random"), characters: count }),
      Schema.Struct({ rule: Schema.Literal("text"), text })
    ])
  ),
  mining_reward: count,
  transports: Schema.Struct({
    http: Schema.Struct({ endpoint: text }),
    /** Null: this node speaks to no peers, or not in that way. */
    p2p: nullable(
      Schema.Struct({ protocol: text, endpoint: nullable(text), port: nullable(count), tls: Schema.Boolean })
    ),
    /** Who the node is by libp2p, and where it hears. Null: it does not speak it. */
    libp2p: nullable(Schema.Struct({ protocol: text, peer_id: text, addresses: Schema.Array(text) })),
    gossip: nullable(
      Schema.Struct({
        protocol: text,
        /** Null: nobody is told where to send to. */
        endpoint: nullable(text),
        port: nullable(count),
        fanout: count,
        plaintext: Schema.Boolean
      })
    )
  }),
  updated_at: text
})
export const Service = Schema.Struct({
  name: text,
  version: text,
  runtime: text,
  mode: text,
  node_id: text,
  peer_id: text,
  node_url: text,
  chain_id: text,
  signature_engine: text,
  /** What seals the frames of Noise. Null: the node speaks no libp2p. */
  aead_engine: nullable(text),
  hash_engine: text
})
/** How we came to know of a node or an endpoint. */
export const PeerSource = Schema.Literals(["manual", "seed", "discovered", "inbound"])

/** A node that has proven who it is. Times are milliseconds. */
export const Peer = Schema.Struct({
  node_id: text,
  /** host:port where it can be dialled; empty if it does not listen. */
  url: text,
  node_url: nullable(text),
  gossip_endpoint: nullable(text),
  source: PeerSource,
  direction: Schema.Literals(["inbound", "outbound", "none"]),
  state: Schema.Literals(["active", "known", "backoff", "banned"]),
  score: Schema.Int,
  misbehaviour_points: count,
  last_advertised_height: count,
  /** Decimal: it outgrows numbers. */
  last_cumulative_work: text,
  version: text,
  capabilities: list(text),
  tls_cert_fingerprint: nullable(text),
  latency_ms: nullable(Schema.Finite),
  discovered_at: count,
  last_seen_at: nullable(count),
  last_success_at: nullable(count),
  last_failure_at: nullable(count),
  success_count: count,
  failure_count: count,
  last_error: nullable(text),
  cooldown_until: nullable(count),
  banned_until: nullable(count),
  ban_reason: nullable(text)
})

/**
 * The node as the reference system shows it on one page. Its lists are whole there; here they are first pages, blocks
 * newest first: the routes of each list have the rest.
 */
export const Snapshot = Schema.Struct({
  meta: Meta,
  stats: Stats,
  validation: Validation,
  chain: list(Block),
  pending_transactions: list(Transaction),
  peers: list(text),
  peer_records: list(Peer),
  accounts: list(Account)
})
export const Backlog = Schema.Struct({ rows: count, next_cursor: nullable(text) })

export const Limit = Schema.Int.check(Schema.isBetween({ minimum: 1, maximum: httpPageMax }))
export const Page = Schema.Struct({ limit: Schema.optionalKey(Limit), cursor: Schema.optionalKey(text) })
/** How many rows each list of a snapshot has; 0: none. */
export const SnapshotSize = Schema.Struct({
  limit: Schema.optionalKey(Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: httpPageMax })))
})
