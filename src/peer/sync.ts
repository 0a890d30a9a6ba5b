/**
 * Headers first, then bodies, from many peers at once: who is asked for what. A machine over all sessions: events in,
 * asks out. It knows ids and claims only; the chain judges.
 *
 *   a peer's word (status, announcement, page) → its head: the heaviest header of its branch that we know
 *   head with more work than our tip → Look → the bodies that its branch lacks → AskBodies, of peers with that head only
 *
 * So each peer is asked for what it says to have, and a branch that nobody gives keeps nobody from another.
 */
import { pastHead } from "../chain/branch.ts"
import {
  bodiesAheadMax,
  bodiesInFlightPerPeerMax,
  headersAheadMax,
  headersPerMessageMax,
  hurryMs,
  openSessionsMax,
  peerIdleMsMax,
  requestMsMax
} from "../limits.ts"
import { reached } from "../marks.ts"
import { Asks } from "./asks.ts"
import { type Claim, newPeer, noClaim, type Peer, type Tip } from "./claims.ts"
import { type Branch, newBranch } from "./wanted.ts"

export type SyncEffect =
  | { readonly _tag: "AskHeaders"; readonly session: number }
  | { readonly _tag: "AskBodies"; readonly session: number; readonly ids: ReadonlyArray<string> }
  /** Ask the chain which bodies the branch of this header lacks, or for `pastHead` the past. */
  | { readonly _tag: "Look"; readonly head: string }
  | { readonly _tag: "Drop"; readonly session: number; readonly reason: string }

/** A peer that stalls twice within this time makes room for another. */
const stallsWithinMs = peerIdleMsMax
/** Bodies asked for in one message. */
const askSize = 16
/** Pages without a heavier header that the longest fork we would hold can take. */
const idlePagesMax = Math.ceil(headersAheadMax / headersPerMessageMax)
/** Below so many wanted bodies a list is made anew. */
const wantedLow = bodiesInFlightPerPeerMax / 2
/** Headers that the chain walks for nothing. After a longer walk no such branch is looked at for ten times as long as it took. */
const walkFree = 64
const restMsPerHeader = 0.2

export class Sync {
  private readonly peers = new Map<number, Peer>()
  /** By the heads of peers that have more work than our tip; under `pastHead` what a loaded snapshot's past lacks. */
  private readonly branches = new Map<string, Branch>()
  /** A body is asked of two at most. */
  private readonly asks = new Asks()
  /** Work of the heaviest header and of the tip that the chain has. */
  private headerWork = 0n
  private tip: Tip
  private readonly workOf: (id: string) => bigint | undefined
  /** The look that the chain has not answered; and what came since, which it may list though it has it by now. */
  private looking: { readonly head: string; readonly at: number } | undefined
  private readonly came = new Set<string>()
  private restUntil = Number.NEGATIVE_INFINITY
  /** Height up to which a loaded snapshot's past is not proven; 0: there is none. */
  private floor = 0

  /** `workOf`: the weight of the branch of a header that the chain knows and does not know to be invalid. */
  constructor(tip: Tip, headerWork: bigint, workOf: (id: string) => bigint | undefined) {
    this.tip = tip
    this.headerWork = headerWork
    this.workOf = workOf
  }

  /** The height of the best claim, for the progress line, and how many peers have made one. */
  get claims(): { readonly height: number; readonly count: number } {
    const heights = [...this.peers.values()].map(({ claim }) => claim.height)
    return { height: Math.max(this.tip.height, ...heights), count: heights.length }
  }

  /** What it holds, and at most. */
  get bounds(): ReadonlyArray<{ readonly of: string; readonly used: number; readonly max: number }> {
    const most = (sizes: ReadonlyArray<number>): number => Math.max(0, ...sizes)
    return [
      { of: "peers", used: this.peers.size, max: openSessionsMax },
      { of: "branches", used: this.branches.size, max: openSessionsMax + 1 },
      {
        of: "bodies-wanted",
        used: most([...this.branches.values()].map(({ wanted }) => wanted.size)),
        max: bodiesAheadMax
      },
      { of: "bodies-asked", used: this.asks.size, max: openSessionsMax * bodiesInFlightPerPeerMax },
      { of: "bodies-came", used: this.came.size, max: bodiesAheadMax },
      { of: "bodies-lacked", used: most([...this.peers.values()].map(({ lacks }) => lacks.size)), max: bodiesAheadMax }
    ]
  }

