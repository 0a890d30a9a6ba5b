/**
 * What this node has to say of authorities: proof against those who sealed twice, found here or told by peers, and what its
 * operator wishes. Blocks of ours carry it (src/miner/ballot.ts). There is one only where authorities seal.
 */
import { Clock, Effect, Result } from "effect"
import { assert } from "../src/assert.ts"
import { ancestryOf } from "../src/chain/reader.ts"
import type { Rules } from "../src/chain/rules.ts"
import { equal, fromHex, toHex } from "../src/codec/bytes.ts"
import { placeOf, votersFor, voteFault } from "../src/consensus/authorities.ts"
import type { Authorities, AuthorRules } from "../src/consensus/consensus.ts"
import { encodeEvidence, type Evidence, readEvidence } from "../src/consensus/evidence.ts"
import { type Address, formatAddress } from "../src/crypto/address.ts"
import { evidenceMax, evidenceToldMax, wishesMax } from "../src/limits.ts"
import { reached } from "../src/marks.ts"
import { ballotOf, counts, nextWish, unpunished } from "../src/miner/ballot.ts"
import type { Ballot } from "../src/miner/template.ts"
import { type NodeShape, Unavailable, VoteRefused } from "../src/node/node.ts"
import type { EvidenceView, MotionView, VotesView, WishView } from "../src/node/authorities.ts"
import type { Wished } from "../src/store/evidence.ts"
import type { DiskRoom } from "../src/store/room.ts"
import type { ChainStore } from "../src/store/store.ts"
import { Actor, type ActorRef, type ActorSpec, type ActorWatch } from "./actor.ts"
import type { EventHub } from "./event-hub.ts"
import type { Metrics } from "./metrics.ts"
import { type BallotsMessage, ballotsOverflow } from "./authority-protocol.ts"
import { type SessionId } from "./protocol.ts"

export interface BallotsPorts {
  readonly rules: Rules
  readonly store: ChainStore
  readonly disk: DiskRoom
  /** The authority that this node seals as; undefined: none. */
  readonly us: Address | undefined
  /** Tells every peer, but not the one that it came from. */
  readonly announce: (evidence: Uint8Array, from: SessionId | undefined) => void
  readonly said: (authority: Address, change: "found" | "convicted", slot: number | undefined) => void
}

interface State {
  readonly clock: Clock.Clock
  /** After the tip that we heard of last. */
  convicted: ReadonlySet<string>
}

/** This actor's name as one who writes to the disk. */
const writer = "ballots"

/** What can be read at any time of the tip, the evidence and the wishes. */
export class Standings {
  readonly author: AuthorRules
  readonly store: ChainStore
  private readonly rules: Rules
  private readonly us: Address | undefined

  constructor({ rules, store, us }: Pick<BallotsPorts, "rules" | "store" | "us">) {
    assert(rules.consensus.author !== undefined, "authorities judge each other where there are some")
    this.author = rules.consensus.author
    this.store = store
    this.rules = rules
    this.us = us
  }

  /** After the tip, or so many blocks below it. */
  now(below = 0): Authorities {
    const { store } = this
    const header =
      below === 0 ? store.tip().header : store.bestAt(Math.max(0, store.tip().header.height - below))?.header
    // The past of a loaded snapshot may lack what is asked for; the tip never does.
    return this.author.authorities(ancestryOf(store, header ?? store.tip().header))
  }

  /** For the miner: what the next block says. */
  readonly ballot = (now: Authorities): Ballot | undefined =>
    this.us === undefined
      ? undefined
      : ballotOf(now, {
          us: this.us,
          rule: this.author,
          height: this.store.tip().header.height + 1,
          proofs: this.store.evidence.firsts(),
          wishes: this.store.wishes.all()
        })

  /** Is there proof against ourselves? Then we seal no more. */
  readonly isGuilty = (): boolean => this.us !== undefined && this.store.evidence.isGuilty(this.us)

  /** For a peer that has just come: proof against those who are authorities still. */
  readonly unpunished = (): ReadonlyArray<Uint8Array> =>
    unpunished(this.now(), this.store.evidence.firsts())
      .slice(0, evidenceToldMax)
      .map(([, evidence]) => evidence)

  votes(): VotesView {
    const now = this.now()
    const { height } = this.store.tip().header
    const wishes = this.store.wishes.all()
    const served = nextWish(now, this.author, wishes)
    return {
      height,
      members: now.members.length,
      voteBlocks: this.author.voteBlocks,
      wishes: wishes.map((wish) => ({ ...wish, state: this.stateOf(now, wish, wish === served) })),
      motions: this.motions(now, height + 1)
    }
  }

