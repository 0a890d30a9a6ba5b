/** The state tree against a naive one, its independence of history, and its proofs against forgers. */
import { describe, expect, test } from "bun:test"
import vectors from "../../docs/vectors/state-tree.json" with { type: "json" }
import { makeDice } from "../sim/dice.ts"
import { Bug } from "../assert.ts"
import { compare, concat, fromHex, toHex, utf8 } from "../codec/bytes.ts"
import { type Hash32, sha256, zeroHash } from "../crypto/hash.ts"
import { decodePage, encodePage, hashLeafInto } from "./state-page.ts"
import { checkProof, decodeProof, encodeProof, pathOf, prove, rootOf, StateTree, update } from "./state-tree.ts"

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
    this.store(pages)
    return root
  }
  store(pages: ReadonlyMap<string, Uint8Array | undefined>): void {
    for (const [name, bytes] of pages) bytes === undefined ? this.rows.delete(name) : this.rows.set(name, bytes)
  }
  dump(): string {
    const rows = [...this.rows].sort(([a], [b]) => (a < b ? -1 : 1))
    return rows.map(([name, bytes]) => `${name}:${toHex(bytes)}`).join("\n")
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
        for (let i = 0; i <= dice.int(12); i++) {
          changes.set(keyOf(dice.int(60)), dice.chance(0.4) ? undefined : dice.bytes(16))
        }
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
    for (const entry of [...entries].reverse()) {
      slow.apply(dice.chance(0.3) ? [entry, [keyOf(9999), dice.bytes(3)]] : [entry])
    }
    const last = slow.apply([[keyOf(9999), undefined]])
    expect(toHex(last)).toBe(toHex(root))
    expect(slow.dump()).toBe(whole.dump())
  })

  test("an update and its inverse leave root and pages as they were, stored or within one decision", () => {
    const dice = makeDice(6)
    const pages = new Pages()
    const entries: Entries = new Map(Array.from({ length: 200 }, (_, i) => [keyOf(i), dice.bytes(16)] as const))
    const root = pages.apply(entries)
    const before = pages.dump()
    const decision = new StateTree(pages.read)
    for (let round = 0; round < 50; round++) {
      const keys = new Set(Array.from({ length: 1 + dice.int(40) }, () => keyOf(dice.int(400))))
      const forth = [...keys].map((key) => [key, dice.chance(0.3) ? undefined : dice.bytes(16)] as const)
      const back = [...keys].map((key) => [key, entries.get(key)] as const)
      const there = decision.update(forth)
      expect(toHex(decision.update(back))).toBe(toHex(root))
      expect(toHex(pages.apply(forth))).toBe(toHex(there))
      expect(toHex(pages.apply(back))).toBe(toHex(root))
    }
    expect(pages.dump()).toBe(before)
    pages.store(decision.pages())
    expect(pages.dump()).toBe(before)
  })

  test("one decision over several updates stores what updates stored one by one do", () => {
    const dice = makeDice(8)
    const stepwise = new Pages()
    const whole = new Pages()
    for (let decision = 0; decision < 5; decision++) {
      const tree = new StateTree(whole.read)
      for (let step = 0; step < 20; step++) {
        const keys = new Set(Array.from({ length: 1 + dice.int(9) }, () => keyOf(dice.int(90))))
        const drawn = (): Uint8Array | undefined => (dice.chance(0.4) ? undefined : dice.bytes(1 + dice.int(40)))
        const changes = [...keys].map((key) => [key, drawn()] as const)
        expect(toHex(tree.update(changes))).toBe(toHex(stepwise.apply(changes)))
      }
      whole.store(tree.pages())
      expect(whole.dump()).toBe(stepwise.dump())
      expect(toHex(rootOf(whole.read))).toBe(toHex(tree.root()))
    }
  })

  test("a decision names no page for removal that is not stored", () => {
    const dice = makeDice(12)
    const pages = new Pages()
    const entries = Array.from({ length: 200 }, (_, i) => [keyOf(i), dice.bytes(16)] as const)
    pages.apply(entries.slice(0, 100))
    const tree = new StateTree(pages.read)
    tree.update(entries.slice(100))
    tree.update(entries.map(([key]) => [key, undefined] as const))
    const removed = [...tree.pages()]
    expect(removed.map(([name]) => name).sort()).toEqual([...pages.rows.keys()].sort())
    expect(removed.every(([, bytes]) => bytes === undefined)).toBe(true)
  })

  test("a page is read once in a decision, and only on the way to a changed key", () => {
    const dice = makeDice(13)
    const pages = new Pages()
    pages.apply(Array.from({ length: 2000 }, (_, i) => [keyOf(i), dice.bytes(16)] as const))
    const seen: Array<string> = []
    const tree = new StateTree((name) => (seen.push(name), pages.read(name)))
    for (let i = 0; i < 10; i++) tree.update([[keyOf(7), dice.bytes(16)]])
    const path = toHex(pathOf(keyOf(7)))
    expect(seen).toEqual(Array.from({ length: seen.length }, (_, i) => path.slice(0, i)))
    expect(seen.length > 2).toBe(true)
  })

  test("stored pages are their own form: decoding and encoding gives the same bytes", () => {
    const dice = makeDice(14)
    const pages = new Pages()
    pages.apply(Array.from({ length: 500 }, (_, i) => [keyOf(i), dice.bytes(dice.int(300))] as const))
    for (const bytes of pages.rows.values()) expect(toHex(encodePage(decodePage(bytes)))).toBe(toHex(bytes))
  })

  test("a key twice in one update, a key that is not hex, a value above 65,535 bytes: our bug", () => {
    const tree = new StateTree(() => undefined)
    const value = new Uint8Array(1)
    expect(() =>
      tree.update([
        [keyOf(1), value],
        [keyOf(1), undefined]
      ])
    ).toThrow(Bug)
    expect(() => tree.update([["zz", value]])).toThrow()
    expect(() => tree.update([[keyOf(1), new Uint8Array(65_536)]])).toThrow(Bug)
    expect(tree.pages().size).toBe(0)
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
        for (let forgery = 0; forgery < 8; forgery++) {
          const forged = decodeProof(dice.mutate(bytes))
          if (forged === undefined || toHex(encodeProof(forged)) === toHex(bytes)) continue
          expect(checkProof({ root, key, value, proof: forged })).toBe(false)
        }
        expect(checkProof({ root: sha256(root), key, value, proof })).toBe(false)
        expect(checkProof({ root, key: keyOf(size * 3 + i), value: dice.bytes(16), proof })).toBe(false)
      }
    }
  })

  test("no proof of another key shows that a key is absent that is there", () => {
    const dice = makeDice(15)
    const pages = new Pages()
    const entries = Array.from({ length: 64 }, (_, i) => [keyOf(i), dice.bytes(16)] as const)
    const root = pages.apply(entries)
    for (const [key] of entries) {
      for (let i = 0; i < 128; i++) {
        const proof = prove(pages.read, keyOf(i))
        expect(checkProof({ root, key, value: undefined, proof })).toBe(false)
      }
    }
  })

  test("a leaf in the wrong place, or cut in another place, proves nothing", () => {
    const values = [new Uint8Array(16), new Uint8Array(16).fill(1)]
    const side = (wanted: number, from: number): string => {
      for (let i = from; ; i++) if (pathOf(keyOf(i))[0]! >> 7 === wanted) return keyOf(i)
    }
    const keys = [side(0, 0), side(1, 0)]
    const leaves = keys.map((key, i) => ({ path: pathOf(key), value: values[i]! }))
    const hashes = leaves.map(({ path, value }) => sha256(concat(new Uint8Array([0]), path, value)))
    // A root that a liar could sign: both leaves lie where the other belongs.
    const swapped = sha256(concat(new Uint8Array([1]), hashes[1]!, hashes[0]!))
    const misplaced = { siblings: [hashes[0]!], leaf: leaves[1] }
    expect(checkProof({ root: swapped, key: keys[0]!, value: undefined, proof: misplaced })).toBe(false)
    const bytes = concat(leaves[0]!.path, leaves[0]!.value)
    const recut = { siblings: [], leaf: { path: bytes.slice(0, 31), value: bytes.slice(31) } }
    expect(checkProof({ root: hashes[0]!, key: keys[0]!, value: undefined, proof: recut })).toBe(false)
  })

  test("decoding a proof never throws", () => {
    const dice = makeDice(10)
    for (let i = 0; i < 3000; i++) decodeProof(dice.bytes(dice.int(200)))
    expect(decodeProof(new Uint8Array([1]))).toBeUndefined()
    expect(decodeProof(new Uint8Array([1, 1, ...new Uint8Array(257 * 32)]))).toBeUndefined()
    expect(decodeProof(new Uint8Array(2 + 32 + 65_536))).toBeUndefined()
  })

  test("checking a proof never throws, not even for a key that is not hex", () => {
    const proof = { siblings: [], leaf: undefined }
    expect(checkProof({ root: zeroHash, key: "xyz", value: undefined, proof })).toBe(false)
    const short = { siblings: [new Uint8Array(31)], leaf: { path: new Uint8Array(3), value: new Uint8Array(0) } }
    expect(checkProof({ root: zeroHash, key: "00", value: undefined, proof: short })).toBe(false)
  })
})