  get state(): "idle" | "headers" | "bodies" {
    if (this.asks.size > 0 || [...this.branches.values()].some(({ wanted }) => wanted.size > 0)) return "bodies"
    return this.asksHeaders() ? "headers" : "idle"
  }

  private get tipWeight(): bigint {
    return this.tip.weight ?? this.tip.work
  }

  joined(session: number, claim: Claim, now: number): ReadonlyArray<SyncEffect> {
    this.peers.set(session, newPeer())
    return this.claimed(session, claim, now)
  }

  left(session: number, now: number): ReadonlyArray<SyncEffect> {
    this.peers.delete(session)
    this.asks.leave(session)
    this.prune()
    return [...this.anyHeaders(now), ...this.look(now), ...this.assign(now)]
  }

  claimed(session: number, claim: Claim, now: number): ReadonlyArray<SyncEffect> {
    const peer = this.peers.get(session)
    if (peer === undefined) return []
    peer.claim = claim
    peer.bare = false
    peer.lacks.clear()
    this.resolve(peer)
    this.prune()
    return [...this.headers(session, now), ...this.look(now), ...this.assign(now)]
  }

  /**
   * The chain has judged a page: `headerWork` is its heaviest now, `last` the last good header of the page, `news`: some of
   * it was new, `more`: the page was full, there may be another.
   */
  headersJudged(
    session: number,
    page: {
      readonly headerWork: bigint
      readonly last: string | undefined
      readonly news: boolean
      readonly asked: boolean
      readonly more: boolean
    },
    now: number
  ): ReadonlyArray<SyncEffect> {
    const heavier = page.headerWork > this.headerWork
    this.headerWork = page.headerWork
    const peer = this.peers.get(session)
    if (peer !== undefined && page.last !== undefined) this.learn(peer, page.last)
    for (const other of this.peers.values()) if (other.unknown) this.resolve(other)
    this.prune()
    const asks = peer === undefined || !page.asked ? [] : this.pageCame(session, { ...page, heavier }, now)
    return [...asks, ...this.look(now), ...this.assign(now)]
  }

  /** The peer has more than it announced, or announced what does not fit on what we know: ask it from our locator. */
  behind(session: number, now: number): ReadonlyArray<SyncEffect> {
    return this.ask(session, now)
  }

  /** What the branch of a head lacks, oldest first; undefined: it cannot become ours. */
  missing(
    head: string,
    lacking: { readonly ids: ReadonlyArray<string>; readonly walked: number } | undefined,
    now: number
  ): ReadonlyArray<SyncEffect> {
    if (this.looking?.head !== head) return []
    this.looking = undefined
    const branch = this.branches.get(head)
    if (lacking === undefined) {
      for (const peer of this.peers.values()) if (peer.head?.id === head) peer.head = undefined
      this.prune()
    } else if (branch !== undefined) {
      if (lacking.walked > walkFree) this.restUntil = now + lacking.walked * restMsPerHeader
      branch.wanted = new Set(lacking.ids.filter((id) => !this.came.has(id)))
      branch.walked = lacking.walked
    }
    this.came.clear()
    return [...this.look(now), ...this.assign(now)]
  }

  /** A body came; the chain judges it next. From whomever: it is wanted no longer, also of another that was asked too. */
  bodyCame(_session: number, id: string, now: number): ReadonlyArray<SyncEffect> {
    this.asks.release(id)
    for (const branch of this.branches.values())
      if (branch.wanted.delete(id) && branch.wanted.size < wantedLow) branch.stale = true
    const effects = [...this.look(now), ...this.assign(now)]
    // What does not fit is asked for twice.
    if (this.looking !== undefined && this.came.size < bodiesAheadMax) this.came.add(id)
    return effects
  }

