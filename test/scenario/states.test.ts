/** What nodes say of themselves as they find peers, miss blocks, fail and come back. Reference 003 had no way back: one missed block stalled it for ever. */
import { describe, expect, test } from "bun:test"
import { Effect } from "effect"
import { makeRules } from "../../src/chain/rules.ts"
import { bootMsMax } from "../../src/limits.ts"
import type { NodeEvent } from "../../src/node/node.ts"
import type { SimNode } from "../../src/sim/node.ts"
import { heightOf, play } from "../sim/stage.ts"
import { specOf } from "../fixtures.ts"

const rules = makeRules(specOf())

/** The states that a node has had, each with its reason, as its event stream tells them; it grows. */
const statesOf = ({ tree }: SimNode): ReadonlyArray<string> => {
  const states: Array<string> = []
  const note = (event: NodeEvent): void => {
    if (event.type === "state") states.push(`${event.state}: ${event.reason}`)
  }
  for (const event of tree.node.listen(0, note)!.replay) note(event)
  return states
}
const codes = (node: SimNode) =>
  Effect.map(
    node.ask(({ node: shape }) => shape.ready()),
    ({ reasons }) => reasons.map(({ code }) => code)
  )

describe("the states of nodes", () => {
  test("a node that missed blocks is syncing again, gets them, and is ready again", () => {
    for (let seed = 0; seed < 10; seed++) {
      play(rules, seed, (stage) =>
        Effect.gen(function* () {
          const a = yield* stage.node("a")
          const b = yield* stage.node("b", { knows: [a] })
          const c = yield* stage.node("c", { knows: [a, b] })
          const [first, late] = [statesOf(a), statesOf(c)]
          yield* stage.mine(a, 2, 1_000)
          yield* stage.agree()
          yield* stage.until(
            "all are ready",
            () => first.at(-1)!.startsWith("ready") && late.at(-1) === "ready: in-step"
          )
          expect(yield* codes(c)).toEqual([])
          stage.part([a, b], [c])
          yield* stage.mine(a, 12, 1_000)
          expect(late.at(-1)).toStartWith("ready")
          stage.heal()
          yield* stage.agree()
          yield* stage.until("it is ready again", () => late.at(-1) === "ready: in-step")
          expect([heightOf(c), late.slice(-2)]).toEqual([14, ["syncing: catching-up", "ready: in-step"]])
          expect(first).not.toContain("syncing: catching-up")
        })
      )
    }
  }, 60_000)

  test("a node whose seed is away is not ready before its time, and catches up when the seed is there", () => {
    play(rules, 3, (stage) =>
      Effect.gen(function* () {
        const a = yield* stage.node("a")
        yield* stage.mine(a, 9)
        yield* a.stop()
        const b = yield* stage.node("b", { knows: [a] })
        const states = statesOf(b)
        expect(yield* codes(b)).toEqual(["booting"])
        yield* Effect.sleep(bootMsMax)
        expect(yield* codes(b)).toEqual([])
        expect(states).toEqual(["boot: looking", "ready: alone"])
        yield* a.start()
        yield* stage.agree()
        yield* stage.until("it has caught up", () => states.at(-1) === "ready: in-step")
        expect(states).toEqual(["boot: looking", "ready: alone", "syncing: catching-up", "ready: in-step"])
      })
    )
  })

  test("a node whose chain crashed begins anew, and is ready as soon as it knows how far its peer is", () => {
    for (let seed = 0; seed < 5; seed++) {
      play(rules, seed, (stage) =>
        Effect.gen(function* () {
          const a = yield* stage.node("a")
          const b = yield* stage.node("b", { knows: [a] })
          yield* stage.mine(a, 2, 1_000)
          yield* stage.agree()
          const states = statesOf(b)
          b.fail("chain", 1)
          yield* stage.mine(a, 1)
          yield* stage.agree()
          yield* stage.until("it is ready again", () => states.at(-1) === "ready: in-step")
          expect(states.slice(-2)).toEqual(["boot: restarted", "ready: in-step"])
          // It did crash, which no story may end with.
          yield* b.stop()
        })
      )
    }
  })

  test("a node that stops says so, and that it is dead", () => {
    play(rules, 4, (stage) =>
      Effect.gen(function* () {
        const a = yield* stage.node("a")
        const states = statesOf(a)
        yield* Effect.sleep(1_000)
        yield* a.stop()
        expect(states).toEqual(["boot: looking", "ready: nobody-to-look-for", "stopping: stopping", "dead: ended"])
      })
    )
  })
})
