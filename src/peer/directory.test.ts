/** The peer book: only what was proven counts, bans hold both ways, waits grow, everything is bounded, and all outlasts a restart. */
import { describe, expect, test } from "bun:test"
import { type PeerPolicy, peerPolicy } from "../config.ts"
import { anchorsMax, announcedGapMs, directoryPeersMax, manualPeersMax } from "../limits.ts"
import { type Dice, makeDice } from "../sim/dice.ts"
import { type Connected, Directory, type Meeting } from "./directory.ts"

const { banMs } = peerPolicy
const home = "10.0.0.1:19100"
const facts: Meeting = { endpoint: home, agent: "a", remoteHost: "10.0.0.1" }
const nobody: Connected = { nodeIds: new Set(), endpoints: new Set(), groups: new Set() }
const at = { jitter: 0.5, online: true }
const key = new Uint8Array(16).fill(7)

const make = (
  policy: Partial<PeerPolicy> = {},
  seeds: ReadonlyArray<string> = [],
  rows?: ReadonlyMap<string, unknown>
) => new Directory({ key, seeds, policy: { ...peerPolicy, ...policy }, now: 0 }, rows)
/** As after a stop and a start: through JSON. */
const again = (
  directory: Directory,
  seeds: ReadonlyArray<string> = [],
  anchors: ReadonlyArray<string> = []
): Directory =>
  make({}, seeds, new Map([...directory.rows(anchors)].map(([name, row]) => [name, JSON.parse(JSON.stringify(row))])))
/** The same chances in every run. */
const chances = (seed = 1) => {
  let state = seed
  return () => (state = (state * 16_807) % 2_147_483_647) / 2_147_483_647
}
const toDial = (directory: Directory, now: number, connected = nobody, room = 9) =>
  directory.toDial(connected, room, now, chances())

describe("a ban", () => {
  test("is for what a node did, not before and not for ever, and points fade", () => {
    const directory = make()
    directory.meet("node1a", facts, 0)
    expect([directory.punish("node1a", "answer-unasked", 60, 0), directory.isBanned("node1a", 0)]).toEqual([
      false,
      false
    ])
    expect(directory.punish("node1a", "answer-unasked", 40, 0)).toBe(true)
    expect([directory.isBanned("node1a", banMs - 1), directory.isBanned("node1a", banMs)]).toEqual([true, false])
    directory.meet("node1b", { ...facts, endpoint: undefined }, 0)
    directory.punish("node1b", "x", 99, 0)
    expect(directory.punish("node1b", "x", 50, 60 * 60_000)).toBe(false)
  })

  test("keeps it out whichever way it comes, over meetings, hearsay and restarts", () => {
    const directory = make({}, [home])
    directory.meet("node1a", { ...facts, dialled: home }, 0)
    expect(toDial(directory, 1)).toEqual([home])
    directory.punish("node1a", "seal-wrong", 100, 1)
    directory.learn(home, "10.0.0.9", 1)
    expect([toDial(directory, 2), directory.isUnwelcome("node1a", "10.0.0.1", 2)]).toEqual([[], true])
    const restarted = again(directory)
    expect([restarted.isBanned("node1a", 2), restarted.find("node1a")!.banReason]).toEqual([true, "seal-wrong"])
    expect(toDial(directory, 2 + banMs)).toEqual([home])
  })

  test("keeps strangers of its host out as well, but not whom we know there, nor the network of one's own", () => {
    const directory = make()
    directory.meet("node1bad", { ...facts, endpoint: undefined, remoteHost: "45.1.2.3" }, 0)
    directory.meet("node1good", { ...facts, endpoint: undefined, remoteHost: "45.1.2.3" }, 0)
    directory.meet("node1near", { ...facts, endpoint: undefined }, 0)
    for (const one of ["node1bad", "node1near"]) directory.punish(one, "seal-wrong", 100, 0)
    const unwelcome = (id: string, host: string, now = 1) => directory.isUnwelcome(id, host, now)
    expect([
      unwelcome("node1new", "45.1.2.3"),
      unwelcome("node1new", "::ffff:45.1.2.3"),
      unwelcome("node1good", "45.1.2.3"),
      unwelcome("node1new", "45.1.2.4"),
      unwelcome("node1new", "10.0.0.1"),
      unwelcome("node1new", "45.1.2.3", banMs)
    ]).toEqual([true, true, false, false, false, false])
    directory.ban("node1manual", { ms: 1_000, reason: undefined }, 0)
    expect(unwelcome("node1manual", "1.2.3.4")).toBe(true)
  })

  test("by hand is for whom we never met too, and is lifted with the waits of its endpoints", () => {
    const directory = make()
    directory.ban("node1a", { ms: 5_000, reason: "spam" }, 0)
    expect(again(directory).isBanned("node1a", 4_999)).toBe(true)
    directory.meet("node1b", { ...facts, dialled: undefined }, 0)
    directory.found(home, "node1b", 0)
    directory.failed(home, "refused", 0, at)
    directory.ban("node1b", { ms: 5_000, reason: undefined }, 0)
    expect(toDial(directory, 10)).toEqual([])
    expect([directory.unban("node1b"), directory.unban("node1c"), toDial(directory, 10)]).toEqual([true, false, [home]])
  })
})