describe("docs/vectors/state-tree.json", () => {
  test("paths and leaf hashes are those of the other implementation", () => {
    for (const { key, path } of vectors.path) expect(toHex(pathOf(key))).toBe(path)
    for (const { key, value, hash } of vectors.leaf) {
      const out = new Uint8Array(32)
      hashLeafInto({ path: pathOf(key), value: fromHex(value)! }, out)
      expect(toHex(out)).toBe(hash)
    }
  })

  test.each(vectors.cases)("$root: root, pages and proofs are those of the other implementation", (known) => {
    const pages = new Pages()
    const root = pages.apply(known.entries.map(({ key, value }) => [key, fromHex(value)!] as const))
    expect(toHex(root)).toBe(known.root)
    const rows = Object.fromEntries([...pages.rows].map(([name, bytes]) => [name, toHex(bytes)] as const))
    if (known.pages !== undefined) expect(rows).toEqual(known.pages)
    if (known.pagesHash !== undefined) expect(toHex(sha256(utf8(pages.dump())))).toBe(known.pagesHash)
    for (const { key, value, proof } of known.proofs) {
      expect(toHex(encodeProof(prove(pages.read, key)))).toBe(proof)
      const held = value === null ? undefined : fromHex(value)
      expect(checkProof({ root, key, value: held, proof: decodeProof(fromHex(proof)!)! })).toBe(true)
    }
  })
})
