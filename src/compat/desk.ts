/** What the routes of the reference systems have in common: who may call, how answers are written, pages, and named peers. */
import { type Context as Services, Effect, Exit, Result, type Schema } from "effect"
import type { Context } from "hono"
import { parseEndpoint, formatEndpoint } from "../config.ts"
import { toHex } from "../codec/bytes.ts"
import { type Address, isAddress, parseAddress } from "../crypto/address.ts"
import { blockBytesMax, httpPageMax } from "../limits.ts"
import type { Answer, BlockRefused, BlockView, NodeShape, TransactionRefused } from "../node/node.ts"
import type { PeerAdded } from "../node/peers.ts"
import { decodeWith, readJson } from "../http/answer.ts"
import type { Wallet } from "./wallet.ts"
import { remoteOf } from "../http/caller.ts"
import { isProblem } from "../http/exchange.ts"
import { isLoopbackAddress } from "../http/loopback.ts"
import type { OwnSession } from "./own-session.ts"
import { problem, type Problem, problemOf } from "../http/problem.ts"

export interface DeskPorts {
  readonly node: NodeShape
  readonly wallet: Wallet
  readonly session: OwnSession
  /** The services that answers run with. */
  readonly services: Services.Context<never>
  /** Do GET routes mine and spend, as they do there? */
  readonly actsOnGet: boolean
  /** A refusal as this system writes it. */
  readonly refuse: (c: Context, refused: Problem) => Response
}

/** What a route gives: a value, or a text. `next`: the query of the page that follows. */
export type Given =
  | { readonly json: unknown; readonly next?: Readonly<Record<string, string | number>> | undefined }
  | { readonly text: string }

export type Handled = Answer<Given | Problem, TransactionRefused | BlockRefused>

export interface RouteRules {
  /** Needs the node's own session: it shows or uses the key, or makes the node work (D-X1). */
  readonly own?: boolean
  /** Mines or spends: by GET only if the operator said so. */
  readonly acts?: boolean
  readonly body?: Schema.Top
  /** A rule of the system's own, before the body is read. */
  readonly denies?: (c: Context) => Problem | undefined
}

/** Milliseconds between two looks for what others do. */
const lookMs = 50

export class Desk {
  readonly node: NodeShape
  readonly wallet: Wallet
  private readonly ports: DeskPorts

  constructor(ports: DeskPorts) {
    this.ports = ports
    this.node = ports.node
    this.wallet = ports.wallet
  }

  /** A route's handler behind its rules. */
  route(rules: RouteRules, handle: (c: Context, body: never) => Handled) {
    return async (c: Context): Promise<Response> => {
      const refused = this.denied(c, rules)
      if (refused !== undefined) return this.ports.refuse(c, refused)
      if (rules.own === true) c.header("cache-control", "no-store")
      const body = await this.bodyOf(c, rules)
      if (isProblem(body)) return this.ports.refuse(c, body)
      const exit = await Effect.runPromiseExitWith(this.ports.services)(Effect.result(handle(c, body.value as never)))
      if (Exit.isFailure(exit)) throw new Error(String(exit.cause))
      const given = Result.isFailure(exit.value) ? problemOf(exit.value.failure) : exit.value.success
      return isProblem(given) ? this.ports.refuse(c, given) : write(c, given)
    }
  }

  private denied(c: Context, { own, acts, denies }: RouteRules): Problem | undefined {
    if (acts === true && c.req.method === "GET" && !this.ports.actsOnGet) {
      const detail = `${c.req.path} acts: use POST, or start the node with --compat-get-acts.`
      return problem(405, "method-not-allowed", detail, { headers: { allow: "POST" } })
    }
    return own === true ? this.ports.session.check(c) : denies?.(c)
  }

  private async bodyOf(c: Context, { body }: RouteRules): Promise<{ readonly value: unknown } | Problem> {
    if (body === undefined) return { value: undefined }
    const json = await readJson(c)
    return isProblem(json) ? json : decodeWith(body, json.value, "body-invalid")
  }

  address(text: string): Address | Problem {
    const parsed = parseAddress(text, this.node.facts.rules.spec.addressPrefix)
    return isAddress(parsed) ? parsed : problem(400, "address-invalid", `The address ${parsed.wrong}.`)
  }

  /** Best-branch blocks from a height up: so many, or fewer that hold as much as one answer may. */
  blocksFrom(
    from: number,
    limit: number
  ): Answer<{ readonly views: ReadonlyArray<BlockView>; readonly next?: number }> {
    const { node } = this
    return Effect.gen(function* () {
      const views: Array<BlockView> = []
      let bytes = 0
      for (let height = from; views.length < limit && bytes < blockBytesMax; height++) {
        const view = yield* node.blockAt(height)
        const before = views.at(-1)?.block.header.id
        // The end; or another branch has won between two looks, and its blocks are not those that follow.
        if (view === undefined || (before !== undefined && toHex(view.block.header.previous) !== before)) break
        views.push(view)
        bytes += view.block.transactions.reduce((sum, one) => sum + one.bytes.length, 0)
      }
      const last = views.at(-1)
      return last !== undefined && last.confirmations > 1 ? { views, next: last.block.header.height + 1 } : { views }
    })
  }

