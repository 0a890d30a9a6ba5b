/** The state tree against a naive one, its independence of history, and its proofs against forgers. */
import { describe, expect, test } from "bun:test"
import { makeDice } from "../../test/fuzz/dice.ts"
import { compare, concat, toHex } from "../codec/bytes.ts"
import { type Hash32, sha256, zeroHash } from "../crypto/hash.ts"
import { checkProof, decodeProof, encodeProof, pathOf, prove, StateTree, update } from "./state-tree.ts"

type Entries = Map<string, Uint8Array>

/** The definition, word for word: recursion over the sorted paths. */
const naive = (entries: Entries): Hash32 => {
  const leaves = [...entries].map(([key, value]) => ({ path: pathOf(key), value }))
  leaves.sort((a, b) => compare(a.path, b.path))
  const root = (from: number, to: number, depth: number): Hash32 => {
    if (from === to) return zeroHash
    if (to - from === 1) return sha256(concat(new Uint8Array([0]), leaves[from]!.path, leaves[from]!.value))
    const bit = (i: number): number => (leaves[i]!.path[depth >> 3]! >> (7 - (depth & 7))) & 1
    let middle = from
    while (middle < to && bit(middle) === 0) middle++
    return sha256(concat(new Uint8Array([1]), root(from, middle, depth + 1), root(middle, to, depth + 1)))
  }
  return root(0, leaves.length, 0)
}

/** Stored pages in memory. */
class Pages {
  readonly rows = new Map<string, Uint8Array>()
  readonly read = (name: string): Uint8Array | undefined => this.rows.get(name)
  apply(changes: Iterable<readonly [string, Uint8Array | undefined]>): Hash32 {
    const { root, pages } = update(this.read, changes)
    for (const [name, bytes] of pages) bytes === undefined ? this.rows.delete(name) : this.rows.set(name, bytes)
    return root
  }
  dump(): string {
    return [...this.rows].sort(([a], [b]) => (a < b ? -1 : 1)).map(([name, bytes]) => `${name}:${toHex(bytes)}`).join("\n")
  }
}

const keyOf = (i: number): string => i.toString(16).padStart(40, "0")

describe("state tree", () => {
  test("its root is that of the naive definition, through inserts, changes and removals", () => {
    for (let seed = 0; seed < 20; seed++) {
      const dice = makeDice(seed)
      const pages = new Pages()
      const entries: Entries = new Map()
      for (let step = 0; step < 30; step++) {
        const changes = new Map<string, Uint8Array | undefined>()
        for (let i = 0; i <= dice.int(12); i++) changes.set(keyOf(dice.int(60)), dice.chance(0.4) ? undefined : dice.bytes(16))
        for (const [key, value] of changes) value === undefined ? entries.delete(key) : entries.set(key, value)
        expect(toHex(pages.apply(changes))).toBe(toHex(naive(entries)))
      }
    }
  })

  test("the same entries give the same root and pages, whatever their order, batches and past", () => {
    const dice = makeDice(5)
    const entries = Array.from({ length: 300 }, (_, i) => [keyOf(i), dice.bytes(16)] as const)
    const whole = new Pages()
    const root = whole.apply(entries)
    const slow = new Pages()
    let last = zeroHash
    for (const entry of [...entries].reverse()) last = slow.apply([entry, ...(dice.chance(0.3) ? [[keyOf(9999), dice.bytes(3)] as const] : [])])
    last = slow.apply([[keyOf(9999), undefined]])
    expect(toHex(last)).toBe(toHex(root))
    expect(slow.dump()).toBe(whole.dump())
  })

  test("an update and its inverse leave root and pages as they were", () => {
    const dice = makeDice(6)
    const pages = new Pages()
    const entries: Entries = new Map(Array.from({ length: 200 }, (_, i) => [keyOf(i), dice.bytes(16)] as const))
    const root = pages.apply(entries)
    const before = pages.dump()
    for (let round = 0; round < 50; round++) {
      const keys = new Set(Array.from({ length: 1 + dice.int(40) }, () => keyOf(dice.int(400))))
      const forth = [...keys].map((key) => [key, dice.chance(0.3) ? undefined : dice.bytes(16)] as const)
      pages.apply(forth)
      expect(toHex(pages.apply([...keys].map((key) => [key, entries.get(key)] as const)))).toBe(toHex(root))
    }
    expect(pages.dump()).toBe(before)
  })

  test("one tree object over several updates equals updates stored one by one", () => {
    const dice = makeDice(8)
    const stored = new Pages()
    const tree = new StateTree(() => undefined)
    for (let step = 0; step < 40; step++) {
      const changes = Array.from(new Set(Array.from({ length: 9 }, () => dice.int(90)))).map(
        (i) => [keyOf(i), dice.chance(0.3) ? undefined : dice.bytes(16)] as const
      )
      expect(toHex(tree.update(changes))).toBe(toHex(stored.apply(changes)))
    }
    const kept = [...tree.pages()].filter((row): row is [string, Uint8Array] => row[1] !== undefined)
    expect(new Set(kept.map(([name, bytes]) => name + toHex(bytes)))).toEqual(new Set([...stored.rows].map(([name, bytes]) => name + toHex(bytes))))
  })

  test("it proves what is there and what is not, and no altered proof holds", () => {
    const dice = makeDice(9)
    for (const size of [0, 1, 2, 3, 17, 400]) {
      const pages = new Pages()
      const entries: Entries = new Map(Array.from({ length: size }, (_, i) => [keyOf(i), dice.bytes(16)] as const))
      const root = pages.apply(entries)
      for (let i = 0; i < 40; i++) {
        const key = keyOf(dice.int(size * 2 + 2))
        const value = entries.get(key)
        const proof = prove(pages.read, key)
        expect(checkProof({ root, key, value, proof })).toBe(true)
        expect(checkProof({ root, key, value: value === undefined ? dice.bytes(16) : undefined, proof })).toBe(false)
        expect(checkProof({ root, key, value: dice.bytes(16), proof })).toBe(false)
        const bytes = encodeProof(proof)
        expect(toHex(encodeProof(decodeProof(bytes)!))).toBe(toHex(bytes))
        const forged = decodeProof(dice.mutate(bytes))
        if (forged === undefined || toHex(encodeProof(forged)) === toHex(bytes)) continue
        expect(checkProof({ root, key, value, proof: forged })).toBe(false)
      }
    }
  })

  test("decoding a proof never throws", () => {
    const dice = makeDice(10)
    for (let i = 0; i < 3000; i++) decodeProof(dice.bytes(dice.int(200)))
    expect(decodeProof(new Uint8Array([1]))).toBeUndefined()
  })
})
