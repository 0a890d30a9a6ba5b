/** The download over many peers: everything wanted comes, bounds hold, the slow are replaced. */
import { describe, expect, test } from "bun:test"
import { makeDice } from "../sim/dice.ts"
import { bodiesInFlightPerPeerMax } from "../limits.ts"
import { Sync, type SyncEffect } from "./sync.ts"

const claim = { height: 500, work: 500n }
const idOf = (i: number): string => `block-${i}`

test("with honest, lacking and stalling peers all bodies come, none is asked of two at once, bounds hold", () => {
  for (let seed = 0; seed < 40; seed++) {
    const dice = makeDice(seed)
    const kinds = new Map(
      Array.from(
        { length: 4 },
        (_, i) => [i + 1, i === 0 ? "honest" : dice.pick(["honest", "lacks", "stalls"])] as const
      )
    )
    const sync = new Sync({ height: 0, work: 1n }, 500n)
    const missing = new Set(Array.from({ length: 300 }, (_, i) => idOf(i)))
    const asked = new Map<string, number>()
    const perPeer = new Map<number, Set<string>>([...kinds.keys()].map((id) => [id, new Set()]))
    const dropped = new Set<number>()
    let now = 0
    const pending: Array<SyncEffect> = []
    const take = (effects: ReadonlyArray<SyncEffect>): void => {
      for (const effect of effects) {
        if (effect._tag === "Look") pending.push(...sync.missing([...missing].slice(0, 100), now))
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
        expect([id, asked.get(id)]).toEqual([id, undefined])
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
  const sync = new Sync({ height: 0, work: 1n }, 1n)
  expect(sync.joined(1, { height: 5, work: 5n }, 0)).toEqual([{ _tag: "AskHeaders", session: 1 }])
  expect(sync.joined(2, { height: 1, work: 1n }, 0)).toEqual([])
  expect(sync.claimed(1, { height: 9, work: 9n }, 1)).toEqual([])
  sync.claimed(2, { height: 12, work: 12n }, 1)
  expect(sync.tick(20_000).filter(({ _tag }) => _tag === "AskHeaders")).toEqual([{ _tag: "AskHeaders", session: 2 }])
})

const asksOf = (effects: ReadonlyArray<SyncEffect>): ReadonlyArray<string> =>
  effects.flatMap((effect) => (effect._tag === "AskBodies" ? effect.ids : []))
const dropsOf = (effects: ReadonlyArray<SyncEffect>): ReadonlyArray<number> =>
  effects.flatMap((effect) => (effect._tag === "Drop" ? [effect.session] : []))

test("a peer that stalls once is kept, one that stalls again is dropped once and asked of nothing more", () => {
  const sync = new Sync({ height: 0, work: 1n }, 500n)
  sync.joined(1, claim, 0)
  const wanted = Array.from({ length: 3 * bodiesInFlightPerPeerMax }, (_, i) => idOf(i))
  const first = asksOf(sync.missing(wanted, 0))
  const once = sync.notGiven(1, { ids: first, stalled: true }, 10_000)
  const second = asksOf(once)
  expect([dropsOf(once), second.length > 0]).toEqual([[], true])
  const twice = sync.notGiven(1, { ids: second, stalled: true }, 20_000)
  expect([dropsOf(twice), asksOf(twice)]).toEqual([[1], []])
  expect(sync.tick(30_001)).not.toContainEqual(expect.objectContaining({ session: 1 }))
})

test("what a peer that leaves was asked for is asked of another", () => {
  const sync = new Sync({ height: 0, work: 1n }, 500n)
  sync.joined(1, claim, 0)
  const asked = asksOf(sync.missing([idOf(1), idOf(2)], 0))
  sync.joined(2, claim, 1)
  const effects = sync.left(1, 2)
  expect(effects.filter(({ _tag }) => _tag === "AskBodies")).toMatchObject([{ session: 2, ids: asked }])
})

test("a peer that lacks a body is not asked for it again until it claims again", () => {
  const sync = new Sync({ height: 0, work: 1n }, 500n)
  sync.joined(1, claim, 0)
  expect(asksOf(sync.missing([idOf(1)], 0))).toEqual([idOf(1)])
  expect(asksOf(sync.notGiven(1, { ids: [idOf(1)], stalled: false }, 1))).toEqual([])
  expect(asksOf(sync.tick(2))).toEqual([])
  expect(asksOf(sync.claimed(1, claim, 3))).toEqual([idOf(1)])
})

describe("the past of a loaded snapshot", () => {
  const claim = { height: 100, work: 100n }
  const start = (): Sync => {
    const sync = new Sync(claim, claim.work)
    sync.joined(1, claim, 0)
    return sync
  }
  const tagsOf = (effects: ReadonlyArray<SyncEffect>): ReadonlyArray<string> => effects.map(({ _tag }) => _tag)

  test("is looked for when nothing newer is lacking, and asked of who stands above it", () => {
    const sync = start()
    expect(tagsOf(sync.tick(1_000))).toEqual([])
    sync.pastUpTo(50)
    expect(tagsOf(sync.tick(2_000))).toEqual(["Look"])
    expect(sync.missing([idOf(1), idOf(2)], 2_000)).toEqual([
      { _tag: "AskBodies", session: 1, ids: [idOf(1), idOf(2)] }
    ])
    sync.pastUpTo(0)
    sync.bodyCame(1, idOf(1), 3_000)
    sync.bodyCame(1, idOf(2), 3_000)
    expect(tagsOf(sync.tick(4_000))).toEqual([])
  })

  test("is not asked of who stands below it", () => {
    const sync = new Sync(claim, claim.work)
    sync.joined(1, { height: 49, work: 49n }, 0)
    sync.pastUpTo(50)
    expect(sync.missing([idOf(1)], 0)).toEqual([])
  })

  test("is not asked again of a peer that does not have it, before it claims again", () => {
    const sync = start()
    sync.pastUpTo(50)
    sync.missing([idOf(1)], 0)
    expect(sync.notGiven(1, { ids: [idOf(1)], stalled: false }, 1_000)).toEqual([])
    expect(sync.missing([idOf(1), idOf(2)], 2_000)).toEqual([])
    expect(tagsOf(sync.claimed(1, { height: 101, work: 100n }, 3_000))).toEqual(["AskBodies"])
  })
})