  evidence(): ReadonlyArray<EvidenceView> {
    const now = this.now()
    return this.store.evidence.all().map(({ bytes, found }) => {
      const evidence = readEvidence(this.author.rota, this.rules.spec.ledger.chainId, bytes)
      assert(evidence !== undefined, "stored evidence can be read again")
      const { authority } = evidence
      const isMember = placeOf(now, authority) >= 0
      const standing = isMember ? "member" : now.convicted.has(toHex(authority)) ? "convicted" : "none"
      return { ...evidence, found, standing, isOurs: this.us !== undefined && equal(this.us, authority) }
    })
  }

  private stateOf(now: Authorities, { vote, subject }: Wished, isServed: boolean): WishView["state"] {
    if (isDone(now, { vote, subject })) return "done"
    if (voteFault(now, this.author, { vote, subject }) !== undefined) return "impossible"
    const ours = this.us === undefined ? undefined : now.standing.get(toHex(this.us))
    const isCast =
      isServed && ours !== undefined && ours.vote === vote && equal(ours.subject, subject) && this.counts(ours)
    return isCast ? "cast" : "waiting"
  }

  private counts(vote: { readonly height: number }): boolean {
    return counts(vote, this.author, this.store.tip().header.height + 1)
  }

  private motions(now: Authorities, height: number): ReadonlyArray<MotionView> {
    const needed = Math.floor(now.members.length / 2) + 1
    const found = new Map<string, MotionView>()
    for (const { vote, subject } of now.standing.values()) {
      if (vote !== "admit" && vote !== "expel") continue
      const { voteBlocks } = this.author
      const voters = votersFor(now, { vote, subject }, { height, voteBlocks }).map(
        (voter) => fromHex(voter)! as Uint8Array as Address
      )
      if (voters.length > 0)
        found.set(`${vote} ${toHex(subject)}`, { vote, subject, voters, lacking: Math.max(0, needed - voters.length) })
    }
    return [...found.values()]
  }
}

/** Has a wish come true? */
const isDone = (now: Authorities, { vote, subject }: Pick<Wished, "vote" | "subject">): boolean =>
  placeOf(now, subject) >= 0 === (vote === "admit")

