/**
 * Every message between actors, with its answer and with what happens when the inbox is full.
 *
 *   peer-session ──► sync ──► chain ──► mempool ──► peer-session (relay)
 *        │            ▲         │  └──► miner ──► chain (Offer)
 *        └► maintenance (directory, dials, bans)
 *
 * No step asks another actor: it tells, and the answer comes back as a message of its own (`reply` below is called by the
 * receiver). Asks come only from the edges: HTTP, command line, tests.
 */
import type { Result } from "effect"
import type { Block } from "../src/block/block.ts"
import type { BlockHash, Header } from "../src/block/header.ts"
import type { Lacking } from "../src/chain/branch.ts"
import type { Anchors } from "../src/chain/choose.ts"
import type { BlockReject } from "../src/chain/reject.ts"
import type { Address } from "../src/crypto/address.ts"
import type { Amount } from "../src/ledger/amount.ts"
import type { TransactionReject } from "../src/ledger/reject.ts"
import type { Transaction } from "../src/ledger/transaction.ts"
import type { AccountView, BlockRefused, Busy, Page, SyncView, TransactionRefused, Unavailable } from "../src/node/node.ts"
import type { PeerAdded, PeerBookView, PeerView, ToldPeer } from "../src/node/peers.ts"
import type { Unsigned } from "../src/validator/protection.ts"
import type { Seal } from "../src/validator/signer.ts"
import type { Overflow, Reply } from "./actor.ts"

/** The session that something came from; undefined: from ourselves. */
export type Source = SessionId | undefined
/** Counts sessions since the node started. Names the actor `session-<n>`. */
export type SessionId = number

// ── chain ────────────────────────────────────────────────────────────────────────────────────────────────────────────

export interface HeadersVerdict {
  /** Headers of the page that were not known before. */
  readonly known: number
  /** The last good header of the page: the sender's branch has it. */
  readonly last: Header | undefined
  readonly reject: BlockReject | undefined
  /** The heaviest header known after the page. */
  readonly heaviest: { readonly height: number; readonly work: bigint }
}

export interface BlockVerdict {
  readonly outcome: "attached" | "stored" | "known"
}

export type ChainMessage =
  | { readonly _tag: "OfferHeaders"; readonly headers: ReadonlyArray<Header>; readonly reply: Reply<HeadersVerdict> }
  | {
      readonly _tag: "OfferBlock"
      readonly block: Block
      readonly from: Source
      readonly reply: Reply<BlockVerdict, BlockReject>
    }
  /** Which bodies does the branch of this header lack, or for `pastHead` the past? Undefined: it cannot become ours. */
  | {
      readonly _tag: "MissingBodies"
      readonly head: string
      readonly limit: number
      readonly reply: Reply<Lacking | undefined>
    }
  /** What is stored may win now: after a start, and when the past of a loaded snapshot is proven. */
  | { readonly _tag: "Resume" }
  /** The votes of authorities have made these final and justified. */
  | Anchored

/** A header page that does not fit is asked for again by its session's timeout; a block waits, so sockets slow down. */
export const chainOverflow: Readonly<Record<ChainMessage["_tag"], Overflow>> = {
  OfferHeaders: "wait",
  OfferBlock: "wait",
  MissingBodies: "keep-latest",
  Resume: "wait",
  Anchored: "keep-latest"
}

/** What the branch that wins is to have. */
export interface Anchored {
  readonly _tag: "Anchored"
  readonly anchors: Anchors
}

/** Told by the chain to everyone who builds on the tip, after the move is on disk. */
export interface TipMoved {
  readonly _tag: "TipMoved"
  readonly tip: Header
  readonly work: bigint
  /** Blocks left and joined, fork point outwards. */
  readonly detached: number
  readonly attached: ReadonlyArray<Header>
  /** Transactions that are confirmed now, and those of the losing branch that are not (defect 3). */
  readonly confirmed: ReadonlyArray<Transaction>
  readonly returned: ReadonlyArray<Transaction>
  /** Keys of the ledger entries that changed. */
  readonly touched: ReadonlyArray<string>
  readonly from: Source
}

