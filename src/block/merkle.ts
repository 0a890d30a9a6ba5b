/**
 * The transaction tree: the shape of RFC 6962, so that a leaf can never be read as a node (they are hashed apart) and
 * no two lists of leaves have one root (no leaf is ever doubled, CVE-2012-2459).
 *
 * A leaf is Transaction.leaf, SHA-256(0x00 ‖ encoding). A node is SHA-256(0x01 ‖ left ‖ right). A list of n > 1
 * leaves splits at the largest power of two below n. The root of no leaves is SHA-256 of nothing.
 */
import { equal } from "../codec/bytes.ts"
import { asHash, type Hash32, sha256, sha256Into } from "../crypto/hash.ts"

const scratch = new Uint8Array(65)
scratch[0] = 1

const nodeInto = (left: Uint8Array, right: Uint8Array, out: Uint8Array): void => {
  scratch.set(left, 1)
  scratch.set(right, 33)
  sha256Into(scratch, out)
}

const node = (left: Uint8Array, right: Uint8Array): Hash32 => {
  const out = new Uint8Array(32)
  nodeInto(left, right, out)
  return asHash(out)
}

/** The root of a list of leaves. Pairs level by level; the odd one is carried up, which gives the shape of the RFC. */
export const merkleRoot = (leaves: ReadonlyArray<Hash32>): Hash32 => {
  if (leaves.length === 0) return sha256(new Uint8Array(0))
  if (leaves.length === 1) return leaves[0]!
  let count = leaves.length >> 1
  let level = new Uint8Array((count + (leaves.length & 1)) * 32)
  for (let i = 0; i < count; i++) nodeInto(leaves[2 * i]!, leaves[2 * i + 1]!, level.subarray(i * 32, i * 32 + 32))
  if (leaves.length & 1) level.set(leaves.at(-1)!, count * 32)
  for (let size = level.length / 32; size > 1; size = count + (size & 1)) {
    count = size >> 1
    for (let i = 0; i < count; i++) {
      scratch.set(level.subarray(i * 64, i * 64 + 64), 1)
      sha256Into(scratch, level.subarray(i * 32, i * 32 + 32))
    }
    if (size & 1) level.copyWithin(count * 32, (size - 1) * 32, size * 32)
    level = level.subarray(0, (count + (size & 1)) * 32)
  }
  return asHash(level.slice(0, 32))
}

/** The siblings from a leaf up to the root, in the order of RFC 6962 section 2.1.1; undefined if there is no such leaf. */
export const merkleProof = (leaves: ReadonlyArray<Hash32>, index: number): ReadonlyArray<Hash32> | undefined => {
  if (!Number.isInteger(index) || index < 0 || index >= leaves.length) return undefined
  const proof: Array<Hash32> = []
  let level: ReadonlyArray<Hash32> = leaves
  let at = index
  while (level.length > 1) {
    const sibling = level[at ^ 1]
    if (sibling !== undefined) proof.push(sibling)
    const pairs = level
    level = Array.from({ length: (pairs.length + 1) >> 1 }, (_, i) =>
      pairs[2 * i + 1] === undefined ? pairs[2 * i]! : node(pairs[2 * i]!, pairs[2 * i + 1]!)
    )
    at >>= 1
  }
  return proof
}

/** Does the proof lead from the leaf, at `index` of `count`, to the root? Never throws. */
export const checkMerkleProof = (claim: {
  readonly root: Hash32
  readonly leaf: Hash32
  readonly index: number
  readonly count: number
  readonly proof: ReadonlyArray<Uint8Array>
}): boolean => {
  const { index, count, leaf, proof } = claim
  if (!Number.isSafeInteger(index) || !Number.isSafeInteger(count) || index < 0 || index >= count) return false
  if (leaf.length !== 32) return false
  let hash = leaf
  let used = 0
  for (let at = index, size = count; size > 1; at = Math.floor(at / 2), size = Math.ceil(size / 2)) {
    if (at % 2 === 0 && at === size - 1) continue
    const sibling = proof[used++]
    if (sibling === undefined || sibling.length !== 32) return false
    hash = at % 2 === 0 ? node(hash, sibling) : node(sibling, hash)
  }
  return used === proof.length && equal(hash, claim.root)
}
