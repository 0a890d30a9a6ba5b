/** Refusals and faults as problem details (RFC 9457): a stable code, what was wrong, what to do. docs/errors.md lists the codes. */
import type { TransactionRejectCode } from "../ledger/reject.ts"
import type { BackupRefused, BlockRefused, Busy, TransactionRefused, Unavailable, VoteRefused } from "../node/node.ts"

export interface Problem {
  readonly status: number
  readonly code: string
  readonly title: string
  readonly detail: string
  readonly headers?: Readonly<Record<string, string>>
  readonly errors?: ReadonlyArray<unknown>
  /** Members beside those of the RFC. */
  readonly extra?: Readonly<Record<string, unknown>>
}

export const problem = (status: number, code: string, detail: string, more: Partial<Problem> = {}): Problem => ({
  status,
  code,
  title: titles[status] ?? "Error",
  detail,
  ...more
})

const titles: Readonly<Record<number, string>> = {
  400: "Bad request",
  401: "Authentication required",
  403: "Forbidden",
  404: "Not found",
  405: "Method not allowed",
  409: "Conflict",
  410: "Gone",
  413: "Content too large",
  415: "Unsupported media type",
  429: "Too many requests",
  500: "Internal error",
  503: "Service unavailable"
}

/** A second submission conflicts with the first; the rest is the input's fault. */
const conflicts: ReadonlySet<TransactionRejectCode> = new Set([
  "already-pending",
  "already-confirmed",
  "replacement-underpriced",
  "nonce-too-low",
  "coin-conflict",
  "coin-spent"
])
const busy: ReadonlySet<TransactionRejectCode> = new Set([
  "pool-full",
  "sender-queue-full",
  "too-many-ancestors",
  "too-many-descendants"
])

/** What a vote is about is not there. */
const missing: ReadonlySet<VoteRefused["code"]> = new Set(["authorities-missing", "wish-missing"])

/** What handlers may end with beside an answer. */
export type Refused = TransactionRefused | BlockRefused | VoteRefused | BackupRefused

/** The problem of what a node answers instead of an answer. */
export const problemOf = (error: Refused | Busy | Unavailable): Problem => {
  switch (error._tag) {
    case "TransactionRefused": {
      const { code, message, detail } = error.reject
      const status = conflicts.has(code) ? 409 : busy.has(code) ? 503 : 400
      const headers: Readonly<Record<string, string>> = status === 503 ? { "retry-after": "10" } : {}
      return problem(status, code, message, { headers, ...(detail === undefined ? {} : { errors: [detail] }) })
    }
    case "BlockRefused":
      return problem(500, error.reject.code, error.reject.message)
    case "BackupRefused":
      return problem(error.code === "backups-none" ? 503 : 500, error.code, error.message)
    case "VoteRefused":
      return problem(missing.has(error.code) ? 404 : 409, error.code, error.message)
    case "Busy":
      return problem(503, "busy", `The ${error.actor} has more to do than it may queue.`, {
        headers: { "retry-after": String(Math.ceil(error.retryAfterMs / 1000)) }
      })
    case "Unavailable":
      return problem(503, error.code ?? "unavailable", `The ${error.actor} does not answer: ${error.reason}.`, {
        headers: { "retry-after": "5" }
      })
  }
}
