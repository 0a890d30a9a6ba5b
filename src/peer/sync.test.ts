/** The download over many peers: everything wanted comes, bounds hold, the slow are replaced. */
import { describe, expect, test } from "bun:test"
import { pastHead } from "../chain/branch.ts"
import { makeDice } from "../sim/dice.ts"
import { bodiesInFlightPerPeerMax, hurryMs, requestMsMax } from "../limits.ts"
import type { Claim } from "./claims.ts"
import { Sync, type SyncEffect } from "./sync.ts"

/** Heads that the chain knows: a name is a branch, the number behind it the work of the header. */
const workOf = (id: string): bigint | undefined => (id.startsWith("unknown") ? undefined : BigInt(id.split("-")[1]!))
const claimOf = (hash: string, work = workOf(hash)!): Claim => ({ height: Number(work), work, hash })
const claim = claimOf("main-500")
const idOf = (i: number): string => `block-${i}`
const idsOf = (from: number, count: number): ReadonlyArray<string> =>
  Array.from({ length: count }, (_, i) => idOf(from + i))
const syncOf = (): Sync => new Sync({ height: 0, work: 1n }, 500n, workOf)
/** The chain's answer to the look that is out. */
const listed = (sync: Sync, ids: ReadonlyArray<string>, now: number, head = claim.hash) =>
  sync.missing(head, { ids, walked: 1 }, now)

test("with honest, lacking and stalling peers all bodies come, none is asked of two at once, bounds hold", () => {
  for (let seed = 0; seed < 40; seed++) {
    const dice = makeDice(seed)
    const kinds = new Map(
      Array.from(
        { length: 4 },
        (_, i) => [i + 1, i === 0 ? "honest" : dice.pick(["honest", "lacks", "stalls"])] as const
      )
    )
    const sync = syncOf()
    const missing = new Set(Array.from({ length: 300 }, (_, i) => idOf(i)))
    const asked = new Map<string, number>()
    const perPeer = new Map<number, Set<string>>([...kinds.keys()].map((id) => [id, new Set()]))
    const dropped = new Set<number>()
    let now = 0
    const pending: Array<SyncEffect> = []
    const take = (effects: ReadonlyArray<SyncEffect>): void => {
      for (const effect of effects) {
        if (effect._tag === "Look") pending.push(...listed(sync, [...missing].slice(0, 100), now))
        else pending.push(effect)
      }
    }
    for (const session of kinds.keys()) take(sync.joined(session, claim, now))
    take(sync.tick(now))
    for (let step = 0; step < 5_000 && missing.size > 0; step++) {
      const effect = pending.splice(dice.int(Math.max(1, pending.length)), 1)[0]
      if (effect === undefined) {
        now += 10_001
        for (const [session, ids] of perPeer) {
          if (ids.size === 0) continue
          const late = [...ids]
          ids.clear()
          for (const id of late) asked.delete(id)
          take(sync.notGiven(session, { ids: late, stalled: true }, now))
        }
        take(sync.tick(now))
        continue
      }
      if (effect._tag === "Drop") {
        dropped.add(effect.session)
        for (const id of perPeer.get(effect.session)!) asked.delete(id)
        perPeer.get(effect.session)!.clear()
        take(sync.left(effect.session, now))
      }
      if (effect._tag !== "AskBodies" || dropped.has(effect.session)) continue
      const inFlight = perPeer.get(effect.session)!
      for (const id of effect.ids) {
        expect([id, asked.get(id)]).toStrictEqual([id, undefined])
        asked.set(id, effect.session)
        inFlight.add(id)
      }
      expect(inFlight.size).toBeLessThanOrEqual(bodiesInFlightPerPeerMax)
      const kind = kinds.get(effect.session)
      if (kind === "stalls") continue
      for (const id of effect.ids) {
        inFlight.delete(id)
        asked.delete(id)
        if (kind === "lacks") take(sync.notGiven(effect.session, { ids: [id], stalled: false }, now))
        else {
          missing.delete(id)
          take(sync.bodyCame(effect.session, id, now))
        }
      }
    }
    expect([seed, missing.size]).toEqual([seed, 0])
    for (const session of dropped) expect(kinds.get(session)).toBe("stalls")
  }
})

test("headers are asked of one peer at a time, of the best first, and of another when they do not come", () => {
  const sync = syncOf()
  expect(sync.joined(1, claimOf("unknown-a", 5n), 0)).toEqual([{ _tag: "AskHeaders", session: 1 }])
  expect(sync.joined(2, claimOf("unknown-b", 1n), 0)).toEqual([])
  expect(sync.claimed(1, claimOf("unknown-c", 9n), 1)).toEqual([])
  sync.claimed(2, claimOf("unknown-d", 12n), 1)
  expect(sync.tick(20_000).filter(({ _tag }) => _tag === "AskHeaders")).toEqual([{ _tag: "AskHeaders", session: 2 }])
})

