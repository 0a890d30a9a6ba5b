/** Filters stand with the best branch and go with it; what is lacking is made later; what peers are told is cut to its bounds. */
import { describe, expect, test } from "bun:test"
import { specOf, TestChain, transfer } from "../../test/fixtures.ts"
import { load, make } from "../../test/snapshots.ts"
import { blockElements, filterHash, filterHeaderStart, makeFilter, nextFilterHeader } from "../block/filter.ts"
import { verifyProof } from "../block/proof.ts"
import { VerifiedLeaves } from "../chain/verified.ts"
import { toHex } from "../codec/bytes.ts"
import { filtersPerLandingMax, snapshotBlocksMax } from "../limits.ts"
import type { LightAnswer, LightAsk } from "../peer/message.ts"
import { auditChain } from "./audit.ts"
import { openDatabase } from "./db.ts"
import { answerLight } from "./light.ts"
import { bodiesOf, nextOfPast, provePast } from "./past.ts"
import { Snapshot } from "./snapshot.ts"
import { ChainStore } from "./store.ts"

type Rows = ReadonlyArray<readonly [filter: string, header: string]>

const rowsIn = (store: ChainStore): Rows =>
  store.db
    .query<{ filter: Uint8Array; header: Uint8Array }, []>("SELECT filter, header FROM filters ORDER BY height")
    .all()
    .map(({ filter, header }) => [toHex(filter), toHex(header)])

/** What should be there, made anew of the blocks. */
const madeOf = (store: ChainStore): Rows => {
  const rows: Array<Rows[number]> = []
  let before = filterHeaderStart
  for (let height = 0; height <= store.tip().header.height; height++) {
    const block = store.block(store.bestAt(height)!.header.id)!
    const { bytes } = makeFilter(block.header.hash, blockElements(block))
    before = nextFilterHeader(before, filterHash(bytes))
    rows.push([toHex(bytes), toHex(before)])
  }
  return rows
}

describe("filters", () => {
  test("are there for each block of the best branch, through reorganisations", () => {
    const chain = new TestChain()
    chain.mine(5, [transfer({ from: 0, to: 1, nonce: 1 })])
    const rival = chain.fork(2)
    chain.mine(2, [transfer({ from: 0, to: 2, nonce: 2 })])
    for (const block of rival.mine(6, [transfer({ from: 1, to: 3, nonce: 1 })], 7)) chain.take(block)
    expect(chain.store.tip().header.id).toBe(rival.store.tip().header.id)
    expect(rowsIn(chain.store)).toEqual(madeOf(chain.store))
    expect(rowsIn(chain.store)).toHaveLength(9)
  })

  test("go with their blocks also where no new ones are made", () => {
    const chain = new TestChain()
    chain.mine(5)
    const rival = chain.fork(2)
    const off = new ChainStore(chain.store.db, chain.rules, { filters: false })
    Object.assign(chain, { store: off })
    for (const block of rival.mine(6, [], 7)) chain.take(block)
    expect(rowsIn(off)).toHaveLength(3)
    const on = new ChainStore(chain.store.db, chain.rules)
    while (!on.extendFilters(50));
    expect(rowsIn(on)).toEqual(madeOf(on))
  })

  test("are held against their blocks by who verifies the store", () => {
    const chain = new TestChain()
    chain.mine(3)
    expect(auditChain(chain.store, chain.rules)).toBeGreaterThan(0)
    chain.store.db.run("UPDATE filters SET header = zeroblob(32) WHERE height = 2")
    expect(auditChain(chain.store, chain.rules)).toBe("The stored filter of block 2 is not what the block says.")
  })

  test("go back with a decision that fails", () => {
    const chain = new TestChain()
    const fail = (): void =>
      chain.store.decide(() => {
        chain.mine(1)
        throw new Error("no")
      })
    expect(fail).toThrow("no")
    expect(rowsIn(chain.store)).toHaveLength(1)
  })

  test("that are lacking are made with later landings, or all at once; without them none are kept", () => {
    const chain = new TestChain()
    chain.mine(2 * filtersPerLandingMax)
    chain.store.db.run("DELETE FROM filters")
    chain.mine(1)
    expect(rowsIn(chain.store)).toHaveLength(filtersPerLandingMax)
    while (!chain.store.extendFilters(50));
    expect(rowsIn(chain.store)).toEqual(madeOf(chain.store))
    const off = new ChainStore(openDatabase(":memory:"), chain.rules, { filters: false })
    expect([off.extendFilters(1), rowsIn(off)]).toEqual([true, []])
  })

  test("of a loaded snapshot come with its past, and then reach the tip", () => {
    const chain = new TestChain()
    chain.mine(20 + snapshotBlocksMax)
    const store = load(make(chain).bytes, chain)
    expect(rowsIn(store)).toHaveLength(1)
    const blocks = nextOfPast(store, { blocks: 100, transactions: 100 }, bodiesOf(chain.store.db, chain.rules))
    provePast(store, chain.rules, { blocks, verified: new VerifiedLeaves(2) })
    expect(rowsIn(store)).toHaveLength(21)
    while (!store.extendFilters(50));
    expect(rowsIn(store)).toEqual(madeOf(chain.store))
  })
})

