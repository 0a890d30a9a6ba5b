/** The heaviest header branch against a walk over all headers. */
import { expect, test } from "bun:test"
import { type BranchHeader, HeaderBranch } from "./branch.ts"

const genesis: BranchHeader = { id: "g", previous: "", height: 0, work: 1n }

/** A pseudo-random tree of headers, each with a work of 1 to 3 above its parent. */
const tree = (seed: number, count: number): ReadonlyArray<BranchHeader> => {
  let state = seed
  const next = (n: number): number => (state = (Math.imul(state, 1664525) + 1013904223) >>> 0) % n
  const headers: Array<BranchHeader> = [genesis]
  for (let i = 1; i < count; i++) {
    const parent = headers[Math.max(0, headers.length - 1 - next(6))]!
    const work = parent.work + BigInt(1 + next(3))
    headers.push({ id: `${parent.id}.${i}`, previous: parent.id, height: parent.height + 1, work })
  }
  return headers
}

test("at every height it names the ancestor of the heaviest header", () => {
  for (let seed = 1; seed <= 50; seed++) {
    const branch = new HeaderBranch(genesis)
    const known = new Map<string, BranchHeader>()
    for (const header of tree(seed, 200)) {
      known.set(header.id, header)
      branch.grow(header, (id) => known.get(id)!)
      let walk = branch.heaviest
      while (walk.height > 0) {
        expect(branch.at(walk.height)).toBe(walk.id)
        walk = known.get(walk.previous)!
      }
      expect(branch.at(branch.heaviest.height + 1)).toBeUndefined()
    }
  }
})

test("a trimmed branch still turns to a branch that left below its beginning", () => {
  const known = new Map<string, BranchHeader>([["g", genesis]])
  const branch = new HeaderBranch(genesis)
  const extend = (parent: BranchHeader, name: string, work: bigint): BranchHeader => {
    const header = {
      id: `${name}${parent.height + 1}`,
      previous: parent.id,
      height: parent.height + 1,
      work: parent.work + work
    }
    known.set(header.id, header)
    branch.grow(header, (id) => known.get(id)!)
    return header
  }
  let main = genesis
  for (let i = 0; i < 6000; i++) main = extend(main, "m", 1n)
  branch.trim(5000)
  expect(branch.at(4999)).toBeUndefined()
  let side = known.get("m100")!
  for (let i = 0; i < 5000; i++) side = extend(side, "s", 2n)
  expect(branch.heaviest.id).toBe(side.id)
  expect(branch.at(5100)).toBe("s5100")
})
