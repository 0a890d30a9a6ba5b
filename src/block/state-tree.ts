/**
 * The state tree: one hash that commits to every entry of the ledger, with proofs of what is and of what is not there.
 *
 * A binary tree over 256-bit paths, path = SHA-256(0x02 ‖ key): keys are hashed so that nobody can choose neighbours
 * and dig deep branches. leaf = SHA-256(0x00 ‖ path ‖ value), node = SHA-256(0x01 ‖ left ‖ right), nothing = 32 zero
 * bytes; a subtree with one leaf is that leaf. So the root depends on the entries alone, not on how they came to be.
 *
 * It is kept in pages of four levels (state-page.ts), named by the hex of the path above them: an update of many
 * entries writes each page once. `StateTree` holds them decoded for one decision; the caller stores them at the end.
 */
import { assert } from "../assert.ts"
import { compare, concat, equal, fromHex } from "../codec/bytes.ts"
import { asHash, type Hash32, sha256Into, zeroHash } from "../crypto/hash.ts"
import {
  decodePage,
  empty,
  encodePage,
  hashLeafInto,
  hashNodeInto,
  hashOf,
  type HeldLeaf,
  innerKind,
  type Leaf,
  makePage,
  type Page,
  setEmpty,
  setInner,
  setLeaf,
  settle,
  summarize,
  valueBytesMax
} from "./state-page.ts"

/** Reads a stored page; undefined: there is none. */
export type ReadPage = (name: string) => Uint8Array | undefined

/** Entries to set, or to remove where there is no value. Keys are lower-case hex, each at most once. */
export type Changes = Iterable<readonly [key: string, value: Uint8Array | undefined]>

/** A changed entry on its way into the tree, ready to lie in a page; no value: it goes. */
interface Edit {
  readonly path: Uint8Array
  readonly value: Uint8Array | undefined
  hash: Uint8Array | undefined
}

/** A page that this decision has seen; no page: gone. */
interface Held {
  readonly page: Page | undefined
  /** The store has a page of this name. */
  readonly stored: boolean
  readonly changed: boolean
}

let keyScratch = new Uint8Array([2])

/** The path of an entry's key, given as lower-case hex: SHA-256(0x02 ‖ key). */
export const pathOf = (key: string): Hash32 => {
  if (keyScratch.length !== 1 + key.length / 2) {
    keyScratch = new Uint8Array(1 + (key.length >> 1))
    keyScratch[0] = 2
  }
  const { read } = keyScratch.subarray(1).setFromHex(key)
  assert(read === key.length, "a key of the state is hex")
  const path = new Uint8Array(32)
  sha256Into(keyScratch, path)
  return asHash(path)
}

const digits = "0123456789abcdef"
const nibble = (path: Uint8Array, depth: number): number =>
  depth % 2 === 0 ? path[depth >> 1]! >> 4 : path[depth >> 1]! & 15

/** The tree during one decision: pages are read once and stay decoded; only what a change touches is hashed again. */
export class StateTree {
  private readonly read: ReadPage
  private readonly held = new Map<string, Held>()

  constructor(read: ReadPage) {
    this.read = read
  }

  /** Applies changes and gives the new root. */
  update(changes: Changes): Hash32 {
    const edits: Array<Edit> = []
    for (const [key, value] of changes) {
      assert(value === undefined || value.length <= valueBytesMax, "the value of an entry fits a page")
      edits.push({ path: pathOf(key), value, hash: undefined })
    }
    edits.sort((a, b) => compare(a.path, b.path))
    const twice = edits.some(({ path }, i) => i > 0 && equal(path, edits[i - 1]!.path))
    assert(!twice, "a key changes once in an update")
    if (edits.length > 0) this.edit("", this.at("").page ?? makePage(), edits)
    return this.root()
  }

  /** The root as it stands. */
  root(): Hash32 {
    const page = this.page("")
    return page === undefined ? zeroHash : asHash(summarize(page, 0, 16).hash.slice())
  }

  /** The changed pages as bytes, by name; undefined: remove it. */
  pages(): Map<string, Uint8Array | undefined> {
    const out = new Map<string, Uint8Array | undefined>()
    for (const [name, { page, stored, changed }] of this.held) {
      if (changed && (stored || page !== undefined)) out.set(name, page === undefined ? undefined : encodePage(page))
    }
    return out
  }

  /** The page of a name, decoded once. */
  page(name: string): Page | undefined {
    return this.at(name).page
  }

  private at(name: string): Held {
    const known = this.held.get(name)
    if (known !== undefined) return known
    const bytes = this.read(name)
    const page = bytes === undefined ? undefined : decodePage(bytes)
    const held = { page, stored: page !== undefined, changed: false }
    this.held.set(name, held)
    return held
  }

  /** Applies edits, sorted by path, to a page and says whether it stays: it goes if one leaf or none is left. */
  private edit(name: string, page: Page, edits: ReadonlyArray<Edit>): boolean {
    for (let from = 0; from < edits.length; ) {
      const slot = nibble(edits[from]!.path, name.length)
      let to = from + 1
      while (to < edits.length && nibble(edits[to]!.path, name.length) === slot) to++
      this.editSlot(page, slot, { child: name + digits[slot], edits: edits.slice(from, to) })
      from = to
    }
    settle(page)
    // Only the root page has no slot above it that could hold a lone leaf.
    const stays = page.kinds[1] === innerKind || (name === "" && page.kinds[1] !== empty)
    const stored = this.held.get(name)?.stored === true
    this.held.set(name, { page: stays ? page : undefined, stored, changed: true })
    return stays
  }

