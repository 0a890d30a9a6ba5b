/** A chain taken back, rebuilt, or pruned: each time what is left is what the blocks say. */
import { describe, expect, test } from "bun:test"
import { coinsOf, payment, specOf, TestChain, transfer } from "../../test/fixtures.ts"
import { makeRules } from "../chain/rules.ts"
import { openDatabase } from "./db.ts"
import { auditChain } from "./audit.ts"
import { loadPending } from "./pending.ts"
import { rebuild } from "./reindex.ts"
import { checkRollback, prune, rollBack } from "./rollback.ts"
import { saveFinality } from "./finality.ts"
import { Snapshot } from "./snapshot.ts"
import { ChainStore } from "./store.ts"
import { BlockTaker } from "./take.ts"

const wish = { now: 0, progress: () => {} }

/** Blocks with transactions of either ledger. */
const grown = (model: "account" | "utxo", blocks: number): TestChain => {
  const chain = new TestChain(specOf({ model, accounts: 4 }))
  for (let i = 1; i <= blocks; i++) {
    const [coin] = model === "utxo" ? coinsOf(chain, 0) : []
    const one =
      coin === undefined
        ? transfer({ from: 0, to: 1, nonce: i })
        : payment({ inputs: [coin], outputs: [[0, coin.amount - 50]], by: [0] })
    chain.mine(1, [one])
  }
  return chain
}

/** Tip, entries, balances and pages: all but the index of transactions. */
const stateOf = (chain: TestChain): ReadonlyArray<unknown> =>
  (JSON.parse(chain.dump()) as ReadonlyArray<unknown>).slice(0, 4)

/** The same database, opened anew. */
const again = (chain: TestChain): ChainStore => new ChainStore(chain.store.db, chain.rules)

describe.each(["account", "utxo"] as const)("on the ledger of model %s", (model) => {
  test("a tip that is taken back leaves the chain as it was at that height, and promises what it had confirmed", () => {
    const chain = grown(model, 9)
    const short = chain.fork(4)
    const ids = Array.from({ length: 5 }, (_, i) => chain.store.block(chain.store.bestAt(5 + i)!.header.id)!).flatMap(
      ({ transactions }) => transactions.filter(({ kind }) => kind !== "coinbase").map(({ id }) => id.toHex())
    )
    const side = chain.fork(3)
    side.mine(2)
    for (const height of [4, 5]) chain.take(side.store.block(side.store.bestAt(height)!.header.id)!)
    rollBack(chain.store, chain.rules, { height: 4, ...wish })
    const store = again(chain)
    const view = Object.assign(Object.create(TestChain.prototype) as TestChain, {
      store,
      rules: chain.rules,
      now: chain.now
    })
    expect(view.dump()).toBe(short.dump())
    expect(auditChain(store, chain.rules)).toBeNumber()
    const pending = loadPending(store.db).map(({ bytes }) => chain.rules.ledger.decode(bytes))
    expect(pending.length).toBe(ids.length)
    const left = "SELECT COUNT(*) AS n FROM headers WHERE height > 4"
    expect([store.db.query(left).get(), store.heaviest().header.height]).toEqual([{ n: 0 }, 4])
    // It grows again, over the same blocks or others.
    const next = view.next()
    expect(view.take(next)).toBeUndefined()
  })

  test("a database rebuilt from blocks is the same, whatever had become of state and indexes", () => {
    const chain = grown(model, 6)
    const dump = chain.dump()
    const { db } = chain.store
    for (const broken of [
      "DELETE FROM state",
      "DELETE FROM pages",
      "DELETE FROM transactions",
      "DELETE FROM undos",
      "DELETE FROM best WHERE height > 2"
    ])
      db.run(broken)
    const fresh = new TestChain(chain.rules.spec)
    expect(rebuild(db, fresh.store, chain.rules, { ...wish, now: chain.now })).toEqual({
      blocks: 6,
      refused: 0,
      unreadable: 0
    })
    expect(fresh.dump()).toBe(dump)
    expect(auditChain(fresh.store, fresh.rules)).toBeNumber()
  })

  test("a pruned chain has state and headers, grows and changes branch above, and nothing below can be undone", () => {
    const chain = grown(model, 12)
    const other = chain.fork(9)
    const state = stateOf(chain)
    prune(chain.store, 8, () => {})
    const store = again(chain)
    expect([store.pruned(), store.bottom(), store.floor()]).toEqual([8, 8, 0])
    const ids = Array.from({ length: 12 }, (_, i) => store.bestAt(i + 1)!.header.id)
    for (const has of [(id: string) => store.block(id) !== undefined, (id: string) => store.find(id)!.hasBody])
      expect(ids.map(has)).toEqual(ids.map((_, i) => i >= 8))
    expect(ids.map((id) => store.undo(id) !== undefined)).toEqual(ids.map((_, i) => i >= 8))
    const snapshot = new Snapshot(store.db, chain.rules)
    expect([0, 8, 9].map((height) => snapshot.beforesAt(height) !== undefined)).toEqual([true, false, true])
    const view = Object.assign(Object.create(TestChain.prototype) as TestChain, {
      store,
      rules: chain.rules,
      now: chain.now,
      verified: chain.verified
    })
    expect(stateOf(view)).toEqual(state)
    other.mine(5)
    for (let height = 10; height <= 14; height++) view.take(other.store.block(other.store.bestAt(height)!.header.id)!)
    expect(store.tip().header.id).toBe(other.store.tip().header.id)
    expect(checkRollback(store, 8)).toBeUndefined()
    expect(checkRollback(store, 7)).toMatchObject({ code: "rollback-pruned" })
    expect(auditChain(store, chain.rules)).toBeString()
    // A branch that parts below is stored, and cannot win.
    const deep = new TestChain(chain.rules.spec)
    deep.mine(20)
    const blocks = Array.from({ length: 20 }, (_, i) => deep.store.block(deep.store.bestAt(i + 1)!.header.id)!)
    expect(new BlockTaker(store, chain.rules, deep.now).all(blocks.values(), () => {})).toEqual({
      stored: 20,
      known: 0
    })
    expect(store.tip().header.id).toBe(other.store.tip().header.id)
    // Again, and further.
    prune(store, 10, () => {})
    expect(again(chain).pruned()).toBe(10)
  })
})

