/** What this node does, by the names of the reference system (L 1.2) and some of ours: true only if it is so here and now. */
import type { NodeFacts } from "../node/node.ts"

/** What only the app knows of itself. */
export interface AppFacts {
  /** Is the page served? */
  readonly hasPage: boolean
  /** May clients ask only so often, in a class at least? */
  readonly isLimited: boolean
}

/** What concerns peers: false throughout on a node that speaks to none. */
const amongPeers = ({ config, libp2p }: NodeFacts): Readonly<Record<string, boolean>> => {
  const speaks = config.peers !== undefined
  const policy = config.peers?.policy
  return {
    peer_propagation: speaks,
    peer_discovery: speaks,
    peer_reputation: speaks,
    inventory_announcements: speaks,
    native_p2p_transport: speaks && config.peers?.native !== false,
    libp2p_transport: libp2p !== undefined,
    gossip_transport: config.gossip !== undefined,
    headers_first_sync: speaks,
    background_maintenance: speaks && (policy === undefined || policy.maintenanceMs !== undefined),
    block_filters: speaks && config.filters !== false
  }
}

/** What the chain's rules make of it. */
const byTheChain = ({ rules }: NodeFacts): Readonly<Record<string, boolean>> => {
  const { ledger, difficulty, authority } = rules.spec
  return {
    signed_transactions: true,
    nonce_enforcement: ledger.model === "account",
    account_balances: true,
    retargeted_prefix_pow: difficulty.rule === "prefix-window",
    most_cumulative_work_consensus: authority === undefined,
    proof_of_authority: authority !== undefined,
    finality: authority?.finality !== undefined,
    state_proofs: true
  }
}

export const capabilitiesOf = (
  facts: NodeFacts,
  { hasPage, isLimited }: AppFacts
): Readonly<Record<string, boolean>> => {
  const { http } = facts.config
  return {
    ...byTheChain(facts),
    ...amongPeers(facts),
    block_fetch_by_hash: true,
    // A development node lets its own machine in without a token.
    admin_authentication: !facts.dev,
    // Peers sign their hello, and over HTTP show a secret without which nobody is heard.
    peer_authentication: true,
    rate_limiting: isLimited,
    frontend_console: hasPage,
    frontend_learn: hasPage,
    full_history: !facts.prunedTo,
    event_stream: true,
    openapi: true,
    server_wallets: http.serverWallets === true,
    mine_on_get: http.mineOnGet === true
  }
}
