/**
 * The order in which pending payments would be mined: packages, each a payment with all that it needs and that is not mined
 * yet, best rate first. So a child that pays for its parents brings them in, and a cheap child does not ride on a dear parent.
 */
import { type Entry, minedRate, olderFirst, type Sum, withAncestors, withDescendants, without } from "./package.ts"
import { Heap, minedBefore, type Ranked } from "./order.ts"

interface Candidate extends Ranked {
  readonly entry: Entry
}

/**
 * Packages, best first, parents first in each. Whoever takes one says `next(true)` for the following; `next(false)` passes it
 * over, and its payments may come up again in another. The payments must stay as they are meanwhile.
 */
export function* packagesOf(entries: Iterable<Entry>): Generator<ReadonlyArray<Entry>, void, boolean> {
  const mined = new Set<Entry>()
  /** What is left to be mined before those of whose ancestors some are. */
  const needs = new Map<Entry, Sum>()
  const candidateOf = (entry: Entry): Candidate => {
    const rate = minedRate(entry, needs.get(entry) ?? entry.ancestors)
    return { entry, rate, arrival: entry.arrival }
  }
  const heap = new Heap<Candidate>(minedBefore, Iterator.from(entries).map(candidateOf))
  for (let top = heap.pop(); top !== undefined; top = heap.pop()) {
    const { entry, rate } = top
    if (mined.has(entry) || rate !== candidateOf(entry).rate) continue
    const pack = [...withAncestors([entry])].filter((one) => !mined.has(one)).sort(olderFirst)
    if (!(yield pack)) continue
    for (const one of pack) mined.add(one)
    for (const changed of lessen(pack, needs)) if (!mined.has(changed)) heap.push(candidateOf(changed))
  }
}

/** Takes what is mined out of the needs of its descendants; these. */
const lessen = (pack: ReadonlyArray<Entry>, needs: Map<Entry, Sum>): ReadonlySet<Entry> => {
  const changed = new Set<Entry>()
  for (const one of pack) {
    for (const descendant of withDescendants(one.children)) {
      needs.set(descendant, without(needs.get(descendant) ?? descendant.ancestors, one))
      changed.add(descendant)
    }
  }
  return changed
}
