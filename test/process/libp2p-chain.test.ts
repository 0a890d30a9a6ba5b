/** Whole nodes over real sockets by two transports: our own TLS, libp2p, and both. */
import { afterEach, expect, test } from "bun:test"
import { Effect } from "effect"
import { createLibp2p, multiaddr, privateKeyFromRaw } from "../../src/library.ts"
import { keyOf, transfer } from "../fixtures.ts"
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
const tipOf = ({ store }: TestNode): string => store.tip().header.id
const agree = (): boolean => new Set(nodes.map(tipOf)).size === 1
const peersOf = async ({ tree }: TestNode) => (await run(tree.node.peers())).filter(({ state }) => state === "active")
const hears = { listen: ["/ip4/127.0.0.1/tcp/0"], announce: [] }
const libp2pOnly = { native: false, libp2p: hears }

test("two speak our own TLS, one both, one libp2p only: blocks and transfers reach all, whoever made them", async () => {
  const first = await start()
  const second = await start({ seeds: [first.endpoint] })
  const both = await start({ seeds: [second.endpoint], by: { libp2p: hears } })
  expect(both.address).toMatch(/^\/ip4\/127\.0\.0\.1\/tcp\/\d+\/p2p\/16Uiu2/)
  const other = await start({ seeds: [both.address], by: libp2pOnly })
  expect(other.tree.node.facts.p2pEndpoint).toBeUndefined()
  await until("the last has a session", async () => (await peersOf(other)).length === 1)
  const [peer] = await peersOf(other)
  expect(peer).toMatchObject({ endpoint: both.address, nodeId: both.tree.node.facts.nodeId, direction: "outbound" })
  await run(first.tree.node.mine(undefined))
  await until("all have the first's block", () => other.store.tip().header.height === 1 && agree())
  const paid = transfer({ from: 0, to: 1, nonce: 1, time: Date.now() })
  await run(other.tree.node.submit(paid))
  const pending = async (node: TestNode) => (await run(node.tree.node.transaction(paid.id))) !== undefined
  await until("the first has the last's transfer", () => pending(first))
  await run(other.tree.node.mine(undefined))
  await until("all have the last's block", () => first.store.isConfirmed(paid.id) && agree())
})

test("two that meet by both transports keep one session", async () => {
  const first = await start({ by: { libp2p: hears } })
  const second = await start({ seeds: [first.endpoint, first.address], by: { libp2p: hears } })
  const dials = async () => (await run(second.tree.node.peerBook())).counts.own
  await until("they have met", async () => (await peersOf(second)).length === 1 && (await dials()) === 2)
  await run(first.tree.node.mine(undefined))
  await until("they agree", () => agree())
  const counts = async () => (await Promise.all([first, second].map(peersOf))).map(({ length }) => length)
  expect(await counts()).toEqual([1, 1])
})

test("an address with another's peer id is told, and costs no session", async () => {
  const first = await start({ by: libp2pOnly })
  const other = await start({ by: libp2pOnly })
  const wrong = first.address.replace(/p2p\/.*/, `p2p/${other.address.split("/p2p/")[1]}`)
  const second = await start({ seeds: [wrong], by: libp2pOnly })
  const unmet = async () => (await run(second.tree.node.peerBook())).unmet.find(({ endpoint }) => endpoint === wrong)
  await until("the dial has failed", async () => (await unmet())?.lastError !== undefined)
  expect((await unmet())?.lastError).toMatch(/16Uiu2\w+ was expected, and 16Uiu2\w+ answered$/)
  expect(await Promise.all([first, second].map(peersOf))).toEqual([[], []])
})

test("a peer that is no node has no session: its key is of another sort, or it says what is no hello", async () => {
  const node = await start({ by: libp2pOnly })
  const protocol = node.tree.node.facts.libp2p?.protocol ?? ""
  const speak = async (init: Parameters<typeof createLibp2p>[0]): Promise<string> => {
    const stranger = await createLibp2p(init)
    try {
      const stream = await stranger.dialProtocol(multiaddr(node.address), protocol)
      stream.send(new Uint8Array([0, 0x20, 0, 0]))
      let heard = 0
      for await (const bytes of stream) heard += bytes.length
      return heard > 0 ? "heard a hello" : "nothing"
    } catch (error) {
      return (error as Error).name
    } finally {
      await stranger.stop()
    }
  }
  expect(await speak({})).toBe("StreamResetError")
  expect(await speak({ privateKey: privateKeyFromRaw("secp256k1", keyOf(77).secret) })).toBe("heard a hello")
  expect(await peersOf(node)).toEqual([])
})
