/** Fork choice with what authorities have voted for: the final block first, then the highest justified one, then work. */
import { expect, test } from "bun:test"
import { specOf, TestChain } from "../../test/fixtures.ts"
import { ForkChoice } from "./choose.ts"
import type { Row } from "./reader.ts"

/** A chain of five blocks, and beside it a longer branch from height 2, and a short one from height 4. */
const forked = () => {
  const chain = new TestChain(specOf({ authorities: 3 }))
  chain.mine(4)
  const [long, short] = [chain.fork(2), chain.fork(4)]
  chain.mine(1)
  // An early start in time is a slot of its own.
  long.now = chain.now
  short.now = chain.now
  const [far, near] = [long.mine(6), short.mine(3)]
  for (const block of [...far, ...near]) chain.store.saveHeaders([chain.rowFor(block)])
  const row = (id: string): Row => chain.store.find(id)!
  return { chain, far: far.map(({ header }) => row(header.id)), near: near.map(({ header }) => row(header.id)) }
}

test("without votes work alone decides, and of equals the first stays", () => {
  const { chain, far, near } = forked()
  const choice = new ForkChoice(chain.store)
  const tip = chain.store.tip()
  expect(far.at(-1)!.work).toBeGreaterThan(tip.work)
  expect([choice.wins(far.at(-1)!, tip), choice.wins(near.at(-1)!, tip), choice.wins(tip, tip)]).toEqual([
    true,
    true,
    false
  ])
  expect(choice.leavesFinal(far[0]!)).toBe(false)
})

test("a branch that lacks the final block never wins, whatever it weighs, and what builds on it is refused", () => {
  const { chain, far, near } = forked()
  const final = chain.store.bestAt(3)!.header
  const choice = new ForkChoice(chain.store, { final, justified: final })
  const tip = chain.store.tip()
  expect(choice.wins(far.at(-1)!, tip)).toBe(false)
  expect(choice.wins(near.at(-1)!, tip)).toBe(true)
  expect(choice.leavesFinal(far[0]!)).toBe(true)
  expect(choice.leavesFinal(chain.store.bestAt(2)!)).toBe(true)
  expect(choice.leavesFinal(chain.store.bestAt(3)!)).toBe(false)
  expect(choice.leavesFinal(near.at(-1)!)).toBe(false)
  // Who is on the other side comes over to a lighter branch.
  expect(choice.wins(tip, far.at(-1)!)).toBe(true)
})

test("of two branches with the final block the one with the highest justified checkpoint wins, then the heavier", () => {
  const { chain, near } = forked()
  const final = chain.store.bestAt(3)!.header
  const choice = new ForkChoice(chain.store, { final, justified: final })
  const tip = chain.store.tip()
  choice.anchor({ final, justified: tip.header })
  expect(choice.wins(near.at(-1)!, tip)).toBe(false)
  choice.anchor({ final, justified: near[0]!.header })
  expect(choice.wins(near[0]!, tip)).toBe(true)
  expect(choice.wins(near[2]!, near[1]!)).toBe(true)
  expect([choice.rankOf(tip), choice.rankOf(near[1]!)]).toEqual([1, 2])
})

test("the genesis as final block refuses nothing", () => {
  const { chain, far } = forked()
  const { header } = chain.rules.genesis
  const choice = new ForkChoice(chain.store, { final: header, justified: header })
  expect(choice.wins(far.at(-1)!, chain.store.tip())).toBe(true)
  expect(choice.leavesFinal(chain.store.bestAt(0)!)).toBe(false)
})