// ── mempool ──────────────────────────────────────────────────────────────────────────────────────────────────────────

export interface Admitted {
  readonly pending: number
  readonly account: AccountView
}

export interface PoolTotals {
  readonly count: number
  readonly bytes: number
  readonly fees: number
  readonly value: number
}

/** Hex ids of the transactions that spend the coins asked for, in their order; and coins that are to be, by key. */
export interface PendingCoins {
  readonly spenders: ReadonlyArray<string | undefined>
  readonly paid: ReadonlyArray<{ readonly key: string; readonly amount: Amount }>
}

export type MempoolMessage =
  /** From the edge: answered only when it is on disk. Unavailable: there is no room on it, and nothing was taken. */
  | {
      readonly _tag: "Submit"
      readonly transaction: Transaction
      readonly reply: Reply<Admitted, TransactionRefused | Unavailable>
    }
  /** From a peer: verdicts matter for its score only. */
  | {
      readonly _tag: "Relay"
      readonly transactions: ReadonlyArray<Transaction>
      readonly from: SessionId
      readonly refused: (reject: TransactionReject) => void
    }
  | TipMoved
  /** What to mine next, in order. Answered at once; nothing leaves the pool. */
  | {
      readonly _tag: "Select"
      readonly transactionsMax: number
      readonly bytesMax: number
      readonly reply: Reply<ReadonlyArray<Transaction>>
    }
  | {
      readonly _tag: "Find"
      readonly ids: ReadonlyArray<string>
      readonly reply: Reply<ReadonlyArray<Transaction | undefined>>
    }
  | { readonly _tag: "Account"; readonly address: Address; readonly reply: Reply<AccountView> }
  | {
      readonly _tag: "Accounts"
      readonly rows: ReadonlyArray<Address>
      readonly reply: Reply<ReadonlyArray<AccountView>>
    }
  /** What is pending of coins: the spenders of some, by the keys of their entries, and what an address is to be paid. */
  | {
      readonly _tag: "Coins"
      readonly keys: ReadonlyArray<string>
      readonly address: Address | undefined
      readonly reply: Reply<PendingCoins>
    }
  | {
      readonly _tag: "Pending"
      readonly cursor: string | undefined
      readonly limit: number
      readonly reply: Reply<Page<Transaction> | undefined>
    }
  /** What is pending, at most `limit`: for a peer that has just come and may lack it. */
  | { readonly _tag: "Ids"; readonly limit: number; readonly reply: Reply<ReadonlyArray<string>> }
  | { readonly _tag: "Totals"; readonly reply: Reply<PoolTotals> }
  | { readonly _tag: "Expire" }

/** Submitters hear Busy and may try again; relayed ones are announced again; a tip is never lost. */
export const mempoolOverflow: Readonly<Record<MempoolMessage["_tag"], Overflow>> = {
  Submit: "refuse",
  Relay: "drop-new",
  TipMoved: "wait",
  Select: "refuse",
  Find: "refuse",
  Account: "refuse",
  Accounts: "refuse",
  Coins: "refuse",
  Pending: "refuse",
  Ids: "wait",
  Totals: "refuse",
  Expire: "keep-latest"
}

// ── miner ────────────────────────────────────────────────────────────────────────────────────────────────────────────

