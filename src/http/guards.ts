/**
 * What stands around the routes of every app of ours: headers, Host, Origin, size of bodies; and what is no route.
 *
 *   request → id, headers → Host (a page of another origin must not reach us by DNS) → Origin → size of the body → route, 404 or 405
 */
import type { Context as HonoContext, Hono, MiddlewareHandler } from "hono"
import { bodyLimit } from "hono/body-limit"
import { parseIp } from "../codec/ip.ts"
import { answer } from "./answer.ts"
import { isLoopbackHost } from "./loopback.ts"
import { type Problem, problem } from "./problem.ts"

/** Who may reach us from a browser. */
export interface Origins {
  /** Names that requests may carry in Host, with or without a port, beside loopback ones and addresses; empty: any. */
  readonly hosts: ReadonlyArray<string>
  /** Origins of pages that may read and post here beside our own; `*` lets any read. */
  readonly cors?: ReadonlyArray<string>
}

const headers: Readonly<Record<string, string>> = {
  "content-security-policy":
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'",
  "x-content-type-options": "nosniff",
  "x-frame-options": "DENY",
  "referrer-policy": "no-referrer",
  "cross-origin-opener-policy": "same-origin",
  "cross-origin-resource-policy": "same-origin",
  "permissions-policy": "camera=(), geolocation=(), microphone=(), payment=(), usb=()"
}

/** What a page of another origin may read of an answer, and send. */
const exposed =
  "etag, link, ratelimit, ratelimit-policy, retry-after, x-ratelimit-limit, x-ratelimit-remaining, x-request-id"
const sendable =
  "authorization, content-type, last-event-id, x-blockchain-admin-token, x-blockchain-peer-secret, x-request-id"
/** Seconds that a browser may remember the answer to a preflight. */
const preflightSeconds = 600

export const internal = problem(500, "internal", "The node failed to answer; its log has the cause.")

const requestId = /^[\w.:-]{1,64}$/

const limitOf = (maxSize: number): MiddlewareHandler =>
  bodyLimit({
    maxSize,
    onError: (c) => answer(c, problem(413, "body-too-large", `A body has at most ${maxSize} bytes.`))
  })

/** A path with a limit of its own has it for a body that says its length: another is read before anybody knows who sends it. */
const bodyLimits = (usual: number, larger: ReadonlyMap<string, number>): MiddlewareHandler => {
  const limits = new Map([...larger].map(([path, bytesMax]) => [path, limitOf(bytesMax)]))
  const rest = limitOf(usual)
  return (c, next) => {
    const own = c.req.header("content-length") === undefined ? undefined : limits.get(c.req.path)
    return (own ?? rest)(c, next)
  }
}

/** What every request passes first. `larger`: paths that take longer bodies. */
export const guards = (
  origins: Origins,
  bodyBytesMax: number,
  larger: ReadonlyMap<string, number> = new Map()
): ReadonlyArray<MiddlewareHandler> => [
  async (c, next) => {
    const given = c.req.header("x-request-id") ?? ""
    c.header("x-request-id", requestId.test(given) ? given : crypto.randomUUID())
    for (const [name, value] of Object.entries(headers)) c.header(name, value)
    allowOrigin(c, origins)
    const refused = checkHost(c, origins) ?? checkOrigin(c, origins)
    if (refused !== undefined) return answer(c, refused)
    return next()
  },
  bodyLimits(bodyBytesMax, larger)
]

/** The app with an answer to what is no route of it, to a preflight, and to a bug. */
export const closed = (app: Hono, hint: string, origins: Origins = { hosts: [] }): Hono => {
  app.notFound((c) => {
    const methods = methodsOf(app, c)
    if (methods.length === 0)
      return answer(c, problem(404, "route-not-found", `There is no ${c.req.method} ${c.req.path}. ${hint}`))
    return preflight(c, methods, origins) ?? answer(c, wrongMethod(c, methods))
  })
  app.onError((error, c) => {
    process.stderr.write(
      `${JSON.stringify({ level: "error", message: "http handler failed", cause: String(error) })}\n`
    )
    return answer(c, internal)
  })
  return app
}

/** The methods that a path answers. */
const methodsOf = (app: Hono, c: HonoContext): ReadonlyArray<string> =>
  ["GET", "POST"].filter((method) =>
    app.router.match(method, c.req.path)[0].some(([[, handler]]) => handler.path !== "/*")
  )