const page = { headerWork: 500n, last: undefined, news: false, asked: true, more: false }
const headersOf = (effects: ReadonlyArray<SyncEffect>): ReadonlyArray<number> =>
  effects.flatMap((effect) => (effect._tag === "AskHeaders" ? [effect.session] : []))

test("headers are asked of who claims what we do not know, though heavier ones are known; not of who showed nothing", () => {
  const sync = syncOf()
  expect(headersOf(sync.joined(1, claim, 0))).toEqual([])
  expect(headersOf(sync.joined(2, claimOf("unknown-a", 20n), 0))).toEqual([2])
  expect(headersOf(sync.headersJudged(2, { ...page, last: "side-15", news: true, more: true }, 1))).toEqual([2])
  expect(headersOf(sync.headersJudged(2, page, 2))).toEqual([])
  expect(headersOf(sync.tick(3))).toEqual([])
  expect(headersOf(sync.claimed(2, claimOf("unknown-a", 20n), 4))).toEqual([2])
})

test("of two that give the same headers one is asked on, also where heavier ones are known", () => {
  const sync = syncOf()
  for (const session of [1, 2]) sync.joined(session, claimOf("unknown-a", 400n), 0)
  const full = { ...page, last: "side-15", more: true }
  expect(headersOf(sync.headersJudged(1, { ...full, news: true }, 1))).toEqual([1])
  expect(headersOf(sync.headersJudged(2, full, 2))).toEqual([])
})

const asksOf = (effects: ReadonlyArray<SyncEffect>): ReadonlyArray<string> =>
  effects.flatMap((effect) => (effect._tag === "AskBodies" ? effect.ids : []))
const askedOf = (session: number, effects: ReadonlyArray<SyncEffect>): ReadonlyArray<string> =>
  asksOf(effects.filter((effect) => "session" in effect && effect.session === session))
const dropsOf = (effects: ReadonlyArray<SyncEffect>): ReadonlyArray<number> =>
  effects.flatMap((effect) => (effect._tag === "Drop" ? [effect.session] : []))
const looksOf = (effects: ReadonlyArray<SyncEffect>): ReadonlyArray<string> =>
  effects.flatMap((effect) => (effect._tag === "Look" ? [effect.head] : []))

test("a peer that stalls once is kept, one that stalls again is dropped once and asked of nothing more", () => {
  const sync = syncOf()
  sync.joined(1, claim, 0)
  const first = asksOf(listed(sync, idsOf(0, 3 * bodiesInFlightPerPeerMax), 0))
  expect(first.length).toBe(bodiesInFlightPerPeerMax)
  const once = [first.slice(0, 16), first.slice(16)].flatMap((ids) => sync.notGiven(1, { ids, stalled: true }, 10_000))
  const second = asksOf(once)
  expect([dropsOf(once), second.length]).toEqual([[], bodiesInFlightPerPeerMax])
  const twice = sync.notGiven(1, { ids: second, stalled: true }, 20_000)
  expect([dropsOf(twice), asksOf(twice)]).toEqual([[1], []])
  expect(sync.tick(30_001)).not.toContainEqual(expect.objectContaining({ session: 1 }))
})

test("what a peer that leaves was asked for is asked of another", () => {
  const sync = syncOf()
  sync.joined(1, claim, 0)
  const asked = asksOf(listed(sync, [idOf(1), idOf(2)], 0))
  sync.joined(2, claim, 1)
  const effects = sync.left(1, 2)
  expect(effects.filter(({ _tag }) => _tag === "AskBodies")).toMatchObject([{ session: 2, ids: asked }])
})

test("a peer that lacks a body is not asked for it again until it claims again", () => {
  const sync = syncOf()
  sync.joined(1, claim, 0)
  expect(asksOf(listed(sync, [idOf(1)], 0))).toEqual([idOf(1)])
  expect(asksOf(sync.notGiven(1, { ids: [idOf(1)], stalled: false }, 1))).toEqual([])
  expect(asksOf(sync.tick(2))).toEqual([])
  expect(asksOf(sync.claimed(1, claim, 3))).toEqual([idOf(1)])
})

