/** How hosts dial: in which order, how many at once, how often for the same peer, and what a name stands for. */
import { describe, expect, test } from "bun:test"
import { MemoryNet } from "../../test/memory-world.ts"
import type { Multiaddr } from "../libp2p/contract.ts"
import { Libp2pFault } from "../libp2p/fault.ts"
import { generateKey } from "../libp2p/key.ts"
import { multiaddr } from "../libp2p/multiaddr.ts"
import { peerIdOfKey } from "../libp2p/peer-id.ts"
import { createHost, type Host } from "./host.ts"
import type { HostInit } from "./init.ts"
import { resolvedAddressesMax } from "./limits.ts"
import { noise } from "./parts.ts"
import { defaultAddressSorter, isDialableAddress } from "./rank.ts"
import { resolveAddresses } from "./resolve.ts"

const hostAt = async (net: MemoryNet, ip: string, init: Partial<HostInit> = {}): Promise<Host> => {
  const addresses = { listen: [`/ip4/${ip}/tcp/4001`] }
  const host = createHost({ addresses, connectionEncrypters: [noise()], ...init }, net.world(ip))
  await host.start()
  return host
}

const faultOf = (promise: Promise<unknown>): Promise<Libp2pFault> =>
  promise.then(
    () => {
      throw new Error("nothing failed")
    },
    (error: unknown) => {
      if (error instanceof Libp2pFault) return error
      throw error
    }
  )

const someone = () => {
  const key = generateKey("Ed25519")
  if (key instanceof Libp2pFault) throw key
  return peerIdOfKey(key.publicKey)
}
const plain = (address: Multiaddr): string => address.decapsulateCode(421).toString()

describe("one dial", () => {
  test("of many callers is one link, and one who leaves does not end it for the others", async () => {
    const net = new MemoryNet()
    const [left, right] = [await hostAt(net, "10.0.0.1"), await hostAt(net, "10.0.0.2")]
    const address = right.getMultiaddrs()[0]!
    const leaving = new AbortController()
    const left1 = faultOf(left.dial(address, { signal: leaving.signal }))
    const dials = [left.dial(address), left.dial(right.getMultiaddrs()), left.dial(address)]
    leaving.abort()
    expect((await left1).name).toBe("AbortError")
    const connections = await Promise.all(dials)
    expect(new Set(connections).size).toBe(1)
    expect(net.dialled).toEqual(["10.0.0.2 4001"])
    expect(await left.dial(multiaddr(plain(address)))).not.toBe(connections[0]!)
  })

  test("is called off when all its callers have left", async () => {
    const net = new MemoryNet()
    const left = await hostAt(net, "10.0.0.1")
    net.silent.add("10.0.0.9 1")
    const leaving = new AbortController()
    const dials = [1, 2].map(() => faultOf(left.dial(multiaddr("/ip4/10.0.0.9/tcp/1"), { signal: leaving.signal })))
    await net.settle()
    expect(left.getDialQueue().map(({ status, multiaddrs }) => [status, multiaddrs.map(String)])).toEqual([
      ["active", ["/ip4/10.0.0.9/tcp/1"]]
    ])
    leaving.abort()
    for (const dial of dials) expect((await dial).name).toBe("AbortError")
    await net.settle()
    expect([left.getDialQueue().length, left.resources().connections.total]).toEqual([0, 0])
  })

  test("tries the next address early when one hesitates, and at once when it fails; the best first", async () => {
    const net = new MemoryNet()
    const [left, right] = [await hostAt(net, "10.0.0.1"), await hostAt(net, "10.0.0.2")]
    net.silent.add("1.1.1.1 1")
    const addresses = [
      "/ip4/127.0.0.1/tcp/3",
      "/ip4/10.0.0.3/tcp/2",
      "/ip4/1.1.1.1/tcp/1",
      plain(right.getMultiaddrs()[0]!)
    ]
    const started = net.now
    const dial = left.dial(addresses.map((address) => multiaddr(`${address}/p2p/${right.peerId}`)))
    await net.settle()
    expect(net.dialled).toEqual(["1.1.1.1 1"])
    await net.advance(250)
    expect((await dial).remotePeer.equals(right.peerId)).toBe(true)
    expect(net.dialled).toEqual(["1.1.1.1 1", "10.0.0.3 2", "10.0.0.2 4001"])
    expect(net.now - started).toBe(250)
    await net.settle()
    expect(left.resources().connections.total).toBe(1)
  })

  test("says of each address why it failed", async () => {
    const net = new MemoryNet()
    const left = await hostAt(net, "10.0.0.1")
    const one = await faultOf(left.dial(multiaddr("/ip4/10.0.0.8/tcp/1")))
    expect([one.kind, one.message]).toEqual(["io", "10.0.0.8 1 refused"])
    const both = await faultOf(left.dial([multiaddr("/ip4/10.0.0.8/tcp/1"), multiaddr("/ip4/10.0.0.9/tcp/1")]))
    expect([both.name, both.kind, (both.cause as AggregateError).errors.length]).toEqual(["DialError", "io", 2])
  })

  test("of a peer takes its addresses from the peer store; without one it fails", async () => {
    const net = new MemoryNet()
    const [left, right] = [await hostAt(net, "10.0.0.1"), await hostAt(net, "10.0.0.2")]
    expect((await faultOf(left.dial(right.peerId))).kind).toBe("not_found")
    await left.peerStore.merge(right.peerId, { multiaddrs: right.getMultiaddrs() })
    expect((await left.dial(right.peerId)).status).toBe("open")
  })

  test("of addresses that we do not speak, of two peers, or of none is refused", async () => {
    const left = await hostAt(new MemoryNet(), "10.0.0.1")
    expect((await faultOf(left.dial(multiaddr("/ip4/10.0.0.8/udp/1/quic-v1")))).kind).toBe("unsupported")
    const two = [someone(), someone()].map((peer) => multiaddr(`/ip4/10.0.0.8/tcp/1/p2p/${peer}`))
    expect((await faultOf(left.dial(two))).kind).toBe("input")
    expect((await faultOf(left.dial([]))).kind).toBe("input")
    expect(await left.isDialable(multiaddr("/ip4/10.0.0.8/udp/1/quic-v1"))).toBe(false)
    expect(await left.isDialable(multiaddr("/ip4/10.0.0.8/tcp/1"))).toBe(true)
  })

  test("of all addresses together has one time limit", async () => {
    const net = new MemoryNet()
    const left = await hostAt(net, "10.0.0.1")
    const addresses = Array.from({ length: 20 }, (_, i) => `/ip4/10.0.1.${i + 1}/tcp/1`)
    for (let i = 1; i <= 20; i++) net.silent.add(`10.0.1.${i} 1`)
    const dial = faultOf(left.dial(addresses.map((address) => multiaddr(address))))
    const started = net.now
    await net.advance(9_999)
    expect(left.getDialQueue().length).toBe(1)
    await net.advance(1)
    expect([(await dial).kind, net.now - started]).toEqual(["timeout", 10_000])
    await net.settle()
    expect(left.resources().connections.total).toBe(0)
  })
})

