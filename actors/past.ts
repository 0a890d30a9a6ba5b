/**
 * Proves the past of a loaded snapshot while the node serves: a mailbox around src/store/past.ts. The download brings old
 * bodies when nothing newer is lacking (chain.ts, sync.ts); here they are replayed, a few at a time, and each group is on
 * disk before the next. A past that breaks the rules ends the node.
 */
import { Clock, Effect, Result } from "effect"
import type { Block } from "../src/block/block.ts"
import type { Rules } from "../src/chain/rules.ts"
import { VerifiedLeaves } from "../src/chain/verified.ts"
import { blockTransactionsMax } from "../src/limits.ts"
import { nextOfPast, provePast } from "../src/store/past.ts"
import type { DiskRoom } from "../src/store/room.ts"
import type { ChainStore } from "../src/store/store.ts"
import { Actor, type ActorRef, type ActorSpec, type ActorWatch } from "./actor.ts"
import type { Metrics } from "./metrics.ts"
import { startGroup } from "./supervisor.ts"
import { type PastMessage, pastOverflow } from "./protocol.ts"

export interface PastPorts {
  readonly rules: Rules
  readonly store: ChainStore
  readonly disk: DiskRoom
  readonly self: () => ActorRef<PastMessage>
}

interface State {
  readonly clock: Clock.Clock
  /** Height and time at the start, for the rate; time of the last word on it. */
  readonly began: { readonly height: number; readonly at: number }
  saidAt: number
}

/** Blocks, and transactions but for those of a single block, replayed in one step: some ten milliseconds. */
const group = { blocks: 32, transactions: 256 } as const
/** Signatures checked before others get a turn. */
const signaturesPerSlice = 64
const sayEveryMs = 10_000
/** This actor's name as one who writes to the disk. */
const writer = "past"

/** The past actor. */
export const makePast = ({ rules, store, disk, self }: PastPorts): ActorSpec<State, PastMessage> => {
  const checkSignatures = (blocks: ReadonlyArray<Block>, verified: VerifiedLeaves): Effect.Effect<void> =>
    Effect.gen(function* () {
      const transactions = blocks.flatMap((block) => block.transactions)
      for (let from = 0; from < transactions.length; from += signaturesPerSlice) {
        // A wrong one is left for the replay to find.
        for (const transaction of transactions.slice(from, from + signaturesPerSlice))
          if (rules.ledger.checkSignature(transaction)) verified.add(transaction)
        yield* Effect.yieldNow
      }
    })

  const say = (state: State, floor: number): Effect.Effect<void> => {
    const height = store.proven()
    if (height === undefined) return Effect.logInfo("the past is proven: every block below the snapshot", { blocks: floor })
    const now = state.clock.currentTimeMillisUnsafe()
    if (now - state.saidAt < sayEveryMs) return Effect.void
    state.saidAt = now
    const perBlock = (now - state.began.at) / Math.max(1, height - state.began.height)
    return Effect.logInfo("the past is replayed", { height, of: floor, eta_ms: Math.round(perBlock * (floor - height)) })
  }

  const replay = (state: State): Effect.Effect<void> =>
    Effect.gen(function* () {
      if (disk.isWaiting(writer, state.clock.currentTimeMillisUnsafe())) return
      const floor = store.floor()
      const blocks = nextOfPast(store, group)
      if (blocks.length === 0) return
      const verified = new VerifiedLeaves(2 * blockTransactionsMax)
      yield* checkSignatures(blocks, verified)
      const now = state.clock.currentTimeMillisUnsafe()
      const done = disk.try(writer, now, () => provePast(store, rules, { blocks, verified }))
      if (Result.isFailure(done)) return
      yield* say(state, floor)
      self().tell({ _tag: "GoOn" })
    })

  return {
    name: "past",
    inboxMax: 4,
    overflow: pastOverflow,
    open: Effect.map(Clock.Clock, (clock) => {
      const at = clock.currentTimeMillisUnsafe()
      return { clock, began: { height: store.proven() ?? 0, at }, saidAt: at }
    }),
    step: replay
  }
}

/** The actor of a store that has a past to prove, with its gauges; of any other none. */
export const makePasts = (
  ports: Omit<PastPorts, "self">,
  { watch, metrics }: { readonly watch: ActorWatch; readonly metrics: Metrics }
): ReadonlyArray<Actor<never, PastMessage>> => {
  const { store } = ports
  const of = store.floor()
  if (of === 0) return []
  metrics.gauge("cairn_past_blocks", "Blocks below the loaded snapshot.", () => of)
  metrics.gauge("cairn_past_proven_blocks", "Those that have been replayed.", () => store.proven() ?? of)
  const actor: Actor<never, PastMessage> = new Actor(makePast({ ...ports, self: () => actor }), watch) as never
  return [actor]
}

/** A group that gives up at once: a past that breaks the rules breaks them again, so there is nothing to restart for. */
export const startPasts = (actors: ReadonlyArray<Actor<never, PastMessage>>) =>
  startGroup(
    { name: "past", strategy: "one-for-one", restartsMax: 0, withinMs: 1, backoffMs: 0, onRestart: () => {} },
    actors
  )
