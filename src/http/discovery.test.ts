/** The discovery service as callers see it: its commands, what it refuses and how, and that it keeps members over a restart. */
import { afterAll, describe, expect, test } from "bun:test"
import { mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { keyOf } from "../../test/fixtures.ts"
import { toHex } from "../codec/bytes.ts"
import { formatCommand, makeStatement, type Words } from "../discovery/statement.ts"
import { discoveryBodyBytesMax, discoveryBurst } from "../limits.ts"
import { openMembers } from "../store/members.ts"
import { makeDiscovery } from "./discovery.ts"

const home = mkdtempSync(join(tmpdir(), "cairn-discovery-"))
afterAll(() => rmSync(home, { recursive: true, force: true }))

const genesis = new Uint8Array(32).fill(7)
const start = 1_795_219_200_000

const signed = (key: number, time: number, wish: Partial<Words> = {}) => {
  const endpoint = `192.0.2.${key}:19100`
  const words = { action: "register", chainId: "c", genesis, endpoint, time, expires: time + 300_000, ...wish } as const
  return makeStatement(words, keyOf(key))
}
const add = (key: number, wish: Partial<Words> = {}) =>
  formatCommand({ command: "add", statement: signed(key, start, wish) })
const remove = (key: number, time: number) => {
  const statement = signed(key, time, { action: "remove", endpoint: "", expires: time })
  return formatCommand({ command: "remove", statement }) as Readonly<Record<string, unknown>>
}
const all = { command: "get_all", genesis: toHex(genesis) }

interface Reply {
  readonly status: number
  readonly body: Readonly<Record<string, unknown>>
  readonly headers: Headers
}

const make = (
  wish: { readonly path?: string; readonly membersMax?: number; readonly hosts?: ReadonlyArray<string> } = {}
) => {
  let now = start
  const store = openMembers(wish.path ?? ":memory:")
  const { membersMax, hosts = [] } = wish
  const app = makeDiscovery({
    store,
    version: "1",
    now: () => now,
    hosts,
    ...(membersMax === undefined ? {} : { membersMax })
  })
  const ask = async (path: string, init: RequestInit = {}, remote = "127.0.0.1"): Promise<Reply> => {
    const response = await app.fetch(new Request(`http://localhost${path}`, init), { remote })
    const body = (await response.json()) as Reply["body"]
    return { status: response.status, body, headers: response.headers }
  }
  const post = (body: unknown, remote?: string): Promise<Reply> =>
    ask("/", { method: "POST", headers: { "content-type": "application/json" }, body: JSON.stringify(body) }, remote)
  return { store, ask, post, wait: (ms: number) => void (now += ms) }
}
const codeOf = ({ status, body }: Reply) => [status, body["code"]]

describe("the discovery service", () => {
  test("registers, lists by command and by route, and removes (case 8 of reference 003)", async () => {
    const { ask, post, wait } = make()
    const { id } = (await post(add(1))).body["peer"] as { readonly id: string }
    const member = { id, chain_id: "c", endpoint: "192.0.2.1:19100", time: start, expires: start + 300_000 }
    const listed = { members: [member], page: { rows: 1, next_cursor: null } }
    expect((await post(all)).body).toEqual(listed)
    expect((await ask(`/api/members?genesis=${toHex(genesis)}`)).body).toEqual(listed)
    expect((await ask(`/api/members?genesis=${"08".repeat(32)}`)).body["members"]).toEqual([])
    wait(1)
    expect((await post(remove(1, start + 1))).body).toEqual({ removed: id })
    expect((await post(all)).body["members"]).toEqual([])
    expect((await ask("/api/health")).body).toMatchObject({ status: "ok", service: "cairn-discovery" })
  })

  test("refuses a spoofed removal and every other wrong word by a stable code", async () => {
    const { ask, post } = make({ membersMax: 2 })
    expect((await post(add(1))).status).toBe(200)
    const victim = remove(1, start + 1)
    const thief = remove(2, start + 1)
    expect(codeOf(await post({ ...thief, peer_id: victim["peer_id"] }))).toEqual([403, "node-id-mismatch"])
    expect(codeOf(await post({ ...victim, signature: thief["signature"] }))).toEqual([403, "registration-signature"])
    expect(codeOf(await post(thief))).toEqual([404, "member-unknown"])
    expect(((await post(all)).body["members"] as ReadonlyArray<unknown>).length).toBe(1)
    expect(codeOf(await post(add(1)))).toEqual([409, "registration-replayed"])
    expect(codeOf(await post(add(3, { endpoint: "0.0.0.0:1" })))).toEqual([400, "endpoint-unspecified"])
    expect(codeOf(await post(add(3, { endpoint: "127.0.0.1:1" }), "192.0.2.7"))).toEqual([400, "endpoint-local"])
    expect(codeOf(await post(add(3, { time: start - 200_000 })))).toEqual([400, "registration-stale"])
    expect(codeOf(await post(add(3, { expires: start })))).toEqual([400, "registration-expiry"])
    expect((await post(add(3))).status).toBe(200)
    const full = await post(add(4))
    expect([...codeOf(full), full.headers.get("retry-after")]).toEqual([503, "members-full", "60"])
    expect(codeOf(await post({ command: "steal" }))).toEqual([400, "command-unknown"])
    expect(codeOf(await post({ command: "get_all" }))).toEqual([400, "registration-malformed"])
    expect(codeOf(await ask("/api/members"))).toEqual([400, "query-invalid"])
    expect(codeOf(await ask(`/api/members?genesis=${toHex(genesis)}&limit=65`))).toEqual([400, "query-invalid"])
    expect(codeOf(await ask("/", { method: "POST", body: "{}" }))).toEqual([415, "content-type-unsupported"])
    expect(codeOf(await ask("/"))).toEqual([405, "method-not-allowed"])
    expect(codeOf(await ask("/api/chain"))).toEqual([404, "route-not-found"])
    expect(codeOf(await post({ command: "x".repeat(discoveryBodyBytesMax) }))).toEqual([413, "body-too-large"])
  })

  test("gives pages that follow one another, and lets registrations end", async () => {
    const { ask, post, wait } = make()
    for (const key of [1, 2, 3]) await post(add(key, { expires: start + key * 1_000 }))
    const ids: Array<string> = []
    let cursor: unknown = ""
    do {
      const { body } = await ask(`/api/members?genesis=${toHex(genesis)}&limit=2&cursor=${String(cursor)}`)
      ids.push(...(body["members"] as ReadonlyArray<{ readonly id: string }>).map(({ id }) => id))
      cursor = (body["page"] as { readonly next_cursor: unknown }).next_cursor
    } while (cursor !== null)
    expect([ids.length, new Set(ids).size]).toEqual([3, 3])
    wait(2_000)
    expect(((await post(all)).body["members"] as ReadonlyArray<unknown>).length).toBe(1)
  })

  test("bears so many requests from one address, and answers others all the while", async () => {
    const { post, wait } = make()
    for (let i = 0; i < discoveryBurst; i++) expect((await post(all, "192.0.2.7")).status).toBe(200)
    const refused = await post(all, "192.0.2.7")
    expect([...codeOf(refused), refused.headers.get("retry-after")]).toEqual([429, "rate-limited", "1"])
    expect((await post(all, "192.0.2.8")).status).toBe(200)
    wait(1_000)
    expect((await post(all, "192.0.2.7")).status).toBe(200)
  })

  test("answers no page of another name where it listens on loopback", async () => {
    const { ask } = make({ hosts: ["localhost"] })
    expect((await ask("/api/health", { headers: { host: "localhost:4444" } })).status).toBe(200)
    expect(codeOf(await ask("/api/health", { headers: { host: "evil.example" } }))).toEqual([403, "host-not-allowed"])
  })

  test("keeps its members, and what it must not hear again, over a restart with a file", async () => {
    const path = join(home, "members.db")
    const first = make({ path })
    await first.post(add(1))
    await first.post(add(2))
    await first.post(remove(2, start + 1))
    first.store.close()
    const second = make({ path })
    expect(((await second.post(all)).body["members"] as ReadonlyArray<unknown>).length).toBe(1)
    expect(codeOf(await second.post(add(2)))).toEqual([409, "registration-replayed"])
    second.store.close()
  })
})
