/** What nodes know of each other: only what was proven counts, bans hold both ways, backoff grows, everything is bounded. */
import { describe, expect, test } from "bun:test"
import { banMs, directoryPeersMax, outboundSessionsMax, sessionsMax, sessionsPerIpMax } from "../limits.ts"
import { type Candidate, checkAdmission } from "./admission.ts"
import { Directory } from "./directory.ts"

const facts = { endpoint: "10.0.0.1:19100", agent: "a" }
const nobody = { nodeIds: new Set<string>(), endpoints: new Set<string>() }

describe("the directory", () => {
  test("bans a node for what it did, not before and not for ever", () => {
    const directory = new Directory([])
    directory.meet("node1a", facts, 0)
    expect([directory.punish("node1a", "answer-unasked", 60, 0), directory.isBanned("node1a", 0)]).toEqual([
      false,
      false
    ])
    expect(directory.punish("node1a", "answer-unasked", 40, 0)).toBe(true)
    expect([directory.isBanned("node1a", banMs - 1), directory.isBanned("node1a", banMs)]).toEqual([true, false])
  })

  test("lets points fade", () => {
    const directory = new Directory([])
    directory.meet("node1a", facts, 0)
    directory.punish("node1a", "x", 99, 0)
    expect(directory.punish("node1a", "x", 50, 60 * 60_000)).toBe(false)
  })

  test("changes the score of nobody it has not met, and no word of others lifts a ban (defect 5)", () => {
    const directory = new Directory([])
    expect(directory.punish("node1stranger", "seal-wrong", 1000, 0)).toBe(false)
    directory.meet("node1a", facts, 0)
    directory.punish("node1a", "seal-wrong", 100, 0)
    directory.learn(facts.endpoint, "node1a")
    expect(directory.isBanned("node1a", 1)).toBe(true)
    expect(directory.toDial(nobody, 9, 1)).toEqual([])
  })

  test("waits longer after each failure, at most five minutes, and begins anew after a success", () => {
    const directory = new Directory(["10.0.0.9:1"])
    const waits: Array<number> = []
    let now = 0
    for (let i = 0; i < 12; i++) {
      directory.failed("10.0.0.9:1", "refused", now, 0.5)
      let wait = 0
      while (directory.toDial(nobody, 1, now + wait).length === 0) wait += 250
      waits.push(wait)
      now += wait
    }
    expect(waits.slice(0, 5)).toEqual([1000, 2000, 4000, 8000, 16000])
    expect(Math.max(...waits)).toBe(300_000)
    directory.succeeded("10.0.0.9:1")
    directory.failed("10.0.0.9:1", "refused", now, 0.5)
    expect(directory.toDial(nobody, 1, now + 1000)).toEqual(["10.0.0.9:1"])
  })

  test("stays within its bound, and keeps the banned over eviction and restart", () => {
    const directory = new Directory([])
    directory.meet("node1bad", { ...facts, endpoint: undefined }, 0)
    directory.punish("node1bad", "seal-wrong", 100, 0)
    for (let i = 0; i < directoryPeersMax + 50; i++)
      directory.meet(`node1n${i}`, { endpoint: `10.0.${i >> 8}.${i & 255}:1`, agent: "a" }, i)
    expect(directory.all.length).toBe(directoryPeersMax)
    expect(new Directory([], directory.all).isBanned("node1bad", 1000)).toBe(true)
  })

  test("tells others only of nodes that listen, without what we observed", () => {
    const directory = new Directory([])
    directory.meet("node1a", facts, 0)
    directory.meet("node1b", { endpoint: undefined, agent: "b" }, 0)
    expect(directory.advertised("node1c", 9)).toEqual([{ nodeId: "node1a", endpoint: facts.endpoint }])
    expect(directory.advertised("node1a", 9)).toEqual([])
  })

  test("refuses the banned both ways: it is not let in, and not dialled where it was found", () => {
    const directory = new Directory(["10.0.0.1:19100"])
    directory.meet("node1a", { ...facts, dialled: facts.endpoint }, 0)
    expect(directory.toDial(nobody, 9, 1)).toEqual([facts.endpoint])
    directory.punish("node1a", "seal-wrong", 100, 1)
    expect(directory.toDial(nobody, 9, 2)).toEqual([])
    for (const direction of ["inbound", "outbound"] as const) {
      const candidate = { nodeId: "node1a", host: "10.0.0.1", direction }
      const banned = directory.isBanned("node1a", 2)
      expect(checkAdmission(candidate, [], { ourId: "node1m", banned, sessionsMax })).toEqual({ reject: "banned" })
    }
    expect(directory.toDial(nobody, 9, 1 + banMs)).toEqual([facts.endpoint])
  })

  test("a ban outlasts meeting again and hearsay, and points outlast a restart", () => {
    const directory = new Directory([])
    directory.meet("node1a", facts, 0)
    directory.meet("node1b", { ...facts, endpoint: "10.0.0.2:1" }, 0)
    directory.punish("node1a", "seal-wrong", 100, 0)
    directory.punish("node1b", "answer-unasked", 60, 0)
    directory.meet("node1a", facts, 1)
    directory.learn(facts.endpoint, "node1c")
    const restarted = new Directory([], directory.all)
    expect([restarted.isBanned("node1a", 2), restarted.isBanned("node1b", 2)]).toEqual([true, false])
    expect(restarted.toDial(nobody, 9, 2)).toEqual(["10.0.0.2:1"])
    expect(restarted.punish("node1b", "answer-unasked", 40, 2)).toBe(true)
  })

  test("spreads the wait by the jitter, a quarter to either side", () => {
    const waitOf = (jitter: number): number => {
      const directory = new Directory(["10.0.0.9:1"])
      directory.failed("10.0.0.9:1", "refused", 0, jitter)
      return directory.cooldownOf("10.0.0.9:1", 0)!
    }
    expect([0, 0.5, 1].map(waitOf)).toEqual([750, 1000, 1250])
  })

  test("bounds what it would dial, whatever peers tell it of, and keeps its seeds", () => {
    const directory = new Directory(["10.9.9.9:1"])
    for (let i = 0; i < 2 * directoryPeersMax; i++) directory.learn(`10.0.${i >> 8}.${i & 255}:1`, undefined)
    const dials = directory.toDial(nobody, 1e9, 0)
    expect([dials.length, dials[0]]).toEqual([directoryPeersMax, "10.9.9.9:1"])
  })
})

