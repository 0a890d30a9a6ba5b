/**
 * The heaviest header branch as a list: which block stands at which height above the best branch we have whole.
 * A download asks it what comes next; without it every question would walk back over all headers not yet filled.
 */
import { assert } from "../assert.ts"
import { branchBelowMax } from "../limits.ts"
import { reached } from "../marks.ts"
import { type ChainReader, isBest, parentId, type Row } from "./reader.ts"

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

/** In place of a header's id: what lacks bodies is the past of a loaded snapshot. */
export const pastHead = "past"

/** Bodies that a branch lacks, oldest first, and how many headers were walked to find them. */
export interface Lacking {
  readonly ids: ReadonlyArray<string>
  readonly walked: number
}

type Reader = Pick<ChainReader, "find" | "bestAt" | "tip">

/** Blocks one after the other, oldest first: the id of one whose body is lacking, undefined for one whose body is here. */
type Stretch = ReadonlyArray<string | undefined>

/** Headers walked between two turns for others: some milliseconds where they come from the disk. */
const headersPerTurn = 256

/**
 * Bodies lacking among the `limit` blocks that follow on the best branch towards a header. What lies on the heaviest branch
 * is read from its list; the rest is walked, with a yield now and then. Undefined: the header is not known.
 */
export function* lackingUpTo(
  reader: Reader,
  branch: HeaderBranch,
  { head, limit }: { readonly head: string; readonly limit: number }
): Generator<void, Lacking | undefined> {
  const from = reader.find(head)
  if (from === undefined) return undefined
  const isListed = ({ header }: Row): boolean => branch.at(header.height) === header.id
  const above = yield* walkDown(reader, from, { until: isListed, limit })
  if (above.walked > 0) reached("branch-aside")
  const below = isBest(reader, above.end.header)
    ? { stretch: [], walked: 0 }
    : yield* listed(reader, branch, { height: above.end.header.height, limit })
  const stretch = [...below.stretch, ...above.stretch].slice(0, limit)
  return { ids: stretch.filter((id) => id !== undefined), walked: below.walked + above.walked }
}

/** The lowest `limit` blocks from a header down to the best branch, or to where `until` holds: that one is not among them. */
function* walkDown(
  reader: Reader,
  from: Row,
  { until, limit }: { readonly until: (row: Row) => boolean; readonly limit: number }
): Generator<void, { readonly stretch: Stretch; readonly walked: number; readonly end: Row }> {
  const path: Array<string | undefined> = []
  let end = from
  let walked = 0
  while (!isBest(reader, end.header) && !until(end)) {
    path.push(end.hasBody ? undefined : end.header.id)
    // The lowest come last.
    if (path.length >= 2 * limit) path.splice(0, limit)
    if (++walked % headersPerTurn === 0) yield
    const parent = reader.find(parentId(end.header))
    assert(parent !== undefined, "the ancestors of a known header are known")
    end = parent
  }
  return { stretch: path.reverse().slice(0, limit), walked, end }
}

/** The lowest `limit` blocks of the heaviest branch above the best one, up to a height of it. */
function* listed(
  reader: Reader,
  branch: HeaderBranch,
  top: { readonly height: number; readonly limit: number }
): Generator<void, { readonly stretch: Stretch; readonly walked: number }> {
  let height = Math.min(reader.tip().header.height + 1, top.height)
  // After a turn to another branch its bodies are missing from the fork point on.
  while (branch.at(height - 1) !== undefined && branch.at(height - 1) !== reader.bestAt(height - 1)?.header.id) height--
  while (branch.at(height) === undefined) height++
  // The list may begin above the fork point: what lies below it is walked.
  const lowest = reader.find(branch.at(height)!)!
  const { stretch, walked } = yield* walkDown(reader, lowest, { until: () => false, limit: top.limit })
  if (walked > 1) reached("branch-below")
  const ids = [...stretch]
  const end = Math.min(top.height, height + top.limit)
  for (height++; height <= end; height++) {
    const id = branch.at(height)!
    ids.push(reader.find(id)?.hasBody === true ? undefined : id)
  }
  return { stretch: ids, walked }
}
