/** The pool of coins case by case: every refusal, parents that children pay for, replacement, eviction, flows. */
import { describe, expect, test } from "bun:test"
import { chainOf, idOf, output, pay, setUp, unsigned } from "../../test/coins.ts"
import { epoch, keyOf, transfer } from "../../test/fixtures.ts"
import { toHex } from "../codec/bytes.ts"
import { amount } from "../ledger/amount.ts"
import { coinKey } from "../ledger/coin.ts"
import type { TransactionReject } from "../ledger/reject.ts"
import type { Outpoint, PaymentTransaction, Transaction } from "../ledger/transaction.ts"
import { ancestorsMax, descendantsMax, packageBytesMax, pendingMsMax, replacedMax } from "../limits.ts"
import { CoinPool } from "./coin-pool.ts"

describe("refused is", () => {
  test("what the ledger refuses, in its words", () => {
    const { world, admit, coins } = setUp()
    world.move(0, [{ payments: [], by: 0 }])
    const reward = world.coinsOf(0).find(({ id }) => !coins.some((coin) => toHex(coin.id) === toHex(id)))!
    const spent = pay([coins[7]!], 1_000, 5)
    world.move(0, [{ payments: [spent, pay([output(spent)], 995, 5)], by: 1 }])
    expect(admit(pay([coins[0]!], 1_000, 0))).toBe("fee-too-low")
    expect(admit(pay([coins[0]!], 2_000, 5))).toBe("outputs-exceed-inputs")
    expect(admit(unsigned({ inputs: [coins[0]!], outputs: [[1, 5]], by: [1] }))).toBe("coin-not-owned")
    expect(admit(pay([{ id: spent.id, index: 0 }], 995, 7))).toBe("coin-spent")
    expect(admit(pay([{ id: pay([coins[0]!], 1_000, 3).id, index: 0 }], 997, 7))).toBe("coin-unknown")
    expect(admit(pay([reward], 1_000, 7))).toBe("coin-immature")
    expect(admit(transfer({ from: 0, to: 1, nonce: 1 }))).toBe("version-unsupported")
  })

  test("a coinbase, whoever brings it", () => {
    const { world, pool, admit } = setUp()
    const { returned, ...move } = world.move(0, [{ payments: [], by: 0 }])
    expect(returned).toEqual([])
    const back = world.move(1, [])
    expect(back.returned.map(({ kind }) => kind)).toEqual(["coinbase"])
    expect(admit(back.returned[0]!)).toBe("coinbase-misplaced")
    expect(pool.moveTip({ ...move, ...back })).toEqual({ dropped: [], restored: [] })
    expect(pool.totals.count).toBe(0)
  })

  test("what is pending already, an output that a pending payment has not, and a signature that is wrong", () => {
    const { pool, submit, admit, coins } = setUp()
    const parent = pay([coins[0]!], 1_000, 5)
    expect(submit(parent, false)).toMatchObject({ code: "signature-invalid" })
    expect(pool.totals).toEqual({ count: 0, bytes: 0, fees: 0, value: 0 })
    expect([admit(parent), admit(parent)]).toEqual([0, "already-pending"])
    expect(admit(pay([output(parent, 1)], 995, 5))).toBe("coin-unknown")
    const rival = pay([coins[0]!], 1_000, 50)
    expect(submit(rival, false)).toMatchObject({ code: "signature-invalid" })
    expect([...pool.inOrder()]).toEqual([parent])
  })

  test("what builds on more than it may, by count and by bytes", () => {
    const { pool, admit, coins } = setUp()
    const links = chainOf(coins[0]!, Array(ancestorsMax + 1).fill(2))
    expect(links.map(admit)).toEqual([...Array(ancestorsMax).fill(0), "too-many-ancestors"])
    const [first, ...rest] = chainOf(coins[1]!, Array(18).fill(2))
    expect([first!, ...rest].map(admit)).toEqual(Array(18).fill(0))
    // Two chains meet in one payment: 25 and 18 are too many, 25 alone were as well.
    expect(admit(pay([output(rest.at(-1)!), output(links[ancestorsMax - 1]!)], 1_000, 20))).toBe("too-many-ancestors")
    expect(pool.totals.count).toBe(ancestorsMax + 18)
  })

  test("what builds on too many bytes, or makes too many build on another", () => {
    const { pool, admit, coins } = setUp(2, {}, 1, 100_000)
    const large = (from: Outpoint, held: number, fee = 10): PaymentTransaction =>
      unsigned({ inputs: [from], by: [0], outputs: [[0, held - 270 - fee], ...Array(270).fill([1, 1])] })
    const first = large(coins[0]!, 100_000)
    const links = [first]
    while (links.length * first.bytes.length <= packageBytesMax)
      links.push(large(output(links.at(-1)!), 100_000 - 280 * links.length))
    expect(links.map(admit)).toEqual([...Array(links.length - 1).fill(0), "too-many-ancestors"])
    const parent = pay([coins[1]!], 100_000, 5, { outputs: links.length })
    const held = Math.floor((100_000 - 5) / links.length)
    expect(admit(parent)).toBe(0)
    const children = links.map((_, i) => large(output(parent, i), held))
    expect(children.map(admit)).toEqual([...Array(links.length - 1).fill(0), "too-many-descendants"])
    expect(pool.totals.count).toBe(2 * links.length - 1)
    // What a newcomer replaces makes room, as far as its bytes go.
    const last = output(parent, links.length - 1)
    expect(admit(pay([last], held, 2))).toBe(0)
    expect(admit(large(last, held, 500))).toBe("too-many-descendants")
    expect(admit(pay([last], held, 10, { note: "instead" }))).toBe(1)
  })

  test("what would make too many build on one", () => {
    const { pool, admit, coins } = setUp()
    const parent = pay([coins[0]!], 1_000, 5, { outputs: 100 })
    expect(admit(parent)).toBe(0)
    const children = Array.from({ length: 100 }, (_, i) => pay([output(parent, i)], 9, 2))
    const codes = children.map(admit)
    expect(codes.filter((code) => code === 0).length).toBe(descendantsMax - 1)
    expect(codes.at(-1)).toBe("too-many-descendants")
    // One that replaces one of them takes its place.
    expect(admit(pay([output(parent, 1)], 9, 5))).toBe(1)
    expect(pool.totals.count).toBe(descendantsMax)
  })
})

