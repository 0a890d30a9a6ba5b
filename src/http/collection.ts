/** The examples as a Postman collection (v2.1) and as a file of requests that editors send; both from the contract. */
import { aliases, type Route, routes } from "./contract.ts"
import { type Example, examples, referenceTitles, variables } from "./examples.ts"
import { pathOf } from "./openapi.ts"
import { type PlainRoute, plainRoutes } from "./plain-contract.ts"

/** An example with what the contract says of its route. */
interface Request {
  readonly title: string
  readonly method: string
  /** With the parameters in place. */
  readonly path: string
  readonly query: string
  readonly auth: Route["auth"]
  readonly summary: string
  /** Right ones; the first is that of success. */
  readonly statuses: ReadonlyArray<number>
  readonly body: string | undefined
  readonly keeps: Readonly<Record<string, string>>
  readonly folder: string
}

interface Known {
  readonly auth: Route["auth"]
  readonly summary: string
  readonly status: number
}

/** Every route by `METHOD /path`. */
const known: ReadonlyMap<string, Known> = new Map<string, Known>([
  ...(Object.values(routes) as ReadonlyArray<Route>).map(
    (route) => [`${route.method} ${pathOf(route.path)}`, route] as const
  ),
  ...(Object.values(plainRoutes) as ReadonlyArray<PlainRoute>).map(
    (plain) => [`GET ${plain.path}`, { ...plain, status: 200 }] as const
  )
])

/** Routes without an example: none. */
export const unshown = (): ReadonlyArray<string> =>
  [...known.keys()].filter((key) => !examples.some(({ route }) => route === key))
/** Examples of routes that this node does not have. */
export const unserved = (): ReadonlyArray<string> =>
  examples.map(({ route }) => route).filter((route) => !known.has(route))

const folders: Readonly<Record<Route["auth"], string>> = {
  health: "health and figures",
  public: "health and figures",
  admin: "operator",
  peer: "between nodes"
}

const requestOf = (example: Example, path: string, folder: string): ReadonlyArray<Request> => {
  const { title, route, params = {}, query = {}, body, status, also = [], keeps = {} } = example
  const about = known.get(route)
  if (about === undefined) return []
  const filled = path.replace(/\{([a-z]+)\}/g, (_, name: string) => params[name] ?? `{{${name}}}`)
  const search = Object.entries(query).map(([name, value]) => `${name}=${value}`)
  return [
    {
      title,
      method: route.split(" ")[0]!,
      path: filled,
      query: search.length === 0 ? "" : `?${search.join("&")}`,
      auth: about.auth,
      summary: about.summary,
      statuses: [status ?? about.status, ...also],
      body: typeof body === "object" ? JSON.stringify(body) : body,
      keeps,
      folder
    }
  ]
}

/** Older names, with the example of the route that they are of. */
const aliased = (): ReadonlyArray<Request> =>
  Object.entries(aliases).flatMap(([alias, name]) => {
    const route = `${routes[name].method} ${pathOf(routes[name].path)}`
    const example = examples.find((one) => one.route === route)
    const path = pathOf(alias)
    return example === undefined ? [] : requestOf({ ...example, title: path, keeps: {} }, path, "older names")
  })

const requests = (): ReadonlyArray<Request> => [
  ...examples.flatMap((example) => {
    const [, path] = example.route.split(" ")
    const auth = known.get(example.route)?.auth ?? "public"
    return requestOf(example, path!, referenceTitles.includes(example.title) ? "reference" : folders[auth])
  }),
  ...aliased()
]

const headersOf = ({ auth, body }: Request): ReadonlyArray<readonly [string, string]> => [
  ...(body === undefined ? [] : [["Content-Type", "application/json"] as const]),
  ...(auth === "admin" ? [["X-Blockchain-Admin-Token", "{{adminToken}}"] as const] : []),
  ...(auth === "peer" ? [["X-Blockchain-Peer-Secret", "{{peerSecret}}"] as const] : [])
]

