/** Messages of the actors that speak to other nodes by HTTP. A part of protocol.ts. */
import type { CallOutcome, Inspected, SessionsNow } from "../src/peer/http-sync.ts"
import type { Lacking } from "../src/chain/branch.ts"
import type { BlockReject } from "../src/chain/reject.ts"
import type { Busy } from "../src/node/node.ts"
import type { Overflow, Reply } from "./actor.ts"
import type { HeadersVerdict } from "./protocol.ts"

/** What an order to look at every node has found. */
export interface Looked {
  readonly inspected: ReadonlyArray<Inspected>
  /** Endpoints that their directories named. */
  readonly discovered: ReadonlyArray<string>
}

export type HttpSyncMessage =
  | { readonly _tag: "Tick" }
  /** What the download over sessions is about. */
  | { readonly _tag: "Sessions"; readonly now: SessionsNow }
  | { readonly _tag: "Answered"; readonly ask: number; readonly outcome: CallOutcome }
  | { readonly _tag: "HeadersJudged"; readonly run: number; readonly verdict: HeadersVerdict }
  | { readonly _tag: "Missing"; readonly run: number; readonly lacking: Lacking | undefined }
  | {
      readonly _tag: "BodyJudged"
      readonly run: number
      readonly id: string
      readonly reject: BlockReject | undefined
    }
  /** Somebody says that a node has more. */
  | { readonly _tag: "Hinted"; readonly url: string }
  /** Look at every node now. Busy: too many wait for that. */
  | { readonly _tag: "Resolve"; readonly reply: Reply<Looked, Busy> }

/** One question is out at a time, and as many verdicts as one run offers blocks: they are owed. */
export const httpSyncOverflow: Readonly<Record<HttpSyncMessage["_tag"], Overflow>> = {
  Tick: "keep-latest",
  Sessions: "keep-latest",
  Answered: "owed",
  HeadersJudged: "owed",
  Missing: "keep-latest",
  BodyJudged: "owed",
  Hinted: "drop-new",
  Resolve: "refuse"
}

export type HttpRelayMessage =
  | { readonly _tag: "Tick" }
  | { readonly _tag: "Admitted"; readonly transactions: ReadonlyArray<{ readonly id: string; readonly bytes: string }> }
  | { readonly _tag: "Moved" }
  | {
      readonly _tag: "Answered"
      readonly target: number
      readonly ask: number
      readonly outcome: CallOutcome
    }

/** A transaction that is lost here is not posted: it stays pending, and whoever mines it tells of it. */
export const httpRelayOverflow: Readonly<Record<HttpRelayMessage["_tag"], Overflow>> = {
  Tick: "keep-latest",
  Admitted: "drop-new",
  Moved: "keep-latest",
  Answered: "owed"
}
