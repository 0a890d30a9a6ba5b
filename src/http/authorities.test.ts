/** The routes about authorities over a whole node without a socket: contract, codes, token; and on a chain that has none. */
import { afterAll, beforeAll, describe, expect, test } from "bun:test"
import { Context, Exit, Schema } from "effect"
import { offenceOf, signerOf } from "../../test/authorities.ts"
import { firstAuthority, keyOf, specOf, TestChain } from "../../test/fixtures.ts"
import { startNode, type TestNode } from "../../test/network.ts"
import type { ChainSpec } from "../block/genesis.ts"
import { fromHex } from "../codec/bytes.ts"
import { decodeEvidence } from "../consensus/evidence.ts"
import { formatAddress } from "../crypto/address.ts"
import { makeApp } from "./app.ts"
import { type ReplyOf, routes } from "./contract.ts"

const token = "0123456789abcdef0123456789abcdef"
const addressOf = (i: number): string => formatAddress(keyOf(i).address, "crn")
/** Slots of a day: nothing is sealed while the tests run, but for what the leader seals at once. */
const specWith = (voteBlocks: number): ChainSpec =>
  specOf({
    authorities: 5,
    difficulty: { rule: "fixed", blockMs: 86_400_000, bits: 0 },
    authority: { outOfTurnMs: 86_399_000, voteBlocks }
  })

const nodes: Array<TestNode> = []
const begin = async (
  spec: ChainSpec,
  authority?: number
): Promise<(method: "GET" | "POST", path: string, body?: unknown, admin?: boolean) => Promise<Response>> => {
  const node = await startNode({ spec, ...(authority === undefined ? {} : { signer: signerOf(authority) }) })
  nodes.push(node)
  const app = makeApp({
    node: node.tree.node,
    context: Context.empty(),
    adminToken: token,
    page: new Map(),
    hosts: ["localhost"]
  })
  return async (method, path, body, admin = true) =>
    app.request(`http://localhost${path}`, {
      method,
      headers: {
        "content-type": "application/json",
        ...(admin ? { authorization: `Bearer ${token}` } : { authorization: "Bearer no" })
      },
      ...(body === undefined ? {} : { body: JSON.stringify(body) })
    })
}
const codeOf = async (response: Response): Promise<readonly [number, string]> => [
  response.status,
  ((await response.json()) as { code: string }).code
]
const keeps = async (name: "votes" | "vote" | "evidence", response: Response): Promise<void> => {
  const decode = Schema.decodeUnknownExit(routes[name].reply as never, { errors: "all", onExcessProperty: "error" })
  const exit = decode(await response.clone().json())
  expect([name, response.status, Exit.isSuccess(exit) ? "" : String(exit.cause)]).toEqual([name, 200, ""])
}

let ask: Awaited<ReturnType<typeof begin>>
beforeAll(async () => {
  ask = await begin(specWith(100), 1)
})
afterAll(async () => {
  for (const node of nodes) await node.stop()
})

const vote = (kind: string, subject: string, admin = true) =>
  ask("POST", "/api/authorities/votes", { vote: kind, subject }, admin)

describe("an operator's wishes", () => {
  test("are kept in order, shown, replaced, and forgotten", async () => {
    const answer = await vote("admit", addressOf(0))
    await keeps("vote", answer)
    await vote("expel", addressOf(firstAuthority))
    const votes = await ask("GET", "/api/authorities/votes")
    await keeps("votes", votes)
    const { wishes, authorities, vote_blocks } = (await votes.json()) as ReplyOf<"votes">
    expect([authorities, vote_blocks]).toEqual([5, 100])
    expect(wishes.map(({ vote: kind, subject }) => [kind, subject])).toEqual([
      ["admit", addressOf(0)],
      ["expel", addressOf(firstAuthority)]
    ])
    expect((await vote("forget", addressOf(0))).status).toBe(200)
    expect(await codeOf(await vote("forget", addressOf(0)))).toEqual([404, "wish-missing"])
    const { wishes: left } = (await (await vote("forget", addressOf(firstAuthority))).json()) as ReplyOf<"votes">
    expect(left).toEqual([])
  })

  test("that cannot be are refused by a code, and none is taken without the token", async () => {
    expect(await codeOf(await vote("admit", addressOf(firstAuthority)))).toEqual([409, "vote-wrong"])
    expect(await codeOf(await vote("expel", addressOf(0)))).toEqual([409, "vote-wrong"])
    expect(await codeOf(await vote("admit", "crn1nonsense00"))).toEqual([400, "address-invalid"])
    expect(await codeOf(await vote("convict", addressOf(firstAuthority)))).toEqual([400, "body-invalid"])
    expect(await codeOf(await vote("admit", addressOf(0), false))).toEqual([401, "admin-token-required"])
  })

  test("stop at sixty-four", async () => {
    for (let i = 0; i < 64; i++) expect((await vote("admit", addressOf(400 + i))).status).toBe(200)
    expect(await codeOf(await vote("admit", addressOf(500)))).toEqual([409, "wishes-full"])
    expect((await vote("admit", addressOf(400))).status).toBe(200)
    for (let i = 0; i < 64; i++) expect((await vote("forget", addressOf(400 + i))).status).toBe(200)
  })

  test("are refused where the list is fixed, by a node that is no authority, and where there are none", async () => {
    const body = { vote: "admit", subject: addressOf(0) }
    const fixed = await begin(specWith(0), 1)
    expect(await codeOf(await fixed("POST", "/api/authorities/votes", body))).toEqual([409, "authorities-fixed"])
    const stranger = await begin(specWith(100))
    expect(await codeOf(await stranger("POST", "/api/authorities/votes", body))).toEqual([409, "authority-not-ours"])
    const work = await begin(specOf())
    expect(await codeOf(await work("POST", "/api/authorities/votes", body))).toEqual([404, "authorities-missing"])
    expect(await codeOf(await work("GET", "/api/authorities/votes"))).toEqual([404, "authorities-missing"])
    expect(await codeOf(await work("GET", "/api/authorities/evidence"))).toEqual([404, "authorities-missing"])
  })
})

test("evidence is shown as it travels, with what it says", async () => {
  const spec = specWith(0)
  const chain = new TestChain(spec)
  const evidence = offenceOf(chain, { by: 3, now: chain.now })
  nodes[0]!.store.evidence.add(evidence, 7)
  const answer = await ask("GET", "/api/authorities/evidence")
  await keeps("evidence", answer)
  const reply = (await answer.json()) as ReplyOf<"evidence">
  expect(reply.count).toBe(1)
  const [one] = reply.evidence
  expect(one).toMatchObject({
    authority: addressOf(firstAuthority + 3),
    slot: evidence.slot,
    found_at: 7,
    standing: "member",
    ours: false
  })
  expect([one!.first.hash, one!.second.hash]).toEqual([evidence.first.id, evidence.second.id])
  const { rota } = chain.rules.consensus.author!
  expect(decodeEvidence(rota, "test", fromHex(one!.evidence)!)?.slot).toBe(evidence.slot)
})
