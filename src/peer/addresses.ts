/**
 * Endpoints that may be dialled, after the address manager of Bitcoin: those that others have named in one table, those where we
 * found a node in another. A keyed hash of the networks involved says in which bucket an endpoint may stand, so that one
 * network, or one that tells of many, fills a few buckets and never the table. The operator's own endpoints stand beside both.
 */
import { utf8 } from "../codec/bytes.ts"
import type { SipKey } from "../crypto/siphash.ts"
import { sipHashInto } from "../crypto/siphash.ts"
import {
  manualPeersMax,
  newBuckets,
  newBucketsPerSource,
  newSlots,
  rivalsMax,
  triedBucketsPerGroup,
  triedSlots
} from "../limits.ts"
import { type Net, netOfEndpoint } from "./net.ts"

/** Who named it first. */
export type PeerSource = "manual" | "seed" | "discovered" | "inbound"

/** How we came to think that a node is at an endpoint: nobody did, it said so itself from there, we dialled and it proved so. */
export const trusts = { none: 0, claimed: 1, proven: 2 } as const
type Trust = (typeof trusts)[keyof typeof trusts]

export type Table = "own" | "new" | "tried"

/** An endpoint, and what came of dialling it. Times are milliseconds since 1970. */
export interface Place {
  readonly endpoint: string
  readonly net: Net
  readonly source: PeerSource
  /** The network of who named it. */
  readonly sourceGroup: string
  readonly discoveredAt: number
  table: Table
  /** In its table; of the operator's own: none. */
  slot: number
  lastTriedAt: number | undefined
  lastSuccessAt: number | undefined
  lastError: string | undefined
  /** Dials in vain in a row; and with sessions that ended soon: what the next wait grows by. */
  failures: number
  streak: number
  /** Not dialled before. */
  nextAt: number
  /** Who is there, as far as we know: never from the word of others, who could point it at whom they want kept from us. */
  nodeId: string | undefined
  trust: Trust
}

export type Added = "added" | "known" | "full" | "invalid"

const dayMs = 24 * 60 * 60_000
/** An occupant that was found so lately keeps its place without being tried. */
const lateMs = 4 * 60 * 60_000
/** Dials in vain after which a place goes to a newcomer: if nobody ever was there, and if somebody was. */
const vainNew = 3
const vainTried = 10
/** Milliseconds after which an endpoint that nobody was found at is worth nothing. */
const oldMs = 30 * dayMs

export class Addresses {
  private readonly key: SipKey
  private readonly places = new Map<string, Place>()
  private readonly fresh: Array<Place | undefined> = Array.from({ length: newBuckets * newSlots })
  private readonly tried: Array<Place | undefined>
  /** Found, and waiting for the place of another until that one was tried: newcomer by endpoint, occupant by slot. */
  private readonly rivals = new Map<string, number>()
  private readonly out = new Uint32Array(2)

  /** `key`: nobody else may know it, or buckets can be aimed at. `triedMax`: places for endpoints where we found a node. */
  constructor(key: SipKey, triedMax: number) {
    this.key = key
    this.tried = Array.from({ length: Math.max(1, triedMax) })
  }

  find(endpoint: string): Place | undefined {
    return this.places.get(endpoint)
  }

  all(): IterableIterator<Place> {
    return this.places.values()
  }

  count(table: Table): number {
    let count = 0
    for (const place of this.places.values()) if (place.table === table) count++
    return count
  }

  get triedMax(): number {
    return this.tried.length
  }

  /** An endpoint of the operator, to be kept whatever happens, also if others have named it before. */
  own(endpoint: string, source: "manual" | "seed", now: number): Added {
    const known = this.places.get(endpoint)
    if (known?.table === "own") return "known"
    const manual = [...this.places.values()].filter((place) => place.source === "manual").length
    if (source === "manual" && manual >= manualPeersMax) return "full"
    const place = this.make(endpoint, { source, sourceGroup: "operator", now })
    if (place === undefined) return "invalid"
    if (known !== undefined) {
      this.remove(endpoint)
      Object.assign(place, { nodeId: known.nodeId, trust: known.trust })
    }
    this.places.set(endpoint, place)
    return known === undefined ? "added" : "known"
  }

