/**
 * The peer book: what we know of other nodes, and what their behaviour has earned or cost them. Only what a node did in a
 * session of its own, after its signed hello, or our own look for it where it had proven to be, changes its score (defect 5).
 */
import { parsePlace, type PeerPolicy } from "../config.ts"
import { fromHex, toHex } from "../codec/bytes.ts"
import { type SipKey, sipKey, sipKeyBytes } from "../crypto/siphash.ts"
import { reached } from "../marks.ts"
import {
  anchorsMax,
  announcedGapMs,
  banMsMax,
  directoryPeersMax,
  manualPeersMax,
  newBuckets,
  newSlots
} from "../limits.ts"
import { type Added, Addresses, type Place, trusts } from "./addresses.ts"
import { isListed, mayTell, type Net, netOf, netOfEndpoint, type Reach } from "./net.ts"
import { addPoints, newRecord, noteFailure, noteSuccess, type PeerRecord } from "./record.ts"
import { isPlaceRow, placeRow, readPlace, readRecord, storedPlace } from "./rows.ts"

/** What a session shows of its peer. */
export interface Meeting {
  /** Where it says that it can be dialled. */
  readonly endpoint: string | undefined
  readonly agent: string
  /** Where we found it, if we went there. */
  readonly dialled?: string | undefined
  readonly remoteHost: string
  readonly capabilities?: ReadonlyArray<string> | undefined
  readonly nodeUrl?: string | undefined
  readonly gossipEndpoint?: string | undefined
  readonly gossipKey?: string | undefined
  readonly tlsFingerprint?: string | undefined
}

/** Whom we have sessions with; `groups`: the networks of those that we dialled. */
export interface Connected {
  readonly nodeIds: ReadonlySet<string>
  readonly endpoints: ReadonlySet<string>
  readonly groups: ReadonlySet<string>
}

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

/** Milliseconds of the longest wait of an endpoint that is not banned. */
const waitMsMax = 5 * 60_000
/** A session that stood so long was none of those that end as soon as they begin. */
const stoodMs = 60_000
/** Milliseconds in which a dial is answered or has failed. */
const diallingMs = 15_000
/** Bytes of the key of a book. */
export const bookKeyBytes = sipKeyBytes
/** The rows of the anchors, and of the key: buckets are kept over restarts. */
const anchorsRow = "#anchors"
const keyRow = "#key"

export interface DirectoryOptions {
  /** 16 bytes that only this node has: what a new book's buckets are keyed with. A stored one has its own. */
  readonly key: Uint8Array
  /** Endpoints to keep a session with. */
  readonly seeds: ReadonlyArray<string>
  readonly policy: PeerPolicy
  readonly now: number
  /** Can this node dial what stands there, host:port or multiaddr? Undefined: all. What it cannot is not learned. */
  readonly speaks?: (endpoint: string) => boolean
}

export class Directory {
  private readonly policy: PeerPolicy
  private readonly speaks: (endpoint: string) => boolean
  private readonly records = new Map<string, PeerRecord>()
  private readonly addresses: Addresses
  /** What we had dialled when the node last stopped: each is dialled first, once. */
  private readonly anchors: Array<string>
  readonly key: SipKey
  private readonly keyBytes: Uint8Array

  /** `rows`: what `rows()` gave when the node last stopped, or what an older program left. */
  constructor(
    { key, seeds, policy, now, speaks = () => true }: DirectoryOptions,
    rows: ReadonlyMap<string, unknown> = new Map()
  ) {
    this.policy = policy
    this.speaks = speaks
    this.keyBytes = fromHex(String(rows.get(keyRow)), sipKeyBytes) ?? key
    this.key = sipKey(this.keyBytes)
    this.addresses = new Addresses(this.key, policy.peersMax)
    for (const endpoint of seeds) this.addresses.own(endpoint, "seed", now)
    for (const [name, row] of rows) {
      const record = isPlaceRow(name) || this.records.size >= directoryPeersMax ? undefined : readRecord(row)
      if (record !== undefined) this.records.set(record.nodeId, record)
      const place = isPlaceRow(name) ? readPlace(row) : undefined
      if (place !== undefined && (place.table !== "own" || place.source === "manual"))
        this.addresses.restore(place, now)
    }
    for (const { endpoint, nodeId } of this.records.values()) {
      if (endpoint === undefined || this.addresses.find(endpoint) !== undefined) continue
      this.addresses.hear(endpoint, { source: "inbound", group: netOfEndpoint(endpoint)?.group ?? "" }, now)
      this.addresses.claimed(endpoint, nodeId, true)
    }
    const anchors = rows.get(anchorsRow)
    this.anchors = Array.isArray(anchors) ? anchors.filter((one) => typeof one === "string").slice(0, anchorsMax) : []
  }

