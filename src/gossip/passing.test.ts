/** What is passed on for others and what is not, and what a flood can use up: nothing forged sends anything. */
import { describe, expect, test } from "bun:test"
import { toHex } from "../codec/bytes.ts"
import {
  datagramBytesMax,
  gossipBurst,
  gossipChecksBurst,
  gossipCreditMax,
  gossipNodesMax,
  gossipPassedBurst,
  gossipSourcesMax
} from "../limits.ts"
import { makeDice } from "../sim/dice.ts"
import { type Datagram, Gossip, type GossipOptions } from "./machine.ts"
import { makeBox, openPacket } from "./sealed.ts"
import {
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
  tip
} from "../../test/gossip.ts"

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
    expect([again(2, "192.0.2.2"), again(1_000, "10.9.9.9")]).toStrictEqual(["announcement-seen", undefined])
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
