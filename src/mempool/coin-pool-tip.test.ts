/** What a new tip does to the pool of coins: what is confirmed, spent otherwise, given back, unripe again; and news that comes late. */
import { describe, expect, test } from "bun:test"
import { chainOf, type CoinWorld, idOf, output, pay, setUp, unsigned } from "../../test/coins.ts"
import { coinKey } from "../ledger/coin.ts"
import { Overlay } from "../ledger/overlay.ts"
import type { Outpoint, PaymentTransaction } from "../ledger/transaction.ts"
import { ancestorsMax, descendantsMax } from "../limits.ts"
import { makeDice } from "../sim/dice.ts"
import { parentsFirst } from "./package.ts"

describe("a new tip", () => {
  test("takes what is confirmed, with what it built on, and the others stand on the chain from then on", () => {
    const { world, pool, admit, coins } = setUp()
    const links = chainOf(coins[0]!, Array(ancestorsMax).fill(2))
    for (const link of links) admit(link)
    const more = pay([output(links.at(-1)!)], 950, 7)
    expect(admit(more)).toBe("too-many-ancestors")
    const { dropped } = pool.moveTip(world.move(0, [{ payments: links.slice(0, 10), by: 1 }]))
    expect([...dropped].sort()).toEqual(links.slice(0, 10).map(idOf).sort())
    expect(admit(more)).toBe(0)
    expect([...pool.inOrder()]).toEqual([...links.slice(10), more])
  })

  test("drops what was spent otherwise, with all that builds on it, and leaves the rest", () => {
    const { world, pool, admit, coins } = setUp()
    const links = chainOf(coins[0]!, [5, 5, 5])
    const other = pay([coins[1]!], 1_000, 5)
    for (const one of [...links, other]) admit(one)
    const rival = pay([coins[0]!], 1_000, 3)
    const { dropped, restored } = pool.moveTip(world.move(0, [{ payments: [rival], by: 1 }]))
    expect([[...dropped].sort(), restored]).toEqual([links.map(idOf).sort(), []])
    expect([[...pool.inOrder()], pool.spenderOf(coinKey(coins[0]!))]).toStrictEqual([[other], undefined])
  })

  test("of another branch gives back what the losing one had, parents first, below what builds on it (defect 3)", () => {
    const { world, pool, admit, coins } = setUp()
    const links = chainOf(coins[0]!, [5, 6, 7, 8])
    world.move(0, [{ payments: links.slice(0, 2), by: 1 }])
    world.move(0, [{ payments: links.slice(2, 3), by: 1 }])
    expect(admit(links[3]!)).toBe(0)
    const move = world.move(2, [
      { payments: [], by: 2 },
      { payments: [], by: 2 },
      { payments: [], by: 2 }
    ])
    // From the tip down, as the chain names them: the child before its parents.
    expect(idOf(move.returned.find(({ kind }) => kind === "payment")!)).toBe(idOf(links[2]!))
    const { dropped, restored } = pool.moveTip(move)
    expect([dropped, restored.map(idOf)]).toEqual([[], links.slice(0, 3).map(idOf)])
    expect(pool.ids(9)).toEqual(links.map(idOf))
    expect([...pool.inOrder()]).toEqual([...links])
  })

  test("takes back of a hundred children only as many as may build on one", () => {
    const { world, pool, admit, coins } = setUp()
    const parent = pay([coins[0]!], 1_000, 5, { outputs: 100 })
    world.move(0, [{ payments: [parent], by: 1 }])
    const children = Array.from({ length: 99 }, (_, i) => pay([output(parent, i + 1)], 9, 2))
    for (const child of children) expect(admit(child)).toBe(0)
    const { dropped, restored } = pool.moveTip(world.move(1, [{ payments: [], by: 2 }]))
    expect([dropped.length, restored, pool.totals.count]).toEqual([99 - (descendantsMax - 1), [parent], descendantsMax])
    expect(pool.ids(3)).toEqual([parent, ...children.slice(0, 2)].map(idOf))
  })

  test("drops what was built on a reward that is no more, and on one that is unripe again", () => {
    const { world, pool, admit } = setUp()
    world.move(0, [{ payments: [], by: 5 }])
    world.move(0, [{ payments: [], by: 6 }])
    world.move(
      0,
      [1, 2].map(() => ({ payments: [], by: 1 }))
    )
    const [old, young] = [world.coinsOf(5)[0]!, world.coinsOf(6)[0]!]
    const spend = (coin: Outpoint, by: number, held: number) =>
      unsigned({ inputs: [coin], by: [by], outputs: [[7, held - 5]] })
    const spending = [spend(old, 5, 1_000), spend(young, 6, 1_000)]
    const child = unsigned({ inputs: [output(spending[1]!)], by: [7], outputs: [[8, 990]] })
    expect([...spending, child].map(admit)).toEqual([0, 0, 0])
    // Height 3: the reward of height 1 may be spent in the next block, that of height 2 no more; both are there.
    const unripe = pool.moveTip(world.move(1, []))
    expect([[...unripe.dropped].sort(), pool.ids(9)]).toEqual([
      [spending[1]!, child].map(idOf).sort(),
      [idOf(spending[0]!)]
    ])
    const confirmed = world.move(0, [{ payments: spending, by: 1 }])
    expect(pool.moveTip(confirmed).dropped).toEqual([idOf(spending[0]!)])
    const vanished = pool.moveTip(
      world.move(
        4,
        [1, 2, 3, 4, 5].map(() => ({ payments: [], by: 3 }))
      )
    )
    expect([vanished.restored, pool.totals.count]).toEqual([[], 0])
  })

  test("that the pool has not heard of yet does not tear a newcomer from what was pending before it", () => {
    const { world, pool, admit, coins } = setUp()
    const [parent, child, grandchild] = chainOf(coins[0]!, [5, 6, 7])
    const first = world.move(0, [{ payments: [parent!], by: 1 }])
    expect([admit(child!), admit(grandchild!)]).toEqual([0, 0])
    const second = world.move(1, [
      { payments: [], by: 2 },
      { payments: [], by: 2 }
    ])
    expect(admit(parent!)).toBe(0)
    expect(pool.ids(9)).toEqual([parent!, child!, grandchild!].map(idOf))
    for (const move of [first, second]) pool.moveTip({ ...move, view: world.view })
    expect([...pool.inOrder()]).toEqual([parent!, child!, grandchild!])
    expect(admit(pay([coins[0]!], 1_000, 90))).toBe(3)
  })
})

