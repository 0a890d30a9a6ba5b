/** The peer store: what js-libp2p's does, times to live by a clock that stands, limits, and rows that outlive a restart. */
import { describe, expect, test } from "bun:test"
import { settle, TestClock } from "../../test/host-net.ts"
import { utf8 } from "../codec/bytes.ts"
import type { Identity, PeerId } from "../libp2p/contract.ts"
import { Libp2pFault } from "../libp2p/fault.ts"
import { generateKey, keyFromSeed } from "../libp2p/key.ts"
import { multiaddr } from "../libp2p/multiaddr.ts"
import { peerIdFromBytes, peerIdOfKey } from "../libp2p/peer-id.ts"
import { sealPeerRecord } from "../libp2p/peer-record.ts"
import { makeDice } from "../sim/dice.ts"
import type { HostEvents, PeerData } from "./api.ts"
import { makeMemoryDatastore } from "./datastore.ts"
import { Emitter } from "./events.ts"
import {
  connectedPeerAddressesMax,
  type KnownPeer,
  peerAddressesMax,
  seqOf,
  unknownPeer,
  withData
} from "./peer-data.ts"
import { decodePeerRow, encodePeerRow } from "./peer-row.ts"
import { type HostPeerStoreInit, type HostPeerUpdate, makePeerStore, peerRowPrefix } from "./peer-store.ts"

const made = <T>(value: T | Libp2pFault): T => {
  if (value instanceof Libp2pFault) throw value
  return value
}
const identity = (seed: number): Identity => {
  const privateKey = made(keyFromSeed(new Uint8Array(32).fill(seed)))
  return { privateKey, peerId: peerIdOfKey(privateKey.publicKey) }
}
const [me, ann, bob, cid] = [1, 2, 3, 4].map((seed) => identity(seed).peerId) as [PeerId, PeerId, PeerId, PeerId]
const address = (n: number) => multiaddr(`/ip4/198.18.${n >> 8}.${n & 255}/tcp/4001`)
const addresses = (count: number) => Array.from({ length: count }, (_, at) => address(at))
const hour = 3_600_000

const fresh = (init: HostPeerStoreInit = {}, clock = new TestClock()) => {
  const events = new Emitter<HostEvents>((_, error) => {
    throw error
  })
  const updates: Array<HostPeerUpdate & { readonly type: string }> = []
  for (const type of ["peer:update", "self:peer:update"] as const)
    events.addEventListener(type, ({ detail }) => updates.push({ type, ...(detail as HostPeerUpdate) }))
  const store = makePeerStore({ peerId: me, world: { now: () => clock.now, after: clock.after }, events }, init)
  return { store, events, updates, clock }
}
const faultOf = async (promise: Promise<unknown>): Promise<Libp2pFault> => {
  const fault = await promise.then(
    () => undefined,
    (error: unknown) => error
  )
  expect(fault).toBeInstanceOf(Libp2pFault)
  return fault as Libp2pFault
}
const texts = async (store: ReturnType<typeof fresh>["store"], id: PeerId) =>
  (await store.get(id)).addresses.map(({ multiaddr: found, isCertified }) => `${found}${isCertified ? " !" : ""}`)

