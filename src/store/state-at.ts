/**
 * The state after a block below the tip: the tip's entries, with what the blocks above have changed taken back by their undo
 * records. No state is ever copied (C-S1): what is held is one value for each entry that has changed since.
 *
 * The walk back goes in slices, each a read of its own; meanwhile blocks may land. One that extends the branch is taken along,
 * for what it changed first is what stood before it. A branch that has lost its top is a walk that is lost.
 */
import { equal } from "../codec/bytes.ts"
import { httpPageMax, stateChangesMax } from "../limits.ts"
import type { Snapshot } from "./snapshot.ts"

/** Entries that one slice takes back, but at least one block. Some milliseconds. */
const sliceEntries = 2_048
/** What looking for a block's record costs, in entries. */
const blockCost = 16
/** Entries that one page looks at: of a time long gone it may so find few, or none, and still not be the last. */
const scanMax = 4 * httpPageMax

/** One entry of the ledger: key in lower-case hex. */
export interface StateEntry {
  readonly key: string
  readonly value: Uint8Array
}

/** A block of the best branch. */
export interface Place {
  readonly height: number
  readonly hash: Uint8Array
}

/**
 * What came of a slice. `lost`: another branch has won, begin anew. `too-far`: the block is below the retention, too much has
 * changed since, or a loaded snapshot has no undo records there.
 */
export type Step = "more" | "whole" | "lost" | "too-far"

/** The changed entries whose keys begin alike, as they were; undefined: there was none. Sorted when a page first gets there. */
interface Bucket {
  readonly values: Map<string, Uint8Array | undefined>
  keys: ReadonlyArray<string> | undefined
}

export class PastState {
  readonly block: Place
  /** The tip that the values differ from. */
  private top: Place
  private readonly blocksMax: number
  /** The height whose block is taken back next. */
  private next: number
  private readonly buckets = new Map<string, Bucket>()
  private changes = 0

  /** Both are blocks of the best branch; the block is at most `blocksMax` below any tip that it is asked at. */
  constructor(block: Place, tip: Place, blocksMax: number) {
    this.block = block
    this.top = tip
    this.next = tip.height
    this.blocksMax = blocksMax
  }

  /** Entries that are held. */
  get size(): number {
    return this.changes
  }

  /** Takes back some more, or takes along what has landed since. Within a read, as the scan that follows `whole`. */
  step(snapshot: Snapshot): Step {
    const tip = snapshot.tip().header.height
    if (tip - this.block.height > this.blocksMax) return "too-far"
    const hash = snapshot.hashAt(this.top.height)
    if (hash === undefined || !equal(hash, this.top.hash)) return "lost"
    for (let taken = 0; taken < sliceEntries; taken += blockCost) {
      const back = this.next > this.block.height
      if (!back && this.top.height === tip) return "whole"
      const height = back ? this.next : this.top.height + 1
      const befores = snapshot.beforesAt(height)
      if (befores === undefined) return "too-far"
      for (const [key, value] of befores) this.put(key, value, back)
      if (this.changes > stateChangesMax) return "too-far"
      taken += befores.length
      if (back) this.next--
      else this.top = { height, hash: snapshot.hashAt(height)! }
    }
    return "more"
  }

  /** Entries after a key in the order of their keys, at most `limit`; and the key after which the next page begins, if it may have some. */
  scan(
    snapshot: Snapshot,
    after: string | undefined,
    limit: number
  ): { readonly rows: ReadonlyArray<StateEntry>; readonly next: string | undefined } {
    const held = snapshot.entriesByKey(after, scanMax)
    const changed = this.changedAfter(after ?? "")
    const rows: Array<StateEntry> = []
    let at = 0
    let change = changed.next()
    let last: string | undefined
    for (let seen = 0; seen < scanMax && rows.length < limit; seen++) {
      const here = held[at]
      if (change.done === true && here === undefined) return { rows, next: undefined }
      if (change.done !== true && (here === undefined || change.value <= here.key)) {
        last = change.value
        const value = this.buckets.get(prefixOf(last))!.values.get(last)
        if (value !== undefined) rows.push({ key: last, value })
        if (here?.key === last) at++
        change = changed.next()
      } else {
        last = here!.key
        rows.push(here!)
        at++
      }
    }
    return { rows, next: last }
  }

  private put(key: string, value: Uint8Array | undefined, over: boolean): void {
    const prefix = prefixOf(key)
    const bucket = this.buckets.get(prefix) ?? { values: new Map(), keys: undefined }
    this.buckets.set(prefix, bucket)
    const known = bucket.values.has(key)
    if (known && !over) return
    bucket.values.set(key, value)
    if (known) return
    bucket.keys = undefined
    this.changes++
  }

  /** Keys of changed entries after one, in their order. */
  private *changedAfter(after: string): Generator<string, undefined> {
    const first = prefixOf(after)
    for (const prefix of [...this.buckets.keys()].filter((one) => one >= first).sort()) {
      const bucket = this.buckets.get(prefix)!
      bucket.keys ??= [...bucket.values.keys()].sort()
      for (let i = firstAfter(bucket.keys, after); i < bucket.keys.length; i++) yield bucket.keys[i]!
    }
    return undefined
  }
}

const prefixOf = (key: string): string => key.slice(0, 2)

/** The place of the first key after another, by halves. */
const firstAfter = (keys: ReadonlyArray<string>, after: string): number => {
  let [low, high] = [0, keys.length]
  while (low < high) {
    const middle = (low + high) >> 1
    if (keys[middle]! > after) high = middle
    else low = middle + 1
  }
  return low
}
