/**
 * Whose turn it is: time is cut into slots as long as the spec's block interval, and slot by slot the authorities take their
 * turns in the order of their addresses (rows C-N5, C-N6, without an election). If the one whose turn it is stays away, the
 * others may seal in its slot, each after a delay of its own; so who is dead costs part of a slot and not the chain.
 */
import { compare } from "../codec/bytes.ts"
import type { Address } from "../crypto/address.ts"

export interface RotaRule {
  /** Slot 0 begins with the genesis. */
  readonly genesisTime: number
  readonly slotMs: number
  /** Milliseconds into a slot from which others than its leader may seal. */
  readonly outOfTurnMs: number
}

/** Of a block in its sealer's turn, and out of it (as in EIP-225). A majority that seals in turn outweighs any minority. */
export const inTurnWeight = 2
export const outOfTurnWeight = 1

/** The slot of a time that is not before the genesis. */
export const slotOf = ({ genesisTime, slotMs }: RotaRule, time: number): number =>
  Math.floor((time - genesisTime) / slotMs)

/** When a slot begins. */
export const slotStart = ({ genesisTime, slotMs }: RotaRule, slot: number): number => genesisTime + slot * slotMs

/** Authorities in the order of their turns. */
export const inOrder = (members: ReadonlyArray<Address>): ReadonlyArray<Address> => [...members].sort(compare)

/** Who leads a slot. */
export const leaderOf = (members: ReadonlyArray<Address>, slot: number): Address => members[slot % members.length]!

/** Turns until the one with this place leads, counted from a slot: 0, it is its turn. */
export const rankOf = (count: number, place: number, slot: number): number => (place - (slot % count) + count) % count

/** Milliseconds into a slot from which a rank may seal: the leader at once, the others one after the other, all within it. */
export const delayOf = ({ slotMs, outOfTurnMs }: RotaRule, count: number, rank: number): number =>
  rank === 0 ? 0 : outOfTurnMs + Math.floor(((slotMs - outOfTurnMs) * (rank - 1)) / (count - 1))

/** When, and with what weight, somebody may seal. */
export interface Turn {
  readonly slot: number
  readonly weight: number
  /** From this time on, until the slot's end. */
  readonly from: number
}

/** The turn in one slot of the authority at a place. */
export const turnIn = (rule: RotaRule, count: number, place: number, slot: number): Turn => {
  const rank = rankOf(count, place, slot)
  return {
    slot,
    weight: rank === 0 ? inTurnWeight : outOfTurnWeight,
    from: slotStart(rule, slot) + delayOf(rule, count, rank)
  }
}

/** The first turn not over at `now` in a slot above `after`. */
export const nextTurn = (
  rule: RotaRule,
  authority: { readonly count: number; readonly place: number },
  at: { readonly after: number; readonly now: number }
): Turn => turnIn(rule, authority.count, authority.place, Math.max(at.after + 1, slotOf(rule, at.now)))
