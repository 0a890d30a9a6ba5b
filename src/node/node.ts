/** The node as outsiders see it: what the HTTP interface and the command line may ask. Actors and store stand behind it. */
import { Context, Data, type Effect } from "effect"
import type { Block } from "../block/block.ts"
import type { BlockHash, Header, Height, Target } from "../block/header.ts"
import type { AccountProof, CoinProof, TransactionProof } from "../block/proof.ts"
import type { BlockReject } from "../chain/reject.ts"
import type { Rules } from "../chain/rules.ts"
import type { NodeConfig } from "../config.ts"
import type { LeaderView } from "../consensus/leaders.ts"
import type { Address } from "../crypto/address.ts"
import type { Amount } from "../ledger/amount.ts"
import type { Coin } from "../ledger/coin.ts"
import type { TransactionReject } from "../ledger/reject.ts"
import type { Nonce, Outpoint, Transaction, TransactionId } from "../ledger/transaction.ts"
import type { EvidenceView, FinalityView, VotesView } from "./authorities.ts"
import type {
  GossipVerdict,
  GossipView,
  InspectedNode,
  InventoryClaim,
  InventoryOutcome,
  PeerAdded,
  PeerBookView,
  PeerView,
  ToldPeer
} from "./peers.ts"
import type { NodeState, StateName } from "../ready.ts"

/** The part of the node that was asked has more to do than it may queue. Try again after `retryAfterMs`. */
export class Busy extends Data.TaggedError("Busy")<{ readonly actor: string; readonly retryAfterMs: number }> {}
/** The part of the node that was asked is gone or does not answer in time: it stops, or it failed. */
export class Unavailable extends Data.TaggedError("Unavailable")<{
  readonly actor: string
  readonly reason: string
  /** The disk takes no writes for now. */
  readonly code?: "disk-full" | "storage-read-only"
}> {}
/** A backup was not made; none is left half made. */
export class BackupRefused extends Data.TaggedError("BackupRefused")<{
  readonly code: string
  readonly message: string
}> {}
/** The input was refused; nothing changed. */
export class TransactionRefused extends Data.TaggedError("TransactionRefused")<{
  readonly reject: TransactionReject
}> {}
/** A block that this node sealed itself was refused: nothing changed, and it is a bug of ours. */
export class BlockRefused extends Data.TaggedError("BlockRefused")<{ readonly reject: BlockReject }> {}
/** What an operator wishes of another authority cannot be; nothing changed. */
export class VoteRefused extends Data.TaggedError("VoteRefused")<{
  readonly code:
    | "authorities-missing"
    | "authorities-fixed"
    | "authority-not-ours"
    | "vote-wrong"
    | "wishes-full"
    | "wish-missing"
  readonly message: string
}> {}

export type Answer<A, E = never> = Effect.Effect<A, E | Busy | Unavailable>

export interface Libp2pFacts {
  readonly peerId: string
  /** A stream of it is a session. */
  readonly protocol: string
  /** What seals the frames of Noise. */
  readonly aeadEngine: string
  readonly addresses: () => ReadonlyArray<string>
}

/** What never changes while the node runs. */
export interface NodeFacts {
  readonly version: string
  readonly agent: string
  readonly nodeId: string
  readonly rules: Rules
  readonly dev: boolean
  readonly dataDir: string
  readonly p2pEndpoint: string | undefined
  /** Who the node is by libp2p, and where it hears; undefined: it does not speak it. */
  readonly libp2p?: Libp2pFacts | undefined
  /** Where announcements are heard by UDP; undefined: they are not. */
  readonly gossipEndpoint?: string | undefined
  readonly httpUrl: string
  readonly signatureEngine: string
  readonly hashEngine: string
  readonly mineThreads: number
  readonly startedAt: number
  /** Of the store: steps of its schema. */
  readonly schemaVersion: number
  /** What the operator chose, without the secrets: whoever shows it tells none. */
  readonly config: NodeConfig
  /** Bodies up to this height are dropped, the genesis excepted; 0 or undefined: none are. */
  readonly prunedTo?: number
}

