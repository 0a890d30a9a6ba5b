/**
 * What stands around the routes of every app of ours: headers, Host, size of bodies; and what is no route.
 *
 *   request → id, headers → Host (a page of another origin must not reach us by DNS) → size of the body → route, 404 or 405
 */
import type { Context as HonoContext, Hono, MiddlewareHandler } from "hono"
import { bodyLimit } from "hono/body-limit"
import { answer } from "./answer.ts"
import { isLoopbackHost } from "./loopback.ts"
import { type Problem, problem } from "./problem.ts"

const policy =
  "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'"

export const internal = problem(500, "internal", "The node failed to answer; its log has the cause.")

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

/** What every request passes first. `hosts`: see AppOptions. `larger`: paths that take longer bodies. */
export const guards = (
  hosts: ReadonlyArray<string>,
  bodyBytesMax: number,
  larger: ReadonlyMap<string, number> = new Map()
): ReadonlyArray<MiddlewareHandler> => [
  async (c, next) => {
    c.header(
      "x-request-id",
      c.req
        .header("x-request-id")
        ?.slice(0, 64)
        .replace(/[^\w-]/g, "") || crypto.randomUUID()
    )
    c.header("content-security-policy", policy)
    c.header("x-content-type-options", "nosniff")
    c.header("referrer-policy", "no-referrer")
    const refused = checkHost(c, hosts)
    if (refused !== undefined) return answer(c, refused)
    return next()
  },
  bodyLimits(bodyBytesMax, larger)
]

/** The app with an answer to what is no route of it, and to a bug. */
export const closed = (app: Hono, hint: string): Hono => {
  app.notFound((c) =>
    answer(
      c,
      otherMethod(app, c) ?? problem(404, "route-not-found", `There is no ${c.req.method} ${c.req.path}. ${hint}`)
    )
  )
  app.onError((error, c) => {
    process.stderr.write(
      `${JSON.stringify({ level: "error", message: "http handler failed", cause: String(error) })}\n`
    )
    return answer(c, internal)
  })
  return app
}

/** A path that exists under another method is 405 with Allow. */
const otherMethod = (app: Hono, c: HonoContext): Problem | undefined => {
  const others = ["GET", "POST"].filter(
    (method) =>
      method !== c.req.method && app.router.match(method, c.req.path)[0].some(([[, handler]]) => handler.path !== "/*")
  )
  if (others.length === 0) return undefined
  return problem(405, "method-not-allowed", `${c.req.path} answers ${others.join(", ")}.`, {
    headers: { allow: others.join(", ") }
  })
}

/** A page that reaches us under a name of its own (DNS rebinding) is refused; so is a form of another origin. */
const checkHost = (c: HonoContext, hosts: ReadonlyArray<string>): Problem | undefined => {
  const host = c.req.header("host") ?? new URL(c.req.url).host
  if (hosts.length > 0 && !isLoopbackHost(host) && !hosts.includes(host)) {
    return problem(403, "host-not-allowed", `This node does not answer for the host "${host.slice(0, 80)}".`)
  }
  const origin = c.req.header("origin")
  if (c.req.method === "POST" && origin !== undefined && new URL(origin, "http://invalid").host !== host) {
    return problem(403, "origin-not-allowed", "A page of another origin may not post here.")
  }
  return undefined
}
