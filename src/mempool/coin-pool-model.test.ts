/** The pool of coins beside a slow one that keeps a list and recomputes everything: the same whatever happens, for thousands of random operations. */
import { expect, test } from "bun:test"
import { coinRules, CoinWorld, unsigned } from "../../test/coins.ts"
import { epoch, keyOf } from "../../test/fixtures.ts"
import { toHex } from "../codec/bytes.ts"
import { amount } from "../ledger/amount.ts"
import { coinsOf, encodeCoin } from "../ledger/coin.ts"
import type { Ledger } from "../ledger/ledger.ts"
import { Overlay } from "../ledger/overlay.ts"
import { summaryOf } from "../ledger/summary.ts"
import type { Outpoint, PaymentTransaction, Transaction } from "../ledger/transaction.ts"
import { ancestorsMax, descendantsMax, packageBytesMax, pendingMsMax, replacedMax } from "../limits.ts"
import { type Dice, makeDice } from "../sim/dice.ts"
import { CoinPool } from "./coin-pool.ts"
import type { Move, PoolLimits, View } from "./pool.ts"

const owners = 4
const addressOf = (i: number): string => toHex(keyOf(i).address)

interface Slow {
  readonly id: string
  readonly transaction: PaymentTransaction
  readonly fee: number
  readonly at: number
  readonly arrival: number
}

const size = (one: Slow): number => one.transaction.bytes.length
const bytesOf = (all: ReadonlyArray<Slow>): number => all.reduce((sum, one) => sum + size(one), 0)
const feesOf = (all: ReadonlyArray<Slow>): number => all.reduce((sum, { fee }) => sum + fee, 0)
const rateOf = (all: ReadonlyArray<Slow>): number => feesOf(all) / bytesOf(all)
const buildsOn = (child: Slow, parent: Slow): boolean =>
  child.transaction.spends.some((key) => key.startsWith(parent.id))
/** a/b above c/d. */
const exceeds = (a: number, b: number, c: number, d: number): boolean => a * d > c * b

/** A list of payments in the order of arrival, and no memory of anything else. */
class SlowPool {
  list: Array<Slow> = []
  private arrivals = 0
  private readonly ledger: Ledger
  private readonly limits: PoolLimits
  constructor(ledger: Ledger, limits: PoolLimits) {
    this.ledger = ledger
    this.limits = limits
  }

  up(of: ReadonlyArray<Slow>, list = this.list): ReadonlyArray<Slow> {
    const all = new Set(of)
    for (const child of all) for (const one of list) if (buildsOn(child, one)) all.add(one)
    return [...all]
  }
  down(of: ReadonlyArray<Slow>, list = this.list): ReadonlyArray<Slow> {
    const all = new Set(of)
    for (const parent of all) for (const one of list) if (buildsOn(one, parent)) all.add(one)
    return [...all]
  }

  state(view: View): Overlay {
    const coins = new Map(
      this.list.flatMap(({ transaction }) =>
        coinsOf(transaction, view.height).map(([key, coin]) => [key, encodeCoin(coin)])
      )
    )
    return new Overlay((key) => coins.get(key) ?? view.readEntry(key))
  }

  admit(transaction: Transaction, view: View, at: number): string {
    const id = toHex(transaction.id)
    if (this.list.some((one) => one.id === id)) return "already-pending"
    const fee = this.ledger.check(this.state(view), transaction, view)
    if (typeof fee !== "number") return fee.code
    if (transaction.kind !== "payment") return "not a payment"
    const wish = { id, transaction, fee, at, arrival: this.arrivals }
    const up = this.up([wish])
    if (up.length > ancestorsMax || bytesOf(up) > packageBytesMax) return "too-many-ancestors"
    const conflicts = this.list.filter((one) => one.transaction.spends.some((key) => transaction.spends.includes(key)))
    const replaced = conflicts.length === 0 ? [] : this.down(conflicts)
    const refused = conflicts.length === 0 ? undefined : this.replaces(wish, conflicts, replaced)
    if (refused !== undefined) return refused
    const after = [...this.list.filter((one) => !replaced.includes(one)), wish]
    const crowded = up.some((one) => {
      const below = this.down([one], after)
      return below.length > descendantsMax || bytesOf(below) > packageBytesMax
    })
    if (crowded) return "too-many-descendants"
    const evicted = this.evicts(wish, up, replaced)
    if (evicted === undefined) return "pool-full"
    this.list = after.filter((one) => !evicted.includes(one))
    this.arrivals++
    return "admitted"
  }

