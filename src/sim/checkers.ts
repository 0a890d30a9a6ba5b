/** Checkers of a simulated chain beside those that every chain has: a rule of its own, that watches every run, stands here. */
import type { Rules } from "../chain/rules.ts"
import { makeConvictions, makeLiveness, makeSealedOnce, makeTurns } from "./authority-checks.ts"
import type { Checker } from "./check.ts"
import { makeFinalBlocks, makeFinalityResumes, makeVotedOnce } from "./finality-checks.ts"

/** Those for a chain with these rules. */
export const checkersOf = (rules: Rules): ReadonlyArray<Checker> => {
  const { authority, difficulty } = rules.spec
  if (authority === undefined) return []
  // Who works for a block has it when the work is done.
  const isPrompt = difficulty.rule === "fixed" && difficulty.bits === 0
  return [
    makeSealedOnce(rules),
    makeTurns(rules),
    ...(isPrompt ? [makeLiveness(rules)] : []),
    makeConvictions(rules),
    ...(authority.finality === undefined
      ? []
      : [makeVotedOnce(), makeFinalBlocks(rules, authority.finality), makeFinalityResumes(rules, authority.finality)])
  ]
}
