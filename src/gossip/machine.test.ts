/** What becomes of datagrams: what is heard, what is dropped and why, what is sent to whom, and that nothing forged sends anything. */
import { describe, expect, test } from "bun:test"
import { keyOf } from "../../test/fixtures.ts"
import { concat, toHex } from "../codec/bytes.ts"
import { sha256 } from "../crypto/hash.ts"
import {
  datagramBytesMax,
  gossipBurst,
  gossipChecksBurst,
  gossipCreditMax,
  gossipEntriesMax,
  gossipGapMs,
  gossipNodesMax,
  gossipPassedBurst,
  gossipSourcesMax,
  gossipToldBurst
} from "../limits.ts"
import { makeDice } from "../sim/dice.ts"
import { nodeIdOf } from "../transport/hello.ts"
import { type Announcement, decodeAnnouncement, makeAnnouncement } from "./announcement.ts"
import { type Datagram, Gossip, type GossipEffect, type GossipOptions, type GossipPeer } from "./machine.ts"
import { isDialable } from "./place.ts"
import { gossipKeyOf, makeBox, openPacket, sealPacket } from "./sealed.ts"

const now = 1_795_219_200_000
const genesis = sha256(new Uint8Array([1]))
const work = (n: number): Uint8Array => Uint8Array.from({ length: 32 }, (_, i) => (i === 31 ? n : 0))
const tip = { height: 5, work: work(50), hash: sha256(new Uint8Array([5])) }
const hear = (machine: Gossip, one: Datagram, at = now) => machine.hear(one, at, tip)

const optionsOf = (n: number, wish: Partial<GossipOptions> = {}): GossipOptions => ({
  ...{ chainId: "test", genesis, key: keyOf(n), sealing: gossipKeyOf(sha256(new Uint8Array([n]))) },
  ...{ gossipEndpoint: `192.0.2.${n}:19090`, fanout: 3, everyMs: 5_000, ttlMs: 30_000, hopsMax: 3, plaintext: true },
  ...wish
})
const make = (n = 1, wish: Partial<GossipOptions> = {}): Gossip => new Gossip(optionsOf(n, wish), makeDice(n).bytes)

/** Node n as another has met it. */
const peer = (n: number, session = n): GossipPeer => ({
  ...{ session, nodeId: nodeIdOf(keyOf(n).publicKey), host: `192.0.2.${n}`, port: 19_090 },
  key: optionsOf(n).sealing.publicKey
})
const meet = (machine: Gossip, ...peers: ReadonlyArray<GossipPeer>): void =>
  machine.meet(new Map(peers.map((one) => [one.session, one])))
const seedsOf = (...numbers: ReadonlyArray<number>) => numbers.map((n) => ({ host: `203.0.113.${n}`, port: 1 }))

const saying = (n: number, wish: Partial<Announcement> = {}): Uint8Array =>
  makeAnnouncement(
    {
      ...{ chainId: "test", publicKey: keyOf(n).publicKey, sequence: now, time: now, hopsMax: 3, height: 5 },
      ...{ work: work(50), tip: tip.hash, endpoint: `192.0.2.${n}:19100`, gossipEndpoint: "", entries: [] },
      ...wish
    },
    genesis,
    keyOf(n)
  )
const packet = (hops: number, bytes: Uint8Array): Uint8Array => concat(new Uint8Array([hops]), bytes)
const plain = (bytes: Uint8Array, hops = 0): Uint8Array => concat(new Uint8Array([1]), packet(hops, bytes))
const from = (host: string, bytes: Uint8Array, port = 19_090): Datagram => ({ bytes, host, port })
/** Sealed by node n for node 1. */
const sealed = (n: number, bytes: Uint8Array, hops = 0): Uint8Array =>
  sealPacket(
    makeBox(optionsOf(n).sealing, optionsOf(1).sealing.publicKey, genesis)!,
    packet(hops, bytes),
    makeDice(n).bytes(12)
  )

type Send = Extract<GossipEffect, { _tag: "Send" }>
const sendsIn = (effects: ReadonlyArray<GossipEffect>): ReadonlyArray<Send> =>
  effects.flatMap((effect) => (effect._tag === "Send" ? [effect] : []))
const foundIn = (effects: ReadonlyArray<GossipEffect>): ReadonlyArray<string> =>
  effects.flatMap((effect) => (effect._tag === "Found" ? effect.endpoints : []))
const hostsIn = (effects: ReadonlyArray<GossipEffect>): ReadonlyArray<string> =>
  sendsIn(effects).map(({ to }) => to.host)

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
    expect([again(30_000), again(30_001)]).toEqual(["announcement-overtaken", undefined])
  })
})

