/** The contract as an OpenAPI 3.1 document, and an offline page that shows it. */
import { Schema } from "effect"
import { aliases, type Route, routes } from "./contract.ts"
import { type PlainRoute, plainRoutes } from "./plain-contract.ts"

type Json = Readonly<Record<string, unknown>>

const schemaOf = (schema: Schema.Top): Json => {
  const document = Schema.toJsonSchemaDocument(schema) as unknown as { schema: Json; definitions?: Json }
  return inline(document.schema, document.definitions ?? {}) as Json
}

/** References between definitions are put in place: each route's schema stands alone. */
const inline = (value: unknown, definitions: Json): unknown => {
  if (Array.isArray(value)) return value.map((item) => inline(item, definitions))
  if (typeof value !== "object" || value === null) return value
  const reference = (value as { $ref?: string }).$ref
  if (typeof reference === "string") return inline(definitions[reference.split("/").at(-1)!], definitions)
  return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, inline(item, definitions)]))
}

/** `/a/:b{regex}` as `/a/{b}`. */
export const pathOf = (path: string): string => path.replace(/:([a-z]+)(\{[^}]*\}(?:\})?)?/g, "{$1}")

const parametersOf = (route: Route): ReadonlyArray<Json> => {
  const inPath = [...route.path.matchAll(/:([a-z]+)/g)].map(([, name]) => ({
    name,
    in: "path",
    required: true,
    schema: { type: "string" }
  }))
  const properties = route.query === undefined ? {} : ((schemaOf(route.query)["properties"] ?? {}) as Json)
  return [
    ...inPath,
    ...Object.entries(properties).map(([name, schema]) => ({ name, in: "query", required: false, schema }))
  ]
}

const problemSchema: Json = {
  type: "object",
  required: ["type", "title", "status", "code", "detail"],
  properties: {
    type: { type: "string" },
    title: { type: "string" },
    status: { type: "integer" },
    code: { type: "string" },
    detail: { type: "string" },
    instance: { type: "string" },
    error: { type: "string", description: "The detail again, under the name that older clients read." },
    errors: { type: "array", items: {} }
  }
}

const problemAnswer = (description: string): Json => ({
  description,
  content: { "application/problem+json": { schema: { $ref: "#/components/schemas/Problem" } } }
})

const refusalsOf = (refusals: Readonly<Record<string, string>>): Json =>
  Object.fromEntries(Object.entries(refusals).map(([status, description]) => [status, problemAnswer(description)]))

/** What every request of a class may be told, beside the refusals of its route. */
const classRefusals = (auth: Route["auth"]): Readonly<Record<string, string>> => ({
  ...(auth === "admin" ? { 401: "no admin token" } : auth === "peer" ? { 401: "no peers' secret" } : {}),
  ...(auth === "health" ? {} : { 429: "more requests than the class may make: Retry-After" })
})

const securityOf = (auth: Route["auth"]): Json =>
  auth === "admin"
    ? { security: [{ adminToken: [] }, { adminBearer: [] }] }
    : auth === "peer"
      ? { security: [{ peerSecret: [] }] }
      : { security: [] }

const rateHeaders: Json = {
  "X-RateLimit-Limit": { $ref: "#/components/headers/RateLimitLimit" },
  "X-RateLimit-Remaining": { $ref: "#/components/headers/RateLimitRemaining" }
}

/** Of health routes nothing is counted. */
const successOf = (auth: Route["auth"], content: Json, description = "success"): Json => ({
  description,
  ...(auth === "health" ? {} : { headers: rateHeaders }),
  content
})

/** What the document says of one route, under its own path or an older one. */
export const operationOf = (name: string, route: Route, path = route.path): Json => ({
  operationId:
    path === route.path ? name : `${name}By${path.replace(/\{[^}]*\}|[^A-Za-z0-9]+/g, "_").replace(/_+$/, "")}`,
  summary: route.summary,
  tags: [route.auth],
  ...(path === route.path ? {} : { deprecated: true, description: `The same as ${pathOf(route.path)}.` }),
  parameters: parametersOf(route),
  ...securityOf(route.auth),
  ...(route.body === undefined
    ? {}
    : { requestBody: { required: true, content: { "application/json": { schema: schemaOf(route.body) } } } }),
  responses: {
    [route.status]: successOf(route.auth, { "application/json": { schema: schemaOf(route.reply) } }),
    ...(route.noNews === undefined
      ? {}
      : {
          [route.noNews]: successOf(
            route.auth,
            { "application/json": { schema: schemaOf(route.reply) } },
            "nothing new here"
          )
        }),
    ...refusalsOf({ ...classRefusals(route.auth), ...route.refusals }),
    default: problemAnswer("any other refusal; the code says which")
  }
})

