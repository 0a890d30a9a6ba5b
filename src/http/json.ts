/** The node's values as the JSON of the contract. */
import { assert } from "../assert.ts"
import { type ChainSpec, peersMaxOf } from "../block/genesis.ts"
import type { VoteKind } from "../block/header.ts"
import { concat, equal, fromHex, toHex, utf8 } from "../codec/bytes.ts"
import { type AccountProof, type CoinProof, encodeProof } from "../block/proof.ts"
import { pathOf } from "../block/state-tree.ts"
import { parseEndpoint, peerPolicy } from "../config.ts"
import { bitsOf } from "../consensus/difficulty.ts"
import { inTurnWeight, slotOf } from "../consensus/rota.ts"
import { type Address, formatAddress } from "../crypto/address.ts"
import { sha256 } from "../crypto/hash.ts"
import { placeOf } from "../discovery/place.ts"
import { decodeAccount, keyOf } from "../ledger/account.ts"
import { coinKey, decodeCoin, decodeOutpoint, outputsOf } from "../ledger/coin.ts"
import { formatTransaction } from "../ledger/transaction-text.ts"
import type { Outpoint } from "../ledger/transaction.ts"
import { frameBytesMax, pendingTransactionsMax } from "../limits.ts"
import type {
  AccountView,
  BackupsView,
  BlockView,
  CoinView,
  HeaderView,
  NodeFacts,
  PastView,
  PendingCoin,
  StatePage,
  Stats,
  SyncView,
  TransactionProofView,
  TransactionView
} from "../node/node.ts"
import type { CheckpointView, FinalityView } from "../node/authorities.ts"
import type { GossipView, PeerView } from "../node/peers.ts"
import type { NodeState } from "../ready.ts"
import type { ReplyOf, RouteName } from "./contract.ts"

/** One field of a route's reply. */
type Json<N extends RouteName, K extends keyof ReplyOf<N>> = ReplyOf<N>[K]

/** The leading hex zeros that a target asks for: its difficulty as the reference system writes it. */
const prefixOf = (target: Uint8Array): string => "0".repeat(Math.floor(bitsOf(target) / 4))
const iso = (ms: number): string => new Date(ms).toISOString()

/** A vote that a header carries, or that stands. */
export const voteJson = (vote: VoteKind): Exclude<VoteKind, "none"> => {
  assert(vote !== "none", "what is shown as a vote is one")
  return vote
}

/** Who sealed a header, when, and what it says of another authority. */
const authorityJson = (
  { rules }: NodeFacts,
  { authority, height, time }: HeaderView["header"]
): Json<"headers", "headers">[number]["authority"] => {
  const { author } = rules.consensus
  if (authority === undefined || author === undefined || height === 0) return null
  const { weight, vote, subject, publicKey, signature } = authority
  const about = (): string => formatAddress(subject, rules.spec.addressPrefix)
  return {
    slot: slotOf(author.rota, time),
    in_turn: weight === inTurnWeight,
    weight,
    vote: vote === "none" ? null : { kind: voteJson(vote), subject: about() },
    public_key: toHex(publicKey),
    signature: toHex(signature)
  }
}

/** The id of a reward, which no transaction carries: SHA-256("cairn/reward" ‖ block hash). */
const rewardId = (hash: Uint8Array): string => toHex(sha256(concat(utf8("cairn/reward"), hash)))

export const headerJson = (
  facts: NodeFacts,
  { header, work, transactionCount }: HeaderView
): Json<"headers", "headers">[number] => ({
  height: header.height,
  index: header.height + 1,
  hash: header.id,
  previous_hash: toHex(header.previous),
  timestamp: iso(header.time),
  time: header.time,
  proof: header.nonce,
  difficulty_prefix: prefixOf(header.target),
  target: toHex(header.target),
  work: String(facts.rules.consensus.work(header)),
  cumulative_work: String(work),
  mined_by: formatAddress(header.proposer, facts.rules.spec.addressPrefix),
  transaction_root: toHex(header.transactionRoot),
  state_root: toHex(header.stateRoot),
  version: header.version,
  authority: authorityJson(facts, header),
  transaction_count: transactionCount
})

