/** Who may come, who must go: water marks, tags, protection, and connections that are dialled again. */
import { describe, expect, test } from "bun:test"
import { MemoryNet } from "../../test/memory-world.ts"
import type { HostEvents } from "./api.ts"
import { Connections } from "./connections.ts"
import { Emitter } from "./events.ts"
import { createHost, type Host } from "./host.ts"
import { countedClientsMax } from "./limits.ts"
import { componentLogger, hostLogger } from "./log.ts"
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
  test("above the high one the least valued go, the youngest first; not the protected, not who has a stream, not the new", async () => {
    const { net, hub, peers, at } = await star(8, { highWater: 7, lowWater: 5, gracePeriod: 1_000 })
    await hub.handle("/used/1", () => {})
    const pruned: Array<ReadonlyArray<string>> = []
    hub.addEventListener("connection:prune", ({ detail }) =>
      pruned.push(detail.map(({ remotePeer }) => `${remotePeer}`))
    )
    for (const [i, peer] of peers.slice(0, 7).entries()) {
      await (i === 5 ? peer.dialProtocol(at, "/used/1") : peer.dial(at))
      await net.advance(100)
    }
    await hub.peerStore.merge(peers[4]!.peerId, { tags: { good: { value: 50 } } })
    hub.components.connectionManager.protect(peers[6]!.peerId, "mine")
    await net.advance(2_000)
    expect(hub.getConnections()).toHaveLength(7)
    await peers[7]!.dial(at)
    await net.advance(10)
    expect(pruned).toEqual([[3, 2, 1].map((i) => `${peers[i]!.peerId}`)])
    expect(new Set(hub.getPeers().map(String))).toEqual(new Set([0, 4, 5, 6, 7].map((i) => `${peers[i]!.peerId}`)))
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

/** A table alone, which is asked as the listener asks it. */
const table = (init: ConnectionManagerInit): Connections => {
  const world = new MemoryNet().world("10.0.0.1")
  const log = hostLogger(componentLogger(), "test")
  const events = new Emitter<HostEvents>(() => {})
  const unused = (): never => {
    throw new Error("nobody is looked up")
  }
  return new Connections({ world, events, peerStore: unused, log, onError: unused }, init)
}

describe("one network of strangers", () => {
  test("of IPv6 comes as often in a second as one address of IPv4, and is not forgotten for having many addresses", () => {
    const connections = table({ inboundConnectionThreshold: 3 })
    const came = (host: string): boolean => connections.accept(host) === undefined
    let count = 0
    for (let i = 0; i < 3 * countedClientsMax; i++) if (came(`2001:db8:1:2::${i.toString(16)}`)) count++
    expect([count, came("2001:db8:1:3::1"), came("192.0.2.1")]).toEqual([3, true, true])
  })

  test("is remembered by a table that is full for as long as it is not the oldest there", () => {
    const connections = table({ inboundConnectionThreshold: 1 })
    const came = (host: string): boolean => connections.accept(host) === undefined
    const at = (i: number): string => `10.${i >> 16}.${(i >> 8) & 255}.${i & 255}`
    for (let i = 0; i < countedClientsMax + 9; i++) expect(came(at(i))).toBe(true)
    expect([came(at(countedClientsMax - 1)), came(at(9)), came(at(8))]).toEqual([false, false, true])
  })

  test("that holds the places of handshakes makes room out of its own; of as many, the oldest goes", () => {
    const connections = table({ maxIncomingPendingConnections: 4, inboundConnectionThreshold: 99 })
    const gone: Array<string> = []
    const come = (host: string): void => {
      expect(connections.accept(host)).toBeUndefined()
      const done = connections.begun(host, () => {
        done()
        gone.push(host)
      })
    }
    for (const host of ["192.0.2.1", "2001:db8::1", "2001:db8::2", "2001:db8::3"]) come(host)
    for (let i = 4; i < 50; i++) come(`2001:db8::${i.toString(16)}`)
    expect([gone.length, gone.includes("192.0.2.1"), gone[0]]).toEqual([46, false, "2001:db8::1"])
    // Two newcomers take the second and third place of that network, and then there is one place each.
    come("192.0.2.2")
    come("192.0.2.3")
    expect(gone.slice(46)).toEqual(["2001:db8::2f", "2001:db8::30"])
    // Nobody gets a second place for another's only one.
    come("192.0.2.2")
    expect(gone[48]).toBe("192.0.2.2")
    come("192.0.2.4")
    expect(gone[49]).toBe("192.0.2.1")
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
