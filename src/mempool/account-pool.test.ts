/** The pool against a model: bounds, order, replacement, what a new tip does to it. */
import { describe, expect, test } from "bun:test"
import { keyOf, transfer } from "../../test/fixtures.ts"
import { makeDice } from "../sim/dice.ts"
import { toHex } from "../codec/bytes.ts"
import { type AccountState, encodeAccount, keyOf as entryKey } from "../ledger/account.ts"
import type { Amount } from "../ledger/amount.ts"
import type { Nonce, Transaction } from "../ledger/transaction.ts"
import { transferOf } from "../ledger/transfer.ts"
import { nonceGapMax, pendingMsMax, pendingPerSenderMax } from "../limits.ts"
import { AccountPool } from "./account-pool.ts"
import type { PoolLimits, View } from "./pool.ts"

const now = 1_795_219_200_000
const accountOf = (balance: number, nonce = 0): AccountState => ({ balance: balance as Amount, nonce: nonce as Nonce })
const rich = accountOf(1_000_000)
const viewOf = (find: (key: string) => AccountState): View => ({
  height: 1,
  readEntry: (key) => encodeAccount(find(key)),
  isConfirmed: () => false
})
const admit = (pool: AccountPool, transaction: Transaction, account = rich, at = now): string => {
  const outcome = pool.admit({ transaction, view: viewOf(() => account), now: at, checkSignature: () => true })
  return "code" in outcome ? outcome.code : "admitted"
}
const idOf = ({ id }: Transaction): string => toHex(id)
const nonces = (pool: AccountPool): ReadonlyArray<number> =>
  pool.select({ transactionsMax: 100, bytesMax: 1e6 }).map((one) => transferOf(one).nonce)

describe("a pending transaction", () => {
  test("of a later nonce waits for its elder, however high its fee (defect 4)", () => {
    const pool = new AccountPool()
    admit(pool, transfer({ from: 0, to: 1, nonce: 2, fee: 500 }))
    expect(nonces(pool)).toEqual([])
    admit(pool, transfer({ from: 0, to: 1, nonce: 1, fee: 1 }))
    expect(nonces(pool)).toEqual([1, 2])
  })

  test("is refused with a code when its nonce is used, too far ahead, or its sender has too many (defect 15)", () => {
    const pool = new AccountPool()
    expect(admit(pool, transfer({ from: 0, to: 1, nonce: 3 }), accountOf(1000, 3))).toBe("nonce-too-low")
    expect(admit(pool, transfer({ from: 0, to: 1, nonce: 1 + nonceGapMax }))).toBe("nonce-too-high")
    for (let nonce = 1; nonce <= pendingPerSenderMax; nonce++)
      expect(admit(pool, transfer({ from: 0, to: 1, nonce }))).toBe("admitted")
    expect(pool.totals.count).toBe(pendingPerSenderMax)
  })

  /**
   * The vectors of ccoin's queue. It pops nonces in rising order, gaps and doubles and all; here a nonce is used once, and each
   * follows on the one before, so its nonces stand for their ranks.
   */
  test("comes out by its sender's nonces, however they came in (C-N8, black-box case 1)", () => {
    const rank = new Map([30_000, 40_000, 50_000, 60_000, 100_000].map((nonce, i) => [nonce, i + 1]))
    const pool = new AccountPool()
    const said = [100_000, 50_000, 40_000, 60_000, 30_000, 30_000, 30_000].map((nonce, i) =>
      admit(pool, transfer({ from: 0, to: 1, nonce: rank.get(nonce)!, amount: 10 + i, fee: 0 }))
    )
    const twice = ["replacement-underpriced", "replacement-underpriced"]
    expect(said).toEqual([...Array(5).fill("admitted"), ...twice])
    expect(nonces(pool)).toEqual([1, 2, 3, 4, 5])
  })

  test("comes out by nonces for each of several senders (black-box case 1)", () => {
    const rows = [
      [100_000, 123],
      [50_000, 124],
      [40_000, 123],
      [60_000, 124],
      [30_000, 125],
      [30_000, 125],
      [30_000, 123]
    ] as const
    const pool = new AccountPool()
    const rank = (sender: number, nonce: number): number =>
      new Set(rows.filter(([n, one]) => one === sender && n <= nonce).map(([n]) => n)).size
    const said = rows.map(([nonce, from], i) =>
      admit(pool, transfer({ from, to: 1, nonce: rank(from, nonce), amount: 10 + i, fee: 0 }))
    )
    expect(said.filter((one) => one !== "admitted")).toEqual(["replacement-underpriced"])
    const popped = pool.select({ transactionsMax: 100, bytesMax: 1e6 }).map((one) => transferOf(one))
    const of = (sender: number) =>
      popped.filter((one) => toHex(one.sender) === toHex(keyOf(sender).address)).map(({ nonce }) => nonce as number)
    expect([of(123), of(124), of(125), popped.length]).toEqual([[1, 2, 3], [1, 2], [1], 6])
  })

  test("is replaced only by one that pays a tenth more", () => {
    const pool = new AccountPool()
    const first = transfer({ from: 0, to: 1, nonce: 1, fee: 100 })
    admit(pool, first)
    expect(admit(pool, first)).toBe("already-pending")
    expect(admit(pool, transfer({ from: 0, to: 2, nonce: 1, fee: 109 }))).toBe("replacement-underpriced")
    expect(admit(pool, transfer({ from: 0, to: 2, nonce: 1, fee: 110 }))).toBe("admitted")
    expect([pool.find(idOf(first)), pool.totals.count, pool.totals.fees]).toEqual([undefined, 1, 110])
    const free = new AccountPool()
    expect([0, 0, 1].map((fee, i) => admit(free, transfer({ from: 0, to: 1 + i, nonce: 1, fee })))).toEqual([
      "admitted",
      "replacement-underpriced",
      "admitted"
    ])
  })

  test("must be payable together with all that its sender has pending", () => {
    const pool = new AccountPool()
    expect(admit(pool, transfer({ from: 0, to: 1, nonce: 1, amount: 90, fee: 1 }), accountOf(100))).toBe("admitted")
    expect(admit(pool, transfer({ from: 0, to: 1, nonce: 2, amount: 9, fee: 1 }), accountOf(100))).toBe(
      "balance-too-low"
    )
  })

  test("with a wrong signature leaves the pool as it was", () => {
    const pool = new AccountPool()
    const outcome = pool.admit({
      transaction: transfer({ from: 0, to: 1, nonce: 1 }),
      view: viewOf(() => rich),
      now,
      checkSignature: () => false
    })
    expect(["code" in outcome && outcome.code, pool.totals.count]).toEqual(["signature-invalid", 0])
  })

  test("that is dated in the far future or past is refused; one that has waited a day is dropped", () => {
    const pool = new AccountPool()
    expect(admit(pool, transfer({ from: 0, to: 1, nonce: 1, time: now + 7_200_001 }))).toBe("time-out-of-range")
    expect(admit(pool, transfer({ from: 0, to: 1, nonce: 1, time: now - pendingMsMax - 1 }))).toBe("time-out-of-range")
    admit(pool, transfer({ from: 0, to: 1, nonce: 1, time: now }))
    expect(pool.expire(now + pendingMsMax - 1).length).toBe(0)
    expect(pool.expire(now + pendingMsMax).length).toBe(1)
  })
})

