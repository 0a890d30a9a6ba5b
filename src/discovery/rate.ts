/** How often one caller may ask: a bucket for each, filled by the second, and a bounded number of buckets. */
import { discoveryBurst, discoveryClientsMax, discoveryPerSecond } from "../limits.ts"

interface Bucket {
  left: number
  at: number
}

export interface RateLimits {
  /** At once. */
  readonly burst: number
  readonly perSecond: number
  /** Callers remembered; the one who asked least recently is forgotten first. */
  readonly callersMax: number
}

const ofDiscovery: RateLimits = {
  burst: discoveryBurst,
  perSecond: discoveryPerSecond,
  callersMax: discoveryClientsMax
}

export class Rate {
  private readonly buckets = new Map<string, Bucket>()
  private readonly limits: RateLimits

  constructor(limits: RateLimits = ofDiscovery) {
    this.limits = limits
  }

  get size(): number {
    return this.buckets.size
  }

  /** Takes one from the caller's bucket: 0, or the milliseconds after which there is one again. */
  take(source: string, now: number): number {
    const { burst, perSecond, callersMax } = this.limits
    const { left, at } = this.buckets.get(source) ?? { left: burst, at: now }
    const filled = Math.min(burst, left + (Math.max(0, now - at) * perSecond) / 1000)
    this.buckets.delete(source)
    if (this.buckets.size >= callersMax) this.forgetOldest()
    const taken = filled >= 1 ? 1 : 0
    this.buckets.set(source, { left: filled - taken, at: now })
    return taken === 1 ? 0 : Math.ceil(((1 - filled) * 1000) / perSecond)
  }

  /** Whoever asked last stands last: the first has had the longest time to fill. */
  private forgetOldest(): void {
    for (const source of this.buckets.keys()) {
      this.buckets.delete(source)
      return
    }
  }
}