  /** The chain has refused a body: another may have the true one. */
  bodyRefused(session: number, id: string, now: number): ReadonlyArray<SyncEffect> {
    reached("body-false")
    this.takeBack(session, [id])
    for (const branch of this.branches.values()) branch.stale = true
    return [...this.look(now), ...this.assign(now)]
  }

  notGiven(
    session: number,
    given: { readonly ids: ReadonlyArray<string>; readonly stalled: boolean },
    now: number
  ): ReadonlyArray<SyncEffect> {
    const peer = this.peers.get(session)
    const past = this.branches.get(pastHead)
    if (peer !== undefined && !given.stalled && given.ids.some((id) => past?.wanted.has(id))) peer.bare = true
    this.takeBack(session, given.ids)
    // It stalls also where another gave what it did not.
    const slow = given.stalled && given.ids.length > 0 ? this.stalled(session, now) : []
    return [...slow, ...this.assign(now)]
  }

  tipMoved(tip: Tip, now: number): ReadonlyArray<SyncEffect> {
    this.tip = tip
    if (tip.work > this.headerWork) this.headerWork = tip.work
    this.prune()
    return this.assign(now)
  }

  /** Branches weigh something else from now on, our tip's too. */
  reweighed(tip: Tip, now: number): ReadonlyArray<SyncEffect> {
    this.tip = tip
    for (const peer of this.peers.values()) {
      const { head } = peer
      peer.head = undefined
      if (head !== undefined) this.learn(peer, head.id)
      this.resolve(peer)
    }
    this.prune()
    return [...this.look(now), ...this.assign(now)]
  }

  /** Blocks up to this height are wanted too, of who stands above it and has nothing newer to give; 0: none are. */
  pastUpTo(height: number): void {
    this.floor = height
    if (height > 0 && !this.branches.has(pastHead)) this.branches.set(pastHead, newBranch(undefined))
    this.prune()
  }

  /** Time passes: what does not come is asked of another, and what is lacking is looked for again. */
  tick(now: number): ReadonlyArray<SyncEffect> {
    for (const peer of this.peers.values()) {
      if (peer.askedHeaders !== undefined && now - peer.askedHeaders.at > requestMsMax) peer.askedHeaders = undefined
    }
    if (this.looking !== undefined && now - this.looking.at > requestMsMax) this.looking = undefined
    for (const branch of this.branches.values())
      if (branch.wanted.size === 0 || now - branch.lookedAt > requestMsMax) branch.stale = true
    return [...this.sweep(now), ...this.hurry(now), ...this.anyHeaders(now), ...this.look(now), ...this.assign(now)]
  }

  // ── what peers have ────────────────────────────────────────────────────────────────────────────────────────────────

  /** Is what it claims known by now? */
  private resolve(peer: Peer): void {
    peer.unknown = peer.claim.work > this.tip.work && this.workOf(peer.claim.hash) === undefined
    if (!peer.unknown) this.learn(peer, peer.claim.hash)
  }

  /** The peer's branch has this header. Its work is what the chain has counted, whatever was claimed. */
  private learn(peer: Peer, id: string): void {
    const work = this.workOf(id)
    if (work === undefined || work <= (peer.head?.work ?? this.tipWeight)) return
    const before = peer.head === undefined ? undefined : this.branches.get(peer.head.id)
    peer.head = { id, work }
    // Mostly the branch has grown: what it lacked it lacks still, and the peer has said that it has it.
    if (work > this.tipWeight && !this.branches.has(id)) this.branches.set(id, newBranch(before))
  }

  /** Forgets branches that nobody has, or that we have no use for. */
  private prune(): void {
    const heads = new Set<string>(this.floor > 0 ? [pastHead] : [])
    for (const { head } of this.peers.values()) if (head !== undefined && head.work > this.tipWeight) heads.add(head.id)
    for (const id of this.branches.keys()) if (!heads.has(id)) this.branches.delete(id)
  }

  /** What a peer can be asked for: what its branch lacks; if that is nothing, the past of a loaded snapshot. */
  private branchOf({ head, claim, bare }: Peer): Branch | undefined {
    const own = head === undefined ? undefined : this.branches.get(head.id)
    if ((own !== undefined && own.wanted.size > 0) || bare || claim.height < this.floor) return own
    return this.branches.get(pastHead) ?? own
  }

