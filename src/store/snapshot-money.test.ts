/** What addresses have, read page by page: each page by an index, in its order, on either ledger. */
import { describe, expect, test } from "bun:test"
import type { Database } from "bun:sqlite"
import { coinsOf, keyOf, payment, specOf, TestChain, transfer } from "../../test/fixtures.ts"
import { toHex } from "../codec/bytes.ts"
import { coinKey, decodeCoin } from "../ledger/coin.ts"
import { makeDice } from "../sim/dice.ts"
import { inconsistency } from "./consistency.ts"
import { Snapshot, type UnitsPlace } from "./snapshot.ts"

/** The database, and every statement that is prepared on it. */
const watched = (db: Database): { readonly db: Database; readonly asked: Set<string> } => {
  const asked = new Set<string>()
  const query = (sql: string) => {
    asked.add(sql)
    return db.query(sql)
  }
  return { db: new Proxy(db, { get: (target, name) => (name === "query" ? query : Reflect.get(target, name)) }), asked }
}

/** How SQLite goes about each statement. */
const plansOf = (db: Database, asked: Iterable<string>): ReadonlyArray<string> =>
  [...asked].flatMap((sql) =>
    db
      .query<{ detail: string }, []>(`EXPLAIN QUERY PLAN ${sql.replace(/\?\d*/g, "1")}`)
      .all()
      .map(({ detail }) => detail)
  )

const chainOf = (model: "account" | "utxo"): TestChain => {
  const chain = new TestChain(specOf({ model, accounts: 40, balance: 50 }))
  chain.mine(2)
  return chain
}

describe.each(["account", "utxo"] as const)("on the ledger %s", (model) => {
  test("a page of addresses or coins walks one index: nothing is scanned, nothing is sorted", () => {
    const chain = chainOf(model)
    const { db, asked } = watched(chain.store.db)
    const snapshot = new Snapshot(db, chain.rules)
    const place: UnitsPlace = { units: 50, key: "80".repeat(20) }
    for (const after of [undefined, place]) {
      snapshot.addressesByUnits(after, 10)
      snapshot.coinsOf(keyOf(0).address, after && { ...after, key: "80".repeat(36) }, 10)
    }
    const plans = plansOf(chain.store.db, asked)
    expect(plans.filter((plan) => plan.includes("TEMP B-TREE"))).toEqual([])
    // The first page of all begins at the end of its index; every other is sought.
    const table =
      model === "account" ? "state USING COVERING INDEX state_units" : "balances USING COVERING INDEX balances_units"
    const scans = plans.filter((plan) => /^SCAN (state|balances)/.test(plan))
    expect(scans).toEqual([`SCAN ${table}`])
    expect(plans.some((plan) => plan.startsWith("SEARCH state USING INDEX state_owner"))).toBe(true)
  })

  test("the check of every start adds up indexes and never reads an entry", () => {
    const { store, rules } = chainOf(model)
    const { db, asked } = watched(store.db)
    expect(inconsistency(db, rules.ledger)).toBeUndefined()
    const scans = plansOf(store.db, asked).filter((plan) => /^SCAN (state|balances)/.test(plan))
    expect(scans.length).toBe(2)
    expect(scans.filter((plan) => !plan.includes("COVERING INDEX"))).toEqual([])
  })
})

test("pages of coins miss none and repeat none, though many are equal", () => {
  const chain = chainOf("utxo")
  const [first] = coinsOf(chain, 0)
  const outputs = Array.from({ length: 24 }, (_, i) => [1, 1 + (i % 3)] as const)
  chain.mine(1, [payment({ inputs: [first!], outputs, by: [0] })])
  const snapshot = new Snapshot(chain.store.db, chain.rules)
  const owner = keyOf(1).address
  const all = coinsOf(chain, 1).toSorted((a, b) => b.amount - a.amount || (coinKey(a) < coinKey(b) ? -1 : 1))
  expect(all.length).toBe(25)
  for (const limit of [1, 4, 7, 25, 26]) {
    const walked: Array<(typeof all)[number]> = []
    for (;;) {
      const last = walked.at(-1)
      const page = snapshot.coinsOf(owner, last && { units: last.amount, key: coinKey(last) }, limit)
      walked.push(...page)
      if (page.length < limit) break
    }
    expect(walked).toEqual([...all])
  }
})

test("owners, balances and coins agree after any payments and reorganisations", () => {
  const dice = makeDice(71)
  for (let round = 0; round < 12; round++) {
    let chain = new TestChain(specOf({ model: "utxo", accounts: 5, balance: 100, maturity: 1 }))
    for (let step = 0; step < 12; step++) {
      // A longer branch from below takes the place of the last blocks.
      const height = chain.store.tip().header.height
      if (step > 3 && dice.chance(0.3)) {
        const other = chain.fork(height - 1 - dice.int(Math.min(3, height - 1)))
        while (other.store.tip().header.height <= height) {
          const blocks = other.mine(1, spending(other, dice), dice.int(8))
          expect(chain.take(blocks[0]!)).toBeUndefined()
        }
      } else chain.mine(1, spending(chain, dice), dice.int(8))
      expect(figuresOf(chain)).toEqual(countedOf(chain))
    }
    chain.store.close()
  }
})

/** A payment of one coin of somebody into up to three of others. */
const spending = (chain: TestChain, dice: ReturnType<typeof makeDice>) => {
  const by = dice.int(8)
  const coin = dice.pick(coinsOf(chain, by).filter(({ amount, coinbase }) => amount > 4 && !coinbase))
  if (coin === undefined) return []
  const part = Math.floor((coin.amount - 1) / 3)
  const outputs = Array.from({ length: 3 }, () => [dice.int(8), part] as const)
  return [payment({ inputs: [coin], outputs, by: [by] })]
}

const figuresOf = (chain: TestChain) => {
  const snapshot = new Snapshot(chain.store.db, chain.rules)
  const { entries, owners } = snapshot.counts()
  return {
    entries,
    owners,
    balances: new Map(snapshot.addressesByUnits(undefined, 100).map(({ key, units }) => [key, units]))
  }
}

/** The same from the entries themselves. */
const countedOf = (chain: TestChain) => {
  const balances = new Map<string, number>()
  let entries = 0
  for (const [, value] of chain.store.allEntries()) {
    const { owner, amount } = decodeCoin(value)
    balances.set(toHex(owner), (balances.get(toHex(owner)) ?? 0) + amount)
    entries++
  }
  return { entries, owners: balances.size, balances }
}

test("an address that has spent all stands last on a chain of accounts, and nowhere on a chain of coins", () => {
  const accounts = new TestChain(specOf({ accounts: 2, balance: 50 }))
  accounts.mine(1, [transfer({ from: 0, to: 1, nonce: 1, amount: 49, fee: 1 })])
  const coins = new TestChain(specOf({ model: "utxo", accounts: 2, balance: 50 }))
  coins.mine(1, [payment({ inputs: [coinsOf(coins, 0)[0]!], outputs: [[1, 49]], by: [0] })])
  const listed = ({ store, rules }: TestChain) =>
    new Snapshot(store.db, rules).addressesByUnits(undefined, 10).map(({ units }) => units)
  expect(listed(accounts)).toEqual([1001, 99, 0])
  expect(listed(coins)).toEqual([1001, 99])
})