export const blockJson = (facts: NodeFacts, view: BlockView): Json<"blockAt", "block"> => {
  const { block, work, rewardUnits } = view
  const { header } = block
  const prefix = facts.rules.spec.addressPrefix
  const { transaction_count: _, ...shared } = headerJson(facts, { header, work, transactionCount: 0 })
  const recipient = formatAddress(header.proposer, prefix)
  const note = `Block reward for block ${header.height}`
  const reward = { id: rewardId(header.hash), kind: "reward", recipient, amount: rewardUnits, fee: 0, note } as const
  const transactions = block.transactions.map((transaction) => formatTransaction(transaction, prefix))
  return {
    ...shared,
    hash_format: "cairn-1",
    extra: toHex(block.extra),
    confirmations: view.confirmations,
    ...(view.final === undefined ? {} : { final: view.final }),
    transactions: header.height === 0 || facts.rules.ledger.opens ? transactions : [...transactions, reward]
  }
}

export const accountJson = (facts: NodeFacts, view: AccountView): Json<"account", "account"> => ({
  address: formatAddress(view.address as Address, facts.rules.spec.addressPrefix),
  confirmed_balance: view.balance,
  pending_balance: view.balance - view.pendingOutgoing + view.pendingIncoming,
  next_confirmed_nonce: view.coins === undefined ? view.nonce + 1 : 0,
  next_nonce: view.nextNonce,
  pending_outgoing: view.pendingOutgoing,
  pending_incoming: view.pendingIncoming,
  coins: view.coins ?? null
})

export const transactionProofJson = (view: TransactionProofView): ReplyOf<"transactionProof"> => {
  const { proof, index, count, confirmations } = view
  const { header, transaction, steps } = proof
  return {
    proof: toHex(encodeProof(proof)),
    header: toHex(header.bytes),
    hash: header.id,
    height: header.height,
    index,
    count,
    leaf: toHex(transaction.leaf),
    siblings: steps.map(({ sibling }) => toHex(sibling)),
    confirmations
  }
}

/** The parts of a proof of an entry, and the entry's value, if it is there. */
const stateProofJson = (proof: AccountProof | CoinProof, key: string) => {
  const { header, state } = proof
  const { leaf, siblings } = state
  const shared = {
    proof: toHex(encodeProof(proof)),
    header: toHex(header.bytes),
    hash: header.id,
    height: header.height,
    leaf: leaf === undefined ? null : { path: toHex(leaf.path), value: toHex(leaf.value) },
    siblings: siblings.map(toHex)
  }
  return { shared, value: leaf !== undefined && equal(leaf.path, pathOf(key)) ? leaf.value : undefined }
}

export const accountProofJson = (proof: AccountProof): ReplyOf<"accountProof"> => {
  const { shared, value } = stateProofJson(proof, keyOf(proof.address))
  return { ...shared, account: value === undefined ? null : decodeAccount(value) }
}

export const coinProofJson = ({ rules }: NodeFacts, proof: CoinProof): ReplyOf<"coinProof"> => {
  const { shared, value } = stateProofJson(proof, coinKey(proof.outpoint))
  if (value === undefined) return { ...shared, coin: null }
  const { owner, ...coin } = decodeCoin(value)
  return { ...shared, coin: { owner: formatAddress(owner, rules.spec.addressPrefix), ...coin } }
}

const outpointJson = ({ id, index }: Outpoint) => ({ transaction_id: toHex(id), index })

export const coinJson = ({ rules }: NodeFacts, coin: CoinView): Json<"coin", "coin"> => ({
  ...outpointJson(coin),
  owner: formatAddress(coin.owner, rules.spec.addressPrefix),
  amount: coin.amount,
  height: coin.height,
  coinbase: coin.coinbase,
  spendable_from: coin.spendableFrom,
  spent_by: coin.spentBy === undefined ? null : toHex(coin.spentBy)
})

export const pendingCoinJson = (coin: PendingCoin): Json<"coins", "pending_coins">[number] => ({
  ...outpointJson(coin),
  amount: coin.amount
})