describe("of two that spend one coin", () => {
  test("the first seen stays, unless the second pays a tenth more", () => {
    const { pool, submit, admit, coins } = setUp()
    const first = pay([coins[0]!], 1_000, 100)
    expect(admit(first)).toBe(0)
    expect(submit(pay([coins[0]!], 1_000, 100, { note: "again" }))).toMatchObject({
      code: "coin-conflict",
      detail: { feeMin: 110, pending: idOf(first) }
    })
    expect(submit(pay([coins[0]!], 1_000, 109))).toMatchObject({
      code: "replacement-underpriced",
      detail: { feeMin: 110 }
    })
    expect(submit(pay([coins[0]!], 1_000, 110))).toEqual([idOf(first)])
    expect([pool.totals.count, pool.totals.fees, pool.find(idOf(first))]).toStrictEqual([1, 110, undefined])
  })

  test("the first seen stays where fees are nothing, and one unit is more than nothing", () => {
    const { admit, coins } = setUp(8, {}, 0)
    expect(admit(pay([coins[0]!], 1_000, 0))).toBe(0)
    expect(admit(pay([coins[0]!], 1_000, 0, { note: "later" }))).toBe("coin-conflict")
    expect(admit(pay([coins[0]!], 1_000, 1))).toBe(1)
  })

  test("the second pays more than a child of the first, if the first pays nothing", () => {
    const { submit, coins } = setUp(8, {}, 0)
    const links = chainOf(coins[0]!, [0, 5])
    for (const link of links) submit(link)
    expect(submit(pay([coins[0]!], 1_000, 5))).toMatchObject({ code: "replacement-underpriced", detail: { feeMin: 6 } })
    expect(submit(pay([coins[0]!], 1_000, 6))).toHaveLength(2)
  })

  test("the second pays for all that goes with the first", () => {
    const { pool, submit, coins } = setUp()
    const links = chainOf(coins[0]!, [100, 20, 300])
    for (const link of links) submit(link)
    const rival = (fee: number) => submit(pay([coins[0]!], 1_000, fee, { note: "rival" }))
    expect(rival(100)).toMatchObject({ code: "coin-conflict", detail: { feeMin: 430 } })
    expect(rival(429)).toMatchObject({ code: "replacement-underpriced", detail: { feeMin: 430 } })
    const outcome = rival(430)
    expect("code" in outcome ? outcome : [...outcome].sort()).toEqual(links.map(idOf).sort())
    expect([pool.totals.count, pool.totals.fees]).toEqual([1, 430])
  })

  test("the second is mined at a better rate than each that it meets, or pays more still", () => {
    const { submit, coins } = setUp()
    const small = pay([coins[0]!], 1_000, 100)
    submit(small)
    const long = (fee: number) => submit(pay(coins.slice(0, 4), 4_000, fee, { note: "x".repeat(200) }))
    const bytes = pay(coins.slice(0, 4), 4_000, 1, { note: "x".repeat(200) }).bytes.length
    const feeMin = Math.floor((100 * bytes) / small.bytes.length) + 1
    expect(long(feeMin - 1)).toMatchObject({ code: "replacement-underpriced", detail: { feeMin } })
    expect(long(feeMin)).toEqual([idOf(small)])
  })

  test("the second does not hide behind its own rate when what it builds on is worth less", () => {
    const { submit, admit, coins } = setUp()
    const held = pay([coins[0]!], 1_000, 100)
    const poor = pay([coins[1]!], 1_000, 1, { note: "x".repeat(280) })
    expect([admit(held), admit(poor)]).toEqual([0, 0])
    const rival = (fee: number) => pay([coins[0]!, output(poor)], 1_999, fee)
    const refused = submit(rival(200))
    expect(refused).toMatchObject({ code: "replacement-underpriced" })
    const feeMin = Number((refused as TransactionReject).detail!["feeMin"])
    const together = (fee: number): number => (fee + 1) / (poor.bytes.length + rival(fee).bytes.length)
    expect([together(feeMin) > 100 / held.bytes.length, together(feeMin - 1) > 100 / held.bytes.length]).toEqual([
      true,
      false
    ])
    expect(submit(rival(feeMin))).toEqual([idOf(held)])
  })

  test("the second does not build on the first, and does not sweep away too many", () => {
    const { submit, admit, coins } = setUp(6, {}, 1, 100_000)
    const first = pay([coins[0]!], 100_000, 10)
    expect(admit(first)).toBe(0)
    expect(admit(pay([coins[0]!, output(first)], 199_990, 5_000))).toBe("coin-conflict")
    const parents = coins.slice(1, 6).map((coin) => pay([coin], 100_000, 5, { outputs: 30 }))
    const held = Math.floor((100_000 - 5) / 30)
    for (const parent of parents) {
      expect(admit(parent)).toBe(0)
      for (let i = 1; i < descendantsMax; i++) expect(admit(pay([output(parent, i)], held, 2))).toBe(0)
    }
    const sweeping = submit(pay(coins.slice(1, 6), 500_000, 90_000))
    expect(sweeping).toMatchObject({ code: "coin-conflict" })
    expect((sweeping as TransactionReject).message).toContain(`at most ${replacedMax}`)
    expect(submit(pay(coins.slice(1, 5), 400_000, 90_000))).toHaveLength(4 * descendantsMax)
  })
})