  /** An endpoint that somebody has named. Whoever stands in its place stays, unless it is worth nothing. */
  hear(
    endpoint: string,
    by: { readonly source: "discovered" | "inbound"; readonly group: string },
    now: number
  ): Added {
    if (this.places.has(endpoint)) return "known"
    const place = this.make(endpoint, { source: by.source, sourceGroup: by.group, now })
    return place === undefined ? "invalid" : this.putNew(place, now) ? "added" : "full"
  }

  /** We dialled, and this node proved to be there. `mayRise`: its networks have room among those found. */
  found(endpoint: string, nodeId: string, now: number, mayRise: boolean): void {
    const place = this.places.get(endpoint)
    if (place === undefined) return
    // A node has one place of those found: it cannot fill the table by moving.
    if (place.table === "new" && mayRise)
      for (const other of [...this.places.values()])
        if (other.nodeId === nodeId && other.table === "tried") this.demote(other, now)
    Object.assign(place, { nodeId, trust: trusts.proven, failures: 0, lastSuccessAt: now, lastError: undefined })
    this.rivalsFreeOf(place)
    if (place.table === "new" && mayRise) this.promote(place, now)
  }

  /** A node that is connected says that it listens there; `plausible`: it speaks from that host. */
  claimed(endpoint: string, nodeId: string, plausible: boolean): void {
    const place = this.places.get(endpoint)
    if (place === undefined || !plausible || place.trust === trusts.proven || place.table === "own") return
    place.nodeId = nodeId
    place.trust = trusts.claimed
  }

  /** Who was found there has answered just now. */
  alive(endpoint: string, now: number): void {
    const place = this.places.get(endpoint)
    if (place === undefined) return
    place.lastSuccessAt = now
    this.rivalsFreeOf(place)
  }

  /** A dial in vain: its place may go to a rival, or to anybody. */
  failed(endpoint: string, now: number): void {
    const place = this.places.get(endpoint)
    if (place === undefined) return
    if (place.table === "tried") {
      const [rival] = [...this.rivals].find(([, slot]) => slot === place.slot) ?? []
      if (rival !== undefined) return this.yieldTo(place, rival, now)
      if (place.failures >= vainTried) this.demote(place, now)
    } else if (place.table === "new" && this.isVain(place, now)) this.remove(endpoint)
  }

  /** What is worth nothing goes. */
  prune(now: number): void {
    for (const place of [...this.places.values()])
      if (place.table === "new" && this.isVain(place, now)) this.remove(place.endpoint)
  }

  /** Forgets an endpoint. False: it was not known. */
  remove(endpoint: string): boolean {
    const place = this.places.get(endpoint)
    if (place === undefined) return false
    this.places.delete(endpoint)
    this.rivals.delete(endpoint)
    if (place.table === "tried") this.rivalsFreeOf(place)
    this.take(place)
    return true
  }

  /** Occupants that stand in the way of a found endpoint, the longest waited for first. */
  challenged(): ReadonlyArray<Place> {
    return [...this.rivals.values()].flatMap((slot) => this.tried[slot] ?? [])
  }

  /**
   * One of a table that suits. `chance`: 0 to 1, anew at each call. First a bucket, then one in it: who fills a few buckets to the
   * brim is drawn as often as who stands in them alone.
   */
  draw(table: "new" | "tried", suits: (place: Place) => boolean, chance: () => number): Place | undefined {
    const buckets = new Map<number, Array<Place>>()
    for (const place of this.places.values()) {
      if (place.table !== table || !suits(place)) continue
      const bucket = Math.floor(place.slot / (table === "new" ? newSlots : triedSlots))
      const row = buckets.get(bucket)
      if (row === undefined) buckets.set(bucket, [place])
      else row.push(place)
    }
    const rows = [...buckets.values()]
    const row = rows[Math.floor(chance() * rows.length)]
    return row?.[Math.floor(chance() * row.length)]
  }