export interface Account {
  readonly address: Address
  readonly balance: Amount
  /** Nonce of the last confirmed transfer; 0 if none. The next is one above. Always 0 on a chain of coins. */
  readonly nonce: Nonce
  /** How many coins hold the balance; undefined on a chain of accounts. */
  readonly coins: number | undefined
}

/** An account with what the pool would do to it. */
export interface AccountView extends Account {
  readonly pendingOutgoing: Amount
  readonly pendingIncoming: Amount
  /** The nonce to sign next, after the unbroken run of pending ones. */
  readonly nextNonce: Nonce
}

/** A coin that can be spent, and its name. */
export type NamedCoin = Coin & Outpoint

/** A coin with what may become of it. */
export interface CoinView extends NamedCoin {
  /** The first height in whose block it may be spent. */
  readonly spendableFrom: number
  /** The pending transaction that spends it. */
  readonly spentBy: TransactionId | undefined
}

/** A coin that a transaction spends. */
export interface SpentCoin extends Outpoint {
  readonly owner: Address
  readonly amount: Amount
}

/** A coin that a pending transaction would make, and no other of them spends. */
export interface PendingCoin extends Outpoint {
  readonly amount: Amount
}

/** A page of an address's coins, largest first, and what is pending for it. */
export interface CoinsView extends Page<CoinView> {
  /** Of the tip that they were read at. */
  readonly height: number
  /** Not in the order of the page, and the same on each; at most `httpPageMax`. */
  readonly pending: ReadonlyArray<PendingCoin>
}

/** Why there is no coin to show: its transaction is in a block, or pending, or not known with such an output. */
export type CoinAbsence = "spent" | "pending" | "unknown"

export interface BlockView {
  readonly block: Block
  readonly work: bigint
  readonly confirmations: number
  /** Have the votes of authorities settled it? Undefined where they do not vote. */
  readonly final: boolean | undefined
  /** Reward and fees, as the rules derive them. */
  readonly rewardUnits: Amount
}

export interface HeaderView {
  readonly header: Header
  readonly work: bigint
  /** Transfers or payments; the reward, derived or a coinbase, is not counted. */
  readonly transactionCount: number
}

export interface TransactionView {
  readonly transaction: Transaction
  /** The coins that a payment spends, in the order of its inputs; undefined of other forms. */
  readonly spends: ReadonlyArray<SpentCoin> | undefined
  /** Undefined while pending. */
  readonly block:
    | { readonly hash: BlockHash; readonly height: Height; readonly index: number; readonly confirmations: number }
    | undefined
}

/** A proof with what the node says beside it and the header does not commit to. */
export interface TransactionProofView {
  readonly proof: TransactionProof
  readonly index: number
  /** Leaves of the block's tree: a coinbase, which is the first of them, is counted. */
  readonly count: number
  readonly confirmations: number
}

export interface Tip {
  readonly header: Header
  readonly work: bigint
}

/** Who leads and who is next, as the tip has it; and for whom this node seals, if for anybody. */
export interface AuthoritiesView extends LeaderView {
  readonly self: Address | undefined
}

/** What an operator's order to look for a heavier branch has led to. */
export interface ResolveView {
  readonly before: Tip
  readonly after: Tip
  readonly inspected: ReadonlyArray<InspectedNode>
  /** Endpoints that the nodes' directories named. */
  readonly discovered: ReadonlyArray<string>
  /** Of peers with a session: they were asked, too. */
  readonly sessions: ReadonlyArray<PeerView>
}

