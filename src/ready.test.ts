/** The states of a node: where each event leads, when it looks for nobody, and that no order of events leads anywhere else. */
import { describe, expect, test } from "bun:test"
import { bootMsMax } from "./limits.ts"
import {
  behindMax,
  firstState,
  type NodeState,
  nextState,
  Readiness,
  type StateEvent,
  type StateName
} from "./ready.ts"
import { makeDice } from "./sim/dice.ts"

const saw = (height: number, targetHeight: number, peers = 1): StateEvent => ({
  _tag: "Saw",
  peers,
  height,
  targetHeight
})
const opened = (looks = true): StateEvent => ({ _tag: "Opened", looks })
const full: StateEvent = { _tag: "Checked", fault: { code: "disk-full", message: "no room" } }
const mended: StateEvent = { _tag: "Checked", fault: undefined }
const restarted: StateEvent = { _tag: "Restarted", part: "chain" }
const stopping: StateEvent = { _tag: "Stopping" }
const ended: StateEvent = { _tag: "Ended", message: "over" }

/** What a node has been, each with its reason, when it hears these, one a second. */
const walk = (...events: ReadonlyArray<StateEvent>): ReadonlyArray<string> => {
  let now = 0
  const been: Array<string> = []
  const readiness = new Readiness(
    () => now,
    (_from, { name, reason }) => been.push(`${name}: ${reason}`)
  )
  for (const event of events) {
    now += 1_000
    readiness.hear(event)
  }
  return been
}

describe("the states of a node", () => {
  test("a node with peers to find boots until one of them speaks, and is in step, or behind and catches up", () => {
    expect(walk(opened(), saw(0, 0, 0), saw(7, 7))).toEqual(["boot: looking", "ready: in-step"])
    expect(walk(opened(), saw(0, 90), saw(50, 90), saw(90, 90))).toEqual([
      "boot: looking",
      "syncing: catching-up",
      "ready: in-step"
    ])
  })

  test("a node that looks for nobody is ready at once", () => {
    expect(walk(opened(false), saw(0, 0, 0))).toEqual(["boot: looking", "ready: nobody-to-look-for"])
  })

  test("a node that finds nobody is ready after its time, not before, and is not for ever: whoever comes later counts", () => {
    const open = nextState(firstState(0), opened(), 5)
    const early = nextState(open, saw(0, 0, 0), 5 + bootMsMax - 1)
    const late = nextState(early, saw(0, 0, 0), 5 + bootMsMax)
    expect([early.name, late.name, late.reason, late.since]).toEqual(["boot", "ready", "alone", 5 + bootMsMax])
    expect(nextState(late, saw(0, 50), 60_000).name).toBe("syncing")
    const found = nextState(late, saw(0, 0), 60_000)
    expect([found.name, found.reason, found.since]).toEqual(["ready", "in-step", late.since])
  })

  test("ready is not for ever: a node that missed blocks is syncing again, and ready again, each with its time", () => {
    const events = [opened(), saw(9, 9), saw(9, 9 + behindMax), saw(9, 10 + behindMax), saw(10, 13), saw(10, 40)]
    expect(walk(...events)).toEqual([
      "boot: looking",
      "ready: in-step",
      "syncing: catching-up",
      "ready: in-step",
      "syncing: catching-up"
    ])
  })

  test("a fault fails it, another replaces it, and when it is over the node boots anew", () => {
    const other: StateEvent = { _tag: "Checked", fault: { code: "other", message: "" } }
    expect(walk(opened(), saw(9, 9), full, full, saw(9, 99), other, mended, mended, saw(9, 9))).toEqual([
      "boot: looking",
      "ready: in-step",
      "failed: disk-full",
      "failed: other",
      "boot: recovered",
      "ready: in-step"
    ])
  })

  test("a part that crashed makes it boot anew, but not out of a failure", () => {
    expect(walk(opened(), saw(9, 9), restarted, saw(9, 9), full, restarted)).toEqual([
      "boot: looking",
      "ready: in-step",
      "boot: restarted",
      "ready: in-step",
      "failed: disk-full"
    ])
  })

  test("a stop is final, and so is the end", () => {
    const after = [saw(9, 99), full, mended, restarted, opened(), stopping]
    expect(walk(opened(), saw(9, 9), stopping, ...after, ended, ...after, ended)).toEqual([
      "boot: looking",
      "ready: in-step",
      "stopping: stopping",
      "dead: ended"
    ])
  })

  test("nothing happens before the chain is open but a stop or the end", () => {
    expect(walk(saw(9, 99), full, mended, restarted)).toEqual([])
    expect(walk(stopping)).toEqual(["stopping: stopping"])
    expect(walk(ended)).toEqual(["dead: ended"])
  })
})

test("no order of events leads another way than these, and the time is that of the last change", () => {
  const ways: Readonly<Record<StateName, ReadonlyArray<StateName>>> = {
    genesis: ["boot", "stopping", "dead"],
    boot: ["boot", "syncing", "ready", "failed", "stopping", "dead"],
    syncing: ["ready", "boot", "failed", "stopping", "dead"],
    ready: ["syncing", "boot", "failed", "stopping", "dead"],
    failed: ["failed", "boot", "stopping", "dead"],
    stopping: ["dead"],
    dead: []
  }
  const seen = new Set<string>()
  for (let seed = 0; seed < 400; seed++) {
    const dice = makeDice(seed)
    let [state, now]: [NodeState, number] = [firstState(0), 0]
    for (let i = 0; i < 40; i++) {
      now += dice.int(5_000)
      const some = saw(dice.int(10), dice.int(20), dice.int(2))
      // The end comes seldom, so that there is something before it.
      const events = [opened(dice.int(2) === 0), some, some, some, full, mended, mended, restarted]
      const event = dice.int(60) === 0 ? dice.pick([stopping, ended]) : dice.pick(events)
      const next = nextState(state, event, now)
      if (next === state) continue
      // Ready for another reason, it is so since as long as before.
      if (next.name === "ready" && state.name === "ready") {
        expect([next.since, next.reason === state.reason]).toEqual([state.since, false])
        state = next
        continue
      }
      expect(ways[state.name]).toContain(next.name)
      expect(next.since).toBe(now)
      seen.add(`${state.name} ${next.name}`)
      state = next
    }
  }
  const all = Object.entries(ways).flatMap(([from, to]) => to.map((name) => `${from} ${name}`))
  // A failure turns into another only where there are two.
  expect(all.filter((way) => !seen.has(way))).toEqual(["failed failed"])
})