/** The ballots actor. */
export const makeBallots = (ports: BallotsPorts): ActorSpec<State, BallotsMessage> => {
  const { store, disk, rules, us } = ports
  const standings = new Standings(ports)
  const { author } = standings
  const nowOf = ({ clock }: State): number => clock.currentTimeMillisUnsafe()
  const text = (address: Address): string => formatAddress(address, rules.spec.addressPrefix)

  const confess = (slot: number | undefined): Effect.Effect<void> => {
    reached("own-double-sign")
    return Effect.logError("this node's own authority key has sealed two blocks of one slot: it seals no more", {
      code: "own-double-sign",
      ...(slot === undefined ? {} : { slot }),
      hint: "Another process uses the same key: find it and stop it. The key will be convicted and can never come back."
    })
  }

  /** What is on disk, and new here: said, shown, told to peers. */
  const found = (evidence: Evidence, from: SessionId | undefined): Effect.Effect<void> => {
    const { authority, slot, first, second } = evidence
    ports.said(authority, "found", slot)
    ports.announce(encodeEvidence(evidence), from)
    if (us !== undefined && equal(authority, us)) return confess(slot)
    return Effect.logWarning("an authority has sealed two blocks of one slot", {
      code: "double-sign",
      authority: text(authority),
      slot,
      first: first.id,
      second: second.id
    })
  }

  /** Of somebody who is no authority here nothing is kept, and nothing is checked: such proof anybody can make. */
  const told = (
    state: State,
    { bytes, from, refused }: Extract<BallotsMessage, { _tag: "Told" }>
  ): Effect.Effect<void> | void => {
    const read = readEvidence(author.rota, rules.spec.ledger.chainId, bytes)
    if (read === undefined) return refused()
    if (placeOf(standings.now(), read.authority) < 0) return
    if (author.evidence(bytes) === undefined) return refused()
    const kept = disk.try(writer, nowOf(state), () => store.evidence.add(read, nowOf(state)))
    if (Result.isFailure(kept) || !kept.success) return
    reached("double-sign-told")
    return found(read, from)
  }

  /** Who is convicted since the last tip. */
  const moved = (state: State): Effect.Effect<void> | void => {
    const { convicted } = standings.now()
    const fresh = [...convicted].filter((one) => !state.convicted.has(one))
    state.convicted = convicted
    drop(state)
    for (const one of fresh) ports.said(fromHex(one)! as Uint8Array as Address, "convicted", undefined)
    if (fresh.length === 0) return
    reached("authority-convicted")
    return Effect.forEach(
      fresh,
      (one) =>
        Effect.logWarning("an authority is convicted and out of the rota for ever", {
          code: "authority-convicted",
          authority: text(fromHex(one)! as Uint8Array as Address)
        }),
      { discard: true }
    )
  }

  /** Forgets wishes that came true or never can, when that is two rounds of turns deep: a reorganisation may take it back. */
  const drop = (state: State): void => {
    const wishes = store.wishes.all()
    if (wishes.length === 0) return
    const now = standings.now()
    const before = standings.now(2 * now.members.length)
    const over = (then: Authorities, wish: Wished): boolean => voteFault(then, author, wish) !== undefined
    const gone = wishes.filter((wish) => over(now, wish) && over(before, wish))
    if (gone.length > 0) reached("wish-dropped")
    disk.try(writer, nowOf(state), () => gone.forEach(({ subject }) => store.wishes.drop(subject)))
  }

  const refuse = (wish: "admit" | "expel" | "forget", subject: Address): VoteRefused | undefined => {
    if (wish === "forget") return undefined
    const now = standings.now()
    if (us === undefined || placeOf(now, us) < 0 || standings.isGuilty())
      return new VoteRefused({
        code: "authority-not-ours",
        message: "This node is no authority: its vote would not count."
      })
    if (author.voteBlocks === 0)
      return new VoteRefused({
        code: "authorities-fixed",
        message: "The authorities of this chain are fixed by its spec (voteBlocks is 0); only proof removes one."
      })
    const wrong = voteFault(now, author, { vote: wish, subject })
    return wrong === undefined ? undefined : new VoteRefused({ code: "vote-wrong", message: `It would be ${wrong}.` })
  }

  const vote = (state: State, { wish, subject, reply }: Extract<BallotsMessage, { _tag: "Vote" }>): void => {
    const refused = refuse(wish, subject)
    if (refused !== undefined) return reply.fail(refused)
    const done = disk.try(writer, nowOf(state), () =>
      wish === "forget" ? store.wishes.drop(subject) : store.wishes.set({ vote: wish, subject, since: nowOf(state) })
    )
    if (Result.isFailure(done))
      return reply.fail(
        new Unavailable({
          actor: "ballots",
          code: done.failure.code,
          reason: `${done.failure.code}: the wish cannot be kept`
        })
      )
    if (done.success) return reply.succeed(standings.votes())
    reply.fail(
      wish === "forget"
        ? new VoteRefused({ code: "wish-missing", message: "There is no wish about this address." })
        : new VoteRefused({ code: "wishes-full", message: `There are ${wishesMax} wishes already. Forget one first.` })
    )
  }

  return {
    name: "ballots",
    inboxMax: 256,
    overflow: ballotsOverflow,
    open: Effect.gen(function* () {
      const clock = yield* Clock.Clock
      if (standings.isGuilty()) yield* confess(undefined)
      return { clock, convicted: standings.now().convicted }
    }),
    step: (state, message) => {
      switch (message._tag) {
        case "Caught":
          reached("double-sign-caught")
          return found(message.evidence, undefined)
        case "Told":
          return told(state, message)
        case "TipMoved":
          return moved(state)
        case "Vote":
          return vote(state, message)
      }
    },
    bounds: () => [
      { of: "evidence", used: store.evidence.size, max: evidenceMax },
      { of: "wishes", used: store.wishes.all().length, max: wishesMax }
    ]
  }
}

/** The actor of a chain with authorities, and what reads beside it; of any other none. */
export interface Ballots {
  readonly actors: ReadonlyArray<Actor<never, BallotsMessage>>
  readonly standings: Standings | undefined
  readonly calls: Pick<NodeShape, "vote" | "votes" | "evidence">
}

const missing = new VoteRefused({
  code: "authorities-missing",
  message: "Nobody votes on this chain: it has no authorities."
})

export const startBallots = (
  ports: Omit<BallotsPorts, "said">,
  around: { readonly watch: ActorWatch; readonly metrics: Metrics; readonly events: EventHub }
): Ballots => {
  const { spec, consensus } = ports.rules
  if (consensus.author === undefined) {
    const none = () => Effect.succeed(undefined)
    return {
      actors: [],
      standings: undefined,
      calls: { vote: () => Effect.fail(missing), votes: none, evidence: none }
    }
  }
  const count = around.metrics.counters(
    "cairn_double_signs_total",
    "Authorities that sealed two blocks of one slot, by what became known."
  )
  const said: BallotsPorts["said"] = (authority, change, slot) => {
    count({ change })
    around.events.publish({
      type: "double-sign",
      authority: formatAddress(authority, spec.addressPrefix),
      change,
      slot
    })
  }
  const standings = new Standings(ports)
  const actor: Actor<never, BallotsMessage> = new Actor(makeBallots({ ...ports, said }), around.watch) as never
  const ref: ActorRef<BallotsMessage> = actor
  return {
    actors: [actor],
    standings,
    calls: {
      vote: (wish, subject) =>
        ref.ask<VotesView, VoteRefused | Unavailable>((reply) => ({ _tag: "Vote", wish, subject, reply })),
      votes: () => Effect.sync(() => standings.votes()),
      evidence: () => Effect.sync(() => standings.evidence())
    }
  }
}
