/** What is said and counted of slots: each once, own blocks by name, late leaders without filling the log. */
import { expect, test } from "bun:test"
import { type Clock, Effect, Logger, References } from "effect"
import { authoritiesOf, land } from "../test/rota.ts"
import { specOf, TestChain } from "../test/fixtures.ts"
import { slotLogMs } from "../src/limits.ts"
import { leaderOf } from "../src/consensus/rota.ts"
import { Metrics } from "./metrics.ts"
import { type SlotWatch, watchSlots } from "./slot-watch.ts"

const slotMs = 1_000

/** A watch over a chain, by the chain's own clock. */
const watching = (chain: TestChain, self?: Parameters<typeof watchSlots>[0]["self"]) => {
  const metrics = new Metrics()
  const clock = { currentTimeMillisUnsafe: () => chain.now } as Clock.Clock
  const { rules, store } = chain
  const watch = watchSlots({ rules, store, clock, metrics, self }) as SlotWatch
  const heard: Array<string> = []
  const hear = (effect: Effect.Effect<void>): void =>
    Effect.runSync(
      effect.pipe(
        Effect.provide(Logger.layer([Logger.make(({ message }) => void heard.push(String([message].flat()[0])))])),
        Effect.provideService(References.MinimumLogLevel, "Info")
      )
    )
  const counts = (): ReadonlyArray<number> =>
    ["in-turn", "out-of-turn", "missed"].map((outcome) =>
      Number(new RegExp(`cairn_slots_total\\{outcome="${outcome}"\\} (\\d+)`).exec(metrics.format())?.[1])
    )
  return {
    tick: () => hear(watch.tick()),
    moved: (move: Parameters<SlotWatch["moved"]>[0]) => hear(watch.moved(move)),
    heard,
    counts
  }
}

test("each slot is judged once, when it has been over for a slot: in turn, out of turn, missed", () => {
  const chain = new TestChain(specOf({ authorities: 3 }))
  const { tick, heard, counts } = watching(chain)
  expect(counts()).toEqual([0, 0, 0])
  chain.mine(4)
  tick()
  expect(counts()).toEqual([2, 0, 0])
  land(chain, { rank: 1 })
  chain.now += slotMs
  chain.mine(3)
  for (let i = 0; i < 3; i++) tick()
  expect(counts()).toEqual([5, 1, 1])
  expect(heard.length).toBe(1)
  expect(heard[0]).toMatch(/^slot 5 passed without the block of its leader crn1q\w+; another sealed in its place$/)
})

test("a leader that stays away is said once in ten seconds, with how often; a chain that stands is said no more", () => {
  const chain = new TestChain(specOf({ authorities: 3 }))
  chain.mine(3)
  const { tick, heard, counts } = watching(chain)
  for (let i = 0; i < 200; i++) {
    chain.now += slotMs
    tick()
  }
  const lines = 1 + Math.floor(64 / (slotLogMs / slotMs))
  expect(heard.length).toBe(lines)
  expect(heard[1]).toMatch(/^slot 14 passed .*; nobody sealed, 10 slots since it was last said$/)
  expect(counts()).toEqual([0, 0, 64])
  chain.mine(6)
  tick()
  expect(counts()).toEqual([4, 0, 64 + 2])
})

test("a block of our own is told with its slot and turn; one from a peer is not", () => {
  const chain = new TestChain(specOf({ authorities: 3 }))
  const self = leaderOf(authoritiesOf(chain).members, 2)
  const { moved, heard } = watching(chain, self)
  const [other] = chain.mine(1)
  const [ours] = chain.mine(1)
  const late = land(chain, { rank: 2 })
  const attached = [other!, ours!, late].map(({ header }) => header)
  moved({ attached, from: 7 })
  expect(heard).toEqual([])
  moved({ attached, from: undefined })
  expect(heard).toEqual([
    "sealed block 2 in slot 2, in our turn",
    "sealed block 3 in slot 3, out of turn, in its leader's place"
  ])
  expect(watchSlots({ ...new TestChain(), clock: {} as Clock.Clock, metrics: new Metrics(), self })).toBeUndefined()
})
