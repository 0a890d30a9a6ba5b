/**
 * What the slots of a chain of authorities came to, in the log and as figures: blocks of our own, and leaders whose slot
 * passed without their block. Judges each slot once, a whole slot after its end, so that a late block is not called missing.
 */
import { type Clock, Effect } from "effect"
import type { Header } from "../src/block/header.ts"
import { ancestryOf, type ChainReader } from "../src/chain/reader.ts"
import type { Rules } from "../src/chain/rules.ts"
import { equal } from "../src/codec/bytes.ts"
import type { AuthorRules } from "../src/consensus/consensus.ts"
import { slotOutcome } from "../src/consensus/leaders.ts"
import { inTurnWeight, slotOf } from "../src/consensus/rota.ts"
import { type Address, formatAddress } from "../src/crypto/address.ts"
import { leaderSlotsMax, slotLogMs } from "../src/limits.ts"
import type { Metrics } from "./metrics.ts"
import type { TipMoved } from "./protocol.ts"

export interface SlotPorts {
  readonly rules: Rules
  readonly store: Pick<ChainReader, "find" | "bestAt" | "tip">
  readonly clock: Clock.Clock
  readonly metrics: Metrics
  /** For whom this node seals. */
  readonly self: Address | undefined
}

export interface SlotWatch {
  /** The slot's length. */
  readonly everyMs: number
  /** Says what we have sealed. */
  readonly moved: (move: Pick<TipMoved, "attached" | "from">) => Effect.Effect<void>
  /** Judges the slots that are over. */
  readonly tick: () => Effect.Effect<void>
}

const outcomes = ["in-turn", "out-of-turn", "missed"] as const

const outcomeOf = (block: Header | undefined): (typeof outcomes)[number] => {
  if (block === undefined) return "missed"
  return block.authority?.weight === inTurnWeight ? "in-turn" : "out-of-turn"
}

/** The watch of a chain of authorities; undefined: there are no slots to watch. */
export const watchSlots = (ports: SlotPorts): SlotWatch | undefined => {
  const { author } = ports.rules.consensus
  return author === undefined ? undefined : makeWatch(ports, author)
}

const makeWatch = ({ rules, store, clock, metrics, self }: SlotPorts, author: AuthorRules): SlotWatch => {
  const { rota } = author
  const count = metrics.counters("cairn_slots_total", "Slots that are over, by what the best branch has of them.")
  for (const outcome of outcomes) count({ outcome }, 0)
  const present = (): number => slotOf(rota, clock.currentTimeMillisUnsafe())
  /** Slots up to this one are judged, or were over before we began. */
  let judged = present()
  let unsaid = 0
  let saidAt = Number.NEGATIVE_INFINITY

  /** At most one line a slot, and one in some time: the others are counted in the next. */
  const late = (slot: number, leader: Address, block: Header | undefined): Effect.Effect<void> => {
    unsaid++
    const now = clock.currentTimeMillisUnsafe()
    if (now - saidAt < slotLogMs) return Effect.void
    const more = unsaid > 1 ? `, ${unsaid} slots since it was last said` : ""
    saidAt = now
    unsaid = 0
    const who = formatAddress(leader, rules.spec.addressPrefix)
    const instead = block === undefined ? "nobody sealed" : "another sealed in its place"
    return Effect.logWarning(`slot ${slot} passed without the block of its leader ${who}; ${instead}${more}`)
  }

  const judge = (slot: number): Effect.Effect<void> => {
    const { leader, block } = slotOutcome(author, ancestryOf(store, store.tip().header), slot)
    const outcome = outcomeOf(block)
    count({ outcome })
    return outcome === "in-turn" ? Effect.void : late(slot, leader, block)
  }

  return {
    everyMs: rota.slotMs,
    moved: ({ attached, from }) =>
      Effect.forEach(
        from === undefined ? attached.filter(({ proposer }) => self !== undefined && equal(proposer, self)) : [],
        (header) => {
          const turn = outcomeOf(header) === "in-turn" ? "in our turn" : "out of turn, in its leader's place"
          return Effect.logInfo(`sealed block ${header.height} in slot ${slotOf(rota, header.time)}, ${turn}`)
        },
        { discard: true }
      ),
    tick: () =>
      Effect.suspend(() => {
        const until = present() - 2
        // Behind a tip that is old for long, nobody can tell a leader that is late from a node that is.
        const isOld = slotOf(rota, store.tip().header.time) < until - leaderSlotsMax
        const from = Math.max(judged + 1, until - leaderSlotsMax)
        judged = Math.max(judged, until)
        const slots = isOld ? [] : Array.from({ length: Math.max(0, until - from + 1) }, (_, i) => from + i)
        return Effect.forEach(slots, judge, { discard: true })
      })
  }
}