/** What others say or the world does, of which nothing is proof of what a node did. */
const rumour = (directory: Directory, dice: Dice, now: number): void => {
  const endpoint = dice.pick([home, "45.1.2.3:1", "10.0.0.1:1", "nowhere"])
  const others = [
    () => directory.learn(endpoint, dice.pick(["10.0.0.1", "45.9.9.9", "127.0.0.1", "", undefined]), now),
    () => directory.add(endpoint, now),
    () => directory.failed(endpoint === home ? "45.1.2.3:1" : endpoint, "refused", now, at),
    () => directory.ended(endpoint, dice.int(100_000), "left", now, 0.5),
    () => directory.punish("node1nobody", "seal-wrong", dice.int(500), now),
    () => directory.prune(now),
    () => directory.advertised({ host: dice.pick(["45.9.9.9", undefined]), max: 9 }, now, chances()),
    () => directory.ban("node1other", { ms: 1_000, reason: undefined }, now),
    // Another node, which says that it is where ours is; it may even speak from there.
    () => directory.meet("node1other", { ...facts, endpoint, remoteHost: dice.pick(["45.9.9.9", "10.0.0.1"]) }, now),
    () => directory.punish("node1other", "x", dice.int(500), now)
  ]
  dice.pick(others)()
}

test("only its own deeds change what a node is worth, whatever else is said or happens (defect 5)", () => {
  for (let seed = 0; seed < 300; seed++) {
    const dice = makeDice(seed)
    const directory = make()
    directory.meet("node1a", { ...facts, dialled: home }, 0)
    if (dice.chance(0.5)) directory.punish("node1a", "seal-wrong", 100, 0)
    const worth = () => {
      const { score, points, bannedUntil, banReason, successCount, failureCount } = directory.find("node1a")!
      return { score, points, bannedUntil, banReason, successCount, failureCount }
    }
    const before = worth()
    for (let now = 0; now < 60; now++) {
      rumour(directory, dice, now)
      expect(worth()).toEqual(before)
    }
  }
})

describe("the score", () => {
  test("rises by ten a session, not oftener than each minute, and falls by twenty for a look in vain or an offence", () => {
    const directory = make({ failuresMax: 1_000 })
    const meet = (now: number) => directory.meet("node1a", { ...facts, dialled: home }, now).score
    expect([meet(0), meet(1_000), meet(61_000)]).toEqual([10, 10, 20])
    directory.punish("node1a", "x", 1, 61_000)
    expect(directory.find("node1a")!.score).toBe(0)
    directory.failed(home, "refused", 61_000, at)
    expect(directory.find("node1a")).toMatchObject({
      score: -20,
      failureCount: 2,
      successCount: 3,
      lastError: "refused"
    })
    for (let i = 0; i < 200; i++) meet(i * 60_000 + 122_000)
    expect(directory.find("node1a")!.score).toBe(1_000)
    for (let i = 0; i < 200; i++) directory.punish("node1a", "x", 0, 1e9)
    expect(directory.find("node1a")!.score).toBe(-1_000)
  })
})

test("a dial in vain to where a node only says that it is costs it nothing", () => {
  const directory = make()
  directory.meet("node1a", facts, 0)
  directory.failed(home, "refused", 1, at)
  expect(directory.find("node1a")).toMatchObject({ score: 10, failureCount: 0 })
})

