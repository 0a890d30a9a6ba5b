/**
 * Looks out for another process that seals with our key. Before it signs for the first time, seal or vote, it listens for one
 * round of the rota, in which the other would have had its turn; a sealed header of our key that we never asked for stops us for good,
 * until the operator says otherwise.
 */
import { Result } from "effect"
import { equal } from "../codec/bytes.ts"
import { type RotaRule, slotOf } from "../consensus/rota.ts"
import { sealsRememberedMax } from "../limits.ts"
import { reached } from "../marks.ts"
import type { Unsigned } from "./protection.ts"
import type { Signer } from "./signer.ts"

/** The header that nobody here asked for. */
export interface Sighting {
  readonly slot: number
  /** Hex of its hash. */
  readonly hash: string
}

export interface WatchWish {
  readonly rota: RotaRule
  /** Up to this slot an earlier run of ours may have sealed. */
  readonly startSlot: number
  /** Slots after it in which we only listen. */
  readonly listenSlots: number
  /** Seen by an earlier run, and not settled by the operator since. */
  readonly seen: Sighting | undefined
  /** Keeps a sighting for the next start. */
  readonly found: (sighting: Sighting) => void
}

const doppelganger = ({ slot, hash }: Sighting): Unsigned => ({
  code: "doppelganger",
  message: `another process seals with this key: block ${hash} of slot ${slot} is not ours. Stop it, then restart this one with --resume-sealing`
})

/** A signer that stops when another has its key. */
export const watched = (inner: Signer, wish: WatchWish): Signer => {
  const { rota, startSlot } = wish
  let seen = wish.seen
  /** Headers that we asked a seal for, and their slots: the oldest first. */
  const asked = new Map<string, number>()
  /** Up to this slot what we asked for is forgotten, or was another run's. */
  let known = startSlot
  const until = startSlot + wish.listenSlots

  const idle = (slot: number): Unsigned | undefined => {
    if (seen !== undefined) return doppelganger(seen)
    if (slot <= until)
      return {
        code: "signer-listening",
        message: `until slot ${until} is over we listen whether another seals with this key`
      }
    return inner.idle?.(slot)
  }

  return {
    ...inner,
    idle,
    seal: (ask, answered) => {
      const why = idle(ask.slot)
      if (why !== undefined) return answered(Result.fail(why))
      asked.set(ask.header.id, ask.slot)
      if (asked.size > sealsRememberedMax) {
        const [oldest] = asked
        asked.delete(oldest![0])
        known = Math.max(known, oldest![1])
      }
      inner.seal(ask, answered)
    },
    vote: (ask, answered) => {
      const why = idle(ask.slot)
      if (why !== undefined) return answered(Result.fail(why))
      inner.vote(ask, answered)
    },
    saw: (header) => {
      if (seen !== undefined || !equal(header.proposer, inner.address)) return
      const slot = slotOf(rota, header.time)
      if (slot <= known || asked.has(header.id)) return
      reached("doppelganger-seen")
      seen = { slot, hash: header.id }
      wish.found(seen)
    }
  }
}
