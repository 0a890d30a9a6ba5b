/** A stranger who lies to one of two honest nodes. */
import { expect } from "bun:test"
import { Effect } from "effect"
import type { Block } from "../../src/block/block.ts"
import type { Rules } from "../../src/chain/rules.ts"
import { heightOf, play, type Stranger } from "./stage.ts"

/** Virtual milliseconds in which a lie is told, fetched and judged. */
export const judgedMs = 3_000

/** Lies to nodes of a chain. */
export const liesOn = (rules: Rules) => {
  /** Of a block on genesis, with the genesis. */
  const work = (block: Block): bigint => rules.consensus.work(block.header) * 2n

  /** Of two honest nodes one is lied to. It says what is wrong, believes nothing, and both go on. Gives what it thinks of the liar. */
  const lie = (code: string, tell: (liar: Stranger) => void) => {
    let state: string | undefined
    play(rules, 1, (stage) =>
      Effect.gen(function* () {
        const a = yield* stage.node("a")
        const b = yield* stage.node("b", { knows: [a] })
        const liar = yield* stage.stranger("liar", { to: a })
        tell(liar)
        yield* Effect.sleep(judgedMs)
        const opinion = yield* stage.opinion(a, liar.nodeId)
        expect([...liar.refused, opinion?.lastError]).toContain(code)
        expect([heightOf(a), heightOf(b)]).toEqual([0, 0])
        yield* stage.mine(b, 2)
        yield* stage.agree()
        expect(heightOf(a)).toBe(2)
        state = opinion?.state
      })
    )
    return state
  }

  /** Announces a block, and gives it to who asks. */
  const giving = (block: Block) => (liar: Stranger) => liar.announce(block, work(block))
  return { lie, giving, work }
}
