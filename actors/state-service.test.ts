/** The state at a block is what a replay to that block gives, on both ledgers, whatever came after it and was undone again. */
import { describe, expect, test } from "bun:test"
import { Effect, Exit, Fiber } from "effect"
import { keyOf, specOf, TestChain } from "../test/fixtures.ts"
import { load, make } from "../test/snapshots.ts"
import { models, people, randomTransactions } from "../test/money.ts"
import type { ChainSpec } from "../src/block/genesis.ts"
import type { Header } from "../src/block/header.ts"
import { StateTree } from "../src/block/state-tree.ts"
import { VerifiedLeaves } from "../src/chain/verified.ts"
import { equal, fromHex, toHex } from "../src/codec/bytes.ts"
import { keyOf as keyOfAccount } from "../src/ledger/account.ts"
import { type Dice, makeDice } from "../src/sim/dice.ts"
import { snapshotBlocksMax, stateBlocksMax, stateChangesMax, stateReadersMax } from "../src/limits.ts"
import type { StateAbsence, StatePage } from "../src/node/node.ts"
import { nextOfPast, provePast } from "../src/store/past.ts"
import { Snapshot } from "../src/store/snapshot.ts"
import { PastState } from "../src/store/state-at.ts"
import { makeStateService, type StateService } from "./state-service.ts"

type Asked = StateService["stateAt"]
const ask = (stateAt: Asked, height: number, cursor?: string, limit = 256): Promise<StatePage | StateAbsence> =>
  Effect.runPromise(stateAt(height, cursor, limit) as Effect.Effect<StatePage | StateAbsence>)

const readerOf = (chain: TestChain): Asked =>
  makeStateService(new Snapshot(chain.store.db, chain.rules), chain.rules).stateAt

/** Every page of a height, with what happens between two of them. */
const allOf = async (
  stateAt: Asked,
  height: number,
  { limit = (): number => 256, between = (): void => {} } = {}
): Promise<ReadonlyArray<readonly [string, string]> | StateAbsence> => {
  const rows: Array<readonly [string, string]> = []
  for (let cursor: string | undefined; ; ) {
    const most = limit()
    const page = await ask(stateAt, height, cursor, most)
    if (typeof page === "string") return page
    expect(page.rows.length).toBeLessThanOrEqual(most)
    rows.push(...page.rows.map(({ key, value }) => [key, toHex(value)] as const))
    cursor = page.next
    if (cursor === undefined) {
      const tree = new StateTree(() => undefined)
      expect(toHex(tree.update(page.header.height === height ? rows.map(([k, v]) => [k, fromHex(v)!]) : []))).toBe(
        toHex(page.header.stateRoot)
      )
      return rows
    }
    between()
  }
}

const entriesOf = (chain: TestChain): ReadonlyArray<readonly [string, string]> =>
  [...chain.store.allEntries()].map(([key, value]) => [key, toHex(value)] as const).sort(([a], [b]) => (a < b ? -1 : 1))