const wrongMethod = (c: HonoContext, methods: ReadonlyArray<string>): Problem =>
  problem(405, "method-not-allowed", `${c.req.path} answers ${methods.join(", ")}.`, {
    headers: { allow: methods.join(", ") }
  })

/** A browser asks whether a page of another origin may ask. Undefined: that is not what is asked. */
const preflight = (c: HonoContext, methods: ReadonlyArray<string>, origins: Origins): Response | undefined => {
  const origin = c.req.header("origin")
  const wanted = c.req.header("access-control-request-method")
  if (c.req.method !== "OPTIONS" || origin === undefined || wanted === undefined) return undefined
  if (!mayRead(origin, origins)) return answer(c, foreign)
  return c.body(null, 204, {
    "access-control-allow-methods": (mayWrite(origin, origins) ? methods : methods.filter((one) => one === "GET")).join(
      ", "
    ),
    "access-control-allow-headers": sendable,
    "access-control-max-age": String(preflightSeconds)
  })
}

/** The Host of a request, with its port. */
export const hostOf = (c: HonoContext): string => (c.req.header("host") ?? new URL(c.req.url).host).toLowerCase()

/** The host of an Origin header, with its port; undefined: it is `null`, or none. */
export const originHost = (origin: string): string | undefined => URL.parse(origin)?.host

const nameOf = (host: string): string => host.replace(/:\d+$/, "")
const isListed = (host: string, { hosts }: Origins): boolean =>
  hosts.some((one) => one.toLowerCase() === host || one.toLowerCase() === nameOf(host))
/** Nobody can make the name of an address mean another one. */
const isAddress = (host: string): boolean => parseIp(nameOf(host).replace(/^\[(.*)\]$/, "$1")) !== undefined

/** A page that reaches us under a name of its own (DNS rebinding) is refused. */
const checkHost = (c: HonoContext, origins: Origins): Problem | undefined => {
  const host = hostOf(c)
  if (origins.hosts.length === 0 || isLoopbackHost(host) || isAddress(host) || isListed(host, origins)) return undefined
  return problem(403, "host-not-allowed", `This node does not answer for the host "${host.slice(0, 80)}".`)
}

const foreign = problem(403, "origin-not-allowed", "A page of another origin may not do this here.")
const safe: ReadonlySet<string> = new Set(["GET", "HEAD", "OPTIONS"])

const mayWrite = (origin: string, { cors = [] }: Origins): boolean => origin !== "*" && cors.includes(origin)
const mayRead = (origin: string, { cors = [] }: Origins): boolean => cors.includes("*") || cors.includes(origin)

/** A form or script of another origin changes nothing here. */
const checkOrigin = (c: HonoContext, origins: Origins): Problem | undefined => {
  const origin = c.req.header("origin")
  if (origin === undefined || safe.has(c.req.method) || mayWrite(origin, origins)) return undefined
  return originHost(origin) === hostOf(c) ? undefined : foreign
}

/** Lets a page of another origin read the answer. Cookies are never asked for, so none is sent. */
const allowOrigin = (c: HonoContext, origins: Origins): void => {
  if ((origins.cors ?? []).length === 0) return
  c.header("vary", "origin")
  const origin = c.req.header("origin")
  if (origin === undefined || !mayRead(origin, origins)) return
  c.header("access-control-allow-origin", origin)
  c.header("access-control-expose-headers", exposed)
}

/**
 * A GET that changes something: HEAD, which asks for the same without its answer, is none; and no other page may ask, not by
 * a picture or a link either. Browsers say so themselves; whoever is no browser says nothing.
 */
export const checkActing = (c: HonoContext): Problem | undefined => {
  if (c.req.method !== "GET") {
    return problem(405, "method-not-allowed", `${c.req.path} answers GET.`, { headers: { allow: "GET" } })
  }
  const site = c.req.header("sec-fetch-site")
  const origin = c.req.header("origin")
  const isForeign = origin !== undefined && originHost(origin) !== hostOf(c)
  return isForeign || (site !== undefined && site !== "same-origin" && site !== "none")
    ? problem(403, "origin-not-allowed", "A page of another origin may not ask for this.")
    : undefined
}
