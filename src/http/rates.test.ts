/** Rates: never more than a bucket and what flows in, whoever else asks, and headers that tell the truth. */
import { describe, expect, test } from "bun:test"
import { sipKey } from "../crypto/siphash.ts"
import { httpClientsMax } from "../limits.ts"
import { makeDice } from "../sim/dice.ts"
import { Rate, rateHeaders } from "./rates.ts"

const key = sipKey(new Uint8Array(16).fill(7))
const client = (n: number): Uint8Array => new Uint8Array([n >> 24, n >> 16, n >> 8, n])
const emptied = (rate: Rate, who: Uint8Array, now: number): number => {
  let taken = 0
  while (rate.take(who, now).allowed) taken++
  return taken
}

test("a full bucket holds a minute's requests, and they come back one by one", () => {
  const rate = new Rate(240, key)
  expect(emptied(rate, client(1), 1_000)).toBe(240)
  expect(rate.take(client(1), 1_249)).toMatchObject({ allowed: false, remaining: 0, waitMs: 1 })
  expect(rate.take(client(1), 1_250)).toMatchObject({ allowed: true, remaining: 0 })
  expect(emptied(rate, client(1), 31_250)).toBe(120)
  expect(emptied(rate, client(1), 10_000_000)).toBe(240)
})

test("clients do not pay for one another, nor for asking how they stand", () => {
  const rate = new Rate(5, key)
  emptied(rate, client(1), 0)
  for (let i = 0; i < 20; i++) expect(rate.look(client(2), 0)).toMatchObject({ allowed: true, remaining: 5 })
  expect(rate.look(client(1), 0).allowed).toBe(false)
  expect(emptied(rate, client(2), 0)).toBe(5)
})

test("a clock that goes back keeps nobody out for longer than a minute", () => {
  const rate = new Rate(10, key)
  emptied(rate, client(1), 3_600_000)
  expect(rate.take(client(1), 0)).toMatchObject({ allowed: false, waitMs: 6_000 })
})

describe("whatever clients do", () => {
  test("each gets at most a bucket and what flows in, also where slots are too few for all", () => {
    for (let seed = 1; seed <= 60; seed++) {
      const dice = makeDice(seed)
      const perMinute = 1 + dice.int(90)
      const rate = new Rate(perMinute, key, 16)
      const clients = 1 + dice.int(60)
      const letIn = new Map<number, Array<number>>()
      let now = dice.int(1_000_000)
      for (let i = 0; i < 2_000; i++) {
        now += dice.chance(0.7) ? 0 : dice.int(2_000)
        const who = dice.int(clients)
        if (rate.take(client(who), now).allowed) letIn.set(who, [...(letIn.get(who) ?? []), now])
      }
      for (const times of letIn.values())
        for (const [i, from] of times.entries())
          for (const [j, to] of times.entries())
            if (j >= i) expect(j - i + 1).toBeLessThanOrEqual(perMinute + ((to - from) * perMinute) / 60_000 + 1e-6)
    }
  })

  test("the headers are true: so many more are let in, and after so many seconds one is", () => {
    const dice = makeDice(5)
    for (let i = 0; i < 400; i++) {
      const perMinute = 1 + dice.int(700)
      const rate = new Rate(perMinute, key)
      const now = dice.int(10_000_000)
      for (let spent = dice.int(perMinute); spent > 0; spent--) rate.take(client(1), now)
      const headers = rateHeaders("public", rate.take(client(1), now + dice.int(500)))
      const remaining = Number(headers["x-ratelimit-remaining"])
      expect(headers["x-ratelimit-limit"]).toBe(String(perMinute))
      expect(headers["ratelimit-policy"]).toBe(`"public";q=${perMinute};w=60`)
      expect(headers["ratelimit"]).toMatch(new RegExp(`^"public";r=${remaining};t=\\d+$`))
      const then = now + 500
      const more = emptied(rate, client(1), then)
      expect(more).toBeGreaterThanOrEqual(remaining)
      expect(more).toBeLessThanOrEqual(remaining + Math.ceil((perMinute * 500) / 60_000))
      const refused = rateHeaders("public", rate.take(client(1), then))
      const wait = Number(refused["retry-after"])
      expect([wait >= 1, refused["ratelimit"]]).toEqual([true, `"public";r=0;t=${wait}`])
      expect(rate.look(client(1), then + wait * 1000).allowed).toBe(true)
      if (wait > 1) expect(rate.look(client(1), then + (wait - 1) * 1000).allowed).toBe(false)
      expect(headers["retry-after"]).toBeUndefined()
    }
  })
})

describe("a million invented addresses", () => {
  const now = 5_000
  const flood = (rate: Rate, now: number): void => {
    for (let i = 0; i < 1_000_000; i++) rate.take(client(1_000 + i), now)
  }

  test("make no empty bucket full, let in who is new, and take no more memory", () => {
    const rate = new Rate(240, key)
    const before = rate.bytes
    emptied(rate, client(1), now)
    for (let i = 0; i < 120; i++) rate.take(client(2), now)
    flood(rate, now)
    expect(rate.take(client(1), now).allowed).toBe(false)
    expect(emptied(rate, client(2), now)).toBeLessThanOrEqual(120)
    // A million at 250 ms each on 32,768 slots: whoever comes now owes less than a sixth of a bucket.
    for (let i = 0; i < 100; i++) expect(emptied(rate, client(-1 - i), now)).toBeGreaterThan(200)
    expect([rate.bytes, before]).toEqual([httpClientsMax * 16, httpClientsMax * 16])
    // It is over as soon as the debts are paid.
    expect(emptied(rate, client(3), now + 20_000)).toBe(240)
  })

  test("cost who is already there nothing: a bucket that owes more than theirs is not taken away", () => {
    const rate = new Rate(240, key)
    for (let i = 0; i < 50; i++) rate.take(client(2), now)
    flood(rate, now)
    expect(rate.look(client(2), now).remaining).toBeGreaterThan(185)
  })
})
