/** Owns the download: which peer is asked for which headers and bodies. A mailbox around src/peer/sync.ts. */
import { Clock, Effect } from "effect"
import { ForkChoice } from "../src/chain/choose.ts"
import { verdicts } from "../src/chain/reject.ts"
import type { BlockReject } from "../src/chain/reject.ts"
import { parentId, type Row } from "../src/chain/reader.ts"
import { locatorHeights } from "../src/chain/locator.ts"
import type { BlockHash } from "../src/block/header.ts"
import { bodiesAheadMax, chainBatchMax, chainInboxMax, headersPerMessageMax, syncInboxMax } from "../src/limits.ts"
import { reached } from "../src/marks.ts"
import { priceOf } from "../src/peer/directory.ts"
import type { Tip } from "../src/peer/claims.ts"
import { Sync, type SyncEffect } from "../src/peer/sync.ts"
import type { StateEvent } from "../src/ready.ts"
import { loadAnchors } from "../src/store/finality.ts"
import type { ChainStore } from "../src/store/store.ts"
import { type ActorRef, type ActorSpec, replyWith } from "./actor.ts"
import { type ChainMessage, type SessionId, type SessionMessage, type SyncMessage, syncOverflow } from "./protocol.ts"

export interface SyncPorts {
  readonly store: ChainStore
  readonly chain: ActorRef<ChainMessage>
  readonly self: () => ActorRef<SyncMessage>
  /** The actor of a session, while it lives. */
  readonly session: (id: SessionId) => ActorRef<SessionMessage> | undefined
  /** Sessions that stand, told again after a restart of this actor. */
  readonly rejoin: () => void
  /** Hears how far we are and how far others are: once a second, and when a peer says so. */
  readonly saw: (saw: Extract<StateEvent, { _tag: "Saw" }>) => void
}

interface State {
  readonly clock: Clock.Clock
  readonly machine: Sync
  readonly choice: ForkChoice
  /** For the rate of the progress line: height and time when the download began. */
  began: { readonly height: number; readonly at: number } | undefined
}

/**
 * Verdicts that can be out or wait here: of what the chain's inbox and batch hold when the oldest is given, and of what stands
 * before it in our own inbox and is offered before it is heard. Told to a full inbox too: the chain must not wait for us.
 */
const verdictsMax = chainInboxMax + chainBatchMax + syncInboxMax

