/** What must hold whatever money is: the same properties, on accounts and on coins. */
import { afterAll, describe, expect, test } from "bun:test"
import { mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { Result } from "effect"
import { type Block, transactionRootOf } from "../../src/block/block.ts"
import { genesisState } from "../../src/chain/rules.ts"
import { VerifiedLeaves } from "../../src/chain/verified.ts"
import { toHex } from "../../src/codec/bytes.ts"
import { amount } from "../../src/ledger/amount.ts"
import { Overlay } from "../../src/ledger/overlay.ts"
import { isSent, type Millis, type Transaction } from "../../src/ledger/transaction.ts"
import { decodeUndo, encodeUndo } from "../../src/ledger/undo.ts"
import { snapshotBlocksMax } from "../../src/limits.ts"
import { type Dice, makeDice } from "../../src/sim/dice.ts"
import { auditChain } from "../../src/store/audit.ts"
import { nextOfPast, provePast } from "../../src/store/past.ts"
import { loadPending } from "../../src/store/pending.ts"
import type { ChainStore } from "../../src/store/store.ts"
import { epoch, forge, keyOf, seal, specOf, TestChain } from "../fixtures.ts"
import { models, people, randomTransactions } from "../money.ts"
import { load, make } from "../snapshots.ts"

const folder = mkdtempSync(join(tmpdir(), "cairn-ledgers-"))
afterAll(() => rmSync(folder, { recursive: true }))

describe.each(models)("on the ledger of model %s", (model) => {
  const spec = specOf({ model, maturity: 2, halving: 20 })
  const newChain = (path?: string): TestChain => new TestChain(spec, path)

  /** Candidates that fit the tip of a chain, and some that do not. */
  const candidates = (dice: Dice, chain: TestChain, count = dice.int(6)): ReadonlyArray<Transaction> =>
    randomTransactions(dice, model, { entries: chain.store.allEntries(), count })

  const grow = (dice: Dice, chain: TestChain): Block => chain.mine(1, candidates(dice, chain), dice.int(people))[0]!

  /** A sealed block on the tip whose last transaction spends what an earlier one has spent; undefined if there is none. */
  const lying = (dice: Dice, chain: TestChain): Block | undefined => {
    const block = chain.next(candidates(dice, chain, 4), dice.int(people))
    const first = block.transactions.find(isSent)
    if (first === undefined) return undefined
    const transactions = [...block.transactions, first]
    return { ...forge(block, { transactionRoot: transactionRootOf(transactions) }), transactions }
  }

  /** All that the store says of the chain: the dump, the counters, the undo records. */
  const wholeOf = (chain: TestChain): string => {
    const { store } = chain
    const counters = store.db.query(
      "SELECT key, value FROM meta WHERE key IN ('transactions', 'value', 'entries') ORDER BY key"
    )
    const undos = store.db.query(
      "SELECT b.height, hex(u.undo) u, u.fees FROM best b JOIN undos u ON u.n = b.n ORDER BY b.height"
    )
    return JSON.stringify([chain.dump(), counters.all(), undos.all()])
  }

  /** Replayed from genesis the chain has these entries, and its indexes agree with them. */
  const holds = (store: ChainStore, rules: TestChain["rules"]): void => {
    expect([store.balancesHold(), auditChain(store, rules)]).toEqual([true, [...store.allEntries()].length])
    const units = [...store.allEntries()].reduce((sum, [, value]) => sum + rules.ledger.unitsOf(value), 0)
    expect(units).toBe(rules.ledger.supplyAt(store.tip().header.height))
  }

  test("a block is undone to the byte, refused transactions and all, and changes the supply by its reward", () => {
    const { ledger } = newChain().rules
    const dice = makeDice(41)
    let entries = new Map<string, Uint8Array>()
    for (const [key, { after }] of genesisState(ledger, spec).changes) entries.set(key, after!)
    const textOf = (map: ReadonlyMap<string, Uint8Array>): string =>
      [...map]
        .map(([key, value]) => `${key} ${toHex(value)}`)
        .sort()
        .join("\n")
    const tally = { taken: 0, refused: 0 }
    for (let height = 1; height <= 80; height++) {
      const state = new Overlay((key) => entries.get(key))
      const all = (): Map<string, Uint8Array> => {
        const out = new Map(entries)
        for (const [key, { after }] of state.changes) after === undefined ? out.delete(key) : out.set(key, after)
        return out
      }
      let fees = 0
      for (const one of randomTransactions(dice, model, { entries, count: 8 })) {
        const before = textOf(all())
        const fee = ledger.apply(state, one, { height })
        if (typeof fee === "number") {
          fees += fee
          tally.taken++
        } else {
          tally.refused++
          expect(textOf(all())).toBe(before)
        }
      }
      const facts = { height, time: epoch as Millis, proposer: keyOf(dice.int(people)).address }
      expect(ledger.applyReward(state, facts, amount(fees), ledger.opening(facts, amount(fees)))).toBeUndefined()
      const next = all()
      const back = new Map(next)
      for (const [key, value] of Result.getOrThrow(decodeUndo(encodeUndo(state.changes))))
        value === undefined ? back.delete(key) : back.set(key, value)
      expect(textOf(back)).toBe(textOf(entries))
      expect([...next.values()].reduce((sum, value) => sum + ledger.unitsOf(value), 0)).toBe(ledger.supplyAt(height))
      entries = next
    }
    expect(tally.taken).toBeGreaterThan(200)
    expect(tally.refused).toBeGreaterThan(50)
  })

  /** A random tree of blocks, one of whose ends is the highest, and sealed blocks that break the rules on some of its places. */
  const treeOf = (seed: number) => {
    const dice = makeDice(seed)
    const branches = [newChain()]
    const blocks: Array<Block> = []
    const lies: Array<Block> = []
    for (let i = 0; i < 25; i++) {
      const from = dice.pick(branches)
      const branch = dice.chance(0.25) ? from.fork(dice.int(from.store.tip().header.height + 1)) : from
      if (branch !== from) branches.push(branch)
      const lie = dice.chance(0.3) ? lying(dice, branch) : undefined
      if (lie !== undefined) lies.push(lie)
      blocks.push(grow(dice, branch))
    }
    const heightOf = ({ store }: TestChain): number => store.tip().header.height
    const highest = branches.toSorted((a, b) => heightOf(b) - heightOf(a))[0]!
    blocks.push(grow(dice, highest))
    return { blocks, lies, highest }
  }

  /** Gives a chain blocks in any order: who comes before its parent waits for it. What is refused changes nothing. */
  const deliver = (chain: TestChain, blocks: ReadonlyArray<Block>, isLie: (block: Block) => boolean): number => {
    const waiting = new Map<string, Array<Block>>()
    let refused = 0
    const arrive = (block: Block): void => {
      const parent = block.header.previous.toHex()
      if (chain.store.find(parent) === undefined) {
        waiting.set(parent, [...(waiting.get(parent) ?? []), block])
        return
      }
      const before = isLie(block) ? wholeOf(chain) : ""
      const code = chain.take(block)
      if (isLie(block)) {
        expect(["transaction-refused", undefined]).toContain(code)
        expect(wholeOf(chain)).toBe(before)
        if (code !== undefined) refused++
      } else expect(code).toBeUndefined()
      for (const child of waiting.get(block.header.id) ?? []) arrive(child)
      waiting.delete(block.header.id)
    }
    for (const block of blocks) arrive(block)
    expect(waiting.size).toBe(0)
    return refused
  }

  const shuffled = <A>(dice: Dice, values: ReadonlyArray<A>): ReadonlyArray<A> => {
    const left = [...values]
    return values.map(() => left.splice(dice.int(left.length), 1)[0]!)
  }

  test("any order of arrival ends in one state, that of the highest branch alone; a block that is refused leaves no trace (defects 21, 22)", () => {
    let refused = 0
    for (let seed = 0; seed < 6; seed++) {
      const { blocks, lies, highest } = treeOf(seed)
      const isLie = (block: Block): boolean => lies.includes(block)
      for (let order = 0; order < 4; order++) {
        const chain = newChain()
        refused += deliver(chain, shuffled(makeDice(100 * seed + order), [...blocks, ...lies]), isLie)
        expect(wholeOf(chain)).toBe(wholeOf(highest))
        if (order === 0) holds(chain.store, chain.rules)
      }
    }
    expect(refused).toBeGreaterThan(10)
  }, 60_000)

  test.each([1, 2, 3, 10, 60])(
    "a branch of %i blocks is left for a longer one, and all is as if it had never been (defect 22)",
    (depth) => {
      const dice = makeDice(depth)
      const chain = newChain()
      for (let i = 0; i < 3; i++) grow(dice, chain)
      const rival = chain.fork(2)
      const lost = Array.from({ length: depth }, () => grow(dice, chain))
      const won = Array.from({ length: depth + 2 }, () => grow(dice, rival))
      for (const block of won) expect(chain.take(block)).toBeUndefined()
      expect(wholeOf(chain)).toBe(wholeOf(rival))
      holds(chain.store, chain.rules)
      const back = loadPending(chain.store.db)
        .map(({ id }) => toHex(id))
        .sort()
      const paid = new Set(won.flatMap(({ transactions }) => transactions.map(({ id }) => toHex(id))))
      // What somebody sent is confirmed or promised again; a coinbase goes with its block.
      for (const one of lost.flatMap(({ transactions }) => transactions)) {
        const id = toHex(one.id)
        expect([one.kind, back.includes(id)]).toEqual([one.kind, isSent(one) && !paid.has(id)])
      }
    }
  )

  test("the store opened again from disk is the same, and goes on", () => {
    const path = join(folder, `${model}.db`)
    const { blocks, highest } = treeOf(77)
    const chain = newChain(path)
    const half = blocks.length >> 1
    for (const block of blocks.slice(0, half)) expect(chain.take(block)).toBeUndefined()
    const before = wholeOf(chain)
    chain.store.close()
    const again = newChain(path)
    expect(wholeOf(again)).toBe(before)
    holds(again.store, again.rules)
    for (const block of blocks.slice(half)) expect(again.take(block)).toBeUndefined()
    expect(wholeOf(again)).toBe(wholeOf(highest))
    holds(again.store, again.rules)
    again.store.close()
  })

  test("a snapshot is loaded as the chain that it was made of, and its past is proven", () => {
    const dice = makeDice(5)
    const chain = newChain()
    while (chain.store.tip().header.height < snapshotBlocksMax + 12) grow(dice, chain)
    const height = chain.store.tip().header.height
    for (const wanted of [height, 7, 0]) {
      const store = load(make(chain, wanted).bytes, chain)
      const upTo = wanted === height ? chain : chain.fork(wanted)
      const stateOf = ({ db }: ChainStore) => [
        db.query("SELECT hex(key) k, hex(value) v, units, hex(owner) o FROM state ORDER BY key").all(),
        db.query("SELECT hex(owner) o, units, coins FROM balances ORDER BY owner").all(),
        db.query("SELECT name, hex(page) p FROM pages ORDER BY name").all()
      ]
      expect(stateOf(store)).toEqual(stateOf(upTo.store))
      expect(store.balancesHold()).toBe(true)
      while (store.proven() !== undefined) {
        const blocks = nextOfPast(store, { blocks: 5, transactions: 100 }, ({ id }) => chain.store.block(id))
        provePast(store, chain.rules, { blocks, verified: new VerifiedLeaves(100) })
      }
      holds(store, chain.rules)
      const rival = chain.fork(Math.max(0, wanted - 3))
      for (const block of Array.from({ length: 5 }, () => grow(dice, rival)))
        expect(Object.assign(newChain(), { store }).take(block)).toBeUndefined()
      holds(store, chain.rules)
    }
  }, 60_000)

  test("a block of our own is what a peer takes: built of candidates that mostly conflict", () => {
    const dice = makeDice(6)
    const chain = newChain()
    const peer = newChain()
    for (let i = 0; i < 20; i++) {
      const block = seal(chain.next(candidates(dice, chain, 20), dice.int(people)))
      expect([chain.take(block), peer.take(block)]).toStrictEqual([undefined, undefined])
    }
    expect(wholeOf(peer)).toBe(wholeOf(chain))
    holds(peer.store, peer.rules)
  })
})
