/** The view of leaders: equal for equal tips and times, and what a naive count of slots gives. */
import { describe, expect, test } from "bun:test"
import { about, authoritiesOf, conviction, doubleSign, land } from "../../test/rota.ts"
import { firstAuthority, keyOf, specOf, TestChain } from "../../test/fixtures.ts"
import { ancestryOf } from "../chain/reader.ts"
import { toHex } from "../codec/bytes.ts"
import { leaderBlocksMax, leaderSlotsMax } from "../limits.ts"
import { makeDice } from "../sim/dice.ts"
import { leaderView, type LeaderView, slotOutcome } from "./leaders.ts"
import { leaderOf, slotOf, slotStart } from "./rota.ts"

const chainOf = (authorities: number, voteBlocks = 0): TestChain =>
  new TestChain(specOf({ authorities, authority: { voteBlocks } }))

const viewOf = (chain: TestChain, now = chain.now, ahead = 8): LeaderView =>
  leaderView(chain.rules.consensus.author!, ancestryOf(chain.store, chain.store.tip().header), { now, ahead })

/** A chain whose leaders now and then stay away: slots pass, and others seal in them. */
const someChain = (seed: number, blocks: number): TestChain => {
  const dice = makeDice(seed)
  const chain = chainOf(1 + dice.int(6))
  const count = authoritiesOf(chain).members.length
  for (let i = 0; i < blocks; i++) {
    if (dice.int(4) === 0) chain.now += 1_000 * dice.int(2 * count)
    land(chain, { rank: dice.int(3) === 0 ? dice.int(count) : 0 })
  }
  return chain
}

/** The same by walking over each single slot. */
const naive = (chain: TestChain, now: number) => {
  const { rota } = chain.rules.consensus.author!
  const { height } = chain.store.tip().header
  const headers = Array.from({ length: height }, (_, i) => chain.store.bestAt(i + 1)!.header)
  const { members } = authoritiesOf(chain)
  const base = height > leaderBlocksMax ? slotOf(rota, headers[height - leaderBlocksMax - 1]!.time) + 1 : undefined
  const counted = headers.slice(-leaderBlocksMax)
  const from = base ?? slotOf(rota, counted[0]!.time)
  const rows = members.map((member) => ({ who: toHex(member), inTurn: 0, outOfTurn: 0, missed: 0 }))
  for (const { proposer, authority } of counted)
    rows.find(({ who }) => who === toHex(proposer))![authority!.weight === 2 ? "inTurn" : "outOfTurn"]++
  for (let slot = from; slot < slotOf(rota, now); slot++) {
    const leader = toHex(leaderOf(members, slot))
    const block = counted.find(({ time }) => slotOf(rota, time) === slot)
    if (block === undefined || toHex(block.proposer) !== leader) rows.find(({ who }) => who === leader)!.missed++
  }
  return { from, rows }
}