export type MinerMessage =
  | TipMoved
  /** Something came into the pool. */
  | { readonly _tag: "PoolGrew" }
  /** Seal one block now. Busy: too many wait for theirs. Unavailable: no thread works that could. */
  | {
      readonly _tag: "MineNow"
      readonly proposer: Address | undefined
      readonly reply: Reply<Block, BlockRefused | Busy | Unavailable>
    }
  /** Mine all the time, or only when there is another reason to; until told otherwise. */
  | { readonly _tag: "SetMining"; readonly on: boolean; readonly reply: Reply<void> }
  /** The pool's answer to the template being made. */
  | { readonly _tag: "Selected"; readonly job: number; readonly transactions: ReadonlyArray<Transaction> }
  /** A worker's report on its range. */
  | {
      readonly _tag: "Searched"
      readonly job: number
      readonly thread: number
      readonly hashes: number
      readonly nonce: number | undefined
    }
  /** The signer's word on the header in hand. */
  | {
      readonly _tag: "Signed"
      readonly job: number
      readonly slot: number
      readonly answer: Result.Result<Seal, Unsigned>
    }
  /** A mining thread has ended, or could not begin. */
  | { readonly _tag: "ThreadFailed"; readonly thread: number; readonly reason: string }
  /** The chain's verdict on our block. Neither attached nor refused: another branch was faster. */
  | {
      readonly _tag: "Judged"
      readonly job: number
      readonly attached: boolean
      readonly reject: BlockReject | undefined
    }
  /** Time to seal by the clock, or to refresh the template. */
  | { readonly _tag: "Tick" }

/** A header to seal; `job` 0: stop. `from` and `stride` keep threads from trying the same nonces. */
export interface SearchJob {
  readonly job: number
  readonly header: Uint8Array
  readonly target: Uint8Array
  readonly from: number
  readonly stride: number
}

export interface SearchReport {
  readonly job: number
  readonly hashes: number
  readonly nonce: number | undefined
}

/** Of answers only the last can be to the job in hand; of threads' failures each counts. */
export const minerOverflow: Readonly<Record<MinerMessage["_tag"], Overflow>> = {
  TipMoved: "keep-latest",
  PoolGrew: "keep-latest",
  MineNow: "refuse",
  SetMining: "refuse",
  Selected: "keep-latest",
  Searched: "drop-old",
  Signed: "keep-latest",
  ThreadFailed: "owed",
  Judged: "keep-latest",
  Tick: "keep-latest"
}

// ── sync ─────────────────────────────────────────────────────────────────────────────────────────────────────────────

/** A peer's claim about its best branch. */
export interface PeerTip {
  readonly height: number
  readonly work: bigint
  readonly hash: string
}

export type SyncMessage =
  | { readonly _tag: "Joined"; readonly session: SessionId; readonly tip: PeerTip }
  | { readonly _tag: "Left"; readonly session: SessionId }
  | { readonly _tag: "Claimed"; readonly session: SessionId; readonly tip: PeerTip }
  /** `asked`: an answer to our getheaders; else an announcement. */
  | {
      readonly _tag: "Headers"
      readonly session: SessionId
      readonly headers: ReadonlyArray<Header>
      readonly asked: boolean
    }
  | {
      readonly _tag: "HeadersJudged"
      readonly session: SessionId
      readonly asked: boolean
      readonly full: boolean
      readonly verdict: HeadersVerdict
    }
  | { readonly _tag: "Body"; readonly session: SessionId; readonly block: Block }
  | {
      readonly _tag: "BodyJudged"
      readonly session: SessionId
      readonly id: string
      readonly reject: BlockReject | undefined
    }
  /** The peer does not have what we asked for, or did not answer in time. */
  | {
      readonly _tag: "NotGiven"
      readonly session: SessionId
      readonly ids: ReadonlyArray<string>
      readonly stalled: boolean
    }
  | { readonly _tag: "Missing"; readonly head: string; readonly lacking: Lacking | undefined }
  | TipMoved
  /** The peer votes for a block that we do not know. */
  | { readonly _tag: "Behind"; readonly session: SessionId }
  | Anchored
  | { readonly _tag: "Tick" }
  | { readonly _tag: "View"; readonly reply: Reply<SyncView> }

