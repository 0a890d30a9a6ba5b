/** May this peer come in? Proven identity first, then caps: in all, by direction, by address. */
import { outboundSessionsMax, sessionsPerIpMax } from "../limits.ts"

export interface Candidate {
  readonly nodeId: string
  readonly host: string
  readonly direction: "inbound" | "outbound"
}

export type AdmissionReject = "banned" | "already-connected" | "sessions-full" | "outbound-full" | "address-full"

const isLoopback = (host: string): boolean => host === "::1" || host.startsWith("127.")

/**
 * Why not, or undefined. `ourId`: of two sessions between the same nodes both sides keep the one that the lower id dialled,
 * so that they agree without a word; `replaces` tells which of ours goes.
 */
export const checkAdmission = (
  candidate: Candidate,
  sessions: ReadonlyArray<Candidate>,
  facts: { readonly ourId: string; readonly banned: boolean; readonly sessionsMax: number }
): { readonly reject: AdmissionReject } | { readonly replaces: Candidate | undefined } => {
  if (facts.banned) return { reject: "banned" }
  const twin = sessions.find(({ nodeId }) => nodeId === candidate.nodeId)
  if (twin !== undefined) {
    const dialler = candidate.direction === "outbound" ? facts.ourId : candidate.nodeId
    const kept = dialler === (facts.ourId < candidate.nodeId ? facts.ourId : candidate.nodeId)
    return kept && twin.direction !== candidate.direction ? { replaces: twin } : { reject: "already-connected" }
  }
  if (sessions.length >= facts.sessionsMax) return { reject: "sessions-full" }
  if (
    candidate.direction === "outbound" &&
    sessions.filter(({ direction }) => direction === "outbound").length >= outboundSessionsMax
  ) {
    return { reject: "outbound-full" }
  }
  const sameHost = sessions.filter(({ host }) => host === candidate.host).length
  return !isLoopback(candidate.host) && sameHost >= sessionsPerIpMax
    ? { reject: "address-full" }
    : { replaces: undefined }
}
