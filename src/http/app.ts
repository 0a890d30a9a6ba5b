/**
 * The Hono app: contract, guards, handlers.
 *
 *   request → id, headers → Host, Origin → the gate: its class, how often, who → route or 404/405
 *           → parameters and body (size, type, shape) → Node → JSON, or a problem
 */
import { type Context, Effect, Exit, Result } from "effect"
import { type Context as HonoContext, type Handler, Hono } from "hono"
import { assert } from "../assert.ts"
import { httpBodyBytesMax } from "../limits.ts"
import type { Answer, NodeShape } from "../node/node.ts"
import { Access, type AccessOptions, isGuard } from "./access.ts"
import { answer, decodeWith, readJson } from "./answer.ts"
import { remoteOf } from "./caller.ts"
import { aliases, type Route, type RouteName, routes } from "./contract.ts"
import { StreamCrowd, streamEvents } from "./events.ts"
import { type Handlers, type Input, isProblem } from "./exchange.ts"
import { makeHandlers } from "./handlers.ts"
import { checkActing, closed, guards, internal } from "./guards.ts"
import { makeDocsPage, makeOpenApi } from "./openapi.ts"
import { type Problem, problem, problemOf, type Refused } from "./problem.ts"
import { hashToken } from "./tokens.ts"

export interface AppOptions {
  readonly node: NodeShape
  /** The services and scheduler that answers run with. */
  readonly context: Context.Context<never>
  /** A token of admin routes beside those of `access`. With none at all they answer only a development node's own machine. */
  readonly adminToken: string | undefined
  /** What peers show on their routes, if `access` has no other; undefined: nobody is one. */
  readonly peerSecret?: string | undefined
  /** Who may pass, and how often; undefined: `adminToken` and `peerSecret` alone count, and nobody is limited. */
  readonly access?: AccessOptions
  /** Files of the page by path. */
  readonly page: ReadonlyMap<string, { readonly type: string; readonly body: string | Uint8Array }>
  /** Names that requests may carry in Host beside loopback ones and addresses; empty: any (the operator listens publicly). */
  readonly hosts: ReadonlyArray<string>
  /** Origins of pages that may read and post here beside our own; `*` lets any read. */
  readonly cors?: ReadonlyArray<string>
  /** Routes of a reference system beside ours. */
  readonly compat?: Hono | undefined
}

/** Paths whose bodies may be longer than others. */
const larger: ReadonlyMap<string, number> = new Map(
  (Object.values(routes) as ReadonlyArray<Route>).flatMap(({ path, bodyBytesMax }) =>
    bodyBytesMax === undefined ? [] : [[path, bodyBytesMax] as const]
  )
)

/** The app. `fetch` it without a socket in tests. */
export const makeApp = (options: AppOptions): Hono => {
  const app = new Hono()
  const access = makeAccess(options)
  const origins = { hosts: options.hosts, cors: options.cors ?? [] }
  for (const guard of guards(origins, httpBodyBytesMax, larger)) app.use(guard)
  app.use(access.gate)
  addRoutes(app, access, options)
  addPages(app, access, options)
  for (const route of app.routes)
    assert(isGuard(route) || access.classOf(route) !== undefined, `${route.method} ${route.path} is in a class`)
  return closed(app, "See /docs.", origins)
}

const makeAccess = ({ node, adminToken, peerSecret, access = {} }: AppOptions): Access => {
  const own = adminToken === undefined ? [] : [{ name: "config", hash: hashToken(adminToken), created: 0 }]
  const { tokens = () => [] } = access
  return new Access({ peerSecret, ...access, tokens: (now) => [...own, ...tokens(now)] }, node.facts.dev)
}

/** The routes of the contract. */
const addRoutes = (app: Hono, access: Access, options: AppOptions): void => {
  const handlers = makeHandlers(options.node, { hasPage: options.page.size > 0, isLimited: access.isLimited })
  for (const [name, route] of Object.entries(routes) as ReadonlyArray<readonly [RouteName, Route]>) {
    const paths = [route.path, ...Object.entries(aliases).flatMap(([path, target]) => (target === name ? [path] : []))]
    for (const path of paths) {
      access.admit(route.method, path, route.auth)
      app.on(route.method, path, (c) => serve(c, { name, route, handlers, options }))
    }
  }
}

/** What is no JSON of the contract: events, metrics, documents, the page, and the routes of a reference system. */
const addPages = (app: Hono, access: Access, options: AppOptions): void => {
  const { version, httpUrl } = options.node.facts
  const openApi = JSON.stringify(makeOpenApi(version, httpUrl === "" ? "/" : httpUrl))
  const style = [...options.page.keys()].find((path) => path.endsWith(".css")) ?? "/style.css"
  const docs = makeDocsPage(version, style)
  const crowd = new StreamCrowd()
  const get = (path: string, handler: Handler): void => {
    access.admit("GET", path, "public")
    app.get(path, handler)
  }
  get(
    "/api/events",
    (c) =>
      streamEvents(c, options.node, crowd) ??
      answer(
        c,
        problem(503, "streams-full", "Too many event streams are open, of all or of you.", {
          headers: { "retry-after": "30" }
        })
      )
  )
  get("/metrics", async (c) => {
    const exit = await Effect.runPromiseExitWith(options.context)(options.node.metrics())
    return Exit.isSuccess(exit)
      ? c.text(`${exit.value}${access.metrics()}`, 200, { "content-type": "text/plain; version=0.0.4" })
      : answer(c, internal)
  })
  get("/openapi.json", (c) => c.body(openApi, 200, { "content-type": "application/json" }))
  get("/docs", (c) => c.html(docs))
  if (options.compat !== undefined) {
    // They ask for more themselves, where they show or use the node's key (own-session.ts).
    for (const { method, path } of options.compat.routes) access.admit(method, path, "public")
    app.route("/", options.compat)
  }
  for (const [path, { type, body }] of options.page)
    get(path, (c) => c.body(body as string, 200, { "content-type": type, "cache-control": "no-cache" }))
}

/** Query parameters that schemas want as numbers. */
const numeric = new Set(["limit", "from_height", "start", "slots"])

const readQuery = (c: HonoContext, route: Route): { readonly value: unknown } | Problem => {
  if (route.query === undefined) return { value: {} }
  const query: Record<string, unknown> = {}
  for (const [name, values] of Object.entries(c.req.queries())) {
    if (name === "locator" || name === "hashes") query[name] = values.flatMap((value) => value.split(","))
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
  if (name !== "submit" && (await c.req.text()) === "") return decodeWith(route.body, {}, "body-invalid")
  const json = await readJson(c)
  // Transactions have readers of their own, shared with the page and the command line.
  return isProblem(json) || name === "submit" ? json : decodeWith(route.body, json.value, "body-invalid")
}

/** A handler's output, whatever its route. */
type Outcome =
  | { readonly reply: unknown; readonly headers?: Readonly<Record<string, string>>; readonly status?: number }
  | Problem

interface Serving {
  readonly name: RouteName
  readonly route: Route
  readonly handlers: Handlers
  readonly options: AppOptions
}

const serve = async (c: HonoContext, { name, route, handlers, options }: Serving): Promise<Response> => {
  const denied = route.acts === true ? checkActing(c) : undefined
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
  const status = (output.status ?? route.status) as 200
  return c.body(JSON.stringify(output.reply), status, { "content-type": "application/json", ...headers })
}
