/** Who is registered: the last word of each id counts, none can be replayed, chains do not mix, and there is room for so many. */
import { describe, expect, test } from "bun:test"
import { Result } from "effect"
import { keyOf } from "../../test/fixtures.ts"
import { discoveryBurst, discoveryClientsMax, discoveryFreshMs, discoveryPerSourceMax } from "../limits.ts"
import { makeDice } from "../sim/dice.ts"
import { openMembers } from "../store/members.ts"
import { Rate } from "./rate.ts"
import { type Caller, Registry } from "./registry.ts"
import { makeStatement, type Words } from "./statement.ts"

const genesis = new Uint8Array(32).fill(7)
const start = 1_795_219_200_000
const caller: Caller = { source: "192.0.2.7", near: false }
const lifeMs = 300_000

const signed = (key: number, time: number, wish: Partial<Words> = {}) =>
  makeStatement(
    {
      action: "register",
      chainId: "c",
      genesis,
      endpoint: `192.0.2.${key}:19100`,
      time,
      expires: time + lifeMs,
      ...wish
    },
    keyOf(key)
  )
const gone = (key: number, time: number) => signed(key, time, { action: "remove", endpoint: "", expires: time })
const codeOf = (result: Result.Result<unknown, string>): string => (Result.isFailure(result) ? result.failure : "done")
const make = (max?: number) => new Registry(openMembers(":memory:"), max)
const shown = (registry: Registry, now: number, of = genesis): ReadonlyArray<string> =>
  registry
    .page({ genesis: of, after: "", limit: 64 }, now)
    .members.map(({ endpoint }) => endpoint)
    .sort()

