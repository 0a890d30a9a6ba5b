/**
 * What we know of other nodes, and what their behaviour has cost them. Only what a node did in a session of its own, after
 * its signed hello, changes its score (defect 5); a banned node is refused whichever way it comes.
 */
import { banMs, banScore, directoryPeersMax } from "../limits.ts"

export interface PeerRecord {
  readonly nodeId: string
  /** Where it can be dialled; undefined: it does not listen, or we never heard. */
  endpoint: string | undefined
  agent: string
  height: number
  latencyMs: number | undefined
  /** Misbehaviour points; they fade by one a minute. */
  points: number
  pointsAt: number
  lastSeenAt: number | undefined
  lastError: string | undefined
  bannedUntil: number | undefined
}

/** How we came to think that a node is at an endpoint: others said so, it said so itself, we dialled and it proved so. */
const trusts = { heard: 0, claimed: 1, proven: 2 } as const

type Trust = (typeof trusts)[keyof typeof trusts]

/** An endpoint that we dial, with its backoff. */
interface Dial {
  failures: number
  nextAt: number
  /** Who is there, as far as we know: never from the word of others, who could point it at whom they want kept from us. */
  nodeId: string | undefined
  trust: Trust
  readonly seed: boolean
}

const minuteMs = 60_000
const backoffBaseMs = 1_000
const backoffMaxMs = 5 * minuteMs

/** Points by stable code; what is not here costs what its sender says. Honest lateness costs nothing. */
export const prices: Readonly<Record<string, number>> = {
  "frame-refused": 50,
  "message-malformed": 50,
  "hello-malformed": 50,
  "hello-signature": 50,
  "hello-replayed": 50,
  "node-id-mismatch": 50,
  "hello-expected": 50,
  "seal-wrong": 100,
  "target-wrong": 100,
  "state-root-wrong": 100,
  "transaction-refused": 100,
  "signature-invalid": 50,
  "evidence-false": 100,
  "checkpoint-vote-forged": 50
}

/** Points of a refusal whose sender is to blame. */
export const priceOf = (code: string): number => prices[code] ?? 20

export class Directory {
  private readonly records = new Map<string, PeerRecord>()
  private readonly dials = new Map<string, Dial>()

  /** Endpoints to keep a session with, and what was known when the node last stopped. */
  constructor(seeds: ReadonlyArray<string>, known: Iterable<PeerRecord> = []) {
    for (const record of known) {
      this.records.set(record.nodeId, { ...record })
      if (record.endpoint !== undefined) this.place(record.endpoint, record.nodeId, trusts.claimed)
    }
    for (const endpoint of seeds)
      this.dials.set(endpoint, { failures: 0, nextAt: 0, nodeId: undefined, trust: trusts.heard, seed: true })
  }

  /** What it holds, and at most. Seeds are the operator's: they come on top. */
  get bounds(): ReadonlyArray<{ readonly of: string; readonly used: number; readonly max: number }> {
    const seeds = [...this.dials.values()].filter(({ seed }) => seed).length
    return [
      { of: "records", used: this.records.size, max: directoryPeersMax },
      { of: "endpoints", used: this.dials.size, max: directoryPeersMax + seeds }
    ]
  }

  get all(): ReadonlyArray<PeerRecord> {
    return [...this.records.values()]
  }

  find(nodeId: string): PeerRecord | undefined {
    return this.records.get(nodeId)
  }

  /** The record of a node that has proven who it is. `dialled`: where we found it, if we went there. */
  meet(
    nodeId: string,
    facts: { readonly endpoint: string | undefined; readonly agent: string; readonly dialled?: string | undefined },
    now: number
  ): PeerRecord {
    const record = this.records.get(nodeId) ?? {
      nodeId,
      endpoint: undefined,
      agent: "",
      height: 0,
      latencyMs: undefined,
      points: 0,
      pointsAt: now,
      lastSeenAt: undefined,
      lastError: undefined,
      bannedUntil: undefined
    }
    record.endpoint = facts.endpoint ?? record.endpoint
    record.agent = facts.agent
    record.lastSeenAt = now
    record.lastError = undefined
    if (!this.isBanned(nodeId, now)) record.bannedUntil = undefined
    this.records.set(nodeId, record)
    this.makeRoom(nodeId, now)
    if (record.endpoint !== undefined) this.place(record.endpoint, nodeId, trusts.claimed)
    if (facts.dialled !== undefined) this.found(facts.dialled, nodeId)
    return record
  }

  isBanned(nodeId: string, now: number): boolean {
    return (this.records.get(nodeId)?.bannedUntil ?? 0) > now
  }

  /** Adds points; true if the node is banned now. */
  punish(nodeId: string, code: string, points: number, now: number): boolean {
    const record = this.records.get(nodeId)
    if (record === undefined) return false
    const minutes = Math.floor((now - record.pointsAt) / minuteMs)
    const left = Math.max(0, record.points - minutes)
    record.points = left + points
    // The part of a minute that has passed counts on: small offences, however often, fade like one.
    record.pointsAt = left === 0 ? now : record.pointsAt + minutes * minuteMs
    record.lastError = code
    if (record.points < banScore) return false
    record.bannedUntil = now + banMs
    record.points = 0
    return true
  }

