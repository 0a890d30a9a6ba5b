/** The contract as an OpenAPI 3.1 document, and an offline page that shows it. */
import { Schema } from "effect"
import { aliases, type Route, routes } from "./contract.ts"

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
    errors: { type: "array", items: {} }
  }
}

const operationOf = (name: string, route: Route): Json => ({
  operationId: name,
  summary: route.summary,
  parameters: parametersOf(route),
  ...(route.auth === "admin" ? { security: [{ adminToken: [] }] } : {}),
  ...(route.body === undefined
    ? {}
    : { requestBody: { required: true, content: { "application/json": { schema: schemaOf(route.body) } } } }),
  responses: {
    [route.status]: { description: "success", content: { "application/json": { schema: schemaOf(route.reply) } } },
    ...Object.fromEntries(
      Object.entries(route.refusals).map(([status, description]) => [
        status,
        { description, content: { "application/problem+json": { schema: problemSchema } } }
      ])
    )
  }
})

/** The document. Made once. */
export const makeOpenApi = (version: string, url: string): Json => {
  const paths: Record<string, Record<string, Json>> = {}
  for (const [name, route] of Object.entries(routes) as ReadonlyArray<readonly [string, Route]>) {
    paths[pathOf(route.path)] = { ...paths[pathOf(route.path)], [route.method.toLowerCase()]: operationOf(name, route) }
  }
  return {
    openapi: "3.1.0",
    info: {
      title: "cairn",
      version,
      description: "A blockchain node. Amounts are base units; times are milliseconds.",
      license: { name: "MIT" }
    },
    servers: [{ url }],
    paths,
    components: { securitySchemes: { adminToken: { type: "http", scheme: "bearer" } } }
  }
}

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
    route.auth === "admin" ? "Admin token needed." : "",
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
