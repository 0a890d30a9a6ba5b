/** A ring of nodes: what one of them makes goes to every other once, and stops where the two ways round meet. */
import { expect, test } from "bun:test"
import { Effect } from "effect"
import { makeRules } from "../../src/chain/rules.ts"
import { specOf, transfer } from "../fixtures.ts"
import { play, type Stage } from "../sim/stage.ts"

const count = 6

/** Bodies and transactions that come to any node from a peer, by its name and what came. */
const arrivals = ({ parts: { tracer } }: Stage): Map<string, number> => {
  const came = new Map<string, number>()
  const spy = tracer.spy.bind(tracer)
  tracer.spy = (node) => {
    const { told, begun } = spy(node)
    return {
      told,
      begun: (actor, message) => {
        begun(actor, message)
        const of = message._tag === "Body" ? "block" : message._tag === "Relay" ? "transaction" : undefined
        if (of !== undefined) came.set(`${node} ${of}`, (came.get(`${node} ${of}`) ?? 0) + 1)
      }
    }
  }
  return came
}

test("what is made in a ring of six comes to each of the others, a block once, and never back", () => {
  for (let seed = 1; seed <= 5; seed++)
    play(makeRules(specOf()), seed, (stage) =>
      Effect.gen(function* () {
        const came = arrivals(stage)
        const first = yield* stage.node("n0")
        for (let i = 1; i < count; i++) yield* stage.node(`n${i}`, { knows: [stage.nodes[i - 1]!] })
        // Only neighbours hear each other.
        for (let i = 0; i < count; i++)
          for (let j = i + 2; j < count; j++)
            if (j - i !== count - 1) stage.part([stage.nodes[i]!], [stage.nodes[j]!])
        yield* first.ask(({ node }) => node.addPeer(stage.nodes[count - 1]!.endpoint))
        yield* Effect.sleep(120_000)
        came.clear()
        yield* stage.submit(first, transfer({ from: 0, to: 1, nonce: 1 }))
        yield* Effect.sleep(5_000)
        yield* stage.mine(first)
        yield* stage.agree()
        yield* Effect.sleep(5_000)
        const others = stage.nodes.slice(1).map(({ name }) => name)
        expect(others.map((name) => came.get(`${name} block`))).toEqual(others.map(() => 1))
        // Two neighbours may both be asked for a transaction before either has answered: where the ways meet, and only there.
        const transactions = others.map((name) => came.get(`${name} transaction`))
        expect(transactions.filter((times) => times !== 1).every((times) => times === 2)).toBe(true)
        expect(transactions.filter((times) => times === 2).length).toBeLessThanOrEqual(1)
        expect([came.get("n0 block"), came.get("n0 transaction")]).toStrictEqual([undefined, undefined])
      })
    )
}, 60_000)