describe("what light clients are answered", () => {
  const chain = new TestChain()
  const paid = transfer({ from: 0, to: 1, nonce: 1 })
  chain.mine(30, [paid])
  const snapshot = new Snapshot(chain.store.db, chain.rules)
  const hashAt = (height: number): Uint8Array => chain.store.bestAt(height)!.header.hash
  const answer = <T extends LightAnswer["tag"]>(ask: LightAsk): Extract<LightAnswer, { tag: T }> =>
    answerLight(snapshot, ask) as Extract<LightAnswer, { tag: T }>
  const stranger = new Uint8Array(32).fill(9)

  test("headers after the first hash that is ours, at most as many as are asked for", () => {
    const page = (locator: ReadonlyArray<Uint8Array>, limit: number) =>
      answer<"PHD">({ tag: "GPH", request: 1, locator, limit })
    expect(toHex(page([stranger, hashAt(12), hashAt(3)], 5).after)).toBe(toHex(hashAt(12)))
    expect(toHex(page([stranger], 5).after)).toBe(toHex(hashAt(0)))
    expect(page([hashAt(30)], 5).page).toHaveLength(0)
    const [three, four] = [page([hashAt(10)], 3).page.length, page([hashAt(10)], 4).page.length]
    expect([page([hashAt(10)], 0).page.length, four > three, three > 100]).toEqual([0, true, true])
  })

  test("filter headers at a step and at the end; none for a block that is not on the best branch", () => {
    const rows = rowsIn(chain.store)
    const heads = (start: number, every: number, stop: Uint8Array): ReadonlyArray<string> => {
      const { headers } = answer<"FHD">({ tag: "GFH", request: 1, start, every, stop })
      return Array.from({ length: headers.length / 32 }, (_, i) => toHex(headers.subarray(32 * i, 32 * i + 32)))
    }
    const at = (...heights: ReadonlyArray<number>): ReadonlyArray<string> => heights.map((height) => rows[height]![1])
    expect(heads(0, 10, hashAt(25))).toEqual(at(0, 10, 20, 25))
    expect(heads(0, 10, hashAt(20))).toEqual(at(0, 10, 20))
    expect(heads(7, 1, hashAt(9))).toEqual(at(7, 8, 9))
    expect(heads(7, 2 ** 50, hashAt(9))).toEqual(at(7, 9))
    expect([heads(10, 1, hashAt(9)), heads(0, 0, hashAt(9)), heads(0, 1, stranger)]).toEqual([[], [], []])
  })

  test("filters up to a block", () => {
    const rows = rowsIn(chain.store)
    const list = (start: number, stop: Uint8Array) =>
      answer<"FLT">({ tag: "GFL", request: 1, start, stop }).filters.map(toHex)
    expect(list(3, hashAt(6))).toEqual(rows.slice(3, 7).map(([filter]) => filter))
    expect([list(7, hashAt(6)), list(0, stranger)]).toEqual([[], []])
    const large = chain.fork(6)
    large.store.db.run("UPDATE filters SET filter = zeroblob(300000)")
    const ask = { tag: "GFL", request: 1, start: 0, stop: hashAt(6) } as const
    const cut = answerLight(new Snapshot(large.store.db, chain.rules), ask)
    expect(cut.tag === "FLT" && cut.filters.length).toBe(4)
  })

  test("proofs that hold, and none of what is in no block", () => {
    const proof = (of: Uint8Array): Uint8Array => answer<"PRF">({ tag: "GPF", request: 1, of }).proof
    expect(verifyProof(proof(paid.id), { subject: paid.id, header: chain.store.bestAt(1)!.header.hash })._tag).toBe(
      "Success"
    )
    const { recipient } = paid.transfer
    expect(verifyProof(proof(recipient), { subject: recipient, header: chain.store.tip().header.hash })._tag).toBe(
      "Success"
    )
    expect(proof(stranger)).toHaveLength(0)
  })

  test("of the other ledger there is no proof: an address has an entry on accounts, an outpoint on coins", () => {
    const coins = new TestChain(specOf({ model: "utxo" }))
    for (const [on, length] of [
      [chain, 20],
      [coins, 36]
    ] as const) {
      const has = [20, 36].map((size) => {
        const said = answerLight(new Snapshot(on.store.db, on.rules), {
          tag: "GPF",
          request: 1,
          of: new Uint8Array(size)
        })
        return said.tag === "PRF" && said.proof.length > 0
      })
      expect(has).toEqual([length === 20, length === 36])
    }
  })
})
