/** The peer book as outsiders see it. What we have observed of a peer's host stays here. */
import type { PeerBookView, PeerView, PlaceView, ToldPeer } from "../src/node/peers.ts"
import { httpPageMax } from "../src/limits.ts"
import type { Place } from "../src/peer/addresses.ts"
import type { Directory } from "../src/peer/directory.ts"
import type { PeerRecord } from "../src/peer/record.ts"

/** Endpoints that are being dialled. */
export type Dialled = Pick<ReadonlySet<string>, "has">

/** Until when an endpoint is left alone after failures. One that is being dialled is not. */
const cooldownOf = (place: Place | undefined, dialled: Dialled, now: number): number | undefined =>
  place !== undefined && place.streak > 0 && place.nextAt > now && !dialled.has(place.endpoint)
    ? Math.ceil(place.nextAt)
    : undefined

const standing = (
  facts: { readonly banned: boolean; readonly connected: boolean; readonly unreachable: boolean },
  cooldownUntil: number | undefined
): PeerView["state"] => {
  if (facts.banned) return "banned"
  if (facts.connected) return "active"
  if (cooldownUntil === undefined) return "known"
  return facts.unreachable ? "banned" : "backoff"
}

/** What may be told of a peer, to whomever. */
const told = (record: PeerRecord): ToldPeer => ({
  nodeId: record.nodeId,
  endpoint: record.endpoint ?? "",
  agent: record.agent,
  capabilities: record.capabilities,
  height: record.height,
  work: BigInt(/^\d{1,78}$/.test(record.work) ? record.work : "0"),
  nodeUrl: record.nodeUrl,
  gossipEndpoint: record.gossipEndpoint,
  gossipKey: record.gossipKey,
  tlsFingerprint: record.tlsFingerprint
})

export const toldOf = (records: ReadonlyArray<PeerRecord>): ReadonlyArray<ToldPeer> => records.map(told)

/** `direction`: of the session with it that stands. */
export const viewPeer = (
  directory: Directory,
  record: PeerRecord,
  { direction, dialled }: { readonly direction: PeerView["direction"]; readonly dialled: Dialled },
  now: number
): PeerView => {
  const place = directory.placeOf(record.endpoint)
  const connected = direction !== "none"
  const banned = directory.isBanned(record.nodeId, now)
  const unreachable = place !== undefined && directory.isUnreachable(place)
  const cooldownUntil = connected ? undefined : cooldownOf(place, dialled, now)
  const state = standing({ banned, connected, unreachable }, cooldownUntil)
  const { gossipKey: _key, ...facts } = told(record)
  return {
    ...facts,
    source: record.source,
    direction,
    state,
    score: record.score,
    points: record.points,
    latencyMs: record.latencyMs,
    discoveredAt: record.discoveredAt,
    lastSeenAt: record.lastSeenAt,
    lastSuccessAt: record.lastSuccessAt,
    lastFailureAt: record.lastFailureAt,
    successCount: record.successCount,
    failureCount: record.failureCount,
    lastError: record.lastError ?? (connected ? undefined : place?.lastError),
    cooldownUntil,
    bannedUntil: state !== "banned" ? undefined : banned ? record.bannedUntil : cooldownUntil,
    banReason: state !== "banned" ? undefined : banned ? record.banReason : "unreachable"
  }
}

const viewPlace = (directory: Directory, place: Place, dialled: Dialled, now: number): PlaceView => {
  const cooldownUntil = cooldownOf(place, dialled, now)
  const banned = cooldownUntil !== undefined && directory.isUnreachable(place)
  return {
    endpoint: place.endpoint,
    source: place.source,
    state: banned ? "banned" : cooldownUntil !== undefined ? "backoff" : "known",
    discoveredAt: place.discoveredAt,
    lastTriedAt: place.lastTriedAt,
    failures: place.failures,
    lastError: place.lastError,
    cooldownUntil
  }
}

/** Endpoints where nobody was met yet, the operator's first. */
const unmetOf = (directory: Directory, dialled: Dialled, now: number): ReadonlyArray<PlaceView> => {
  const met = new Set(directory.all.map(({ endpoint }) => endpoint))
  return directory.places
    .filter(
      ({ endpoint, nodeId }) => !met.has(endpoint) && (nodeId === undefined || directory.find(nodeId) === undefined)
    )
    .sort((a, b) => Number(b.table === "own") - Number(a.table === "own"))
    .slice(0, httpPageMax)
    .map((place) => viewPlace(directory, place, dialled, now))
}

const order: ReadonlyArray<PeerView["state"]> = ["active", "known", "backoff", "banned"]

/** By state, then score, then who was there last (L-E7). */
export const sortPeers = (peers: ReadonlyArray<PeerView>): ReadonlyArray<PeerView> =>
  [...peers].sort(
    (a, b) =>
      order.indexOf(a.state) - order.indexOf(b.state) ||
      b.score - a.score ||
      (b.lastSuccessAt ?? 0) - (a.lastSuccessAt ?? 0) ||
      (a.nodeId < b.nodeId ? -1 : 1)
  )

export const viewBook = (
  directory: Directory,
  peers: ReadonlyArray<PeerView>,
  dialled: Dialled,
  now: number
): PeerBookView => {
  const of = (table: Place["table"]): number => directory.places.filter((place) => place.table === table).length
  return {
    peers: sortPeers(peers),
    unmet: unmetOf(directory, dialled, now),
    counts: { own: of("own"), tried: of("tried"), new: of("new") }
  }
}
