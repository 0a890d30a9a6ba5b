/** The state after a block, page by page, and why there is none to show. */
import { Effect } from "effect"
import { type ChainSpec, stateBlocksOf } from "../block/genesis.ts"
import type { NodeShape, StateAbsence } from "../node/node.ts"
import type { Handlers } from "./exchange.ts"
import { badCursor, cursorOf, limitOf } from "./input.ts"
import { pastStateJson } from "./json.ts"
import { problem, type Problem } from "./problem.ts"

/** What is said where there is no state to show. */
export const stateAbsences = (spec: ChainSpec): Readonly<Record<StateAbsence, Problem>> => ({
  "block-not-found": problem(404, "block-not-found", "The best branch has no block at this height yet."),
  "state-too-old": problem(
    410,
    "state-too-old",
    `The state is told of the tip and of at most ${stateBlocksOf(spec)} blocks below it; of fewer, where very much has changed since, and after a snapshot.`
  ),
  "state-moved": problem(
    409,
    "state-moved",
    "The block of this cursor is no longer on the best branch: its pages are of another state. Begin without one."
  ),
  "cursor-invalid": badCursor
})

export const stateHandlers = (node: NodeShape): Pick<Handlers, "stateAt"> => {
  const why = stateAbsences(node.facts.rules.spec)
  return {
    stateAt: (input) =>
      Effect.map(node.stateAt(Number(input.params["height"]), cursorOf(input), limitOf(input)), (page) =>
        typeof page === "string" ? why[page] : { reply: pastStateJson(node.facts, page) }
      )
  }
}
