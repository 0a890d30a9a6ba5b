/** Checkpoints as headers have them: whose they are, on which branch they stand, and who votes on them when the list changes. */
import { expect, test } from "bun:test"
import { firstAuthority, keyOf, leaderAt, seal, specOf, TestChain } from "../../test/fixtures.ts"
import { toHex } from "../codec/bytes.ts"
import { type Ballot, makeTemplate } from "../miner/template.ts"
import { ChainCheckpoints } from "./checkpoints.ts"

const every = 4
const chainOf = () =>
  new TestChain(specOf({ authorities: 3, authority: { voteBlocks: 1_000, finality: { checkpointBlocks: every } } }))
const pointsOf = ({ store, rules }: TestChain) => new ChainCheckpoints(store, rules.consensus.author!, every)
const at = ({ store }: TestChain, height: number) => store.bestAt(height)!.header
const voter = (i: number): string => toHex(keyOf(firstAuthority + i).address)
const lists = (points: ChainCheckpoints, chain: TestChain, from: number, to: number) =>
  points.electorates(at(chain, from), at(chain, to)).map((list) => [...list].sort())
const sorted = (...who: ReadonlyArray<number>) => who.map(voter).sort()

/** The next block of the chain, with a vote about another authority. */
const ballot = (chain: TestChain, vote: Ballot["vote"], subject: number): void => {
  chain.now += 1_000
  const { rules, store, now } = chain
  const proposer = keyOf(leaderAt(chain, now)).address
  const wish = { rules, reader: store, candidates: [], proposer, now, extra: new Uint8Array(0) }
  const block = makeTemplate({ ...wish, ballot: { vote, subject: keyOf(firstAuthority + subject).address } })
  expect(chain.take(seal(block))).toBeUndefined()
}

test("every list that was in force at a checkpoint from one to another is there, once", () => {
  const chain = chainOf()
  chain.mine(5)
  // The second of three votes lets it in, at height 7; it is one of four at checkpoint 8.
  ballot(chain, "admit", 3)
  ballot(chain, "admit", 3)
  chain.mine(7)
  // Three of four expel it, at height 17: with the checkpoint 20 the list is the old one.
  for (let i = 0; i < 3; i++) ballot(chain, "expel", 3)
  chain.mine(8)
  const points = pointsOf(chain)
  const [three, four] = [sorted(0, 1, 2), sorted(0, 1, 2, 3)]
  expect(lists(points, chain, 0, 4)).toEqual([three])
  expect(lists(points, chain, 0, 8)).toEqual([three, four])
  expect(lists(points, chain, 8, 16)).toEqual([four])
  expect(lists(points, chain, 4, 24)).toEqual([three, four])
  expect(lists(points, chain, 20, 24)).toEqual([three])
  expect(lists(points, chain, 16, 20)).toEqual([four, three])
  // What was found before makes no difference.
  const fresh = pointsOf(chain)
  expect(lists(fresh, chain, 4, 24)).toEqual([three, four])
  expect(lists(fresh, chain, 4, 16)).toEqual([three, four])
  expect(lists(fresh, chain, 12, 24).map((list) => list.length)).toEqual([4, 3])
})

test("who may count is an authority of some list on the way; for what is not known, one of the final block or of our tip", () => {
  const chain = chainOf()
  chain.mine(5)
  const genesis = at(chain, 0)
  ballot(chain, "admit", 3)
  ballot(chain, "admit", 3)
  chain.mine(3)
  const points = pointsOf(chain)
  expect(points.mayVote(voter(3), genesis, at(chain, 4))).toBe(false)
  expect(points.mayVote(voter(3), genesis, at(chain, 8))).toBe(true)
  expect(points.mayVote(voter(0), genesis, at(chain, 8))).toBe(true)
  const unknown = { height: 12, hash: at(chain, 3).hash, id: "00".repeat(32) }
  expect(points.isKnown(unknown)).toBe(false)
  expect([0, 3, 4].map((i) => points.mayVote(voter(i), genesis, unknown))).toEqual([true, true, false])
})

test("branches are told apart, and the newest is that of the best branch", () => {
  const chain = chainOf()
  chain.mine(6)
  const other = chain.fork(6)
  chain.mine(3)
  other.now = chain.now
  for (const { header } of other.mine(7))
    chain.store.saveHeaders([{ ...chain.rowFor(other.store.block(header.id)!), hasBody: false }])
  const points = pointsOf(chain)
  const [ours, theirs, higher] = [at(chain, 8), at(other, 8), at(other, 12)]
  expect(points.newest().id).toBe(ours.id)
  expect([points.isKnown(theirs), points.isKnown({ ...theirs, height: 4 })]).toEqual([true, false])
  expect([points.descends(higher, theirs), points.descends(higher, ours), points.descends(theirs, ours)]).toEqual([
    true,
    false,
    false
  ])
  expect([
    points.descends(theirs, at(chain, 4)),
    points.descends(at(chain, 4), theirs),
    points.descends(ours, ours)
  ]).toEqual([true, false, true])
  chain.store.markInvalid(theirs.id, "state-root-wrong")
  expect([points.isKnown(theirs), points.isKnown(higher), points.isKnown(ours)]).toEqual([false, false, true])
})