const plainOperation = (name: string, { auth, summary, type }: PlainRoute): Json => ({
  operationId: name,
  summary,
  tags: [auth],
  parameters: [],
  ...securityOf(auth),
  responses: {
    200: successOf(auth, { [type]: { schema: type === "application/json" ? {} : { type: "string" } } }),
    ...refusalsOf(classRefusals(auth)),
    default: problemAnswer("any other refusal; the code says which")
  }
})

const components: Json = {
  schemas: { Problem: problemSchema },
  headers: {
    RateLimitLimit: { description: "Requests of this class in a minute.", schema: { type: "integer" } },
    RateLimitRemaining: { description: "How many of them are left.", schema: { type: "integer" } }
  },
  securitySchemes: {
    adminToken: { type: "apiKey", in: "header", name: "X-Blockchain-Admin-Token" },
    adminBearer: { type: "http", scheme: "bearer" },
    peerSecret: { type: "apiKey", in: "header", name: "X-Blockchain-Peer-Secret" }
  }
}

/** Every operation by path and method: the routes, their older names, and what is no JSON. */
const operations = (): Record<string, Record<string, Json>> => {
  const paths: Record<string, Record<string, Json>> = {}
  const add = (path: string, method: string, operation: Json): void => {
    paths[pathOf(path)] = { ...paths[pathOf(path)], [method.toLowerCase()]: operation }
  }
  for (const [name, route] of Object.entries(routes) as ReadonlyArray<readonly [string, Route]>)
    add(route.path, route.method, operationOf(name, route))
  for (const [path, name] of Object.entries(aliases))
    add(path, routes[name].method, operationOf(name, routes[name], path))
  for (const [name, plain] of Object.entries(plainRoutes)) add(plain.path, "GET", plainOperation(name, plain))
  return paths
}

/** The document. Made once. */
export const makeOpenApi = (version: string, url: string): Json => ({
  openapi: "3.1.0",
  info: {
    title: "cairn",
    version,
    description: "A blockchain node. Amounts are base units; times are milliseconds.",
    license: { name: "MIT", identifier: "MIT" }
  },
  servers: [{ url }],
  tags: [
    { name: "health", description: "Open to all, never limited." },
    { name: "public", description: "Open to all." },
    { name: "admin", description: "For who has an admin token." },
    { name: "peer", description: "For nodes that have the peers' secret." }
  ],
  paths: operations(),
  components
})

const escape = (text: string): string =>
  text.replace(/[&<>"]/g, (c) => ({ "&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;" })[c]!)

const rowOf = (name: string, route: Route): string => {
  const also = Object.entries(aliases)
    .filter(([, target]) => target === name)
    .map(([path]) => pathOf(path))
  const parameters = parametersOf(route)
    .map((parameter) => `<code>${escape(String(parameter["name"]))}</code>`)
    .join(", ")
  const refusals = Object.entries(route.refusals)
    .map(([status, meaning]) => `<li>${status}: ${escape(meaning)}</li>`)
    .join("")
  const reply = escape(JSON.stringify(schemaOf(route.reply), null, 1))
  const body =
    route.body === undefined ? "" : `<h3>Body</h3><pre>${escape(JSON.stringify(schemaOf(route.body), null, 1))}</pre>`
  const refused = refusals === "" ? "" : `<h3>Refusals</h3><ul>${refusals}</ul>`
  const facts = [
    route.auth === "admin" ? "Admin token needed." : route.auth === "peer" ? "Peers' secret needed." : "",
    parameters === "" ? "" : `Parameters: ${parameters}.`,
    also.length === 0 ? "" : `Also: ${escape(also.join(", "))}.`
  ].join(" ")
  return `<details id="${name}">
<summary><b>${route.method}</b> <code>${escape(pathOf(route.path))}</code> <span>${escape(route.summary)}</span></summary>
<p>${facts}</p>
${body}<h3>Reply ${route.status}</h3><pre>${reply}</pre>${refused}</details>`
}

/** The page at /docs: no script, no other host. */
export const makeDocsPage = (
  version: string,
  style: string
): string => `<!doctype html><html lang="en"><meta charset="utf-8">
<meta name="viewport" content="width=device-width"><title>cairn API ${escape(version)}</title>
<link rel="stylesheet" href="${escape(style)}">
<main class="docs"><h1>cairn API</h1><p>The document behind this page: <a href="/openapi.json">/openapi.json</a>. Refusals are
<code>application/problem+json</code> with a stable <code>code</code>. Events: <code>GET /api/events</code> (server-sent, with
<code>Last-Event-ID</code>).</p>
${(Object.entries(routes) as ReadonlyArray<readonly [string, Route]>).map(([name, route]) => rowOf(name, route)).join("\n")}</main></html>`
