/**
 * Owns the votes on checkpoints: hears those of peers, lets the signer vote, and says what is justified and final.
 *
 *   Votes (peers), Voted (signer) → counted → on disk → told to peers; Anchored to chain and download
 *   TipMoved → a new checkpoint on our branch → signer.vote → Voted
 *
 * A vote leaves the node only when it is on disk. What was missed is asked for: of who joins, and while nothing becomes final.
 */
import { Clock, Effect, Result } from "effect"
import { assert } from "../src/assert.ts"
import { ChainCheckpoints } from "../src/chain/checkpoints.ts"
import { ForkChoice } from "../src/chain/choose.ts"
import type { Rules } from "../src/chain/rules.ts"
import { fromHex, toHex } from "../src/codec/bytes.ts"
import {
  type Checkpoint,
  type CheckpointVote,
  encodeOffence,
  isVoteSigned,
  makeVote
} from "../src/consensus/checkpoint.ts"
import { Finality } from "../src/consensus/finality.ts"
import { slotOf } from "../src/consensus/rota.ts"
import type { Address } from "../src/crypto/address.ts"
import { authoritiesMax, finalityInboxMax, openSessionsMax, votesPerMessageMax } from "../src/limits.ts"
import { reached } from "../src/marks.ts"
import type { FinalityView } from "../src/node/authorities.ts"
import { priceOf } from "../src/peer/directory.ts"
import { type KeptFinality, loadFinality, saveFinality } from "../src/store/finality.ts"
import type { DiskRoom } from "../src/store/room.ts"
import type { ChainStore } from "../src/store/store.ts"
import type { Signer } from "../src/validator/signer.ts"
import type { ActorRef, ActorSpec } from "./actor.ts"
import { type FinalityMessage, finalityOverflow } from "./authority-protocol.ts"
import { type ChainMessage, type SessionId, type SessionMessage, type Source, type SyncMessage } from "./protocol.ts"

export interface FinalityPorts {
  readonly rules: Rules
  readonly store: ChainStore
  readonly disk: DiskRoom
  readonly chain: ActorRef<ChainMessage>
  readonly sync: ActorRef<SyncMessage>
  readonly self: () => ActorRef<FinalityMessage>
  /** Those that stand. */
  readonly sessions: {
    readonly find: (id: SessionId) => ActorRef<SessionMessage> | undefined
    readonly each: (f: (session: ActorRef<SessionMessage>, id: SessionId) => void) => void
  }
  /** Votes for an authority; undefined: this node is none. */
  readonly signer?: Signer | undefined
}

/** Milliseconds between two questions while nothing becomes final, each to another peer. */
const askMs = 5_000
/** Checkpoints from the final one to our tip that are no reason to ask: two for the votes to come, one on its way. */
const lagMax = 3
/** Milliseconds that a signer may take. */
const signMsMax = 2_000
/** Messages that answer one question; who needs more asks again from where it is then. */
const answersMax = 16
/** This actor's name as one who writes to the disk. */
const writer = "finality"

interface State {
  readonly clock: Clock.Clock
  readonly finality: Finality
  readonly points: ChainCheckpoints
  /** What is on disk. */
  kept: KeptFinality
  /** What is to be told when it is on disk, and who has told it to us. */
  readonly outbox: Array<{ readonly vote: CheckpointVote; readonly from: Source }>
  /** Something may not be on disk yet. */
  dirty: boolean
  /** Highest target that the signer was asked for, and when. */
  asked: { readonly target: number; readonly at: number; readonly open: boolean }
  /** Sessions that have voted for blocks that are not known here. */
  readonly ahead: Map<SessionId, Checkpoint>
  /** Sessions asked so far, for turns; and when the last was. */
  turn: number
  askedAt: number
  told: { readonly final: string; readonly justified: string }
  complained: boolean
}

const view = ({ id: _, ...point }: Checkpoint): { readonly height: number; readonly hash: Checkpoint["hash"] } => ({
  height: point.height,
  hash: point.hash
})

