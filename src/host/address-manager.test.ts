/** Our own addresses: which of them are told, who may say so, and the record that is signed of them. */
import { describe, expect, test } from "bun:test"
import { TestClock, TestNode, type TestNodeInit } from "../../test/host-net.ts"
import { Libp2pFault } from "../libp2p/fault.ts"
import { multiaddr } from "../libp2p/multiaddr.ts"
import { openPeerRecord } from "../libp2p/peer-record.ts"
import { addressUpdateDelayMs, interfacesAgeMax, ownAddressesMax } from "./address-manager.ts"
import { makeMemoryDatastore } from "./datastore.ts"
import {
  confirmedAgeMax,
  ObservedAddresses,
  observedAddressesMax,
  observedAgeMax,
  observersNeeded
} from "./observed.ts"

const node = (init: TestNodeInit = {}, clock = new TestClock()) => {
  const made = new TestNode(clock, 1, init)
  return { made, clock, manager: made.addressManager, told: () => made.addressManager.getAddresses().map(String) }
}
const relay = new TestNode(new TestClock(), 9).peerId.toString()
const bound = ["/ip4/192.168.1.5/tcp/4001"]
const announced = "/dns4/example.com/tcp/443"
const seen = multiaddr("/ip4/8.8.8.8/tcp/4001")
const agree = (
  manager: { addObservedAddr(address: typeof seen, site?: string): void },
  count = observersNeeded
): void => {
  for (let site = 0; site < count; site++) manager.addObservedAddr(seen, `site ${site}`)
}
const open = (envelope: Uint8Array | undefined) => {
  const record = envelope === undefined ? undefined : openPeerRecord(envelope)
  if (record === undefined || record instanceof Libp2pFault) throw new Error("no record")
  return { ...record, addresses: record.addresses.map(String) }
}

describe("what is told", () => {
  test("the sockets' addresses, of a listener on all the machine's own of that family, none of a link", () => {
    const { told } = node({ bound: ["/ip4/0.0.0.0/tcp/4001", "/ip6/::/tcp/4001", "/ip4/10.1.2.3/tcp/5"] })
    expect(told()).toEqual([
      "/ip4/127.0.0.1/tcp/4001",
      "/ip4/192.168.1.5/tcp/4001",
      "/ip6/::1/tcp/4001",
      "/ip4/10.1.2.3/tcp/5"
    ])
  })

  test("the machine is asked for its addresses once a minute", () => {
    const { made, clock, told } = node({ bound: ["/ip4/0.0.0.0/tcp/1"] })
    expect(told().length).toBe(2)
    made.world.ips = ["10.0.0.1"]
    clock.now += interfacesAgeMax - 1
    expect(told().length).toBe(2)
    clock.now += 1
    expect(told()).toEqual(["/ip4/10.0.0.1/tcp/1"])
  })

  test("what is announced stands instead of all others, what is appended beside them", () => {
    const instead = node({ bound, addresses: { announce: [announced], appendAnnounce: ["/ip4/1.2.3.4/tcp/5"] } })
    instead.manager.addRelayAddr(multiaddr(`/ip4/1.2.3.4/tcp/1/p2p/${relay}/p2p-circuit`))
    expect(instead.told()).toEqual([announced])
    expect(node({ bound, addresses: { appendAnnounce: [announced, announced] } }).told()).toEqual([...bound, announced])
  })

  test("what must not be announced is not: an address, a network, whoever says it", () => {
    const noAnnounce = ["/ip4/10.0.0.0/ipcidr/8", "/ip4/192.168.1.5/tcp/4001", "/ip6/::1/ipcidr/128"]
    const all = ["/ip4/10.1.2.3/tcp/5", "/ip4/192.168.1.5/tcp/4001", "/ip4/192.168.1.5/tcp/4002", "/ip6/::1/tcp/4001"]
    const { told } = node({ bound: all, addresses: { noAnnounce, appendAnnounce: ["/ip4/10.9.9.9/tcp/1"] } })
    expect(told()).toEqual(["/ip4/192.168.1.5/tcp/4002"])
  })

  test("the filter has the last word", () => {
    const { told } = node({ bound, addresses: { announceFilter: (found) => [...found, multiaddr(announced)] } })
    expect(told()).toEqual([...bound, announced])
  })

  test("our own peer id is cut off, another's is not", () => {
    const { made } = node()
    const own = node({ addresses: { announce: [`${announced}/p2p/${made.peerId}`, `${announced}/p2p/${relay}`] } })
    expect(own.told()).toEqual([announced, `${announced}/p2p/${relay}`])
  })

  test("addresses at relays come and go", () => {
    const { manager, told } = node({ bound })
    const reserved = multiaddr(`/ip4/1.2.3.4/tcp/1/p2p/${relay}/p2p-circuit`)
    manager.addRelayAddr(reserved)
    expect(told()).toEqual([...bound, `${reserved}`])
    manager.removeRelayAddr(reserved)
    expect(told()).toEqual(bound)
  })

  test.each(["listen", "announce", "noAnnounce", "appendAnnounce"] as const)(
    "what is no address in %s is refused",
    (key) => {
      expect(() => node({ addresses: { [key]: ["/ip4/1.2.3/tcp/1"] } })).toThrow(Libp2pFault)
      const many = Array.from({ length: ownAddressesMax + 1 }, (_, at) => `/ip4/1.2.3.4/tcp/${at}`)
      expect(() => node({ addresses: { [key]: many } })).toThrow(Libp2pFault)
    }
  )

  test("what was configured is told as it was", () => {
    const { manager } = node({
      addresses: { listen: ["/ip4/0.0.0.0/tcp/0"], announce: [announced], appendAnnounce: bound }
    })
    expect(manager.getListenAddrs().map(String)).toEqual(["/ip4/0.0.0.0/tcp/0"])
    expect(manager.getAnnounceAddrs().map(String)).toEqual([announced])
    expect(manager.getAppendAnnounceAddrs().map(String)).toEqual(bound)
  })
})

