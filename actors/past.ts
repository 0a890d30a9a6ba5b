/**
 * Proves the past of a loaded snapshot while the node serves: a mailbox around src/store/past.ts. The download brings old
 * bodies when nothing newer is lacking (chain.ts, sync.ts); here they are replayed, a few at a time, and each group is on
 * disk before the next. A past that breaks the rules ends the node, whoever has noticed it. Once all is proven the chain hears
 * of it: a heavier branch may have waited.
 */
import { Clock, Effect, Result } from "effect"
import type { Block } from "../src/block/block.ts"
import type { Rules } from "../src/chain/rules.ts"
import { VerifiedLeaves } from "../src/chain/verified.ts"
import { blockTransactionsMax } from "../src/limits.ts"
import type { PastView } from "../src/node/node.ts"
import { pastInvalid } from "../src/store/db.ts"
import { nextOfPast, provePast } from "../src/store/past.ts"
import type { DiskRoom } from "../src/store/room.ts"
import type { ChainStore } from "../src/store/store.ts"
import { Actor, type ActorRef, type ActorSpec, type ActorWatch, type Overflow } from "./actor.ts"
import type { Metrics } from "./metrics.ts"
import { startGroup } from "./supervisor.ts"
import type { ChainMessage } from "./protocol.ts"

/** `GoOn`: there may be more to replay at once. */
export type PastMessage = { readonly _tag: "Tick" } | { readonly _tag: "GoOn" }

export const pastOverflow: Readonly<Record<PastMessage["_tag"], Overflow>> = {
  Tick: "keep-latest",
  GoOn: "keep-latest"
}

export interface PastPorts {
  readonly rules: Rules
  readonly store: ChainStore
  readonly disk: DiskRoom
  readonly chain: ActorRef<ChainMessage>
  /** How far the replay is; undefined: there is nothing left of it. */
  readonly progress: () => PastView | undefined
  readonly self: () => ActorRef<PastMessage>
}

interface State {
  readonly clock: Clock.Clock
  /** When the last word was said on how far it is. */
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
export const makePast = ({ rules, store, disk, chain, progress, self }: PastPorts): ActorSpec<State, PastMessage> => {
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
    const view = progress()
    if (view === undefined)
      return Effect.logInfo("the past is proven: every block below the snapshot", { blocks: floor })
    const now = state.clock.currentTimeMillisUnsafe()
    if (now - state.saidAt < sayEveryMs) return Effect.void
    state.saidAt = now
    const { height, etaMs } = view
    return Effect.logInfo("the past is replayed", {
      height,
      of: floor,
      eta_ms: etaMs === undefined ? null : Math.round(etaMs)
    })
  }

  const replay = (state: State): Effect.Effect<void> =>
    Effect.gen(function* () {
      const broken = store.brokenPast()
      if (broken !== undefined) throw pastInvalid(broken)
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
      if (store.proven() === undefined) yield* chain.offer({ _tag: "Resume" })
      self().tell({ _tag: "GoOn" })
    })

  return {
    name: "past",
    inboxMax: 4,
    overflow: pastOverflow,
    open: Effect.map(Clock.Clock, (clock) => ({ clock, saidAt: clock.currentTimeMillisUnsafe() })),
    step: replay
  }
}

/** How far the replay of a store is, and how fast it has been since now. */
export const progressOf = (store: ChainStore, clock: Clock.Clock): PastPorts["progress"] => {
  const targetHeight = store.floor()
  const began = { height: store.proven() ?? 0, at: clock.currentTimeMillisUnsafe() }
  return () => {
    const height = store.proven()
    if (height === undefined) return undefined
    const ms = clock.currentTimeMillisUnsafe() - began.at
    const blocksPerSecond = ms <= 0 ? 0 : ((height - began.height) * 1000) / ms
    const etaMs = blocksPerSecond === 0 ? undefined : ((targetHeight - height) / blocksPerSecond) * 1000
    return { height, targetHeight, blocksPerSecond, etaMs }
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