describe("an endpoint", () => {
  test("waits longer after each failure, at most five minutes, spread by a quarter to either side, and begins anew", () => {
    const seed = "10.0.0.9:1"
    const directory = make({}, [seed])
    const waits: Array<number> = []
    let now = 0
    for (let i = 0; i < 12; i++) {
      directory.failed(seed, "refused", now, at)
      let wait = 0
      while (toDial(directory, now + wait).length === 0) wait += 250
      waits.push(wait)
      now += wait
    }
    expect(waits.slice(0, 5)).toEqual([1000, 2000, 4000, 8000, 16_000])
    expect(Math.max(...waits)).toBe(300_000)
    directory.ended(seed, 60_000, "left", now, 0)
    expect([toDial(directory, now + 749), toDial(directory, now + 750)]).toEqual([[], [seed]])
    directory.ended(seed, 0, "left", now, 1)
    // It left as soon as it had come: that is the second time now.
    expect([toDial(directory, now + 2_499), toDial(directory, now + 2_500)]).toEqual([[], [seed]])
  })

  test("rests as long as a ban after so many failures in a row, unless it is the operator's or our own line is down", () => {
    const fail = (directory: Directory, endpoint: string, online: boolean) => {
      for (let i = 0; i < peerPolicy.failuresMax; i++) directory.failed(endpoint, "refused", 0, { jitter: 0.5, online })
      return directory.placeOf(endpoint)!.nextAt
    }
    const known = () => {
      const directory = make({}, ["10.0.0.9:1"])
      directory.meet("node1a", { ...facts, dialled: home }, 0)
      directory.found(home, "node1a", 0)
      return directory
    }
    expect([fail(known(), home, true), fail(known(), home, false), fail(known(), "10.0.0.9:1", true)]).toEqual([
      banMs,
      16_000,
      16_000
    ])
    const directory = known()
    fail(directory, home, true)
    // It has come by itself, so it is there; a ban for what it did would have kept it out.
    expect(directory.isUnwelcome("node1a", "10.0.0.1", 1)).toBe(false)
    directory.meet("node1a", facts, 1_000)
    expect(toDial(directory, 1_000, { ...nobody, endpoints: new Set(["10.0.0.9:1"]) })).toEqual([home])
  })

  test("that rests is tried again when its node announces it, not too often; nobody else's word, no ban, no score ends by that", () => {
    const known = () => {
      const directory = make()
      directory.meet("node1a", { ...facts, dialled: home }, 0)
      directory.found(home, "node1a", 0)
      return directory
    }
    const gap = announcedGapMs
    const other: Connected = { ...nobody, groups: new Set(["of another"]) }
    const directory = known()
    directory.dialling(home, 0)
    directory.failed(home, "refused", 0, at)
    // A shorter wait stands.
    expect([directory.announced(home, "node1a", 500), toDial(directory, 500, other)]).toEqual([false, []])
    for (let i = 1; i < peerPolicy.failuresMax; i++) directory.failed(home, "refused", 0, at)
    const before = structuredClone(directory.find("node1a"))
    const told = [
      [home, "node1b", gap],
      ["10.0.0.1:2", "node1a", gap],
      [home, "node1a", gap - 1]
    ] as const
    for (const [endpoint, nodeId, now] of told) {
      expect(directory.announced(endpoint, nodeId, now)).toBe(false)
      expect(toDial(directory, now, other)).toEqual([])
    }
    expect([directory.announced(home, "node1a", gap), toDial(directory, gap, other)]).toEqual([true, [home]])
    expect(directory.find("node1a")).toEqual(before!)
    directory.dialling(home, gap)
    directory.failed(home, "refused", gap, at)
    expect([directory.announced(home, "node1a", 2 * gap - 1), directory.announced(home, "node1a", 2 * gap)]).toEqual([
      false,
      true
    ])
    const banned = known()
    for (let i = 0; i < peerPolicy.failuresMax; i++) banned.failed(home, "refused", 0, at)
    banned.ban("node1a", { ms: banMs, reason: undefined }, 0)
    expect([banned.announced(home, "node1a", gap), banned.isBanned("node1a", gap)]).toEqual([false, true])
    expect(toDial(banned, gap, other)).toEqual([])
  })

  test("that rests is tried again when nobody else is left", () => {
    const directory = make()
    directory.meet("node1a", facts, 0)
    directory.found(home, "node1a", 0)
    directory.dialling(home, 0)
    for (let i = 0; i < 5; i++) directory.failed(home, "refused", 0, at)
    expect([toDial(directory, 299_999), toDial(directory, 300_000)]).toEqual([[], [home]])
    directory.learn("10.0.0.2:1", "10.0.0.9", 300_000)
    expect(toDial(directory, 300_000)).toEqual(["10.0.0.2:1"])
  })

  test("is dialled by whose it is: the operator's first, then those dialled before, no two of one network", () => {
    const directory = make({}, ["45.1.0.1:1"])
    for (const endpoint of ["45.2.0.1:1", "45.2.9.9:1", "45.3.0.1:1"]) {
      directory.learn(endpoint, "45.99.0.1", 0)
      directory.found(endpoint, `node1${endpoint}`, 0)
    }
    directory.add("45.1.7.7:1", 0)
    const restarted = again(directory, ["45.1.0.1:1"], ["45.3.0.1:1"])
    const dials = toDial(restarted, 10)
    expect(dials.slice(0, 3)).toEqual(["45.1.0.1:1", "45.1.7.7:1", "45.3.0.1:1"])
    expect(dials.slice(3).map((one) => one.slice(0, 5))).toEqual(["45.2."])
    // Once: a peer that brings us down does not do so at each start.
    expect(toDial(restarted, 10, { ...nobody, groups: new Set(["45.3.0.0/16"]) })).not.toContain("45.3.0.1:1")
    expect(toDial(directory, 10, { ...nobody, groups: new Set(["45.2.0.0/16", "45.3.0.0/16"]) })).toHaveLength(2)
  })

  test("that only others have named is dialled only if the operator lets it, and only if its host is on the list", () => {
    const heard = ["45.2.0.1:1", "45.3.0.1:1", "45.4.0.1:1"]
    const dialsOf = (policy: Partial<PeerPolicy>) => {
      const directory = make(policy, ["10.0.0.9:1"])
      for (const endpoint of heard) directory.learn(endpoint, "45.99.0.1", 0)
      return toDial(directory, 1).length
    }
    expect([
      dialsOf({}),
      dialsOf({ dialDiscovered: false }),
      dialsOf({ allowedHosts: ["45.2.0.1", "10.0.0.9"] })
    ]).toEqual([4, 1, 2])
    expect(make({ allowedHosts: ["a"] }).add("45.2.0.1:1", 0)).toBe("not-allowed")
  })

  test("inside is not believed from outside, and what is none is not either", () => {
    const directory = make()
    const learn = (endpoint: string, from: string | undefined) => directory.learn(endpoint, from, 0)
    expect([
      learn("10.0.0.5:1", "45.1.1.1"),
      learn("127.0.0.1:1", "10.0.0.1"),
      learn("127.0.0.1:1", "127.0.0.1"),
      learn("10.0.0.5:1", undefined),
      learn("nonsense", undefined),
      learn("45.1.1.1:1", "45.1.1.1")
    ]).toEqual(["invalid", "invalid", "added", "added", "invalid", "added"])
    directory.meet("node1a", { endpoint: "10.0.0.6:1", agent: "", remoteHost: "45.1.1.1" }, 0)
    expect(directory.placeOf("10.0.0.6:1")).toBeUndefined()
  })

  test("that a node claims from elsewhere is not taken for its own: nobody keeps us from another by claiming its place", () => {
    const directory = make()
    const victim = "45.7.7.7:1"
    directory.meet("node1x", { endpoint: victim, agent: "", remoteHost: "45.1.1.1" }, 0)
    const connected = { ...nobody, nodeIds: new Set(["node1x"]) }
    expect(toDial(directory, 1, connected)).toEqual([victim])
    expect(directory.advertised({ host: undefined, max: 9 }, 1, chances())).toEqual([])
  })
})