describe("what others see", () => {
  test("is told when several networks agree, if we want that", () => {
    for (const advertiseObserved of [true, false]) {
      const { manager, told } = node({ bound, addresses: { advertiseObserved } })
      agree(manager, observersNeeded - 1)
      manager.addObservedAddr(seen, "site 0")
      manager.addObservedAddr(seen)
      expect(told()).toEqual(bound)
      agree(manager)
      expect(told()).toEqual(advertiseObserved ? [...bound, `${seen}`] : bound)
    }
  })

  test("is told for a while when it is proven, and no more when it is disproven", () => {
    const { manager, clock, told } = node({ bound })
    manager.confirmObservedAddr(seen)
    expect(told()).toEqual([...bound, `${seen}`])
    clock.now += confirmedAgeMax
    expect(told()).toEqual(bound)
    manager.confirmObservedAddr(seen)
    manager.removeObservedAddr(seen)
    expect(told()).toEqual(bound)
  })

  test("is told of when it changes, once", () => {
    const { made, manager } = node()
    made.listen("self:observed:update")
    agree(manager)
    manager.removeObservedAddr(seen)
    expect(made.told.map(({ detail }) => (detail as Array<unknown>).map(String))).toEqual([[`${seen}`], []])
  })

  test("holds so long as it is said; a few are watched, and what is believed stays longest", () => {
    const clock = new TestClock()
    const observed = new ObservedAddresses(() => clock.now)
    const other = (n: number) => multiaddr(`/ip4/8.8.4.${n}/tcp/1`)
    for (let site = 0; site < observersNeeded; site++) observed.add(seen, `${site}`)
    for (let n = 0; n < 30; n++) observed.add(other(n), "liar")
    expect(observed.all().length).toBe(observedAddressesMax)
    expect(
      observed
        .all()
        .filter(({ agreed }) => agreed)
        .map(String).length
    ).toBe(1)
    clock.now += observedAgeMax - 1
    observed.add(seen, "0")
    clock.now += 1
    expect(observed.all()).toMatchObject([{ multiaddr: seen, agreed: false }])
    clock.now += observedAgeMax
    expect(observed.all()).toEqual([])
  })

  test.each([
    "/ip4/10.0.0.1/tcp/1",
    "/ip4/127.0.0.1/tcp/1",
    "/ip6/fe80::1/tcp/1",
    "/ip4/203.0.113.1/tcp/1",
    "/memory/1"
  ])("%s is nothing that the world could reach", (text) => {
    const { manager } = node()
    manager.addObservedAddr(multiaddr(text), "site")
    expect(manager.getObservedAddrs()).toEqual([])
  })
})