  /** Looks at a branch whose list is to be made, one at a time. */
  private look(now: number): ReadonlyArray<SyncEffect> {
    if (this.looking !== undefined) return []
    for (const [head, branch] of this.branches) {
      if (!branch.stale || (branch.walked > walkFree && now < this.restUntil)) continue
      branch.stale = false
      branch.lookedAt = now
      this.looking = { head, at: now }
      // The others come first the next time: the past is often to be looked at.
      this.branches.delete(head)
      this.branches.set(head, branch)
      this.came.clear()
      return [{ _tag: "Look", head }]
    }
    return []
  }

  // ── headers ────────────────────────────────────────────────────────────────────────────────────────────────────────

  private pageCame(
    session: number,
    page: { readonly news: boolean; readonly more: boolean; readonly heavier: boolean },
    now: number
  ): ReadonlyArray<SyncEffect> {
    const peer = this.peers.get(session)!
    const believed = peer.askedHeaders?.claim
    peer.askedHeaders = undefined
    peer.idlePages = page.heavier ? 0 : peer.idlePages + 1
    if (peer.idlePages > idlePagesMax) return this.drop(session, "headers without end")
    // Of several peers that give the same headers one is enough; the others are asked when it has no more.
    if (page.more && (page.news || !this.asksHeaders())) return this.ask(session, now)
    // It had the chance to show its work. What it did not show is not believed until it claims again.
    if (!page.more && peer.unknown && peer.claim === believed) {
      peer.claim = noClaim
      peer.unknown = false
    }
    return this.anyHeaders(now)
  }

  private asksHeaders(): boolean {
    return [...this.peers.values()].some(({ askedHeaders }) => askedHeaders !== undefined)
  }

  private headers(session: number, now: number): ReadonlyArray<SyncEffect> {
    const peer = this.peers.get(session)
    return peer !== undefined && peer.unknown && peer.claim.work > this.tip.work ? this.ask(session, now) : []
  }

  private anyHeaders(now: number): ReadonlyArray<SyncEffect> {
    if (this.asksHeaders()) return []
    const [best] = [...this.peers]
      .filter(([, { unknown }]) => unknown)
      .sort(([, a], [, b]) => (a.claim.work < b.claim.work ? 1 : -1))
    return best === undefined ? [] : this.headers(best[0], now)
  }

  private ask(session: number, now: number): ReadonlyArray<SyncEffect> {
    const peer = this.peers.get(session)
    if (peer === undefined || peer.leaving || peer.askedHeaders !== undefined) return []
    peer.askedHeaders = { claim: peer.claim, at: now }
    return [{ _tag: "AskHeaders", session }]
  }

  // ── bodies ─────────────────────────────────────────────────────────────────────────────────────────────────────────

  /** Room for a whole batch: one ask a body would fill the peer's table of requests. The past leaves room for what is newer. */
  private hasRoom(session: number, peer: Peer): boolean {
    const isPast = this.branchOf(peer) === this.branches.get(pastHead)
    return this.asks.countOf(session) <= (isPast ? 0 : bodiesInFlightPerPeerMax - askSize)
  }

  private able(): ReadonlyArray<readonly [session: number, peer: Peer]> {
    return [...this.peers].filter(
      ([session, peer]) => !peer.leaving && this.branchOf(peer) !== undefined && this.hasRoom(session, peer)
    )
  }

  /** Gives wanted bodies to peers that have them, batch by batch: those that stalled last, else the least busy first. */
  private assign(now: number): ReadonlyArray<SyncEffect> {
    const effects: Array<SyncEffect> = []
    let able = this.able()
    const turn = ([session, { stalledAt }]: readonly [number, Peer]): number =>
      this.asks.countOf(session) + (now - stalledAt < stallsWithinMs ? bodiesInFlightPerPeerMax : 0)
    while (able.length > 0) {
      const [session, peer] = able.reduce((best, next) => (turn(next) < turn(best) ? next : best))
      const ids = this.nextFor(peer)
      if (ids.length === 0) {
        // What it cannot take no other with the same branch can, unless it lacks some of it.
        const isDone = (other: Peer): boolean => peer.lacks.size === 0 && this.branchOf(other) === this.branchOf(peer)
        able = able.filter(([, other]) => other !== peer && !isDone(other))
        continue
      }
      for (const id of ids) this.asks.note(id, session, now)
      effects.push({ _tag: "AskBodies", session, ids })
      able = able.filter(([other, its]) => this.hasRoom(other, its))
    }
    return effects
  }