/** Looks at the status, and keeps what later requests name. */
const scriptOf = ({ statuses, keeps }: Request): ReadonlyArray<string> => [
  `pm.test("answers ${statuses.join(" or ")}", () => pm.expect(pm.response.code).to.be.oneOf([${statuses.join(", ")}]))`,
  ...Object.entries(keeps).map(([name, place]) => {
    const steps = place.split(".").map((step) => (/^\d+$/.test(step) ? `[${step}]` : `.${step}`))
    return `if (pm.response.code === ${statuses[0]}) pm.collectionVariables.set("${name}", pm.response.json()${steps.join("")})`
  })
]

const itemOf = (request: Request) => {
  const { title, method, path, query, summary, body } = request
  return {
    name: title,
    event: [{ listen: "test", script: { type: "text/javascript", exec: scriptOf(request) } }],
    request: {
      method,
      header: headersOf(request).map(([key, value]) => ({ key, value })),
      ...(body === undefined ? {} : { body: { mode: "raw", raw: body, options: { raw: { language: "json" } } } }),
      url: {
        raw: `{{baseUrl}}${path}${query}`,
        host: ["{{baseUrl}}"],
        path: path.split("/").slice(1),
        ...(query === ""
          ? {}
          : {
              query: query
                .slice(1)
                .split("&")
                .map((pair) => ({ key: pair.split("=")[0]!, value: pair.split("=")[1]! }))
            })
      },
      description: summary
    },
    response: []
  }
}

const about =
  "Every route of a cairn node. adminToken stands in admin.token of the data folder; a development node on this machine needs " +
  "none. peerSecret is the node's BLOCKCHAIN_PEER_SHARED_SECRET. transaction is a signed transfer, as `cairn send --sign-only` prints it. " +
  "nodeId is a node to ban and forget: at first nobody's. announcement, nodeWord and nodeFailure are what a node signs of itself. " +
  "The other variables fill themselves."

/** The collection, in the form of Postman 2.1. */
export const makeCollection = () => {
  const all = requests()
  const names = [...new Set(all.map(({ folder }) => folder))]
  return {
    info: {
      name: "cairn",
      description: about,
      schema: "https://schema.getpostman.com/json/collection/v2.1.0/collection.json"
    },
    variable: Object.entries(variables).map(([key, value]) => ({ key, value })),
    item: names.map((name) => ({ name, item: all.filter(({ folder }) => folder === name).map(itemOf) }))
  }
}

/** The same requests as text, one after the other, for editors that send such files. */
export const makeRequestFile = (): string => {
  const head = Object.entries(variables).map(([name, value]) => `@${name} = ${value}`)
  const blocks = requests().map((request) => {
    const { title, method, path, query, statuses, body, summary } = request
    return [
      `### ${title}`,
      `# ${summary}`,
      `# Answers ${statuses.join(" or ")}.`,
      `${method} {{baseUrl}}${path}${query}`,
      ...headersOf(request).map(([name, value]) => `${name}: ${value}`),
      ...(body === undefined ? [] : ["", body])
    ].join("\n")
  })
  return `# Made from the contract by \`bun run contract\`. ${about}\n\n${head.join("\n")}\n\n${blocks.join("\n\n")}\n`
}

/** Every route as a table for docs/api.md. */
export const makeRouteTable = (): string => {
  const shown = (Object.entries(routes) as ReadonlyArray<readonly [string, Route]>).map(([name, route]) => {
    const others = Object.entries(aliases).flatMap(([alias, of]) => (of === name ? [`\`${pathOf(alias)}\``] : []))
    return { ...route, path: pathOf(route.path), others: others.join(", ") }
  })
  const plain = (Object.values(plainRoutes) as ReadonlyArray<PlainRoute>).map((one) => ({
    ...one,
    method: "GET",
    others: ""
  }))
  const rows = [...shown, ...plain].map(
    ({ method, path, auth, summary, others }) => `| \`${method} ${path}\` | ${auth} | ${summary} | ${others} |`
  )
  return ["| route | class | what | also as |", "| --- | --- | --- | --- |", ...rows].join("\n")
}
