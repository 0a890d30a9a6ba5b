/** A decision lands whole or not at all, on disk and in memory; and the store is what a few maps say it is. */
import { afterAll, describe, expect, test } from "bun:test"
import { mkdtempSync, rmSync } from "node:fs"
import { transferOf } from "../ledger/transfer.ts"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { Result } from "effect"
import { specOf, TestChain, transfer } from "../../test/fixtures.ts"
import { type Dice, makeDice } from "../sim/dice.ts"
import { extraHashOf, transactionRootOf, type Block } from "../block/block.ts"
import { type Height, makeHeader } from "../block/header.ts"
import { update } from "../block/state-tree.ts"
import { choosePlan } from "../chain/choose.ts"
import { runPlan } from "../chain/connect.ts"
import { makeRules } from "../chain/rules.ts"
import { toHex } from "../codec/bytes.ts"
import { encodeAccount } from "../ledger/account.ts"
import { amount } from "../ledger/amount.ts"
import type { Nonce } from "../ledger/transaction.ts"
import { openDatabase } from "./db.ts"
import { deletePending, insertPending, loadPending } from "./pending.ts"
import { ChainStore } from "./store.ts"

const folder = mkdtempSync(join(tmpdir(), "cairn-store-"))
afterAll(() => rmSync(folder, { recursive: true }))

/** A block on the tip with what landing it takes, its header and body saved. */
const ready = (chain: TestChain, block: Block) => {
  chain.store.saveHeaders([chain.rowFor(block)])
  chain.store.saveBody(block)
  const plan = choosePlan(chain.store, chain.store.find(block.header.id)!)
  const outcome = runPlan(plan, { rules: chain.rules, reader: chain.store, verified: chain.verified })
  if (Result.isFailure(outcome)) throw new Error(outcome.failure.reject.code)
  return outcome.success
}

describe("a decision", () => {
  test("that breaks a constraint at its end leaves disk and memory as they were", () => {
    const chain = new TestChain()
    chain.mine(2, [transfer({ from: 0, to: 1, nonce: 1 })])
    const landing = ready(chain, chain.next([transfer({ from: 0, to: 1, nonce: 2 })]))
    const [attached] = landing.attached
    const before = chain.dump()
    const keys = landing.entries.map(([key]) => key)
    const memory = () => [
      chain.store.tip().header.id,
      keys.map(chain.store.readEntry),
      chain.store.readPage(""),
      chain.store.bestAt(3)
    ]
    const remembered = memory()
    // The same block twice: state and pages are written, then the second row of its height is one too many.
    expect(() =>
      chain.store.decide(() => {
        chain.store.land(landing, 0)
        chain.store.land({ ...landing, attached: [attached!] }, 0)
      })
    ).toThrow("UNIQUE")
    expect(chain.dump()).toBe(before)
    expect(memory()).toEqual(remembered)
    chain.store.land(landing, 0)
    expect(chain.store.tip().header.height as number).toBe(3)
  })

  test("may hold several landings: the later ones see the earlier ones, outsiders see all or none", () => {
    const [chain, source] = [new TestChain(), new TestChain()]
    const blocks = source.mine(3, [transfer({ from: 0, to: 1, nonce: 1 })])
    chain.store.readEntry("00".repeat(20))
    chain.store.decide(() => {
      for (const block of blocks) {
        chain.store.land(ready(chain, block), 0)
        expect(chain.store.bestAt(block.header.height)?.header.id).toBe(block.header.id)
      }
    })
    expect(chain.dump()).toBe(source.dump())
    expect(counters(chain.store)).toEqual(counters(source.store))
  })

  test("that returns a promise is a bug of ours, and rolled back", () => {
    const chain = new TestChain()
    const paid = transfer({ from: 0, to: 1, nonce: 1 })
    expect(() => chain.store.decide(async () => insertPending(chain.store.db, [paid], 1))).toThrow("waits for nothing")
    expect(loadPending(chain.store.db)).toEqual([])
  })
})

test("amounts up to 2^53 - 1 are stored as integers", () => {
  const db = openDatabase(":memory:")
  const insert = db.query("INSERT INTO state (key, value, units) VALUES (?, ?, ?)")
  const units = [0, 2 ** 31 - 1, 2 ** 31, 2 ** 32 + 1, Number.MAX_SAFE_INTEGER]
  units.forEach((one, i) => insert.run(new Uint8Array([i]), new Uint8Array(16), one))
  const kept = db.query("SELECT units, typeof(units) AS type FROM state ORDER BY key").all()
  expect(kept).toEqual(units.map((one) => ({ units: one, type: "integer" })))
})

