/** Proof of work: a header is sealed when its hash is at or below its target, and that not above the rule's easiest. */
import { assert } from "../assert.ts"
import type { ChainSpec, TimeRule } from "../block/genesis.ts"
import { type HeaderFields, meetsTarget } from "../block/header.ts"
import { compare, equal } from "../codec/bytes.ts"
import type { Ancestry, Consensus } from "./consensus.ts"
import { easiestTarget, firstTarget, fromTarget, nextTarget } from "./difficulty.ts"

/**
 * One above the median time of the last `blocks` ancestors, of fewer near the genesis, of an even number the later
 * middle one: a header's time must rise against the majority (defect 2).
 */
const aboveMedian = (blocks: number, { parent, at }: Ancestry): number => {
  const times: Array<number> = [parent.time]
  for (let height = parent.height - 1; height >= 0 && times.length < blocks; height--) times.push(at(height).time)
  times.sort((a, b) => a - b)
  return times[times.length >> 1]! + 1
}

/** Row D-V3: the parent's time less some; a spec names this or a median. */
const earliestTime = ({ medianBlocks, behindMsMax }: TimeRule, ancestry: Ancestry): number => {
  if (medianBlocks !== undefined) return aboveMedian(medianBlocks, ancestry)
  assert(behindMsMax !== undefined, "a time rule names what a header's time is compared with")
  return ancestry.parent.time - behindMsMax
}

/** Expected hashes for a target; the last answer is kept, for most headers share their parent's target. */
const makeWork = (): Consensus["work"] => {
  let lastTarget: Uint8Array = new Uint8Array(0)
  let lastWork = 0n
  return ({ target }: Pick<HeaderFields, "target">) => {
    if (!equal(target, lastTarget)) {
      lastTarget = target.slice()
      lastWork = (1n << 256n) / (fromTarget(target) + 1n)
    }
    return lastWork
  }
}

export const makePow = (spec: Pick<ChainSpec, "difficulty" | "time">): Consensus => {
  const easiest = easiestTarget(spec.difficulty)
  return {
    version: 1,
    genesisTarget: firstTarget(spec.difficulty),
    nextTarget: (ancestry) => nextTarget(spec.difficulty, ancestry),
    earliestTime: (ancestry) => earliestTime(spec.time, ancestry),
    // A target above the easiest would be a seal for nothing, and the checks behind it are dearer than this one.
    checkSeal: ({ hash, target }) => compare(target, easiest) <= 0 && meetsTarget(hash, target),
    work: makeWork()
  }
}
