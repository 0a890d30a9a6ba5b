/** Every forged block is refused for its own reason and no other, and a ledger's sound transactions are sound. */
import { describe, expect, test } from "bun:test"
import { Result } from "effect"
import { TestChain, seal } from "../../test/fixtures.ts"
import { decodeBlock } from "../block/block.ts"
import { checkBody } from "../chain/check.ts"
import { choosePlan } from "../chain/choose.ts"
import { runPlan } from "../chain/connect.ts"
import { VerifiedLeaves } from "../chain/verified.ts"
import { makeTemplate } from "../miner/template.ts"
import { makeDice } from "./dice.ts"
import { forgeries, lies } from "./lies.ts"
import type { Liar } from "./liar.ts"
import { makePlan, type Model, models } from "./plan.ts"
import { rulesOf } from "./run.ts"
import { liarKey, nodeKey } from "./keys.ts"

/** A chain of wallets with a few blocks, of which the last has transactions, and a liar before it. */
const scene = (model: Model, seed: number): { readonly chain: TestChain; readonly liar: Liar } => {
  const { spec } = rulesOf(makePlan({ seed: 1, ledger: model, nodes: 1, ms: 1, faults: [] }))
  const chain = new TestChain(spec)
  const liar = {
    host: {
      get now() {
        return chain.now
      }
    },
    key: liarKey(0),
    rules: chain.rules,
    dice: makeDice(seed),
    victim: { host: "", port: 0, store: chain.store },
    others: [],
    forged: () => {}
  } as unknown as Liar
  mine(chain, liar)
  mine(chain, liar)
  return { chain, liar }
}

const mine = (chain: TestChain, liar: Liar): void => {
  chain.now += 1_000
  const { rules, store, now } = chain
  const candidates = lies(liar).sound(liar, 3)
  const block = seal(
    makeTemplate({ rules, reader: store, candidates, proposer: nodeKey(0).address, now, extra: new Uint8Array(0) })
  )
  expect(block.transactions.length).toBe(rules.ledger.opens ? 4 : 3)
  expect(chain.take(block)).toBeUndefined()
}

/** Codes with which a block is refused: its own, and that of the transaction to blame. */
const refusal = (chain: TestChain, bytes: Uint8Array): readonly [code: string, because: string | undefined] => {
  const { rules, store } = chain
  const decoded = decodeBlock(bytes, rules.ledger)
  if (Result.isFailure(decoded)) return ["block-malformed", decoded.failure.transaction?.reject.code]
  const block = decoded.success
  const wrong = checkBody(rules, block)
  if (wrong !== undefined) return [wrong.code, undefined]
  store.saveHeaders([chain.rowFor(block)])
  store.saveBody(block)
  const outcome = runPlan(choosePlan(store, store.find(block.header.id)!), {
    ...{ rules, reader: store, verified: new VerifiedLeaves(10) }
  })
  if (Result.isSuccess(outcome)) return ["", undefined]
  const { code, transaction } = outcome.failure.reject
  return [code, transaction?.reject.code]
}

describe.each(models.map((model) => [model] as const))("%s", (model) => {
  const money = Object.entries(forgeries[model]).filter(([, { because }]) => because !== undefined)
  test.each(money)("%s is refused as it must be", (_, { code, because, forge }) => {
    for (let seed = 0; seed < 5; seed++) {
      const { chain, liar } = scene(model, seed)
      expect(refusal(chain, forge(liar).bytes)).toEqual([code, because])
    }
  })

  test("what refutes itself is refused before any state is asked, in every way that there is", () => {
    const { chain, liar } = scene(model, 1)
    const codes = new Set<string>()
    for (let i = 0; i < 500; i++) {
      const decoded = chain.rules.ledger.decode(lies(liar).broken(liar).bytes)
      codes.add(Result.isFailure(decoded) ? decoded.failure.code : "none")
    }
    expect(codes).not.toContain("none")
    expect(codes.size).toBeGreaterThanOrEqual(model === "utxo" ? 8 : 7)
    expect(codes).toContain("data-not-allowed")
  })
})