/** A transaction with what it spends: so only the node can tell the fee of a payment. */
export const transactionJson = (facts: NodeFacts, view: TransactionView): ReplyOf<"transaction"> => {
  const { transaction, spends, block } = view
  const prefix = facts.rules.spec.addressPrefix
  const paid = outputsOf(transaction).reduce((sum, { amount }) => sum + amount, 0)
  const held = spends?.reduce((sum, { amount }) => sum + amount, 0)
  return {
    transaction: formatTransaction(transaction, prefix),
    status: block === undefined ? "pending" : "confirmed",
    spends:
      spends?.map((coin) => ({
        ...outpointJson(coin),
        owner: formatAddress(coin.owner, prefix),
        amount: coin.amount
      })) ?? null,
    fee: transaction.kind === "transfer" ? transaction.transfer.fee : held === undefined ? null : held - paid,
    block: block === undefined ? null : { ...block, hash: toHex(block.hash) }
  }
}

/** Entries of a state by the ledger that they are of. */
export const pastStateJson = (facts: NodeFacts, { header, rows, next }: StatePage): ReplyOf<"stateAt"> => {
  const { addressPrefix: prefix, ledger } = facts.rules.spec
  const isCoins = ledger.model === "utxo"
  const account = ({ key, value }: StatePage["rows"][number]) => ({
    address: formatAddress(fromHex(key)! as Uint8Array as Address, prefix),
    ...decodeAccount(value)
  })
  const coin = ({ key, value }: StatePage["rows"][number]) => {
    const { owner, ...rest } = decodeCoin(value)
    return { ...outpointJson(decodeOutpoint(fromHex(key)!)), owner: formatAddress(owner, prefix), ...rest }
  }
  return {
    height: header.height,
    hash: header.id,
    state_root: toHex(header.stateRoot),
    header: toHex(header.bytes),
    accounts: isCoins ? null : rows.map(account),
    coins: isCoins ? rows.map(coin) : null,
    page: { rows: rows.length, next_cursor: next ?? null }
  }
}

export const peerJson = (peer: PeerView): Json<"peers", "peer_records">[number] => ({
  node_id: peer.nodeId,
  url: peer.endpoint,
  node_url: peer.nodeUrl ?? null,
  gossip_endpoint: peer.gossipEndpoint ?? null,
  source: peer.source,
  direction: peer.direction,
  state: peer.state,
  score: peer.score,
  misbehaviour_points: peer.points,
  last_advertised_height: peer.height,
  last_cumulative_work: String(peer.work),
  version: peer.agent,
  capabilities: peer.capabilities,
  tls_cert_fingerprint: peer.tlsFingerprint ?? null,
  latency_ms: peer.latencyMs ?? null,
  discovered_at: peer.discoveredAt,
  last_seen_at: peer.lastSeenAt ?? null,
  last_success_at: peer.lastSuccessAt ?? null,
  last_failure_at: peer.lastFailureAt ?? null,
  success_count: peer.successCount,
  failure_count: peer.failureCount,
  last_error: peer.lastError ?? null,
  cooldown_until: peer.cooldownUntil ?? null,
  banned_until: peer.bannedUntil ?? null,
  ban_reason: peer.banReason ?? null
})

export const peerStates = (peers: ReadonlyArray<PeerView>): Json<"peers", "counts">["states"] => {
  const of = (state: PeerView["state"]): number => peers.filter((peer) => peer.state === state).length
  return { active: of("active"), known: of("known"), backoff: of("backoff"), banned: of("banned") }
}

export const stateJson = ({ name, since, reason, message }: NodeState): Json<"ready", "state"> => ({
  name,
  since,
  reason,
  message
})

const syncJson = (sync: SyncView): Json<"stats", "stats">["sync"] => ({
  state: sync.state,
  height: sync.height,
  target_height: sync.targetHeight,
  blocks_per_second: sync.blocksPerSecond,
  eta_ms: sync.etaMs ?? null
})

const pastJson = (past: PastView): NonNullable<Json<"stats", "stats">["past"]> => ({
  height: past.height,
  target_height: past.targetHeight,
  blocks_per_second: past.blocksPerSecond,
  eta_ms: past.etaMs ?? null
})

/** Blocks after which the difficulty is looked at again. */
const windowOf = (difficulty: ChainSpec["difficulty"]): number =>
  difficulty.rule === "prefix-window"
    ? difficulty.windowBlocks
    : difficulty.rule === "interval-bits"
      ? difficulty.intervalBlocks
      : 1