describe("save, patch and merge", () => {
  test("of an unknown peer: everything is there, in order and once", async () => {
    const { store } = fresh()
    const peer = await store.save(ann, {
      multiaddrs: [address(2), address(1), address(2)],
      protocols: ["/b", "/a", "/b"],
      metadata: { z: utf8("1"), a: utf8("2") },
      tags: { t: { value: 5 } }
    })
    expect(peer.addresses.map(({ multiaddr: found }) => found.toString())).toEqual([`${address(1)}`, `${address(2)}`])
    expect(peer.protocols).toEqual(["/a", "/b"])
    expect([...peer.metadata.keys()]).toEqual(["a", "z"])
    expect(peer.tags).toEqual(new Map([["t", { value: 5 }]]))
    expect(await store.get(ann)).toEqual(peer)
    expect(await store.getInfo(ann)).toEqual({
      id: ann,
      multiaddrs: peer.addresses.map(({ multiaddr: found }) => found)
    })
    expect(await store.has(ann)).toBe(true)
  })

  const before: PeerData = { multiaddrs: [address(1)], protocols: ["/a"], metadata: { m: utf8("1") }, tags: { t: {} } }
  const after: PeerData = { multiaddrs: [address(2)], metadata: { n: utf8("2") } }

  test.each([
    ["save", [address(2)], [], ["n"], []],
    ["patch", [address(2)], ["/a"], ["n"], ["t"]],
    ["merge", [address(1), address(2)], ["/a"], ["m", "n"], ["t"]]
  ] as const)("%s over a known peer", async (how, found, protocols, metadata, tags) => {
    const { store } = fresh()
    await store.save(ann, before)
    const peer = await store[how](ann, after)
    expect(peer.addresses.map(({ multiaddr: one }) => `${one}`)).toEqual(found.map(String))
    expect(peer.protocols).toEqual([...protocols])
    expect([...peer.metadata.keys()]).toEqual([...metadata])
    expect([...peer.tags.keys()]).toEqual([...tags])
  })

  test("an undefined value takes an entry away, from maps and objects", async () => {
    const { store } = fresh()
    await store.save(ann, { metadata: { a: utf8("1"), b: utf8("2") }, tags: { x: {}, y: {} } })
    const peer = await store.merge(ann, { metadata: { a: undefined }, tags: new Map([["x", undefined]]) })
    expect([[...peer.metadata.keys()], [...peer.tags.keys()]]).toEqual([["b"], ["y"]])
  })

  test("an address of that peer loses its id, an address of another is not kept, one of a relay is", async () => {
    const { store } = fresh()
    const relayed = `${address(3)}/p2p/${bob}/p2p-circuit`
    const multiaddrs = [`${address(1)}/p2p/${ann}`, `${address(2)}/p2p/${bob}`, `${relayed}/p2p/${ann}`, `/p2p/${ann}`]
    await store.save(ann, { multiaddrs: multiaddrs.map((text) => multiaddr(text)) })
    expect(await texts(store, ann)).toEqual([`${address(1)}`, relayed])
  })

  test("what was certified stays so when it is told again without a signature", async () => {
    const { store } = fresh()
    await store.save(ann, { addresses: [{ multiaddr: address(1), isCertified: true }] })
    await store.merge(ann, { multiaddrs: [address(1), address(2)] })
    expect(await texts(store, ann)).toEqual([`${address(1)} !`, `${address(2)}`])
  })

  test.each([
    ["another peer's key", { publicKey: identity(9).privateKey.publicKey }],
    ["a tag above 100", { tags: { t: { value: 101 } } }],
    ["a tag of a half", { tags: { t: { value: 0.5 } } }],
    ["a negative time to live", { tags: { t: { ttl: -1 } } }],
    ["metadata that is no bytes", { metadata: { m: "text" as unknown as Uint8Array } }],
    ["metadata that is too long", { metadata: { m: new Uint8Array(4_097) } }],
    ["too many tags", { tags: Object.fromEntries(Array.from({ length: 65 }, (_, at) => [`t${at}`, {}])) }],
    ["a name that is too long", { tags: { ["t".repeat(257)]: {} } }],
    ["a record that is too long", { peerRecordEnvelope: new Uint8Array(8_193) }]
  ] satisfies ReadonlyArray<readonly [string, PeerData]>)("refuses %s, and nothing is changed", async (_, data) => {
    const { store } = fresh()
    expect(await faultOf(store.patch(ann, data))).toMatchObject({ kind: "input", name: "InvalidParametersError" })
    expect(await store.has(ann)).toBe(false)
  })

  test("a filter leaves addresses out, one that waits too", async () => {
    const { store } = fresh({ addressFilter: async (id, one) => id.equals(ann) && !one.equals(address(1)) })
    await store.save(ann, {
      multiaddrs: [address(1), address(2)],
      addresses: [{ multiaddr: address(3), isCertified: true }]
    })
    await store.save(bob, { multiaddrs: [address(4)] })
    expect(await texts(store, ann)).toEqual([`${address(2)}`, `${address(3)} !`])
    expect(await texts(store, bob)).toEqual([])
  })

  test("what is handed out and what was handed in is not the store's own memory", async () => {
    const { store } = fresh()
    const bytes = utf8("mine")
    const peer = await store.save(ann, { metadata: { m: bytes }, protocols: ["/a"], peerRecordEnvelope: bytes })
    bytes.fill(0)
    peer.metadata.get("m")!.fill(0)
    peer.peerRecordEnvelope!.fill(0)
    peer.protocols.push("/b")
    peer.addresses.push({ multiaddr: address(1), isCertified: true })
    const again = await store.get(ann)
    expect([again.metadata.get("m"), again.peerRecordEnvelope]).toEqual([utf8("mine"), utf8("mine")])
    expect([again.protocols, again.addresses]).toEqual([["/a"], []])
  })
})

