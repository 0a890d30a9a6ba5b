/** A bounded inbox with a policy for each kind of message. Plain data: who waits and who wakes is the actor's business. */

/**
 * What happens to a message when the inbox is full.
 * `refuse`: its sender hears Busy. `wait`: its sender waits. `drop-new`: it is lost. `drop-old`: the oldest of its kind is
 * lost. `keep-latest`: at most one of its kind waits at any time, and a newer one takes its place.
 */
export type Overflow = "refuse" | "wait" | "drop-new" | "drop-old" | "keep-latest"

export type Admitted = "taken" | "replaced" | "dropped" | "full"

export class Inbox<M extends { readonly _tag: string }> {
  private items: Array<M | undefined> = []
  private head = 0
  private count = 0
  private readonly max: number
  private readonly overflow: { readonly [K in M["_tag"]]: Overflow }

  constructor(max: number, overflow: { readonly [K in M["_tag"]]: Overflow }) {
    this.max = max
    this.overflow = overflow
  }

  get size(): number {
    return this.count
  }

  policyOf(message: M): Overflow {
    return this.overflow[message._tag as M["_tag"]]
  }

  /** `full`: not taken; the policy says whether its sender waits or is refused. */
  push(message: M): Admitted {
    const policy = this.policyOf(message)
    if (policy === "keep-latest" && this.replace(message)) return "replaced"
    if (this.count < this.max || policy === "keep-latest") {
      this.items.push(message)
      this.count++
      return "taken"
    }
    if (policy === "drop-new") return "dropped"
    if (policy !== "drop-old") return "full"
    const oldest = this.indexOf(message._tag)
    if (oldest === undefined) return "dropped"
    this.items[oldest] = undefined
    this.items.push(message)
    return "dropped"
  }

  shift(): M | undefined {
    while (this.head < this.items.length) {
      const message = this.items[this.head]
      this.items[this.head++] = undefined
      if (this.head > 512 && this.head * 2 > this.items.length) {
        this.items = this.items.slice(this.head)
        this.head = 0
      }
      if (message === undefined) continue
      this.count--
      return message
    }
    this.items.length = 0
    this.head = 0
    return undefined
  }

  private indexOf(tag: string): number | undefined {
    for (let i = this.head; i < this.items.length; i++) if (this.items[i]?._tag === tag) return i
    return undefined
  }

  /** Puts the message where an older one of its kind waits; false if none does. */
  private replace(message: M): boolean {
    const at = this.indexOf(message._tag)
    if (at === undefined) return false
    this.items[at] = message
    return true
  }
}
