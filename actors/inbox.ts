/** A bounded inbox with a policy for each kind of message. Plain data: who waits and who wakes is the actor's business. */

/**
 * What happens to a message when the inbox is full.
 * `refuse`: its sender hears Busy. `wait`: its sender waits. `drop-new`: it is lost. `drop-old`: the oldest of its kind is
 * lost, or it itself if none waits. `keep-latest`: at most one of its kind waits at any time, full or not, and a newer one
 * takes its place. `owed`: an answer to a question of the inbox's owner. It is taken, full or not: how many can be out at a
 * time is the owner's to know, and the inbox keeps room for as many.
 */
export type Overflow = "refuse" | "wait" | "drop-new" | "drop-old" | "keep-latest" | "owed"

/** `full`: not taken, its sender waits or is refused. `lost`: not taken. Displaced: taken, and an older one had to go. */
export type Admitted<M> = "taken" | "full" | "lost" | { readonly displaced: M }

/** Holds at most `max` messages, one more of each kind whose latest is kept, and `owedMax` more of those that are owed. */
export class Inbox<M extends { readonly _tag: string }> {
  private items: Array<M | undefined> = []
  /** Where the oldest stands; those before it are handled. */
  private head = 0
  /** Those that wait of the kinds that are owed. */
  private owed = 0
  private readonly max: number
  private readonly owedMax: number
  private readonly overflow: { readonly [K in M["_tag"]]: Overflow }
  /** What it never holds more of, whatever the policies. */
  readonly capacity: number

  constructor(max: number, overflow: { readonly [K in M["_tag"]]: Overflow }, owedMax = 0) {
    this.max = max
    this.owedMax = owedMax
    this.overflow = overflow
    const latest = Object.values(overflow).filter((policy) => policy === "keep-latest").length
    this.capacity = max + latest + owedMax
  }

  /** Is there no room but for what is owed or replaces another? */
  get full(): boolean {
    return this.size >= this.max
  }

  get size(): number {
    return this.items.length - this.head
  }

  policyOf(message: M): Overflow {
    return this.overflow[message._tag as M["_tag"]]
  }

  push(message: M): Admitted<M> {
    const policy = this.policyOf(message)
    if (policy === "keep-latest") return this.replace(message)
    if (!this.full) return this.append(message)
    if (policy === "owed") return this.owed < this.owedMax ? this.append(message) : "lost"
    if (policy === "drop-old") return this.displace(message)
    return policy === "drop-new" ? "lost" : "full"
  }

  /** The oldest message, taken out. */
  shift(): M | undefined {
    const message = this.items[this.head]
    if (message === undefined) return undefined
    this.items[this.head++] = undefined
    if (this.owedMax > 0 && this.policyOf(message) === "owed") this.owed--
    if (this.head === this.items.length) this.drop(this.head)
    else if (this.head > 512 && this.head * 2 > this.items.length) this.drop(this.head)
    return message
  }

  /** Forgets the places of the first `count`, handled by now. */
  private drop(count: number): void {
    this.items.splice(0, count)
    this.head = 0
  }

  private append(message: M): "taken" {
    this.items.push(message)
    if (this.owedMax > 0 && this.policyOf(message) === "owed") this.owed++
    return "taken"
  }

  /** Where the oldest of a kind waits; -1 if none does. */
  private indexOf(tag: string): number {
    for (let i = this.head; i < this.items.length; i++) if (this.items[i]!._tag === tag) return i
    return -1
  }

  /** Puts the message where an older one of its kind waits, or last. */
  private replace(message: M): Admitted<M> {
    const at = this.indexOf(message._tag)
    if (at < 0) return this.append(message)
    const displaced = this.items[at]!
    this.items[at] = message
    return { displaced }
  }

  /** Takes the oldest of the kind out, so that the message may stand last. */
  private displace(message: M): Admitted<M> {
    const at = this.indexOf(message._tag)
    if (at < 0) return "lost"
    const displaced = this.items[at]!
    this.items.splice(at, 1)
    this.append(message)
    return { displaced }
  }
}