  /** What it holds, and at most. Seeds are the operator's: they come on top. */
  get bounds(): ReadonlyArray<{ readonly of: string; readonly used: number; readonly max: number }> {
    const seeds = [...this.addresses.all()].filter(({ source }) => source === "seed").length
    return [
      { of: "records", used: this.records.size, max: directoryPeersMax },
      { of: "new", used: this.addresses.count("new"), max: newBuckets * newSlots },
      { of: "tried", used: this.addresses.count("tried"), max: this.addresses.triedMax },
      { of: "own", used: this.addresses.count("own"), max: manualPeersMax + seeds }
    ]
  }

  get all(): ReadonlyArray<PeerRecord> {
    return [...this.records.values()]
  }

  get places(): ReadonlyArray<Place> {
    return [...this.addresses.all()]
  }

  find(nodeId: string): PeerRecord | undefined {
    return this.records.get(nodeId)
  }

  placeOf(endpoint: string | undefined): Place | undefined {
    return endpoint === undefined ? undefined : this.addresses.find(endpoint)
  }

  /** The record of a node that has proven who it is and is let in. */
  meet(nodeId: string, facts: Meeting, now: number): PeerRecord {
    const dialled = this.placeOf(facts.dialled)
    const record = this.records.get(nodeId) ?? newRecord(nodeId, dialled?.source ?? "inbound", now)
    this.records.set(nodeId, record)
    record.endpoint = facts.endpoint ?? record.endpoint
    record.agent = facts.agent
    record.capabilities = facts.capabilities ?? record.capabilities
    record.nodeUrl = facts.nodeUrl
    record.gossipEndpoint = facts.gossipEndpoint
    record.gossipKey = facts.gossipKey
    record.tlsFingerprint = facts.tlsFingerprint
    record.lastSeenAt = now
    record.lastError = undefined
    const net = netOf(facts.remoteHost)
    record.observedHost = net.site
    record.networkGroup = net.group
    if (!this.isBanned(nodeId, now)) this.lift(record)
    noteSuccess(record, now)
    this.makeRoom(nodeId, now)
    if (facts.endpoint !== undefined) this.claim(nodeId, facts.endpoint, net, now)
    if (facts.dialled !== undefined) this.found(facts.dialled, nodeId, now)
    const home = this.placeOf(record.endpoint)
    // Who could not be reached there for long is back.
    if (home?.nodeId === nodeId && this.isUnreachable(home))
      Object.assign(home, { failures: 0, streak: 0, nextAt: now })
    return record
  }

  isBanned(nodeId: string, now: number): boolean {
    return (this.records.get(nodeId)?.bannedUntil ?? 0) > now
  }

  /**
   * May this node come in from this host? A new name costs nothing, so who was banned for what it did keeps strangers of its
   * host out as well, as long as the ban lasts; nodes that we know of there are not held liable, nor is a network of one's own.
   */
  isUnwelcome(nodeId: string, remoteHost: string, now: number): boolean {
    if (this.records.has(nodeId)) return this.isBanned(nodeId, now)
    const { reach, site } = netOf(remoteHost)
    const convicted = ({ observedHost, bannedUntil, banReason }: PeerRecord): boolean =>
      observedHost === site && (bannedUntil ?? 0) > now && banReason !== "manual"
    return reach === "public" && this.all.some(convicted)
  }

  /** Adds points; true if the node is banned now. */
  punish(nodeId: string, code: string, points: number, now: number): boolean {
    const record = this.records.get(nodeId)
    if (record === undefined) return false
    noteFailure(record, code, now)
    if (!addPoints(record, code, points, now)) return false
    record.bannedUntil = now + this.policy.banMs
    record.banReason = code
    return true
  }

