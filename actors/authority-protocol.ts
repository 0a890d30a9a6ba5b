/** Messages of the actors that only chains of authorities have, and what happens when their inbox is full. See protocol.ts. */
import type { Result } from "effect"
import type { CheckpointVote, Link } from "../src/consensus/checkpoint.ts"
import type { Evidence } from "../src/consensus/evidence.ts"
import type { Address } from "../src/crypto/address.ts"
import type { Unavailable, VoteRefused } from "../src/node/node.ts"
import type { FinalityView, VotesView } from "../src/node/authorities.ts"
import type { Unsigned } from "../src/validator/protection.ts"
import type { Seal } from "../src/validator/signer.ts"
import type { Overflow, Reply } from "./actor.ts"
import type { SessionId, TipMoved } from "./protocol.ts"

// ── ballots ──────────────────────────────────────────────────────────────────────────────────────────────────────────

export type BallotsMessage =
  | TipMoved
  /** The chain has found an authority that seals twice, and has kept the proof. */
  | { readonly _tag: "Caught"; readonly evidence: Evidence }
  /** A peer says that these bytes prove it. */
  | { readonly _tag: "Told"; readonly bytes: Uint8Array; readonly from: SessionId; readonly refused: () => void }
  /** The operator's word about somebody. */
  | {
      readonly _tag: "Vote"
      readonly wish: "admit" | "expel" | "forget"
      readonly subject: Address
      readonly reply: Reply<VotesView, VoteRefused | Unavailable>
    }

/** What the chain has found is on disk already: only the word of it can be lost. */
export const ballotsOverflow: Readonly<Record<BallotsMessage["_tag"], Overflow>> = {
  TipMoved: "keep-latest",
  Caught: "drop-old",
  Told: "drop-new",
  Vote: "refuse"
}

// ── finality ─────────────────────────────────────────────────────────────────────────────────────────────────────────

export type FinalityMessage =
  | TipMoved
  /** From a peer: well formed, their signatures not looked at. */
  | { readonly _tag: "Votes"; readonly session: SessionId; readonly votes: ReadonlyArray<CheckpointVote> }
  /** A peer wants what proves checkpoints above a height. */
  | { readonly _tag: "Asked"; readonly session: SessionId; readonly above: number }
  /** A peer has come that we may ask. */
  | { readonly _tag: "Joined"; readonly session: SessionId }
  /** The signer's word on our own vote. */
  | { readonly _tag: "Voted"; readonly link: Link; readonly answer: Result.Result<Seal, Unsigned> }
  | { readonly _tag: "Tick" }
  | { readonly _tag: "View"; readonly reply: Reply<FinalityView> }

/** What is lost from peers is asked for again while nothing becomes final. */
export const finalityOverflow: Readonly<Record<FinalityMessage["_tag"], Overflow>> = {
  TipMoved: "keep-latest",
  Votes: "drop-new",
  Asked: "drop-new",
  Joined: "drop-new",
  Voted: "keep-latest",
  Tick: "keep-latest",
  View: "refuse"
}