describe("admission", () => {
  const candidate = (nodeId: string, overrides: Partial<Candidate> = {}): Candidate => ({
    nodeId,
    host: "10.0.0.1",
    direction: "inbound",
    ...overrides
  })
  const ours = { ourId: "node1m", banned: false, sessionsMax }

  test("of two sessions between the same nodes both sides keep the one that the lesser id dialled", () => {
    for (const [low, high] of [
      ["node1a", "node1m"],
      ["node1m", "node1z"]
    ] as const) {
      const verdict = (ourId: string, otherId: string, first: Candidate["direction"]): string => {
        const old = candidate(otherId, { direction: first })
        const outcome = checkAdmission(
          candidate(otherId, { direction: first === "inbound" ? "outbound" : "inbound" }),
          [old],
          { ourId, banned: false, sessionsMax }
        )
        const keepsNew = "replaces" in outcome
        const kept = keepsNew ? (first === "inbound" ? "outbound" : "inbound") : first
        return kept === "outbound" ? ourId : otherId
      }
      for (const first of ["inbound", "outbound"] as const) {
        expect([verdict(low, high, first), verdict(high, low, first === "inbound" ? "outbound" : "inbound")]).toEqual([
          low,
          low
        ])
      }
    }
  })

  test("refuses the banned, the third of a kind too many, and too many from one address", () => {
    const many = (count: number, overrides: (i: number) => Partial<Candidate>) =>
      Array.from({ length: count }, (_, i) => candidate(`node1x${i}`, overrides(i)))
    const reject = (sessions: ReadonlyArray<Candidate>, one = candidate("node1q")) => {
      const outcome = checkAdmission(one, sessions, ours)
      return "reject" in outcome ? outcome.reject : "admitted"
    }
    expect(checkAdmission(candidate("node1q"), [], { ...ours, banned: true })).toEqual({ reject: "banned" })
    expect(reject(many(sessionsMax, (i) => ({ host: `10.0.1.${i}` })))).toBe("sessions-full")
    const two = many(2, (i) => ({ host: `10.0.1.${i}` }))
    expect(checkAdmission(candidate("node1q"), two, { ...ours, sessionsMax: 2 })).toEqual({ reject: "sessions-full" })
    expect(checkAdmission(candidate("node1q"), two, { ...ours, sessionsMax: 3 })).toEqual({ replaces: undefined })
    const outbound = many(outboundSessionsMax, (i) => ({ host: `10.0.1.${i}`, direction: "outbound" }))
    expect(reject(outbound, candidate("node1q", { direction: "outbound" }))).toBe("outbound-full")
    expect(reject(outbound)).toBe("admitted")
    expect(reject(many(sessionsPerIpMax, () => ({})))).toBe("address-full")
    expect(
      reject(
        many(sessionsPerIpMax + 5, () => ({ host: "127.0.0.1" })),
        candidate("node1q", { host: "127.0.0.1" })
      )
    ).toBe("admitted")
  })
})

test("an endpoint that is named is dialled once; what we know already, and what finds no room, is said", () => {
  const directory = new Directory(["127.0.0.1:1"])
  expect([directory.add("127.0.0.1:2"), directory.add("127.0.0.1:2"), directory.add("127.0.0.1:1")]).toEqual([
    "added",
    "known",
    "known"
  ])
  expect(directory.toDial({ nodeIds: new Set(), endpoints: new Set() }, 8, 0)).toEqual(["127.0.0.1:1", "127.0.0.1:2"])
  for (let port = 3; port < 2_000; port++) directory.add(`127.0.0.1:${port}`)
  expect([directory.add("127.0.0.1:5000"), directory.bounds[1]!.used]).toEqual(["full", directoryPeersMax])
})