describe("what is mined", () => {
  test("are packages: a child pays for its parent, and a poor child does not ride on a rich one", () => {
    const { admit, mined, coins } = setUp()
    const [poor, rich] = chainOf(coins[0]!, [1, 200])
    const middle = pay([coins[1]!], 1_000, 60)
    const [dear, cheap] = chainOf(coins[2]!, [150, 1])
    for (const one of [cheap, poor, middle, dear, rich, cheap].filter((one) => one !== undefined)) admit(one)
    expect(mined()).toEqual([dear!, poor!, rich!, middle, cheap!].map(idOf))
  })

  test("leave out a package for which there is no room, and go on with what fits", () => {
    const { admit, mined, coins } = setUp()
    const links = chainOf(coins[0]!, [1, 1, 1, 900])
    const single = pay([coins[1]!], 1_000, 50)
    const [dear] = chainOf(coins[2]!, [40])
    for (const one of [...links, single, dear!]) admit(one)
    expect(mined({ transactionsMax: 4, bytesMax: 1e6 })).toEqual(links.map(idOf))
    expect(mined({ transactionsMax: 3, bytesMax: 1e6 })).toEqual([single, dear!, links[0]!].map(idOf))
    expect(mined({ transactionsMax: 9, bytesMax: 2 + single.bytes.length })).toEqual([idOf(single)])
    expect(mined({ transactionsMax: 9, bytesMax: 1 + single.bytes.length })).toEqual([])
    expect(mined({ transactionsMax: 0, bytesMax: 1e6 })).toEqual([])
  })
})