  /** Puts back what was known when the node last stopped. What has no place any more is left out. */
  restore(place: Omit<Place, "net" | "slot">, now: number): void {
    const net = netOfEndpoint(place.endpoint)
    if (net === undefined || this.places.has(place.endpoint)) return
    const back: Place = { ...place, net, slot: -1 }
    if (place.table === "own") this.places.set(place.endpoint, back)
    else if (place.table === "new" || !this.putTried(back)) this.putNew(back, now)
  }

  private make(
    endpoint: string,
    by: { readonly source: PeerSource; readonly sourceGroup: string; readonly now: number }
  ): Place | undefined {
    const net = netOfEndpoint(endpoint)
    if (net === undefined) return undefined
    return {
      endpoint,
      net,
      source: by.source,
      sourceGroup: by.sourceGroup,
      discoveredAt: by.now,
      table: "own",
      slot: -1,
      lastTriedAt: undefined,
      lastSuccessAt: undefined,
      lastError: undefined,
      failures: 0,
      streak: 0,
      nextAt: 0,
      nodeId: undefined,
      trust: trusts.none
    }
  }

  private hash(...parts: ReadonlyArray<string | number>): number {
    sipHashInto(this.key, utf8(parts.join("\0")), this.out)
    return this.out[0]!
  }

  private newSlotOf({ endpoint, net, sourceGroup }: Place): number {
    const lane = this.hash("lane", net.group, sourceGroup) % newBucketsPerSource
    const bucket = this.hash("new", sourceGroup, lane) % newBuckets
    return bucket * newSlots + (this.hash("new-slot", bucket, endpoint) % newSlots)
  }

  /** The last bucket may be shorter than the others. */
  private triedSlotOf({ endpoint, net }: Place): number {
    const lane = this.hash("lane", endpoint) % triedBucketsPerGroup
    const bucket = this.hash("tried", net.group, lane) % Math.ceil(this.tried.length / triedSlots)
    return (bucket * triedSlots + (this.hash("tried-slot", bucket, endpoint) % triedSlots)) % this.tried.length
  }

  private isVain({ failures, lastSuccessAt, discoveredAt }: Place, now: number): boolean {
    const since = lastSuccessAt ?? discoveredAt
    return failures >= (lastSuccessAt === undefined ? vainNew : vainTried) || now - since > oldMs
  }

  private putNew(place: Place, now: number): boolean {
    const slot = this.newSlotOf(place)
    const there = this.fresh[slot]
    if (there !== undefined && !this.isVain(there, now)) return false
    if (there !== undefined) this.remove(there.endpoint)
    this.places.set(place.endpoint, place)
    this.fresh[slot] = place
    place.table = "new"
    place.slot = slot
    return true
  }

  private putTried(place: Place): boolean {
    const slot = this.triedSlotOf(place)
    if (this.tried[slot] !== undefined) return false
    this.places.set(place.endpoint, place)
    this.tried[slot] = place
    place.table = "tried"
    place.slot = slot
    return true
  }

  /** Out of its slot; it stays known. */
  private take(place: Place): void {
    if (place.table === "new") this.fresh[place.slot] = undefined
    if (place.table === "tried") this.tried[place.slot] = undefined
  }

  /** From new to tried; if somebody stands there who was not found lately, that one is tried first. */
  private promote(place: Place, now: number): void {
    const slot = this.triedSlotOf(place)
    const there = this.tried[slot]
    if (there === undefined) {
      this.take(place)
      this.putTried(place)
    } else if (now - (there.lastSuccessAt ?? 0) > lateMs && this.rivals.size < rivalsMax)
      this.rivals.set(place.endpoint, slot)
  }

  /** Back among those that were only named, if there is a place. */
  private demote(place: Place, now: number): void {
    this.rivalsFreeOf(place)
    this.take(place)
    this.places.delete(place.endpoint)
    this.putNew(place, now)
  }

  private yieldTo(place: Place, rival: string, now: number): void {
    const newcomer = this.places.get(rival)
    this.demote(place, now)
    if (newcomer !== undefined) this.promote(newcomer, now)
  }

  /** Nobody waits for its place any more. */
  private rivalsFreeOf(place: Place): void {
    if (place.table !== "tried") return
    for (const [rival, slot] of this.rivals) if (slot === place.slot) this.rivals.delete(rival)
  }
}
