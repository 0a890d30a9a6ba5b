/** Routes by which nodes speak to each other without a session, and the order to look for a heavier branch; a part of contract.ts. */
import { Schema } from "effect"
import { httpBlockBytesMax, peersPerMessageMax, rawBlocksMax, rawHeadersMax } from "../limits.ts"
import { bytes, count, hash, list, Meta, nullable, Service, text, Transaction } from "./shapes.ts"

const between = (minimum: number, maximum: number) => Schema.Int.check(Schema.isBetween({ minimum, maximum }))

const Tip = Schema.Struct({ height: count, hash, cumulative_work: text })
/** A peer as others are told of it: what it said of itself, and the certificate that it showed; not where it was seen. */
const PeerRecord = Schema.Struct({
  node_id: text,
  url: text,
  node_url: nullable(text),
  gossip_endpoint: nullable(text),
  tls_cert_fingerprint: nullable(text),
  version: text,
  capabilities: list(text),
  last_advertised_height: count,
  last_cumulative_work: text
})
const Inspected = Schema.Struct({
  url: text,
  status: Schema.Literals(["updated", "noop", "failed"]),
  code: nullable(text),
  tip: nullable(Tip),
  headers: count,
  blocks: count
})
/** A body whose fields are signed, and read by discovery/peer-word.ts. */
const Word = Schema.Record(Schema.String, Schema.Unknown)
const WordHeard = Schema.Struct({
  accepted: Schema.Boolean,
  /** The peer as the word has it. */
  peer: Schema.Struct({
    node_id: text,
    url: nullable(text),
    node_url: nullable(text),
    gossip_endpoint: nullable(text)
  }),
  discovered: list(text)
})
const source = { source_peer: Schema.optionalKey(text) }
const refusals = {
  400: "the body is wrong; the code says why",
  401: "no secret of the peers",
  503: "busy: Retry-After"
}