describe.each(models)("on the ledger of model %s", (model) => {
  const spec = specOf({ model, maturity: 2, accounts: 5 })
  const grow = (dice: Dice, chain: TestChain): void => {
    const wish = { entries: chain.store.allEntries(), count: dice.int(6) }
    chain.mine(1, randomTransactions(dice, model, wish), dice.int(people))
  }

  /** Leaves the branch some blocks below the tip and overtakes it. */
  const reorganise = (dice: Dice, chain: TestChain, depth: number): void => {
    const top = chain.store.tip().header.height
    const other = chain.fork(top - depth)
    while (other.store.tip().header.height <= top) grow(dice, other)
    for (let height = top - depth + 1; height <= top + 1; height++)
      chain.take(other.store.block(other.store.bestAt(height)!.header.id)!)
    expect(chain.store.tip().header.id).toBe(other.store.tip().header.id)
    chain.now = other.now
  }

  test("of random chains with reorganisations every height is as a replay to it leaves it", async () => {
    for (let seed = 1; seed <= 4; seed++) {
      const dice = makeDice(700 + seed)
      const chain = new TestChain(spec)
      const stateAt = readerOf(chain)
      for (let round = 0; round < 8; round++) {
        for (let i = dice.int(6); i >= 0; i--) grow(dice, chain)
        if (dice.chance(0.5)) reorganise(dice, chain, 1 + dice.int(Math.min(4, chain.store.tip().header.height)))
        for (let i = 0; i < 3; i++) {
          const height = dice.int(chain.store.tip().header.height + 1)
          const rows = await allOf(stateAt, height, { limit: () => 1 + dice.int(5) })
          expect([seed, height, rows]).toEqual([seed, height, entriesOf(chain.fork(height))])
        }
      }
    }
  })

  test("blocks that land between two pages change nothing of it", async () => {
    const dice = makeDice(711)
    const chain = new TestChain(spec)
    for (let i = 0; i < 10; i++) grow(dice, chain)
    const expected = entriesOf(chain.fork(6))
    const stateAt = readerOf(chain)
    let landed = 0
    const between = (): void => {
      landed++
      grow(dice, chain)
    }
    expect(await allOf(stateAt, 6, { limit: () => 2, between })).toEqual(expected)
    expect(landed).toBeGreaterThan(2)
  })

  test("a branch that wins between two pages leaves it as it was below, and says so above", async () => {
    const dice = makeDice(712)
    const chain = new TestChain(spec)
    for (let i = 0; i < 10; i++) grow(dice, chain)
    const expected = entriesOf(chain.fork(4))
    const stateAt = readerOf(chain)
    let left = 1
    const between = (): void => {
      if (left-- > 0) reorganise(dice, chain, 5)
    }
    expect(await allOf(stateAt, 4, { limit: () => 2, between })).toEqual(expected)
    left = 1
    expect(await allOf(stateAt, 8, { limit: () => 2, between })).toBe("state-moved")
    expect(await allOf(stateAt, 8)).toEqual(entriesOf(chain.fork(8)))
    // A shorter branch may have won by its work: then the height of the cursor has no block.
    const page = (await ask(stateAt, 8, undefined, 1)) as StatePage
    expect(await ask(stateAt, 90, page.next)).toBe("state-moved")
  })

  test("goes back as far as the spec says and no further", async () => {
    const dice = makeDice(713)
    const chain = new TestChain({ ...spec, history: { stateBlocks: 3 } })
    for (let i = 0; i < 6; i++) grow(dice, chain)
    const stateAt = readerOf(chain)
    expect(await ask(stateAt, 2)).toBe("state-too-old")
    const page = (await ask(stateAt, 3, undefined, 1)) as StatePage
    expect(await allOf(stateAt, 3)).toEqual(entriesOf(chain.fork(3)))
    grow(dice, chain)
    expect(await ask(stateAt, 3, page.next, 1)).toBe("state-too-old")
    expect([await ask(stateAt, 7), await ask(stateAt, 8)].map((one) => typeof one === "string" && one)).toEqual([
      false,
      "block-not-found"
    ])
    const none: ChainSpec = { ...spec, history: { stateBlocks: 0 } }
    const other = new TestChain(none)
    other.mine(1)
    expect(await ask(readerOf(other), 0)).toBe("state-too-old")
    expect(await allOf(readerOf(other), 1)).toEqual(entriesOf(other))
  })

  test("below a loaded snapshot there is none until the past is proven", async () => {
    const dice = makeDice(714)
    const chain = new TestChain(spec)
    for (let i = 0; i < 9; i++) grow(dice, chain)
    chain.mine(snapshotBlocksMax - 3)
    const store = load(make(chain).bytes, chain)
    expect(store.floor()).toBe(6)
    const stateAt = readerOf({ rules: chain.rules, store } as TestChain)
    for (const height of [6, 7, 9]) expect(await allOf(stateAt, height)).toEqual(entriesOf(chain.fork(height)))
    for (const height of [0, 5]) expect([height, await ask(stateAt, height)]).toEqual([height, "state-too-old"])
    const source = (header: Header) => chain.store.block(header.id)
    const blocks = nextOfPast(store, { blocks: 100, transactions: 1_000 }, source)
    provePast(store, chain.rules, { blocks, verified: new VerifiedLeaves(9) })
    expect(store.floor()).toBe(0)
    expect(await allOf(stateAt, 2)).toEqual(entriesOf(chain.fork(2)))
  })

  test("takes no cursor that is none of ours", async () => {
    const stateAt = readerOf(new TestChain(spec))
    for (const cursor of ["", "0", "-", `${"0".repeat(64)}-`, `${"0".repeat(64)}-0`, `${"G".repeat(64)}-00`])
      expect([cursor, await ask(stateAt, 0, cursor)]).toEqual([cursor, "cursor-invalid"])
    expect(await ask(stateAt, 0, `${"0".repeat(64)}-00`)).toBe("state-moved")
  })
})

