/** The last announcement of each node, for as long as a copy of it would be fresh: so none is heard twice, and none out of order. */
import { gossipNodesMax } from "../limits.ts"

/** The last announcement of a node. */
export interface Last {
  readonly sequence: number
  /** Hash of the announcement. */
  readonly id: string
  /** When it came first. */
  readonly at: number
  /** Until when a copy of it is fresh. */
  readonly until: number
  /** Was it passed on? */
  passed: boolean
}

export class Memory {
  private readonly nodes = new Map<string, Last>()

  get size(): number {
    return this.nodes.size
  }

  find(node: string, now: number): Last | undefined {
    const last = this.nodes.get(node)
    return last !== undefined && last.until >= now ? last : undefined
  }

  /** Of a full memory the oldest goes that `keeps` does not hold: whoever makes up names forgets other made-up ones. */
  admit(node: string, last: Last, keeps: (node: string) => boolean): void {
    this.nodes.delete(node)
    this.nodes.set(node, last)
    if (this.nodes.size <= gossipNodesMax) return
    for (const other of this.nodes.keys()) {
      if (keeps(other)) continue
      this.nodes.delete(other)
      return
    }
  }

  /** Forgets, the oldest first, whose copies are stale by themselves. */
  expire(now: number): void {
    for (const [node, { until }] of this.nodes) {
      if (until >= now) return
      this.nodes.delete(node)
    }
  }
}