export interface Stats {
  readonly blocks: number
  readonly pendingTransactions: number
  readonly pendingBytes: number
  readonly committedTransactions: number
  /** Units moved by all confirmed transactions. */
  readonly committedValue: number
  /** Addresses that ever held money, or on a chain of coins that hold some now. */
  readonly accounts: number
  /** Coins that can be spent; undefined on a chain of accounts. */
  readonly coins: number | undefined
  readonly peers: number
  readonly knownPeers: number
  readonly work: bigint
  /** That the next block must meet. */
  readonly nextTarget: Target
  readonly averageBlockMs: number | undefined
  readonly supply: Amount
  readonly queuedFees: Amount
  readonly pendingValue: Amount
  readonly hashesPerSecond: number
  readonly miningActive: boolean
  readonly state: NodeState
  readonly sync: SyncView
  /** Up to where the votes of authorities have settled the chain; undefined where they do not vote. */
  readonly finalHeight: number | undefined
  /** Undefined: every block of the chain has been replayed here. */
  readonly past: PastView | undefined
  /** Undefined: this node makes no backups of itself. */
  readonly backups: BackupsView | undefined
}

export interface SyncView {
  readonly state: "idle" | "headers" | "bodies"
  /** Peers that have said how long their chain is. */
  readonly peers: number
  readonly height: number
  readonly targetHeight: number
  readonly blocksPerSecond: number
  readonly etaMs: number | undefined
}

/** The replay of the blocks below a loaded snapshot: proven up to `height`, of `targetHeight`. */
export interface PastView {
  readonly height: number
  readonly targetHeight: number
  /** Since the node started. */
  readonly blocksPerSecond: number
  /** Undefined while the rate is not known. */
  readonly etaMs: number | undefined
}

/** A page of rows and the cursor of the next one. */
export interface Page<A> {
  readonly rows: ReadonlyArray<A>
  readonly next: string | undefined
}

/** Entries of the ledger as they were after a block, in the order of their keys. One that is not the last may be short. */
export interface StatePage extends Page<{ readonly key: string; readonly value: Uint8Array }> {
  readonly header: Header
}

/**
 * Why there is no state to show: no block has the height yet; it is below what is kept; the block that the cursor is of lost
 * its place on the best branch; or the cursor is none of ours.
 */
export type StateAbsence = "block-not-found" | "state-too-old" | "state-moved" | "cursor-invalid"

export type NodeEvent =
  | {
      readonly id: number
      readonly type: "tip"
      readonly height: number
      readonly hash: string
      readonly detached: number
      readonly attached: number
      readonly transactions: number
      readonly time: number
    }
  | {
      readonly id: number
      readonly type: "transaction"
      readonly transactionId: string
      readonly sender: string
      readonly recipient: string
      readonly amount: number
      readonly fee: number
    }
  | {
      readonly id: number
      readonly type: "double-sign"
      /** Text of the address. */
      readonly authority: string
      /** Proof was found for this slot, or a block has convicted whoever it names, who is no authority any more. */
      readonly change: "found" | "convicted"
      readonly slot: number | undefined
    }
  | {
      readonly id: number
      readonly type: "peer"
      readonly nodeId: string
      readonly change: "joined" | "left"
      readonly reason: string | undefined
    }
  | {
      readonly id: number
      readonly type: "state"
      readonly from: StateName
      readonly state: StateName
      readonly since: number
      readonly reason: string
      readonly message: string
    }

/** One open event stream. */
export interface Subscription {
  /** Events after the id that the listener had seen, oldest first. */
  readonly replay: ReadonlyArray<NodeEvent>
  /** True if some events after that id are no longer kept: the listener must read afresh. */
  readonly missed: boolean
  readonly close: () => void
}

/** A backup that this node has made. */
export interface BackupView {
  /** Its folder. */
  readonly path: string
  readonly label: string
  /** Milliseconds since 1970. */
  readonly at: number
  readonly height: number
  readonly bytes: number
}