/** The sync actor. */
export const makeSync = (ports: SyncPorts): ActorSpec<State, SyncMessage> => {
  const { store, chain, self, session } = ports

  const locator = (): ReadonlyArray<BlockHash> =>
    locatorHeights(store.tip().header.height).map((height) => store.bestAt(height)!.header.hash)

  /** Anchors weigh more than any work. */
  const weightOf = ({ choice }: Pick<State, "choice">, row: Row): bigint =>
    (BigInt(choice.rankOf(row)) << 256n) + row.work

  const tipOf = (state: Pick<State, "choice">): Tip => {
    const row = store.tip()
    return { height: row.header.height, work: row.work, weight: weightOf(state, row) }
  }

  const perform = (effects: ReadonlyArray<SyncEffect>): void => {
    for (const effect of effects) {
      switch (effect._tag) {
        case "AskHeaders":
          session(effect.session)?.tell({ _tag: "AskHeaders", locator: headLocator() })
          break
        case "AskBodies":
          session(effect.session)?.tell({ _tag: "AskBodies", ids: effect.ids })
          break
        case "Drop":
          session(effect.session)?.tell({ _tag: "Close", reason: effect.reason })
          break
        case "Look":
          chain.tell({
            _tag: "MissingBodies",
            head: effect.head,
            limit: bodiesAheadMax,
            reply: replyWith((lacking) => void self().tell({ _tag: "Missing", head: effect.head, lacking }))
          })
      }
    }
  }

  /** The heaviest header first, so that a page goes on where the last ended; then our best branch. */
  const headLocator = (): ReadonlyArray<BlockHash> => {
    const heaviest = store.heaviest().header
    return heaviest.id === store.tip().header.id
      ? locator()
      : [heaviest.hash, ...locator().slice(0, -1), store.bestAt(0)!.header.hash]
  }

  /** What a refused offer costs the session that made it. */
  const punish = (id: SessionId, reject: BlockReject): void => {
    if (verdicts[reject.code].blame === "nobody") return
    session(id)?.tell({ _tag: "Punish", code: reject.code, message: reject.message, points: priceOf(reject.code) })
  }

  const offerHeaders = (
    state: State,
    message: Extract<SyncMessage, { _tag: "Headers" }>
  ): Effect.Effect<unknown> | void => {
    const { session: id, headers, asked } = message
    const [first] = headers
    if (first === undefined) {
      const page = { headerWork: store.heaviest().work, last: undefined, news: false, asked, more: false }
      return perform(state.machine.headersJudged(id, page, state.clock.currentTimeMillisUnsafe()))
    }
    // An announcement whose parent we lack says that we are behind.
    if (!asked && store.find(parentId(first)) === undefined) {
      reached("behind-announcement")
      return perform(state.machine.behind(id, state.clock.currentTimeMillisUnsafe()))
    }
    const full = headers.length === headersPerMessageMax
    return chain.offer({
      _tag: "OfferHeaders",
      headers,
      reply: replyWith((verdict) => void self().tell({ _tag: "HeadersJudged", session: id, asked, full, verdict }))
    })
  }

  const offerBody = (
    state: State,
    { session: id, block }: Extract<SyncMessage, { _tag: "Body" }>
  ): Effect.Effect<unknown> => {
    perform(state.machine.bodyCame(id, block.header.id, state.clock.currentTimeMillisUnsafe()))
    const judged = (reject: BlockReject | undefined) =>
      void self().tell({ _tag: "BodyJudged", session: id, id: block.header.id, reject })
    return chain.offer({ _tag: "OfferBlock", block, from: id, reply: replyWith(() => judged(undefined), judged) })
  }

  const view = (state: State) => {
    const now = state.clock.currentTimeMillisUnsafe()
    const { height } = store.tip().header
    const { claims, state: phase } = state.machine
    const heaviest = store.heaviest()
    const canWin = state.choice.rankOf(heaviest) >= state.choice.rankOf(store.tip())
    const done = state.began === undefined ? 0 : height - state.began.height
    const rate = state.began === undefined || now === state.began.at ? 0 : (done * 1000) / (now - state.began.at)
    return {
      state: phase,
      peers: claims.count,
      height,
      targetHeight: Math.max(claims.height, canWin ? heaviest.header.height : height),
      blocksPerSecond: phase === "idle" ? 0 : rate,
      etaMs: phase === "idle" || rate === 0 ? undefined : ((claims.height - height) / rate) * 1000
    }
  }

  const claimed = (state: State, effects: ReadonlyArray<SyncEffect>): void => {
    ports.saw({ _tag: "Saw", ...view(state) })
    perform(effects)
  }

  const step = (state: State, message: SyncMessage): Effect.Effect<void> | void => {
    const { machine } = state
    const now = state.clock.currentTimeMillisUnsafe()
    switch (message._tag) {
      case "Joined":
        return claimed(state, machine.joined(message.session, message.tip, now))
      case "Left":
        return perform(machine.left(message.session, now))
      case "Claimed":
        return claimed(state, machine.claimed(message.session, message.tip, now))
      case "Headers": {
        const effect = offerHeaders(state, message)
        return effect === undefined ? undefined : Effect.asVoid(effect)
      }
      case "HeadersJudged": {
        const { reject, heaviest, last, known } = message.verdict
        if (reject !== undefined) punish(message.session, reject)
        const more = message.full && reject === undefined
        const page = { headerWork: heaviest.work, last: last?.id, news: known > 0, asked: message.asked, more }
        return perform(machine.headersJudged(message.session, page, now))
      }
      case "Body":
        return Effect.asVoid(offerBody(state, message))
      case "BodyJudged":
        if (message.reject === undefined) return
        punish(message.session, message.reject)
        return perform(machine.bodyRefused(message.session, message.id, now))
      case "NotGiven":
        return perform(machine.notGiven(message.session, message, now))
      case "Missing":
        if (message.lacking !== undefined && message.lacking.ids.length > 0)
          state.began ??= { height: store.tip().header.height, at: now }
        return perform(machine.missing(message.head, message.lacking, now))
      case "TipMoved":
        return perform(machine.tipMoved(tipOf(state), now))
      case "Behind":
        return perform(machine.behind(message.session, now))
      case "Anchored":
        state.choice.anchor(message.anchors)
        return perform(machine.reweighed(tipOf(state), now))
      case "Tick":
        if (machine.state === "idle") state.began = undefined
        machine.pastUpTo(store.floor())
        ports.saw({ _tag: "Saw", ...view(state) })
        return perform(machine.tick(now))
      case "View":
        return message.reply.succeed(view(state))
    }
  }

  const open = Effect.map(Clock.Clock, (clock): State => {
    ports.rejoin()
    const choice = new ForkChoice(store, loadAnchors(store.db))
    const workOf = (id: string): bigint | undefined => {
      const row = store.invalidCode(id) === undefined ? store.find(id) : undefined
      return row === undefined ? undefined : weightOf({ choice }, row)
    }
    const machine = new Sync(tipOf({ choice }), store.heaviest().work, workOf)
    return { clock, machine, choice, began: undefined }
  })

  return {
    name: "sync",
    inboxMax: syncInboxMax,
    owedMax: verdictsMax,
    overflow: syncOverflow,
    open,
    step,
    bounds: ({ machine }) => machine.bounds
  }
}