describe("others are told", () => {
  test("of nodes that were met and listen where they are, not of who asks, of the banned, or of places inside", () => {
    const directory = make()
    const near = { ...facts, endpoint: "10.0.0.2:1", remoteHost: "10.0.0.2" }
    directory.meet("node1a", { ...facts, tlsFingerprint: "ab".repeat(32) }, 0)
    directory.meet("node1b", { ...facts, endpoint: undefined }, 0)
    directory.meet("node1c", near, 0)
    directory.meet("node1far", { ...facts, endpoint: "45.1.1.1:1", remoteHost: "45.1.1.1" }, 0)
    const told = (except: string | undefined, host: string | undefined, max = 9) =>
      directory
        .advertised({ except, host, max }, 1, chances())
        .map(({ nodeId }) => nodeId)
        .sort()
    expect(told("node1c", "10.0.0.9")).toEqual(["node1a", "node1far"])
    expect(told(near.endpoint, "10.0.0.9")).toEqual(["node1a", "node1far"])
    expect(told(undefined, "45.2.2.2")).toEqual(["node1far"])
    expect(told(undefined, undefined, 2)).toHaveLength(2)
    directory.punish("node1a", "seal-wrong", 100, 0)
    expect(told(undefined, undefined)).toEqual(["node1c", "node1far"])
    expect(make({ advertisedMax: 0 }).advertised({ host: undefined, max: 9 }, 1, chances())).toEqual([])
  })
})

