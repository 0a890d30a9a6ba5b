/** An authority that seals twice, among whole nodes in the deterministic world: found, told, convicted, gone for ever. */
import { describe, expect, test } from "bun:test"
import { Effect } from "effect"
import type { Block } from "../../src/block/block.ts"
import { makeRules } from "../../src/chain/rules.ts"
import { ancestryOf } from "../../src/chain/reader.ts"
import { placeOf } from "../../src/consensus/authorities.ts"
import type { Authorities } from "../../src/consensus/consensus.ts"
import type { SimNode } from "../../src/sim/node.ts"
import { sealedBy, signerOf } from "../authorities.ts"
import { firstAuthority, forge, keyOf, specOf } from "../fixtures.ts"
import { heightOf, play, type Stage } from "../sim/stage.ts"

const slotMs = 10_000
const spec = (voteBlocks = 0) => ({
  ...specOf({
    authorities: 5,
    difficulty: { rule: "fixed", blockMs: slotMs, bits: 0 },
    authority: { outOfTurnMs: slotMs / 2, voteBlocks }
  }),
  time: { futureMsMax: 2_000 }
})
const rules = makeRules(spec())
const author = rules.consensus.author!
const addressOf = (i: number) => keyOf(firstAuthority + i).address
const authoritiesOf = ({ store }: SimNode): Authorities =>
  author.authorities(ancestryOf(store, store.tip().header))
const isAuthority = (node: SimNode, i: number): boolean => placeOf(authoritiesOf(node), addressOf(i)) >= 0
const workAfter = ({ store }: SimNode, { header }: Block): bigint => store.tip().work + rules.consensus.work(header)

/** Five nodes in a ring, each with the key of one authority. */
const ring = (stage: Stage) =>
  Effect.gen(function* () {
    const nodes: Array<SimNode> = []
    for (let i = 0; i < 5; i++)
      nodes.push(yield* stage.node(`n${i}`, { knows: nodes.slice(-2), signer: signerOf(i) }))
    yield* stage.until("the chain grows", () => nodes.every((node) => heightOf(node) >= 3))
    return nodes
  })

const maySeal = ({ now }: Stage, { store }: SimNode, i: number): boolean =>
  (author.turn(ancestryOf(store, store.tip().header), addressOf(i), now)?.from ?? Infinity) <= now

/** Another machine with the key of authority 4 seals two blocks of one slot on a node's tip. */
const twice = (stage: Stage, node: SimNode): readonly [Block, Block] => {
  const on = { rules, store: node.store }
  const one = (text: string) => sealedBy(on, { by: 4, now: stage.now, text })
  return [one("one"), one("two")]
}

describe("an authority that seals two blocks of one slot", () => {
  test("is known to every node, convicted by a block, out of the rota for ever, and sealed for by nobody any more", () => {
    for (let seed = 0; seed < 3; seed++) {
      play(rules, seed, (stage) =>
        Effect.gen(function* () {
          const nodes = yield* ring(stage)
          const [a, , c] = nodes as [SimNode, SimNode, SimNode]
          yield* stage.until("authority 4 may seal", () => maySeal(stage, a, 4))
          const blocks = twice(stage, a)
          const strangers = [yield* stage.stranger("x", { to: a }), yield* stage.stranger("y", { to: c })]
          strangers.forEach((one, i) => one.announce(blocks[i]!, workAfter(a, blocks[i]!)))
          yield* stage.until("every node has the proof", () => nodes.every(({ store }) => store.evidence.size > 0))
          yield* stage.until("it is convicted everywhere", () => nodes.every((node) => !isAuthority(node, 4)))
          for (const node of nodes) {
            expect(authoritiesOf(node).convicted).toEqual(new Set([addressOf(4).toHex()]))
            expect(authoritiesOf(node).members.length).toBe(4)
          }
          // Its later blocks are of no authority.
          const height = heightOf(a)
          yield* stage.until("the others go on", () => nodes.every((node) => heightOf(node) > height + 8))
          expect(nodes.every(({ store }) => store.find(store.tip().header.id)!.header.authority!.vote === "none")).toBe(true)
          for (let at = height + 1; at <= heightOf(a); at++)
            expect(a.store.bestAt(at)!.header.proposer).not.toEqual(addressOf(4))
          const late = yield* stage.stranger("z", { to: a })
          const block = forge(a.store.block(a.store.tip().header.id)!, { proposer: addressOf(4) })
          late.announce(block, workAfter(a, block))
          yield* stage.until("it is refused", () => late.refused.length > 0)
          expect(late.refused).toEqual(["signer-unknown"])
        })
      )
    }
  }, 120_000)
})
