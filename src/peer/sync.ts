/**
 * Headers first, then bodies, from many peers at once: who is asked for what. A machine over all sessions: events in,
 * asks out. It knows ids and claims only; the chain judges.
 */
import {
  bodiesAheadMax,
  bodiesInFlightPerPeerMax,
  headersAheadMax,
  headersPerMessageMax,
  peerIdleMsMax,
  requestMsMax,
  openSessionsMax
} from "../limits.ts"
import { reached } from "../marks.ts"

export interface Claim {
  readonly height: number
  readonly work: bigint
}

export type SyncEffect =
  | { readonly _tag: "AskHeaders"; readonly session: number }
  | { readonly _tag: "AskBodies"; readonly session: number; readonly ids: ReadonlyArray<string> }
  /** Ask the chain which bodies it lacks. */
  | { readonly _tag: "Look" }
  | { readonly _tag: "Drop"; readonly session: number; readonly reason: string }

interface Peer {
  claim: Claim
  /** What it claimed when it was asked for headers, and when that was. */
  askedHeaders: { readonly claim: Claim; readonly at: number } | undefined
  /** Full pages in a row that led to no heavier header: a long fork, or a peer that plays for time. */
  idlePages: number
  readonly lacks: Set<string>
  inFlight: number
  stalledAt: number
  /** Did not have a block that it was asked for: not asked for a loaded snapshot's past, until it claims again. */
  bare: boolean
  /** Was told to go: nothing more is asked of it. */
  leaving: boolean
}

/** A peer that stalls twice within this time makes room for another. */
const stallsWithinMs = peerIdleMsMax
/** Bodies asked for in one message. */
const askSize = 16
/** Pages without a heavier header that the longest fork we would hold can take. */
const idlePagesMax = Math.ceil(headersAheadMax / headersPerMessageMax)

export class Sync {
  private readonly peers = new Map<number, Peer>()
  /** Wanted bodies in the order in which the chain needs them. */
  private wanted: ReadonlyArray<string> = []
  private readonly inFlight = new Map<string, { readonly session: number; readonly since: number }>()
  /** Work of the heaviest header and of the tip that the chain has. */
  private headerWork = 0n
  private tip: Claim = { height: 0, work: 0n }
  /** When the chain was asked what it lacks, until it answers; and what came since, which it may list though it has it by now. */
  private lookedAt: number | undefined
  private readonly came = new Set<string>()
  /** Height below which a loaded snapshot lacks bodies; 0: none. */
  private floor = 0

  constructor(tip: Claim, headerWork: bigint) {
    this.tip = tip
    this.headerWork = headerWork
  }

  /** The best claim, for the progress line. */
  get target(): number {
    return Math.max(this.tip.height, ...[...this.peers.values()].map(({ claim }) => claim.height))
  }

  /** What it holds, and at most. */
  get bounds(): ReadonlyArray<{ readonly of: string; readonly used: number; readonly max: number }> {
    const asked = openSessionsMax * bodiesInFlightPerPeerMax
    const lacks = Math.max(0, ...[...this.peers.values()].map((peer) => peer.lacks.size))
    return [
      { of: "peers", used: this.peers.size, max: openSessionsMax },
      { of: "bodies-wanted", used: this.wanted.length, max: bodiesAheadMax + asked },
      { of: "bodies-asked", used: this.inFlight.size, max: asked },
      { of: "bodies-came", used: this.came.size, max: bodiesAheadMax },
      { of: "bodies-lacked", used: lacks, max: bodiesAheadMax }
    ]
  }

  get state(): "idle" | "headers" | "bodies" {
    if (this.inFlight.size > 0 || this.wanted.length > 0) return "bodies"
    return this.asksHeaders() ? "headers" : "idle"
  }

  joined(session: number, claim: Claim, now: number): ReadonlyArray<SyncEffect> {
    this.peers.set(session, {
      claim,
      askedHeaders: undefined,
      idlePages: 0,
      lacks: new Set(),
      inFlight: 0,
      stalledAt: Number.NEGATIVE_INFINITY,
      bare: false,
      leaving: false
    })
    return [...this.headers(session, now), ...this.assign(now)]
  }

  left(session: number, now: number): ReadonlyArray<SyncEffect> {
    this.peers.delete(session)
    const lost = [...this.inFlight].filter(([, ask]) => ask.session === session).map(([id]) => id)
    for (const id of lost) this.inFlight.delete(id)
    this.wanted = [...lost, ...this.wanted]
    return [...this.anyHeaders(now), ...this.assign(now)]
  }