describe("asking", () => {
  test("who is unknown or deleted is not found", async () => {
    const { store } = fresh()
    expect(await faultOf(store.get(ann))).toMatchObject({ kind: "not_found", name: "NotFoundError" })
    await store.save(ann, {})
    await store.delete(ann)
    expect(await faultOf(store.getInfo(ann))).toMatchObject({ name: "NotFoundError" })
    expect(await store.has(ann)).toBe(false)
  })

  test("all and forEach filter, order and cut", async () => {
    const { store } = fresh()
    for (const [id, count] of [
      [ann, 1],
      [bob, 3],
      [cid, 2]
    ] as const)
      await store.save(id, { multiaddrs: addresses(count) })
    const query = {
      filters: [(peer: { addresses: ReadonlyArray<unknown> }) => peer.addresses.length > 1],
      orders: [
        (a: { addresses: ReadonlyArray<unknown> }, b: { addresses: ReadonlyArray<unknown> }) =>
          a.addresses.length < b.addresses.length ? (1 as const) : (-1 as const)
      ]
    }
    expect((await store.all(query)).map(({ id }) => id)).toEqual([bob, cid])
    expect((await store.all({ ...query, offset: 1, limit: 5 })).map(({ id }) => id)).toEqual([cid])
    const seen: Array<PeerId> = []
    await store.forEach(({ id }) => seen.push(id), { limit: 2 })
    expect(seen).toEqual([ann, bob])
  })

  test("an aborted signal rejects with AbortError, whatever is asked", async () => {
    const { store } = fresh()
    const options = { signal: AbortSignal.abort() }
    const calls = [
      store.get(ann, options),
      store.has(ann, options),
      store.all(options),
      store.save(ann, {}, options),
      store.delete(ann, options),
      store.forEach(() => {}, options),
      store.consumePeerRecord(new Uint8Array(0), options)
    ]
    for (const call of calls) expect(await faultOf(call)).toMatchObject({ kind: "cancelled", name: "AbortError" })
    expect(store.size()).toBe(0)
  })
})

describe("events", () => {
  test("say what changed and what was; nothing is said when all is as it was", async () => {
    const { store, updates } = fresh()
    await store.save(ann, { protocols: ["/a"] })
    await store.patch(ann, { protocols: ["/a"] })
    await store.merge(ann, { protocols: ["/b"], tags: { t: { value: 1 } } })
    await store.save(me, { multiaddrs: [address(1)] })
    expect(updates.map(({ type, changed, previous }) => [type, changed, previous?.protocols])).toEqual([
      ["peer:update", ["protocols"], undefined],
      ["peer:update", ["protocols", "tags"], ["/a"]],
      ["self:peer:update", ["addresses"], undefined]
    ])
    expect(updates[1]!.peer.protocols).toEqual(["/a", "/b"])
  })

  test("protocols that came and went are told by name", async () => {
    const { store, events } = fresh()
    const told: Array<unknown> = []
    events.addEventListener("peer:protocols:update", ({ detail }) => told.push(detail))
    await store.save(ann, { protocols: ["/a", "/b"] })
    await store.patch(ann, { protocols: ["/b", "/c"] })
    await store.merge(ann, { tags: { t: {} } })
    expect(told).toEqual([
      { peerId: ann, added: ["/a", "/b"], removed: [] },
      { peerId: ann, added: ["/c"], removed: ["/a"] }
    ])
  })
})

