/**
 * The Hono app: contract, guards, handlers.
 *
 *   request → id, headers → Host (a page of another origin must not reach us by DNS) → route or 404/405 → admin guard
 *           → parameters and body (size, type, shape) → Node → JSON, or a problem
 */
import { timingSafeEqual } from "node:crypto"
import { type Context, Effect, Exit, Result } from "effect"
import { type Context as HonoContext, Hono } from "hono"
import { sha256 } from "../crypto/hash.ts"
import { utf8 } from "../codec/bytes.ts"
import { httpBodyBytesMax } from "../limits.ts"
import type { Answer, NodeShape } from "../node.ts"
import { answer, decodeWith, readJson } from "./answer.ts"
import { aliases, type Route, type RouteName, routes } from "./contract.ts"
import { streamEvents } from "./events.ts"
import { type Handlers, type Input, isProblem } from "./exchange.ts"
import { makeHandlers } from "./handlers.ts"
import { closed, guards, internal } from "./guards.ts"
import { isLoopbackAddress, isLoopbackHost } from "./loopback.ts"
import { makeDocsPage, makeOpenApi } from "./openapi.ts"
import { remoteOf } from "./own-session.ts"
import { type Problem, problem, problemOf, type Refused } from "./problem.ts"

export interface AppOptions {
  readonly node: NodeShape
  /** The services and scheduler that answers run with. */
  readonly context: Context.Context<never>
  /** Undefined: admin routes answer only a development node's own page and loopback. */
  readonly adminToken: string | undefined
  /** Files of the page by path. */
  readonly page: ReadonlyMap<string, { readonly type: string; readonly body: string | Uint8Array }>
  /** Host names that requests may carry beside loopback ones; empty: any (the operator listens on a public address). */
  readonly hosts: ReadonlyArray<string>
  /** Routes of a reference system beside ours. */
  readonly compat?: Hono | undefined
}

/** The app. `fetch` it without a socket in tests. */
export const makeApp = (options: AppOptions): Hono => {
  const app = new Hono()
  const handlers = makeHandlers(options.node)
  const { version, httpUrl } = options.node.facts
  const openApi = JSON.stringify(makeOpenApi(version, httpUrl === "" ? "/" : httpUrl))
  const style = [...options.page.keys()].find((path) => path.endsWith(".css")) ?? "/style.css"
  const docs = makeDocsPage(version, style)

  for (const guard of guards(options.hosts, httpBodyBytesMax)) app.use(guard)

  for (const [name, route] of Object.entries(routes) as ReadonlyArray<readonly [RouteName, Route]>) {
    const paths = [route.path, ...Object.entries(aliases).flatMap(([path, target]) => (target === name ? [path] : []))]
    for (const path of paths) app.on(route.method, path, (c) => serve(c, { name, route, handlers, options }))
  }
  app.get(
    "/api/events",
    (c) =>
      streamEvents(c, options.node) ??
      answer(c, problem(503, "streams-full", "Too many event streams are open.", { headers: { "retry-after": "30" } }))
  )
  app.get("/metrics", async (c) => {
    const exit = await Effect.runPromiseExitWith(options.context)(options.node.metrics())
    return Exit.isSuccess(exit)
      ? c.text(exit.value, 200, { "content-type": "text/plain; version=0.0.4" })
      : answer(c, internal)
  })
  app.get("/openapi.json", (c) => c.body(openApi, 200, { "content-type": "application/json" }))
  app.get("/docs", (c) => c.html(docs))
  if (options.compat !== undefined) app.route("/", options.compat)
  for (const [path, { type, body }] of options.page) {
    app.get(path, (c) => c.body(body as string, 200, { "content-type": type, "cache-control": "no-cache" }))
  }
  return closed(app, "See /docs.")
}

const sameSecret = (a: string, b: string): boolean => timingSafeEqual(sha256(utf8(a)), sha256(utf8(b)))