  claimed(session: number, claim: Claim, now: number): ReadonlyArray<SyncEffect> {
    const peer = this.peers.get(session)
    if (peer === undefined) return []
    peer.claim = claim
    peer.bare = false
    peer.lacks.clear()
    return [...this.headers(session, now), ...this.assign(now)]
  }

  /** The chain has judged a page: `headerWork` is its heaviest now; `more`: the page was full, there may be another. */
  headersJudged(
    session: number,
    page: { readonly headerWork: bigint; readonly asked: boolean; readonly more: boolean },
    now: number
  ): ReadonlyArray<SyncEffect> {
    const heavier = page.headerWork > this.headerWork
    this.headerWork = page.headerWork
    const peer = this.peers.get(session)
    if (peer === undefined || !page.asked) return this.look(now)
    const believed = peer.askedHeaders?.claim
    peer.askedHeaders = undefined
    peer.idlePages = heavier ? 0 : peer.idlePages + 1
    if (peer.idlePages > idlePagesMax) return [...this.drop(session, "headers without end"), ...this.look(now)]
    // Of several peers that give the same headers one is enough; the others are asked when it has no more.
    if (page.more && (heavier || !this.asksHeaders())) return [...this.ask(session, now), ...this.look(now)]
    // It had the chance to show its work. What it did not show is not believed until it claims again.
    if (!page.more && peer.claim === believed && believed.work > this.headerWork)
      peer.claim = { height: 0, work: this.headerWork }
    return [...this.anyHeaders(now), ...this.look(now)]
  }

  /** The peer has more than it announced, or announced what does not fit on what we know: ask it from our locator. */
  behind(session: number, now: number): ReadonlyArray<SyncEffect> {
    return this.ask(session, now)
  }

  /** What the chain lacks, oldest first. */
  missing(ids: ReadonlyArray<string>, now: number): ReadonlyArray<SyncEffect> {
    this.wanted = ids.filter((id) => !this.inFlight.has(id) && !this.came.has(id))
    this.lookedAt = undefined
    this.came.clear()
    return this.assign(now)
  }

  /** A body came; the chain judges it next. From whomever: it is wanted no longer, also of another that was asked since. */
  bodyCame(_session: number, id: string, now: number): ReadonlyArray<SyncEffect> {
    if (this.inFlight.has(id)) this.release(id)
    else this.wanted = this.wanted.filter((other) => other !== id)
    const effects = [...this.assign(now)]
    if (this.wanted.length === 0 && this.inFlight.size < bodiesInFlightPerPeerMax / 2) effects.push(...this.look(now))
    // What does not fit is asked for twice.
    if (this.lookedAt !== undefined && this.came.size < bodiesAheadMax) this.came.add(id)
    return effects
  }

  notGiven(
    session: number,
    given: { readonly ids: ReadonlyArray<string>; readonly stalled: boolean },
    now: number
  ): ReadonlyArray<SyncEffect> {
    const lost = given.ids.filter((id) => this.inFlight.get(id)?.session === session)
    this.takeBack(session, lost)
    const peer = this.peers.get(session)
    if (peer !== undefined && !given.stalled && lost.length > 0) peer.bare = true
    const slow = given.stalled && lost.length > 0 ? this.stalled(session, now) : []
    return [...slow, ...this.assign(now)]
  }

  tipMoved(tip: Claim, now: number): ReadonlyArray<SyncEffect> {
    this.tip = tip
    if (tip.work > this.headerWork) this.headerWork = tip.work
    return this.assign(now)
  }

  /** Blocks up to this height are wanted too, after all that is newer, of whoever stands above it; 0: none are. */
  pastUpTo(height: number): void {
    this.floor = height
  }

  /** Time passes: what does not come is asked of another, and what is lacking is looked for again. */
  tick(now: number): ReadonlyArray<SyncEffect> {
    for (const peer of this.peers.values()) {
      if (peer.askedHeaders !== undefined && now - peer.askedHeaders.at > requestMsMax) peer.askedHeaders = undefined
    }
    if (this.lookedAt !== undefined && now - this.lookedAt > requestMsMax) this.lookedAt = undefined
    return [...this.sweep(now), ...this.anyHeaders(now), ...this.look(now), ...this.assign(now)]
  }

  /**
   * Bodies that are late go to others that have room, so that one slow peer cannot hold up the window. Without such a
   * peer a slow one is better than none; what was asked long ago is taken for lost and asked again.
   */
  private sweep(now: number): ReadonlyArray<SyncEffect> {
    const late = new Map<number, Array<string>>()
    const able = this.able()
    for (const [id, { session, since }] of this.inFlight) {
      if (now - since <= requestMsMax) continue
      if (now - since > peerIdleMsMax) this.loseAsk(id)
      else if (able.some(([other, { lacks }]) => other !== session && !lacks.has(id)))
        late.set(session, [...(late.get(session) ?? []), id])
    }
    return [...late].flatMap(([session, ids]) => {
      this.takeBack(session, ids)
      return this.stalled(session, now)
    })
  }