test("what is marked invalid takes its descendants with it, and is never the heaviest", () => {
  const [chain, rival] = [new TestChain(), new TestChain()]
  chain.mine(1)
  const branch = rival.mine(3, [], 98)
  for (const block of branch) chain.store.saveHeaders([chain.rowFor(block)])
  expect(chain.store.heaviest().header.id).toBe(branch[2]!.header.id)
  chain.store.markInvalid(branch[0]!.header.id, "state-root-wrong")
  expect(branch.map(({ header }) => chain.store.invalidCode(header.id))).toEqual([
    "state-root-wrong",
    "parent-invalid",
    "parent-invalid"
  ])
  expect(chain.store.heaviest().header.id).toBe(chain.store.tip().header.id)
})

const counters = (store: ChainStore) =>
  store.db.query("SELECT key, value FROM meta WHERE key IN ('transactions', 'value', 'entries') ORDER BY key").all()

// ── the model ────────────────────────────────────────────────────────────────────────────────────────────────────────

const rules = makeRules(specOf())
const treasury = "ff".repeat(20)
const keys = Array.from({ length: 24 }, (_, i) => i.toString(16).padStart(2, "0").repeat(20))
const transfers = Array.from({ length: 60 }, (_, i) => transfer({ from: i % 4, to: 5, nonce: i + 1, amount: i + 1 }))

type Entries = ReadonlyMap<string, { readonly value: Uint8Array; readonly units: number }>

/** One block of the model's best branch, with all entries after it. */
interface ModelBlock {
  readonly block: Block
  readonly entries: Entries
}

const entryOf = (units: number, nonce: number) => ({
  value: encodeAccount({ balance: amount(units), nonce: nonce as Nonce }),
  units
})

const rootOfAll = (entries: Entries) =>
  update(
    () => undefined,
    [...entries].map(([key, { value }]) => [key, value] as const)
  )

/** The store beside a few maps that do the same. */
class Model {
  store: ChainStore
  best: ReadonlyArray<ModelBlock>
  readonly pending = new Map<string, number>()
  private readonly path: string
  private readonly dice: Dice
  private clock = 0

  constructor(path: string, dice: Dice) {
    this.path = path
    this.dice = dice
    this.store = new ChainStore(openDatabase(path), rules)
    const entries = new Map([...this.store.allEntries()].map(([key, value]) => [key, { value, units: 1_000_000_000 }]))
    this.best = [{ block: rules.genesis, entries }]
  }

  reopen(): void {
    this.store.close()
    this.store = new ChainStore(openDatabase(this.path), rules)
  }

  /** A block on a parent: some entries set, some removed; the treasury keeps the sum at what was issued. */
  private grow(branch: ReadonlyArray<ModelBlock>): ModelBlock {
    const { dice } = this
    const parent = branch.at(-1)!
    const height = parent.block.header.height + 1
    const entries = new Map(parent.entries)
    for (let i = dice.int(6); i >= 0; i--) {
      const key = dice.pick(keys)
      dice.chance(0.3) ? entries.delete(key) : entries.set(key, entryOf(dice.int(40), dice.int(9)))
    }
    entries.delete(treasury)
    const held = [...entries.values()].reduce((sum, { units }) => sum + units, 0)
    entries.set(treasury, entryOf(rules.ledger.supplyAt(height) - held, height))
    const used = new Set(branch.flatMap(({ block }) => block.transactions))
    const transactions = transfers.filter((one) => !used.has(one) && dice.chance(0.05))
    const extra = dice.bytes(8)
    const header = makeHeader({
      ...parent.block.header,
      height: height as Height,
      previous: parent.block.header.hash,
      transactionRoot: transactionRootOf(transactions),
      stateRoot: rootOfAll(entries).root,
      extraHash: extraHashOf(extra)
    })
    return { block: { header, transactions, extra }, entries }
  }

  /** Takes `depth` blocks off and puts `count` on, in the store; and gives the best branch that should come out. */
  land(depth: number, count: number): ReadonlyArray<ModelBlock> {
    const { store, best } = this
    const kept = best.slice(0, best.length - depth)
    const branch = [...kept]
    for (let i = 0; i < count; i++) branch.push(this.grow(branch))
    const attached = branch.slice(kept.length)
    const [before, after] = [best.at(-1)!.entries, branch.at(-1)!.entries]
    const changed = [...new Set([...before.keys(), ...after.keys()])].filter(
      (key) => before.get(key) !== after.get(key)
    )
    const { pages } = update(
      store.readPage,
      changed.map((key) => [key, after.get(key)?.value] as const)
    )
    for (const { block } of attached) {
      const work = store.find(toHex(block.header.previous))!.work + 1n
      store.saveHeaders([{ header: block.header, work, hasBody: false }])
      store.saveBody(block)
    }
    const detached = best
      .slice(kept.length)
      .map(({ block }) => block)
      .reverse()
    store.land(
      {
        detached,
        attached: attached.map(({ block }) => ({ block, undo: new Uint8Array(0), fees: amount(0) })),
        entries: changed.map((key) => [key, after.get(key)?.value, after.get(key)?.units ?? 0, store.readEntry(key)] as const),
        pages
      },
      ++this.clock
    )
    for (const { id } of detached.flatMap(({ transactions }) => transactions)) this.promise(toHex(id), this.clock)
    for (const { block } of attached) for (const { id } of block.transactions) this.pending.delete(toHex(id))
    return branch
  }