  /** We dialled, and a node proved to be there; whether or not it may stay. */
  found(endpoint: string, nodeId: string): void {
    this.place(endpoint, nodeId, trusts.proven)
  }

  /** An endpoint that a peer told of: may be dialled when there is room. Who is there is not believed. */
  learn(endpoint: string, _nodeId: string | undefined): void {
    this.place(endpoint, undefined, trusts.heard)
  }

  /** An endpoint that the operator or a caller names, to be dialled like one that a peer told of. */
  add(endpoint: string): "added" | "known" | "full" {
    if (this.dials.has(endpoint)) return "known"
    this.place(endpoint, undefined, trusts.heard)
    return this.dials.has(endpoint) ? "added" : "full"
  }

  /** Endpoints to dial now, seeds first: not connected, not banned, not in backoff. */
  toDial(
    connected: { readonly nodeIds: ReadonlySet<string>; readonly endpoints: ReadonlySet<string> },
    room: number,
    now: number
  ): ReadonlyArray<string> {
    return [...this.dials]
      .filter(
        ([endpoint, { nextAt, nodeId }]) =>
          nextAt <= now &&
          !connected.endpoints.has(endpoint) &&
          (nodeId === undefined || (!connected.nodeIds.has(nodeId) && !this.isBanned(nodeId, now)))
      )
      .sort(([, a], [, b]) => Number(b.seed) - Number(a.seed) || a.failures - b.failures)
      .slice(0, Math.max(0, room))
      .map(([endpoint]) => endpoint)
  }

  /** A dial begins: it is not begun again while it goes on. */
  dialling(endpoint: string, now: number): void {
    const dial = this.dials.get(endpoint)
    if (dial !== undefined) dial.nextAt = now + 15_000
  }

  /** A dial or its session ended badly: wait twice as long as the last time, `jitter` (0 to 1) spreads the crowd (L-E5). */
  failed(endpoint: string, reason: string, now: number, jitter: number): void {
    const dial = this.dials.get(endpoint)
    if (dial === undefined) return
    const waitMs = Math.min(backoffMaxMs, backoffBaseMs * 2 ** Math.min(dial.failures, 16))
    dial.failures++
    dial.nextAt = now + waitMs * (0.75 + jitter / 2)
    const record = dial.nodeId === undefined ? undefined : this.records.get(dial.nodeId)
    if (record !== undefined) record.lastError = reason
    if (!dial.seed && dial.failures > 10) this.dials.delete(endpoint)
  }

  /** A dial led to a session. */
  succeeded(endpoint: string): void {
    const dial = this.dials.get(endpoint)
    if (dial !== undefined) dial.failures = 0
  }

  /** Until when an endpoint's node is left alone after failures. */
  cooldownOf(endpoint: string | undefined, now: number): number | undefined {
    const dial = endpoint === undefined ? undefined : this.dials.get(endpoint)
    return dial !== undefined && dial.failures > 0 && dial.nextAt > now ? dial.nextAt : undefined
  }

  /** What others may be told: nodes that listen and were met, without what we observed of them. */
  advertised(except: string, max: number): ReadonlyArray<{ readonly endpoint: string; readonly nodeId: string }> {
    return this.all
      .filter(
        ({ nodeId, endpoint, bannedUntil }) => endpoint !== undefined && nodeId !== except && bannedUntil === undefined
      )
      .slice(0, max)
      .map(({ nodeId, endpoint }) => ({ nodeId, endpoint: endpoint! }))
  }

  /** Notes who is at an endpoint, unless we know better. A seed is whoever proves to be there, not who says so. */
  private place(endpoint: string, nodeId: string | undefined, trust: Trust): void {
    const known = this.dials.get(endpoint)
    if (known === undefined) {
      if (this.dials.size < directoryPeersMax || this.forgetDial(trust))
        this.dials.set(endpoint, { failures: 0, nextAt: 0, nodeId, trust, seed: false })
    } else if (nodeId !== undefined && trust >= known.trust && (trust === trusts.proven || !known.seed)) {
      known.nodeId = nodeId
      known.trust = trust
    }
  }

  /** Makes room for an endpoint: one that failed goes, or one that we know less well. */
  private forgetDial(trust: Trust): boolean {
    const [worst] = [...this.dials]
      .filter(([, dial]) => !dial.seed && (dial.trust < trust || (dial.trust === trust && dial.failures > 0)))
      .sort(([, a], [, b]) => a.trust - b.trust || b.failures - a.failures)
    return worst !== undefined && this.dials.delete(worst[0])
  }

  /** Bounded: of those not banned, the one unseen for longest goes. */
  private makeRoom(newcomer: string, now: number): void {
    if (this.records.size <= directoryPeersMax) return
    const others = this.all.filter(({ nodeId }) => nodeId !== newcomer)
    const [oldest] = others
      .filter(({ nodeId }) => !this.isBanned(nodeId, now))
      .sort((a, b) => (a.lastSeenAt ?? 0) - (b.lastSeenAt ?? 0))
    this.records.delete((oldest ?? others[0]!).nodeId)
  }
}
