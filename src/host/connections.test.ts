/** Who may come, who must go: water marks, tags, protection, and connections that are dialled again. */
import { describe, expect, test } from "bun:test"
import { MemoryNet } from "../../test/memory-world.ts"
import { createHost, type Host } from "./host.ts"
import type { ConnectionManagerInit } from "./init.ts"
import { noise } from "./parts.ts"
import { defaultResourceLimits } from "./resources.ts"
import type { HostInit } from "./init.ts"

const hostAt = async (net: MemoryNet, ip: string, init: Partial<HostInit> = {}): Promise<Host> => {
  const addresses = { listen: [`/ip4/${ip}/tcp/4001`] }
  const host = createHost({ addresses, connectionEncrypters: [noise()], ...init }, net.world(ip))
  await host.start()
  return host
}

const star = async (count: number, connectionManager: ConnectionManagerInit, init: Partial<HostInit> = {}) => {
  const net = new MemoryNet()
  const hub = await hostAt(net, "10.0.0.1", { connectionManager, ...init })
  const peers: Array<Host> = []
  for (let i = 0; i < count; i++) peers.push(await hostAt(net, `10.0.1.${i + 1}`))
  const at = hub.getMultiaddrs()
  return { net, hub, peers, at }
}

describe("water marks", () => {
  test("above the high one the least valued go, the oldest first; not the protected, not the new", async () => {
    const { net, hub, peers, at } = await star(7, { highWater: 6, lowWater: 3, gracePeriod: 1_000 })
    const pruned: Array<ReadonlyArray<string>> = []
    hub.addEventListener("connection:prune", ({ detail }) =>
      pruned.push(detail.map(({ remotePeer }) => `${remotePeer}`))
    )
    for (const peer of peers.slice(0, 6)) {
      await peer.dial(at)
      await net.advance(100)
    }
    await hub.peerStore.merge(peers[1]!.peerId, { tags: { good: { value: 50 } } })
    hub.components.connectionManager.protect(peers[0]!.peerId, "mine")
    await net.advance(2_000)
    expect(hub.getConnections()).toHaveLength(6)
    await peers[6]!.dial(at)
    await net.advance(10)
    expect(pruned).toEqual([[2, 3, 4, 5].map((i) => `${peers[i]!.peerId}`)])
    expect(new Set(hub.getPeers().map(String))).toEqual(new Set([0, 1, 6].map((i) => `${peers[i]!.peerId}`)))
  })

  test("those that were too new are looked at again when they are not", async () => {
    const { net, hub, peers, at } = await star(4, { maxConnections: 2, lowWater: 1, gracePeriod: 60_000 })
    for (const peer of peers) await peer.dial(at)
    await net.advance(30_000)
    expect(hub.getConnections()).toHaveLength(4)
    await net.advance(35_000)
    expect(hub.getConnections()).toHaveLength(1)
  })

  test("protection has names, and ends with the last", async () => {
    const { hub, peers } = await star(1, {})
    const { connectionManager } = hub.components
    const peer = peers[0]!.peerId
    connectionManager.protect(peer, "a")
    connectionManager.protect(peer, "b")
    expect([connectionManager.unprotect(peer, "a"), connectionManager.isProtected(peer)]).toEqual([true, true])
    expect([connectionManager.unprotect(peer, "b"), connectionManager.isProtected(peer)]).toEqual([false, false])
  })
})

describe("strangers", () => {
  test("of one address may come so often in a second; loopback and the allowed always", async () => {
    const manager = { inboundConnectionThreshold: 3, allow: ["10.0.1.2"] }
    const { net, hub, peers, at } = await star(2, manager)
    const failures: Array<string> = []
    hub.addEventListener("connection:failure", ({ detail }) => failures.push(detail.error.name))
    const tries = (host: Host) =>
      Promise.all(
        Array.from({ length: 5 }, () =>
          host.dial(at, { force: true }).then(
            () => 1,
            () => 0
          )
        )
      ).then((came) => came.reduce<number>((sum, one) => sum + one, 0))
    const local = await hostAt(net, "127.0.0.1")
    expect([await tries(peers[0]!), await tries(peers[1]!), await tries(local)]).toEqual([3, 5, 5])
    expect(failures).toEqual(["ConnectionDeniedError", "ConnectionDeniedError"])
    await net.advance(1_000)
    expect(await tries(peers[0]!)).toBe(3)
  })

  test("that are denied do not come", async () => {
    const { peers, at } = await star(2, { deny: ["10.0.1.1", "10.0.2."] })
    const came = (host: Host) =>
      host.dial(at).then(
        () => true,
        () => false
      )
    expect([await came(peers[0]!), await came(peers[1]!)]).toEqual([false, true])
  })

  test("beyond the limits of the resource manager are refused, by peer and in all", async () => {
    const limits = {
      ...defaultResourceLimits,
      connections: {
        ...defaultResourceLimits.connections,
        system: { inbound: 3, outbound: 9, total: 9 },
        peer: { inbound: 2, outbound: 2, total: 2 }
      }
    }
    const { net, hub, peers, at } = await star(3, {}, { resources: limits })
    const came = async (host: Host) => {
      await host.dial(at, { force: true }).catch(() => {})
      await net.settle()
      return hub.getConnections(host.peerId).length
    }
    expect([await came(peers[0]!), await came(peers[0]!), await came(peers[0]!)]).toEqual([1, 2, 2])
    expect([await came(peers[1]!), await came(peers[2]!)]).toEqual([1, 0])
    expect(hub.resources()).toMatchObject({ connections: { inbound: 3 }, refused: 2 })
  })
})

describe("a peer that is tagged keep-alive", () => {
  test("is dialled again when it is gone", async () => {
    const { net, hub, peers } = await star(1, {})
    const peer = peers[0]!
    await hub.peerStore.merge(peer.peerId, {
      multiaddrs: peer.getMultiaddrs(),
      tags: { "keep-alive-mine": { value: 1 } }
    })
    const first = await hub.dial(peer.peerId)
    first.abort(new Error("cut"))
    await net.settle()
    expect(hub.getConnections()).toEqual([])
    await net.advance(1_000)
    expect(hub.getConnections().map(({ status }) => status)).toEqual(["open"])
  })

  test("is given up after five times with longer pauses, and told of", async () => {
    const { net, hub, peers } = await star(1, {})
    const peer = peers[0]!
    await hub.peerStore.merge(peer.peerId, { multiaddrs: peer.getMultiaddrs(), tags: { "keep-alive": { value: 1 } } })
    await hub.dial(peer.peerId)
    net.dialled.length = 0
    const failed: Array<string> = []
    hub.addEventListener("peer:reconnect-failure", ({ detail }) => failed.push(`${detail}`))
    const stopped = peer.stop()
    await net.advance(1_100)
    await stopped
    expect(net.dialled).toHaveLength(1)
    await net.advance(2_000 + 4_000 + 8_000)
    expect([net.dialled.length, failed.length]).toEqual([4, 0])
    await net.advance(16_100)
    expect([net.dialled.length, failed]).toEqual([5, [`${peer.peerId}`]])
    expect((await hub.peerStore.get(peer.peerId)).tags.size).toBe(0)
    await net.advance(100_000)
    expect(net.dialled.length).toBe(5)
  })
})