test("a full pool takes a better fee in place of the cheapest and what follows it, and refuses a worse one", () => {
  const limits: PoolLimits = { transactionsMax: 3, bytesMax: 1e6 }
  const pool = new AccountPool(limits)
  admit(pool, transfer({ from: 0, to: 9, nonce: 1, fee: 10 }))
  admit(pool, transfer({ from: 0, to: 9, nonce: 2, fee: 90 }))
  admit(pool, transfer({ from: 1, to: 9, nonce: 1, fee: 50 }))
  expect(admit(pool, transfer({ from: 2, to: 9, nonce: 1, fee: 9 }))).toBe("pool-full")
  expect(admit(pool, transfer({ from: 0, to: 9, nonce: 3, fee: 99 }))).toBe("pool-full")
  expect(admit(pool, transfer({ from: 2, to: 9, nonce: 1, fee: 60 }))).toBe("admitted")
  expect(pool.select({ transactionsMax: 9, bytesMax: 1e6 }).map((one) => transferOf(one).fee as number)).toEqual([
    60, 50
  ])
})

test("a new tip drops what it used, keeps what comes next, and takes the losing branch's transfers back (defect 3)", () => {
  const pool = new AccountPool()
  for (const nonce of [1, 2, 3]) admit(pool, transfer({ from: 0, to: 1, nonce }))
  const key = entryKey(keyOf(0).address)
  pool.moveTip({ touched: [key], returned: [], view: viewOf(() => accountOf(1_000_000, 2)), now })
  expect(pool.totals.count).toBe(1)
  const returned = [transfer({ from: 0, to: 1, nonce: 1 }), transfer({ from: 0, to: 1, nonce: 2 })]
  pool.moveTip({ touched: [key], returned, view: viewOf(() => rich), now })
  expect(nonces(pool)).toEqual([1, 2, 3])
  const poor = pool.moveTip({ touched: [key], returned: [], view: viewOf(() => accountOf(15)), now })
  expect([nonces(pool), poor.dropped.length]).toEqual([[1], 2])
})