describe("the book", () => {
  test("stays within its bounds, and keeps the banned and those that were found longest", () => {
    const directory = make()
    directory.meet("node1bad", { ...facts, endpoint: undefined }, 0)
    directory.punish("node1bad", "seal-wrong", 100, 0)
    directory.meet("node1found", { ...facts, dialled: home }, 0)
    directory.found(home, "node1found", 0)
    for (let i = 0; i < directoryPeersMax + 50; i++)
      directory.meet(`node1n${i}`, { ...facts, endpoint: undefined, remoteHost: `45.0.${i >> 8}.${i & 255}` }, i)
    expect([directory.all.length, directory.isBanned("node1bad", 1), directory.find("node1found")?.endpoint]).toEqual([
      directoryPeersMax,
      true,
      home
    ])
    for (let i = 0; i < 6_000; i++) directory.learn(`45.${i >> 8}.${i & 255}.1:1`, `46.${i % 97}.0.1`, i)
    for (const { used, max } of directory.bounds) expect(used).toBeLessThanOrEqual(max)
  })

  test("takes what the operator adds, up to a limit, and forgets it when told to; a seed stays", () => {
    const directory = make({}, ["10.0.0.9:1"])
    expect([directory.add("10.0.0.2:1", 0), directory.add("10.0.0.2:1", 0), directory.add("10.0.0.9:1", 0)]).toEqual([
      "added",
      "known",
      "known"
    ])
    expect(directory.add("x", 0)).toBe("invalid")
    expect(toDial(again(directory), 0)).toEqual(["10.0.0.2:1"])
    for (let i = 1; i < manualPeersMax; i++) directory.add(`10.0.1.1:${i}`, 0)
    expect(directory.add("10.0.0.3:1", 0)).toBe("full")
    expect([directory.remove("10.0.0.2:1"), directory.remove("10.0.0.9:1"), directory.add("10.0.0.3:1", 0)]).toEqual([
      true,
      false,
      "added"
    ])
    directory.meet("node1a", facts, 0)
    expect([directory.remove("node1a"), directory.find("node1a"), directory.placeOf(home)]).toEqual([
      true,
      undefined,
      undefined
    ])
  })

  test("outlasts a restart as it is, its buckets too, and reads what an older program left", () => {
    const directory = make()
    directory.meet("node1a", { ...facts, capabilities: ["x"], gossipKey: "ab", nodeUrl: "https://a" }, 5)
    directory.punish("node1a", "answer-unasked", 60, 5)
    directory.found(home, "node1a", 5)
    directory.learn("45.1.1.1:1", "45.2.2.2", 6)
    const other = new Directory({ key: new Uint8Array(16), seeds: [], policy: peerPolicy, now: 9 }, directory.rows([]))
    expect([other.find("node1a"), other.places, other.key]).toEqual([
      directory.find("node1a"),
      directory.places,
      directory.key
    ])
    expect(again(directory).punish("node1a", "answer-unasked", 40, 5)).toBe(true)
    const old = {
      nodeId: "node1old",
      endpoint: home,
      agent: "cairn/0",
      height: 3,
      points: 60,
      pointsAt: 1,
      lastSeenAt: 2
    }
    const rows = new Map<string, unknown>([
      ["node1old", old],
      ["node1broken", { nodeId: 5 }],
      ["@x", { endpoint: "x", source: "inbound", table: "new" }],
      ["#anchors", "x"],
      ["junk", null]
    ])
    const upgraded = make({}, [], rows)
    expect(upgraded.all).toHaveLength(1)
    expect(upgraded.find("node1old")).toMatchObject({ ...old, source: "inbound", discoveredAt: 2, score: 0 })
    expect(toDial(upgraded, 9)).toEqual([home])
  })

  test("keeps a few endpoints to be dialled first, and no more", () => {
    const many = Array.from({ length: 9 }, (_, i) => `10.0.0.${i}:1`)
    expect(make().rows(many).get("#anchors")).toEqual(many.slice(0, anchorsMax))
  })
})
