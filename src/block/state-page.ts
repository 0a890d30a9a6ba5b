/**
 * A page of the state tree: sixteen slots, four levels of bits, in one stored row. See state-tree.ts.
 *
 * Bytes: u16 mask of slots in use, u16 mask of those that hold a whole subtree; then slot by slot, for a subtree its
 * 32-byte hash, for a leaf its 32-byte path, u16 value length, value. One tree has one set of pages, whatever its past.
 */
import { assert } from "../assert.ts"
import { concatAll } from "../codec/bytes.ts"
import { sha256Into } from "../crypto/hash.ts"

export const empty = 0
export const leafKind = 1
export const innerKind = 2

/** One entry of the state: its path and its value. */
export interface Leaf {
  readonly path: Uint8Array
  readonly value: Uint8Array
}

/** Sixteen slots: what each holds, its hash, and the leaf where it holds one. */
export interface Page {
  readonly kinds: Uint8Array
  readonly hashes: Uint8Array
  readonly leaves: Array<Leaf | undefined>
}

export const makePage = (): Page => ({
  kinds: new Uint8Array(16),
  hashes: new Uint8Array(512),
  leaves: new Array<Leaf | undefined>(16).fill(undefined)
})

let leafScratch = new Uint8Array(33 + 64)
const nodeScratch = new Uint8Array(65)
nodeScratch[0] = 1

/** SHA-256(0x00 ‖ path ‖ value) into `out`. */
export const hashLeafInto = ({ path, value }: Leaf, out: Uint8Array): void => {
  const length = 33 + value.length
  if (leafScratch.length < length) leafScratch = new Uint8Array(length)
  leafScratch[0] = 0
  leafScratch.set(path, 1)
  leafScratch.set(value, 33)
  sha256Into(leafScratch.subarray(0, length), out)
}

/** SHA-256(0x01 ‖ left ‖ right) into `out`. */
export const hashNodeInto = (left: Uint8Array, right: Uint8Array, out: Uint8Array): void => {
  nodeScratch.set(left, 1)
  nodeScratch.set(right, 33)
  sha256Into(nodeScratch, out)
}

export const setEmpty = (page: Page, slot: number): void => {
  page.kinds[slot] = empty
  page.leaves[slot] = undefined
  page.hashes.fill(0, slot * 32, slot * 32 + 32)
}

export const setLeaf = (page: Page, slot: number, leaf: Leaf): void => {
  page.kinds[slot] = leafKind
  page.leaves[slot] = leaf
  hashLeafInto(leaf, page.hashes.subarray(slot * 32, slot * 32 + 32))
}

export const setInner = (page: Page, slot: number, hash: Uint8Array): void => {
  page.kinds[slot] = innerKind
  page.leaves[slot] = undefined
  page.hashes.set(hash, slot * 32)
}

/** What a run of slots amounts to: nothing, one leaf, or a node over both halves. */
export interface Summary {
  readonly kind: number
  readonly hash: Uint8Array
  readonly leaf: Leaf | undefined
}

/** Summary of `size` slots (a power of two) from `from`: a lone leaf stands for its whole subtree. */
export const summarize = (page: Page, from: number, size: number): Summary => {
  if (size === 1) {
    return { kind: page.kinds[from]!, hash: page.hashes.subarray(from * 32, from * 32 + 32), leaf: page.leaves[from] }
  }
  const left = summarize(page, from, size / 2)
  const right = summarize(page, from + size / 2, size / 2)
  if (right.kind === empty && left.kind !== innerKind) return left
  if (left.kind === empty && right.kind !== innerKind) return right
  const hash = new Uint8Array(32)
  hashNodeInto(left.hash, right.hash, hash)
  return { kind: innerKind, hash, leaf: undefined }
}

export const encodePage = (page: Page): Uint8Array => {
  let used = 0
  let inner = 0
  const parts: Array<Uint8Array> = [new Uint8Array(4)]
  for (let slot = 0; slot < 16; slot++) {
    const leaf = page.leaves[slot]
    if (page.kinds[slot] === empty) continue
    used |= 1 << slot
    if (leaf === undefined) {
      inner |= 1 << slot
      parts.push(page.hashes.subarray(slot * 32, slot * 32 + 32))
    } else {
      parts.push(leaf.path, new Uint8Array([leaf.value.length & 0xff, leaf.value.length >>> 8]), leaf.value)
    }
  }
  parts[0]!.set([used & 0xff, used >>> 8, inner & 0xff, inner >>> 8])
  return concatAll(parts)
}

/** The page of bytes that we stored ourselves; other bytes are a bug. */
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
      setLeaf(page, slot, { path: bytes.subarray(at, at + 32), value: bytes.subarray(at + 34, end) })
      at = end
    }
  }
  assert(at === bytes.length, "a stored page of the state tree has its own form")
  return page
}
