/** Whole nodes over real sockets by two transports: our own TLS, libp2p, and both. */
import { afterAll, afterEach, expect, test } from "bun:test"
import { join } from "node:path"
import { Effect } from "effect"
import { peerPolicy } from "../../src/config.ts"
import { createLibp2p, multiaddr, privateKeyFromRaw } from "../../src/library.ts"
import { nodeIdOf } from "../../src/transport/hello.ts"
import { keyOf, transfer } from "../fixtures.ts"
import { startNode, type TestNode, until } from "../network.ts"
import { call } from "../../src/http/client.ts"
import { folder, run as command, type Running, start as startBinary } from "./binary.ts"

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

test("with a list of ids nobody else gets further than to show its key", async () => {
  const policy = { ...peerPolicy, allowedIds: [nodeIdOf(keyOf(78).publicKey)] }
  const node = await start({ by: libp2pOnly, policy })
  const stranger = await createLibp2p()
  const ended = new Promise<void>((resolve) => stranger.addEventListener("connection:close", () => resolve()))
  const connection = await stranger.dial(multiaddr(node.address)).catch(() => undefined)
  if (connection !== undefined) await ended
  expect(node.tree.node.facts.libp2p).toMatchObject({ protocol: "/cairn/test/1" })
  expect(stranger.getConnections()).toEqual([])
  await stranger.stop()
  await start({ by: libp2pOnly, key: 78, seeds: [node.address] })
  await until("who is listed has a session", async () => (await peersOf(node)).length === 1)
})

const home = folder()
const started: Array<Running> = []
const startProcess = async (...flags: ReadonlyArray<string>): Promise<Running> => {
  const running = await startBinary(...flags)
  started.push(running)
  return running
}
afterAll(async () => {
  for (const running of started) await running.stop("SIGKILL")
  home.remove()
})

test("the built binary: peers by multiaddr alone, the same peer id after a restart, and what is refused", async () => {
  const [a, b] = [join(home.path, "a"), join(home.path, "b")]
  const hear = ["--dev", "--seal-every", "0.2", "--libp2p-listen", "/ip4/127.0.0.1/tcp/0"]
  const first = await startProcess("--data-dir", a, ...hear)
  const [address = ""] = first.ready["libp2p"] as ReadonlyArray<string>
  expect(address).toEndWith(`/p2p/${first.ready["peer_id"]}`)
  const second = await startProcess("--dev", "--data-dir", b, "--no-native", "--libp2p")
  expect([second.ready["peers"], second.ready["libp2p"]]).toEqual([null, []])
  const desk = ["--data-dir", b, "--node", second.http]
  const native = await command("peers", "add", first.peers, ...desk)
  expect([native.code, JSON.parse(native.err).error.code]).toEqual([3, "transport-off"])
  expect((await command("peers", "add", address, ...desk)).code).toBe(0)
  await until("the second follows", async () => (await call(second.http, "stats")).stats.sync.height > 2)
  const metrics = await (await fetch(`${first.http}/metrics`)).text()
  expect(metrics).toContain('cairn_libp2p_connections{direction="inbound"} 1\n')
  expect((await command("status", "--node", first.http)).out).toContain(address)
  expect([await second.stop(), await first.stop()]).toEqual([0, 0])
  const again = await startProcess(
    "--data-dir",
    a,
    "--dev",
    "--libp2p-listen",
    `/ip4/127.0.0.1/tcp/${address.split("/")[4]}`
  )
  expect(again.ready["libp2p"]).toEqual([address])
  const busy = ["start", "--http-port", "0", "--p2p-port", "0", "--data-dir", b, "--dev"]
  const listen = ["--libp2p-listen", address.split("/p2p")[0]!]
  const codeOf = async (...flags: ReadonlyArray<string>) => {
    const { code, err } = await command(...busy, ...flags)
    return [code, JSON.parse(err.trim().split("\n").at(-1)!).error.code]
  }
  expect(await codeOf(...listen)).toEqual([1, "listen-failed"])
  expect(await codeOf("--libp2p", "--record", join(home.path, "flight"))).toEqual([2, "record-libp2p"])
  expect(await codeOf("--libp2p-listen", "/ip4/127.0.0.1/udp/1")).toEqual([2, "multiaddr-invalid"])
  expect(await again.stop()).toBe(0)
}, 60_000)