  private editSlot(page: Page, slot: number, { child, edits }: { child: string; edits: ReadonlyArray<Edit> }): void {
    const below = page.kinds[16 + slot] === innerKind
    const rest = below ? edits : merge(page.leaves[16 + slot], edits)
    if (!below && rest.length < 2) return setSlot(page, slot, rest[0])
    const under = below ? this.page(child) : makePage()
    assert(under !== undefined, "a slot that holds a subtree has a page below it")
    if (this.edit(child, under, rest)) setInner(page, slot, hashOf(under, 1))
    else setSlot(page, slot, under.leaves[1])
  }
}

const setSlot = (page: Page, slot: number, leaf: Edit | undefined): void =>
  leaf !== undefined && hasValue(leaf) ? setLeaf(page, slot, leaf) : setEmpty(page, slot)

const hasValue = (edit: Edit): edit is HeldLeaf => edit.value !== undefined

/** The leaves, sorted, that a slot holds after edits if it held one leaf or none before. */
const merge = (held: HeldLeaf | undefined, edits: ReadonlyArray<Edit>): ReadonlyArray<Edit> => {
  const leaves = edits.filter(hasValue)
  if (held === undefined || edits.some(({ path }) => equal(path, held.path))) return leaves
  leaves.push(held)
  return leaves.sort((a, b) => compare(a.path, b.path))
}

/** Applies changes to stored pages: the new root and the pages to store. */
export const update = (
  read: ReadPage,
  changes: Changes
): { readonly root: Hash32; readonly pages: Map<string, Uint8Array | undefined> } => {
  const tree = new StateTree(read)
  const root = tree.update(changes)
  return { root, pages: tree.pages() }
}

/** The root of stored pages. */
export const rootOf = (read: ReadPage): Hash32 => new StateTree(read).root()

/** The way from the root to where a path ends: the hashes beside it, top down, and the leaf found there, if any. */
export interface StateProof {
  readonly siblings: ReadonlyArray<Uint8Array>
  readonly leaf: Leaf | undefined
}

/** Proof of what the tree says of a key: its value, or that it has none. */
export const prove = (read: ReadPage, key: string): StateProof => {
  const tree = new StateTree(read)
  const path = pathOf(key)
  const siblings: Array<Uint8Array> = []
  for (let name = ""; ; name += nibble(path, name.length).toString(16)) {
    const page = tree.page(name)
    if (page === undefined) return { siblings, leaf: undefined }
    let from = 0
    for (let size = 16; ; size /= 2) {
      const here = summarize(page, from, size)
      if (here.kind !== innerKind) return { siblings, leaf: here.leaf }
      if (size === 1) break
      const right = nibble(path, name.length) & (size / 2)
      siblings.push(summarize(page, right === 0 ? from + size / 2 : from, size / 2).hash.slice())
      if (right !== 0) from += size / 2
    }
  }
}

/** A bit of a path; the first decides at the root: 0 is left. */
export const bit = (path: Uint8Array, index: number): number => (path[index >> 3]! >> (7 - (index & 7))) & 1

const sharesBits = (a: Uint8Array, b: Uint8Array, count: number): boolean => {
  for (let i = 0; i < count; i++) if (bit(a, i) !== bit(b, i)) return false
  return true
}

/** Does the root commit to this value of the key (undefined: to the key having none)? Never throws. */
export const checkProof = (claim: {
  readonly root: Hash32
  readonly key: string
  readonly value: Uint8Array | undefined
  readonly proof: StateProof
}): boolean => {
  if (fromHex(claim.key) === undefined) return false
  const { siblings, leaf } = claim.proof
  const path = pathOf(claim.key)
  const same = leaf !== undefined && equal(leaf.path, path)
  if (claim.value !== undefined ? !same || !equal(leaf.value, claim.value) : same) return false
  if (siblings.length > 256 || siblings.some((hash) => hash.length !== 32)) return false
  if (leaf !== undefined && (leaf.path.length !== 32 || !sharesBits(leaf.path, path, siblings.length))) return false
  const hash = new Uint8Array(32)
  if (leaf !== undefined) hashLeafInto(leaf, hash)
  for (let depth = siblings.length - 1; depth >= 0; depth--) {
    const sibling = siblings[depth]!
    if (bit(path, depth) === 0) hashNodeInto(hash, sibling, hash)
    else hashNodeInto(sibling, hash, hash)
  }
  return equal(hash, claim.root)
}

/** Proof bytes: u16 sibling count ‖ siblings ‖ (nothing, or leaf path ‖ leaf value). */
export const encodeProof = ({ siblings, leaf }: StateProof): Uint8Array => {
  assert(siblings.length <= 256, "a path has 256 bits")
  const count = new Uint8Array([siblings.length & 0xff, siblings.length >>> 8])
  return leaf === undefined ? concat(count, ...siblings) : concat(count, ...siblings, leaf.path, leaf.value)
}

/** The proof of bytes, or undefined. Never throws. */
export const decodeProof = (bytes: Uint8Array): StateProof | undefined => {
  if (bytes.length < 2) return undefined
  const count = bytes[0]! | (bytes[1]! << 8)
  const end = 2 + count * 32
  const rest = bytes.length - end
  if (count > 256 || rest < 0 || (rest > 0 && rest < 32) || rest > 32 + valueBytesMax) return undefined
  const siblings = Array.from({ length: count }, (_, i) => bytes.slice(2 + i * 32, 34 + i * 32))
  const leaf = rest === 0 ? undefined : { path: bytes.slice(end, end + 32), value: bytes.slice(end + 32) }
  return { siblings, leaf }
}