  private replaces(wish: Slow, conflicts: ReadonlyArray<Slow>, replaced: ReadonlyArray<Slow>): string | undefined {
    const up = this.up([wish])
    if (up.some((one) => replaced.includes(one)) || replaced.length > replacedMax) return "coin-conflict"
    const pays =
      wish.fee > feesOf(replaced) &&
      (wish.fee - feesOf(replaced)) * 10 >= feesOf(conflicts) &&
      conflicts.every((one) => {
        const old = this.up([one])
        return [[one], old].some((lower) =>
          [[wish], up].every((all) => exceeds(feesOf(all), bytesOf(all), feesOf(lower), bytesOf(lower)))
        )
      })
    if (pays) return undefined
    return wish.fee <= feesOf(conflicts) ? "coin-conflict" : "replacement-underpriced"
  }

  private evicts(wish: Slow, up: ReadonlyArray<Slow>, replaced: ReadonlyArray<Slow>): ReadonlyArray<Slow> | undefined {
    const kept = (one: Slow): number => Math.max(rateOf([one]), rateOf(this.down([one])))
    const mined = Math.min(rateOf([wish]), rateOf(up))
    const worst = this.list
      .filter((one) => !up.includes(one))
      .map((one) => ({ one, rate: kept(one) }))
      .sort((a, b) => a.rate - b.rate || b.one.arrival - a.one.arrival)
    const going = [...replaced]
    for (;;) {
      const left = [...this.list.filter((one) => !going.includes(one)), wish]
      if (left.length <= this.limits.transactionsMax && bytesOf(left) <= this.limits.bytesMax) return going
      const next = worst.find(({ one }) => !going.includes(one))
      if (next === undefined || mined <= next.rate) return undefined
      going.push(...this.down([next.one]).filter((one) => !going.includes(one)))
    }
  }

  moveTip({ returned, view, now }: Move): void {
    this.list = this.list.filter(({ transaction }) => !view.isConfirmed(transaction.id))
    const lost = this.down(
      this.list.filter(({ transaction }) => typeof this.ledger.check(this.state(view), transaction, view) !== "number")
    )
    const depth = new Map(lost.map((one) => [one, this.up([one]).length]))
    const waiting = [...lost].sort((a, b) => depth.get(a)! - depth.get(b)! || a.arrival - b.arrival)
    this.list = this.list.filter((one) => !lost.includes(one))
    if (returned.length === 0) return
    const asked = new Set<Transaction>()
    const ask = (one: Transaction): void => {
      if (asked.has(one)) return
      asked.add(one)
      for (const { id } of one.kind === "payment" ? one.payment.inputs : []) {
        for (const parent of returned) if (toHex(parent.id) === toHex(id)) ask(parent)
      }
      this.admit(one, view, now)
    }
    for (const one of returned) ask(one)
    for (const { transaction } of waiting) this.admit(transaction, view, now)
  }

  inOrder(): ReadonlyArray<string> {
    const order: Array<string> = []
    let left = this.list
    while (left.length > 0) {
      const best = left
        .map((one) => ({ one, rate: Math.min(rateOf([one]), rateOf(this.up([one], left))) }))
        .sort((a, b) => b.rate - a.rate || a.one.arrival - b.one.arrival)[0]!
      const all = this.list
      const pack = [...this.up([best.one], left)].sort(
        (a, b) => this.up([a], all).length - this.up([b], all).length || a.arrival - b.arrival
      )
      order.push(...pack.map(({ id }) => id))
      left = left.filter((one) => !pack.includes(one))
    }
    return order
  }
}

interface Bench {
  readonly dice: Dice
  readonly world: CoinWorld
  readonly pool: CoinPool
  readonly slow: SlowPool
  readonly limits: PoolLimits
  /** How likely a payment spends what is pending. */
  readonly depth: number
  now: number
  readonly seen: Map<string, number>
}

interface Purse extends Outpoint {
  readonly owner: number
  readonly amount: number
}

const purseOf = (point: Outpoint, address: string, units: number): Purse => ({
  ...{ id: point.id, index: point.index, amount: units },
  owner: Array.from({ length: owners }, (_, i) => addressOf(i)).indexOf(address)
})

/** A coin to spend: pending, in the chain, spent long ago, or never made. */
const coinFor = ({ dice, world, slow, depth }: Bench): Purse => {
  const maker =
    dice.chance(depth) && slow.list.length > 0 ? dice.pick(slow.list.slice(dice.chance(0.5) ? -2 : -12)) : undefined
  if (maker !== undefined) {
    const { outputs } = maker.transaction.payment
    const index = dice.int(outputs.length)
    const { recipient, amount: units } = outputs[index]!
    return purseOf({ id: maker.transaction.id, index: dice.chance(0.02) ? 9 : index }, toHex(recipient), units)
  }
  const live = [...world.coins].filter(([key]) => world.entries.has(key) || dice.chance(0.03)).map(([, coin]) => coin)
  const coin = dice.pick(live)
  return purseOf(coin, coin.owner, coin.amount)
}