export const backupsJson = (backups: BackupsView | undefined): Json<"stats", "stats">["backups"] => {
  if (backups === undefined) return null
  const { last, nextAt, failures, lastError } = backups
  // The folder is the operator's business; its name is enough to know which it is.
  const shown = last && { ...last, name: last.path.split("/").at(-1)! }
  return {
    last:
      shown === undefined
        ? null
        : { name: shown.name, label: shown.label, at: shown.at, height: shown.height, bytes: shown.bytes },
    next_at: nextAt ?? null,
    failures,
    last_error: lastError ?? null
  }
}

const gossipJson = (view: GossipView | undefined): Json<"stats", "stats">["gossip"] => {
  if (view === undefined) return null
  const { peers, seeds, nodes, sent, heard, unsent, dropped } = view
  return { peers, seeds, nodes, sent, heard, unsent, dropped }
}

export const statsJson = (
  facts: NodeFacts,
  context: {
    readonly stats: Stats
    readonly tip: HeaderView["header"]
    readonly peers: ReadonlyArray<PeerView>
    readonly gossip: GossipView | undefined
  }
): Json<"stats", "stats"> => {
  const { stats, tip } = context
  const { difficulty } = facts.rules.spec
  return {
    blocks: stats.blocks,
    pending_transactions: stats.pendingTransactions,
    pending_bytes: stats.pendingBytes,
    committed_transactions: stats.committedTransactions,
    peers: stats.peers,
    known_peers: stats.knownPeers,
    peer_states: peerStates(context.peers),
    accounts: stats.accounts,
    coins: stats.coins ?? null,
    mining_reward: facts.rules.ledger.rewardAt(tip.height + 1),
    difficulty_prefix: prefixOf(stats.nextTarget),
    tip_difficulty_prefix: prefixOf(tip.target),
    target_block_seconds: difficulty.blockMs / 1000,
    difficulty_adjustment_window: windowOf(difficulty),
    cumulative_work: String(stats.work),
    average_block_time_seconds: stats.averageBlockMs === undefined ? null : stats.averageBlockMs / 1000,
    committed_value: stats.committedValue,
    pending_value: stats.pendingValue,
    queued_fees: stats.queuedFees,
    circulating_supply: stats.supply,
    last_block_hash: tip.id,
    hashes_per_second: stats.hashesPerSecond,
    mining: stats.miningActive,
    state: stateJson(stats.state),
    sync: syncJson(stats.sync),
    ...(stats.finalHeight === undefined ? {} : { final_height: stats.finalHeight }),
    past: stats.past === undefined ? null : pastJson(stats.past),
    backups: backupsJson(stats.backups),
    gossip: gossipJson(context.gossip)
  }
}

/** Who may seal, in words: whoever works, an authority, or an authority who works. */
const consensusText = ({ authority, difficulty }: ChainSpec): string => {
  if (authority === undefined) return `proof-of-work/${difficulty.rule}`
  const isFree = difficulty.rule === "fixed" && difficulty.bits === 0
  return isFree ? "proof-of-authority" : `proof-of-authority+work/${difficulty.rule}`
}

const checkpointJson = ({ height, hash }: CheckpointView) => ({ height, hash: toHex(hash) })

export const finalityJson = ({ rules }: NodeFacts, view: FinalityView): ReplyOf<"finality"> => ({
  checkpoint_blocks: view.checkpointBlocks,
  final: checkpointJson(view.final),
  justified: checkpointJson(view.justified),
  on_branch: view.onBranch,
  conflict: view.conflict === undefined ? null : checkpointJson(view.conflict),
  votes: view.votes.map(({ authority, vote }) => ({
    authority: formatAddress(authority, rules.spec.addressPrefix),
    vote: vote === undefined ? null : { source: checkpointJson(vote.source), target: checkpointJson(vote.target) }
  })),
  guilty: view.guilty.map(({ authority, evidence }) => ({
    authority: formatAddress(authority, rules.spec.addressPrefix),
    evidence: toHex(evidence)
  }))
})

/** How the operator and others name this node, and where it is (L-H1, L-B15). */
export const namesJson = ({ config, httpUrl, nodeId }: NodeFacts) => ({
  node_id: config.name ?? nodeId,
  peer_id: nodeId,
  node_url: config.http.nodeUrl ?? httpUrl
})