describe("the view of leaders", () => {
  test("is what counting slot by slot gives, whoever was away", () => {
    for (let seed = 0; seed < 20; seed++) {
      const chain = someChain(seed, 1 + (seed % 5) * 12)
      const now = chain.now + (seed % 3) * 2_700
      const view = viewOf(chain, now)
      const { from, rows } = naive(chain, now)
      expect(view.window.fromSlot).toBe(from)
      expect(
        view.members.map(({ address, inTurn, outOfTurn, missed }) => ({
          who: toHex(address),
          inTurn,
          outOfTurn,
          missed
        }))
      ).toEqual(rows)
    }
  })

  test("counts the last blocks only, and the slots before them", () => {
    const chain = chainOf(3)
    chain.mine(leaderBlocksMax + 10)
    chain.now += 5_000
    chain.mine(3)
    const view = viewOf(chain)
    expect(view.window).toEqual({ blocks: leaderBlocksMax, fromHeight: 14, fromSlot: naive(chain, chain.now).from })
    expect(view.members.reduce((sum, { inTurn }) => sum + inTurn, 0)).toBe(leaderBlocksMax)
    expect(view.members.reduce((sum, { missed }) => sum + missed, 0)).toBe(5)
  })

  test("is equal on nodes with equal tips, however they came by their blocks", () => {
    const chain = someChain(7, 40)
    const rival = chain.fork(30)
    rival.now += 40_000
    rival.mine(2)
    const other = new TestChain(chain.rules.spec)
    for (let at = 1; at <= 32; at++) other.take(rival.store.block(rival.store.bestAt(at)!.header.id)!)
    for (let at = 31; at <= 40; at++) other.take(chain.store.block(chain.store.bestAt(at)!.header.id)!)
    expect(other.store.tip().header.id).toBe(chain.store.tip().header.id)
    expect(viewOf(other, chain.now + 3_100)).toEqual(viewOf(chain, chain.now + 3_100))
  })

  test("says whose slot it is, who may seal when, and who comes next", () => {
    const chain = chainOf(4)
    chain.mine(6)
    const { rota } = chain.rules.consensus.author!
    const { members } = authoritiesOf(chain)
    const now = chain.now + 1_600
    const view = viewOf(chain, now, 5)
    const slot = slotOf(rota, now)
    const start = slotStart(rota, slot)
    expect(view.present).toMatchObject({ slot, start, end: start + 1_000, leader: leaderOf(members, slot), open: true })
    expect(view.present.turns.map(({ address }) => address)).toEqual(
      [0, 1, 2, 3].map((i) => leaderOf(members, slot + i))
    )
    expect(view.present.turns.map(({ from, weight }) => [from - start, weight])).toEqual([
      [0, 2],
      [500, 1],
      [666, 1],
      [833, 1]
    ])
    expect(view.next).toEqual(
      [1, 2, 3, 4, 5].map((i) => ({
        slot: slot + i,
        start: start + 1_000 * i,
        leader: leaderOf(members, slot + i)
      }))
    )
    expect(viewOf(chain).present.open).toBe(false)
    expect(viewOf(chain, now, 1_000).next.length).toBe(leaderSlotsMax)
  })

  test("shows the last slots one by one: sealed by whom, or skipped", () => {
    const chain = chainOf(3)
    chain.mine(2)
    chain.now += 2_000
    land(chain, { rank: 1 })
    const { recent } = viewOf(chain, chain.now + 1_000)
    expect(recent.map(({ block }) => block?.height)).toStrictEqual([1, 2, undefined, undefined, 3, undefined])
    expect(recent[4]!.block!.sealer).not.toEqual(recent[4]!.leader)
    chain.now += 1_000_000_000_000
    chain.mine(1)
    expect(viewOf(chain).recent.length).toBe(leaderSlotsMax)
    expect(viewOf(chain).recent.at(-1)!.block?.height).toBe(4)
  })

  test("of a single slot says the same", () => {
    for (let seed = 30; seed < 40; seed++) {
      const chain = someChain(seed, 30)
      const author = chain.rules.consensus.author!
      const ancestry = ancestryOf(chain.store, chain.store.tip().header)
      for (const { slot, leader, block } of viewOf(chain, chain.now + 3_000).recent) {
        const outcome = slotOutcome(author, ancestry, slot)
        expect([toHex(outcome.leader), outcome.block?.id]).toEqual([toHex(leader), block?.hash])
      }
    }
  })

  test("does not count what is to come when the clock is behind, nor lateness before the first block", () => {
    const chain = chainOf(3)
    const empty = viewOf(chain, chain.now + 60_000)
    expect(empty.members.every(({ missed, lastSealed }) => missed === 0 && lastSealed === undefined)).toBe(true)
    expect(empty.window).toEqual({ blocks: 0, fromHeight: 1, fromSlot: 60 })
    chain.now += 1_000_000_000_000
    chain.mine(5)
    const behind = viewOf(chain, chain.rules.spec.genesis.time - 5_000)
    expect([behind.present.slot, behind.present.open, behind.recent.length]).toEqual([0, false, 0])
    expect(behind.members.reduce((sum, { missed }) => sum + missed, 0)).toBe(0)
    expect(viewOf(chain).members.reduce((sum, { missed }) => sum + missed, 0)).toBe(0)
    const before = chain.now + 1_000
    chain.now += 60_000
    chain.mine(1)
    expect(viewOf(chain, before).members.reduce((sum, { missed }) => sum + missed, 0)).toBe(0)
  })

  test("judges each slot by the list of its time, whatever the votes have made of it since", () => {
    for (let seed = 50; seed < 60; seed++) {
      const dice = makeDice(seed)
      const chain = chainOf(3, 50)
      const author = chain.rules.consensus.author!
      const leaders = new Map<number, string>()
      const missed = new Map<string, number>()
      const slotNow = (): number => slotOf(author.rota, chain.store.tip().header.time)
      for (let i = 0; i < 30; i++) {
        const { members } = authoritiesOf(chain)
        const from = slotNow()
        if (dice.int(3) === 0) chain.now += 1_000 * dice.int(5)
        const wish = i < 20 ? about(i < 10 ? "admit" : "expel", 300) : undefined
        const isMember = members.some((one) => toHex(one) === toHex(keyOf(300).address))
        const votes = wish !== undefined && isMember === (wish.vote === "expel")
        const block = land(chain, { rank: dice.int(2), ...(votes ? { ballot: wish } : {}) })
        for (let slot = from + 1; slot <= slotNow(); slot++) {
          const leader = toHex(leaderOf(members, slot))
          leaders.set(slot, leader)
          const isLate = slot < slotNow() || block.header.authority!.weight === 1
          if (isLate && (i > 0 || slot === slotNow())) missed.set(leader, (missed.get(leader) ?? 0) + 1)
        }
      }
      const ancestry = ancestryOf(chain.store, chain.store.tip().header)
      const view = viewOf(chain, chain.now + 1_000)
      for (const { slot, leader } of view.recent.slice(0, -1)) {
        expect([seed, slot, toHex(leader)]).toEqual([seed, slot, leaders.get(slot)!])
        expect(toHex(slotOutcome(author, ancestry, slot).leader)).toBe(toHex(leader))
      }
      for (const one of view.members) expect(one.missed).toBe(missed.get(toHex(one.address)) ?? 0)
    }
  })

  test("shows the votes that count and what they lack, until they lapse or come true", () => {
    const chain = chainOf(5, 10)
    const first = land(chain, { ballot: about("admit", 300) })
    const second = land(chain, { ballot: about("expel", firstAuthority) })
    const view = viewOf(chain)
    expect(
      view.tallies.map(({ vote, subject, votes, needed }) => [vote, toHex(subject), votes, needed]).sort()
    ).toEqual([
      ["admit", toHex(keyOf(300).address), 1, 3],
      ["expel", toHex(keyOf(firstAuthority).address), 1, 3]
    ])
    const voters = [first, second].map(({ header }) => toHex(header.proposer)).sort()
    expect(view.votes.map(({ voter }) => toHex(voter)).sort()).toEqual(voters)
    expect(view.votes.map(({ height, lapsesAt }) => lapsesAt - height)).toEqual([10, 10])
    chain.mine(8)
    expect(viewOf(chain).votes.map(({ height }) => height)).toEqual([2])
    chain.mine(1)
    expect([viewOf(chain).votes, viewOf(chain).tallies]).toEqual([[], []])
    for (let i = 0; i < 3; i++) land(chain, { ballot: about("admit", 300) })
    expect([viewOf(chain).members.length, viewOf(chain).votes.length]).toEqual([6, 0])
  })

  test("lists who was convicted, and leads no slot with them any more", () => {
    const chain = chainOf(4)
    const evidence = doubleSign(chain)
    land(chain, { rank: 1, ballot: conviction(evidence) })
    chain.mine(6)
    const view = viewOf(chain, chain.now, leaderSlotsMax)
    expect(view.convicted).toEqual([evidence.authority])
    expect(view.members.length).toBe(3)
    const leaders = [...view.next.map(({ leader }) => leader), ...view.present.turns.map(({ address }) => address)]
    expect(leaders.map(toHex)).not.toContain(toHex(evidence.authority))
  })
})
