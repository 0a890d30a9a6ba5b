/** Proof of work: a header is sealed when its hash is at or below its target. */
import type { ChainSpec } from "../block/genesis.ts"
import { type HeaderFields, meetsTarget } from "../block/header.ts"
import { equal } from "../codec/bytes.ts"
import type { Ancestry, Consensus } from "./consensus.ts"
import { firstTarget, fromTarget, nextTarget } from "./difficulty.ts"

/** One above the median time of the last `blocks` ancestors: a header's time must rise against the majority (defect 2). */
const earliestTime = (blocks: number, { parent, at }: Ancestry): number => {
  const times: Array<number> = [parent.time]
  for (let height = parent.height - 1; height >= 0 && times.length < blocks; height--) times.push(at(height).time)
  times.sort((a, b) => a - b)
  return times[times.length >> 1]! + 1
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

export const makePow = (spec: Pick<ChainSpec, "difficulty" | "time">): Consensus => ({
  genesisTarget: firstTarget(spec.difficulty),
  nextTarget: (ancestry) => nextTarget(spec.difficulty, ancestry),
  earliestTime: (ancestry) => earliestTime(spec.time.medianBlocks, ancestry),
  checkSeal: (header) => meetsTarget(header.hash, header.target),
  work: makeWork()
})
