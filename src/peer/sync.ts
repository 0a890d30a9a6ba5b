/**
 * Headers first, then bodies, from many peers at once: who is asked for what. A machine over all sessions: events in,
 * asks out. It knows ids and claims only; the chain judges.
 */
import { bodiesInFlightPerPeerMax, requestMsMax } from "../limits.ts"

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
  askedHeadersAt: number | undefined
  readonly lacks: Set<string>
  inFlight: number
  stalls: number
}

/** Stalled answers after which a peer makes room for another. */
const stallsMax = 2
/** Bodies asked for in one message. */
const askSize = 16

export class Sync {
  private readonly peers = new Map<number, Peer>()
  /** Wanted bodies in the order in which the chain needs them. */
  private wanted: ReadonlyArray<string> = []
  private readonly inFlight = new Map<string, { readonly session: number; readonly since: number }>()
  /** Work of the heaviest header and of the tip that the chain has. */
  private headerWork = 0n
  private tip: Claim = { height: 0, work: 0n }

  constructor(tip: Claim, headerWork: bigint) {
    this.tip = tip
    this.headerWork = headerWork
  }

  /** The best claim, for the progress line. */
  get target(): number {
    return Math.max(this.tip.height, ...[...this.peers.values()].map(({ claim }) => claim.height))
  }

  get state(): "idle" | "headers" | "bodies" {
    if (this.inFlight.size > 0 || this.wanted.length > 0) return "bodies"
    return [...this.peers.values()].some((peer) => peer.askedHeadersAt !== undefined) ? "headers" : "idle"
  }

  joined(session: number, claim: Claim, now: number): ReadonlyArray<SyncEffect> {
    this.peers.set(session, { claim, askedHeadersAt: undefined, lacks: new Set(), inFlight: 0, stalls: 0 })
    return [...this.headers(session, now), ...this.assign(now)]
  }

  left(session: number, now: number): ReadonlyArray<SyncEffect> {
    this.peers.delete(session)
    for (const [id, ask] of this.inFlight) if (ask.session === session) this.inFlight.delete(id)
    return [...this.anyHeaders(now), ...this.assign(now)]
  }

  claimed(session: number, claim: Claim, now: number): ReadonlyArray<SyncEffect> {
    const peer = this.peers.get(session)
    if (peer === undefined) return []
    peer.claim = claim
    peer.lacks.clear()
    return [...this.headers(session, now), ...this.assign(now)]
  }

  /** The chain has judged a page: `headerWork` is its heaviest now; `more`: the page was full, there may be another. */
  headersJudged(
    session: number,
    page: { readonly headerWork: bigint; readonly asked: boolean; readonly more: boolean },
    now: number
  ): ReadonlyArray<SyncEffect> {
    this.headerWork = page.headerWork
    const peer = this.peers.get(session)
    if (peer !== undefined && page.asked) peer.askedHeadersAt = undefined
    const again = page.more ? this.ask(session, now) : []
    return [...again, ...this.look()]
  }

  /** The peer has more than it announced, or announced what does not fit on what we know: ask it from our locator. */
  behind(session: number, now: number): ReadonlyArray<SyncEffect> {
    return this.ask(session, now)
  }

  /** What the chain lacks, oldest first. */
  missing(ids: ReadonlyArray<string>, now: number): ReadonlyArray<SyncEffect> {
    this.wanted = ids.filter((id) => !this.inFlight.has(id))
    return this.assign(now)
  }

  /** A body came, from whomever; the chain judges it next. */
  bodyCame(session: number, id: string, now: number): ReadonlyArray<SyncEffect> {
    this.release(id)
    const peer = this.peers.get(session)
    if (peer !== undefined) peer.stalls = 0
    const effects = this.assign(now)
    return this.wanted.length === 0 && this.inFlight.size < bodiesInFlightPerPeerMax / 2
      ? [...effects, ...this.look()]
      : effects
  }

  notGiven(
    session: number,
    given: { readonly ids: ReadonlyArray<string>; readonly stalled: boolean },
    now: number
  ): ReadonlyArray<SyncEffect> {
    const peer = this.peers.get(session)
    for (const id of given.ids) {
      if (this.inFlight.get(id)?.session !== session) continue
      this.release(id)
      this.wanted = [id, ...this.wanted]
      peer?.lacks.add(id)
    }
    if (peer === undefined || !given.stalled) return this.assign(now)
    peer.stalls++
    const slow: ReadonlyArray<SyncEffect> =
      peer.stalls >= stallsMax ? [{ _tag: "Drop", session, reason: "too slow to give blocks" }] : []
    return [...slow, ...this.assign(now)]
  }

  tipMoved(tip: Claim, now: number): ReadonlyArray<SyncEffect> {
    this.tip = tip
    if (tip.work > this.headerWork) this.headerWork = tip.work
    return this.assign(now)
  }

  /** Time passes: headers that do not come are asked of another, and what is lacking is looked for again. */
  tick(now: number): ReadonlyArray<SyncEffect> {
    for (const peer of this.peers.values()) {
      if (peer.askedHeadersAt !== undefined && now - peer.askedHeadersAt > requestMsMax) peer.askedHeadersAt = undefined
    }
    return [...this.anyHeaders(now), ...this.look(), ...this.assign(now)]
  }

  private release(id: string): void {
    const ask = this.inFlight.get(id)
    if (ask === undefined) return
    this.inFlight.delete(id)
    const peer = this.peers.get(ask.session)
    if (peer !== undefined) peer.inFlight--
  }

  private look(): ReadonlyArray<SyncEffect> {
    return this.headerWork > this.tip.work ? [{ _tag: "Look" }] : []
  }

  private headers(session: number, now: number): ReadonlyArray<SyncEffect> {
    const peer = this.peers.get(session)
    return peer !== undefined && peer.claim.work > this.headerWork ? this.ask(session, now) : []
  }

  private anyHeaders(now: number): ReadonlyArray<SyncEffect> {
    if ([...this.peers.values()].some(({ askedHeadersAt }) => askedHeadersAt !== undefined)) return []
    const [best] = [...this.peers].sort(([, a], [, b]) => (a.claim.work < b.claim.work ? 1 : -1))
    return best === undefined ? [] : this.headers(best[0], now)
  }

  private ask(session: number, now: number): ReadonlyArray<SyncEffect> {
    const peer = this.peers.get(session)
    if (peer === undefined || peer.askedHeadersAt !== undefined) return []
    peer.askedHeadersAt = now
    return [{ _tag: "AskHeaders", session }]
  }

  /** Gives wanted bodies to peers that can have them, the least busy first, each within its bound. */
  private assign(now: number): ReadonlyArray<SyncEffect> {
    const asks = new Map<number, Array<string>>()
    const left: Array<string> = []
    // A peer is asked again when a whole batch fits: one ask a body would fill its table of requests.
    const able = [...this.peers].filter(
      ([, { claim, inFlight }]) => claim.work > this.tip.work && inFlight <= bodiesInFlightPerPeerMax - askSize
    )
    let room = able.reduce((sum, [, { inFlight }]) => sum + Math.max(0, bodiesInFlightPerPeerMax - inFlight), 0)
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
