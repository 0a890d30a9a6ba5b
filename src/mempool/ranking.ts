/**
 * Pending payments in the order in which they would be evicted: the lowest rate first at which a payment and all that goes
 * with it is kept.
 *
 * A rate changes with each descendant. Only a lower one needs a new place in the heap at once; a place that is too low by
 * now comes up too early, and is put right then.
 */
import { evictedBefore, Heap, type Ranked } from "./order.ts"
import { type Entry, keptRate } from "./package.ts"

interface Place extends Ranked {
  readonly entry: Entry
}

const placeOf = (entry: Entry): Place => ({ entry, rate: keptRate(entry), arrival: entry.arrival })

export class Ranking {
  private heap = new Heap<Place>(evictedBefore)
  private readonly places = new Map<Entry, Place>()

  /** Places in the heap, those that count no more included: at most twice those that do, and a thousand. */
  get size(): number {
    return this.heap.size
  }

  /** A payment has come, or what goes with it has changed. */
  rank(entry: Entry): void {
    const place = this.places.get(entry)
    if (place !== undefined && place.rate <= keptRate(entry)) return
    this.put(entry)
    if (this.heap.size <= 2 * this.places.size + 1000) return
    for (const one of this.places.keys()) this.places.set(one, placeOf(one))
    this.heap = new Heap(evictedBefore, this.places.values())
  }

  /** A payment has left. */
  drop(entry: Entry): void {
    this.places.delete(entry)
  }

  /** Worst first, for as long as is asked. The payments must stay as they are meanwhile. */
  *worstFirst(): Generator<Entry, void, void> {
    const seen: Array<Place> = []
    try {
      for (let top = this.heap.pop(); top !== undefined; top = this.heap.pop()) {
        if (this.places.get(top.entry) !== top) continue
        if (top.rate < keptRate(top.entry)) {
          this.put(top.entry)
          continue
        }
        seen.push(top)
        yield top.entry
      }
    } finally {
      for (const place of seen) this.heap.push(place)
    }
  }

  private put(entry: Entry): void {
    const place = placeOf(entry)
    this.places.set(entry, place)
    this.heap.push(place)
  }
}
