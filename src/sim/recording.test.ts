/** Recordings: what is written is read, and what is not a recording is refused in words. */
import { expect, test } from "bun:test"
import { boring, type Deviations, streams } from "./choices.ts"
import { makeDice } from "./dice.ts"
import { faults, makePlan, swarmOptions } from "./plan.ts"
import { formatRecording, parseRecording, type Recording } from "./recording.ts"

const dice = makeDice(11)
const plan = makePlan({ seed: 4, nodes: 4, ms: 3_600_000, faults })

const someChoices = (): Deviations =>
  Object.fromEntries(
    streams.map((stream) => {
      let place = 0
      const count = dice.int(50)
      return [
        stream,
        Array.from({ length: count }, () => [(place += 1 + dice.int(100_000)), 1 + dice.int(300)] as const)
      ]
    })
  ) as unknown as Deviations

test("a recording is read as it was written, with choices and without", () => {
  for (let i = 0; i < 50; i++) {
    const recording: Recording = {
      commit: "abc",
      plan: makePlan(swarmOptions(i, 3_600_000)),
      choices: i % 2 === 0 ? undefined : someChoices(),
      digest: "d".repeat(64),
      failure: i % 3 === 0 ? undefined : "it went wrong"
    }
    expect(parseRecording(formatRecording(recording))).toEqual(recording)
  }
})

test("what is no recording is refused in words, and nothing makes it throw", () => {
  const text = formatRecording({ commit: "abc", plan, choices: boring, digest: "", failure: undefined })
  const stretched = text.replace('"blockMs":10000', '"blockMs":1')
  for (const bad of ["", "{}", "[]", "null", '{"form":"cairn-simulation-1"}', text.slice(1), stretched])
    expect(parseRecording(bad)).toHaveProperty("wrong")
  const bytes = new TextEncoder().encode(text)
  for (let i = 0; i < 300; i++) {
    const parsed = parseRecording(new TextDecoder().decode(dice.mutate(bytes)))
    expect(parsed).toBeDefined()
  }
})

test("an action on a node that is none is refused", () => {
  const stray = { ...plan, actions: [{ at: 1, do: "replace", wallet: 0, node: "n9" } as const] }
  const text = formatRecording({ commit: "abc", plan: stray, choices: undefined, digest: "", failure: undefined })
  expect(parseRecording(text)).toEqual({ wrong: "an action names a node that is none" })
  const banned = { ...plan, actions: [{ at: 1, do: "ban", node: "n0", peer: "n9", ms: 1 } as const] }
  const ofBan = formatRecording({ commit: "abc", plan: banned, choices: undefined, digest: "", failure: undefined })
  expect(parseRecording(ofBan)).toEqual({ wrong: "an action names a node that is none" })
})
