/** The messages of the actor of gossip. Nobody but its door, the ticker and the edges tells it anything. */
import type { GossipVerdict, GossipView } from "../src/node/peers.ts"
import type { Overflow, Reply } from "./actor.ts"

export type GossipMessage =
  /** Bytes from anybody, and the address that they name as theirs. */
  | { readonly _tag: "Datagram"; readonly bytes: Uint8Array; readonly host: string; readonly port: number }
  /** The same bytes by an authenticated way, from a caller at this address. */
  | {
      readonly _tag: "Carried"
      readonly bytes: Uint8Array
      readonly host: string
      readonly reply: Reply<GossipVerdict>
    }
  /** Where others can be dialled, as the directory has it. */
  | { readonly _tag: "Entries"; readonly endpoints: ReadonlyArray<string> }
  /** The address of a seed that is a name; undefined: it has none now. */
  | { readonly _tag: "Looked"; readonly name: string; readonly host: string | undefined }
  | { readonly _tag: "View"; readonly reply: Reply<GossipView> }
  | { readonly _tag: "Tick" }

/** A datagram that is lost here could have been lost on the way. */
export const gossipOverflow: Readonly<Record<GossipMessage["_tag"], Overflow>> = {
  Datagram: "drop-new",
  Carried: "refuse",
  Entries: "keep-latest",
  Looked: "drop-old",
  View: "refuse",
  Tick: "keep-latest"
}