test("a reorganisation gives back more of one sender than may be sent at once, and so does a restart", () => {
  const pool = new AccountPool()
  const count = 3 * pendingPerSenderMax
  const all = Array.from({ length: count }, (_, i) => transfer({ from: 0, to: 1, nonce: i + 1 }))
  const view = viewOf(() => rich)
  const { restored } = pool.moveTip({ touched: [], returned: all.toReversed(), view, now })
  expect(restored.length).toBe(count)
  expect(nonces(pool)).toEqual(Array.from({ length: 100 }, (_, i) => i + 1))
  const halfway = viewOf(() => accountOf(1_000_000, pendingPerSenderMax))
  pool.moveTip({ touched: [entryKey(keyOf(0).address)], returned: [], view: halfway, now })
  expect(pool.totals.count).toBe(2 * pendingPerSenderMax)
  const again = new AccountPool()
  for (const transaction of all) again.admit({ transaction, view, now, promised: true, checkSignature: () => true })
  expect(again.totals.count).toBe(count)
  expect(admit(again, transfer({ from: 0, to: 1, nonce: count + 1 }))).toBe("nonce-too-high")
})

test("whatever happens, totals are sums, nonces are one of a kind, and what is mined is consecutive and payable", () => {
  for (let seed = 0; seed < 30; seed++) {
    const dice = makeDice(seed)
    const pool = new AccountPool({ transactionsMax: 25, bytesMax: 5_000 })
    const accounts = new Map(
      Array.from({ length: 5 }, (_, i) => [entryKey(keyOf(i).address), accountOf(300 + dice.int(400))])
    )
    const accountFor = (key: string): AccountState => accounts.get(key) ?? accountOf(0)
    for (let step = 0; step < 200; step++) {
      const from = dice.int(5)
      const key = entryKey(keyOf(from).address)
      const account = accountFor(key)
      const made = transfer({
        from,
        to: 5 + dice.int(3),
        nonce: account.nonce + dice.int(6),
        amount: 1 + dice.int(60),
        fee: 1 + dice.int(40)
      })
      admit(pool, made, account)
      if (dice.chance(0.1)) {
        accounts.set(key, accountOf(dice.int(600), account.nonce + dice.int(3)))
        pool.moveTip({ touched: [key], returned: dice.chance(0.5) ? [made] : [], view: viewOf(accountFor), now })
      }
      check(pool, accountFor)
    }
  }
})

const check = (pool: AccountPool, accountFor: (key: string) => AccountState): void => {
  const { count, bytes, fees, value } = pool.totals
  const mined = pool.select({ transactionsMax: 1000, bytesMax: 1e9 })
  const spent = new Map<string, { nonce: number; cost: number }>()
  for (const transaction of mined) {
    const one = transferOf(transaction)
    const key = entryKey(one.sender)
    const last = spent.get(key) ?? { nonce: accountFor(key).nonce as number, cost: 0 }
    expect(one.nonce as number).toBe(last.nonce + 1)
    spent.set(key, { nonce: one.nonce, cost: last.cost + one.amount + one.fee })
    expect(last.cost + one.amount + one.fee).toBeLessThanOrEqual(accountFor(key).balance)
  }
  expect(count).toBeLessThanOrEqual(25)
  expect(bytes).toBeLessThanOrEqual(5_000)
  expect(mined.length).toBeLessThanOrEqual(count)
  const sums = mined.reduce(
    (sum, one) => ({
      fees: sum.fees + transferOf(one).fee,
      value: sum.value + transferOf(one).amount,
      bytes: sum.bytes + one.bytes.length
    }),
    { fees: 0, value: 0, bytes: 0 }
  )
  if (mined.length === count) expect([sums.fees, sums.value, sums.bytes]).toEqual([fees, value, bytes])
}

test("a pool that is never full does not remember what has left it", () => {
  const pool = new AccountPool()
  for (let nonce = 1; nonce <= 3_000; nonce++) {
    expect(admit(pool, transfer({ from: 0, to: 1, nonce }), accountOf(1_000_000, nonce - 1))).toBe("admitted")
    const touched = [entryKey(keyOf(0).address)]
    pool.moveTip({ touched, returned: [], view: viewOf(() => accountOf(1_000_000, nonce)), now })
  }
  expect([pool.totals.count, pool.ranked <= 1_002]).toEqual([0, true])
})
