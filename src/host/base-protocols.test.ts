/** The base protocols between whole hosts, over Noise and yamux: identify both ways, pushes, pings, measurements; nothing is left behind. */
import { describe, expect, test } from "bun:test"
import { mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { MemoryNet } from "../../test/memory-world.ts"
import type { Multiaddr } from "../libp2p/contract.ts"
import { fromUtf8 } from "../codec/bytes.ts"
import { frameOf } from "../libp2p/frame.ts"
import { identifyMessageBytesMax, identifyProtocol } from "../libp2p/identify.ts"
import { generateKeyPair, sqliteDatastore } from "../library.ts"
import { createHost } from "./host.ts"
import { identify, identifyPush } from "./identify-service.ts"
import type { HostInit } from "./init.ts"
import { noise } from "./parts.ts"
import { type PerfOutput, perf } from "./perf-service.ts"
import { ping } from "./ping-service.ts"
import { addressUpdateDelayMs } from "./address-manager.ts"

const start = async (net: MemoryNet, ip: string, init: Pick<HostInit, "privateKey" | "datastore"> = {}) => {
  const host = createHost(
    {
      ...init,
      addresses: { listen: [`/ip4/${ip}/tcp/4001`] },
      connectionEncrypters: [noise()],
      services: { identify: identify(), identifyPush: identifyPush(), ping: ping(), perf: perf() }
    },
    net.world(ip)
  )
  await host.start()
  return host
}
const two = async () => {
  const net = new MemoryNet()
  const [left, right] = [await start(net, "10.0.0.1"), await start(net, "10.0.0.2")]
  return { net, left, right, at: right.getMultiaddrs()[0]! }
}
const bare = (addresses: ReadonlyArray<{ readonly multiaddr: Multiaddr }>) =>
  addresses.map(({ multiaddr }) => `${multiaddr}`)

test("a whole host that is told too much of who is there says so, keeps nothing, and goes on with the connection", async () => {
  const net = new MemoryNet()
  const left = await start(net, "10.0.0.1")
  const loud = createHost(
    { addresses: { listen: ["/ip4/10.0.0.2/tcp/4001"] }, connectionEncrypters: [noise()], services: { ping: ping() } },
    net.world("10.0.0.2")
  )
  await loud.handle(identifyProtocol, async (stream) => {
    stream.send(frameOf(new Uint8Array(identifyMessageBytesMax + 1)))
    await stream.close().catch(() => undefined)
  })
  await loud.start()
  const told: Array<string> = []
  left.addEventListener("peer:identify", () => told.push("identified"))
  left.addEventListener("peer:identify:failure", ({ detail: { connection, error } }) =>
    told.push(`${connection.remotePeer} ${error.kind} ${error.name}`)
  )
  const connection = await left.dial(loud.getMultiaddrs()[0]!)
  await net.settle()
  expect(told).toEqual([`${loud.peerId} decode InvalidMessageError`])
  const kept = (await left.peerStore.has(loud.peerId)) ? await left.peerStore.get(loud.peerId) : undefined
  expect([kept?.addresses ?? [], kept?.protocols ?? [], [...(kept?.metadata ?? [])], kept?.peerRecordEnvelope]).toEqual(
    [[], [], [], undefined]
  )
  expect([connection.status, connection.streams.length]).toEqual(["open", 0])
  expect(await left.services.ping.ping(loud.peerId)).toBeGreaterThanOrEqual(0)
  for (const host of [left, loud]) await host.stop()
})

test("a host with a datastore knows its peers after a restart", async () => {
  const folder = mkdtempSync(join(tmpdir(), "cairn-peers-"))
  const net = new MemoryNet()
  const right = await start(net, "10.0.0.2")
  const privateKey = await generateKeyPair()
  const run = async <R>(use: (host: Awaited<ReturnType<typeof start>>) => Promise<R>): Promise<R> => {
    const datastore = await sqliteDatastore(join(folder, "libp2p.db"))
    const host = await start(net, "10.0.0.1", { privateKey, datastore })
    const result = await use(host)
    await host.stop()
    datastore.close()
    return result
  }
  const before = await run(async (host) => {
    await host.dial(right.getMultiaddrs()[0]!)
    await net.settle()
    return host.peerStore.get(right.peerId)
  })
  expect(before.protocols).toEqual(right.getProtocols())
  const [after, rtt] = await run(async (host) => [
    await host.peerStore.get(right.peerId),
    await host.services.ping.ping(right.peerId)
  ])
  expect(after).toEqual(before)
  expect(rtt).toBeGreaterThanOrEqual(0)
  await right.stop()
  rmSync(folder, { recursive: true })
})

describe("two whole hosts", () => {
  test("know each other a moment after a dial: protocols, signed addresses, agents", async () => {
    const { net, left, right, at } = await two()
    await left.dial(at)
    await net.settle()
    for (const [host, other] of [
      [left, right],
      [right, left]
    ] as const) {
      const peer = await host.peerStore.get(other.peerId)
      expect(peer.protocols).toEqual(other.getProtocols())
      expect(peer.protocols).toContain("/ipfs/ping/1.0.0")
      expect(peer.addresses.every(({ isCertified }) => isCertified)).toBe(true)
      expect(bare(peer.addresses)).toEqual(other.components.addressManager.getAddresses().map(String))
      expect(fromUtf8(peer.metadata.get("AgentVersion")!)).toStartWith("cairn/")
    }
    await left.stop()
    await right.stop()
    expect(net.timersLeft).toBe(0)
  })

  test("a new protocol is pushed to who is connected", async () => {
    const { net, left, right, at } = await two()
    await left.dial(at)
    await net.settle()
    await right.handle("/new/1", () => {})
    await net.advance(5_000)
    expect((await left.peerStore.get(right.peerId)).protocols).toContain("/new/1")
    await right.unhandle("/new/1")
    await net.advance(5_000)
    expect((await left.peerStore.get(right.peerId)).protocols).not.toContain("/new/1")
    await left.stop()
    await right.stop()
  })

  test("ping by address, by peer, at once; measure up and down; streams and timers are gone at the end", async () => {
    const { net, left, right, at } = await two()
    expect(await left.services.ping.ping(at)).toBeGreaterThanOrEqual(0)
    expect((await Promise.all([1, 2, 3].map(() => left.services.ping.ping(right.peerId)))).length).toBe(3)
    expect(await right.services.ping.ping(left.peerId)).toBeGreaterThanOrEqual(0)
    const outputs: Array<PerfOutput> = []
    for await (const output of left.services.perf.measurePerformance(at, 1_000_000, 2_000_000)) outputs.push(output)
    expect(outputs.at(-1)).toMatchObject({ type: "final", uploadBytes: 1_000_000, downloadBytes: 2_000_000 })
    await net.advance(5_000 + addressUpdateDelayMs)
    expect(left.getConnections().flatMap(({ streams }) => streams)).toEqual([])
    expect(left.getConnections().length).toBe(1)
    await left.stop()
    await right.stop()
    for (const host of [left, right])
      expect(host.resources()).toMatchObject({ connections: { total: 0 }, streams: { total: 0 }, refused: 0 })
    expect(net.timersLeft).toBe(0)
  })
})