const randomPayment = (bench: Bench): PaymentTransaction | undefined => {
  const { dice } = bench
  const inputs = Array.from({ length: 1 + dice.int(dice.chance(0.3) ? 4 : 1) }, () => coinFor(bench))
  const held = inputs.reduce((sum, one) => sum + one.amount, 0)
  const fee = dice.chance(0.3) ? dice.int(2) : dice.int(60)
  const count = 1 + dice.int(dice.chance(0.1) ? 40 : dice.chance(0.2) ? 6 : 2)
  const each = Math.floor((held - fee) / count)
  if (each < 1 || new Set(inputs.map(({ id, index }) => `${toHex(id)}${index}`)).size < inputs.length) return undefined
  const outputs = Array.from({ length: count }, (_, i): readonly [number, number] => [
    dice.int(owners),
    i === 0 ? held - fee - each * (count - 1) : each
  ])
  const by = inputs.map(({ owner }) => (dice.chance(0.01) ? (owner + 1) % owners : owner))
  return unsigned({ inputs, outputs, by, note: "x".repeat(dice.chance(0.1) ? 280 : dice.int(20)) })
}

const submit = (bench: Bench, transaction: Transaction): void => {
  const { pool, slow, world, seen } = bench
  const before = new Set(pool.ids(1e6))
  const outcome = pool.admit({ transaction, view: world.view, now: bench.now, checkSignature: () => true })
  const said = "code" in outcome ? outcome.code : "admitted"
  const expected = slow.admit(transaction, world.view, bench.now)
  expect(said).toBe(expected)
  seen.set(said, (seen.get(said) ?? 0) + 1)
  const after = new Set(pool.ids(1e6))
  const removed = "removed" in outcome ? outcome.removed : []
  expect([...before].filter((id) => !after.has(id)).sort()).toEqual([...removed].sort())
}

/** Blocks of what the pool would mine, of what somebody else has, and of what the losing branch had. */
const moveTip = (bench: Bench, leave: number, attach: number): void => {
  const { dice, world, pool, slow } = bench
  const others = [...pool.inOrder()].filter(() => dice.chance(0.3))
  const blocks = Array.from({ length: attach }, () => {
    const foreign = Array.from({ length: dice.int(3) }, () => randomPayment(bench)).filter((one) => one !== undefined)
    const chosen = dice.chance(0.5) ? pool.select({ transactionsMax: dice.int(12), bytesMax: 4_000 }) : others
    return { payments: [...foreign, ...chosen], by: dice.int(owners) }
  })
  const move = { ...world.move(leave, blocks), now: bench.now }
  const before = new Set(pool.ids(1e6))
  const { dropped, restored } = pool.moveTip(move)
  slow.moveTip(move)
  const after = new Set(pool.ids(1e6))
  expect([...before].filter((id) => !after.has(id) && !dropped.includes(id))).toEqual([])
  expect(dropped.filter((id) => after.has(id))).toEqual([])
  const back = move.returned.filter(({ id }) => after.has(toHex(id)) && !before.has(toHex(id)))
  expect(restored.map(({ id }) => toHex(id)).sort()).toEqual(back.map(({ id }) => toHex(id)).sort())
}

const step = (bench: Bench): void => {
  const { dice, world, pool, slow } = bench
  if (dice.chance(0.04)) moveTip(bench, 0, 1)
  else if (dice.chance(0.015) && world.height > 0) {
    const leave = 1 + dice.int(Math.min(5, world.height))
    moveTip(bench, leave, dice.int(leave + 2))
  } else if (dice.chance(0.003)) {
    bench.now += Math.floor(pendingMsMax / 2)
    const dropped = pool.expire(bench.now)
    const old = slow.down(slow.list.filter(({ at }) => at <= bench.now - pendingMsMax))
    slow.list = slow.list.filter((one) => !old.includes(one))
    expect([...dropped].sort()).toEqual(old.map(({ id }) => id).sort())
  } else {
    const payment = dice.chance(0.02) && slow.list.length > 0 ? dice.pick(slow.list).transaction : randomPayment(bench)
    if (payment !== undefined) submit(bench, payment)
  }
}