/** How it is with backups of this node; since its start, but for the newest, which may be older. */
export interface BackupsView {
  readonly last: BackupView | undefined
  /** Milliseconds since 1970 when the next is due; undefined: they are made when asked for. */
  readonly nextAt: number | undefined
  readonly failures: number
  /** Code of why the newest try failed; undefined: it did not. The log has the words, which may name places of this machine. */
  readonly lastError: string | undefined
}

/** A backup as it was made: its manifest as docs/api.md shows it. */
export interface BackupMade {
  readonly path: string
  readonly manifest: Readonly<Record<string, unknown>>
}

export interface ReadyView {
  readonly ready: boolean
  readonly state: NodeState
  readonly reasons: ReadonlyArray<{ readonly code: string; readonly message: string }>
  /** Undefined: the node cannot say at this moment, and is not ready. */
  readonly sync: SyncView | undefined
  readonly backups: BackupsView | undefined
}

export interface NodeShape {
  readonly facts: NodeFacts
  /** Checks, admits and stores a signed transaction. Answered: it survives kill -9. */
  readonly submit: (
    transaction: Transaction
  ) => Answer<
    { readonly nextHeight: number; readonly pending: number; readonly account: AccountView },
    TransactionRefused
  >
  /** Seals one block now, to this proposer (the node's own if undefined). */
  readonly mine: (proposer: Address | undefined) => Answer<BlockView, BlockRefused>
  /** Mines from now on all the time, or stops. The operator's choice at the start holds until then. */
  readonly setMining: (on: boolean) => Answer<void>
  /** A block from outside any session, as if a peer had sent it; nobody pays for a bad one. */
  readonly offerBlock: (block: Block) => Answer<"attached" | "stored" | "known", BlockRefused>
  readonly tip: () => Answer<Tip>
  readonly blockAt: (height: number) => Answer<BlockView | undefined>
  readonly blockOf: (hash: BlockHash) => Answer<BlockView | undefined>
  /** Best-branch headers from a height up, at most `limit`. */
  readonly headersFrom: (height: number, limit: number) => Answer<ReadonlyArray<HeaderView>>
  /** Best-branch headers after the first known hash of a locator; from 1 if none is known. */
  readonly headersAfter: (locator: ReadonlyArray<BlockHash>, limit: number) => Answer<ReadonlyArray<HeaderView>>
  readonly locator: (limit: number) => Answer<ReadonlyArray<BlockHash>>
  /** Best-branch blocks from a height down, at most `limit`. */
  readonly blocksDownFrom: (height: number, limit: number) => Answer<ReadonlyArray<BlockView>>
  readonly transaction: (id: TransactionId) => Answer<TransactionView | undefined>
  /** Proof that the best branch has it; undefined if it has not. */
  readonly transactionProof: (id: TransactionId) => Answer<TransactionProofView | undefined>
  readonly account: (address: Address) => Answer<AccountView>
  /** Proof of the account, or that there is none, against the tip. */
  readonly accountProof: (address: Address) => Answer<AccountProof>
  /** A page of the coins of an address. Undefined: the cursor is none of ours. On a chain of accounts there are none. */
  readonly coins: (address: Address, cursor: string | undefined, limit: number) => Answer<CoinsView | undefined>
  readonly coin: (outpoint: Outpoint) => Answer<CoinView | CoinAbsence>
  /** Proof that the coin is there, or is not, against the tip. */
  readonly coinProof: (outpoint: Outpoint) => Answer<CoinProof>
  /** Accounts, or owners of coins, by balance, largest first. */
  readonly accounts: (cursor: string | undefined, limit: number) => Answer<Page<AccountView> | undefined>
  /** Pending transactions in the order in which they would be mined. */
  readonly pending: (cursor: string | undefined, limit: number) => Answer<Page<Transaction> | undefined>
  /** The coins of everybody, in the order of their names. Of a chain of accounts: none. */
  readonly everyCoin: (cursor: string | undefined, limit: number) => Answer<Page<NamedCoin> | undefined>
  /** A page of the state after the best branch's block at a height, as far back as `stateBlocksOf` the spec. */
  readonly stateAt: (height: number, cursor: string | undefined, limit: number) => Answer<StatePage | StateAbsence>
  /** The rota at the tip, with so many slots to come; undefined: the chain has no authorities. */
  readonly authorities: (ahead: number) => Answer<AuthoritiesView | undefined>
  /** `host`: of a caller who is not the operator, and whose word is hearsay; undefined: the operator wants it kept and dialled. */
  readonly addPeer: (endpoint: string, host?: string) => Answer<PeerAdded>
  /** Asks the operator's nodes and all sessions for a heavier branch, now. Answers in `resolveMsMax` and some seconds. */
  readonly resolve: () => Answer<ResolveView>
  /** Somebody says that a node has more: our own session with it is asked, and no other way is gone on such a word. */
  readonly inventory: (claim: InventoryClaim) => Answer<InventoryOutcome>
  /** Where a node has signed that it is: dialled like what peers tell of. */
  readonly heard: (peer: { readonly nodeId: string; readonly endpoint: string }) => Answer<void>
  /** Hears an announcement as it travels by UDP in the plain form, from a caller at an address. Absent: gossip is off. */
  readonly announce?: ((bytes: Uint8Array, remote: string) => Answer<GossipVerdict>) | undefined
  /** Absent: gossip is off. */
  readonly gossip?: (() => Answer<GossipView>) | undefined
  readonly peers: () => Answer<ReadonlyArray<PeerView>>
  readonly peerBook: () => Answer<PeerBookView>
  /**
   * Peers that others may be told of: some by chance, at most `max` and as many as the policy says. `except`: a node id or an
   * endpoint. `host`: of who asks, if known; it hears of no place that only we can reach.
   */
  readonly toldPeers: (
    max: number,
    except: string | undefined,
    host: string | undefined
  ) => Answer<ReadonlyArray<ToldPeer>>
  /** Bans a node, met or not; its session ends. `ms`: for so long, or as long as the policy says. `reason`: shown in the list. */
  readonly banPeer: (nodeId: string, ms: number | undefined, reason: string | undefined) => Answer<PeerView>
  /** Undefined: nothing is known of it. */
  readonly unbanPeer: (nodeId: string) => Answer<PeerView | undefined>
  /** Forgets a node and where it was, or an endpoint; its session ends. False: it was not known, or is a seed. */
  readonly removePeer: (name: string) => Answer<boolean>
  readonly stats: () => Answer<Stats>
  /** The cheap consistency check: the state tree is the one that the tip commits to. */
  readonly validate: () => Answer<{ readonly valid: boolean; readonly reason: string }>
  readonly ready: () => Answer<ReadyView>
  /** Copies the last commit into the folder of backups, while the node goes on; answered when it is on disk. */
  readonly backup: (label: string | undefined) => Answer<BackupMade, BackupRefused>
  /** Wishes from now on, or forgets, that somebody become an authority or be none; this node's blocks carry the vote. */
  readonly vote: (wish: "admit" | "expel" | "forget", subject: Address) => Answer<VotesView, VoteRefused>
  /** Undefined: the chain has no authorities. */
  readonly votes: () => Answer<VotesView | undefined>
  /** What is known against authorities, oldest first. Undefined: the chain has none. */
  readonly evidence: () => Answer<ReadonlyArray<EvidenceView> | undefined>
  /** Undefined: the chain has no finality. */
  readonly finality: () => Answer<FinalityView | undefined>
  /** Prometheus text of the node's metrics. */
  readonly metrics: () => Answer<string>
  /** Hears events from now on; undefined if too many listen. `onEvent` must not throw or wait. */
  readonly listen: (afterId: number | undefined, onEvent: (event: NodeEvent) => void) => Subscription | undefined
}

export class Node extends Context.Service<Node, NodeShape>()("cairn/node") {}