describe("time", () => {
  test("an address holds for an hour after it was last heard of", async () => {
    const { store, clock } = fresh()
    await store.save(ann, { multiaddrs: [address(1), address(2)] })
    clock.now += hour - 1
    await store.merge(ann, { multiaddrs: [address(2)] })
    expect((await texts(store, ann)).length).toBe(2)
    clock.now += 1
    expect(await texts(store, ann)).toEqual([`${address(2)}`])
    clock.now += hour - 1
    expect(await texts(store, ann)).toEqual([])
  })

  test("a peer without news is forgotten after six hours, unless it is tagged; we are not", async () => {
    const { store, clock } = fresh()
    await store.save(ann, { protocols: ["/a"] })
    await store.save(bob, { tags: { keep: {} } })
    await store.save(me, { multiaddrs: [address(1)] })
    store.start()
    await clock.advance(6 * hour)
    expect(await store.has(ann)).toBe(true)
    await clock.advance(60_001)
    expect([await store.has(ann), await store.has(bob), await store.has(me)]).toEqual([false, true, true])
    expect(store.size()).toBe(2)
    expect((await texts(store, me)).length).toBe(1)
    store.stop()
    expect(clock.waiting).toBe(0)
  })

  test("a tag is gone when its time is over, one without a time stays", async () => {
    const { store, clock } = fresh()
    await store.merge(ann, { tags: { short: { value: 1, ttl: 10 }, long: { value: 2 } } })
    clock.now += 9
    expect((await store.get(ann)).tags.size).toBe(2)
    clock.now += 1
    expect([...(await store.get(ann)).tags.keys()]).toEqual(["long"])
  })

  test("addresses of a connected peer hold; when it goes they hold an hour more, and only some of them", async () => {
    const { store, events, clock } = fresh()
    store.start()
    events.safeDispatchEvent("peer:connect", { detail: ann })
    await store.save(ann, { multiaddrs: addresses(600) })
    expect((await texts(store, ann)).length).toBe(connectedPeerAddressesMax)
    clock.now += 2 * hour
    expect((await texts(store, ann)).length).toBe(connectedPeerAddressesMax)
    events.safeDispatchEvent("peer:disconnect", { detail: ann })
    expect((await texts(store, ann)).length).toBe(peerAddressesMax)
    clock.now += hour
    expect(await texts(store, ann)).toEqual([])
    store.stop()
  })
})

describe("limits", () => {
  test("of many addresses the certified stay, then the latest", async () => {
    const { store, clock } = fresh()
    await store.save(ann, { addresses: [{ multiaddr: address(0), isCertified: true }], multiaddrs: [address(1)] })
    clock.now++
    await store.merge(ann, { multiaddrs: addresses(22).slice(2) })
    const found = await texts(store, ann)
    expect(found.length).toBe(peerAddressesMax)
    expect(found).toContain(`${address(0)} !`)
    expect(found).not.toContain(`${address(1)}`)
  })

  test("a peer that was heard of again is not the next to go", async () => {
    const { store } = fresh({ maxPeers: 2 })
    for (const id of [ann, bob, ann, cid]) await store.merge(id, {})
    expect((await store.all()).map(({ id }) => id)).toEqual([ann, cid])
  })

  test("a full store lets the one go that was not heard of for longest, never us, a connected or a tagged one", async () => {
    const { store, events } = fresh({ maxPeers: 4 })
    store.start()
    const many = Array.from({ length: 8 }, (_, at) => identity(20 + at).peerId)
    await store.save(me, {})
    await store.save(ann, { tags: { keep: {} } })
    events.safeDispatchEvent("peer:connect", { detail: bob })
    await store.save(bob, {})
    for (const id of many) await store.save(id, {})
    expect((await store.all()).map(({ id }) => id)).toEqual([me, ann, bob, many[7]!])
    await store.merge(many[7]!, { tags: { keep: {} } })
    expect(await faultOf(store.save(cid, {}))).toMatchObject({ kind: "capacity", name: "ResourceLimitError" })
    store.stop()
  })
})