describe("a full pool", () => {
  test("gives up what is worth least with all that builds on it, to one that is worth more", () => {
    const { submit, admit, pool, coins } = setUp(8, { transactionsMax: 4 })
    const [low, lower] = chainOf(coins[0]!, [10, 5])
    const [poor, rich] = chainOf(coins[1]!, [1, 300])
    for (const one of [low, lower, poor, rich]) expect(admit(one!)).toBe(0)
    expect(admit(pay([coins[2]!], 1_000, 5, { note: "x" }))).toBe("pool-full")
    expect(submit(pay([coins[2]!], 1_000, 6))).toEqual([idOf(lower!)])
    // The child of a poor parent is worth what the two are together.
    expect(submit(pay([coins[3]!], 1_000, 8))).toEqual([idOf(pay([coins[2]!], 1_000, 6))])
    expect(submit(pay([coins[4]!], 1_000, 9))).toEqual([idOf(pay([coins[3]!], 1_000, 8))])
    expect(submit(pay([coins[5]!], 1_000, 12))).toEqual([idOf(pay([coins[4]!], 1_000, 9))])
    expect(submit(pay([coins[6]!], 1_000, 11))).toEqual([idOf(low!)])
    expect(pool.totals).toMatchObject({ count: 4, fees: 1 + 300 + 12 + 11 })
  })

  test("does not give up a parent for its child, nor better ones for a child that is held down by its parent", () => {
    const { submit, admit, coins } = setUp(8, { transactionsMax: 3 })
    const [poor, rich] = chainOf(coins[0]!, [1, 400])
    const others = coins.slice(1, 3).map((coin, i) => pay([coin], 1_000, 20 + i))
    for (const one of [poor!, ...others]) expect(admit(one)).toBe(0)
    expect(admit(pay([output(poor!)], 999, 30))).toBe("pool-full")
    expect(submit(rich!)).toEqual([idOf(others[0]!)])
  })

  test("makes room by bytes, for one as for several", () => {
    const { submit, pool, coins } = setUp(8, { bytesMax: 1_000 })
    const small = coins.slice(0, 5).map((coin, i) => pay([coin], 1_000, 10 + i))
    for (const one of small) submit(one)
    const large = pay(coins.slice(5, 8), 3_000, 100, { outputs: 10 })
    expect(submit(large)).toEqual(expect.arrayContaining(small.slice(0, 2).map(idOf)))
    expect(pool.totals.bytes).toBeLessThanOrEqual(1_000)
    expect(submit(pay(coins.slice(0, 1), 1_000, 999, { outputs: 40 }))).toMatchObject({ code: "pool-full" })
  })

  test("takes the worth of each as it stands when the newcomer comes, poor children included", () => {
    const { world, coins } = setUp()
    const parent = pay([coins[0]!], 1_000, 1, { outputs: 2 })
    const [rich, poor] = [200, 1].map((fee, i) => pay([output(parent, i)], i === 0 ? 500 : 499, fee))
    const single = pay([coins[1]!], 1_000, 80)
    const leaving = pay([coins[2]!], 1_000, 5)
    const bytesMax = [parent, rich!, poor!, single].reduce((sum, { bytes }) => sum + bytes.length, 0)
    const pool = new CoinPool(world.ledger, { bytesMax })
    const admit = (transaction: Transaction): boolean =>
      "removed" in pool.admit({ transaction, view: world.view, now: epoch, checkSignature: () => true })
    // The one that is refused has made the pool look at the worth of the parent, before the poor child lowers it.
    expect([parent, rich!, single, leaving, pay([coins[3]!], 1_000, 2)].map(admit)).toEqual([
      true,
      true,
      true,
      true,
      false
    ])
    pool.moveTip(world.move(0, [{ payments: [leaving], by: 1 }]))
    expect([poor!, pay([coins[4]!], 1_000, 500, { note: "a little longer" })].map(admit)).toEqual([true, true])
    expect([pool.find(idOf(single)), pool.totals.fees]).toEqual([single, 580])
  })

  test("that is never full does not remember what has left it", () => {
    const { world, pool, admit } = setUp(1)
    for (let i = 0; i < 1_500; i++) {
      const [coin] = world.coinsOf(0)
      expect(admit(pay([coin!], coin!.amount, 1, { note: String(i) }))).toBe(0)
      expect(admit(pay([coin!], coin!.amount, 3))).toBe(1)
      if (i % 500 === 0) pool.moveTip(world.move(0, [{ payments: [...pool.inOrder()], by: 1 }]))
      else pool.expire(epoch + pendingMsMax)
    }
    expect([pool.totals.count, pool.ranked <= 1_002, pool.flowOf(toHex(keyOf(0).address))]).toEqual([
      ...[0, true],
      { outgoing: 0, incoming: 0 }
    ])
  })
})

