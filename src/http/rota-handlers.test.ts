/** The HTTP interface over a whole node of a chain of authorities: the rota as its headers have it, and nothing beside. */
import { afterAll, beforeAll, expect, test } from "bun:test"
import { mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { Context, Effect, Exit, Schema } from "effect"
import type { Hono } from "hono"
import { about, conviction, doubleSign, land } from "../../test/rota.ts"
import { keyOf, specOf, TestChain } from "../../test/fixtures.ts"
import { startNode, type TestNode } from "../../test/network.ts"
import { toHex } from "../codec/bytes.ts"
import { formatAddress } from "../crypto/address.ts"
import { makeApp } from "./app.ts"
import { type ReplyOf, type RouteName, routes } from "./contract.ts"

const spec = specOf({ authorities: 4, authority: { voteBlocks: 100, pace: { pendingMin: 1, idleMs: 1 } } })
const folder = mkdtempSync(join(tmpdir(), "cairn-test-"))
const chain = new TestChain(spec, join(folder, "chain.db"))
const guilty = doubleSign(chain)
land(chain, { rank: 1, ballot: conviction(guilty) })
land(chain, { ballot: about("admit", 300) })
land(chain, { rank: 2 })
const { height, id } = chain.store.tip().header
const text = (key: number): string => formatAddress(keyOf(key).address, "crn")
const us = [200, 201, 202, 203]
  .map((key) => keyOf(key))
  .find(({ address }) => toHex(address) !== toHex(guilty.authority))!
let node: TestNode
let app: Hono

beforeAll(async () => {
  chain.store.close()
  // It seals for one of them, and is not asked to: its signer refuses.
  const signer = { address: us.address, seal: () => {}, vote: () => {} }
  node = await startNode({ spec, folder, signer })
  app = makeApp({ node: node.tree.node, context: Context.empty(), adminToken: undefined, page: new Map(), hosts: [] })
})
afterAll(async () => {
  await node.stop()
  rmSync(folder, { recursive: true, force: true })
})

const get = async <N extends RouteName>(name: N, path: string): Promise<ReplyOf<N>> => {
  const response = await app.request(`http://localhost${path}`)
  const reply = await response.json()
  const decode = Schema.decodeUnknownExit(routes[name].reply as never, { errors: "all", onExcessProperty: "error" })
  const exit = decode(reply)
  expect([name, response.status, Exit.isSuccess(exit) ? "" : String(exit.cause)]).toEqual([name, 200, ""])
  return reply as ReplyOf<N>
}

test("the rota: the rule, who has done what, who was convicted, who leads, what is voted on", async () => {
  const view = await get("authorities", "/api/authorities?slots=5")
  expect(view.rule).toEqual({
    ...{ slot_ms: 1000, out_of_turn_ms: 500, vote_blocks: 100, allow_empty: true },
    pace: { pending_min: 1, idle_ms: 1 },
    checkpoint_blocks: null
  })
  expect([view.height, view.hash, view.members.length, view.next.length]).toEqual([height, id, 3, 5])
  expect(view.convicted).toEqual([formatAddress(guilty.authority, "crn")])
  expect(view.members.filter(({ is_self }) => is_self).map(({ address }) => address)).toEqual([
    formatAddress(us.address, "crn")
  ])
  const sum = (field: "in_turn" | "out_of_turn"): number => view.members.reduce((all, one) => all + one[field], 0)
  expect([sum("in_turn"), sum("out_of_turn"), view.window.blocks]).toEqual([1, 2, 3])
  expect(view.present.end).toBe(view.present.start + 1000)
  expect(view.present.turns[0]).toMatchObject({ address: view.present.leader, weight: 2, may_seal: true })
  expect(view.next[0]).toMatchObject({ slot: view.present.slot + 1, leader: view.present.turns[1]!.address })
  expect(view.votes).toMatchObject([{ vote: "admit", subject: text(300), height: 2, lapses_at: 102 }])
  expect(view.tallies).toEqual([{ vote: "admit", subject: text(300), votes: 1, needed: 2 }])
})

test("headers and blocks say by what authority they were sealed, and what they say of others", async () => {
  const { headers } = await get("headers", "/api/headers?from_height=0&limit=10")
  expect(headers.map(({ version, authority }) => [version, authority?.in_turn, authority?.vote?.kind])).toEqual([
    [2, undefined, undefined],
    [2, false, "convict"],
    [2, true, "admit"],
    [2, false, undefined]
  ])
  expect(headers.slice(1).map(({ work }) => work)).toEqual(["1", "2", "1"])
  const { block } = await get("blockAt", "/api/blocks/2")
  expect(block.authority).toMatchObject({ weight: 2, vote: { kind: "admit", subject: text(300) } })
  const { meta } = await get("stats", "/api/stats")
  expect([meta.consensus, meta.fork_choice]).toEqual(["proof-of-authority", "most-cumulative-weight"])
})

test("a number of slots that is none, and a chain without authorities, are refused by name", async () => {
  const codeOf = async (on: Hono, path: string): Promise<readonly [number, string]> => {
    const response = await on.request(`http://localhost${path}`)
    return [response.status, ((await response.json()) as { code: string }).code]
  }
  for (const slots of ["0", "65", "x"])
    expect(await codeOf(app, `/api/authorities?slots=${slots}`)).toEqual([400, "query-invalid"])
  const other = await startNode()
  const plain = makeApp({
    node: other.tree.node,
    context: Context.empty(),
    adminToken: undefined,
    page: new Map(),
    hosts: []
  })
  expect(await codeOf(plain, "/api/authorities")).toEqual([404, "authorities-missing"])
  expect((await Effect.runPromise(other.tree.node.blockAt(0)))?.block.header.version).toBe(1)
  await other.stop()
})
