/** A tree made at once is the tree that grew: same root, same pages. */
import { expect, test } from "bun:test"
import { compare } from "../codec/bytes.ts"
import { zeroHash } from "../crypto/hash.ts"
import { makeDice } from "../sim/dice.ts"
import { buildTree } from "./state-build.ts"
import { pathOf, update } from "./state-tree.ts"

const entriesOf = (count: number): ReadonlyArray<readonly [string, Uint8Array]> => {
  const dice = makeDice(count)
  return Array.from({ length: count }, () => [dice.bytes(20).toHex(), dice.bytes(16)] as const)
}

test.each([1, 2, 3, 16, 17, 300, 5_000])("%i entries make the pages that they would have grown into", (count) => {
  const entries = entriesOf(count)
  const grown = update(() => undefined, entries)
  const pages = new Map<string, Uint8Array>()
  const leaves = entries
    .map(([key, value]) => ({ path: pathOf(key), value }))
    .sort((a, b) => compare(a.path, b.path))
    .values()
  const root = buildTree(leaves, (name, page) => {
    expect(pages.has(name)).toBe(false)
    pages.set(name, page)
  })
  expect(root).toEqual(grown.root)
  expect([...pages].sort()).toEqual([...grown.pages].sort() as never)
})

test("no entries make no pages", () => {
  expect(buildTree([].values(), () => expect.unreachable())).toEqual(zeroHash)
})

test("paths that fall or stand twice are a bug of the caller", () => {
  const leaf = (first: number) => ({ path: new Uint8Array(32).fill(first), value: new Uint8Array(1) })
  const build = (...firsts: ReadonlyArray<number>) => () => buildTree(firsts.map(leaf).values(), () => {})
  expect(build(1, 3)).not.toThrow()
  expect(build(3, 1)).toThrow("rise")
  expect(build(1, 2, 2)).toThrow("rise")
})