  promise(id: string, received: number): void {
    if (!this.pending.has(id)) this.pending.set(id, received)
  }

  /** One random step. A failing one is undone by throwing, as a full disk would. */
  step(): void {
    const { dice, store } = this
    const kind = dice.int(10)
    const depth = Math.min(dice.int(4), this.best.length - 1)
    if (kind < 4) this.best = this.land(0, 1 + dice.int(3))
    else if (kind < 6) this.best = this.land(depth, depth + 1)
    else if (kind === 6)
      store.decide(() => {
        for (let i = 0; i < 3; i++) this.best = this.land(i, i + 1)
      })
    else if (kind === 7) this.fail(depth)
    else if (kind === 8) this.reopen()
    else this.exchange(dice.pick(transfers), dice.pick(transfers))
  }

  private fail(depth: number): void {
    const [best, pending] = [this.best, new Map(this.pending)]
    expect(() =>
      this.store.decide(() => {
        const { header } = this.land(depth, depth + 1).at(-1)!.block
        expect(this.store.tip().header.id).toBe(header.id)
        throw new Error(header.id)
      })
    ).toThrow()
    this.best = best
    this.pending.clear()
    for (const [id, received] of pending) this.pending.set(id, received)
  }

  private exchange(added: (typeof transfers)[number], dropped: (typeof transfers)[number]): void {
    const { store } = this
    store.decide(() => {
      insertPending(store.db, [added], ++this.clock)
      deletePending(store.db, [dropped.id])
    })
    this.promise(toHex(added.id), this.clock)
    this.pending.delete(toHex(dropped.id))
  }

  expected() {
    const entries = this.best.at(-1)!.entries
    const confirmed = this.best.flatMap(({ block: { header, transactions } }) =>
      transactions.map((one, at) => ({
        id: toHex(one.id),
        at: [header.height, at],
        units: transferOf(one).amount
      }))
    )
    return {
      tip: this.best.at(-1)!.block.header.id,
      best: this.best.map(({ block }) => block.header.id),
      read: [...keys, treasury].map((key) => entries.get(key)?.value),
      entries: new Map([...entries].map(([key, { value, units }]) => [key, [toHex(value), units]])),
      pages: new Map([...rootOfAll(entries).pages].map(([name, page]) => [name, toHex(page!)])),
      confirmed: new Map(confirmed.map(({ id, at }) => [id, at])),
      pending: new Map(this.pending),
      undos: this.best.length,
      counters: {
        entries: entries.size,
        // Entries of accounts have no owner but their key.
        owners: 0,
        transactions: confirmed.length,
        value: confirmed.reduce((sum, { units }) => sum + units, 0)
      }
    }
  }

  actual(): ReturnType<Model["expected"]> {
    const { store } = this
    const all = <A>(sql: string): ReadonlyArray<A> => store.db.query<A, []>(sql).all()
    const tip = store.tip().header
    return {
      tip: tip.id,
      best: Array.from({ length: tip.height + 1 }, (_, height) => store.bestAt(height)!.header.id),
      read: [...keys, treasury].map(store.readEntry),
      entries: new Map(
        all<{ k: string; v: string; units: number }>(
          "SELECT lower(hex(key)) k, lower(hex(value)) v, units FROM state"
        ).map(({ k, v, units }) => [k, [v, units]])
      ),
      pages: new Map(
        all<{ name: string; p: string }>("SELECT name, lower(hex(page)) p FROM pages").map(({ name, p }) => [name, p])
      ),
      confirmed: new Map(
        all<{ i: string; height: number; position: number }>(
          "SELECT lower(hex(id)) i, height, position FROM transactions"
        ).map(({ i, height, position }) => [i, [height, position]])
      ),
      pending: new Map(
        all<{ i: string; received: number }>("SELECT lower(hex(id)) i, received FROM pending").map(
          ({ i, received }) => [i, received]
        )
      ),
      undos: all<{ undos: number }>("SELECT COUNT(*) AS undos FROM undos")[0]!.undos,
      counters: Object.fromEntries(
        all<{ key: string; value: number }>("SELECT key, value FROM meta WHERE typeof(value) = 'integer'").map(
          ({ key, value }) => [key, value]
        )
      ) as ReturnType<Model["expected"]>["counters"]
    }
  }
}

test("after any sequence of landings, reorganisations, failures and restarts the store is what the model is", () => {
  for (let seed = 0; seed < 8; seed++) {
    const model = new Model(join(folder, `model-${seed}.db`), makeDice(seed))
    for (let step = 0; step < 40; step++) {
      model.step()
      expect({ seed, step, ...model.actual() }).toEqual({ seed, step, ...model.expected() })
    }
    model.store.close()
  }
}, 30_000)
