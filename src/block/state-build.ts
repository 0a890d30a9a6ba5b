/** The state tree made at once from all its entries in the order of their paths: each page is made once, a handful is held. */
import { assert } from "../assert.ts"
import { compare } from "../codec/bytes.ts"
import { asHash, type Hash32, zeroHash } from "../crypto/hash.ts"
import { encodePage, hashOf, type Leaf, makePage, type Page, setInner, setLeaf, settle } from "./state-page.ts"

const nibbles = (path: Uint8Array, count: number): string => path.toHex().slice(0, count)

/**
 * The root over leaves whose paths rise strictly; every page goes to `put` as soon as it is whole, lower ones first. The
 * pages are those that `StateTree` would make of the same entries in any order.
 */
export const buildTree = (leaves: Iterator<Leaf>, put: (name: string, page: Uint8Array) => void): Hash32 => {
  const take = (after: Leaf | undefined): Leaf | undefined => {
    const step = leaves.next()
    if (step.done === true) return undefined
    assert(after === undefined || compare(after.path, step.value.path) < 0, "the paths of the leaves rise")
    return step.value
  }
  let leaf = take(undefined)
  let next = leaf === undefined ? undefined : take(leaf)

  /** The page of a name, from the leaf at hand to the last one under that name. */
  const fill = (name: string): Page => {
    const page = makePage()
    while (leaf !== undefined && nibbles(leaf.path, name.length) === name) {
      const child = nibbles(leaf.path, name.length + 1)
      const slot = Number.parseInt(child.at(-1)!, 16)
      if (next !== undefined && nibbles(next.path, child.length) === child) {
        setInner(page, slot, hashOf(fill(child), 1))
        continue
      }
      setLeaf(page, slot, { path: leaf.path, value: leaf.value, hash: undefined })
      leaf = next
      next = leaf === undefined ? undefined : take(leaf)
    }
    settle(page)
    put(name, encodePage(page))
    return page
  }

  if (leaf === undefined) return zeroHash
  return asHash(hashOf(fill(""), 1).slice())
}
