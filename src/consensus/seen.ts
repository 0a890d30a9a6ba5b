/**
 * The seals seen lately, by authority and slot: a second header of one slot is an offence (evidence.ts). What an authority
 * floods us with pushes out only its own.
 */
import { assert } from "../assert.ts"
import { decodeHeader, type Header } from "../block/header.ts"
import { toHex } from "../codec/bytes.ts"
import { authoritiesMax, sealsWatchedMax } from "../limits.ts"
import { type RotaRule, slotOf } from "./rota.ts"

export class SeenSeals {
  private readonly rule: RotaRule
  private readonly authoritiesMax: number
  private readonly slotsMax: number
  /** By hex of the authority, who was heard of last at the end; then by slot. */
  private readonly seen = new Map<string, Map<number, Uint8Array>>()

  constructor(rule: RotaRule, max: { readonly authorities?: number; readonly slots?: number } = {}) {
    this.rule = rule
    this.authoritiesMax = max.authorities ?? authoritiesMax
    this.slotsMax = max.slots ?? sealsWatchedMax
  }

  /** Headers that it holds. */
  get size(): number {
    let size = 0
    for (const slots of this.seen.values()) size += slots.size
    return size
  }

  /** Headers that it holds at most. */
  get max(): number {
    return this.authoritiesMax * this.slotsMax
  }

  /** The first header that was seen of this one's authority and slot; it may be this one. */
  first({ proposer, time }: Pick<Header, "proposer" | "time">): Header | undefined {
    const bytes = this.seen.get(toHex(proposer))?.get(slotOf(this.rule, time))
    if (bytes === undefined) return undefined
    const header = decodeHeader(bytes)
    assert(header !== undefined, "the bytes of a header are one")
    return header
  }

  /** Remembers a header whose seal is right, unless there was one of its slot. */
  see(header: Header): void {
    const authority = toHex(header.proposer)
    const slot = slotOf(this.rule, header.time)
    const slots = this.seen.get(authority) ?? new Map<number, Uint8Array>()
    if (slots.has(slot)) return
    this.seen.delete(authority)
    if (this.seen.size >= this.authoritiesMax) this.seen.delete(this.seen.keys().next().value!)
    this.seen.set(authority, slots)
    // A copy: the block or page that it came in must not live as long.
    slots.set(slot, header.bytes.slice())
    if (slots.size > this.slotsMax) slots.delete(Math.min(...slots.keys()))
  }
}
