/**
 * Which history wins: the one that has the final block, then the highest justified checkpoint, then most cumulative work, then
 * first seen. Where nothing is voted on, work alone. A change of tip is a plan: detach these, attach those.
 */
import { assert } from "../assert.ts"
import type { Checkpoint } from "../consensus/checkpoint.ts"
import { type ChainReader, isBest, parentId, type Row } from "./reader.ts"

/** Ids in the order in which they are done. */
export interface Plan {
  readonly forkPoint: Row
  /** From the old tip down. */
  readonly detach: ReadonlyArray<string>
  /** From above the fork point up. */
  readonly attach: ReadonlyArray<string>
}

/** Does the candidate weigh more than the tip? Of equals the first seen stays (6.1: a tie broken by hash invites grinding). */
export const wins = (candidate: Pick<Row, "work">, tip: Pick<Row, "work">): boolean => candidate.work > tip.work

/** Blocks that a branch should have: the last final checkpoint, and the highest justified one. */
export interface Anchors {
  readonly final: Checkpoint
  readonly justified: Checkpoint
}

/** Answers remembered about side branches; the oldest goes first, and is found again if asked for. */
const rememberedMax = 65_536

/** Sees headers that are not stored yet as well. */
type Find = ChainReader["find"]

/** Compares branches of one chain. */
export class ForkChoice {
  private readonly reader: Pick<ChainReader, "find" | "bestAt" | "tip">
  private readonly remembered = new Map<string, boolean>()
  private points: Anchors | undefined

  /** `anchors` undefined: nothing is voted on, or nothing yet. */
  constructor(reader: Pick<ChainReader, "find" | "bestAt" | "tip">, anchors?: Anchors) {
    this.reader = reader
    this.points = anchors
  }

  get anchors(): Anchors | undefined {
    return this.points
  }

  /** From now on branches are to have these. */
  anchor(anchors: Anchors): void {
    this.points = anchors
    this.remembered.clear()
  }

  /** Does the candidate win over the tip? */
  wins(candidate: Row, tip: Row, find?: Find): boolean {
    const order = this.rankOf(candidate, find) - this.rankOf(tip)
    return order === 0 ? wins(candidate, tip) : order > 0
  }

  /** 0: the branch that ends here lacks the final block; 1: it has it; 2: it has the highest justified checkpoint too. */
  rankOf(row: Row, find?: Find): 0 | 1 | 2 {
    if (this.points === undefined) return 2
    if (!this.has(row, this.points.final, find)) return 0
    return this.has(row, this.points.justified, find) ? 2 : 1
  }

  /** Does a header that is to come on this parent leave the final block behind? */
  leavesFinal(parent: Row, find?: Find): boolean {
    return this.points !== undefined && !this.has(parent, this.points.final, find)
  }

  private has(row: Row, point: Checkpoint, find: Find = this.reader.find): boolean {
    const path: Array<string> = []
    let walk = row
    let answer = this.hasAt(walk, point)
    while (answer === undefined) {
      path.push(point.id + walk.header.id)
      const parent = find(parentId(walk.header))
      assert(parent !== undefined, "the ancestors of a known header are known")
      walk = parent
      answer = this.hasAt(walk, point)
    }
    // The highest are asked for next: they stay longest.
    for (const key of path.slice(0, rememberedMax).reverse()) {
      if (this.remembered.size >= rememberedMax) this.remembered.delete(this.remembered.keys().next().value!)
      this.remembered.set(key, answer)
    }
    return answer
  }

  /** Undefined: its parent's answer is its own. */
  private hasAt({ header }: Row, { id, height }: Checkpoint): boolean | undefined {
    if (height === 0) return true
    if (header.height <= height) return header.id === id
    if (isBest(this.reader, header)) return this.reader.bestAt(height)?.header.id === id
    return this.remembered.get(id + header.id)
  }
}

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
