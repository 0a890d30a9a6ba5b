/** The typed client of the contract: what the command line and the tests call nodes with. */
import { type ReplyOf, type RouteName, type Route, routes } from "./contract.ts"

/** What a node answers instead of a reply. `status` 0: no node answered. */
export class ApiError extends Error {
  override readonly name = "ApiError"
  readonly status: number
  readonly code: string

  constructor(status: number, code: string, message: string) {
    super(message)
    this.status = status
    this.code = code
  }
}

export interface Call {
  readonly params?: Readonly<Record<string, string | number>>
  readonly query?: Readonly<Record<string, string | number>>
  readonly body?: unknown
  readonly token?: string | undefined
  /** Milliseconds that the node may take, if not as many as the slowest route needs. */
  readonly answerMsMax?: number
}

/** Milliseconds that a node may take. Mining on order may take long. */
const slowestMsMax = 130_000

/** How a node is reached that is named by its socket file (unix:/path): no name and no port belong to it. */
const socketOf = (base: string): string | undefined => /^unix:(.+)$/.exec(base)?.[1]

/** Calls a route of the node at `base`, a URL, or unix: and the path of its admin socket. Throws ApiError. */
export const call = async <N extends RouteName>(
  base: string,
  name: N,
  { params = {}, query = {}, body, token, answerMsMax = slowestMsMax }: Call = {}
): Promise<ReplyOf<N>> => {
  const route: Route = routes[name]
  const path = route.path.replace(/:([a-z]+)(\{[^}]*\}(?:\})?)?/g, (_, key: string) =>
    encodeURIComponent(String(params[key] ?? ""))
  )
  const unix = socketOf(base)
  const url = new URL(path, unix === undefined ? base : "http://localhost")
  for (const [key, value] of Object.entries(query)) url.searchParams.set(key, String(value))
  const headers: Record<string, string> = body === undefined ? {} : { "content-type": "application/json" }
  if (token !== undefined) headers["authorization"] = `Bearer ${token}`
  const init: BunFetchRequestInit = { method: route.method, headers, signal: AbortSignal.timeout(answerMsMax) }
  if (unix !== undefined) init.unix = unix
  if (body !== undefined) init.body = JSON.stringify(body)
  const response = await fetch(url, init).catch((error: Error) => {
    throw new ApiError(0, "unreachable", `No node answers at ${base}: ${error.message}`)
  })
  const reply = (await response.json().catch(() => undefined)) as { code?: string; detail?: string } | undefined
  if (!response.ok) throw new ApiError(response.status, reply?.code ?? "unknown", reply?.detail ?? response.statusText)
  if (reply === undefined) throw new ApiError(0, "unreachable", `What answers at ${base} is not a node, or was cut off.`)
  return reply as ReplyOf<N>
}