describe("passing on", () => {
  /** Meets 2, who is let speak for itself. */
  const among = (wish: Partial<GossipOptions> = {}): Gossip => {
    const machine = make(1, wish)
    meet(machine, peer(2), peer(4), peer(5))
    machine.place(seedsOf(7))
    return machine
  }

  test("adds a hop, spares who sent it and who said it, and seals for peers", () => {
    const machine = among()
    const { effects } = hear(machine, from("192.0.2.4", plain(saying(2), 1)))
    expect([...hostsIn(effects)].sort()).toEqual(["192.0.2.5", "203.0.113.7"])
    const box = makeBox(optionsOf(5).sealing, optionsOf(1).sealing.publicKey, genesis)!
    for (const { to, bytes } of sendsIn(effects)) {
      const inner = to.host === "192.0.2.5" ? openPacket(box, bytes)! : bytes.subarray(1)
      expect([inner[0], toHex(inner.subarray(1))]).toEqual([2, toHex(saying(2))])
    }
  })

  test("ends at the hops of the announcement and at ours", () => {
    const passes = (hops: number, hopsMax: number, ours: number): boolean =>
      sendsIn(hear(among({ hopsMax: ours }), from("192.0.2.2", plain(saying(2, { hopsMax }), hops))).effects).length > 0
    expect([
      passes(0, 1, 3),
      passes(1, 1, 3),
      passes(2, 9, 3),
      passes(3, 9, 3),
      passes(0, 0, 3),
      passes(0, 3, 0)
    ]).toEqual([...[true, false, true, false, false, false]])
  })

  test("happens once, however its hops are counted; a copy without hops left does not keep one that has some", () => {
    const machine = among()
    const copy = (host: string, hops: number) =>
      sendsIn(hear(machine, from(host, plain(saying(2), hops))).effects).length
    expect([copy("192.0.2.9", 3), copy("192.0.2.4", 1), copy("192.0.2.5", 0), copy("192.0.2.9", 0)]).toEqual([
      0, 2, 0, 0
    ])
    const changed = among()
    const first = saying(2)
    hear(changed, from("192.0.2.9", plain(first, 3)))
    const junk = first.slice()
    junk[junk.length - 1]! ^= 1
    expect(sendsIn(hear(changed, from("192.0.2.9", plain(junk, 0))).effects)).toEqual([])
  })

  test("of what came under a seal goes on under seals only", () => {
    const machine = among()
    const { drop, effects } = hear(machine, from("192.0.2.2", sealed(2, saying(2))))
    expect([drop, [...hostsIn(effects)].sort()]).toEqual([undefined, ["192.0.2.4", "192.0.2.5"]])
    expect(sendsIn(effects).every(({ bytes }) => bytes[0] === 2)).toBe(true)
  })

  test("of what strangers say takes no more bytes than strangers sent, and none for what is forged", () => {
    for (let seed = 0; seed < 20; seed++) {
      const dice = makeDice(seed)
      const machine = make(1, { fanout: 5 })
      meet(machine, ...(seed % 2 === 0 ? [peer(2), peer(4)] : []))
      machine.place(seedsOf(6, 7, 8, 9))
      let [bytesIn, bytesOut, heard] = [0, 0, 0]
      for (let i = 0; i < 200; i++) {
        const n = 100 + dice.int(20)
        const time = now + i * 100
        const bytes = plain(saying(n, { sequence: time - dice.int(2) * 50, time }), dice.int(3))
        const datagram = from(`198.51.100.${dice.int(250)}`, dice.chance(0.3) ? dice.mutate(bytes) : bytes, dice.int(9))
        for (let copies = 0; copies <= dice.int(3); copies++) {
          const { drop, effects } = machine.hear(datagram, time, tip)
          bytesIn += datagram.bytes.length
          if (drop === undefined) heard++
          for (const { bytes: out, to } of sendsIn(effects)) {
            bytesOut += out.length
            expect(to.host).not.toBe(datagram.host)
          }
          expect(bytesOut).toBeLessThanOrEqual(bytesIn)
        }
      }
      expect([heard > 50, bytesOut > 10_000]).toEqual([true, true])
    }
  })

  test("is limited by the second, whoever asks for it", () => {
    const machine = make(1, { fanout: 60 })
    const all = Array.from({ length: 60 }, (_, i) => peer(i + 2))
    meet(machine, ...all)
    const sent = all.map(({ host }, i) => sendsIn(hear(machine, from(host, plain(saying(i + 2)))).effects).length)
    expect(sent.reduce((sum, count) => sum + count)).toBe(gossipPassedBurst)
  })

  test("of strangers waits for bytes: a copy that comes when there are enough goes on; and what may be saved up is bounded", () => {
    const machine = make()
    meet(machine, peer(2))
    const bytes = plain(saying(3))
    const sends = () => sendsIn(hear(machine, from("198.51.100.1", bytes)).effects).length
    // A seal makes it longer than it came.
    expect([sends(), sends(), sends()]).toEqual([0, 1, 0])
    const alone = make()
    for (let i = 0; i < 3_000; i++) alone.hear(from("198.51.100.1", bytes), now + i * 9, tip)
    const credit = (): number => alone.bounds.find(({ of }) => of === "credit")!.used
    for (let i = 0; i < 3_000; i++) alone.hear(from(`198.51.${i >> 8}.${i & 255}`, bytes), now + 27_000, tip)
    expect(credit()).toBe(gossipCreditMax)
  })
})

