/** The past of a loaded snapshot is replayed to the state that was loaded, or found false, and remembered so. */
import { expect, test } from "bun:test"
import { Result } from "effect"
import { VerifiedLeaves } from "../chain/verified.ts"
import { snapshotBlocksMax } from "../limits.ts"
import { specOf, TestChain, transfer } from "../../test/fixtures.ts"
import { load, make, overfill, steal } from "../../test/snapshots.ts"
import { auditChain } from "./audit.ts"
import type { StoreFault } from "./db.ts"
import { bodiesOf, nextOfPast, provePast } from "./past.ts"
import { ChainStore } from "./store.ts"

const below = 30
const verified = new VerifiedLeaves(2)
const upTo = (blocks: number) => ({ blocks, transactions: 1_000 })

/** A chain whose first `below` blocks lie below its snapshot; block 10 pays. */
const longChain = (): TestChain => {
  const chain = new TestChain(specOf({ difficulty: { rule: "fixed", blockMs: 1000, bits: 1 } }))
  chain.mine(9)
  chain.mine(1, [transfer({ from: 0, to: 9, nonce: 1 })])
  chain.mine(below - 10 + snapshotBlocksMax)
  return chain
}

const loaded = (chain: TestChain): ChainStore => load(make(chain).bytes, chain)

const chain = longChain()
const source = bodiesOf(chain.store.db, chain.rules)
const count = (store: ChainStore, table: string): number =>
  store.db.query<{ n: number }, []>(`SELECT COUNT(*) AS n FROM ${table}`).get()!.n

test("replayed to its end, the chain is as if there had been no snapshot", () => {
  const store = loaded(chain)
  expect(store.floor()).toBe(below)
  expect(nextOfPast(store, upTo(100))).toEqual([])
  expect(nextOfPast(store, { blocks: 100, transactions: 1 }, source)).toHaveLength(10)
  for (const proven of [12, 24]) {
    provePast(store, chain.rules, { blocks: nextOfPast(store, upTo(12), source), verified })
    expect(store.proven()).toBe(proven)
  }
  expect(count(store, "past_state")).toBeGreaterThan(0)
  // A restart goes on where it was.
  const again = new ChainStore(store.db, chain.rules)
  provePast(again, chain.rules, { blocks: nextOfPast(again, upTo(100), source), verified })
  expect([again.floor(), again.proven(), count(again, "past_state"), count(again, "past_pages")]).toEqual([
    0,
    undefined,
    0,
    0
  ])
  expect(nextOfPast(again, upTo(100), source)).toEqual([])
  const whole = new TestChain(chain.rules.spec)
  Object.assign(whole, { store: again })
  expect(whole.dump()).toBe(chain.dump())
  expect(auditChain(again, chain.rules)).toBe(count(again, "state"))
  const counters = "SELECT key, value FROM meta WHERE key IN ('transactions', 'value', 'entries') ORDER BY key"
  expect(again.db.query(counters).all()).toEqual(chain.store.db.query(counters).all())
})

test("a body that is not the header's is as good as none", () => {
  const store = loaded(chain)
  for (const body of ["(SELECT body FROM bodies WHERE n = 11)", "x'00'"]) {
    const other = longChain()
    other.store.db.run(`UPDATE bodies SET body = ${body} WHERE n = 3`)
    const blocks = nextOfPast(store, upTo(100), bodiesOf(other.store.db, chain.rules))
    expect(blocks.map(({ header }) => Number(header.height))).toEqual([1])
  }
})

test("a past that breaks a rule is remembered, and the database is not opened again", () => {
  const liar = new TestChain(chain.rules.spec)
  steal(liar)
  liar.mine(snapshotBlocksMax + 4)
  // Headers, state root, supply and the last blocks all agree: nothing but a replay can know.
  const store = loaded(liar)
  const blocks = nextOfPast(store, upTo(9), bodiesOf(liar.store.db, liar.rules))
  expect(() => provePast(store, liar.rules, { blocks, verified })).toThrow("state-root-wrong")
  expect(store.proven()).toBe(0)
  const opened = Result.try({ try: () => new ChainStore(store.db, liar.rules), catch: (error) => error as StoreFault })
  expect(opened).toMatchObject({ failure: { code: "past-invalid" } })
})

test("a block that the header commits to and the rules do not allow is one, wherever it comes from", () => {
  const liar = new TestChain(chain.rules.spec)
  overfill(liar)
  liar.mine(snapshotBlocksMax + 4)
  for (const source of [bodiesOf(liar.store.db, liar.rules), undefined]) {
    const store = loaded(liar)
    if (source === undefined) store.saveBody(liar.store.block(liar.store.bestAt(1)!.header.id)!)
    const blocks = nextOfPast(store, upTo(9), source)
    expect(() => provePast(store, liar.rules, { blocks, verified })).toThrow("extra-too-large")
    expect([store.proven(), store.brokenPast()]).toEqual([0, expect.stringContaining("block 1 ")])
  }
})
