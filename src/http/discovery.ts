/**
 * The discovery service: the app of the membership routes. It hears, keeps and tells; it never calls anybody, so nobody can
 * send it anywhere.
 *
 *   request → guards → how often from this address → JSON of a known form → the registry's rules → JSON, or a problem
 */
import { Result } from "effect"
import { type Context, Hono } from "hono"
import { fromHex } from "../codec/bytes.ts"
import { Rate } from "../discovery/rate.ts"
import { type Caller, type Member, Registry, type MemberStore } from "../discovery/registry.ts"
import { sourceOf } from "../discovery/place.ts"
import { advice, type Command, type DiscoveryReject, readCommand } from "../discovery/statement.ts"
import { discoveryBodyBytesMax, discoveryPageMax } from "../limits.ts"
import { answer, readJson } from "./answer.ts"
import { remoteOf } from "./caller.ts"
import { isProblem } from "./exchange.ts"
import { closed, guards } from "./guards.ts"
import { isLoopbackAddress } from "./loopback.ts"
import { type Problem, problem } from "./problem.ts"

export interface DiscoveryOptions {
  readonly store: MemberStore
  readonly version: string
  /** Milliseconds since 1970. */
  readonly now: () => number
  /** Host names that requests may carry beside loopback ones; empty: any. */
  readonly hosts: ReadonlyArray<string>
  /** Members at most, if not as many as there may be. */
  readonly membersMax?: number
}

/** What is not the caller's form: who may not speak, who spoke too late, where there is no room. The rest is 400. */
const statuses: Readonly<Partial<Record<DiscoveryReject, number>>> = {
  "node-id-mismatch": 403,
  "registration-signature": 403,
  "registration-replayed": 409,
  "member-unknown": 404,
  "members-full": 503,
  "address-full": 503
}

const problemOf = (code: DiscoveryReject): Problem => {
  const status = statuses[code] ?? 400
  return problem(status, code, advice[code], status === 503 ? { headers: { "retry-after": "60" } } : {})
}

const memberJson = ({ nodeId, chainId, endpoint, time, expires }: Member) => ({
  id: nodeId,
  chain_id: chainId,
  endpoint,
  time,
  expires
})

/** A caller without an address is a test's, or stands at our own socket. */
const callerOf = (c: Context): Caller => {
  const remote = remoteOf(c)
  return {
    source: remote === undefined ? "" : sourceOf(remote),
    near: remote === undefined || isLoopbackAddress(remote)
  }
}

/** The app. `fetch` it without a socket in tests. */
export const makeDiscovery = ({ store, version, now, hosts, membersMax }: DiscoveryOptions): Hono => {
  const app = new Hono()
  const registry = new Registry(store, membersMax)
  const rate = new Rate()
  for (const guard of guards({ hosts }, discoveryBodyBytesMax)) app.use(guard)
  app.use(async (c, next) => {
    const waitMs = rate.take(callerOf(c).source, now())
    if (waitMs === 0) return next()
    const headers = { "retry-after": String(Math.ceil(waitMs / 1000)) }
    return answer(c, problem(429, "rate-limited", "Too many requests from your address.", { headers }))
  })

  const shown = (genesis: Uint8Array, after: string, limit: number) => {
    const { members, next } = registry.page({ genesis, after, limit }, now())
    return { members: members.map(memberJson), page: { rows: members.length, next_cursor: next ?? null } }
  }
  const outcome = (c: Context, done: Result.Result<Member, DiscoveryReject>, reply: (member: Member) => object) =>
    Result.isFailure(done) ? answer(c, problemOf(done.failure)) : c.json(reply(done.success))
  const perform = (c: Context, command: Command): Response => {
    switch (command.command) {
      case "add":
        return outcome(c, registry.add(command.statement, callerOf(c), now()), (member) => ({
          peer: memberJson(member)
        }))
      case "remove":
        return outcome(c, registry.remove(command.statement, now()), ({ nodeId }) => ({ removed: nodeId }))
      case "get_all":
        return c.json(shown(command.genesis, command.after, command.limit))
    }
  }

  app.post("/", async (c) => {
    const json = await readJson(c)
    if (isProblem(json)) return answer(c, json)
    const command = readCommand(json.value)
    return Result.isFailure(command) ? answer(c, problemOf(command.failure)) : perform(c, command.success)
  })
  app.get("/api/members", (c) => {
    const { genesis: hex = "", cursor = "", limit = String(discoveryPageMax), ...others } = c.req.query()
    const genesis = fromHex(hex.toLowerCase(), 32)
    const rows = /^\d{1,3}$/.test(limit) ? Number(limit) : 0
    if (
      genesis === undefined ||
      cursor.length > 90 ||
      rows < 1 ||
      rows > discoveryPageMax ||
      Object.keys(others).length > 0
    ) {
      const detail = `Ask with ?genesis=HASH, the genesis of a chain in hex; limit (1 to ${discoveryPageMax}) and cursor may follow.`
      return answer(c, problem(400, "query-invalid", detail))
    }
    return c.json(shown(genesis, cursor, rows))
  })
  app.get("/api/health", (c) => c.json({ status: "ok", service: "cairn-discovery", version, timestamp: now() }))
  return closed(app, 'POST / takes {"command": …}; GET /api/members?genesis=HASH lists; GET /api/health.')
}
