/**
 * The gate in front of every handler: who may pass, and how often. A route that is in no class lets nobody in.
 *
 *   route → its class → has this client asked too often? → admin: the operator's socket, a token, or on a development node this machine
 *                                                        → peer: the peers' secret
 *         → handler → a line in the log, if it was an admin's
 */
import type { Context, MiddlewareHandler } from "hono"
import { matchedRoutes } from "hono/route"
import { type Cidr, formatIp } from "../codec/ip.ts"
import type { RateConfig } from "../config.ts"
import { sipKey, sipKeyBytes, type SipKey } from "../crypto/siphash.ts"
import { httpGuessesPerMinute, httpGuessLinesPerMinute } from "../limits.ts"
import { answer } from "./answer.ts"
import { type Caller, callerOf, keepCaller } from "./caller.ts"
import type { Route } from "./contract.ts"
import { hostOf, originHost } from "./guards.ts"
import { isLoopbackHost } from "./loopback.ts"
import { type Problem, problem } from "./problem.ts"
import { Rate, rateHeaders, type Taken } from "./rates.ts"
import { type NamedToken, sameSecret, tokenNamed } from "./tokens.ts"

export type Class = Route["auth"]

/** Does it stand before all routes, and answers none? */
export const isGuard = ({ method, path }: { readonly method: string; readonly path: string }): boolean =>
  method === "ALL" && path === "/*"

/** Strictest first. */
const strictness: ReadonlyArray<Class> = ["admin", "peer", "public", "health"]

/** What the gate writes down. Secrets, also wrong ones, are never in it. */
export type AccessLog = (
  level: "info" | "warning",
  message: string,
  fields: Readonly<Record<string, string | number>>
) => void

export interface AccessOptions {
  /** Tokens of admin routes that hold now, by a clock that does not go back. */
  readonly tokens?: (now: number) => ReadonlyArray<NamedToken>
  /** Undefined: nobody is a peer. */
  readonly peerSecret?: string | undefined
  /** Whose word on a client's address is taken. */
  readonly trustedProxies?: ReadonlyArray<Cidr>
  /** Undefined: everybody may ask as often as it likes. A class whose rate is 0 or less has none. */
  readonly rates?: RateConfig | undefined
  /** Callers on this machine are not limited. */
  readonly sparesNear?: boolean
  /** 16 secret bytes, so that nobody knows who shares a place in the tables. */
  readonly seed?: Uint8Array
  /** Milliseconds of a clock that does not go back. */
  readonly now?: () => number
  readonly log?: AccessLog
}

const tokenRequired = problem(
  401,
  "admin-token-required",
  "Send an admin token: Authorization: Bearer … or X-Blockchain-Admin-Token. One stands in admin.token of the data folder.",
  { headers: { "www-authenticate": "Bearer" } }
)
const secretRequired = problem(
  401,
  "peer-secret-required",
  "Send the peers' secret: X-Blockchain-Peer-Secret. A node that has none configured takes nobody for a peer.",
  { headers: { "www-authenticate": "PeerSecret" } }
)
const closedRoute = problem(403, "route-closed", "This route is in no class, so nobody may call it.")
const tooOften = ({ waitMs }: Taken, what: string): Problem =>
  problem(429, "rate-limited", `Too many ${what} from your address. Wait as long as Retry-After says.`, {
    headers: { "retry-after": String(Math.max(1, Math.ceil(waitMs / 1000))) }
  })

/** The gate and what it counts. */
export class Access {
  private readonly options: AccessOptions
  private readonly dev: boolean
  private readonly classes = new Map<string, Class>()
  private readonly rates: ReadonlyMap<Class, Rate>
  private readonly guesses: Rate
  private readonly guessLines: Rate
  private readonly counts = new Map<string, number>()

  /** `dev`: a development node, which lets its own machine into admin routes without a token. */
  constructor(options: AccessOptions, dev: boolean) {
    this.options = options
    this.dev = dev
    const key: SipKey = sipKey(options.seed ?? new Uint8Array(sipKeyBytes))
    const limits = Object.entries(options.rates ?? {}) as ReadonlyArray<readonly [Class, number]>
    this.rates = new Map(limits.flatMap(([name, limit]) => (limit > 0 ? [[name, new Rate(limit, key)] as const] : [])))
    this.guesses = new Rate(httpGuessesPerMinute, key)
    this.guessLines = new Rate(httpGuessLinesPerMinute, key, 8)
  }

  /** May a client of some class ask only so often? */
  get isLimited(): boolean {
    return this.rates.size > 0
  }

  /** Says who may call a route. */
  admit(method: string, path: string, name: Class): void {
    this.classes.set(`${method} ${path}`, name)
  }

  /** The class of a route; undefined: nobody has said. */
  classOf({ method, path }: { readonly method: string; readonly path: string }): Class | undefined {
    return this.classes.get(`${method} ${path}`)
  }

