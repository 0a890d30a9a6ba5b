/** What is known of one node that has proven who it is: what it says of itself, what it did, and what that cost or earned it. */
import { banScore } from "../limits.ts"
import type { PeerSource } from "./addresses.ts"

/** Times are milliseconds since 1970. */
export interface PeerRecord {
  readonly nodeId: string
  source: PeerSource
  discoveredAt: number
  /** Where it can be dialled; undefined: it does not listen, or we never heard. */
  endpoint: string | undefined
  agent: string
  capabilities: ReadonlyArray<string>
  nodeUrl: string | undefined
  gossipEndpoint: string | undefined
  /** X25519, in hex. */
  gossipKey: string | undefined
  tlsFingerprint: string | undefined
  /** The branch that it says it has: height, and cumulative work in decimal. */
  height: number
  work: string
  latencyMs: number | undefined
  lastSeenAt: number | undefined
  lastSuccessAt: number | undefined
  lastFailureAt: number | undefined
  successCount: number
  failureCount: number
  /** What it earned by being there, from -1000 to 1000. It orders, and forbids nothing. */
  score: number
  /** Misbehaviour points; they fade by one a minute. */
  points: number
  pointsAt: number
  lastError: string | undefined
  bannedUntil: number | undefined
  banReason: string | undefined
  /** The host that it last spoke from, and its network: observed, and told to nobody. */
  observedHost: string | undefined
  networkGroup: string | undefined
}

const minuteMs = 60_000
/** Earned by a session, lost by a failure, and how far either goes (L-E4). */
export const successScore = 10
export const failureScore = 20
export const scoreMax = 1_000

export const newRecord = (nodeId: string, source: PeerSource, now: number): PeerRecord => ({
  nodeId,
  source,
  discoveredAt: now,
  endpoint: undefined,
  agent: "",
  capabilities: [],
  nodeUrl: undefined,
  gossipEndpoint: undefined,
  gossipKey: undefined,
  tlsFingerprint: undefined,
  height: 0,
  work: "0",
  latencyMs: undefined,
  lastSeenAt: undefined,
  lastSuccessAt: undefined,
  lastFailureAt: undefined,
  successCount: 0,
  failureCount: 0,
  score: 0,
  points: 0,
  pointsAt: now,
  lastError: undefined,
  bannedUntil: undefined,
  banReason: undefined,
  observedHost: undefined,
  networkGroup: undefined
})

/** It proved to be there. Within a minute of the last time it earns nothing: nobody gets rich by coming and going. */
export const noteSuccess = (record: PeerRecord, now: number): void => {
  const earns = record.lastSuccessAt === undefined || now - record.lastSuccessAt >= minuteMs
  if (earns) record.score = Math.min(scoreMax, record.score + successScore)
  record.successCount++
  record.lastSuccessAt = now
}

/** We looked for it where it had proven to be, and it was not there; or its session failed. */
export const noteFailure = (record: PeerRecord, reason: string, now: number): void => {
  record.score = Math.max(-scoreMax, record.score - failureScore)
  record.failureCount++
  record.lastFailureAt = now
  record.lastError = reason
}

/** Adds misbehaviour points; true: they are enough for a ban, and begin anew. */
export const addPoints = (record: PeerRecord, code: string, points: number, now: number): boolean => {
  const minutes = Math.floor((now - record.pointsAt) / minuteMs)
  const left = Math.max(0, record.points - minutes)
  record.points = left + points
  // The part of a minute that has passed counts on: small offences, however often, fade like one.
  record.pointsAt = left === 0 ? now : record.pointsAt + minutes * minuteMs
  record.lastError = code
  if (record.points < banScore) return false
  record.points = 0
  return true
}
