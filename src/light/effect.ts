/** What the machines of the light client ask of whoever drives them. */
import type { ProofReject } from "../block/proof.ts"
import type { BlockRejectCode } from "../chain/reject.ts"
import type { LightQuestion } from "../peer/session.ts"

/** Names a conversation with a peer. */
export type SessionId = number

export type LightEffect =
  | { readonly _tag: "Ask"; readonly session: SessionId; readonly ask: LightQuestion }
  | { readonly _tag: "AskBlocks"; readonly session: SessionId; readonly hashes: ReadonlyArray<Uint8Array> }
  /** The peer has lied: why, with a stable code. Nothing more of it is heard. */
  | { readonly _tag: "Drop"; readonly session: SessionId; readonly code: LieCode; readonly message: string }
  /** Rows above this height are no longer what was stored: these are, and none after them. */
  | { readonly _tag: "Store"; readonly above: number; readonly headers: Uint8Array; readonly undone: number }

/** How a peer may lie to a light client, besides with blocks and proofs. */
export const lightLies = [
  "headers-malformed",
  "headers-unlinked",
  "work-unproven",
  "filter-header-wrong",
  "filter-malformed",
  "filter-wrong",
  "spend-hidden"
] as const

/** Why a peer is dropped. */
export type LieCode = (typeof lightLies)[number] | BlockRejectCode | ProofReject["code"]

export const drop = (session: SessionId, code: LieCode, message: string): LightEffect => ({
  _tag: "Drop",
  session,
  code,
  message
})
