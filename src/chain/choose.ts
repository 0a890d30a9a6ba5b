/** Which history wins: most cumulative work, then first seen. A change of tip is a plan: detach these, attach those. */
import { assert } from "../assert.ts"
import { type ChainReader, isBest, parentId, type Row } from "./reader.ts"

/** Ids in the order in which they are done. */
export interface Plan {
  readonly forkPoint: Row
  /** From the old tip down. */
  readonly detach: ReadonlyArray<string>
  /** From above the fork point up. */
  readonly attach: ReadonlyArray<string>
}

/** Does the candidate win over the tip? Of equals the first seen stays (6.1: a tie broken by hash invites grinding). */
export const wins = (candidate: Pick<Row, "work">, tip: Pick<Row, "work">): boolean => candidate.work > tip.work

/** The way from the tip to a candidate, of any depth. `find` sees candidates not stored yet. */
export const choosePlan = (reader: Pick<ChainReader, "find" | "bestAt" | "tip">, candidate: Row): Plan => {
  const attach: Array<string> = []
  let fork = candidate
  while (!isBest(reader, fork.header)) {
    attach.push(fork.header.id)
    const parent = reader.find(parentId(fork.header))
    assert(parent !== undefined, "the ancestors of a candidate are known")
    fork = parent
  }
  const detach: Array<string> = []
  for (let height = reader.tip().header.height; height > fork.header.height; height--) {
    const block = reader.bestAt(height)
    assert(block !== undefined, "the best branch has a block at every height")
    detach.push(block.header.id)
  }
  return { forkPoint: fork, detach, attach: attach.reverse() }
}