test("of who gave a false body it is not asked again; of another at once", () => {
  const sync = syncOf()
  sync.joined(1, claim, 0)
  listed(sync, [idOf(1)], 0)
  expect(looksOf(sync.bodyCame(1, idOf(1), 1))).toEqual([claim.hash])
  sync.bodyRefused(1, idOf(1), 2)
  // The look was out before the body was refused: what it finds may be of before.
  expect(looksOf(listed(sync, [], 3))).toEqual([claim.hash])
  expect(asksOf(listed(sync, [idOf(1)], 5))).toEqual([])
  for (let now = 6; now < 30_000; now += 1_000) {
    expect(asksOf(sync.tick(now))).toEqual([])
    expect(asksOf(listed(sync, [idOf(1)], now))).toEqual([])
  }
  expect(askedOf(2, sync.joined(2, claim, 30_000))).toEqual([idOf(1)])
})

test("each peer is asked for the branch that it has, and for no other", () => {
  const sync = syncOf()
  expect(looksOf(sync.joined(1, claim, 0))).toEqual([claim.hash])
  expect(looksOf(sync.joined(2, claimOf("side-400"), 0))).toEqual([])
  const heavy = sync.missing(claim.hash, { ids: ["heavy"], walked: 1 }, 0)
  expect([askedOf(1, heavy), askedOf(2, heavy), looksOf(heavy)]).toEqual([["heavy"], [], ["side-400"]])
  const light = sync.missing("side-400", { ids: ["light"], walked: 1 }, 0)
  expect([askedOf(1, light), askedOf(2, light)]).toEqual([[], ["light"]])
  sync.bodyCame(2, "light", 1)
  expect(asksOf(sync.tipMoved({ height: 4, work: 400n }, 2))).toEqual([])
  expect(sync.bounds.find(({ of }) => of === "branches")?.used).toBe(1)
})

test("who announces a header or shows a page of them is asked for it, whatever it claims", () => {
  const sync = syncOf()
  sync.joined(1, claimOf("unknown-a", 0n), 0)
  expect(looksOf(sync.headersJudged(1, { ...page, last: "side-40", asked: false }, 1))).toEqual(["side-40"])
  expect(askedOf(1, sync.missing("side-40", { ids: ["b"], walked: 1 }, 1))).toEqual(["b"])
})

test("a claim of a header that we do not know asks for no body until we know it, and no false work is believed", () => {
  const sync = new Sync({ height: 0, work: 1n }, 1n, (id) => (id === "low" ? 1n : undefined))
  expect(sync.joined(1, claimOf("unknown-a", 900n), 0)).toEqual([{ _tag: "AskHeaders", session: 1 }])
  expect(sync.claimed(1, claimOf("low", 900n), 0)).toEqual([])
  expect(sync.state).toBe("headers")
})

test("a branch that cannot become ours is forgotten with the word of whoever has it", () => {
  const sync = syncOf()
  sync.joined(1, claim, 0)
  sync.joined(2, claim, 0)
  sync.missing(claim.hash, undefined, 1)
  expect(sync.tick(2)).toEqual([])
  expect(sync.bounds.find(({ of }) => of === "branches")?.used).toBe(0)
})

test("a branch that is found by a long walk is looked at seldom, one on the way less so", () => {
  const sync = syncOf()
  sync.joined(1, claim, 0)
  sync.missing(claim.hash, { ids: [], walked: 50_000 }, 0)
  expect(looksOf(sync.tick(9_999))).toEqual([])
  // It grows by a header: it is no new branch.
  expect(looksOf(sync.headersJudged(1, { ...page, headerWork: 501n, last: "main-501" }, 9_999))).toEqual([])
  expect(looksOf(sync.joined(2, claimOf("side-40"), 9_999))).toEqual(["side-40"])
  sync.missing("side-40", { ids: [], walked: 1 }, 9_999)
  expect(looksOf(sync.tick(10_000))).toEqual(["main-501"])
})

test("the body that is needed next is asked of a second peer soon, of a third never; who held it back has stalled", () => {
  const sync = syncOf()
  for (const session of [1, 2, 3]) sync.joined(session, claim, 0)
  expect(askedOf(1, listed(sync, [idOf(1), idOf(2)], 0))).toEqual([idOf(1), idOf(2)])
  expect(asksOf(sync.tick(hurryMs - 1))).toEqual([])
  expect(askedOf(2, sync.tick(hurryMs))).toEqual([idOf(1)])
  expect(asksOf(sync.tick(hurryMs + 1_000))).toEqual([])
  expect(asksOf(sync.bodyCame(2, idOf(1), hurryMs + 1_000))).toEqual([])
  const stalled = sync.notGiven(1, { ids: [idOf(1)], stalled: true }, requestMsMax)
  expect([dropsOf(stalled), asksOf(stalled)]).toEqual([[], []])
  expect(dropsOf(sync.notGiven(1, { ids: [idOf(2)], stalled: true }, 2 * requestMsMax))).toEqual([1])
})