  /** The operator's ban, also of a node that was never met. */
  ban(nodeId: string, wish: { readonly ms: number; readonly reason: string | undefined }, now: number): void {
    const record = this.records.get(nodeId) ?? newRecord(nodeId, "manual", now)
    this.records.set(nodeId, record)
    record.bannedUntil = now + Math.min(wish.ms, banMsMax)
    record.banReason = "manual"
    record.lastError = wish.reason ?? record.lastError
    this.makeRoom(nodeId, now)
  }

  /** Lifts a ban, whoever set it, and the wait of its endpoints. False: nothing is known of the node. */
  unban(nodeId: string): boolean {
    const record = this.records.get(nodeId)
    if (record === undefined) return false
    this.lift(record)
    record.points = 0
    for (const place of this.addresses.all())
      if (place.nodeId === nodeId || place.endpoint === record.endpoint)
        Object.assign(place, { failures: 0, streak: 0, nextAt: 0 })
    return true
  }

  /** Forgets a node and where it was, or an endpoint. A seed stays: the operator names it at each start. */
  remove(name: string): boolean {
    const record = this.records.get(name)
    const places = this.places.filter(
      ({ endpoint, nodeId, source }) =>
        source !== "seed" &&
        (endpoint === name || (record !== undefined && (nodeId === name || endpoint === record.endpoint)))
    )
    for (const { endpoint } of places) this.addresses.remove(endpoint)
    return this.records.delete(name) || places.length > 0
  }

  /** We dialled, and a node proved to be there; whether or not it may stay. */
  found(endpoint: string, nodeId: string, now: number): void {
    this.addresses.found(endpoint, nodeId, now, this.hasRoom(endpoint))
  }

  /** A node has answered in its session. `dialled`: where we found it. */
  heardFrom(nodeId: string, dialled: string | undefined, now: number): PeerRecord | undefined {
    const record = this.records.get(nodeId)
    if (record !== undefined) record.lastSeenAt = now
    if (dialled !== undefined) this.addresses.alive(dialled, now)
    return record
  }

  /** An endpoint that somebody at `from` names; undefined: a service of the operator's choice. Who is there is not believed. */
  learn(endpoint: string, from: string | undefined, now: number): Added {
    if (this.addresses.find(endpoint) !== undefined) return "known"
    const net = netOfEndpoint(endpoint)
    const by = from === undefined ? undefined : netOf(from)
    if (net === undefined || !this.isAllowed(endpoint) || !mayTell(by?.reach ?? "loopback", net.reach)) return "invalid"
    return this.addresses.hear(endpoint, { source: "discovered", group: by?.group ?? "service" }, now)
  }

  /**
   * A node has signed lately that it listens here. If we found it here once, and it could not be reached for long, it is looked for
   * again, as after a cut that is mended; true: soon. Nobody else's word does that, and neither a ban nor a shorter wait ends by it.
   */
  announced(endpoint: string, nodeId: string, now: number): boolean {
    const place = this.addresses.find(endpoint)
    if (place?.nodeId !== nodeId || place.trust !== trusts.proven || !this.isUnreachable(place)) return false
    if (this.isBanned(nodeId, now) || place.nextAt <= now || now - (place.lastTriedAt ?? 0) < announcedGapMs)
      return false
    place.nextAt = now
    return true
  }

  /** An endpoint that the operator names. */
  add(endpoint: string, now: number): Added | "not-allowed" | "unspoken" {
    if (!this.speaks(endpoint)) return "unspoken"
    return this.isAllowed(endpoint) ? this.addresses.own(endpoint, "manual", now) : "not-allowed"
  }

