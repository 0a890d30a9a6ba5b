/** Who may come in, and whose place a newcomer gets. */
import { describe, expect, test } from "bun:test"
import { peerPolicy } from "../config.ts"
import { sipKey } from "../crypto/siphash.ts"
import { outboundSessionsMax, sessionsMax } from "../limits.ts"
import { makeDice } from "../sim/dice.ts"
import { type Admitting, type Candidate, checkAdmission, groupsOf, outboundKept } from "./admission.ts"
import { chooseEviction } from "./eviction.ts"

const candidate = (nodeId: string, overrides: Partial<Candidate> = {}): Candidate => ({
  nodeId,
  host: "10.0.0.1",
  direction: "inbound",
  dialled: undefined,
  endpoint: undefined,
  isOwn: false,
  since: 0,
  latencyMs: undefined,
  lastBlockAt: undefined,
  lastTransactionAt: undefined,
  ...overrides
})
const key = sipKey(new Uint8Array(16))
const ours: Admitting = { ourId: "node1m", banned: false, sessionsMax, policy: peerPolicy, key }
const many = (count: number, overrides: (i: number) => Partial<Candidate>) =>
  Array.from({ length: count }, (_, i) => candidate(`node1x${i}`, overrides(i)))
const verdict = (sessions: ReadonlyArray<Candidate>, one: Candidate, facts: Partial<Admitting> = {}) => {
  const outcome = checkAdmission(one, sessions, { ...ours, ...facts })
  return "reject" in outcome ? outcome.reject : (outcome.evicts ?? outcome.replaces)?.nodeId
}

describe("admission", () => {
  test("of two sessions between the same nodes lets both sides keep the one that the lesser id dialled", () => {
    for (const [low, high] of [
      ["node1a", "node1m"],
      ["node1m", "node1z"]
    ] as const) {
      const kept = (ourId: string, otherId: string, first: Candidate["direction"]): string => {
        const second = first === "inbound" ? "outbound" : "inbound"
        const old = candidate(otherId, { direction: first })
        const outcome = checkAdmission(candidate(otherId, { direction: second }), [old], { ...ours, ourId })
        return ("replaces" in outcome ? second : first) === "outbound" ? ourId : otherId
      }
      for (const first of ["inbound", "outbound"] as const) {
        expect([kept(low, high, first), kept(high, low, first === "inbound" ? "outbound" : "inbound")]).toEqual([
          low,
          low
        ])
      }
    }
  })

  test("keeps places for those that we dial, and lets us dial no more than so many", () => {
    expect([64, 16, 8, 3, 1].map(outboundKept)).toEqual([12, 4, 2, 0, 0])
    const near = many(sessionsMax, (i) => ({ host: `10.0.1.${i}` }))
    const newcomer = candidate("node1q")
    expect(verdict(near.slice(0, 2), newcomer, { sessionsMax: 2 })).toBe("sessions-full")
    expect(verdict(near.slice(0, 2), newcomer, { sessionsMax: 3 })).toBeUndefined()
    expect(verdict(near.slice(0, 3), newcomer, { sessionsMax: 4 })).toBe("sessions-full")
    expect(
      verdict(near.slice(0, 3), candidate("node1q", { direction: "outbound" }), { sessionsMax: 4 })
    ).toBeUndefined()
    const outbound = near.slice(0, outboundSessionsMax).map((one) => ({ ...one, direction: "outbound" as const }))
    expect(verdict(outbound, candidate("node1q", { direction: "outbound" }))).toBe("outbound-full")
    expect(verdict(outbound, newcomer)).toBeUndefined()
  })

  test("counts sessions by address and by network, where those say anything of who owns them", () => {
    const { perIpMax, perSubnetMax } = peerPolicy
    const at = (host: string, more: Partial<Candidate> = {}) => candidate("node1q", { host, ...more })
    expect(
      verdict(
        many(perIpMax, () => ({ host: "45.1.1.1" })),
        at("::ffff:45.1.1.1")
      )
    ).toBe("address-full")
    expect(
      verdict(
        many(perIpMax, () => ({ host: "2a02::1" })),
        at("2a02::ffff")
      )
    ).toBe("address-full")
    expect(
      verdict(
        many(perSubnetMax, (i) => ({ host: `45.1.1.${i}` })),
        at("45.1.1.99")
      )
    ).toBe("subnet-full")
    expect(
      verdict(
        many(perSubnetMax, (i) => ({ host: `2a02:0:1:${i}::1` })),
        at("2a02:0:1:99::1")
      )
    ).toBe("subnet-full")
    expect(
      verdict(
        many(perSubnetMax, (i) => ({ host: `45.1.1.${i}` })),
        at("45.1.1.99", { isOwn: true })
      )
    ).toBeUndefined()
    expect(
      verdict(
        many(perSubnetMax, (i) => ({ host: `45.1.1.${i}` })),
        at("45.1.2.99")
      )
    ).toBeUndefined()
    expect(
      verdict(
        many(20, (i) => ({ host: `10.0.0.${i}` })),
        at("10.0.0.99")
      )
    ).toBeUndefined()
    expect(
      verdict(
        many(perIpMax, () => ({ host: "10.0.0.9" })),
        at("10.0.0.9")
      )
    ).toBe("address-full")
    for (const host of ["127.0.0.1", "::1"])
      expect(
        verdict(
          many(20, () => ({ host })),
          at(host)
        )
      ).toBeUndefined()
  })

  test("dials no two of one network, but for the operator", () => {
    const out = { direction: "outbound" as const, dialled: "45.1.1.1:1" }
    const one = many(1, () => ({ ...out, host: "45.1.1.1" }))
    const other = (host: string, more = {}) => candidate("node1q", { ...out, host, ...more })
    expect(verdict(one, other("45.1.2.2"))).toBe("network-taken")
    expect([verdict(one, other("45.2.2.2")), verdict(one, other("45.1.2.2", { isOwn: true }))]).toEqual([
      undefined,
      undefined
    ])
    expect([...groupsOf([...one, candidate("node1i", { host: "46.1.1.1" })])]).toEqual(["45.1.0.0/16"])
  })

  test("refuses the banned, and who is on no list of the operator's", () => {
    expect(verdict([], candidate("node1q"), { banned: true })).toBe("banned")
    const policy = { ...peerPolicy, allowedIds: ["node1a"], allowedHosts: ["Node-A.example.com:19100", "10.0.0.1"] }
    const seen = (id: string, more: Partial<Candidate>) => verdict([], candidate(id, more), { policy })
    expect([
      seen("node1b", {}),
      seen("node1a", {}),
      seen("node1a", { host: "10.0.0.2" }),
      seen("node1a", { host: "45.1.1.1", dialled: "node-a.example.com:19100", direction: "outbound" }),
      seen("node1a", { host: "45.1.1.1", endpoint: "node-a.example.com:19100" }),
      seen("node1a", { host: "45.1.1.1", endpoint: "node-a.example.com:19101" })
    ]).toEqual(["id-not-allowed", undefined, "host-not-allowed", undefined, undefined, "host-not-allowed"])
  })
})