test("blocks whose body is damaged are left out, and what builds on them", () => {
  const chain = grown("account", 6)
  chain.store.db.run("UPDATE bodies SET body = x'00' WHERE n = (SELECT n FROM headers WHERE height = 4)")
  const fresh = new TestChain(chain.rules.spec)
  expect(rebuild(chain.store.db, fresh.store, chain.rules, { ...wish, now: chain.now })).toEqual({
    blocks: 3,
    refused: 2,
    unreadable: 1
  })
  expect<number>(fresh.store.tip().header.height).toBe(3)
})

test("a block that breaks the rules is left out by a rebuild, though it had been landed", () => {
  const chain = grown("account", 3)
  const fresh = new ChainStore(openDatabase(":memory:"), makeRules(specOf({ transactionsMax: 0 })))
  const { refused, blocks } = rebuild(chain.store.db, fresh, makeRules(specOf({ transactionsMax: 0 })), {
    ...wish,
    now: chain.now
  })
  expect([refused, blocks, fresh.tip().header.height]).toEqual([3, 0, 0])
})

test("pending transfers and peers are taken along", () => {
  const chain = grown("account", 2)
  chain.store.db.run("INSERT INTO peers (node_id, record) VALUES ('node1x', '{}')")
  chain.store.db.run("INSERT INTO pending (id, bytes, received) VALUES (x'01', x'02', 3)")
  const fresh = new TestChain(chain.rules.spec)
  rebuild(chain.store.db, fresh.store, chain.rules, { ...wish, now: chain.now })
  expect(fresh.store.db.query("SELECT node_id FROM peers").all()).toEqual([{ node_id: "node1x" }])
  expect(loadPending(fresh.store.db).length).toBe(1)
})

test("no tip stands above what is there, below what is final, or below a snapshot whose past is not proven", () => {
  const chain = grown("account", 6)
  expect(checkRollback(chain.store, 7)).toMatchObject({ code: "height-invalid" })
  const point = (height: number) => {
    const { header } = chain.store.bestAt(height)!
    return { height, hash: header.hash, id: header.id }
  }
  const nothing = { votes: [], certificates: [], offences: [] }
  saveFinality(chain.store.db, nothing, nothing, { final: point(4), justified: point(5) })
  expect([checkRollback(chain.store, 4), checkRollback(chain.store, 3)?.code]).toEqual([undefined, "rollback-final"])
  chain.store.db.run("INSERT INTO meta (key, value) VALUES ('floor', 5), ('proven', 2)")
  expect(checkRollback(again(chain), 4)).toMatchObject({ code: "rollback-unproven" })
})