test("news of the tip that comes late leaves a pool that can be mined, once it has come", () => {
  for (let seed = 0; seed < 10; seed++) {
    const dice = makeDice(seed)
    const { world, pool, admit, mined } = setUp(12, { transactionsMax: 40 }, 1, 1e7)
    const told: Array<ReturnType<CoinWorld["move"]>> = []
    const made: Array<PaymentTransaction> = []
    for (let at = 0; at < 250; at++) {
      const old = dice.chance(0.2) && made.length > 0 ? dice.pick(made) : undefined
      const maker = dice.chance(0.6) && made.length > 0 ? dice.pick(made.slice(-20)) : undefined
      const coin = dice.pick(world.coinsOf(0))
      const held = maker?.payment.outputs[0]!.amount ?? coin.amount
      const payment = old ?? pay([maker === undefined ? coin : output(maker)], held, 1 + dice.int(20), { outputs: 2 })
      admit(payment)
      made.push(payment)
      if (dice.chance(0.1)) {
        const leave = dice.int(Math.min(4, world.height + 1))
        const payments = made.filter(() => dice.chance(0.3))
        const blocks = Array.from({ length: dice.int(leave + 2) }, () => ({ payments, by: 1 }))
        if (leave + blocks.length > 0) told.push(world.move(leave, blocks))
      }
      if (dice.chance(0.1)) for (const move of told.splice(0)) pool.moveTip({ ...move, view: world.view })
      if (told.length > 0) continue
      const state = new Overlay(world.view.readEntry)
      for (const one of pool.inOrder()) expect(world.apply(state, one)).toBeNumber()
      const ids = pool.ids(1e6)
      expect([...mined()].sort()).toEqual([...ids].sort())
      const listed = new Overlay(world.view.readEntry)
      for (const id of ids) expect(world.apply(listed, pool.find(id)!)).toBeNumber()
    }
  }
})

test("payments are put after those that they build on, however deep, in no more time than it takes to read them", () => {
  const { coins } = setUp(1, {}, 1, 1_000_000)
  const links: Array<PaymentTransaction> = []
  for (let at = 0; at < 5_000; at++)
    links.push(pay([links.length === 0 ? coins[0]! : output(links.at(-1)!)], 1_000_000 - at, 1))
  expect(parentsFirst(links.toReversed())).toEqual(links)
  const mixed = [links[7]!, links[2]!, links[9]!, links[8]!]
  expect(parentsFirst(mixed)).toEqual([links[7]!, links[2]!, links[8]!, links[9]!])
})