/** `production` only where the operator says so. */
export const modeOf = ({ config }: NodeFacts): "development" | "production" => config.mode ?? "development"

/** The rule of difficulty as it stands in the spec, and by the names of the reference system. */
const difficultyJson = ({ spec, genesis }: NodeFacts["rules"]) => {
  const { difficulty } = spec
  const isPrefix = difficulty.rule === "prefix-window"
  return {
    difficulty: { ...difficulty },
    difficulty_prefix: prefixOf(genesis.header.target),
    min_difficulty_prefix_length: isPrefix ? difficulty.prefixMin : null,
    max_difficulty_prefix_length: isPrefix ? difficulty.prefixMax : null,
    target_block_seconds: difficulty.blockMs / 1000,
    difficulty_adjustment_window: windowOf(difficulty)
  }
}

const transportsJson = (facts: NodeFacts): Json<"stats", "meta">["transports"] => {
  const { p2pEndpoint, libp2p, gossipEndpoint, config } = facts
  const portOf = (endpoint: string | undefined): number | null => parseEndpoint(endpoint ?? "")?.port ?? null
  const { gossip } = config
  return {
    http: { endpoint: namesJson(facts).node_url },
    p2p:
      config.peers === undefined || config.peers.native === false
        ? null
        : { protocol: "cairn/1", endpoint: p2pEndpoint ?? null, port: portOf(p2pEndpoint), tls: true },
    libp2p:
      libp2p === undefined
        ? null
        : { protocol: libp2p.protocol, peer_id: libp2p.peerId, addresses: libp2p.addresses() },
    gossip:
      gossip === undefined || gossipEndpoint === undefined
        ? null
        : {
            protocol: "udp",
            endpoint: placeOf(gossipEndpoint) === "unspecified" ? null : gossipEndpoint,
            port: portOf(gossipEndpoint),
            fanout: gossip.fanout,
            plaintext: gossip.plaintext
          }
  }
}

export const metaJson = (facts: NodeFacts, tip: HeaderView["header"]): Json<"stats", "meta"> => {
  const { spec, genesis, ledger } = facts.rules
  const policy = facts.config.peers?.policy ?? peerPolicy
  return {
    name: "cairn",
    version: facts.version,
    schema_version: facts.schemaVersion,
    storage_engine: "sqlite",
    consensus: consensusText(spec),
    fork_choice: spec.authority === undefined ? "most-cumulative-work" : "most-cumulative-weight",
    model: spec.ledger.model,
    coinbase_maturity: spec.ledger.model === "utxo" ? spec.ledger.coinbaseMaturity : null,
    chain_id: spec.ledger.chainId,
    genesis: genesis.header.id,
    symbol: spec.ledger.symbol,
    decimals: spec.ledger.decimals,
    address_prefix: spec.addressPrefix,
    ...namesJson(facts),
    ...difficultyJson(facts.rules),
    limits: {
      max_peers: Math.min(peersMaxOf(spec), policy.peersMax),
      max_peers_per_ip: policy.perIpMax,
      max_peers_per_subnet: policy.perSubnetMax,
      max_pending_transactions: facts.config.pendingMax ?? pendingTransactionsMax,
      max_transactions_per_block: spec.block.transactionsMax,
      max_block_bytes: spec.block.bytesMax,
      max_transaction_note_bytes: spec.ledger.noteBytesMax,
      max_transaction_data_bytes: spec.ledger.payloadBytesMax ?? 0,
      min_transaction_fee: spec.ledger.feeMin,
      p2p_max_message_bytes: frameBytesMax
    },
    data_filler: spec.ledger.filler ?? null,
    mining_reward: ledger.rewardAt(tip.height + 1),
    transports: transportsJson(facts),
    updated_at: iso(tip.time)
  }
}

export const serviceJson = (facts: NodeFacts): Json<"info", "service"> => ({
  name: "cairn",
  version: facts.version,
  runtime: "bun",
  mode: modeOf(facts),
  ...namesJson(facts),
  chain_id: facts.rules.spec.ledger.chainId,
  signature_engine: facts.signatureEngine,
  aead_engine: facts.libp2p?.aeadEngine ?? null,
  hash_engine: facts.hashEngine
})