describe("many dials", () => {
  test("run so many at once, wait so many, and beyond are refused", async () => {
    const net = new MemoryNet()
    const manager = { maxParallelDials: 2, maxDialQueueLength: 3 }
    const left = await hostAt(net, "10.0.0.1", { connectionManager: manager })
    const dials = Array.from({ length: 6 }, (_, i) => {
      net.silent.add(`10.0.1.${i} 1`)
      return faultOf(left.dial(multiaddr(`/ip4/10.0.1.${i}/tcp/1`)))
    })
    await net.settle()
    const more = faultOf(left.dial(multiaddr("/ip4/10.0.1.7/tcp/1")))
    expect((await more).kind).toBe("capacity")
    expect(left.getDialQueue().map(({ status }) => status)).toEqual(["active", "active", "queued", "queued", "queued"])
    expect((await dials[5]!).kind).toBe("capacity")
    await net.advance(6_000)
    expect(net.dialled.length).toBe(4)
    const stopped = left.stop()
    await net.settle()
    await stopped
    const kinds = await Promise.all(dials.map(async (dial) => (await dial).kind))
    expect(kinds).toEqual(["timeout", "timeout", "cancelled", "cancelled", "cancelled", "capacity"])
  })
})

describe("names", () => {
  const resolve = (net: MemoryNet, texts: ReadonlyArray<string>) =>
    resolveAddresses(
      texts.map((text) => multiaddr(text)),
      net.world("10.0.0.1").resolve
    ).then((addresses) => addresses.map(String))

  test("stand for addresses of one kind or both", async () => {
    const net = new MemoryNet()
    net.names.set("A a.test", ["1.2.3.4", "1.2.3.5"]).set("AAAA a.test", ["2001:db8::1"])
    expect(await resolve(net, ["/dns/a.test/tcp/1"])).toEqual([
      "/ip4/1.2.3.4/tcp/1",
      "/ip4/1.2.3.5/tcp/1",
      "/ip6/2001:db8::1/tcp/1"
    ])
    expect(await resolve(net, ["/dns4/a.test/tcp/1"])).toHaveLength(2)
    expect(await resolve(net, ["/dns6/a.test/tcp/1", "/dns6/a.test/tcp/1"])).toEqual(["/ip6/2001:db8::1/tcp/1"])
  })

  test("of dnsaddr lead on, only for the wanted peer, and in circles nowhere", async () => {
    const net = new MemoryNet()
    const [wanted, other] = [someone(), someone()]
    net.names
      .set("TXT _dnsaddr.boot.test", [
        `dnsaddr=/ip4/1.1.1.1/tcp/1/p2p/${wanted}`,
        `dnsaddr=/ip4/2.2.2.2/tcp/1/p2p/${other}`,
        `dnsaddr=/dnsaddr/more.test/p2p/${wanted}`,
        "dnsaddr=nonsense",
        "v=spf1"
      ])
      .set("TXT _dnsaddr.more.test", [
        `dnsaddr=/dns4/a.test/tcp/2/p2p/${wanted}`,
        `dnsaddr=/dnsaddr/boot.test/p2p/${wanted}`
      ])
      .set("A a.test", ["3.3.3.3"])
    expect(await resolve(net, [`/dnsaddr/boot.test/p2p/${wanted}`])).toEqual([
      `/ip4/1.1.1.1/tcp/1/p2p/${wanted}`,
      `/ip4/3.3.3.3/tcp/2/p2p/${wanted}`
    ])
  })

  test("are looked up so deep, so often, and give so many addresses", async () => {
    const deep = new MemoryNet()
    for (let i = 0; i < 9; i++) deep.names.set(`TXT _dnsaddr.n${i}.test`, [`dnsaddr=/dnsaddr/n${i + 1}.test`])
    expect(await resolve(deep, ["/dnsaddr/n0.test"])).toEqual([])
    expect(deep.looked).toHaveLength(4)
    const wide = new MemoryNet()
    const names = Array.from({ length: 50 }, (_, i) => `dnsaddr=/dns4/n${i}.test/tcp/1`)
    wide.names.set("TXT _dnsaddr.wide.test", names)
    await resolve(wide, ["/dnsaddr/wide.test"])
    expect(wide.looked).toHaveLength(32)
    const many = new MemoryNet()
    const ips = Array.from({ length: 300 }, (_, i) => `10.0.${i >> 8}.${i & 255}`)
    many.names.set("A many.test", ips)
    expect(await resolve(many, ["/dns4/many.test/tcp/1"])).toHaveLength(resolvedAddressesMax)
  })

  test("that fail are left out; when nothing is left the resolver's fault is told", async () => {
    const failing = () => Promise.reject(new Libp2pFault("io", "DialError", "no server"))
    const addresses = [multiaddr("/dns/a.test/tcp/1"), multiaddr("/ip4/1.1.1.1/tcp/1")]
    expect((await resolveAddresses(addresses, failing)).map(String)).toEqual(["/ip4/1.1.1.1/tcp/1"])
    expect((await faultOf(resolveAddresses(addresses.slice(0, 1), failing))).message).toBe("no server")
  })
})

test("addresses are ranked: direct, public, private, loopback; what was signed before what was told", () => {
  const texts = ["/ip4/127.0.0.1/tcp/1", "/ip4/10.0.0.1/tcp/1", "/ip4/8.8.8.8/tcp/1"]
  const addresses = texts.map((text) => ({ multiaddr: multiaddr(text), isCertified: false }))
  const signed = { multiaddr: multiaddr("/ip4/10.0.0.2/tcp/1"), isCertified: true }
  expect([...addresses, signed].sort(defaultAddressSorter).map(({ multiaddr }) => `${multiaddr}`)).toEqual([
    texts[2]!,
    "/ip4/10.0.0.2/tcp/1",
    texts[1]!,
    texts[0]!
  ])
  expect(["/ip4/1.1.1.1/tcp/1/ws", "/ip4/1.1.1.1/udp/1"].map((text) => isDialableAddress(multiaddr(text)))).toEqual([
    false,
    false
  ])
})