test("what has waited for a day goes, with what builds on it", () => {
  const { world, pool, coins } = setUp()
  const [parent, child] = chainOf(coins[0]!, [5, 5])
  const at = (transaction: Transaction, now: number) =>
    pool.admit({ transaction, view: world.view, now, checkSignature: () => true })
  at(parent!, epoch)
  at(pay([coins[1]!], 1_000, 5), epoch + 1)
  at(child!, epoch + 2)
  expect(pool.expire(epoch + pendingMsMax - 1)).toEqual([])
  expect([...pool.expire(epoch + pendingMsMax)].sort()).toEqual([parent!, child!].map(idOf).sort())
  expect(pool.totals.count).toBe(1)
})

test("of each address it is known what would leave it and come to it, and which coins are on their way", () => {
  const { pool, admit, coins } = setUp()
  const [payer, payee] = [0, 1].map((i) => toHex(keyOf(i).address)) as [string, string]
  const paying = unsigned({
    inputs: coins.slice(0, 2),
    by: [0],
    outputs: [
      [1, 300],
      [0, 1_650],
      [1, 40]
    ]
  })
  expect(admit(paying)).toBe(0)
  const key = (index: number): string => coinKey(output(paying, index))
  expect([pool.flowOf(payer), pool.flowOf(payee)]).toEqual([
    { outgoing: 2_000, incoming: 1_650 },
    { outgoing: 0, incoming: 340 }
  ])
  expect(pool.outputsOf(payee)).toEqual([
    { key: key(0), amount: amount(300) },
    { key: key(2), amount: amount(40) }
  ])
  expect([pool.spenderOf(coinKey(coins[0]!)), pool.spenderOf(key(0)), pool.feeOf(idOf(paying))]).toEqual([
    idOf(paying),
    undefined,
    10
  ])
  expect(pool.totals).toMatchObject({ count: 1, fees: 10, value: 340 })
  const on = unsigned({ inputs: [output(paying)], by: [1], outputs: [[0, 290]] })
  expect(admit(on)).toBe(0)
  expect([pool.flowOf(payee), pool.outputsOf(payee)]).toEqual([
    { outgoing: 300, incoming: 340 },
    [{ key: key(2), amount: amount(40) }]
  ])
  expect([pool.spenderOf(key(0)), pool.nextNonce(), pool.outputsOf("no address")]).toEqual([idOf(on), 0, []])
})
