/** Checkers of a simulated chain beside those that every chain has: a rule of its own, that watches every run, stands here. */
import type { Rules } from "../chain/rules.ts"
import { makeLiveness, makeSealedOnce, makeTurns } from "./authority-checks.ts"
import type { Checker } from "./check.ts"

/** Those for a chain with these rules. */
export const checkersOf = (rules: Rules): ReadonlyArray<Checker> => {
  const { authority, difficulty } = rules.spec
  if (authority === undefined) return []
  const always = [makeSealedOnce(rules), makeTurns(rules)]
  // Who works for a block has it when the work is done.
  return difficulty.rule === "fixed" && difficulty.bits === 0 ? [...always, makeLiveness(rules)] : always
}
