/** What outsiders see of other nodes, and what an operator wishes of them: the part of node.ts about peers. */
import type { BlockHash } from "../block/header.ts"

/** A node that has proven who it is, with what we know of it. Times are milliseconds since 1970. */
export interface PeerView {
  readonly nodeId: string
  /** Empty: it does not listen, or we never heard where. */
  readonly endpoint: string
  readonly source: "manual" | "seed" | "discovered" | "inbound"
  readonly direction: "inbound" | "outbound" | "none"
  readonly state: "active" | "known" | "backoff" | "banned"
  /** What it earned by being there, -1000 to 1000. */
  readonly score: number
  /** Misbehaviour points; at 100 it is banned. */
  readonly points: number
  readonly height: number
  readonly work: bigint
  readonly agent: string
  readonly capabilities: ReadonlyArray<string>
  readonly nodeUrl: string | undefined
  readonly gossipEndpoint: string | undefined
  readonly tlsFingerprint: string | undefined
  readonly latencyMs: number | undefined
  readonly discoveredAt: number
  readonly lastSeenAt: number | undefined
  readonly lastSuccessAt: number | undefined
  readonly lastFailureAt: number | undefined
  readonly successCount: number
  readonly failureCount: number
  readonly lastError: string | undefined
  readonly cooldownUntil: number | undefined
  readonly bannedUntil: number | undefined
  /** `manual`, `unreachable` (its endpoint only: it may come by itself), or the code of what it did. */
  readonly banReason: string | undefined
}

/** An endpoint where nobody was met yet. */
export interface PlaceView {
  readonly endpoint: string
  readonly source: PeerView["source"]
  readonly state: "known" | "backoff" | "banned"
  readonly discoveredAt: number
  readonly lastTriedAt: number | undefined
  /** Dials in vain in a row. */
  readonly failures: number
  readonly lastError: string | undefined
  readonly cooldownUntil: number | undefined
}

export interface PeerBookView {
  readonly peers: ReadonlyArray<PeerView>
  /** The operator's first; at most `httpPageMax`. */
  readonly unmet: ReadonlyArray<PlaceView>
  /** Endpoints that the operator named, that we found a node at, and that others named. */
  readonly counts: { readonly own: number; readonly tried: number; readonly new: number }
}

/** What others may be told of a peer: nothing that we observed. */
export interface ToldPeer
  extends Pick<
    PeerView,
    | "nodeId"
    | "endpoint"
    | "agent"
    | "capabilities"
    | "height"
    | "work"
    | "nodeUrl"
    | "gossipEndpoint"
    | "tlsFingerprint"
  > {
  /** X25519, in hex. */
  readonly gossipKey: string | undefined
}

/**
 * What became of an endpoint that was named: it will be dialled, it is one we know, there is no room for more, this node speaks to
 * no peers or not by that transport, the operator's list of hosts has it not, it is our own, or nobody could dial it.
 */
export type PeerAdded = "added" | "known" | "full" | "no-peers" | "unspoken" | "not-allowed" | "self" | "invalid"

/** What was found at a node that was asked by HTTP for a heavier branch. */
export interface InspectedNode {
  readonly url: string
  readonly status: "updated" | "noop" | "failed"
  readonly code: string | undefined
  /** What it says of its branch; undefined: it did not get so far. */
  readonly claim: { readonly height: number; readonly hash: string; readonly work: bigint } | undefined
  /** Headers that were new here, and blocks that it gave. */
  readonly headers: number
  readonly blocks: number
}

/** What somebody says that a node has. */
export interface InventoryClaim {
  /** An id, an endpoint or a URL. */
  readonly source: string
  readonly hash: BlockHash
  readonly work: bigint
}

/** We have it; our session with the node has brought it, or has not; or no session is with that node, and it is noted. */
export type InventoryOutcome = "known" | "updated" | "failed" | "noted"

/** What became of an announcement that a caller brought. */
export interface GossipVerdict {
  /** Why it was not heard; undefined: it was. */
  readonly refused: string | undefined
  readonly nodeId: string | undefined
  readonly endpoint: string | undefined
  readonly gossipEndpoint: string | undefined
  /** Endpoints that the directory was told of. */
  readonly found: number
  /** A session with the node is asked for its branch. */
  readonly isAhead: boolean
}

/** What has been announced by UDP, and what became of others' announcements, since the node started. */
export interface GossipView {
  /** Where others send to; empty: nowhere that they were told. */
  readonly endpoint: string
  readonly plaintext: boolean
  /** Peers that can be sent to under a seal; seeds whose address is known; nodes whose announcement is remembered. */
  readonly peers: number
  readonly seeds: number
  readonly nodes: number
  readonly sent: number
  readonly heard: number
  readonly unsent: number
  /** Datagrams not heard, by code. */
  readonly dropped: Readonly<Record<string, number>>
}
