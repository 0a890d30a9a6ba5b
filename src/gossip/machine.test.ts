/** What becomes of datagrams: what is announced, what is heard, what is dropped and why, and whom it is told to. */
import { describe, expect, test } from "bun:test"
import { sha256 } from "../crypto/hash.ts"
import { datagramBytesMax, gossipEntriesMax, gossipGapMs, gossipToldBurst } from "../limits.ts"
import { type Announcement, decodeAnnouncement } from "./announcement.ts"
import { type GossipEffect, type GossipOptions } from "./machine.ts"
import { isDialable } from "./place.ts"
import { makeBox, openPacket } from "./sealed.ts"
import {
  foundIn,
  from,
  genesis,
  hear,
  hostsIn,
  make,
  meet,
  now,
  optionsOf,
  peer,
  plain,
  saying,
  sealed,
  seedsOf,
  sendsIn,
  tip,
  work
} from "../../test/gossip.ts"

describe("our own announcements", () => {
  test("go to so many by chance, under a seal to peers and in the plain form to seeds, and say what there is to say", () => {
    const machine = make()
    meet(machine, peer(2), peer(3))
    machine.place(seedsOf(7, 8))
    machine.know(["192.0.2.50:1", "192.0.2.51:1"])
    const reached = new Set<string>()
    for (let i = 0; i < 20; i++) {
      const sends = sendsIn(machine.tick(now + i * 5_000, tip, "192.0.2.1:19100"))
      expect([sends.length, new Set(hostsIn(sends)).size]).toEqual([3, 3])
      for (const { to, bytes } of sends) {
        reached.add(to.host)
        expect([bytes[0], bytes.length <= datagramBytesMax]).toEqual([to.host.startsWith("192.") ? 2 : 1, true])
      }
    }
    expect([...reached].sort()).toEqual(["192.0.2.2", "192.0.2.3", "203.0.113.7", "203.0.113.8"])
    const other = make(2)
    other.meet(new Map([[1, peer(1)]]))
    const box = makeBox(optionsOf(2).sealing, optionsOf(1).sealing.publicKey, genesis)!
    const [own] = make().tick(now, tip, "")
    expect(own).toBeUndefined()
    const lone = make()
    meet(lone, peer(2))
    lone.know(["192.0.2.50:1"])
    const [send] = sendsIn(lone.tick(now, tip, "192.0.2.1:19100"))
    const opened = openPacket(box, send!.bytes)!
    expect(opened[0]).toBe(0)
    expect(decodeAnnouncement(opened.subarray(1))).toMatchObject({
      ...{ chainId: "test", sequence: now, time: now, hopsMax: 3, height: 5, endpoint: "192.0.2.1:19100" },
      ...{ gossipEndpoint: "192.0.2.1:19090", entries: ["192.0.2.50:1"] }
    })
    expect(other.hear(from("192.0.2.1", send!.bytes), now, tip).drop).toBeUndefined()
  })

  test("are made every so often, and soon after the tip moved, but never closer than a second, whatever the clock does", () => {
    const machine = make()
    machine.place(seedsOf(7))
    const other = (n: number) => ({ ...tip, hash: sha256(new Uint8Array([n])) })
    const speaks = (at: number, which = tip): boolean => machine.tick(at, which, "").length > 0
    expect([speaks(now), speaks(now + 500), speaks(now + 999, other(1)), speaks(now + 1_000, other(1))]).toEqual([
      ...[true, false, false, true]
    ])
    expect([speaks(now + 1_500, other(2)), speaks(now + 2_000, other(3)), speaks(now + 2_500, other(4))]).toEqual([
      ...[false, true, false]
    ])
    expect([speaks(now + 6_999, other(3)), speaks(now + 7_000, other(3))]).toEqual([false, true])
    expect(speaks(now - 60_000, other(3))).toBe(true)
  })

  test("have sequences that only grow, also when the clock goes back", () => {
    const machine = make()
    machine.place(seedsOf(7))
    const sequenceAt = (at: number): number =>
      decodeAnnouncement(sendsIn(machine.tick(at, tip, ""))[0]!.bytes.subarray(2))!.sequence
    expect([sequenceAt(now), sequenceAt(now - 100_000), sequenceAt(now + 50_000)]).toEqual([now, now + 1, now + 50_000])
  })

  test("go to no seed in the plain form without leave, and to ourselves never", () => {
    const quiet = make(1, { plaintext: false })
    quiet.place(seedsOf(7, 8))
    meet(quiet, peer(2))
    expect(hostsIn(quiet.tick(now, tip, "")).every((host) => host === "192.0.2.2")).toBe(true)
    const machine = make()
    machine.place([{ host: "192.0.2.1", port: 19_090 }])
    expect(machine.tick(now, tip, "")).toEqual([])
  })
})

