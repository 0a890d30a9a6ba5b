/** What several routes show of the node as it stands: figures, and first pages of its lists (L 1.2, `snapshot`). */
import { Effect } from "effect"
import { formatTransaction } from "../ledger/transaction-text.ts"
import type { Answer, BlockView, NodeShape } from "../node/node.ts"
import type { ReplyOf } from "./contract.ts"
import { accountJson, blockJson, metaJson, peerJson, statsJson } from "./json.ts"

/** Rows of each list of a snapshot that says no limit: what a page shows at a glance. */
export const snapshotSize = 12

const everyPeer = (node: NodeShape) =>
  Effect.map(node.peers(), (peers) => ({
    peers: peers.map(({ endpoint }) => endpoint),
    peer_records: peers.map(peerJson)
  }))

export const statsAndMeta = (node: NodeShape): Answer<ReplyOf<"stats">> =>
  Effect.gen(function* () {
    const { facts } = node
    const stats = yield* node.stats()
    const tip = yield* node.tip()
    const peers = yield* node.peers()
    const gossip = node.gossip === undefined ? undefined : yield* node.gossip()
    const { header } = tip
    return { stats: statsJson(facts, { stats, tip: header, peers, gossip }), meta: metaJson(facts, header) }
  })

/** Blocks from a height down; of height 0 there is nothing below. */
export const blocksFrom = (node: NodeShape, from: number, limit: number): Answer<ReadonlyArray<BlockView>> =>
  limit === 0 ? Effect.succeed([]) : node.blocksDownFrom(from, limit)

/** The node, these blocks, and at most so many rows of its other lists. */
export const snapshotWith = (
  node: NodeShape,
  blocks: ReadonlyArray<BlockView>,
  limit: number
): Answer<ReplyOf<"info">["snapshot"]> =>
  Effect.gen(function* () {
    const { facts } = node
    const shared = yield* statsAndMeta(node)
    const validation = yield* node.validate()
    const peers = yield* everyPeer(node)
    const pending = limit === 0 ? undefined : yield* node.pending(undefined, limit)
    const accounts = limit === 0 ? undefined : yield* node.accounts(undefined, limit)
    return {
      ...shared,
      validation,
      chain: blocks.map((view) => blockJson(facts, view)),
      pending_transactions: (pending?.rows ?? []).map((row) => formatTransaction(row, facts.rules.spec.addressPrefix)),
      ...peers,
      accounts: (accounts?.rows ?? []).map((row) => accountJson(facts, row))
    }
  })

/** The node and its newest blocks. */
export const snapshotOf = (node: NodeShape, limit: number): Answer<ReplyOf<"info">["snapshot"]> =>
  Effect.flatMap(blocksFrom(node, Number.MAX_SAFE_INTEGER, limit), (blocks) => snapshotWith(node, blocks, limit))