describe("signed records", () => {
  const record = (seed: number, seq: bigint, ...found: ReadonlyArray<number>) =>
    sealPeerRecord(identity(seed), seq, found.map(address))

  test("a newer one replaces all addresses, an equal or older one nothing", async () => {
    const { store } = fresh()
    await store.save(ann, { multiaddrs: [address(9)] })
    expect(await store.consumePeerRecord(record(2, 5n, 1, 2))).toBe(true)
    expect(await texts(store, ann)).toEqual([`${address(1)} !`, `${address(2)} !`])
    for (const seq of [5n, 4n, 0n]) expect(await store.consumePeerRecord(record(2, seq, 3))).toBe(false)
    expect(await store.consumePeerRecord(record(2, 2n ** 63n, 4))).toBe(true)
    expect(await texts(store, ann)).toEqual([`${address(4)} !`])
    expect(seqOf((await store.get(ann)).peerRecordEnvelope)).toBe(2n ** 63n)
  })

  test("of another peer than expected: no; broken: a fault", async () => {
    const { store } = fresh()
    expect(await store.consumePeerRecord(record(2, 1n, 1), { expectedPeer: bob })).toBe(false)
    const broken = record(2, 1n, 1)
    broken[broken.length - 1]! ^= 1
    expect((await faultOf(store.consumePeerRecord(broken))).kind).toBe("verify")
    expect((await faultOf(store.consumePeerRecord(new Uint8Array(3)))).kind).toBe("decode")
    expect(store.size()).toBe(0)
  })
})