describe("a flood", () => {
  test("from one address, or from one /64, takes its own allowance; on this machine ports are told apart", () => {
    const count = (hosts: (i: number) => Datagram): number => {
      const machine = make()
      return Array.from({ length: 100 }, (_, i) => hear(machine, hosts(i)).drop).filter(
        (code) => code === "source-too-often"
      ).length
    }
    const junk = new Uint8Array([1, 0])
    expect(count((i) => from("198.51.100.1", junk, i))).toBe(100 - gossipBurst)
    expect(count((i) => from(`2001:db8:0:1::${i.toString(16)}`, junk))).toBe(100 - gossipBurst)
    expect(count((i) => from(`2001:db8:0:${i.toString(16)}::1`, junk))).toBe(0)
    expect(count((i) => from("127.0.0.1", junk, i + 1))).toBe(0)
    expect(count(() => from("127.0.0.1", junk, 1))).toBe(100 - gossipBurst)
  })

  test("from forged addresses costs so many signatures a second, and none of those that peers may ask for", () => {
    const machine = make()
    meet(machine, peer(2))
    const spoiled = (n: number): Uint8Array => {
      const bytes = saying(n)
      bytes[bytes.length - 1]! ^= 1
      return plain(bytes)
    }
    const codes = new Map<string | undefined, number>()
    for (let i = 0; i < 1_000; i++) {
      const { drop } = hear(machine, from(`198.51.${i >> 8}.${i & 255}`, spoiled(300 + (i % 50))))
      codes.set(drop, (codes.get(drop) ?? 0) + 1)
    }
    expect([...codes]).toEqual([
      ["announcement-forged", gossipChecksBurst],
      ["signatures-too-many", 1_000 - gossipChecksBurst]
    ])
    expect(hear(machine, from("192.0.2.2", plain(saying(2)))).drop).toBeUndefined()
    // And who forges a peer's name takes nothing from what comes under a seal.
    meet(machine, peer(2), peer(4))
    for (let i = 0; i < 1_000; i++) hear(machine, from(`198.52.${i >> 8}.${i & 255}`, spoiled(4)))
    expect(hear(machine, from("192.0.2.4", plain(saying(4)))).drop).toBe("signatures-too-many")
    expect(hear(machine, from("192.0.2.4", sealed(4, saying(4)))).drop).toBeUndefined()
    const later = saying(2, { sequence: now + 1_000, time: now + 1_000 })
    const bySeal = () => machine.hear(from("192.0.2.2", sealed(2, later)), now + 1_000, tip).drop
    expect(bySeal()).toBeUndefined()
    const floods = Array.from({ length: 50 }, bySeal)
    expect([floods[0], floods.filter((code) => code === "source-too-often").length]).toEqual([
      "announcement-seen",
      50 + 1 - gossipBurst
    ])
  })

  test("of names and addresses leaves memory bounded, and does not make us forget whom we have met", () => {
    const machine = make(1, { ttlMs: 600_000 })
    meet(machine, peer(2))
    hear(machine, from("192.0.2.2", plain(saying(2))))
    let heard = 0
    const end = now + 20 * (gossipNodesMax + 200)
    for (let i = 0; i < gossipNodesMax + 200; i++) {
      const at = now + i * 20
      const one = from(`10.${i >> 16}.${(i >> 8) & 255}.${i & 255}`, plain(saying(1_000 + i)))
      if (hear(machine, one, at).drop === undefined) heard++
      if (i % 500 === 0) for (const { used, max } of machine.bounds) expect(used).toBeLessThanOrEqual(max)
    }
    expect([heard, machine.known.nodes]).toEqual([gossipNodesMax + 200, gossipNodesMax])
    for (let i = 0; i < gossipSourcesMax + 100; i++)
      hear(machine, from(`11.${i >> 16}.${(i >> 8) & 255}.${i & 255}`, new Uint8Array([1])), end)
    for (const { used, max } of machine.bounds) expect(used).toBeLessThanOrEqual(max)
    // The oldest of them all is still known; the oldest of the made-up ones is not.
    const again = (n: number, host: string) => hear(machine, from(host, plain(saying(n))), end).drop
    expect([again(2, "192.0.2.2"), again(1_000, "10.9.9.9")]).toEqual(["announcement-seen", undefined])
  }, 30_000)

  test("of anyone's bytes never throws", () => {
    const dice = makeDice(9)
    const machine = make()
    meet(machine, peer(2))
    const samples = [plain(saying(3)), sealed(2, saying(2)), plain(saying(2), 255)]
    for (let i = 0; i < 5_000; i++) {
      const bytes = dice.chance(0.5) ? dice.mutate(dice.pick(samples)) : dice.bytes(dice.int(datagramBytesMax + 9))
      machine.hear(from(dice.pick(["", "::", "nonsense", "10.0.0.1", "fe80::1%eth0"]), bytes), now + i * 100, tip)
    }
    expect(machine.bounds.every(({ used, max }) => used <= max)).toBe(true)
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
