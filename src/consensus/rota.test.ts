/** The rota as a whole: one leader a slot, delays in order, whoever waits for its turn is taken, a minority weighs less. */
import { describe, expect, test } from "bun:test"
import { firstAuthority, keyOf, specOf } from "../../test/fixtures.ts"
import { type Header, type Height, makeHeader } from "../block/header.ts"
import { makeGenesis } from "../block/genesis.ts"
import { equal } from "../codec/bytes.ts"
import { zeroHash } from "../crypto/hash.ts"
import type { Millis } from "../ledger/transaction.ts"
import { type Dice, makeDice } from "../sim/dice.ts"
import type { AuthorRules, Consensus } from "./consensus.ts"
import { makePoa } from "./poa.ts"
import { delayOf, inOrder, leaderOf, rankOf, type RotaRule, slotOf, slotStart, turnIn } from "./rota.ts"
import { sealHeader } from "../block/seal.ts"

const between = (dice: Dice, low: number, high: number): number => low + dice.int(high - low + 1)

const someRota = (dice: Dice): RotaRule => {
  const slotMs = between(dice, 2, dice.pick([50, 2_000, 60_000]))
  return { genesisTime: dice.int(1_000_000), slotMs, outOfTurnMs: dice.int(slotMs) }
}

test("each slot has one leader; the others wait in the order of their ranks, all within the slot", () => {
  const dice = makeDice(1)
  for (let i = 0; i < 500; i++) {
    const rule = someRota(dice)
    const count = between(dice, 1, 40)
    const slot = dice.int(1_000_000)
    const places = Array.from({ length: count }, (_, place) => place)
    const ranks = places.map((place) => rankOf(count, place, slot))
    expect([...ranks].sort((a, b) => a - b)).toEqual(places)
    expect(leaderOf(places as never, slot) as never).toBe(ranks.indexOf(0) as never)
    const delays = places.map((rank) => delayOf(rule, count, rank))
    expect(delays[0]).toBe(0)
    expect(delays.every((delay, rank) => rank === 0 || (delay >= delays[rank - 1]! && delay >= rule.outOfTurnMs))).toBe(
      true
    )
    expect(delays.every((delay) => delay < rule.slotMs)).toBe(true)
    // Where there are milliseconds enough, no two ranks begin in the same one.
    if (rule.outOfTurnMs > 0 && rule.slotMs - rule.outOfTurnMs >= count) expect(new Set(delays).size).toBe(count)
    for (const place of places) expect(slotOf(rule, turnIn(rule, count, place, slot).from)).toBe(slot)
  }
})

interface Place {
  readonly consensus: Consensus
  readonly author: AuthorRules
  readonly parent: Header
  readonly keys: ReadonlyArray<ReturnType<typeof keyOf>>
}

/** Some authorities behind a parent in some slot. */
const somePlace = (dice: Dice): Place => {
  const count = between(dice, 1, 12)
  const blockMs = between(dice, 20, 3_000)
  const spec = specOf({
    authorities: count,
    authority: { outOfTurnMs: dice.int(blockMs) },
    difficulty: { rule: "fixed", blockMs, bits: 0 }
  })
  const consensus = makePoa(spec)
  const { header } = makeGenesis(spec, consensus.genesisTarget, zeroHash)
  const time = (header.time + dice.int(50 * blockMs)) as Millis
  const keys = Array.from({ length: count }, (_, i) => keyOf(firstAuthority + i))
  return { consensus, author: consensus.author!, parent: makeHeader({ ...header, height: 7 as Height, time }), keys }
}

/** Is a header at a time, sealed by a key, taken; as its weight the right one is claimed of the slot. */
const refusal = ({ consensus, author, parent, keys }: Place, key: (typeof keys)[number], time: number) => {
  const ancestry = { parent, at: () => parent }
  if (time < consensus.earliestTime(ancestry)) return "time-too-early"
  const members = inOrder(keys.map(({ address }) => address))
  const place = members.findIndex((member) => equal(member, key.address))
  const { weight } = turnIn(author.rota, members.length, place, slotOf(author.rota, time))
  const bare = makeHeader({
    ...parent,
    height: (parent.height + 1) as Height,
    previous: parent.hash,
    time: time as Millis,
    proposer: key.address,
    authority: { ...parent.authority!, weight }
  })
  return author.checkHeader(sealHeader(bare, key), ancestry)?.code
}

