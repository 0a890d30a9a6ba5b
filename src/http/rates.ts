/**
 * How often one client may ask: a token bucket for each, in a table that never grows.
 *
 * A bucket is kept as the time at which it is full again, so what a client owes is a time, too: `window` when its bucket is
 * empty. The table has sets of eight slots, and a secret hash says which set is a client's. Who is new takes the slot that owes least,
 * with its debt. So whoever lost a slot finds at least its own debt there when it comes back: no flood of invented
 * addresses makes an empty bucket full, and a newcomer inherits a debt only where all eight still owe.
 */
import { assert } from "../assert.ts"
import { sipHashInto, type SipKey } from "../crypto/siphash.ts"
import { httpClientsMax } from "../limits.ts"

/** Milliseconds in which an empty bucket is full again. */
const window = 60_000
const slotsPerSet = 8
/** What sums of rounded times may be off, in milliseconds: far below the price of a request. */
const rounding = 1e-3

/** What became of a request. */
export interface Taken {
  readonly allowed: boolean
  /** Requests in a full bucket. */
  readonly limit: number
  /** Requests that would be let in at once after this one. */
  readonly remaining: number
  /** Milliseconds until there is one; 0 if this was let in. */
  readonly waitMs: number
  /** Milliseconds until the bucket is full. */
  readonly fullMs: number
}

export class Rate {
  private readonly limit: number
  /** Milliseconds that a request costs. */
  private readonly cost: number
  private readonly key: SipKey
  private readonly sets: number
  /** Of each slot: who it belongs to, and when its bucket is full. A slot that nobody had yet is full. */
  private readonly low: Uint32Array
  private readonly high: Uint32Array
  private readonly fullAt: Float64Array
  private readonly hash = new Uint32Array(2)

  /** `perMinute`: at least 1. `key`: a secret of this process. `clients`: a multiple of 8. */
  constructor(perMinute: number, key: SipKey, clients: number = httpClientsMax) {
    assert(Number.isSafeInteger(perMinute) && perMinute >= 1, "a rate is a whole number above 0")
    assert(clients > 0 && clients % slotsPerSet === 0, "a table has whole sets")
    this.limit = perMinute
    this.cost = window / perMinute
    this.key = key
    this.sets = clients / slotsPerSet
    this.low = new Uint32Array(clients)
    this.high = new Uint32Array(clients)
    this.fullAt = new Float64Array(clients)
  }

  /** Bytes of the table: the same at any time. */
  get bytes(): number {
    return this.low.byteLength + this.high.byteLength + this.fullAt.byteLength
  }

  /** Takes one request from a client's bucket. `now`: milliseconds of a clock that does not go back. */
  take(client: Uint8Array, now: number): Taken {
    const slot = this.own(client) ?? this.cheapest()
    const owed = this.owed(slot, now)
    const allowed = owed + this.cost <= window + rounding
    if (!allowed) return this.told(false, owed)
    this.low[slot] = this.hash[0]!
    this.high[slot] = this.hash[1]!
    this.fullAt[slot] = now + owed + this.cost
    return this.told(true, owed + this.cost)
  }

  /** What would become of a request; nothing is taken, and who has no slot owes nothing. */
  look(client: Uint8Array, now: number): Taken {
    const slot = this.own(client)
    const owed = slot === undefined ? 0 : this.owed(slot, now)
    return this.told(owed + this.cost <= window + rounding, owed)
  }

  /** A clock that went back makes no debt of more than a bucket. */
  private owed(slot: number, now: number): number {
    return Math.min(window, Math.max(0, this.fullAt[slot]! - now))
  }

  private told(allowed: boolean, owed: number): Taken {
    return {
      allowed,
      limit: this.limit,
      remaining: Math.max(0, Math.floor((window - owed + rounding) / this.cost)),
      waitMs: allowed ? 0 : owed + this.cost - window,
      fullMs: owed
    }
  }

  /** The client's slot, if it has one; its hash is left in `hash`. */
  private own(client: Uint8Array): number | undefined {
    sipHashInto(this.key, client, this.hash)
    const first = this.first()
    for (let slot = first; slot < first + slotsPerSet; slot++)
      if (this.low[slot] === this.hash[0] && this.high[slot] === this.hash[1]) return slot
    return undefined
  }

  /** The slot of the client's set that is full first. */
  private cheapest(): number {
    const first = this.first()
    let best = first
    for (let slot = first + 1; slot < first + slotsPerSet; slot++)
      if (this.fullAt[slot]! < this.fullAt[best]!) best = slot
    return best
  }

  private first(): number {
    return (this.hash[0]! % this.sets) * slotsPerSet
  }
}

const seconds = (ms: number): number => Math.ceil(ms / 1000)

/**
 * Headers that tell a client how it stands: those of the reference system, and the fields of
 * draft-ietf-httpapi-ratelimit-headers-11. `t` is until when `r` holds: the next request that is let in, or the full bucket.
 */
export const rateHeaders = (policy: string, taken: Taken): Readonly<Record<string, string>> => {
  const { allowed, limit, remaining, waitMs, fullMs } = taken
  const wait = Math.max(1, seconds(waitMs))
  return {
    "x-ratelimit-limit": String(limit),
    "x-ratelimit-remaining": String(remaining),
    "ratelimit-policy": `"${policy}";q=${limit};w=${window / 1000}`,
    ratelimit: `"${policy}";r=${remaining};t=${allowed ? seconds(fullMs) : wait}`,
    ...(allowed ? {} : { "retry-after": String(wait) })
  }
}