test("who has stalled is asked when the others are busy", () => {
  const sync = syncOf()
  sync.joined(1, claim, 0)
  listed(sync, [idOf(1)], 0)
  sync.notGiven(1, { ids: [idOf(1)], stalled: true }, requestMsMax)
  sync.joined(2, claim, requestMsMax)
  sync.tick(requestMsMax + 1)
  const asks = listed(sync, idsOf(10, bodiesInFlightPerPeerMax), requestMsMax + 2)
  expect([askedOf(1, asks), askedOf(2, asks)]).toEqual([idsOf(26, 16), idsOf(10, 16)])
})

describe("the past of a loaded snapshot", () => {
  const tip = claimOf("main-100")
  const start = (at = tip): Sync => {
    const sync = new Sync(tip, tip.work, workOf)
    sync.joined(1, at, 0)
    return sync
  }
  const past = (sync: Sync, ids: ReadonlyArray<string>, now: number) => listed(sync, ids, now, pastHead)

  test("is looked for as long as there is one, and asked of who stands above it", () => {
    const sync = start()
    expect(sync.tick(1_000)).toEqual([])
    sync.pastUpTo(50)
    expect(looksOf(sync.tick(2_000))).toEqual([pastHead])
    expect(past(sync, idsOf(1, 2), 2_000)).toEqual([{ _tag: "AskBodies", session: 1, ids: idsOf(1, 2) }])
    sync.pastUpTo(0)
    sync.bodyCame(1, idOf(1), 3_000)
    sync.bodyCame(1, idOf(2), 3_000)
    expect(sync.tick(4_000)).toEqual([])
    expect([sync.state, sync.bounds.find(({ of }) => of === "branches")?.used]).toEqual(["idle", 0])
  })

  test("is not asked of who stands below it", () => {
    const sync = start(claimOf("main-49"))
    sync.pastUpTo(50)
    sync.tick(0)
    expect(past(sync, [idOf(1)], 0)).toEqual([])
    expect(askedOf(2, sync.joined(2, claimOf("main-50"), 1))).toEqual([idOf(1)])
  })

  test("is not asked again of a peer that does not have it, before it claims again", () => {
    const sync = start()
    sync.pastUpTo(50)
    sync.tick(0)
    expect(asksOf(past(sync, idsOf(1, 17), 0))).toEqual(idsOf(1, 16))
    expect(asksOf(sync.notGiven(1, { ids: idsOf(1, 16), stalled: false }, 1_000))).toEqual([])
    expect(asksOf(sync.tick(2_000))).toEqual([])
    expect(asksOf(sync.claimed(1, tip, 3_000))).toEqual(idsOf(1, 16))
  })

  test("waits for what the peer's own branch lacks, and leaves room for it", () => {
    const sync = start()
    sync.pastUpTo(50)
    sync.tick(0)
    expect(asksOf(past(sync, idsOf(1, 100), 0))).toEqual(idsOf(1, 16))
    expect(looksOf(sync.claimed(1, claimOf("main-101"), 1))).toEqual(["main-101"])
    expect(asksOf(listed(sync, ["new"], 2, "main-101"))).toEqual(["new"])
    for (const id of idsOf(1, 16)) expect(asksOf(sync.bodyCame(1, id, 3))).toEqual([])
    expect(asksOf(sync.bodyCame(1, "new", 4))).toEqual(idsOf(17, 16))
  })

  test("comes from others when a branch is held back, and when a whole branch has to wait for it", () => {
    const sync = start(claimOf("side-200"))
    listed(sync, ["never"], 0, "side-200")
    sync.joined(2, tip, 0)
    sync.pastUpTo(50)
    expect(looksOf(sync.tick(1))).toEqual([pastHead])
    const asks = past(sync, [idOf(1)], 1)
    expect([askedOf(1, asks), askedOf(2, asks)]).toEqual([[], [idOf(1)]])
    sync.left(2, 2)
    expect(looksOf(sync.tick(requestMsMax + 1))).toEqual(["side-200"])
    expect(asksOf(sync.bodyCame(1, "never", requestMsMax + 2))).toEqual([idOf(1)])
  })

  test("often looked at keeps no branch from its turn", () => {
    const sync = start()
    sync.pastUpTo(50)
    sync.tick(0)
    sync.joined(2, claimOf("side-200"), 0)
    sync.missing(pastHead, { ids: [], walked: 1_000 }, 0)
    expect(looksOf(sync.tick(1))).toEqual([])
    sync.missing("side-200", { ids: [], walked: 1_000 }, 1)
    expect(looksOf(sync.tick(201))).toEqual([pastHead])
    sync.missing(pastHead, { ids: [], walked: 1_000 }, 201)
    expect(looksOf(sync.tick(401))).toEqual(["side-200"])
  })
})