  /**
   * Endpoints to dial now: the operator's, those dialled before the restart, then found and named ones by chance, no two of one
   * network. Not connected, not banned, not waiting.
   */
  toDial(connected: Connected, room: number, now: number, chance: () => number): ReadonlyArray<string> {
    const chosen: Array<Place> = []
    const groups = new Set(connected.groups)
    const free = (place: Place): boolean => this.isFree(place, connected, now) && !chosen.includes(place)
    const take = (place: Place | undefined): boolean => {
      if (place === undefined || chosen.length >= room) return false
      groups.add(place.net.group)
      return chosen.push(place) > 0
    }
    if (room <= 0) return []
    const own = this.places.filter((place) => place.table === "own" && place.nextAt <= now && free(place))
    own
      .sort((a, b) => Number(b.source === "seed") - Number(a.source === "seed") || a.failures - b.failures)
      .forEach(take)
    if (!this.policy.dialDiscovered) return chosen.map(({ endpoint }) => endpoint)
    for (const endpoint of this.anchors.splice(0)) {
      const place = this.addresses.find(endpoint)
      if (place !== undefined && free(place) && take(place)) reached("anchor-dialled")
    }
    const suits = (place: Place): boolean => place.nextAt <= now && free(place) && !groups.has(place.net.group)
    const [first, second] = chance() < 0.5 ? (["tried", "new"] as const) : (["new", "tried"] as const)
    while (take(this.addresses.draw(first, suits, chance) ?? this.addresses.draw(second, suits, chance))) {}
    // Nobody else is left: who could not be reached for long may be there again.
    const rested = (place: Place): boolean =>
      this.isUnreachable(place) &&
      now - (place.lastTriedAt ?? 0) >= waitMsMax &&
      free(place) &&
      !groups.has(place.net.group)
    if (chosen.length === 0)
      take(this.addresses.draw("tried", rested, chance) ?? this.addresses.draw("new", rested, chance))
    return chosen.map(({ endpoint }) => endpoint)
  }

  /** An endpoint to look at and leave: one whose place another waits for, or one that nobody has been found at yet. */
  toProbe(connected: Connected, now: number, chance: () => number): string | undefined {
    if (!this.policy.dialDiscovered) return undefined
    const suits = (place: Place): boolean => place.nextAt <= now && this.isFree(place, connected, now)
    const [challenged] = this.addresses.challenged().filter(suits)
    return (challenged ?? this.addresses.draw("new", suits, chance))?.endpoint
  }

  /** A dial begins: it is not begun again while it goes on. */
  dialling(endpoint: string, now: number): void {
    const place = this.addresses.find(endpoint)
    if (place === undefined) return
    place.lastTriedAt = now
    place.nextAt = now + diallingMs
  }

  /**
   * A dial failed: wait twice as long as the last time, `jitter` (0 to 1) spreads the crowd (L-E5); after so many in a row as long
   * as a ban (L-E6), unless it is the operator's. `online`: others are reached meanwhile, so it is not our own line.
   */
  failed(endpoint: string, reason: string, now: number, { jitter, online }: { jitter: number; online: boolean }): void {
    const place = this.addresses.find(endpoint)
    if (place === undefined) return
    this.wait(place, reason, now, jitter)
    const record = place.trust === trusts.proven ? this.records.get(place.nodeId!) : undefined
    if (!online) return
    place.failures++
    if (record !== undefined) noteFailure(record, reason, now)
    if (this.isUnreachable(place)) {
      reached("peer-unreachable")
      place.nextAt = now + this.policy.banMs
    }
    this.addresses.failed(endpoint, now)
  }

  /** A session that we dialled is over. One that ended soon makes the next wait longer, and condemns nobody. */
  ended(endpoint: string, stoodFor: number, reason: string, now: number, jitter: number): void {
    const place = this.addresses.find(endpoint)
    if (place === undefined) return
    if (stoodFor >= stoodMs) place.streak = 0
    this.wait(place, reason, now, jitter)
  }

  /** Did the operator name where this node proved to be? */
  isOwn(nodeId: string): boolean {
    return this.places.some(
      (place) => place.table === "own" && place.nodeId === nodeId && place.trust === trusts.proven
    )
  }

  /** So many dials in vain that it rests as long as a ban lasts. The operator's own endpoints never do. */
  isUnreachable({ table, failures }: Place): boolean {
    return table !== "own" && failures >= this.policy.failuresMax
  }

  /**
   * What others may be told, chosen by chance: nodes that were met, not banned, that listen where they were found or where they
   * speak from. `host`: where who asks is; places inside are not told outside.
   */
  advertised(
    ask: { readonly except?: string | undefined; readonly host: string | undefined; readonly max: number },
    now: number,
    chance: () => number
  ): ReadonlyArray<PeerRecord & { readonly endpoint: string }> {
    const reach: Reach = ask.host === undefined ? "loopback" : netOf(ask.host).reach
    const rest = this.all.filter((record): record is PeerRecord & { readonly endpoint: string } => {
      const place = this.placeOf(record.endpoint)
      const known = place !== undefined && place.nodeId === record.nodeId && place.trust !== trusts.none
      const asked = ask.except === record.nodeId || ask.except === record.endpoint
      return known && !asked && mayTell(reach, place.net.reach) && !this.isBanned(record.nodeId, now)
    })
    const told: Array<PeerRecord & { readonly endpoint: string }> = []
    while (told.length < Math.min(ask.max, this.policy.advertisedMax) && rest.length > 0)
      told.push(...rest.splice(Math.floor(chance() * rest.length), 1))
    return told
  }

