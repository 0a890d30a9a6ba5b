/** May this peer come in? Proven identity first, then the operator's lists, then caps: by direction, by address, by network. */
import { parsePlace, type PeerPolicy } from "../config.ts"
import type { SipKey } from "../crypto/siphash.ts"
import { outboundSessionsMax } from "../limits.ts"
import { chooseEviction, type Sitting } from "./eviction.ts"
import { isListed, netOf, netOfEndpoint } from "./net.ts"

/** Who wants in, and each who is in. */
export interface Candidate extends Sitting {
  readonly nodeId: string
  readonly direction: "inbound" | "outbound"
  /** What we dialled. */
  readonly dialled: string | undefined
  /** Where it says that it listens. */
  readonly endpoint: string | undefined
  /** Named by the operator: it is in no crowd, and gives its place to nobody. */
  readonly isOwn: boolean
}

export type AdmissionReject =
  | "banned"
  | "id-not-allowed"
  | "host-not-allowed"
  | "already-connected"
  | "sessions-full"
  | "outbound-full"
  | "address-full"
  | "subnet-full"
  | "network-taken"

export interface Admitting {
  readonly ourId: string
  readonly banned: boolean
  /** Sessions in all. */
  readonly sessionsMax: number
  readonly policy: Pick<PeerPolicy, "perIpMax" | "perSubnetMax" | "allowedHosts" | "allowedIds">
  /** This node's own, for evictions. */
  readonly key: SipKey
}

export type Admission =
  | { readonly reject: AdmissionReject }
  /** `replaces`: the other session with this node; `evicts`: whose place it gets. */
  | { readonly replaces: Candidate | undefined; readonly evicts: Candidate | undefined }

/** Sessions that nobody can take from those that we dial: a node that is only called hears what its callers want. */
export const outboundKept = (sessionsMax: number): number => Math.min(outboundSessionsMax, Math.floor(sessionsMax / 4))

/** A host of the list: where we went; where it speaks from, or says that it listens. The latter proves nothing: ids do. */
const isHostAllowed = ({ host, dialled, endpoint }: Candidate, hosts: ReadonlyArray<string>): boolean => {
  if (hosts.length === 0 || isListed(hosts, host)) return true
  const at = parsePlace(dialled ?? endpoint ?? "")
  return at !== undefined && isListed(hosts, at.host, at.port)
}

/** Too many of its address or its network? Loopback counts for none, a network of one's own is not one of many owners. */
const crowded = (
  { host }: Candidate,
  sessions: ReadonlyArray<Candidate>,
  { perIpMax, perSubnetMax }: Admitting["policy"]
): AdmissionReject | undefined => {
  const net = netOf(host)
  if (net.reach === "loopback") return undefined
  const others = sessions.map((session) => netOf(session.host))
  if (others.filter(({ site }) => site === net.site).length >= perIpMax) return "address-full"
  if (net.reach === "private") return undefined
  return others.filter(({ subnet }) => subnet === net.subnet).length >= perSubnetMax ? "subnet-full" : undefined
}

/** What we dial, we dial into networks that we have no session of; nobody else chooses our peers. */
const checkOutbound = (
  candidate: Candidate,
  sessions: ReadonlyArray<Candidate>,
  { sessionsMax }: Admitting
): Admission | undefined => {
  const outbound = sessions.filter(({ direction }) => direction === "outbound")
  if (sessions.length >= sessionsMax || outbound.length >= outboundSessionsMax) return { reject: "outbound-full" }
  const net = netOf(candidate.host)
  if (candidate.isOwn || net.reach !== "public") return undefined
  return outbound.some(({ host }) => netOf(host).group === net.group) ? { reject: "network-taken" } : undefined
}

const checkInbound = (sessions: ReadonlyArray<Candidate>, { sessionsMax, key }: Admitting): Admission | undefined => {
  const inbound = sessions.filter(({ direction }) => direction === "inbound")
  const max = sessionsMax - outboundKept(sessionsMax)
  if (inbound.length < max && sessions.length < sessionsMax) return undefined
  const evicts = chooseEviction(
    inbound.filter(({ isOwn }) => !isOwn),
    key
  )
  return evicts === undefined ? { reject: "sessions-full" } : { replaces: undefined, evicts }
}

/**
 * Why not, or who goes for it. Of two sessions between the same nodes both sides keep the one that the lower id dialled, so that
 * they agree without a word.
 */
export const checkAdmission = (
  candidate: Candidate,
  sessions: ReadonlyArray<Candidate>,
  facts: Admitting
): Admission => {
  const { policy, ourId } = facts
  if (facts.banned) return { reject: "banned" }
  if (policy.allowedIds.length > 0 && !policy.allowedIds.includes(candidate.nodeId)) return { reject: "id-not-allowed" }
  if (!isHostAllowed(candidate, policy.allowedHosts)) return { reject: "host-not-allowed" }
  const twin = sessions.find(({ nodeId }) => nodeId === candidate.nodeId)
  if (twin !== undefined) {
    const dialler = candidate.direction === "outbound" ? ourId : candidate.nodeId
    const kept = dialler === (ourId < candidate.nodeId ? ourId : candidate.nodeId)
    return kept && twin.direction !== candidate.direction
      ? { replaces: twin, evicts: undefined }
      : { reject: "already-connected" }
  }
  const reject = candidate.isOwn ? undefined : crowded(candidate, sessions, policy)
  if (reject !== undefined) return { reject }
  const full =
    candidate.direction === "outbound" ? checkOutbound(candidate, sessions, facts) : checkInbound(sessions, facts)
  return full ?? { replaces: undefined, evicts: undefined }
}

/** Networks of the sessions that we dialled, where that is somebody's else than the operator's choice. */
export const groupsOf = (sessions: ReadonlyArray<Candidate>): ReadonlySet<string> =>
  new Set(
    sessions
      .filter(({ direction }) => direction === "outbound")
      .flatMap(({ host, dialled }) => [netOf(host).group, netOfEndpoint(dialled ?? "")?.group ?? ""])
  )
