/** How often one caller may ask: a bucket for each, filled by the second, and a bounded number of buckets. */
import { discoveryBurst, discoveryClientsMax, discoveryPerSecond } from "../limits.ts"

interface Bucket {
  left: number
  at: number
}

export class Rate {
  private readonly buckets = new Map<string, Bucket>()

  get size(): number {
    return this.buckets.size
  }

  /** Takes one from the caller's bucket: 0, or the milliseconds after which there is one again. */
  take(source: string, now: number): number {
    const { left, at } = this.buckets.get(source) ?? { left: discoveryBurst, at: now }
    const filled = Math.min(discoveryBurst, left + (Math.max(0, now - at) * discoveryPerSecond) / 1000)
    this.buckets.delete(source)
    if (this.buckets.size >= discoveryClientsMax) this.forgetOldest()
    const taken = filled >= 1 ? 1 : 0
    this.buckets.set(source, { left: filled - taken, at: now })
    return taken === 1 ? 0 : Math.ceil(((1 - filled) * 1000) / discoveryPerSecond)
  }

  /** Whoever asked last stands last: the first has had the longest time to fill. */
  private forgetOldest(): void {
    for (const source of this.buckets.keys()) {
      this.buckets.delete(source)
      return
    }
  }
}