describe("a datagram", () => {
  test("that is sound says whom one could dial; of a peer that has more work, whom to ask", () => {
    const machine = make()
    meet(machine, peer(2, 77))
    const entries = ["192.0.2.60:1", "127.0.0.1:6379", "0.0.0.0:1", "node.example:9"]
    const stranger = hear(machine, from("192.0.2.3", plain(saying(3, { entries, work: work(99) }))))
    expect([stranger.drop, foundIn(stranger.effects)]).toEqual([
      undefined,
      ["192.0.2.3:19100", "192.0.2.60:1", "node.example:9"]
    ])
    const behind = ({ effects }: { readonly effects: ReadonlyArray<GossipEffect> }) =>
      effects.filter(({ _tag }) => _tag === "Behind")
    expect(behind(stranger)).toEqual([])
    expect(behind(hear(machine, from("192.0.2.2", plain(saying(2, { work: work(51) })))))).toEqual([
      { _tag: "Behind", session: 77 }
    ])
    for (const [later, less] of [50, 49].entries()) {
      const time = now + 1_000 * (later + 1)
      const same = from("192.0.2.2", plain(saying(2, { work: work(less), sequence: time, time })))
      const heard = machine.hear(same, time, tip)
      // Where a peer is, its session has said.
      expect([heard.drop, behind(heard), foundIn(heard.effects)]).toEqual([undefined, [], []])
    }
  })

  test("is dropped for what is wrong with it, and sends nothing", () => {
    const spoiled = saying(3)
    spoiled[spoiled.length - 1]! ^= 1
    const cases: ReadonlyArray<readonly [string, Uint8Array, Partial<GossipOptions>?]> = [
      ["datagram-too-long", new Uint8Array(datagramBytesMax + 1).fill(1)],
      ["datagram-form", new Uint8Array(0)],
      ["datagram-form", new Uint8Array([3, 0])],
      ["plaintext-refused", plain(saying(3)), { plaintext: false }],
      ["seal-unknown", sealed(9, saying(9))],
      ["seal-unknown", new Uint8Array([2, 1, 2])],
      ["announcement-malformed", plain(saying(3).subarray(1))],
      ["announcement-malformed", new Uint8Array([1])],
      ["announcement-other-chain", plain(saying(3, { chainId: "other" }))],
      ["announcement-own", plain(saying(1))],
      ["announcement-stale", plain(saying(3, { time: now - 30_001 }))],
      ["announcement-stale", plain(saying(3, { time: now + 30_001 }))],
      ["announcement-hops", plain(saying(3, { hopsMax: 2 }), 3)],
      ["announcement-forged", plain(spoiled)]
    ]
    for (const [code, bytes, wish] of cases) {
      const machine = make(1, wish)
      meet(machine, peer(2), peer(4))
      machine.place(seedsOf(7, 8))
      expect([code, hear(machine, from("192.0.2.3", bytes))]).toEqual([
        code,
        { drop: code as never, announced: undefined, effects: [] }
      ])
      expect(machine.known.nodes).toBe(0)
    }
    const machine = make()
    meet(machine, peer(2))
    const broken = sealed(2, saying(2))
    broken[broken.length - 1]! ^= 1
    expect(hear(machine, from("192.0.2.2", broken)).drop).toBe("seal-broken")
  })

  test("in the plain form is heard by who hears none, if it came another way that is authenticated", () => {
    const machine = make(1, { plaintext: false })
    expect(hear(machine, { ...from("192.0.2.3", plain(saying(3))), carried: true }).drop).toBeUndefined()
  })

  test("is heard once: copies, older ones, others of its sequence and those too soon after it are not", () => {
    const machine = make()
    const at = (ms: number, wish: Partial<Announcement> = {}) =>
      machine.hear(from("192.0.2.3", plain(saying(3, { sequence: now + ms, time: now + ms, ...wish }))), now + ms, tip)
        .drop
    expect(at(0)).toBeUndefined()
    expect(at(0)).toBe("announcement-seen")
    expect(at(0, { height: 6 })).toBe("announcement-seen")
    expect(at(-1)).toBe("announcement-overtaken")
    expect(at(gossipGapMs / 2 - 1)).toBe("announcement-too-often")
    expect(at(gossipGapMs / 2)).toBeUndefined()
    expect(at(0)).toBe("announcement-overtaken")
  })

  test("of a node that began anew with an earlier clock is heard when no copy of its last one could be fresh", () => {
    const machine = make()
    const late = { sequence: now + 900_000, time: now }
    expect(hear(machine, from("192.0.2.3", plain(saying(3, late)))).drop).toBeUndefined()
    const again = (ms: number) =>
      machine.hear(from("192.0.2.3", plain(saying(3, { sequence: now + ms, time: now + ms }))), now + ms, tip).drop
    expect([again(30_000), again(30_001)]).toStrictEqual(["announcement-overtaken", undefined])
  })
})

