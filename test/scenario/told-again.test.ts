/** A payment that everyone else refused, for what it builds on was not there: when that is in a block, they hear of it again. */
import { expect, test } from "bun:test"
import { Effect } from "effect"
import { makeRules } from "../../src/chain/rules.ts"
import { allocationId } from "../../src/ledger/coin.ts"
import { payment, specOf } from "../fixtures.ts"
import { play } from "../sim/stage.ts"

const spec = specOf({ model: "utxo" })
const coin = { id: allocationId(spec.ledger.chainId), index: 0 }
const paid = payment({ inputs: [coin], outputs: [[0, 1_000]], by: [0] })
const rival = payment({ inputs: [coin], outputs: [[1, 1_000]], by: [0] })
const child = payment({ inputs: [{ id: paid.id, index: 0 }], outputs: [[2, 900]], by: [0] })

test("a payment on one that had lost against a rival elsewhere is mined by others when the rival has lost", () => {
  for (let seed = 1; seed <= 5; seed++)
    play(makeRules(spec), seed, (stage) =>
      Effect.gen(function* () {
        const a = yield* stage.node("a")
        const b = yield* stage.node("b", { knows: [a] })
        yield* stage.mine(a)
        yield* stage.agree()
        stage.part([a], [b])
        yield* stage.submit(a, paid)
        yield* stage.submit(b, rival)
        stage.heal()
        yield* Effect.sleep(120_000)
        expect(yield* stage.whereabouts(b, paid)).toBe("nowhere")
        // The block has the parent alone, and at b the child comes before it.
        yield* stage.mine(a)
        yield* stage.submit(a, child)
        yield* stage.agree()
        yield* Effect.sleep(120_000)
        yield* stage.mine(b)
        yield* stage.agree()
        expect(yield* stage.whereabouts(a, child)).toBe("confirmed")
      })
    )
}, 30_000)