  /** Stands before all handlers, and after nothing that costs anything. */
  readonly gate: MiddlewareHandler = async (c, next) => {
    const caller = callerOf(c, this.options.trustedProxies ?? [])
    keepCaller(c, caller)
    const { name, route } = this.askedFor(c)
    const refused = this.tooOften(c, caller, name) ?? (name === undefined ? closedRoute : undefined)
    const who = refused ?? this.identify(c, caller, name!)
    if (typeof who === "object") {
      this.count(name, who.code)
      return answer(c, who)
    }
    this.count(name, "let-in")
    if (name === "admin" || name === "peer") c.header("cache-control", "no-store")
    await next()
    if (name !== "admin") return
    this.options.log?.("info", "admin call", { route, token: who, status: c.res.status, ...trace(c, caller) })
  }

  /** In the text form of Prometheus. */
  metrics(): string {
    const lines = [...this.counts].map(([labels, count]) => `cairn_http_requests_total{${labels}} ${count}\n`)
    const help = "Requests by the class of their route and what became of them at the gate."
    return `# HELP cairn_http_requests_total ${help}\n# TYPE cairn_http_requests_total counter\n${lines.join("")}`
  }

  /** The strictest class of all handlers that would answer; `public` of a path that has none; undefined if one is in no class. */
  private askedFor(c: Context): { readonly name: Class | undefined; readonly route: string } {
    const handlers = matchedRoutes(c).filter((one) => !isGuard(one))
    const first = handlers[0]
    if (first === undefined) return { name: "public", route: "" }
    const classes = handlers.map((one) => this.classOf(one))
    const name = classes.includes(undefined) ? undefined : strictness.find((one) => classes.includes(one))
    return { name, route: `${first.method} ${first.path}` }
  }

  private tooOften(c: Context, caller: Caller, name: Class = "public"): Problem | undefined {
    const rate = this.rates.get(name)
    if (rate === undefined || caller.own || (this.options.sparesNear === true && caller.near)) return undefined
    const taken = rate.take(caller.client, this.now())
    for (const [header, value] of Object.entries(rateHeaders(name, taken))) c.header(header, value)
    return taken.allowed ? undefined : tooOften(taken, "requests")
  }

  /** Who it is that may pass, by a name for the log; or why it may not. */
  private identify(c: Context, caller: Caller, name: Class): string | Problem {
    if (name !== "admin" && name !== "peer") return ""
    if (caller.own) return "socket"
    if (name === "admin") return this.adminOf(c, caller)
    const { peerSecret } = this.options
    const isPeer = (given: string): string | undefined =>
      peerSecret !== undefined && peerSecret !== "" && sameSecret(given, peerSecret) ? "peer" : undefined
    return this.showing(c, caller, c.req.header("x-blockchain-peer-secret"), isPeer) ?? secretRequired
  }

  private adminOf(c: Context, caller: Caller): string | Problem {
    const given =
      c.req.header("x-blockchain-admin-token") ?? /^Bearer +(.+)$/i.exec(c.req.header("authorization") ?? "")?.[1]
    const named = (token: string): string | undefined => tokenNamed(this.options.tokens?.(this.now()) ?? [], token)
    const shown = this.showing(c, caller, given, named)
    if (shown !== undefined) return shown
    return given === undefined && this.dev && isOwnPage(c, caller) ? "near" : tokenRequired
  }

  /** What was shown, if it is right. Who has been wrong too often is not listened to: it learns nothing, right or wrong. */
  private showing(
    c: Context,
    caller: Caller,
    given: string | undefined,
    named: (given: string) => string | undefined
  ): string | Problem | undefined {
    if (given === undefined) return undefined
    const before = this.guesses.look(caller.client, this.now())
    if (!before.allowed) return tooOften(before, "wrong secrets")
    const name = named(given)
    if (name !== undefined) return name
    this.guesses.take(caller.client, this.now())
    if (this.guessLines.take(new Uint8Array(0), this.now()).allowed)
      this.options.log?.("warning", "a wrong secret was shown", {
        route: `${c.req.method} ${c.req.path}`.slice(0, 128),
        ...trace(c, caller)
      })
    return undefined
  }

  private count(name: Class | undefined, outcome: string): void {
    const labels = `class="${name ?? "none"}",outcome="${outcome}"`
    this.counts.set(labels, (this.counts.get(labels) ?? 0) + 1)
  }

  private now(): number {
    return (this.options.now ?? (() => performance.now()))()
  }
}

const trace = (c: Context, { ip, own }: Caller): Readonly<Record<string, string>> => ({
  client: own ? "socket" : ip === undefined ? "unknown" : formatIp(ip),
  request_id: c.res.headers.get("x-request-id") ?? ""
})

/** A request of this machine, by no page or by the node's own one: not by any that the operator only lets read. */
const isOwnPage = (c: Context, { near }: Caller): boolean => {
  const host = hostOf(c)
  const origin = c.req.header("origin")
  return near && isLoopbackHost(host) && (origin === undefined || originHost(origin) === host)
}
