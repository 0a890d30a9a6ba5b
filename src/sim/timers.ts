/** Timers of a world: a heap by time, and by the order of setting within one time. */

export interface Timer {
  readonly at: number
  readonly turn: number
  /** Undefined once it has fired or was called off. */
  fire: (() => void) | undefined
}

export class Timers {
  private readonly heap: Array<Timer> = []
  private turns = 0

  /** Sets a timer. It is called off by emptying its `fire`. */
  set(at: number, fire: () => void): Timer {
    const timer: Timer = { at, turn: this.turns++, fire }
    this.heap.push(timer)
    this.rise(this.heap.length - 1)
    return timer
  }

  /** The earliest that still counts, left in place. */
  peek(): Timer | undefined {
    while (this.heap.length > 0 && this.heap[0]!.fire === undefined) this.pop()
    return this.heap[0]
  }

  /** The earliest, taken out. */
  pop(): Timer | undefined {
    const { heap } = this
    const first = heap[0]
    const last = heap.pop()
    if (heap.length > 0 && last !== undefined) {
      heap[0] = last
      this.sink()
    }
    return first
  }

  /** Does a come before b? */
  private before(a: Timer, b: Timer): boolean {
    return a.at < b.at || (a.at === b.at && a.turn < b.turn)
  }

  private rise(start: number): void {
    const { heap } = this
    const timer = heap[start]!
    let at = start
    while (at > 0) {
      const above = (at - 1) >> 1
      if (!this.before(timer, heap[above]!)) break
      heap[at] = heap[above]!
      at = above
    }
    heap[at] = timer
  }

  private sink(): void {
    const { heap } = this
    const timer = heap[0]!
    let at = 0
    for (;;) {
      let below = 2 * at + 1
      if (below >= heap.length) break
      if (below + 1 < heap.length && this.before(heap[below + 1]!, heap[below]!)) below++
      if (!this.before(heap[below]!, timer)) break
      heap[at] = heap[below]!
      at = below
    }
    heap[at] = timer
  }
}