/** What holds at every moment, and is cheap to ask. */
const checkAlways = ({ pool, slow, limits }: Bench): void => {
  expect([...pool.ids(1e6)].sort()).toEqual(slow.list.map(({ id }) => id).sort())
  const value = slow.list.reduce((sum, { transaction }) => sum + summaryOf(transaction).amount, 0)
  expect(pool.totals).toEqual({ count: slow.list.length, bytes: bytesOf(slow.list), fees: feesOf(slow.list), value })
  const spends = slow.list.flatMap(({ transaction }) => transaction.spends)
  expect(new Set(spends).size).toBe(spends.length)
  for (const { id, transaction } of slow.list)
    for (const key of transaction.spends) expect(pool.spenderOf(key)).toBe(id)
  expect(pool.totals.count).toBeLessThanOrEqual(limits.transactionsMax)
  expect(pool.totals.bytes).toBeLessThanOrEqual(limits.bytesMax)
  expect(pool.ranked).toBeLessThanOrEqual(pool.rankedMax)
}

const checkNow = ({ dice, world, pool, slow }: Bench): void => {
  for (const one of slow.list) {
    expect(slow.up([one]).length).toBeLessThanOrEqual(ancestorsMax)
    expect(slow.down([one]).length).toBeLessThanOrEqual(descendantsMax)
  }
  const order = [...pool.inOrder()]
  expect(order.map(({ id }) => toHex(id))).toEqual([...slow.inOrder()])
  const room = { transactionsMax: dice.int(20), bytesMax: dice.int(6_000) }
  const chosen = pool.select(room)
  expect(chosen.length).toBeLessThanOrEqual(room.transactionsMax)
  expect(chosen.reduce((sum, { bytes }) => sum + bytes.length + 2, 0)).toBeLessThanOrEqual(room.bytesMax)
  const listed = pool.ids(1e6).map((id) => pool.find(id)!)
  for (const list of [chosen, order, listed, listed.slice(0, dice.int(10))]) {
    const state = new Overlay(world.view.readEntry)
    for (const one of list) expect(world.apply(state, one)).toBeNumber()
  }
  for (let i = 0; i < owners; i++) checkFlow({ pool, slow, world }, addressOf(i))
}

const checkFlow = ({ pool, slow, world }: Pick<Bench, "pool" | "slow" | "world">, address: string): void => {
  const coins = slow.list
    .flatMap(({ transaction }) => coinsOf(transaction, 0))
    .filter(([, { owner }]) => toHex(owner) === address)
  const all = new Map([
    ...[...world.coins].filter(([, { owner }]) => owner === address).map(([key, one]) => [key, one.amount] as const),
    ...coins.map(([key, one]) => [key, one.amount] as const)
  ])
  const spends = new Set(slow.list.flatMap(({ transaction }) => transaction.spends))
  const outgoing = [...spends].reduce((sum, key) => sum + (all.get(key) ?? 0), 0)
  const incoming = coins.reduce((sum, [, one]) => sum + one.amount, 0)
  expect(pool.flowOf(address)).toEqual({ outgoing, incoming })
  const free = coins.filter(([key]) => !spends.has(key)).map(([key, one]) => ({ key, amount: one.amount }))
  const byKey = (a: { key: string }, b: { key: string }): number => (a.key < b.key ? -1 : 1)
  expect([...pool.outputsOf(address)].sort(byKey)).toEqual(free.sort(byKey))
}

test("the pool and the slow one hold, refuse and mine the same, and what is mined always fits", () => {
  const seen = new Map<string, number>()
  for (let seed = 0; seed < 12; seed++) {
    const dice = makeDice(seed)
    const limits = seed % 3 === 0 ? { transactionsMax: 80, bytesMax: 1e6 } : { transactionsMax: 30, bytesMax: 7_000 }
    const alloc = Array.from({ length: 16 }, (_, i) => [i % owners, 4_000] as const)
    const world = new CoinWorld({ feeMin: amount(seed % 2), reward: coinRules.reward }, alloc)
    const pool = new CoinPool(world.ledger, limits)
    const slow = new SlowPool(world.ledger, limits)
    const bench = { dice, world, pool, slow, limits, depth: 0.2 + 0.25 * (seed % 4), now: epoch, seen }
    for (let at = 0; at < 500; at++) {
      step(bench)
      checkAlways(bench)
      if (at % 7 === 0) checkNow(bench)
    }
  }
  // Else the dice were thrown in vain.
  const codes = [
    "admitted",
    "already-pending",
    "coin-unknown",
    "coin-spent",
    "coin-immature",
    "coin-not-owned",
    "pool-full"
  ]
  const ours = ["coin-conflict", "replacement-underpriced", "too-many-ancestors", "too-many-descendants"]
  for (const code of [...codes, ...ours]) expect([code, seen.get(code) ?? 0]).not.toEqual([code, 0])
}, 120_000)