/** Admin routes: the token, or on a development node without one a request from loopback by its own page or no page. */
const checkAdmin = (c: HonoContext, { adminToken, node }: AppOptions): Problem | undefined => {
  const given =
    c.req.header("x-blockchain-admin-token") ?? /^Bearer (.+)$/.exec(c.req.header("authorization") ?? "")?.[1]
  if (adminToken !== undefined && given !== undefined && sameSecret(given, adminToken)) return undefined
  const remote = remoteOf(c)
  const near = remote === undefined || isLoopbackAddress(remote)
  const local = near && isLoopbackHost(c.req.header("host") ?? new URL(c.req.url).host)
  if (node.facts.dev && given === undefined && local) return undefined
  return problem(
    401,
    "admin-token-required",
    "Send the admin token: Authorization: Bearer … It stands in admin.token of the data folder.",
    {
      headers: { "www-authenticate": "Bearer" }
    }
  )
}

/** Whoever a route is not open to. Peers have no secret yet, so nobody is one. */
const checkAccess = (c: HonoContext, auth: Route["auth"], options: AppOptions): Problem | undefined => {
  if (auth === "admin") return checkAdmin(c, options)
  if (auth === "peer") return problem(401, "peer-secret-required", "Send the peers' secret: X-Blockchain-Peer-Secret.")
  return undefined
}

/** Query parameters that schemas want as numbers. */
const numeric = new Set(["limit", "from_height", "start", "slots"])

const readQuery = (c: HonoContext, route: Route): { readonly value: unknown } | Problem => {
  if (route.query === undefined) return { value: {} }
  const query: Record<string, unknown> = {}
  for (const [name, values] of Object.entries(c.req.queries())) {
    if (name === "locator") query[name] = values.flatMap((value) => value.split(","))
    else query[name] = numeric.has(name) && /^\d{1,16}$/.test(values[0]!) ? Number(values[0]) : values[0]
  }
  return decodeWith(route.query, query, "query-invalid")
}

const readBody = async (
  c: HonoContext,
  name: RouteName,
  route: Route
): Promise<{ readonly value: unknown } | Problem> => {
  if (route.body === undefined) return { value: undefined }
  if ((name === "mine" || name === "backup") && (await c.req.text()) === "") return { value: {} }
  const json = await readJson(c)
  // Transactions have readers of their own, shared with the page and the command line.
  return isProblem(json) || name === "submit" ? json : decodeWith(route.body, json.value, "body-invalid")
}

/** A handler's output, whatever its route. */
type Outcome = { readonly reply: unknown; readonly headers?: Readonly<Record<string, string>> } | Problem

interface Serving {
  readonly name: RouteName
  readonly route: Route
  readonly handlers: Handlers
  readonly options: AppOptions
}

const serve = async (c: HonoContext, { name, route, handlers, options }: Serving): Promise<Response> => {
  const denied = checkAccess(c, route.auth, options)
  if (denied !== undefined) return answer(c, denied)
  const query = readQuery(c, route)
  if (isProblem(query)) return answer(c, query)
  const body = await readBody(c, name, route)
  if (isProblem(body)) return answer(c, body)
  const input: Input = {
    params: c.req.param() as Record<string, string>,
    query: query.value as Input["query"],
    body: body.value,
    remote: remoteOf(c)
  }
  const handle = handlers[name] as (input: Input) => Answer<Outcome, Refused>
  const exit = await Effect.runPromiseExitWith(options.context)(Effect.result(handle(input)))
  if (Exit.isFailure(exit)) throw new Error(String(exit.cause))
  if (Result.isFailure(exit.value)) return answer(c, problemOf(exit.value.failure))
  const output = exit.value.success
  if (isProblem(output)) return answer(c, output)
  const { headers } = output
  const etag = headers?.["etag"]
  if (etag !== undefined && c.req.header("if-none-match") === etag) return c.body(null, 304, headers)
  return c.body(JSON.stringify(output.reply), route.status as 200, { "content-type": "application/json", ...headers })
}
