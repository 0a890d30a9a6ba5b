/** The tables of endpoints: who may stand where, who gives way to whom, and that nobody draws more lots than he has buckets. */
import { describe, expect, test } from "bun:test"
import { sipKey } from "../crypto/siphash.ts"
import { newBucketsPerSource, newSlots, triedBucketsPerGroup, triedSlots } from "../limits.ts"
import { makeDice } from "../sim/dice.ts"
import { Addresses, trusts } from "./addresses.ts"

const key = sipKey(new Uint8Array(16).fill(3))
const hourMs = 60 * 60_000
const heard = (group: string) => ({ source: "discovered" as const, group })
const hear = (book: Addresses, endpoint: string, group: string, now = 0) => book.hear(endpoint, heard(group), now)

test("one network that tells of all the world gets into so many buckets, and one network told by it into one", () => {
  const book = new Addresses(key, 64)
  for (let i = 0; i < 10_000; i++) hear(book, `45.${i & 255}.${i >> 8}.1:1`, "46.1.0.0/16")
  expect(book.count("new")).toBeLessThanOrEqual(newBucketsPerSource * newSlots)
  expect(book.count("new")).toBeGreaterThan(newBucketsPerSource * newSlots * 0.5)
  const narrow = new Addresses(key, 64)
  for (let i = 0; i < 1_000; i++) hear(narrow, `45.1.${i >> 8}.${i & 255}:1`, "46.1.0.0/16")
  expect(narrow.count("new")).toBe(newSlots)
})

test("one network where we find nodes gets so many places among those found, in a table of any length", () => {
  for (const max of [64, 7, 1]) {
    const book = new Addresses(key, max)
    for (let i = 0; i < 600; i++) {
      hear(book, `45.1.${i >> 8}.${i & 255}:1`, `46.${i & 255}.0.0/16`)
      book.found(`45.1.${i >> 8}.${i & 255}:1`, `node1${i}`, i, true)
    }
    expect(book.count("tried")).toBeLessThanOrEqual(Math.min(max, triedSlots * triedBucketsPerGroup))
    for (let i = 0; i < 600; i++) {
      hear(book, `50.${i & 255}.${i >> 8}.1:1`, `46.${i & 255}.0.0/16`)
      book.found(`50.${i & 255}.${i >> 8}.1:1`, `node1x${i}`, i, true)
    }
    expect(book.count("tried")).toBeLessThanOrEqual(max)
    expect(book.count("tried")).toBeGreaterThan(max * 0.9)
  }
})

/** A table of one place: whoever is found wants the place of `45.1.1.1:1`. */
const contested = () => {
  const book = new Addresses(key, 1)
  for (const endpoint of ["45.1.1.1:1", "50.1.1.1:1"]) hear(book, endpoint, endpoint)
  book.found("45.1.1.1:1", "node1a", 0, true)
  return book
}
const tried = (book: Addresses) =>
  [...book.all()].filter(({ table }) => table === "tried").map(({ endpoint }) => endpoint)