test("whom we have met: comes, goes, comes again with another key, and a key that is none is no peer", () => {
  const machine = make(1, { plaintext: false })
  const reaches = (): ReadonlyArray<string> => {
    const sends = sendsIn(machine.tick((at += 5_000), tip, ""))
    return sends.map(({ to }) => to.host).sort()
  }
  let at = now
  meet(machine, peer(2), peer(3), { ...peer(4), key: new Uint8Array(32) })
  expect([reaches(), machine.known.peers]).toEqual([["192.0.2.2", "192.0.2.3"], 2])
  meet(machine, peer(3))
  expect(reaches()).toEqual(["192.0.2.3"])
  expect(hear(machine, from("192.0.2.2", sealed(2, saying(2)))).drop).toBe("seal-unknown")
  meet(machine, { ...peer(3), key: optionsOf(9).sealing.publicKey })
  expect(hear(machine, from("192.0.2.3", sealed(3, saying(3)))).drop).toBe("seal-unknown")
  expect(hear(machine, from("192.0.2.3", sealed(9, saying(3)))).drop).toBeUndefined()
  meet(machine)
  expect([reaches(), machine.known.peers]).toEqual([[], 0])
})

test("who has left is a stranger again, but not who has another session", () => {
  const machine = make()
  const ahead = (n: number): ReadonlyArray<GossipEffect> => {
    const time = now + 1_000 * ++count
    const one = plain(saying(n, { sequence: time, time, work: work(99) }))
    return machine.hear(from("192.0.2.2", one), time, tip).effects.filter(({ _tag }) => _tag !== "Send")
  }
  let count = 0
  meet(machine, peer(2, 7), peer(2, 8))
  expect(ahead(2)).toEqual([{ _tag: "Behind", session: 8 }])
  meet(machine, peer(2, 8))
  expect(ahead(2)).toEqual([{ _tag: "Behind", session: 8 }])
  meet(machine)
  expect(ahead(2)).toEqual([{ _tag: "Found", endpoints: ["192.0.2.2:19100"] }])
})

test("a seed that has been met is one target, and under a seal; one that is ourselves is none", () => {
  const machine = make()
  meet(machine, peer(2))
  machine.place([
    { host: "192.0.2.2", port: 19_090 },
    { host: "192.0.2.1", port: 19_090 }
  ])
  const sends = sendsIn(machine.tick(now, tip, ""))
  expect(sends.map(({ to, bytes }) => [to.host, bytes[0]])).toEqual([["192.0.2.2", 2]])
})

test("the directory is told of so many announcements a second, whoever makes them", () => {
  const machine = make()
  const one = (i: number) => from(`198.51.100.${i}`, plain(saying(300 + i, { endpoint: "192.0.2.9:1" })))
  const told = Array.from({ length: 100 }, (_, i) => hear(machine, one(i)))
  expect(told.every(({ drop }) => drop === undefined)).toBe(true)
  expect(told.filter(({ effects }) => foundIn(effects).length > 0).length).toBe(gossipToldBurst)
})

test("what can be fresh no more is forgotten", () => {
  const machine = make()
  for (let i = 0; i < 20; i++) hear(machine, from(`198.51.100.${i}`, plain(saying(300 + i))))
  machine.tick(now + 30_000, tip, "")
  expect(machine.known.nodes).toBe(20)
  machine.tick(now + 30_001, tip, "")
  expect(machine.known.nodes).toBe(0)
})

test("places lead nobody back to himself or into his own network", () => {
  expect(
    [
      ["198.51.100.1:1", "8.8.8.8"],
      ["9.9.9.9:1", "8.8.8.8"],
      ["10.0.0.1:1", "8.8.8.8"],
      ["10.0.0.1:1", "10.0.0.2"],
      ["10.0.0.1:1", "127.0.0.1"],
      ["127.0.0.1:1", "8.8.8.8"],
      ["127.0.0.1:1", "10.0.0.2"],
      ["127.0.0.1:1", "127.0.0.1"],
      ["[::1]:1", "::1"],
      ["[::1]:1", "2001:4860::1"],
      ["[::ffff:127.0.0.1]:1", "8.8.8.8"],
      ["169.254.169.254:80", "10.0.0.1"],
      ["[fd00::1]:1", "8.8.8.8"],
      ["0.0.0.0:1", "127.0.0.1"],
      ["node.example:1", "8.8.8.8"],
      ["localhost:1", "8.8.8.8"],
      ["224.0.0.1:1", "10.0.0.1"],
      ["no place", "10.0.0.1"]
    ].map(([endpoint, host]) => isDialable(endpoint!, host!))
  ).toEqual([
    ...[false, true, false, true, true, false, false, true, true, false, false, false, false, false, true, false],
    ...[false, false]
  ])
})

test("an announcement of ours tells of no more than fit, and in time of all", () => {
  const machine = make()
  machine.place(seedsOf(7))
  const all = Array.from({ length: 64 }, (_, i) => `192.0.2.${i + 100}:19100`)
  machine.know(all)
  const told = new Set<string>()
  for (let i = 0; i < 60; i++) {
    const [send] = sendsIn(machine.tick(now + i * 5_000, tip, "192.0.2.1:19100"))
    const { entries } = decodeAnnouncement(send!.bytes.subarray(2))!
    expect(entries.length).toBe(gossipEntriesMax)
    for (const entry of entries) told.add(entry)
  }
  expect(told.size).toBe(64)
})
