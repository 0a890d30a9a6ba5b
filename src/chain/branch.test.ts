/** The heaviest header branch against a walk over all headers. */
import { expect, test } from "bun:test"
import type { Header } from "../block/header.ts"
import { type BranchHeader, HeaderBranch, lackingUpTo } from "./branch.ts"
import type { Row } from "./reader.ts"

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

/** A reader over the pseudo-random tree: of some blocks the body is here, and one branch that is whole is the best. */
const readerOver = (headers: ReadonlyArray<BranchHeader>, tip: BranchHeader, isHere: (id: string) => boolean) => {
  const known = new Map(headers.map((header) => [header.id, header]))
  const best: Array<BranchHeader> = []
  for (let walk = tip; ; walk = known.get(walk.previous)!) {
    best[walk.height] = walk
    if (walk.height === 0) break
  }
  const rowOf = ({ id, previous, height, work }: BranchHeader): Row => ({
    header: { id, height, previous: { toHex: () => previous } } as unknown as Header,
    work,
    hasBody: best[height]?.id === id || isHere(id)
  })
  const found = (header: BranchHeader | undefined): Row | undefined => (header === undefined ? undefined : rowOf(header))
  return {
    find: (id: string) => found(known.get(id)),
    bestAt: (height: number) => found(best[height]),
    tip: () => rowOf(tip)
  }
}

/** What a walk over all headers says: of the lowest `limit` blocks above the best branch those without a body. */
const naive = (reader: ReturnType<typeof readerOver>, head: string, limit: number): ReadonlyArray<string> => {
  const path: Array<Row> = []
  let walk = reader.find(head)!
  while (reader.bestAt(walk.header.height)?.header.id !== walk.header.id) {
    path.unshift(walk)
    walk = reader.find(walk.header.previous.toHex())!
  }
  return path.slice(0, limit).flatMap(({ header, hasBody }) => (hasBody ? [] : [header.id]))
}

const finish = <A>(walk: Generator<void, A>): { readonly answer: A; readonly turns: number } => {
  for (let turns = 0; ; turns++) {
    const step = walk.next()
    if (step.done === true) return { answer: step.value, turns }
  }
}

test("what any branch lacks is what a walk over all its headers finds, wherever the list begins", () => {
  for (let seed = 1; seed <= 40; seed++) {
    const headers = tree(seed, 120)
    const reader = readerOver(headers, headers[40 + seed]!, (id) => id.length % 3 === 0)
    for (const start of [genesis, headers[40 + seed]!, headers[110]!]) {
      const branch = new HeaderBranch(start)
      for (const header of headers) branch.grow(header, (id) => headers.find((one) => one.id === id)!)
      for (const { id } of headers)
        for (const limit of [1, 7, 200]) {
          const { answer } = finish(lackingUpTo(reader, branch, { head: id, limit }))
          expect([seed, id, answer?.ids]).toEqual([seed, id, naive(reader, id, limit)])
        }
      expect(finish(lackingUpTo(reader, branch, { head: "unknown", limit: 1 })).answer).toBeUndefined()
    }
  }
})

test("on the heaviest branch no answer costs a walk; beside it one costs its length, with turns for others", () => {
  const line = (name: string, count: number, work: bigint): ReadonlyArray<BranchHeader> =>
    Array.from({ length: count }, (_, i) => ({
      id: `${name}${i + 1}`,
      previous: i === 0 ? "g" : `${name}${i}`,
      height: i + 1,
      work: 1n + work * BigInt(i + 1)
    }))
  const [heavy, light] = [line("h", 10_000, 3n), line("l", 10_000, 2n)]
  const reader = readerOver([genesis, ...heavy, ...light], genesis, () => false)
  const branch = new HeaderBranch(genesis)
  for (const header of heavy) branch.grow(header, () => genesis)
  const { answer, turns } = finish(lackingUpTo(reader, branch, { head: "h10000", limit: 3 }))
  expect([answer, turns]).toEqual([{ ids: ["h1", "h2", "h3"], walked: 1 }, 0])
  const beside = finish(lackingUpTo(reader, branch, { head: "l10000", limit: 3 }))
  expect(beside).toEqual({ answer: { ids: ["l1", "l2", "l3"], walked: 10_000 }, turns: 39 })
})