describe("the datastore", () => {
  const all: PeerData = {
    multiaddrs: [address(1)],
    addresses: [{ multiaddr: address(2), isCertified: true }],
    protocols: ["/a", "/ä"],
    metadata: { m: utf8("1"), empty: new Uint8Array(0) },
    tags: { t: { value: 7, ttl: hour }, u: { value: 0 } },
    peerRecordEnvelope: sealPeerRecord(identity(2), 9n, [address(2)])
  }

  test("has a peer a second after it changed, once for many changes, and gives it back after a restart", async () => {
    const clock = new TestClock()
    const datastore = makeMemoryDatastore(() => clock.now)
    const first = fresh({ datastore }, clock)
    first.store.start()
    await first.store.save(ann, all)
    await first.store.merge(bob, { protocols: ["/x"] })
    expect(datastore.query()).toEqual([])
    await clock.advance(1_000)
    expect(datastore.query({ keysOnly: true }).map(({ key }) => key)).toEqual(
      [ann, bob].map((id) => `${peerRowPrefix}${id}`).sort()
    )
    const known = await first.store.get(ann)
    await first.store.delete(bob)
    first.store.stop()
    const second = fresh({ datastore }, clock)
    second.store.start()
    expect(await second.store.get(ann)).toEqual(known)
    expect(await second.store.has(bob)).toBe(false)
    expect(second.updates).toEqual([])
  })

  test("what ran out while nobody ran is forgotten there too, and so is a row that nobody can read", async () => {
    const clock = new TestClock()
    const datastore = makeMemoryDatastore(() => clock.now)
    const first = fresh({ datastore }, clock)
    first.store.start()
    await first.store.save(ann, { multiaddrs: [address(1)] })
    first.store.stop()
    datastore.put(`${peerRowPrefix}nobody`, utf8("x"))
    datastore.put(`${peerRowPrefix}${bob}`, Uint8Array.of(0xff))
    datastore.put("/other", utf8("x"))
    clock.now += 7 * hour
    const second = fresh({ datastore }, clock)
    second.store.start()
    expect(second.store.size()).toBe(0)
    second.store.stop()
    expect(datastore.query().map(({ key }) => key)).toEqual(["/other"])
  })

  test("more peers than one query or one write holds, and fewer than there are rows", async () => {
    const clock = new TestClock()
    const datastore = makeMemoryDatastore(() => clock.now)
    const first = fresh({ datastore }, clock)
    first.store.start()
    const ids = Array.from({ length: 1_300 }, (_, at) =>
      made(peerIdFromBytes(Uint8Array.from([0x12, 0x20, at >> 8, at & 255, ...new Uint8Array(30)])))
    )
    for (const id of ids) await first.store.save(id, { multiaddrs: [address(1)] })
    first.store.stop()
    const second = fresh({ datastore }, clock)
    second.store.start()
    expect(second.store.size()).toBe(1_300)
    const small = fresh({ datastore, maxPeers: 1_100 }, clock)
    small.store.start()
    expect(small.store.size()).toBe(1_100)
    small.store.stop()
    expect(datastore.query({ offset: 1_000 }).length).toBe(100)
  })

  test("that says no is told of; what was not written is written later", async () => {
    const clock = new TestClock()
    const rows = makeMemoryDatastore(() => clock.now)
    let broken = true
    const datastore = {
      ...rows,
      batch: (changes: Parameters<typeof rows.batch>[0]) => {
        if (broken && changes.length > 0) throw new Libp2pFault("io", "InternalError", "full")
        rows.batch(changes)
      }
    }
    const { store, events } = fresh({ datastore }, clock)
    const errors: Array<string> = []
    events.addEventListener("host:error", ({ detail }) => errors.push(detail.where))
    store.start()
    await store.save(ann, { protocols: ["/a"] })
    await clock.advance(1_000)
    expect(errors).toEqual(["the datastore of peers"])
    expect((await store.get(ann)).protocols).toEqual(["/a"])
    broken = false
    await store.save(bob, {})
    await clock.advance(1_000)
    expect(made(decodePeerRow(ann, rows.get(`${peerRowPrefix}${ann}`)!)).protocols).toEqual(["/a"])
    expect(rows.get(`${peerRowPrefix}${bob}`)).toBeDefined()
  })

  test("a row holds a whole peer, an RSA key with it; no bytes make the reader throw", async () => {
    const rsa = made(generateKey("RSA"))
    const id = peerIdOfKey(rsa.publicKey)
    const bare = made(peerIdFromBytes(id.bytes))
    const known: KnownPeer = withData(unknownPeer(bare), { ...all, publicKey: rsa.publicKey }, "save", 1_000)
    const row = encodePeerRow(known)
    const read = made(decodePeerRow(bare, row))
    expect(read.id.publicKey?.equals(rsa.publicKey)).toBe(true)
    expect(encodePeerRow(read)).toEqual(row)
    expect({ ...read, id: 0, addresses: read.addresses.map(String) }).toEqual({
      ...known,
      id: 0 as never,
      addresses: known.addresses.map(String) as never
    })
    expect(decodePeerRow(ann, row)).toBeInstanceOf(Libp2pFault)
    const dice = makeDice(5)
    const small = encodePeerRow(withData(unknownPeer(ann), all, "save", 1_000))
    let faults = 0
    for (let round = 0; round < 5_000; round++) {
      const got = decodePeerRow(ann, dice.mutate(small))
      if (got instanceof Libp2pFault) faults++
      else expect(Number.isSafeInteger(got.updated)).toBe(true)
    }
    expect(faults).toBeGreaterThan(500)
  })
})

test("a stopped store keeps no timer", async () => {
  const { store, clock } = fresh({ datastore: makeMemoryDatastore(() => 0) })
  store.start()
  await store.save(ann, {})
  await settle()
  store.stop()
  expect(clock.waiting).toBe(0)
})