describe("mappings of a router", () => {
  test("are told once they are proven, so long as the listener is there", () => {
    const { manager, clock, told } = node({ bound })
    manager.addPublicAddressMapping("192.168.1.5", 4001, "8.8.8.8", 14_001)
    manager.addPublicAddressMapping("192.168.1.5", 9, "8.8.8.8", 9)
    const mapped = multiaddr("/ip4/8.8.8.8/tcp/14001")
    expect(told()).toEqual(bound)
    manager.confirmObservedAddr(multiaddr("/ip4/8.8.8.8/tcp/9"))
    expect(told()).toEqual(bound)
    manager.confirmObservedAddr(mapped)
    expect(told()).toEqual([...bound, `${mapped}`])
    expect(manager.getAddressesWithMetadata().at(-1)).toMatchObject({
      type: "ip-mapping",
      verified: true,
      lastVerified: clock.now,
      expires: clock.now + confirmedAgeMax
    })
    clock.now += confirmedAgeMax
    expect(told()).toEqual(bound)
    manager.confirmObservedAddr(mapped)
    manager.removePublicAddressMapping("192.168.1.5", 4001, "8.8.8.8", 14_001)
    expect(told()).toEqual(bound)
  })

  test("refuse what is no address and no port, and more than there may be", () => {
    const { manager } = node()
    expect(() => manager.addPublicAddressMapping("router", 1, "8.8.8.8", 1)).toThrow(Libp2pFault)
    expect(() => manager.addPublicAddressMapping("10.0.0.1", 1, "router", 1)).toThrow(Libp2pFault)
    expect(() => manager.addPublicAddressMapping("10.0.0.1", 1, "8.8.8.8", 70_000)).toThrow(Libp2pFault)
    for (let port = 1; port <= ownAddressesMax; port++) manager.addPublicAddressMapping("10.0.0.1", 1, "8.8.8.8", port)
    expect(() => manager.addPublicAddressMapping("10.0.0.1", 1, "8.8.8.8", 9_999)).toThrow(Libp2pFault)
    for (let n = 0; n < ownAddressesMax; n++) manager.addRelayAddr(multiaddr(`/ip4/1.2.3.4/tcp/${n}`))
    expect(() => manager.addRelayAddr(multiaddr("/ip4/1.2.3.4/tcp/9999"))).toThrow(Libp2pFault)
  })
})

describe("the record", () => {
  test("says what is told, is the same until that changes, and counts up though the clock stands or goes back", () => {
    const { made, manager, clock } = node({ bound })
    const first = manager.getSignedPeerRecord()
    expect(manager.getSignedPeerRecord()).toBe(first!)
    expect(open(first)).toMatchObject({ seq: BigInt(clock.now), addresses: bound })
    expect(open(first).peerId.equals(made.peerId)).toBe(true)
    manager.addRelayAddr(multiaddr(announced))
    clock.now -= 5_000
    const next = open(manager.getSignedPeerRecord())
    expect(next.seq).toBe(open(first).seq + 1n)
    expect(next.addresses).toEqual([...bound, announced])
    clock.now += 10_000
    manager.removeRelayAddr(multiaddr(announced))
    expect(open(manager.getSignedPeerRecord()).seq).toBe(BigInt(clock.now))
  })

  test("there is none without an address", () => {
    expect(node().manager.getSignedPeerRecord()).toBeUndefined()
  })

  test("goes into the peer store a while after a start, once, and again when something changes", async () => {
    const { made, manager, clock } = node({ bound })
    made.listen("self:peer:update")
    const { patch } = made.peerStore
    let patches = 0
    made.peerStore.patch = (...args) => {
      patches++
      return patch(...args)
    }
    await manager.start()
    made.events.safeDispatchEvent("transport:listening", {})
    await clock.advance(addressUpdateDelayMs)
    expect(made.told.length).toBe(1)
    const self = await made.peerStore.get(made.peerId)
    expect(self.addresses.map(({ multiaddr: one, isCertified }) => [String(one), isCertified])).toEqual([
      [bound[0]!, true]
    ])
    expect(open(self.peerRecordEnvelope).addresses).toEqual(bound)
    await clock.advance(interfacesAgeMax * 2)
    expect([made.told.length, patches]).toEqual([1, 1])
    manager.addRelayAddr(multiaddr(announced))
    await clock.advance(addressUpdateDelayMs)
    expect(made.told.length).toBe(2)
    manager.stop()
    manager.removeRelayAddr(multiaddr(announced))
    expect(clock.waiting).toBe(0)
  })

  test("after a restart counts on from that of the run before, though the clock went back", async () => {
    const clock = new TestClock()
    const datastore = makeMemoryDatastore(() => clock.now)
    const run = async () => {
      const { made, manager } = node({ bound, peerStore: { datastore } }, clock)
      made.peerStore.start()
      await manager.start()
      await clock.advance(addressUpdateDelayMs)
      const { seq } = open(manager.getSignedPeerRecord())
      manager.stop()
      made.peerStore.stop()
      return seq
    }
    const before = await run()
    clock.now -= 60_000
    expect(await run()).toBe(before + 1n)
  })
})
