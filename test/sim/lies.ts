/** What strangers and forgers try on two honest nodes, whatever the ledger: a lie told to one, and money spent at both. */
import { expect } from "bun:test"
import { Effect } from "effect"
import type { Block } from "../../src/block/block.ts"
import type { Rules } from "../../src/chain/rules.ts"
import type { Transaction } from "../../src/ledger/transaction.ts"
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

/**
 * Two transactions of the same money, given to two nodes that mine at the same time: one is paid, of the other nothing is left,
 * and both nodes are whole after a restart, too (defect 21).
 */
export const spentAtBoth = (
  rules: Rules,
  seeds: number,
  makeSpends: (now: number) => readonly [Transaction, Transaction]
): void => {
  for (let seed = 0; seed < seeds; seed++) {
    play(rules, seed, (stage) =>
      Effect.gen(function* () {
        const a = yield* stage.node("a")
        const b = yield* stage.node("b", { knows: [a] })
        const spends = makeSpends(stage.now)
        const give = [stage.submit(a, spends[0]), stage.submit(b, spends[1])]
        yield* Effect.all(give.map(Effect.exit), { concurrency: 2 })
        yield* Effect.all([stage.mine(a), stage.mine(b)], { concurrency: 2 })
        yield* stage.mine(b)
        yield* stage.agree()
        for (const node of [a, b]) {
          const found = yield* Effect.forEach(spends, (one) => stage.whereabouts(node, one))
          expect(found.toSorted()).toEqual(["confirmed", "nowhere"])
          yield* node.stop()
          yield* node.start()
        }
        yield* stage.agree()
      })
    )
  }
}
