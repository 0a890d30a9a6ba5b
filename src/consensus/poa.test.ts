/** Who may seal, when, and with what weight: every way to be wrong is refused by its own code. */
import { describe, expect, test } from "bun:test"
import { specOf, TestChain } from "../../test/fixtures.ts"
import type { Block } from "../block/block.ts"
import { checkHeader } from "../chain/check.ts"
import { ancestryOf } from "../chain/reader.ts"
import { makeRules } from "../chain/rules.ts"

const chainOf = (count = 5, authority = {}): TestChain => new TestChain(specOf({ authorities: count, authority }))

const verdict = (chain: TestChain, { header }: Pick<Block, "header">): string | undefined => {
  const parent = chain.store.find(header.previous.toHex())!.header
  return checkHeader(chain.rules, header, { ancestry: ancestryOf(chain.store, parent), now: chain.now })?.code
}

describe("the rota", () => {
  test("all authorities take their turns, each block weighs two", () => {
    const chain = chainOf()
    const blocks = chain.mine(10)
    const proposers = blocks.map(({ header }) => header.proposer.toHex())
    expect(new Set(proposers).size).toBe(5)
    expect(proposers.slice(5)).toEqual(proposers.slice(0, 5))
    expect(chain.store.tip().work).toBe(21n)
    for (const block of blocks) expect(verdict(chain, block)).toBeUndefined()
  })
})

test("a spec that says nothing of votes has a fixed list, and is another chain than one that says so", () => {
  const { authority, ...spec } = specOf({ authorities: 3 })
  const { voteBlocks: _, ...silent } = authority!
  const [without, fixed] = [makeRules({ ...spec, authority: silent }), makeRules({ ...spec, authority: authority! })]
  expect([without, fixed].map(({ consensus }) => consensus.author!.voteBlocks)).toEqual([0, 0])
  expect(without.genesis.header.id).not.toBe(fixed.genesis.header.id)
})
