/**
 * The state tree: one hash that commits to every entry of the ledger, with proofs of what is and of what is not there.
 *
 * A binary tree over 256-bit paths, path = SHA-256(0x02 ‖ key): keys are hashed so that nobody can choose neighbours and
 * dig deep branches. leaf = SHA-256(0x00 ‖ path ‖ value), node = SHA-256(0x01 ‖ left ‖ right), nothing = 32 zero bytes;
 * a subtree with one leaf is that leaf. So the root depends on the entries alone, not on how they came to be.
 *
 * It is kept in pages of four levels (state-page.ts), named by the hex of the path above them: an update of many entries
 * writes each page once. `StateTree` holds pages decoded while one decision is made; the caller stores them at the end.
 */
import { assert } from "../assert.ts"
import { compare, concat, equal, fromHex } from "../codec/bytes.ts"
import { asHash, type Hash32, sha256, zeroHash } from "../crypto/hash.ts"
import {
  decodePage, empty, encodePage, hashLeafInto, hashNodeInto, innerKind, type Leaf, leafKind, makePage, type Page, setEmpty,
  setInner, setLeaf, type Summary, summarize
} from "./state-page.ts"

/** Reads a stored page; undefined: there is none. */
export type ReadPage = (name: string) => Uint8Array | undefined

/** A changed entry on its way into the tree; no value: it goes. */
interface Edit {
  readonly path: Uint8Array
  readonly value: Uint8Array | undefined
}

const pathTag = new Uint8Array([2])

/** The path of an entry's key, given as lower-case hex. */
export const pathOf = (key: string): Hash32 => sha256(concat(pathTag, fromHex(key)!))

const nibble = (path: Uint8Array, depth: number): number => (depth % 2 === 0 ? path[depth >> 1]! >> 4 : path[depth >> 1]! & 15)
const nothing: Summary = { kind: empty, hash: zeroHash, leaf: undefined }

/** The tree during one decision. Reads stored pages, keeps changed ones. */
export class StateTree {
  private readonly read: ReadPage
  /** Pages seen by this decision; undefined: gone. */
  private readonly open = new Map<string, Page | undefined>()
  private readonly dirty = new Set<string>()

  constructor(read: ReadPage) {
    this.read = read
  }

  /** Sets or removes entries and gives the new root. Keys are lower-case hex, each at most once. */
  update(changes: Iterable<readonly [key: string, value: Uint8Array | undefined]>): Hash32 {
    const edits: Array<Edit> = []
    for (const [key, value] of changes) edits.push({ path: pathOf(key), value })
    edits.sort((a, b) => compare(a.path, b.path))
    if (edits.length > 0) this.edit("", edits)
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
    for (const name of this.dirty) {
      const page = this.open.get(name)
      out.set(name, page === undefined ? undefined : encodePage(page))
    }
    return out
  }

  /** The page of a name, decoded once. */
  page(name: string): Page | undefined {
    if (this.open.has(name)) return this.open.get(name)
    const bytes = this.read(name)
    const page = bytes === undefined ? undefined : decodePage(bytes)
    this.open.set(name, page)
    return page
  }

  /** Applies edits, sorted by path, to the page of a name, and says what the subtree below it amounts to now. */
  private edit(name: string, edits: ReadonlyArray<Edit>): Summary {
    const page = this.page(name) ?? makePage()
    for (let from = 0; from < edits.length; ) {
      const slot = nibble(edits[from]!.path, name.length)
      let to = from + 1
      while (to < edits.length && nibble(edits[to]!.path, name.length) === slot) to++
      this.editSlot(page, { name, slot, edits: edits.slice(from, to) })
      from = to
    }
    const summary = summarize(page, 0, 16)
    // Below the root a page with one leaf or none is no page: its parent's slot says it all.
    const kept = name === "" ? summary.kind !== empty : summary.kind === innerKind
    this.open.set(name, kept ? page : undefined)
    this.dirty.add(name)
    return summary
  }

  private editSlot(page: Page, { name, slot, edits }: { name: string; slot: number; edits: ReadonlyArray<Edit> }): void {
    const child = name + slot.toString(16)
    const summary = page.kinds[slot] === innerKind ? this.edit(child, edits) : this.grow(page.leaves[slot], child, edits)
    if (summary.kind === empty) setEmpty(page, slot)
    else if (summary.kind === leafKind) setLeaf(page, slot, summary.leaf!)
    else setInner(page, slot, summary.hash)
  }

  /** A slot that held one leaf or none takes edits: none, one or a page of its own comes out. */
  private grow(held: Leaf | undefined, child: string, edits: ReadonlyArray<Edit>): Summary {
    const stays = held !== undefined && !edits.some(({ path }) => equal(path, held.path))
    const leaves: Array<Edit> = edits.filter(({ value }) => value !== undefined)
    if (stays) {
      leaves.push(held)
      leaves.sort((a, b) => compare(a.path, b.path))
    }
    const [only] = leaves
    if (only === undefined) return nothing
    if (leaves.length > 1) return this.edit(child, leaves)
    return { kind: leafKind, hash: zeroHash, leaf: { path: only.path, value: only.value! } }
  }
}

/** Applies changes to stored pages: the new root and the pages to store. */
export const update = (
  read: ReadPage,
  changes: Iterable<readonly [key: string, value: Uint8Array | undefined]>
): { readonly root: Hash32; readonly pages: Map<string, Uint8Array | undefined> } => {
  const tree = new StateTree(read)
  const root = tree.update(changes)
  return { root, pages: tree.pages() }
}

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

const bit = (path: Uint8Array, index: number): number => (path[index >> 3]! >> (7 - (index & 7))) & 1

const sharesBits = (a: Uint8Array, b: Uint8Array, count: number): boolean => {
  for (let i = 0; i < count; i++) if (bit(a, i) !== bit(b, i)) return false
  return true
}

/** Does the root commit to this value of the key (undefined: to the key having none)? */
export const checkProof = (claim: {
  readonly root: Hash32
  readonly key: string
  readonly value: Uint8Array | undefined
  readonly proof: StateProof
}): boolean => {
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
  if (count > 256 || rest < 0 || (rest > 0 && rest < 32)) return undefined
  const siblings = Array.from({ length: count }, (_, i) => bytes.slice(2 + i * 32, 34 + i * 32))
  const leaf = rest === 0 ? undefined : { path: bytes.slice(end, end + 32), value: bytes.slice(end + 32) }
  return { siblings, leaf }
}