describe("the registry", () => {
  test("shows who registered, until the registration ends, to those of the same chain only", () => {
    const registry = make()
    const other = new Uint8Array(32).fill(8)
    expect(codeOf(registry.add(signed(1, start), caller, start))).toBe("done")
    registry.add(signed(2, start, { genesis: other }), caller, start)
    expect([shown(registry, start), shown(registry, start, other)]).toEqual([["192.0.2.1:19100"], ["192.0.2.2:19100"]])
    expect(shown(registry, start + lifeMs - 1).length).toBe(1)
    expect(shown(registry, start + lifeMs)).toEqual([])
  })

  test("takes the newest word of an id, and neither the same twice nor an older one", () => {
    const registry = make()
    const first = signed(1, start)
    registry.add(first, caller, start)
    expect(codeOf(registry.add(first, caller, start))).toBe("registration-replayed")
    const moved = signed(1, start + 1, { endpoint: "192.0.2.99:1", expires: start + 2 })
    expect(codeOf(registry.add(moved, caller, start + 1))).toBe("done")
    expect(shown(registry, start + 1)).toEqual(["192.0.2.99:1"])
    // The newer one has ended; what it replaced must not come back while it is fresh.
    for (const ms of [2, 3, discoveryFreshMs - 1, discoveryFreshMs])
      expect(codeOf(registry.add(first, caller, start + ms))).toBe("registration-replayed")
    expect(codeOf(registry.add(first, caller, start + discoveryFreshMs + 1))).toBe("registration-stale")
  })

  test("lets an id go by its own word only, and nobody brings it back with an old one", () => {
    const registry = make()
    const first = signed(1, start)
    registry.add(first, caller, start)
    const spoofed = [
      { ...gone(2, start + 1), nodeId: first.nodeId },
      { ...gone(2, start + 1), nodeId: first.nodeId, publicKey: first.publicKey }
    ]
    expect(spoofed.map((one) => codeOf(registry.remove(one, start + 1)))).toEqual([
      "node-id-mismatch",
      "registration-signature"
    ])
    expect(codeOf(registry.remove(gone(1, start - 1), start + 1))).toBe("registration-replayed")
    expect(shown(registry, start + 1).length).toBe(1)
    expect(codeOf(registry.remove(gone(1, start + 1), start + 1))).toBe("done")
    expect(shown(registry, start + 1)).toEqual([])
    expect(codeOf(registry.add(first, caller, start + 2))).toBe("registration-replayed")
    expect(codeOf(registry.remove(gone(1, start + 3), start + 3))).toBe("member-unknown")
    expect(codeOf(registry.remove(gone(3, start), start))).toBe("member-unknown")
    const elsewhere = {
      action: "remove",
      endpoint: "",
      expires: start + 3,
      genesis: new Uint8Array(32).fill(8)
    } as const
    registry.add(signed(4, start), caller, start)
    expect(codeOf(registry.remove(signed(4, start + 3, elsewhere), start + 3))).toBe("member-unknown")
    expect(codeOf(registry.remove(gone(4, start + 3), start + 3))).toBe("done")
    expect(codeOf(registry.add(signed(1, start + 4), caller, start + 4))).toBe("done")
  })

  test("has room for so many, and for so many from one address; who is in stays in, and time makes room", () => {
    const registry = make(discoveryPerSourceMax + 2)
    const near: Caller = { source: "127.0.0.1", near: true }
    const add = (key: number, from: Caller, at = start) => codeOf(registry.add(signed(key, at), from, at))
    for (let key = 1; key <= discoveryPerSourceMax; key++) expect(add(key, caller)).toBe("done")
    expect(add(100, caller)).toBe("address-full")
    expect([add(100, near), add(101, near)]).toEqual(["done", "done"])
    expect(add(102, near)).toBe("members-full")
    expect([add(1, caller, start + 1), add(100, near, start + 1)]).toEqual(["done", "done"])
    // A move to an address that has its number already is one too many there, too.
    expect(add(101, caller, start + 1)).toBe("address-full")
    expect(add(102, caller, start + lifeMs + 1)).toBe("done")
  })

  test("pages lead through all members of a chain, each once", () => {
    const registry = make()
    const near: Caller = { source: "127.0.0.1", near: true }
    for (let key = 1; key <= 23; key++) registry.add(signed(key, start), near, start)
    const ids: Array<string> = []
    for (let after: string | undefined = ""; after !== undefined; ) {
      const page: ReturnType<Registry["page"]> = registry.page({ genesis, after, limit: 5 }, start)
      expect(page.members.length).toBeLessThanOrEqual(5)
      ids.push(...page.members.map(({ nodeId }) => nodeId))
      after = page.next
    }
    expect([ids.length, new Set(ids).size, ids.toSorted()]).toEqual([23, 23, ids])
  })

  test("agrees with a simple model over any order of words, and never holds more than it may", () => {
    for (let seed = 0; seed < 6; seed++) {
      const dice = makeDice(seed)
      const store = openMembers(":memory:")
      const registry = new Registry(store, 4)
      const last = new Map<number, { readonly time: number; readonly expires: number; readonly kept: number }>()
      let now = start
      for (let i = 0; i < 150; i++) {
        now += dice.int(40_000)
        const key = 1 + dice.int(6)
        const time = now - dice.int(100_000)
        for (const [id, { kept }] of last) if (kept <= now) last.delete(id)
        const known = last.get(key)
        const newer = known === undefined || time > known.time
        const leaves = dice.int(3) === 0
        const expires = leaves ? 0 : time + 110_000
        const expected = !newer
          ? "registration-replayed"
          : leaves
            ? (known?.expires ?? 0) > now
              ? "done"
              : "member-unknown"
            : known === undefined && last.size >= 4
              ? "members-full"
              : "done"
        const outcome = leaves
          ? registry.remove(gone(key, time), now)
          : registry.add(signed(key, time, { expires }), { source: "", near: true }, now)
        expect(codeOf(outcome)).toBe(expected)
        if (expected === "done") last.set(key, { time, expires, kept: Math.max(expires, time + discoveryFreshMs) })
        const there = [...last].filter(([, one]) => one.expires > now).map(([id]) => `192.0.2.${id}:19100`)
        expect(shown(registry, now)).toEqual(there.sort())
        expect(store.count("").all).toBeLessThanOrEqual(4)
      }
      store.close()
    }
  })
})

describe("the rate", () => {
  test("gives each caller so many at once and then one a second, and says how long to wait", () => {
    const rate = new Rate()
    for (let i = 0; i < discoveryBurst; i++) expect(rate.take("a", 0)).toBe(0)
    expect([rate.take("a", 0), rate.take("a", 400), rate.take("b", 400), rate.take("a", 1_000)]).toEqual([
      1_000, 600, 0, 0
    ])
    expect(rate.take("a", 1_000)).toBe(1_000)
    // A clock that goes back gives nothing.
    expect(rate.take("a", 0)).toBe(1_000)
  })

  test("remembers so many callers: the one who asked least recently is forgotten", () => {
    const rate = new Rate()
    for (let i = 0; i <= discoveryBurst; i++) rate.take("old", 0)
    for (let i = 0; i < discoveryClientsMax - 1; i++) rate.take(`n${i}`, 0)
    expect([rate.size, rate.take("old", 0) > 0]).toEqual([discoveryClientsMax, true])
    for (let i = 0; i < 2 * discoveryClientsMax; i++) rate.take(`m${i}`, 0)
    expect([rate.size, rate.take("old", 0)]).toEqual([discoveryClientsMax, 0])
  })
})
