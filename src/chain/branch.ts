/**
 * The heaviest header branch as a list: which block stands at which height above the best branch we have whole.
 * A download asks it what comes next; without it every question would walk back over all headers not yet filled.
 */
import { assert } from "../assert.ts"
import { branchBelowMax } from "../limits.ts"

/** What the branch needs to know of a header. */
export interface BranchHeader {
  readonly id: string
  readonly previous: string
  readonly height: number
  readonly work: bigint
}

export class HeaderBranch {
  private ids: Array<string> = []
  private bottom = 0
  private top: BranchHeader

  /** Begins at a header whose whole past is known. */
  constructor(start: BranchHeader) {
    this.top = start
    this.begin(start)
  }

  /** The heaviest header known. */
  get heaviest(): BranchHeader {
    return this.top
  }

  /** Ids in the list. */
  get size(): number {
    return this.ids.length
  }

  /** The id at a height of this branch; undefined below its beginning or above its top. */
  at(height: number): string | undefined {
    return this.ids[height - this.bottom]
  }

  /** Takes a new header: follows it if it is heavier. `find` gives the ancestors when the branch changes. */
  grow(header: BranchHeader, find: (id: string) => BranchHeader): void {
    if (header.work <= this.top.work) return
    if (header.previous === this.top.id) this.ids.push(header.id)
    else this.turn(header, find)
    this.top = header
  }

  /** Forgets what lies below a height: the best branch holds it now. */
  trim(height: number): void {
    const drop = height - this.bottom
    if (drop < branchBelowMax || drop >= this.ids.length) return
    this.ids = this.ids.slice(drop)
    this.bottom = height
  }

  /** Begins again at a header, when what was followed has turned out to be invalid. */
  begin(start: BranchHeader): void {
    this.ids = [start.id]
    this.bottom = start.height
    this.top = start
  }

  /** Replaces the end of the list by the path that leads to `header`. */
  private turn(header: BranchHeader, find: (id: string) => BranchHeader): void {
    const path: Array<string> = []
    let walk = header
    while (walk.height > this.bottom && this.at(walk.height) !== walk.id) {
      path.push(walk.id)
      walk = find(walk.previous)
    }
    if (this.at(walk.height) !== walk.id) {
      this.ids = [walk.id]
      this.bottom = walk.height
    }
    this.ids.length = walk.height - this.bottom + 1
    this.ids.push(...path.reverse())
    assert(this.at(header.height) === header.id, "the branch ends at its heaviest header")
  }
}