/**
 * Bodies wait, so that a session stops reading its socket, and so does the rest that comes from sessions. The chain does not
 * wait for us, who may wait for it: its verdicts are owed.
 */
export const syncOverflow: Readonly<Record<SyncMessage["_tag"], Overflow>> = {
  Joined: "wait",
  Left: "wait",
  Claimed: "drop-old",
  Headers: "wait",
  HeadersJudged: "owed",
  Body: "wait",
  BodyJudged: "owed",
  NotGiven: "wait",
  Missing: "keep-latest",
  TipMoved: "keep-latest",
  Behind: "drop-new",
  Anchored: "keep-latest",
  Tick: "keep-latest",
  View: "refuse"
}

// ── peer session ─────────────────────────────────────────────────────────────────────────────────────────────────────

export type SessionMessage =
  /** Bytes from the socket, in order. */
  | { readonly _tag: "Bytes"; readonly bytes: Uint8Array }
  | { readonly _tag: "Closed"; readonly reason: string }
  /** The socket has taken all that was queued. */
  | { readonly _tag: "Drained" }
  /** Maintenance lets the peer stay. */
  | { readonly _tag: "Admitted" }
  /** The sync actor has begun anew: tell it of this session. */
  | { readonly _tag: "Rejoin" }
  | { readonly _tag: "AskHeaders"; readonly locator: ReadonlyArray<BlockHash> }
  | { readonly _tag: "AskBodies"; readonly ids: ReadonlyArray<string> }
  /** Ask for what proves checkpoints above a height. */
  | { readonly _tag: "AskVotes"; readonly above: number }
  | { readonly _tag: "TellVotes"; readonly votes: ReadonlyArray<Uint8Array> }
  /** Our tip moved: tell the peer, unless it knows. */
  | {
      readonly _tag: "AnnounceTip"
      readonly headers: ReadonlyArray<Header>
      readonly work: bigint
      readonly from: Source
    }
  | {
      readonly _tag: "AnnounceTransactions"
      readonly ids: ReadonlyArray<string>
      readonly from: Source
      /** They may have been named before. */
      readonly again?: boolean
    }
  /** Proof against an authority: tell the peer, unless it knows. */
  | { readonly _tag: "AnnounceEvidence"; readonly evidence: Uint8Array }
  /** Ask for whom it knows. */
  | { readonly _tag: "AskPeers" }
  /** Price what this peer's offer was refused for. */
  | { readonly _tag: "Punish"; readonly code: string; readonly message: string; readonly points: number }
  | { readonly _tag: "Close"; readonly reason: string }
  | { readonly _tag: "Tick" }

/** The socket is paused long before `Bytes` could overflow; announcements are repeated by the next tip. */
export const sessionOverflow: Readonly<Record<SessionMessage["_tag"], Overflow>> = {
  Bytes: "refuse",
  Closed: "keep-latest",
  Drained: "keep-latest",
  Admitted: "keep-latest",
  Rejoin: "keep-latest",
  AskHeaders: "drop-new",
  AskBodies: "drop-new",
  AskVotes: "drop-new",
  TellVotes: "drop-new",
  AnnounceTip: "drop-old",
  AnnounceTransactions: "drop-new",
  AnnounceEvidence: "drop-new",
  AskPeers: "drop-new",
  Punish: "drop-new",
  Close: "keep-latest",
  Tick: "keep-latest"
}

// ── maintenance ──────────────────────────────────────────────────────────────────────────────────────────────────────

export interface PeerFacts {
  readonly session: SessionId
  readonly nodeId: string
  readonly endpoint: string | undefined
  readonly remoteHost: string
  readonly direction: "inbound" | "outbound"
  readonly agent: string
  readonly capabilities?: ReadonlyArray<string> | undefined
  /** The endpoint that we dialled, if we did. */
  readonly dialled: string | undefined
  /** What its signed hello says beside that: where it hears announcements by UDP and with which X25519 key, and its URL. */
  readonly gossipEndpoint?: string | undefined
  readonly gossipKey?: Uint8Array | undefined
  readonly nodeUrl?: string | undefined
  /** SHA-256 of the certificate that its TLS session showed, in hex. */
  readonly tlsFingerprint?: string | undefined
}