/** The finality actor, of a chain whose spec asks for it. */
export const makeFinality = (ports: FinalityPorts): ActorSpec<State, FinalityMessage> => {
  const { rules, store, signer } = ports
  const { author } = rules.consensus
  const every = rules.spec.authority?.finality?.checkpointBlocks
  assert(author !== undefined && every !== undefined, "authorities vote where the spec says so")
  const genesis = rules.genesis.header
  const us = signer === undefined ? undefined : toHex(signer.address)

  const hear = (state: State, votes: ReadonlyArray<CheckpointVote>, from: Source): Effect.Effect<void> | void => {
    const { news, offences } = state.finality.hear(votes)
    if (news.length === 0) return
    state.dirty = true
    for (const vote of news) if (state.outbox.length < votesPerMessageMax) state.outbox.push({ vote, from })
    if (offences.length === 0) return
    reached("votes-contradict")
    return Effect.forEach(
      offences,
      ({ voter, first, second }) =>
        Effect.logError(`authority ${voter} has signed two votes that exclude each other`, {
          targets: [first.target.height, second.target.height]
        }),
      { discard: true }
    )
  }

  /** Signatures are checked of what is new only. One wrong signature, and the message is not heard. */
  const heard = (
    state: State,
    { votes, session }: Extract<FinalityMessage, { _tag: "Votes" }>
  ): Effect.Effect<void> | void => {
    const fresh = votes.filter((vote) => state.finality.isFit(vote) && !state.finality.knows(vote))
    if (!fresh.every((vote) => isVoteSigned(genesis.hash, vote))) {
      const code = "checkpoint-vote-forged"
      const message = "a vote is not signed by its key"
      ports.sessions.find(session)?.tell({ _tag: "Punish", code, message, points: priceOf(code) })
      return
    }
    for (const { target } of fresh)
      if (!state.points.isKnown(target) && state.ahead.size < openSessionsMax) {
        reached("vote-early")
        state.ahead.set(session, target)
      }
    return hear(state, fresh, session)
  }

  /** Votes for the newest checkpoint of our branch, once. An old tip is no news to vote on: we are catching up. */
  const vote = (state: State): void => {
    if (signer === undefined || us === undefined || state.asked.open) return
    const { finality, points } = state
    const now = state.clock.currentTimeMillisUnsafe()
    const target = points.newest()
    const isOld = now - store.tip().header.time > 2 * every * rules.spec.difficulty.blockMs
    if (target.height <= state.asked.target || isOld || !points.mayVote(us, finality.final, target)) return
    const slot = slotOf(author.rota, target.time)
    const link = finality.choice(target)
    if (link === undefined || signer.idle?.(slot) !== undefined) return
    // What an earlier run of ours voted for, and peers tell: a protection file from a backup does not know it.
    const own = finality.newest(us)
    if (own !== undefined && (target.height <= own.target.height || link.source.height < own.source.height)) return
    state.asked = { target: target.height, at: now, open: true }
    signer.vote(
      { genesis: genesis.hash, source: link.source, target, slot },
      (answer) => void ports.self().tell({ _tag: "Voted", link, answer })
    )
  }

  const voted = (
    state: State,
    { link, answer }: Extract<FinalityMessage, { _tag: "Voted" }>
  ): Effect.Effect<void> | void => {
    if (link.target.height === state.asked.target) state.asked = { ...state.asked, open: false }
    if (Result.isSuccess(answer)) return hear(state, [makeVote(link, answer.success)], undefined)
    const { code, message } = answer.failure
    reached("vote-refused")
    return Effect.logWarning(`checkpoint ${link.target.height} is not voted for: ${message}`, { code })
  }

  /** Certificates in their order, then votes that may still count; those of one certificate together. */
  const answer = (state: State, { session: id, above }: Extract<FinalityMessage, { _tag: "Asked" }>): void => {
    const { finality } = state
    const proofs = finality.certificates.filter(({ target }) => target.height > above).map(({ votes }) => votes)
    const proven = new Set(proofs.flat().map(({ bytes }) => bytes))
    const messages: Array<Array<CheckpointVote>> = []
    for (const part of [...proofs, ...finality.held.filter(({ bytes }) => !proven.has(bytes)).map((one) => [one])]) {
      const last = messages.at(-1)
      if (last !== undefined && last.length + part.length <= votesPerMessageMax) last.push(...part)
      else messages.push([...part])
    }
    for (const votes of messages.slice(0, answersMax))
      ports.sessions.find(id)?.tell({ _tag: "TellVotes", votes: votes.map(({ bytes }) => bytes) })
  }

  const ask = ({ finality }: State, session: ActorRef<SessionMessage> | undefined): void =>
    void session?.tell({ _tag: "AskVotes", above: finality.final.height })

  const tick = (state: State): Effect.Effect<void> | void => {
    const now = state.clock.currentTimeMillisUnsafe()
    state.finality.look()
    // A signer that does not answer is asked again for a later checkpoint.
    if (now - state.asked.at > signMsMax) state.asked = { ...state.asked, open: false }
    for (const [session, target] of state.ahead)
      if (!state.points.isKnown(target)) ports.sync.tell({ _tag: "Behind", session })
    state.ahead.clear()
    vote(state)
    const lag = store.tip().header.height - state.finality.final.height
    if (lag > lagMax * every && now - state.askedAt >= askMs) {
      reached("finality-late")
      state.askedAt = now
      const all: Array<ActorRef<SessionMessage>> = []
      ports.sessions.each((session) => all.push(session))
      ask(state, all[state.turn++ % Math.max(1, all.length)])
    }
    return complain(state)
  }

  /** Says once what nobody but the operators can mend. */
  const complain = (state: State): Effect.Effect<void> | void => {
    const { conflict } = state.finality
    if (conflict === undefined || state.complained) return
    state.complained = true
    reached("final-twice")
    return Effect.logError("two blocks are final that exclude each other: this node stays with the first", {
      ours: state.finality.final.height,
      theirs: `${conflict.source.height} ${conflict.source.id}`
    })
  }

  /** A tip below the final block may be on its way to it. */
  const isOnBranch = ({ points, finality: { final } }: State): boolean => {
    const tip = store.tip().header
    return tip.height < final.height ? points.descends(final, tip) : store.bestAt(final.height)!.header.id === final.id
  }

  /** What was heard is put on disk; then it is told, and acted upon. */
  const settle = (state: State): Effect.Effect<void> | void => {
    const { finality, told } = state
    const { final, justified } = finality
    const moved = final.id !== told.final || justified.id !== told.justified
    if (!state.dirty && !moved) return
    const anchors = { final, justified }
    const kept = { votes: finality.held, certificates: finality.certificates, offences: finality.offences }
    const now = state.clock.currentTimeMillisUnsafe()
    if (ports.disk.isWaiting(writer, now)) return
    const done = ports.disk.try(writer, now, () => saveFinality(store.db, state.kept, kept, anchors))
    if (Result.isFailure(done)) return
    state.kept = kept
    state.dirty = false
    const outbox = state.outbox.splice(0)
    if (outbox.length > 0)
      ports.sessions.each((session, id) => {
        const votes = outbox.filter(({ from }) => from !== id).map(({ vote: one }) => one.bytes)
        if (votes.length > 0) session.tell({ _tag: "TellVotes", votes })
      })
    if (!moved) return
    state.told = { final: final.id, justified: justified.id }
    ports.chain.tell({ _tag: "Anchored", anchors })
    ports.sync.tell({ _tag: "Anchored", anchors })
    return final.id === told.final
      ? undefined
      : Effect.logInfo(`final up to height ${final.height}`, { hash: final.id })
  }

  const viewOf = (state: State): FinalityView => {
    const { finality, points } = state
    return {
      checkpointBlocks: every,
      final: view(finality.final),
      justified: view(finality.justified),
      onBranch: isOnBranch(state),
      conflict: finality.conflict && view(finality.conflict.source),
      votes: points.membersAfter(store.tip().header).map((voter) => {
        const newest = finality.newest(voter)
        const shown = newest && { source: view(newest.source), target: view(newest.target) }
        return { authority: fromHex(voter)! as Uint8Array as Address, vote: shown }
      }),
      guilty: finality.offences.map((offence) => ({
        authority: fromHex(offence.voter)! as Uint8Array as Address,
        evidence: encodeOffence(offence)
      }))
    }
  }

  const open = Effect.map(Clock.Clock, (clock): State => {
    const points = new ChainCheckpoints(store, author, every)
    const finality = new Finality(points, { every, genesis })
    const kept = loadFinality(store.db, genesis.hash)
    for (const offence of kept.offences) finality.remember(offence)
    for (const { votes } of kept.certificates) finality.hear(votes)
    finality.hear(kept.votes)
    const own = us === undefined ? undefined : finality.newest(us)
    const anchors = { final: finality.final, justified: finality.justified }
    const choice = new ForkChoice(store, anchors)
    if (choice.rankOf(store.tip()) < 2) {
      ports.chain.tell({ _tag: "Anchored", anchors })
      ports.sync.tell({ _tag: "Anchored", anchors })
    }
    ports.sessions.each((session) => session.tell({ _tag: "AskVotes", above: finality.final.height }))
    return {
      clock,
      finality,
      points,
      kept,
      outbox: [],
      dirty: false,
      asked: { target: own?.target.height ?? 0, at: 0, open: false },
      ahead: new Map(),
      turn: 0,
      askedAt: 0,
      told: { final: finality.final.id, justified: finality.justified.id },
      complained: false
    }
  })

  const step = (state: State, message: FinalityMessage): Effect.Effect<void> | void => {
    switch (message._tag) {
      case "TipMoved":
        state.finality.look()
        return vote(state)
      case "Votes":
        return heard(state, message)
      case "Asked":
        return answer(state, message)
      case "Joined":
        return ask(state, ports.sessions.find(message.session))
      case "Voted":
        return voted(state, message)
      case "Tick":
        return tick(state)
      case "View":
        return message.reply.succeed(viewOf(state))
    }
  }

  return {
    name: "finality",
    inboxMax: finalityInboxMax,
    overflow: finalityOverflow,
    open,
    step,
    settle,
    bounds: ({ finality, outbox, ahead, points }) => [
      ...finality.bounds,
      ...points.bounds,
      { of: "outbox", used: outbox.length, max: votesPerMessageMax },
      { of: "ahead", used: ahead.size, max: openSessionsMax },
      { of: "guilty", used: finality.offences.length, max: authoritiesMax }
    ]
  }
}
