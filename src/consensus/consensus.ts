/** The contract of who may write: is the seal right, what target is next, what work is it. `pow.ts` is the first answer. */
import type { Header, HeaderFields, Target } from "../block/header.ts"

/** The ancestors of a header not yet judged, reached by height. `at(tip.height)` is the parent. */
export interface Ancestry {
  readonly parent: Header
  /** The ancestor at a height from 0 to the parent's; a miss is our bug. */
  readonly at: (height: number) => Header
}

export interface Consensus {
  /** The only target that the next header may carry (defect 12). */
  readonly nextTarget: (ancestry: Ancestry) => Target
  /** The target of the genesis header. */
  readonly genesisTarget: Target
  /** The earliest time that the next header may carry, by the spec's rule: above a median, or not far behind the parent. */
  readonly earliestTime: (ancestry: Ancestry) => number
  /** Is the seal right? Needs only the header. */
  readonly checkSeal: (header: Header) => boolean
  /** Expected hashes behind a header: 2^256 / (target + 1). */
  readonly work: (header: Pick<HeaderFields, "target">) => bigint
}
