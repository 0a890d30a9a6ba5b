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
 * Packages, best first, parents first in each. One that does not fit when its turn comes, by the sum of what is in it, is
 * passed over; its payments may come up again in another. The payments must stay as they are meanwhile.
 */
export function* packagesOf(
  entries: Iterable<Entry>,
  fits: (sum: Sum) => boolean
): Generator<ReadonlyArray<Entry>, void, void> {
  const mined = new Set<Entry>()
  /** What is left to be mined with those of whose ancestors some are. */
  const needs = new Map<Entry, Sum>()
  const needOf = (entry: Entry): Sum => needs.get(entry) ?? entry.ancestors
  const candidateOf = (entry: Entry): Candidate => ({
    entry,
    rate: minedRate(entry, needOf(entry)),
    arrival: entry.arrival
  })
  const heap = new Heap<Candidate>(minedBefore, Iterator.from(entries).map(candidateOf))
  for (let top = heap.pop(); top !== undefined; top = heap.pop()) {
    const { entry, rate } = top
    if (mined.has(entry) || rate !== minedRate(entry, needOf(entry)) || !fits(needOf(entry))) continue
    const pack = [...withAncestors([entry])].filter((one) => !mined.has(one)).sort(olderFirst)
    for (const one of pack) mined.add(one)
    for (const changed of lessen(pack, needs)) if (!mined.has(changed)) heap.push(candidateOf(changed))
    yield pack
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