export type MaintenanceMessage =
  /** A proven peer wants in: true, or why not. */
  | {
      readonly _tag: "Admit"
      readonly facts: PeerFacts
      readonly reply: Reply<true, { readonly code: string; readonly message: string }>
    }
  | { readonly _tag: "SessionEnded"; readonly session: SessionId; readonly reason: string }
  | { readonly _tag: "DialFailed"; readonly endpoint: string; readonly reason: string }
  | { readonly _tag: "Misbehaved"; readonly session: SessionId; readonly code: string; readonly points: number }
  | {
      readonly _tag: "Measured"
      readonly session: SessionId
      readonly latencyMs: number | undefined
      readonly height: number | undefined
      /** Cumulative, of the branch with that height. */
      readonly work?: bigint
    }
  /** What it gave was new here, and good. */
  | { readonly _tag: "Gave"; readonly session: SessionId; readonly what: "block" | "transaction" }
  | {
      readonly _tag: "Found"
      /** Undefined: a discovery service. */
      readonly from: Source
      readonly peers: ReadonlyArray<{ readonly endpoint: string; readonly nodeId: string }>
    }
  /** A node has signed lately that it listens there. */
  | { readonly _tag: "Announced"; readonly endpoint: string; readonly nodeId: string }
  | {
      readonly _tag: "Advertise"
      readonly to: SessionId
      readonly reply: Reply<ReadonlyArray<{ readonly endpoint: string; readonly nodeId: string }>>
    }
  /** The same for the edge, with all that may be told. `host`: where who asks is. */
  | {
      readonly _tag: "Tell"
      readonly except: string | undefined
      readonly host: string | undefined
      readonly max: number
      readonly reply: Reply<ReadonlyArray<ToldPeer>>
    }
  /** An endpoint that the operator names; or a caller at `host`. */
  | {
      readonly _tag: "AddPeer"
      readonly endpoint: string
      readonly host: string | undefined
      readonly reply: Reply<PeerAdded>
    }
  | {
      readonly _tag: "Ban"
      readonly nodeId: string
      readonly ms: number | undefined
      readonly reason: string | undefined
      readonly reply: Reply<PeerView>
    }
  /** The rest of the operator's word; undefined: nothing is known of that name. */
  | { readonly _tag: "Unban"; readonly nodeId: string; readonly reply: Reply<PeerView | undefined> }
  /** A node id, or an endpoint. False: not known. */
  | { readonly _tag: "RemovePeer"; readonly name: string; readonly reply: Reply<boolean> }
  | { readonly _tag: "Peers"; readonly reply: Reply<ReadonlyArray<PeerView>> }
  /** The session with a node, by its id or what its hello said of where it is. */
  | { readonly _tag: "SessionOf"; readonly node: string; readonly reply: Reply<SessionId | undefined> }
  | { readonly _tag: "Book"; readonly reply: Reply<PeerBookView> }
  | { readonly _tag: "Tick" }

export const maintenanceOverflow: Readonly<Record<MaintenanceMessage["_tag"], Overflow>> = {
  Admit: "refuse",
  SessionEnded: "wait",
  DialFailed: "drop-new",
  Misbehaved: "wait",
  Measured: "drop-old",
  Gave: "drop-old",
  Found: "drop-new",
  Announced: "drop-new",
  Advertise: "refuse",
  Tell: "refuse",
  AddPeer: "refuse",
  Ban: "refuse",
  Unban: "refuse",
  RemovePeer: "refuse",
  Peers: "refuse",
  SessionOf: "refuse",
  Book: "refuse",
  Tick: "keep-latest"
}