describe("a place among those found", () => {
  test("is kept by whoever was found there lately, or answers when tried", () => {
    const book = contested()
    book.found("50.1.1.1:1", "node1b", hourMs, true)
    expect([tried(book), book.challenged()]).toEqual([["45.1.1.1:1"], []])
    book.found("50.1.1.1:1", "node1b", 5 * hourMs, true)
    expect(book.challenged().map(({ endpoint }) => endpoint)).toEqual(["45.1.1.1:1"])
    book.found("45.1.1.1:1", "node1a", 5 * hourMs, true)
    expect([tried(book), book.challenged()]).toEqual([["45.1.1.1:1"], []])
  })

  test("goes to the newcomer if who is there does not answer; it stays known", () => {
    const book = contested()
    book.found("50.1.1.1:1", "node1b", 5 * hourMs, true)
    book.failed("45.1.1.1:1", 5 * hourMs)
    expect([tried(book), book.find("45.1.1.1:1")?.table]).toEqual([["50.1.1.1:1"], "new"])
  })

  test("is one for each node: it cannot fill the table by moving", () => {
    const book = new Addresses(key, 64)
    for (let i = 0; i < 50; i++) {
      hear(book, `45.${i}.1.1:1`, `46.${i}.0.0/16`)
      book.found(`45.${i}.1.1:1`, "node1a", i, true)
    }
    expect(tried(book)).toEqual(["45.49.1.1:1"])
  })

  test("is not got where the networks have no room", () => {
    const book = new Addresses(key, 64)
    hear(book, "45.1.1.1:1", "46.1.0.0/16")
    book.found("45.1.1.1:1", "node1a", 0, false)
    expect([tried(book), book.find("45.1.1.1:1")?.trust]).toEqual([[], trusts.proven])
  })
})

test("a named endpoint keeps its place until it is worth nothing: tried in vain, or thirty days without a node", () => {
  const day = 24 * hourMs
  const book = new Addresses(key, 64)
  const crowd = Array.from({ length: 400 }, (_, i) => `45.1.${i >> 8}.${i & 255}:1`)
  for (const endpoint of crowd) hear(book, endpoint, "46.1.0.0/16")
  const there = [...book.all()].map(({ endpoint }) => endpoint)
  expect(crowd.filter((endpoint) => hear(book, endpoint, "46.1.0.0/16", 29 * day) === "full")).toHaveLength(
    400 - newSlots
  )
  const [vain] = there
  for (let i = 0; i < 3; i++) {
    book.find(vain!)!.failures++
    book.failed(vain!, 1)
  }
  expect([book.find(vain!), book.count("new")]).toEqual([undefined, newSlots - 1])
  book.prune(31 * day)
  expect(book.count("new")).toBe(0)
})

test("lots are drawn by bucket: a crowd in one bucket is drawn as often as who stands alone in another", () => {
  const book = new Addresses(key, 64)
  for (let i = 0; i < 2_000; i++) hear(book, `45.1.${i >> 8}.${i & 255}:1`, "46.1.0.0/16")
  hear(book, "50.1.1.1:1", "50.2.0.0/16")
  const dice = makeDice(1)
  const chance = () => dice.int(1 << 24) / (1 << 24)
  const draws = Array.from({ length: 1_000 }, () => book.draw("new", () => true, chance)!.endpoint)
  expect(draws.filter((endpoint) => endpoint === "50.1.1.1:1").length).toBeWithin(400, 600)
  expect(book.draw("new", () => false, chance)).toBeUndefined()
})

test("whatever happens, each place has one endpoint and each endpoint one place", () => {
  for (let seed = 0; seed < 30; seed++) {
    const dice = makeDice(seed)
    const book = new Addresses(key, 8)
    for (let now = 0; now < 600; now++) {
      const endpoint = `45.${dice.int(12)}.1.${dice.int(6)}:1`
      const kind = dice.int(6)
      if (kind < 2) hear(book, endpoint, `46.${dice.int(9)}.0.0/16`, now * hourMs)
      if (kind === 2) book.found(endpoint, `node1${dice.int(30)}`, now * hourMs, dice.chance(0.8))
      if (kind === 3) book.failed(endpoint, now * hourMs)
      if (kind === 4) book.own(endpoint, "manual", now * hourMs)
      if (kind === 5 && dice.chance(0.2)) book.remove(endpoint)
      const held = [...book.all()].filter(({ table }) => table !== "own").map(({ table, slot }) => `${table} ${slot}`)
      expect(new Set(held).size).toBe(held.length)
      expect(held.every((one) => !one.endsWith("-1"))).toBe(true)
      expect(book.count("tried")).toBeLessThanOrEqual(8)
      for (const place of book.challenged()) expect(place.table).toBe("tried")
    }
  }
})