describe("the walk back", () => {
  /** A chain of empty blocks. */
  const long = (blocks: number): TestChain => {
    const chain = new TestChain(specOf({ accounts: 1 }))
    for (let i = 0; i < blocks; i++) chain.mine(1, [], i % 50)
    return chain
  }

  test("gives others a turn between its slices, and the next pages of that height take none", async () => {
    const chain = long(600)
    const stateAt = readerOf(chain)
    let turns = 0
    const counting = Effect.forever(
      Effect.andThen(
        Effect.sync(() => void turns++),
        Effect.yieldNow
      )
    )
    const turnsOf = (height: number, cursor?: string): Promise<[number, StatePage]> =>
      Effect.runPromise(
        Effect.gen(function* () {
          const other = yield* Effect.forkChild(counting)
          turns = 0
          const page = (yield* stateAt(height, cursor, 5)) as StatePage
          const during = turns
          yield* Fiber.interrupt(other)
          return [during, page] as [number, StatePage]
        }) as Effect.Effect<[number, StatePage]>
      )
    const [first, page] = await turnsOf(10)
    const [second] = await turnsOf(10, page.next)
    const [other] = await turnsOf(11)
    expect([first >= 1, second, other >= 1]).toEqual([true, 0, true])
  })

  test("holds an entry for each that has changed, and ends where it may hold no more", () => {
    const chain = long(20)
    const snapshot = new Snapshot(chain.store.db, chain.rules)
    const placeAt = (height: number) => ({ height, hash: snapshot.hashAt(height)! })
    const walk = new PastState(placeAt(5), placeAt(20), stateBlocksMax)
    expect([walk.step(snapshot), walk.size]).toEqual(["whole", 15])
    const many = Array.from(
      { length: stateChangesMax + 1 },
      (_, i) => [i.toString(16).padStart(40, "0"), undefined] as const
    )
    const crowded = Object.assign(Object.create(snapshot) as Snapshot, { beforesAt: () => many })
    expect(new PastState(placeAt(5), placeAt(20), stateBlocksMax).step(crowded)).toBe("too-far")
    const without = Object.assign(Object.create(snapshot) as Snapshot, { beforesAt: () => undefined })
    expect(new PastState(placeAt(5), placeAt(20), stateBlocksMax).step(without)).toBe("too-far")
  })

  test("of one waits for that of another, and of too many is refused", async () => {
    const chain = long(300)
    const { stateAt, bounds } = makeStateService(new Snapshot(chain.store.db, chain.rules), chain.rules)
    const heights = Array.from({ length: stateReadersMax + 3 }, (_, i) => i)
    const exits = await Effect.runPromise(
      Effect.forEach(heights, (height) => Effect.exit(stateAt(height, undefined, 1)), { concurrency: "unbounded" })
    )
    const found: ReadonlyArray<number> = exits
      .filter(Exit.isSuccess)
      .map(({ value }) => (value as StatePage).header.height)
    expect(found).toEqual(heights.slice(0, stateReadersMax))
    expect(exits.filter(Exit.isFailure).length).toBe(3)
    // Who was refused and who is done holds no place.
    expect(typeof (await ask(stateAt, 250))).toBe("object")
    expect(bounds().map(({ used, max }) => [used, max])).toEqual([
      [50, stateChangesMax],
      [0, stateReadersMax]
    ])
  })

  test("an entry is made and spent since, and a page that finds nothing of its time is not the last", () => {
    const chain = long(3)
    const snapshot = new Snapshot(chain.store.db, chain.rules)
    const [genesis, tip] = [0, 3].map((height) => ({ height, hash: snapshot.hashAt(height)! }))
    const address = toHex(keyOf(0).address)
    const gone = Array.from({ length: 3_000 }, (_, i) => [`00${i.toString(16).padStart(38, "0")}`, undefined] as const)
    const crowded = Object.assign(Object.create(snapshot) as Snapshot, {
      beforesAt: (height: number) => [...(height === 2 ? gone : []), ...snapshot.beforesAt(height)!]
    })
    const walk = new PastState(genesis!, tip!, stateBlocksMax)
    // Each slice ends with the block that fills it.
    expect([walk.step(crowded), walk.step(crowded)]).toEqual(["more", "whole"])
    const pages: Array<number> = []
    const found: Array<string> = []
    for (let after: string | undefined; ; ) {
      const { rows, next } = walk.scan(crowded, after, 256)
      pages.push(rows.length)
      found.push(...rows.map(({ key }) => key))
      if (next === undefined) break
      after = next
    }
    expect([found, pages.length > 2, equal(tip!.hash, chain.store.tip().header.hash)]).toEqual([[address], true, true])
  })

  test("finds what a block that lands changes among keys that a page has been through", () => {
    const chain = long(2)
    const snapshot = new Snapshot(chain.store.db, chain.rules)
    const keyAt = (i: number): string => `00${i.toString(16).padStart(38, "0")}`
    const value = new Uint8Array(16)
    const told = Object.assign(Object.create(snapshot) as Snapshot, {
      beforesAt: (height: number) => [[keyAt(height), value] as const]
    })
    const [first, second] = [1, 2].map((height) => ({ height, hash: snapshot.hashAt(height)! }))
    const walk = new PastState(first!, second!, stateBlocksMax)
    const keys = () => walk.scan(told, undefined, 4).rows.map(({ key }) => key)
    expect([walk.step(told), keys().slice(0, 2)]).toEqual(["whole", [keyAt(2), keyOfAccount(keyOf(0).address)]])
    chain.mine(2, [], 0)
    expect([walk.step(told), keys().slice(0, 3)]).toEqual(["whole", [2, 3, 4].map(keyAt)])
  })
})