  /** The oldest bodies of its branch that nobody was asked for and that it may have, one batch. */
  private nextFor(peer: Peer): ReadonlyArray<string> {
    const ids: Array<string> = []
    for (const id of this.branchOf(peer)!.wanted) {
      if (this.asks.of(id).length > 0 || peer.lacks.has(id)) continue
      if (ids.push(id) === askSize) break
    }
    return ids
  }

  /** The body that a branch needs next holds up all others: when it is not there soon, a second peer is asked too. */
  private hurry(now: number): ReadonlyArray<SyncEffect> {
    return [...this.branches.values()].flatMap(({ wanted }) => {
      const [id] = wanted
      const [ask, second] = id === undefined ? [] : this.asks.of(id)
      if (id === undefined || ask === undefined || second !== undefined || now - ask.since < hurryMs) return []
      const other = this.otherFor(id)
      if (other === undefined) return []
      reached("body-hurried")
      this.asks.note(id, other, now)
      return [{ _tag: "AskBodies" as const, session: other, ids: [id] }]
    })
  }

  /** A peer with room that has this body and was not asked for it. */
  private otherFor(id: string): number | undefined {
    const isAsked = (session: number): boolean => this.asks.of(id).some((ask) => ask.session === session)
    return this.able().find(
      ([session, peer]) => this.branchOf(peer)!.wanted.has(id) && !peer.lacks.has(id) && !isAsked(session)
    )?.[0]
  }

  /**
   * Bodies that are late go to others that have room, so that one slow peer cannot hold up the window. Without such a
   * peer a slow one is better than none; what was asked long ago is taken for lost and asked again.
   */
  private sweep(now: number): ReadonlyArray<SyncEffect> {
    const late = new Map<number, Array<string>>()
    for (const [id, asks] of this.asks.all())
      for (const { session, since } of asks) {
        if (now - since <= requestMsMax) continue
        if (now - since > peerIdleMsMax) {
          reached("body-lost")
          this.asks.release(id, session)
        } else if (asks.some((ask) => now - ask.since <= requestMsMax) || this.otherFor(id) !== undefined)
          late.set(session, [...(late.get(session) ?? []), id])
      }
    return [...late].flatMap(([session, ids]) => {
      this.takeBack(session, ids)
      return this.stalled(session, now)
    })
  }

  /** The peer does not give these: they are wanted of others. */
  private takeBack(session: number, ids: ReadonlyArray<string>): void {
    const peer = this.peers.get(session)
    for (const id of ids) {
      this.asks.release(id, session)
      peer?.lacks.add(id)
    }
    if (peer === undefined || peer.lacks.size < bodiesAheadMax) return
    // It has nothing of what we need: it is asked again when it claims again.
    peer.claim = noClaim
    peer.unknown = false
    peer.head = undefined
    peer.lacks.clear()
    this.prune()
  }

  private stalled(session: number, now: number): ReadonlyArray<SyncEffect> {
    const peer = this.peers.get(session)
    // Bodies asked for together are late together: one stall, however often it is heard of.
    if (peer === undefined || now - peer.stalledAt < requestMsMax) return []
    reached("body-late")
    const again = now - peer.stalledAt < stallsWithinMs
    peer.stalledAt = now
    if (again) reached("peer-too-slow")
    return again ? this.drop(session, "too slow to give blocks") : []
  }

  private drop(session: number, reason: string): ReadonlyArray<SyncEffect> {
    const peer = this.peers.get(session)
    if (peer === undefined || peer.leaving) return []
    peer.leaving = true
    return [{ _tag: "Drop", session, reason }]
  }
}
