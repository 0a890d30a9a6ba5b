/** What outsiders see of authorities: votes about each other, evidence, and what is final. The part of node.ts about them. */
import type { BlockHash, Header } from "../block/header.ts"
import type { Address } from "../crypto/address.ts"

/** What the operator of this authority wishes, and how far it is. */
export interface WishView {
  readonly vote: "admit" | "expel"
  readonly subject: Address
  /** Milliseconds since 1970. */
  readonly since: number
  /** `waiting` for a block of ours, or behind another wish; our vote is `cast` and counts; it is `done`, or can be no more. */
  readonly state: "waiting" | "cast" | "done" | "impossible"
}

/** What authorities want together, by votes that count in the next block. */
export interface MotionView {
  readonly vote: "admit" | "expel"
  readonly subject: Address
  readonly voters: ReadonlyArray<Address>
  /** Votes that it still needs. */
  readonly lacking: number
}

export interface VotesView {
  /** Of the tip. */
  readonly height: number
  readonly members: number
  /** Blocks for which a vote counts; 0: the list is fixed. */
  readonly voteBlocks: number
  readonly wishes: ReadonlyArray<WishView>
  readonly motions: ReadonlyArray<MotionView>
}

/** Proof that an authority sealed two blocks of one slot. */
export interface EvidenceView {
  readonly authority: Address
  readonly slot: number
  readonly first: Header
  readonly second: Header
  /** Milliseconds since 1970. */
  readonly found: number
  /** Of the guilty after the tip: `member`, it waits for a block that convicts; `convicted`; or `none`, it is no authority there. */
  readonly standing: "member" | "convicted" | "none"
  /** Is it against this node's own key? */
  readonly isOurs: boolean
}

/** A checkpoint as it is shown. */
export interface CheckpointView {
  readonly height: number
  readonly hash: BlockHash
}

/** What the votes of authorities have settled. */
export interface FinalityView {
  /** Blocks from a checkpoint to the next. */
  readonly checkpointBlocks: number
  readonly final: CheckpointView
  readonly justified: CheckpointView
  /** False: our branch does not have the final block, whose body is invalid or does not come. */
  readonly onBranch: boolean
  /** A block that others have made final and that contradicts ours: a third or more of the authorities are guilty. */
  readonly conflict: CheckpointView | undefined
  /** Of each authority at the tip, its newest vote that is held. */
  readonly votes: ReadonlyArray<{
    readonly authority: Address
    readonly vote: { readonly source: CheckpointView; readonly target: CheckpointView } | undefined
  }>
  /** Who has signed two votes that no honest authority signs both, and those. */
  readonly guilty: ReadonlyArray<{ readonly authority: Address; readonly evidence: Uint8Array }>
}