  /**
   * Tells the node of a peer. With the session any endpoint; without it a caller may name only itself, so that nobody makes
   * this node knock at doors of others.
   */
  addPeer(c: Context, text: string): Answer<{ readonly endpoint: string; readonly added: PeerAdded } | Problem> {
    const endpoint = endpointOf(text)
    if (endpoint === undefined) {
      return Effect.succeed(problem(400, "endpoint-invalid", `"${text.slice(0, 80)}" is not host:port.`))
    }
    const own = this.node.facts.p2pEndpoint
    if (own !== undefined && endpointOf(own) === endpoint)
      return Effect.succeed(problem(400, "peer-is-self", "Cannot add self"))
    const refused = this.ports.session.check(c)
    if (refused !== undefined && !isSelf(c, endpoint)) {
      const detail = `Without this node's session you may name a peer at your own address only. ${refused.detail}`
      return Effect.succeed({ ...refused, detail })
    }
    // Who only names itself is believed as far as a peer is.
    const host = refused === undefined ? undefined : (remoteOf(c) ?? "")
    return Effect.map(this.node.addPeer(endpoint, host), (added) => peerProblem(added) ?? { endpoint, added })
  }

  /** Looks until a fact holds, for at most so long; did it? */
  readonly until = (fact: Answer<boolean>, ms: number): Answer<boolean> =>
    Effect.gen(function* () {
      for (let waited = 0; waited < ms; waited += lookMs) {
        if (yield* fact) return true
        yield* Effect.sleep(lookMs)
      }
      return false
    })
}

const write = (c: Context, given: Given): Response => {
  if ("text" in given) return c.text(given.text)
  if (given.next !== undefined) {
    const query = new URLSearchParams(Object.entries(given.next).map(([name, value]) => [name, String(value)]))
    c.header("link", `<${c.req.path}?${query}>; rel="next"`)
  }
  return c.body(JSON.stringify(given.json), 200, { "content-type": "application/json" })
}

/** host:port of a peer, also where it stands in a URL; the loopback address where the name stands. */
const endpointOf = (text: string): string | undefined => {
  const at = parseEndpoint(text.replace(/^https?:\/\//, "").replace(/\/$/, ""))
  if (at === undefined) return undefined
  const host = at.host.toLowerCase()
  return formatEndpoint(host === "localhost" ? "127.0.0.1" : host, at.port)
}

const isSelf = (c: Context, endpoint: string): boolean => {
  const remote = (remoteOf(c) ?? "").replace(/^::ffff:/, "")
  const host = parseEndpoint(endpoint)?.host ?? ""
  return host === remote || (isLoopbackAddress(host) && isLoopbackAddress(remote))
}

const peerProblem = (added: PeerAdded): Problem | undefined => {
  if (added === "not-allowed")
    return problem(400, "peer-host-not-allowed", "This host is not on the node's list of hosts.")
  if (added === "unspoken") return problem(409, "transport-off", "This node speaks to peers by libp2p only.")
  if (added === "invalid") return problem(400, "endpoint-invalid", "This is no host and port of peers.")
  if (added === "no-peers") return problem(409, "no-peers", "This node was started with --no-p2p and speaks to nobody.")
  return added === "full"
    ? problem(503, "directory-full", "The directory of peers has no room.", { headers: { "retry-after": "60" } })
    : undefined
}

/** A whole number of a query, within bounds; `otherwise` if it is not there; a problem if it is no such number. */
export const wholeIn = (
  c: Context,
  name: string,
  bounds: { readonly min: number; readonly max: number; readonly otherwise?: number }
): number | Problem => {
  const text = c.req.query(name)
  if (text === undefined && bounds.otherwise !== undefined) return bounds.otherwise
  const value = /^\d{1,16}$/.test(text ?? "") ? Number(text) : Number.NaN
  if (value >= bounds.min && value <= bounds.max) return value
  return problem(400, "query-invalid", `${name} must be a whole number from ${bounds.min} to ${bounds.max}.`)
}

/** The rows that a page is asked for. */
export const limitIn = (c: Context, otherwise: number): number | Problem =>
  wholeIn(c, "limit", { min: 1, max: httpPageMax, otherwise })

export const heightIn = (c: Context): number | Problem =>
  wholeIn(c, "from_block", { min: 0, max: Number.MAX_SAFE_INTEGER, otherwise: 0 })

export const badCursor = problem(400, "cursor-invalid", "This cursor is not one of ours. Begin without one.")