describe("a full house", () => {
  /** 30 of a crowd in one network, newest last, and ten of ten networks that have something to say for themselves. */
  const crowd = many(30, (i) => ({ host: `45.1.${i}.1`, since: 10_000 + i }))
  const useful = Array.from({ length: 10 }, (_, i) =>
    candidate(`node1u${i}`, { host: `46.${i}.1.1`, since: 5_000 + i })
  )

  test("gives the place of the youngest of the largest network, never that of the operator's peer", () => {
    const inbound = [...crowd, ...useful]
    const full = { sessionsMax: 52 }
    expect(outboundKept(52)).toBe(12)
    expect(verdict(inbound, candidate("node1q", { host: "47.1.1.1" }), full)).toBe("node1x29")
    const own = inbound.map((one) => (one.nodeId === "node1x29" ? { ...one, isOwn: true } : one))
    expect(verdict(own, candidate("node1q", { host: "47.1.1.1" }), full)).toBe("node1x28")
  })

  test("keeps whoever is near, gave blocks or transactions lately, or is here for long", () => {
    const kept = (merit: Partial<Candidate>) => {
      const crowded = crowd.map((one) => (one.nodeId === "node1x29" ? { ...one, ...merit } : one))
      return chooseEviction([...crowded, ...useful], key)?.nodeId !== "node1x29"
    }
    expect([
      kept({}),
      kept({ latencyMs: 3 }),
      kept({ lastBlockAt: 5 }),
      kept({ lastTransactionAt: 5 }),
      kept({ since: 0 })
    ]).toEqual([false, true, true, true, true])
  })

  test("cannot be emptied of honest peers by newcomers of one network, whatever they wait for", () => {
    for (let seed = 0; seed < 4; seed++) {
      const dice = makeDice(seed)
      let inbound: ReadonlyArray<Candidate> = Array.from({ length: 40 }, (_, i) =>
        candidate(`node1u${i}`, { host: `46.${i}.1.1`, since: dice.int(1_000), latencyMs: 20 + dice.int(200) })
      )
      for (let i = 0; i < 150; i++) {
        const gone = chooseEviction(inbound, key)
        const newcomer = candidate(`node1x${i}`, { host: `45.1.${i & 255}.1`, since: 2_000 + i, latencyMs: 30 })
        inbound = [...inbound.filter((one) => one !== gone), newcomer]
      }
      // The first newcomers push a few out; then they have the largest network, and push each other.
      expect(inbound.filter(({ nodeId }) => nodeId.startsWith("node1u")).length).toBeGreaterThanOrEqual(30)
    }
  })

  test("of a few is kept as it is", () => {
    expect(chooseEviction(useful.slice(0, 4), key)).toBeUndefined()
    expect(chooseEviction([], key)).toBeUndefined()
  })
})