  /** Bans that are over are forgotten, and endpoints that are worth nothing. */
  prune(now: number): void {
    for (const record of this.records.values())
      if (record.bannedUntil !== undefined && record.bannedUntil <= now) this.lift(record)
    this.addresses.prune(now)
  }

  /** What is to be kept over a restart. `dialled`: endpoints of sessions that stand, the longest first. */
  rows(dialled: ReadonlyArray<string>): ReadonlyMap<string, unknown> {
    const rows = new Map<string, unknown>([[keyRow, toHex(this.keyBytes)], ...this.records])
    for (const place of this.addresses.all())
      if (place.source !== "seed" || place.table !== "own") rows.set(placeRow(place.endpoint), storedPlace(place))
    if (dialled.length > 0) rows.set(anchorsRow, dialled.slice(0, anchorsMax))
    return rows
  }

  private isAllowed(endpoint: string): boolean {
    const at = parsePlace(endpoint)
    if (!this.speaks(endpoint)) return false
    return isListed(this.policy.allowedHosts, at?.host ?? "", at?.port)
  }

  /** May it stand among the found? One network has so many places there at most, as it may have sessions (L-E3). */
  private hasRoom(endpoint: string): boolean {
    const place = this.addresses.find(endpoint)
    if (place === undefined || place.table !== "new" || place.net.reach === "loopback") return true
    const others = this.places.filter(({ table, net }) => table === "tried" && net.subnet === place.net.subnet)
    const ofSite = others.filter(({ net }) => net.site === place.net.site).length
    const isPublic = place.net.reach === "public"
    return ofSite < this.policy.perIpMax && (!isPublic || others.length < this.policy.perSubnetMax)
  }

  private isFree({ endpoint, nodeId }: Place, connected: Connected, now: number): boolean {
    if (connected.endpoints.has(endpoint) || !this.isAllowed(endpoint)) return false
    return nodeId === undefined || !(connected.nodeIds.has(nodeId) || this.isBanned(nodeId, now))
  }

  private wait(place: Place, reason: string, now: number, jitter: number): void {
    const { backoffBaseMs, banMs } = this.policy
    const ms = Math.min(waitMsMax, banMs, backoffBaseMs * 2 ** Math.min(place.streak, 20))
    place.streak++
    place.nextAt = now + ms * (0.75 + jitter / 2)
    place.lastError = reason
  }

  /** A node says where it listens: an endpoint like others, and its own if it speaks from that host. */
  private claim(nodeId: string, endpoint: string, from: Net, now: number): void {
    const net = netOfEndpoint(endpoint)
    if (net === undefined || !this.isAllowed(endpoint) || !mayTell(from.reach, net.reach)) return
    this.addresses.hear(endpoint, { source: "inbound", group: from.group }, now)
    this.addresses.claimed(endpoint, nodeId, net.site === from.site)
  }

  private lift(record: PeerRecord): void {
    record.bannedUntil = undefined
    record.banReason = undefined
  }

  /** Bounded: of those not banned the one unseen for longest goes, first among those that were never found where they say. */
  private makeRoom(newcomer: string, now: number): void {
    if (this.records.size <= directoryPeersMax) return
    const worth = (record: PeerRecord): number => {
      const place = this.placeOf(record.endpoint)
      if (this.isBanned(record.nodeId, now)) return 2
      return place?.nodeId === record.nodeId && place.trust === trusts.proven ? 1 : 0
    }
    const [worst] = this.all
      .filter(({ nodeId }) => nodeId !== newcomer)
      .sort((a, b) => worth(a) - worth(b) || (a.lastSeenAt ?? 0) - (b.lastSeenAt ?? 0))
    this.records.delete(worst!.nodeId)
  }
}
