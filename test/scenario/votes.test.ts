/** Operators' wishes among whole nodes in the deterministic world: a majority changes the list, a minority never does. */
import { expect, test } from "bun:test"
import { Effect } from "effect"
import { ancestryOf } from "../../src/chain/reader.ts"
import { makeRules } from "../../src/chain/rules.ts"
import { placeOf } from "../../src/consensus/authorities.ts"
import { toHex } from "../../src/codec/bytes.ts"
import type { SimNode } from "../../src/sim/node.ts"
import { signerOf } from "../authorities.ts"
import { firstAuthority, keyOf, specOf } from "../fixtures.ts"
import { heightOf, play, type Stage } from "../sim/stage.ts"

const voteBlocks = 20
const rules = makeRules({
  ...specOf({
    authorities: 5,
    difficulty: { rule: "fixed", blockMs: 10_000, bits: 0 },
    authority: { outOfTurnMs: 5_000, voteBlocks }
  }),
  time: { futureMsMax: 2_000 }
})
const addressOf = (i: number) => keyOf(firstAuthority + i).address
const isAuthority = ({ store }: SimNode, i: number): boolean =>
  placeOf(rules.consensus.author!.authorities(ancestryOf(store, store.tip().header)), addressOf(i)) >= 0
const wish = (node: SimNode, kind: "admit" | "expel" | "forget", i: number) =>
  node.ask((tree) => tree.node.vote(kind, addressOf(i)))
const grow = (stage: Stage, node: SimNode, blocks: number) => {
  const height = heightOf(node) + blocks
  return stage.until(`height ${height}`, () => heightOf(node) >= height)
}
/** Blocks with a vote of this authority, from a height on. */
const votesOf = ({ store }: SimNode, i: number, from: number): number =>
  Array.from({ length: store.tip().header.height - from }, (_, at) => store.bestAt(from + 1 + at)!.header).filter(
    ({ proposer, authority }) => toHex(proposer) === toHex(addressOf(i)) && authority!.vote !== "none"
  ).length

test("two of five wish in vain, the third makes it so; votes are cast once a lapse, and lapse; an outsider is expelled again", () => {
  play(rules, 1, (stage) =>
    Effect.gen(function* () {
      const nodes: Array<SimNode> = []
      for (let i = 0; i < 5; i++)
        nodes.push(yield* stage.node(`n${i}`, { knows: nodes.slice(-2), signer: signerOf(i) }))
      const [a, b, c] = nodes as [SimNode, SimNode, SimNode]
      yield* stage.until("the chain grows", () => nodes.every((node) => heightOf(node) >= 2))
      const from = heightOf(a)
      yield* wish(a, "admit", 7)
      yield* wish(b, "admit", 7)
      yield* grow(stage, a, 40)
      expect(nodes.map((node) => isAuthority(node, 7))).toEqual([false, false, false, false, false])
      for (const i of [0, 1]) {
        expect(votesOf(a, i, from)).toBeGreaterThan(1)
        expect(votesOf(a, i, from)).toBeLessThanOrEqual(5)
      }
      const { motions, wishes } = (yield* a.ask(({ node }) => node.votes()))!
      expect(motions.map(({ vote, voters, lacking }) => [vote, voters.length, lacking])).toEqual([["admit", 2, 1]])
      expect(wishes.map(({ state }) => state)).toEqual(["cast"])

      yield* wish(c, "admit", 7)
      yield* stage.until("it is one everywhere", () => nodes.every((node) => isAuthority(node, 7)))
      expect((yield* a.ask(({ node }) => node.votes()))!.wishes.map(({ state }) => state)).toEqual(["done"])
      yield* grow(stage, a, 14)
      expect((yield* a.ask(({ node }) => node.votes()))!.wishes).toEqual([])

      // Of six, four; a wish that is taken back leaves a vote that lapses.
      for (const node of nodes.slice(0, 3)) yield* wish(node, "expel", 7)
      yield* grow(stage, a, 12)
      yield* wish(a, "forget", 7)
      yield* grow(stage, a, voteBlocks + 4)
      const standing = (yield* a.ask(({ node }) => node.votes()))!.motions
      expect(standing.map(({ vote, voters, lacking }) => [vote, voters.length, lacking])).toEqual([["expel", 2, 2]])
      expect(isAuthority(a, 7)).toBe(true)
      for (const node of [a, nodes[3]!]) yield* wish(node, "expel", 7)
      yield* stage.until("it is none anywhere", () => nodes.every((node) => !isAuthority(node, 7)))
    })
  )
}, 120_000)

test("a wish outlives a restart of its node", () => {
  play(rules, 2, (stage) =>
    Effect.gen(function* () {
      const a = yield* stage.node("a", { signer: signerOf(0) })
      yield* wish(a, "admit", 7)
      yield* a.stop()
      yield* a.start()
      yield* stage.until("its block votes", () => votesOf(a, 0, 0) > 0)
    })
  )
}, 60_000)
