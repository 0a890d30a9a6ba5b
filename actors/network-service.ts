/**
 * What other nodes and the operator may set off by HTTP: a look for a heavier branch, a claim of one, an endpoint. Asked from
 * the edge, where waiting harms no actor.
 */
import { Clock, Effect } from "effect"
import { pullMsMax, resolveMsMax, resolvesMax } from "../src/limits.ts"
import { type Answer, Busy, type NodeShape, type SyncView } from "../src/node/node.ts"
import type { PeerView } from "../src/node/peers.ts"
import type { Snapshot } from "../src/store/snapshot.ts"
import type { ActorRef } from "./actor.ts"
import type { HttpSyncMessage, Looked } from "./http-sync-protocol.ts"
import type { MaintenanceMessage, SessionId, SyncMessage } from "./protocol.ts"

export interface NetworkPorts {
  readonly snapshot: Snapshot
  readonly sessions: { readonly each: (f: (session: unknown, id: SessionId) => void) => void }
  readonly sync: ActorRef<SyncMessage>
  readonly maintenance: ActorRef<MaintenanceMessage>
  /** Undefined: the operator has named no nodes. */
  readonly httpSync: ActorRef<HttpSyncMessage> | undefined
}

/** Milliseconds between two looks at what a download has brought. */
const lookMs = 100
const nothing: Looked = { inspected: [], discovered: [] }

/** The calls of this part. */
export const makeNetwork = (ports: NetworkPorts): Pick<NodeShape, "resolve" | "inventory" | "heard"> => {
  const { snapshot, sync, maintenance, httpSync } = ports
  const read = <A>(f: () => A): Answer<A> => Effect.sync(() => snapshot.read(f))
  let pulls = 0

  const view = (): Answer<SyncView> => sync.ask<SyncView>((reply) => ({ _tag: "View", reply }))

  /** Waits until a fact holds, or the download over sessions rests without it; at most `ms`. */
  const until = (fact: () => Answer<boolean>, ms: number): Answer<boolean> =>
    Effect.gen(function* () {
      const end = (yield* Clock.currentTimeMillis) + ms
      for (let rests = 0; ; ) {
        const { state } = yield* view()
        // What came last may be landing still.
        rests = state === "idle" ? rests + 1 : 0
        if (yield* fact()) return true
        if (rests >= 2 || (yield* Clock.currentTimeMillis) >= end) return false
        yield* Effect.sleep(lookMs)
      }
    })

  const resolve: NodeShape["resolve"] = () =>
    Effect.gen(function* () {
      const before = yield* read(() => snapshot.tip())
      ports.sessions.each((_, session) => void sync.tell({ _tag: "Behind", session }))
      const looked =
        httpSync === undefined
          ? nothing
          : yield* httpSync.ask<Looked, Busy>((reply) => ({ _tag: "Resolve", reply }), resolveMsMax + 5_000)
      yield* until(() => Effect.succeed(false), pullMsMax)
      const peers = yield* maintenance.ask<ReadonlyArray<PeerView>>((reply) => ({ _tag: "Peers", reply }))
      const sessions = peers.filter(({ direction }) => direction !== "none")
      return { before, after: yield* read(() => snapshot.tip()), ...looked, sessions }
    })

  const inventory: NodeShape["inventory"] = ({ source, hash, work }) =>
    Effect.gen(function* () {
      const isKnown = (): Answer<boolean> =>
        read(() => snapshot.rowOf(hash) !== undefined || snapshot.tip().work >= work)
      if (yield* isKnown()) return "known" as const
      const session = yield* maintenance.ask<SessionId | undefined>((reply) => ({
        _tag: "SessionOf",
        node: source,
        reply
      }))
      if (session === undefined) {
        // Only those are asked by HTTP whom the operator has named: the actor knows them.
        httpSync?.tell({ _tag: "Hinted", url: source })
        return "noted" as const
      }
      if (pulls >= resolvesMax) return yield* new Busy({ actor: "sync", retryAfterMs: 1_000 })
      pulls++
      sync.tell({ _tag: "Behind", session })
      const came = yield* Effect.ensuring(
        until(isKnown, pullMsMax),
        Effect.sync(() => void pulls--)
      )
      return came ? ("updated" as const) : ("failed" as const)
    })

  const heard: NodeShape["heard"] = (peer) =>
    Effect.sync(() => void maintenance.tell({ _tag: "Found", from: undefined, peers: [peer] }))

  return { resolve, inventory, heard }
}
