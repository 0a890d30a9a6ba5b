/** The transaction tree against its definition, the vectors of Certificate Transparency, and whoever would bend a proof. */
import { expect, test } from "bun:test"
import { makeDice } from "../sim/dice.ts"
import { concat, fromHex, toHex } from "../codec/bytes.ts"
import { asHash, type Hash32, sha256 } from "../crypto/hash.ts"
import { checkMerkleProof, merkleProof, merkleRoot } from "./merkle.ts"

/** RFC 6962, section 2.1, word for word, but that the leaves come hashed. */
const define = (leaves: ReadonlyArray<Hash32>): Hash32 => {
  if (leaves.length === 0) return sha256(new Uint8Array(0))
  if (leaves.length === 1) return leaves[0]!
  let split = 1
  while (split * 2 < leaves.length) split *= 2
  return sha256(concat(new Uint8Array([1]), define(leaves.slice(0, split)), define(leaves.slice(split))))
}

const leafOf = (i: number): Hash32 => sha256(new Uint8Array([0, i & 255, i >>> 8]))
const leavesOf = (count: number): ReadonlyArray<Hash32> => Array.from({ length: count }, (_, i) => leafOf(i))

test("the root is that of RFC 6962 for every number of leaves", () => {
  for (let count = 0; count <= 130; count++) expect(merkleRoot(leavesOf(count))).toEqual(define(leavesOf(count)))
})

test("the roots of the vectors of Certificate Transparency come out", () => {
  const inputs = ["", "00", "10", "2021", "3031", "40414243", "5051525354555657", "606162636465666768696a6b6c6d6e6f"]
  const leaves = inputs.map((hex) => sha256(concat(new Uint8Array([0]), fromHex(hex)!)))
  expect(leaves.map((_, i) => toHex(merkleRoot(leaves.slice(0, i + 1))))).toEqual([
    "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
    "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
    "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
    "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328"
  ])
})

test("no list with a leaf doubled at its end has the root of the list without (CVE-2012-2459)", () => {
  for (let count = 1; count <= 40; count++) {
    const leaves = leavesOf(count)
    for (let tail = 1; tail <= count; tail++) {
      expect(merkleRoot([...leaves, ...leaves.slice(count - tail)])).not.toEqual(merkleRoot(leaves))
    }
  }
})

test("a node cannot be shown as a leaf: the list of the two nodes is another list", () => {
  const leaves = leavesOf(4)
  const nodes = [merkleRoot(leaves.slice(0, 2)), merkleRoot(leaves.slice(2))]
  const asLeaves = nodes.map((node) => sha256(concat(new Uint8Array([0]), node)))
  expect(merkleRoot(asLeaves)).not.toEqual(merkleRoot(leaves))
})

test("each leaf has a proof, and the proof holds for that leaf, place, count and root alone", () => {
  for (const count of [1, 2, 3, 4, 5, 7, 8, 9, 31, 33]) {
    const leaves = leavesOf(count)
    const root = merkleRoot(leaves)
    leaves.forEach((leaf, index) => {
      const proof = merkleProof(leaves, index)!
      const claim = { root, leaf, index, count, proof }
      expect(checkMerkleProof(claim)).toBe(true)
      expect(checkMerkleProof({ ...claim, leaf: leafOf(1000) })).toBe(false)
      expect(checkMerkleProof({ ...claim, root: leafOf(1000) })).toBe(false)
      expect(checkMerkleProof({ ...claim, index: (index + 1) % count })).toBe(count === 1)
      expect(checkMerkleProof({ ...claim, proof: [...proof, leafOf(1000)] })).toBe(false)
      if (proof.length > 0) expect(checkMerkleProof({ ...claim, proof: proof.slice(1) })).toBe(false)
    })
    for (const index of [-1, count, 0.5, NaN]) expect(merkleProof(leaves, index)).toBeUndefined()
  }
})

test("claims out of every range are false and never throw", () => {
  const dice = makeDice(5)
  const number = (): number => dice.pick([-1, 0, 1, 2, 5, 0.5, NaN, Infinity, 2 ** 53, Number.MAX_SAFE_INTEGER])
  const hash = (): Hash32 => asHash(dice.bytes(dice.pick([0, 31, 32, 33, 64, 100])))
  for (let i = 0; i < 3_000; i++) {
    const proof = Array.from({ length: dice.int(60) }, hash)
    expect(
      checkMerkleProof({ root: sha256(dice.bytes(4)), leaf: hash(), index: number(), count: number(), proof })
    ).toBe(false)
  }
})