export const networkRoutes = {
  headersRaw: {
    method: "GET",
    path: "/api/headers/raw",
    auth: "public",
    summary: "Headers of the best branch after a locator, as bytes: for nodes that have no session.",
    query: Schema.Struct({
      locator: Schema.optionalKey(list(hash)),
      limit: Schema.optionalKey(between(1, rawHeadersMax))
    }),
    status: 200,
    refusals: { 400: "a wrong parameter" },
    reply: Schema.Struct({ genesis: hash, tip: Tip, count, headers: bytes })
  },
  blocksRaw: {
    method: "GET",
    path: "/api/blocks/raw",
    auth: "public",
    summary: "Blocks of the best branch by their hashes, as bytes, as many of the first as fit an answer.",
    query: Schema.Struct({ hashes: list(hash).check(Schema.isMinLength(1), Schema.isMaxLength(rawBlocksMax)) }),
    status: 200,
    refusals: { 400: "a wrong parameter" },
    reply: Schema.Struct({ count, blocks: list(bytes) })
  },
  resolve: {
    method: "POST",
    path: "/api/consensus/resolve",
    auth: "admin",
    summary: "Asks the bootstrap nodes and all peers for a heavier branch, now.",
    status: 200,
    refusals: { 401: "no token", 503: "busy: Retry-After" },
    reply: Schema.Struct({
      replaced: Schema.Boolean,
      discovery: Schema.Struct({ discovered: list(text), inspected: list(text) }),
      result: Schema.Struct({
        source_peer: nullable(text),
        blocks: count,
        cumulative_work: text,
        inspected: list(Inspected)
      }),
      snapshot: Schema.Struct({ meta: Meta, tip: Tip, peers: list(text) })
    })
  },
  networkPeers: {
    method: "GET",
    path: "/api/network/peers",
    auth: "peer",
    summary: "What this node is, how far it is, and whom it knows.",
    query: Schema.Struct({
      exclude: Schema.optionalKey(text),
      limit: Schema.optionalKey(between(1, peersPerMessageMax))
    }),
    status: 200,
    refusals: { 400: "a wrong parameter", 401: "no secret of the peers" },
    reply: Schema.Struct({
      service: Schema.Struct({ ...Service.fields, p2p_endpoint: nullable(text), gossip_endpoint: nullable(text) }),
      capabilities: Schema.Record(text, Schema.Boolean),
      meta: Meta,
      locator: Schema.Struct({ hashes: list(hash), height: count, cumulative_work: text, tip_hash: hash }),
      peers: list(text),
      peer_records: list(PeerRecord)
    })
  },
  networkInventory: {
    method: "POST",
    path: "/api/network/inventory",
    auth: "peer",
    summary: "Tells that a node has a branch. Our session with it is asked, nobody else. 202 if that led to a new tip.",
    body: Schema.Struct({
      ...source,
      inventory: Schema.Struct({
        locator: Schema.optionalKey(list(hash)),
        hashes: Schema.optionalKey(list(hash)),
        height: count,
        cumulative_work: Schema.String.check(Schema.isPattern(/^\d{1,78}$/u)),
        tip_hash: hash
      }),
      peers: Schema.optionalKey(list(Schema.Unknown))
    }),
    status: 202,
    noNews: 200,
    refusals: { ...refusals, 409: "our session with the node has not brought it" },
    reply: Schema.Struct({
      accepted: Schema.Boolean,
      updated: Schema.Boolean,
      status: Schema.Literals(["updated", "noop"]),
      message: text,
      advertised_locator: list(hash),
      discovered: list(text),
      snapshot: Tip
    })
  },
  networkBlocks: {
    method: "POST",
    path: "/api/network/blocks",
    auth: "peer",
    summary: "Takes a block: hex, or the JSON of this interface; in a body of its own or under block.",
    body: Schema.Union([Schema.Struct({ ...source, block: Schema.Unknown }), Word]),
    bodyBytesMax: httpBlockBytesMax,
    status: 202,
    refusals: { ...refusals, 409: "refused; accepted is false, and error says why" },
    reply: Schema.Struct({
      accepted: Schema.Literal(true),
      appended: Schema.Boolean,
      replaced: Schema.Boolean,
      message: text,
      snapshot: Tip
    })
  },
  networkTransactions: {
    method: "POST",
    path: "/api/network/transactions",
    auth: "peer",
    summary: "Takes a signed transaction: hex, or JSON; in a body of its own or under transaction. 200: it was known.",
    body: Schema.Union([Schema.Struct({ ...source, transaction: Schema.Unknown }), Word]),
    status: 202,
    noNews: 200,
    refusals,
    reply: Schema.Union([
      Schema.Struct({
        accepted: Schema.Literal(true),
        duplicate: Schema.Literal(false),
        next_block_index: count,
        transaction: Transaction
      }),
      Schema.Struct({ accepted: Schema.Literal(false), duplicate: Schema.Literal(true), message: text })
    ])
  },
  gossipAnnounce: {
    method: "POST",
    path: "/api/network/gossip/announce",
    auth: "peer",
    summary: "Takes a signed announcement, the bytes of a datagram in hex.",
    body: Schema.Struct({ announcement: bytes }),
    status: 202,
    noNews: 200,
    refusals: {
      ...refusals,
      409: "not heard; the code says why",
      429: "too often",
      503: "busy, or this node hears no announcements"
    },
    reply: Schema.Struct({
      accepted: Schema.Boolean,
      updated: Schema.Boolean,
      status: text,
      message: text,
      source_peer: nullable(text),
      source_gossip_endpoint: nullable(text),
      node_id: nullable(text),
      /** Endpoints that the directory was told of. */
      found: count,
      snapshot: Tip
    })
  },
  peerUpdate: {
    method: "POST",
    path: "/api/network/p2p/peer-update",
    auth: "peer",
    summary: "What a node says of itself, signed by itself. What only others can see of it is refused.",
    body: Word,
    status: 200,
    refusals: { ...refusals, 409: "heard before" },
    reply: WordHeard
  },
  peerFailure: {
    method: "POST",
    path: "/api/network/p2p/peer-failure",
    auth: "peer",
    summary: "That a node did not reach us, signed by itself. It changes no score.",
    body: Word,
    status: 200,
    refusals: { ...refusals, 409: "heard before" },
    reply: WordHeard
  }
} as const
