/**
 * A page of the state tree: sixteen slots, four levels of bits, in one stored row. See state-tree.ts.
 *
 * Bytes: u16 mask of slots in use, u16 mask of those that hold a whole subtree; then slot by slot, for a subtree its
 * 32-byte hash, for a leaf its 32-byte path, u16 value length, value. One tree has one set of pages, whatever its past.
 *
 * In memory a page is its little tree: node 1 is all of it, nodes 2n and 2n + 1 are the halves of node n, nodes 16 to
 * 31 are the slots. A changed slot makes the four nodes above it stale; only those are hashed again, when someone asks.
 */
import { assert } from "../assert.ts"
import { sha256Into, zeroHash } from "../crypto/hash.ts"

export const empty = 0
export const leafKind = 1
export const innerKind = 2

/** Bytes of one entry's value: what its u16 length can say. */
export const valueBytesMax = 0xffff

/** One entry of the state: its path and its value. */
export interface Leaf {
  readonly path: Uint8Array
  readonly value: Uint8Array
}

/** A leaf in a page; its hash is made when first needed and goes along when the leaf moves to another page. */
export interface HeldLeaf extends Leaf {
  hash: Uint8Array | undefined
}

/** All three by node. A node with one leaf below it is that leaf; `hashes` counts only where the kind is inner. */
export interface Page {
  readonly kinds: Uint8Array
  readonly hashes: Array<Uint8Array | undefined>
  readonly leaves: Array<HeldLeaf | undefined>
  /** Bit n: node n (1 to 15) is to be made anew from its halves. */
  stale: number
}

export const makePage = (): Page => ({
  kinds: new Uint8Array(32),
  hashes: new Array<Uint8Array | undefined>(32).fill(undefined),
  leaves: new Array<HeldLeaf | undefined>(32).fill(undefined),
  stale: 0
})

/** Grows to the longest value seen, so that hashing a leaf allocates nothing but its hash. */
let leafScratch = new Uint8Array(33 + 16)
const nodeScratch = new Uint8Array(65)
nodeScratch[0] = 1

/** SHA-256(0x00 ‖ path ‖ value) into `out`. */
export const hashLeafInto = ({ path, value }: Leaf, out: Uint8Array): void => {
  const length = 33 + value.length
  if (leafScratch.length < length) leafScratch = new Uint8Array(length)
  leafScratch[0] = 0
  leafScratch.set(path, 1)
  leafScratch.set(value, 33)
  sha256Into(leafScratch.length === length ? leafScratch : leafScratch.subarray(0, length), out)
}

/** SHA-256(0x01 ‖ left ‖ right) into `out`, which may be one of them. */
export const hashNodeInto = (left: Uint8Array, right: Uint8Array, out: Uint8Array): void => {
  nodeScratch.set(left, 1)
  nodeScratch.set(right, 33)
  sha256Into(nodeScratch, out)
}

const put = (page: Page, slot: number, kind: number): void => {
  const node = 16 + slot
  page.kinds[node] = kind
  page.leaves[node] = undefined
  page.stale |= (1 << (node >> 1)) | (1 << (node >> 2)) | (1 << (node >> 3)) | 2
}

export const setEmpty = (page: Page, slot: number): void => put(page, slot, empty)

export const setLeaf = (page: Page, slot: number, leaf: HeldLeaf): void => {
  put(page, slot, leafKind)
  page.leaves[16 + slot] = leaf
}

/** The page keeps `hash`: who changes those bytes must set the slot again. */
export const setInner = (page: Page, slot: number, hash: Uint8Array): void => {
  put(page, slot, innerKind)
  page.hashes[16 + slot] = hash
}

/** The hash of a node that is not stale. */
export const hashOf = (page: Page, node: number): Uint8Array => {
  if (page.kinds[node] === innerKind) return page.hashes[node]!
  const leaf = page.leaves[node]
  if (leaf === undefined) return zeroHash
  if (leaf.hash !== undefined) return leaf.hash
  leaf.hash = new Uint8Array(32)
  hashLeafInto(leaf, leaf.hash)
  return leaf.hash
}

/** Makes one node from its halves: a lone leaf stands for its whole subtree. */
const join = (page: Page, node: number): void => {
  const { kinds, leaves, hashes } = page
  const left = node * 2
  const right = left + 1
  const lone = kinds[right] === empty ? left : kinds[left] === empty ? right : 0
  if (lone !== 0 && kinds[lone] !== innerKind) {
    kinds[node] = kinds[lone]!
    leaves[node] = leaves[lone]
    return
  }
  kinds[node] = innerKind
  leaves[node] = undefined
  hashNodeInto(hashOf(page, left), hashOf(page, right), (hashes[node] ??= new Uint8Array(32)))
}

/** Makes every stale node anew, from the slots up. */
export const settle = (page: Page): void => {
  while (page.stale !== 0) {
    const node = 31 - Math.clz32(page.stale)
    join(page, node)
    page.stale ^= 1 << node
  }
}

/** What a run of slots amounts to: nothing, one leaf, or a node over both halves. */
export interface Summary {
  readonly kind: number
  readonly hash: Uint8Array
  readonly leaf: Leaf | undefined
}

/** Summary of `size` slots (a power of two) from `from`, a multiple of it. */
export const summarize = (page: Page, from: number, size: number): Summary => {
  settle(page)
  const node = (16 + from) / size
  return { kind: page.kinds[node]!, hash: hashOf(page, node), leaf: page.leaves[node] }
}

const pageBytes = ({ kinds, leaves }: Page): number => {
  let length = 4
  for (let node = 16; node < 32; node++) {
    if (kinds[node] !== empty) length += kinds[node] === innerKind ? 32 : 34 + leaves[node]!.value.length
  }
  return length
}

export const encodePage = (page: Page): Uint8Array => {
  const out = new Uint8Array(pageBytes(page))
  let used = 0
  let inner = 0
  let at = 4
  for (let slot = 0; slot < 16; slot++) {
    const kind = page.kinds[16 + slot]!
    if (kind === empty) continue
    used |= 1 << slot
    if (kind === innerKind) {
      inner |= 1 << slot
      out.set(page.hashes[16 + slot]!, at)
      at += 32
    } else {
      const { path, value } = page.leaves[16 + slot]!
      out.set(path, at)
      out[at + 32] = value.length & 0xff
      out[at + 33] = value.length >>> 8
      out.set(value, at + 34)
      at += 34 + value.length
    }
  }
  out[0] = used & 0xff
  out[1] = used >>> 8
  out[2] = inner & 0xff
  out[3] = inner >>> 8
  return out
}

/** The page of bytes that we stored ourselves; other bytes are a bug. It looks into `bytes`: they must not change. */
export const decodePage = (bytes: Uint8Array): Page => {
  const page = makePage()
  const used = bytes[0]! | (bytes[1]! << 8)
  const inner = bytes[2]! | (bytes[3]! << 8)
  let at = 4
  for (let slot = 0; slot < 16; slot++) {
    if ((used & (1 << slot)) === 0) continue
    if ((inner & (1 << slot)) !== 0) {
      setInner(page, slot, bytes.subarray(at, at + 32))
      at += 32
    } else {
      const end = at + 34 + (bytes[at + 32]! | (bytes[at + 33]! << 8))
      setLeaf(page, slot, { path: bytes.subarray(at, at + 32), value: bytes.subarray(at + 34, end), hash: undefined })
      at = end
    }
  }
  assert(at === bytes.length, "a stored page of the state tree has its own form")
  return page
}