test("whoever waits for its next turn is taken, and nobody in the same slot a millisecond earlier", () => {
  const dice = makeDice(2)
  for (let i = 0; i < 400; i++) {
    const place = somePlace(dice)
    const { author, consensus, parent, keys } = place
    const { rota } = author
    const ancestry = { parent, at: () => parent }
    const now = parent.time + dice.int(10 * rota.slotMs) - dice.int(2 * rota.slotMs)
    const key = dice.pick(keys)
    const turn = author.turn(ancestry, key.address, now)!
    const at = Math.max(now, turn.from)
    expect(turn.slot).toBe(slotOf(rota, at))
    expect(refusal(place, key, at)).toBeUndefined()
    expect(refusal(place, key, slotStart(rota, turn.slot + 1) - 1)).toBeUndefined()
    // Nothing between now and then would have been taken in this slot; and there was no turn in a slot between.
    for (const early of [turn.from - 1, now, Math.floor((now + turn.from) / 2)])
      if (early < turn.from && early >= slotStart(rota, turn.slot))
        expect(refusal(place, key, early)).toBe("turn-early")
    const slots = turn.slot - Math.max(slotOf(rota, parent.time) + 1, slotOf(rota, now))
    expect(slots).toBe(0)
    expect(refusal(place, key, consensus.earliestTime(ancestry) - 1)).toBe("time-too-early")
  }
})

test("one who is no authority has no turn, and no header of it is taken", () => {
  const place = somePlace(makeDice(3))
  const { author, parent } = place
  const ancestry = { parent, at: () => parent }
  const stranger = keyOf(3)
  expect(author.turn(ancestry, stranger.address, parent.time)).toBeUndefined()
  const time = slotStart(author.rota, slotOf(author.rota, parent.time) + 1) as Millis
  const header = makeHeader({
    ...parent,
    time,
    proposer: stranger.address,
    authority: { ...parent.authority!, weight: 2 }
  })
  expect(author.checkHeader(sealHeader(header, stranger), ancestry)?.code).toBe("signer-unknown")
})

describe("weight", () => {
  const rule: RotaRule = { genesisTime: 0, slotMs: 1_000, outOfTurnMs: 500 }
  /** What a group of authorities can make of some slots at the most, if each slot has one block of theirs. */
  const weightOf = (group: ReadonlySet<number>, count: number, slots: ReadonlyArray<number>): number =>
    slots.reduce((sum, slot) => {
      const weights = [...group].map((place) => turnIn(rule, count, place, slot).weight)
      return sum + Math.max(...weights)
    }, 0)

  test("a majority that seals every slot outweighs any minority after each round of the rota", () => {
    const dice = makeDice(4)
    for (let i = 0; i < 300; i++) {
      const count = between(dice, 3, 15)
      const liars = between(dice, 1, Math.floor((count - 1) / 2))
      const places = Array.from({ length: count }, (_, place) => place)
      const minority = new Set<number>()
      while (minority.size < liars) minority.add(dice.int(count))
      const majority = new Set(places.filter((place) => !minority.has(place)))
      const from = dice.int(1_000)
      const slotsOf = (length: number) => Array.from({ length }, (_, at) => from + at)
      const lead = (length: number): number =>
        weightOf(majority, count, slotsOf(length)) - weightOf(minority, count, slotsOf(length))
      for (let rounds = 1; rounds <= 3; rounds++) expect(lead(rounds * count)).toBe(rounds * (majority.size - liars))
      // Within a round the minority may be ahead, by no more than it has members: for a moment, and never for good.
      for (let length = 1; length <= 3 * count; length++) expect(lead(length)).toBeGreaterThanOrEqual(-liars)
      expect(lead((liars + 1) * count + dice.int(count))).toBeGreaterThan(0)
    }
  })
})
