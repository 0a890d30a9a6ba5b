/** Two nodes over real sockets that know each other by a gossip seed alone: IPv4, IPv6 where there is any, and under seals. */
import { afterEach, expect, test } from "bun:test"
import { Effect } from "effect"
import { startNode, type TestNode, until } from "../network.ts"

const nodes: Array<TestNode> = []
const start = async (...wish: Parameters<typeof startNode>): Promise<TestNode> => {
  const node = await startNode(...wish)
  nodes.push(node)
  return node
}
afterEach(async () => {
  for (const node of nodes.splice(0).reverse()) await node.stop()
})

const run = <A, E>(effect: Effect.Effect<A, E>): Promise<A> => Effect.runPromise(effect)
const viewOf = ({ tree }: TestNode) => run(tree.node.gossip!())
const sessionsOf = async ({ tree }: TestNode) => (await run(tree.node.stats())).peers
const hasIpv6 = await Bun.udpSocket({ hostname: "::1", port: 0 }).then(
  (socket) => (socket.close(), true),
  () => false
)

test.each(["127.0.0.1", ...(hasIpv6 ? ["::1"] : [])])(
  "find each other on %s, agree, and then seal what they say",
  async (host) => {
    const first = await start({ host, gossip: { everyMs: 1_000 } })
    const seed = first.tree.node.facts.gossipEndpoint!
    const second = await start({ host, gossip: { everyMs: 1_000, seeds: [seed.replace("127.0.0.1", "localhost")] } })
    await until("they have a session", async () => (await sessionsOf(first)) === 1 && (await sessionsOf(second)) === 1)
    await run(second.tree.node.mine(undefined))
    await until("they agree", () => first.store.tip().header.height === 1)
    await until("each can seal for the other", async () =>
      (await Promise.all([first, second].map(viewOf))).every(({ peers }) => peers === 1)
    )
    const before = await Promise.all([first, second].map(viewOf))
    await until("both are heard", async () => {
      const after = await Promise.all([first, second].map(viewOf))
      return after.every(({ heard }, i) => heard > before[i]!.heard)
    })
    expect((await viewOf(second)).dropped["seal-unknown"] ?? 0).toBeLessThan(3)
    expect(await run(first.tree.node.metrics())).toMatch(/cairn_gossip_datagrams_total\{what="heard"\} [1-9]/)
  }
)

test("where the plain form is off a seed hears nothing, and who has met by a session is heard under a seal", async () => {
  const first = await start({ gossip: { everyMs: 1_000, plaintext: false } })
  const seed = first.tree.node.facts.gossipEndpoint!
  const stranger = await start({ gossip: { everyMs: 1_000, seeds: [seed] } })
  await until("it is refused", async () => ((await viewOf(first)).dropped["plaintext-refused"] ?? 0) > 0)
  expect(await sessionsOf(stranger)).toBe(0)
  const peer = await start({ seeds: [first.endpoint], gossip: { everyMs: 1_000, plaintext: false } })
  await until("they hear each other", async () => (await viewOf(first)).heard > 0 && (await viewOf(peer)).heard > 0)
})
