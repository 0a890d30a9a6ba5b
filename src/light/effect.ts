/** What the machines of the light client ask of whoever drives them. */
import type { LightQuestion } from "../peer/session.ts"

/** Names a conversation with a peer. */
export type SessionId = number

export type LightEffect =
  | { readonly _tag: "Ask"; readonly session: SessionId; readonly ask: LightQuestion }
  | { readonly _tag: "AskBlock"; readonly session: SessionId; readonly hash: Uint8Array }
  /** The peer has lied: why, with a stable code. Nothing more of it is heard. */
  | { readonly _tag: "Drop"; readonly session: SessionId; readonly code: string; readonly message: string }
  /** Rows above this height are no longer what was stored: these are, and none after them. */
  | { readonly _tag: "Store"; readonly above: number; readonly headers: Uint8Array; readonly undone: number }

export const drop = (session: SessionId, code: string, message: string): LightEffect => ({
  _tag: "Drop",
  session,
  code,
  message
})
