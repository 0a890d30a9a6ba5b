/** What the interface shows of announcements by UDP: where they are heard, and what has come of them. */
import { expect, test } from "bun:test"
import { Context, Exit, Schema } from "effect"
import { startNode, type TestNode } from "../../test/network.ts"
import { concat, toHex } from "../codec/bytes.ts"
import { makeApp } from "./app.ts"
import { type ReplyOf, routes } from "./contract.ts"

const peerSecret = "a secret of the peers"
const appOf = ({ tree }: TestNode) =>
  makeApp({ node: tree.node, context: Context.empty(), adminToken: undefined, peerSecret, page: new Map(), hosts: [] })
const statsOf = async (app: ReturnType<typeof appOf>): Promise<ReplyOf<"stats">> => {
  const reply: unknown = await (await app.request("http://localhost/api/stats")).json()
  const decode = Schema.decodeUnknownExit(routes.stats.reply, { errors: "all", onExcessProperty: "error" })
  expect(Exit.isSuccess(decode(reply))).toBe(true)
  return reply as ReplyOf<"stats">
}

test("what is said by UDP is counted in the figures of a node that says something there", async () => {
  const node = await startNode({ gossip: {} })
  const silent = await startNode()
  try {
    const app = appOf(node)
    const announcement = toHex(concat(new Uint8Array([1, 0]), new Uint8Array(40)))
    const headers = { "x-blockchain-peer-secret": peerSecret, "content-type": "application/json" }
    const init = { method: "POST", headers, body: JSON.stringify({ announcement }) }
    expect((await app.request("http://localhost/api/network/gossip/announce", init)).status).toBe(409)
    const { stats, meta } = await statsOf(app)
    expect(stats.gossip).toMatchObject({ peers: 0, seeds: 0, dropped: { "announcement-malformed": 1 } })
    const { gossipEndpoint } = node.tree.node.facts
    const { endpoint, port } = meta.transports.gossip!
    expect([endpoint, port]).toEqual([gossipEndpoint!, Number(gossipEndpoint!.split(":")[1])])
    const other = await statsOf(appOf(silent))
    expect([other.stats.gossip, other.meta.transports.gossip]).toEqual([null, null])
  } finally {
    await node.stop()
    await silent.stop()
  }
})
