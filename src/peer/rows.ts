/** The peer book across a restart: one JSON value for each node that was met, by node id, and for each endpoint, by "@" and it. */
import { type Place, type PeerSource, type Table, trusts } from "./addresses.ts"
import { newRecord, type PeerRecord } from "./record.ts"

/** What stays of an endpoint. */
export type StoredPlace = Omit<Place, "net" | "slot">

export const placeRow = (endpoint: string): string => `@${endpoint}`
export const isPlaceRow = (name: string): boolean => name.startsWith("@")

const kinds = {
  text: (value: unknown) => typeof value === "string" && value.length <= 1_024,
  number: (value: unknown) => typeof value === "number" && Number.isFinite(value),
  texts: (value: unknown) => Array.isArray(value) && value.length <= 32 && value.every(kinds.text)
} as const

type Kinds<A> = { readonly [K in keyof A]-?: keyof typeof kinds }

const recordKinds: Kinds<PeerRecord> = {
  nodeId: "text",
  source: "text",
  discoveredAt: "number",
  endpoint: "text",
  agent: "text",
  capabilities: "texts",
  nodeUrl: "text",
  gossipEndpoint: "text",
  gossipKey: "text",
  tlsFingerprint: "text",
  height: "number",
  work: "text",
  latencyMs: "number",
  lastSeenAt: "number",
  lastSuccessAt: "number",
  lastFailureAt: "number",
  successCount: "number",
  failureCount: "number",
  score: "number",
  points: "number",
  pointsAt: "number",
  lastError: "text",
  bannedUntil: "number",
  banReason: "text",
  observedHost: "text",
  networkGroup: "text"
}

const placeKinds: Kinds<StoredPlace> = {
  endpoint: "text",
  source: "text",
  sourceGroup: "text",
  discoveredAt: "number",
  table: "text",
  lastTriedAt: "number",
  lastSuccessAt: "number",
  lastError: "text",
  failures: "number",
  streak: "number",
  nextAt: "number",
  nodeId: "text",
  trust: "number"
}

const sources: ReadonlySet<string> = new Set<PeerSource>(["manual", "seed", "discovered", "inbound"])
const tables: ReadonlySet<string> = new Set<Table>(["own", "new", "tried"])

/** Of what was stored, what has the form that it should have; an older program left some of it out. */
const sound = (
  value: unknown,
  form: Readonly<Record<string, keyof typeof kinds>>
): Readonly<Record<string, unknown>> =>
  value === null || typeof value !== "object"
    ? {}
    : Object.fromEntries(
        Object.entries(value).filter(([key, field]) => form[key] !== undefined && kinds[form[key]](field))
      )

/** Undefined: it is no record. */
export const readRecord = (value: unknown): PeerRecord | undefined => {
  const row = sound(value, recordKinds) as Partial<PeerRecord>
  if (row.nodeId === undefined) return undefined
  const seen = row.discoveredAt ?? row.lastSeenAt ?? row.pointsAt ?? 0
  const source = sources.has(row.source ?? "") ? row.source! : "inbound"
  return { ...newRecord(row.nodeId, source, seen), ...row, source }
}

/** Undefined: it is no endpoint. */
export const readPlace = (value: unknown): StoredPlace | undefined => {
  const row = sound(value, placeKinds) as Partial<StoredPlace>
  if (row.endpoint === undefined || !sources.has(row.source ?? "") || !tables.has(row.table ?? "")) return undefined
  return {
    sourceGroup: "operator",
    discoveredAt: 0,
    lastTriedAt: undefined,
    lastSuccessAt: undefined,
    lastError: undefined,
    failures: 0,
    streak: 0,
    nextAt: 0,
    nodeId: undefined,
    ...(row as Pick<StoredPlace, "endpoint" | "source" | "table">),
    trust: Object.values(trusts).find((trust) => trust === row.trust) ?? trusts.none
  }
}

/** Why it stays beside what the operator names at each start. */
export const storedPlace = ({ net: _net, slot: _slot, ...rest }: Place): StoredPlace => rest
