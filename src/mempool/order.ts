/** Which pending transaction goes first: the higher fee for its bytes, of equals the earlier arrival. And the heap that finds it. */

/** What the order looks at. */
export interface Ranked {
  /** Fee units per byte. */
  readonly rate: number
  /** Counts arrivals. */
  readonly arrival: number
}

/** Negative if `a` is mined before `b`. */
export const minedBefore = (a: Ranked, b: Ranked): number => b.rate - a.rate || a.arrival - b.arrival

/** Negative if `a` is evicted before `b`. */
export const evictedBefore = (a: Ranked, b: Ranked): number => -minedBefore(a, b)

/** A binary heap: the first by `order` is on top. */
export class Heap<A> {
  private readonly items: Array<A> = []
  private readonly order: (a: A, b: A) => number

  constructor(order: (a: A, b: A) => number, items: Iterable<A> = []) {
    this.order = order
    for (const item of items) this.push(item)
  }

  get size(): number {
    return this.items.length
  }

  peek(): A | undefined {
    return this.items[0]
  }

  push(item: A): void {
    const { items, order } = this
    let at = items.push(item) - 1
    for (let up = (at - 1) >> 1; at > 0 && order(item, items[up]!) < 0; up = (at - 1) >> 1) {
      items[at] = items[up]!
      at = up
    }
    items[at] = item
  }

  pop(): A | undefined {
    const { items, order } = this
    const top = items[0]
    const last = items.pop()
    if (last === undefined || items.length === 0) return top
    let at = 0
    for (;;) {
      let down = 2 * at + 1
      if (down + 1 < items.length && order(items[down + 1]!, items[down]!) < 0) down++
      if (down >= items.length || order(items[down]!, last) >= 0) break
      items[at] = items[down]!
      at = down
    }
    items[at] = last
    return top
  }
}