  private loseAsk(id: string): void {
    reached("body-lost")
    this.release(id)
    this.wanted = [id, ...this.wanted]
  }

  /** The peer does not give these: they are wanted again, of others. */
  private takeBack(session: number, ids: ReadonlyArray<string>): void {
    const peer = this.peers.get(session)
    for (const id of ids) {
      this.release(id)
      peer?.lacks.add(id)
    }
    this.wanted = [...ids, ...this.wanted]
    if (peer === undefined || peer.lacks.size < bodiesAheadMax) return
    // It has nothing of what we need: it is asked again when it claims again.
    peer.claim = { height: 0, work: 0n }
    peer.lacks.clear()
  }

  private stalled(session: number, now: number): ReadonlyArray<SyncEffect> {
    const peer = this.peers.get(session)
    if (peer === undefined) return []
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

  private release(id: string): void {
    const ask = this.inFlight.get(id)
    if (ask === undefined) return
    this.inFlight.delete(id)
    const peer = this.peers.get(ask.session)
    if (peer !== undefined) peer.inFlight--
  }

  private look(now: number): ReadonlyArray<SyncEffect> {
    if ((this.headerWork <= this.tip.work && this.floor === 0) || this.lookedAt !== undefined) return []
    this.lookedAt = now
    this.came.clear()
    return [{ _tag: "Look" }]
  }

  private asksHeaders(): boolean {
    return [...this.peers.values()].some(({ askedHeaders }) => askedHeaders !== undefined)
  }

  private headers(session: number, now: number): ReadonlyArray<SyncEffect> {
    const peer = this.peers.get(session)
    return peer !== undefined && peer.claim.work > this.headerWork ? this.ask(session, now) : []
  }

  private anyHeaders(now: number): ReadonlyArray<SyncEffect> {
    if (this.asksHeaders()) return []
    const [best] = [...this.peers].sort(([, a], [, b]) => (a.claim.work < b.claim.work ? 1 : -1))
    return best === undefined ? [] : this.headers(best[0], now)
  }

  private ask(session: number, now: number): ReadonlyArray<SyncEffect> {
    const peer = this.peers.get(session)
    if (peer === undefined || peer.leaving || peer.askedHeaders !== undefined) return []
    peer.askedHeaders = { claim: peer.claim, at: now }
    return [{ _tag: "AskHeaders", session }]
  }

  /** Peers of which a whole batch can be asked: one ask a body would fill their tables of requests. */
  private able(): ReadonlyArray<readonly [session: number, peer: Peer]> {
    return [...this.peers].filter(
      ([, { claim, inFlight, leaving, bare }]) =>
        !leaving &&
        (claim.work > this.tip.work || (this.floor > 0 && claim.height >= this.floor && !bare)) &&
        inFlight <= bodiesInFlightPerPeerMax - askSize
    )
  }

  /** Gives wanted bodies to peers that can have them, the least busy first, each within its bound. */
  private assign(now: number): ReadonlyArray<SyncEffect> {
    if (this.wanted.length === 0) return []
    const asks = new Map<number, Array<string>>()
    const left: Array<string> = []
    const able = this.able()
    let room = able.reduce((sum, [, { inFlight }]) => sum + bodiesInFlightPerPeerMax - inFlight, 0)
    for (const [at, id] of this.wanted.entries()) {
      if (room === 0) {
        left.push(...this.wanted.slice(at))
        break
      }
      if (this.inFlight.has(id)) continue
      const session = able
        .filter(([, peer]) => peer.inFlight < bodiesInFlightPerPeerMax && !peer.lacks.has(id))
        .sort(([, a], [, b]) => Math.floor(a.inFlight / askSize) - Math.floor(b.inFlight / askSize))[0]?.[0]
      if (session === undefined) {
        left.push(id)
        continue
      }
      room--
      this.peers.get(session)!.inFlight++
      this.inFlight.set(id, { session, since: now })
      asks.set(session, [...(asks.get(session) ?? []), id])
    }
    this.wanted = left
    return [...asks].flatMap(([session, ids]) =>
      Array.from({ length: Math.ceil(ids.length / askSize) }, (_, i) => ({
        _tag: "AskBodies" as const,
        session,
        ids: ids.slice(i * askSize, (i + 1) * askSize)
      }))
    )
  }
}
