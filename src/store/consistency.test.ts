/** A store that was damaged while nobody looked is refused when it is opened, with what is wrong. */
import { afterAll, expect, test } from "bun:test"
import { mkdtempSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { specOf, TestChain, transfer } from "../../test/fixtures.ts"
import { openDatabase, openReadonly, type StoreFault } from "./db.ts"
import { lockFolder } from "./lock.ts"
import { Snapshot } from "./snapshot.ts"
import { ChainStore } from "./store.ts"

const folder = mkdtempSync(join(tmpdir(), "cairn-consistency-"))
afterAll(() => rmSync(folder, { recursive: true }))

const faultOf = (f: () => unknown): Pick<StoreFault, "code" | "message"> | undefined => {
  try {
    f()
  } catch (error) {
    return error as StoreFault
  }
  return undefined
}

const top = "(SELECT n FROM best WHERE height = 3)"

test.each([
  ["nothing", "SELECT 1", undefined],
  ["the tip", "DELETE FROM best", "no tip"],
  ["the tip's header", `DELETE FROM headers WHERE n = ${top}`, "height 3 has no header"],
  ["the hash of the tip's header", `UPDATE headers SET hash = zeroblob(32) WHERE n = ${top}`, "height 3 has no header"],
  ["the tip's body", `DELETE FROM bodies WHERE n = ${top}`, "height 3 has no body or no undo"],
  ["the tip's undo record", `DELETE FROM undos WHERE n = ${top}`, "height 3 has no body or no undo"],
  ["a block below the tip", "DELETE FROM best WHERE height = 1", "height 2 does not build on the one below"],
  ["a block of another branch", `UPDATE best SET n = ${top} WHERE height = 2`, "height 2 does not build"],
  ["the last block's row", "DELETE FROM best WHERE height = 3", "the state tree is not the one of the tip"],
  ["a page of the state tree", "DELETE FROM pages WHERE name = ''", "the state tree is not the one of the tip"],
  ["an entry", "DELETE FROM state WHERE key = (SELECT key FROM state WHERE units > 0 LIMIT 1)", "units"],
  ["a unit", "UPDATE state SET units = units + 1 WHERE key = (SELECT key FROM state LIMIT 1)", "units"]
])("a store that lost %s", (what, sql, wrong) => {
  const path = join(folder, `${what}.db`)
  const chain = new TestChain(specOf(), path)
  chain.mine(3, [transfer({ from: 0, to: 1, nonce: 1 })])
  chain.store.db.run(sql)
  chain.store.close()
  const fault = faultOf(() => new ChainStore(openDatabase(path), chain.rules).close())
  expect(fault?.code).toBe(wrong === undefined ? undefined : ("store-corrupt" as const))
  if (wrong !== undefined) expect(fault?.message).toContain(wrong)
})

test("a file that is no database is refused as damaged; a place where none can be, as unusable", () => {
  const path = join(folder, "letter.db")
  writeFileSync(path, "Dear Sir or Madam, ".repeat(500))
  expect(faultOf(() => openDatabase(path))?.code).toBe("store-corrupt")
  expect(faultOf(() => openDatabase(folder))?.code).toBe("store-unusable")
  expect(faultOf(() => lockFolder(join(folder, "not-there")))?.code).toBe("store-unusable")
})

test("pages of addresses by units miss none and repeat none, though many hold the same", () => {
  const path = join(folder, "pages.db")
  const chain = new TestChain(specOf({ accounts: 40, balance: 5 }), path)
  chain.mine(2)
  const snapshot = new Snapshot(openReadonly(path), chain.rules)
  const all = snapshot.addressesByUnits(undefined, 100)
  expect(all.map(({ units }) => units)).toEqual([2000, ...Array.from({ length: 40 }, () => 5)])
  const walked: Array<(typeof all)[number]> = []
  for (let i = 0; i < 6; i++) walked.push(...snapshot.addressesByUnits(walked.at(-1), 7))
  expect(walked).toEqual([...all])
  expect(snapshot.addressesByUnits(walked.at(-1), 7)).toEqual([])
  snapshot.close()
  chain.store.close()
})

test("all reads of one snapshot see one commit, whatever lands meanwhile", () => {
  const path = join(folder, "reads.db")
  const chain = new TestChain(specOf(), path)
  const snapshot = new Snapshot(openReadonly(path), chain.rules)
  const heights = snapshot.read(() => {
    const before = snapshot.tip().header.height
    chain.mine(2)
    return [before, snapshot.tip().header.height, snapshot.rowAt(1)?.header.height]
  })
  expect(heights as ReadonlyArray<unknown>).toStrictEqual([0, 0, undefined])
  expect(snapshot.tip().header.height as number).toBe(2)
  snapshot.close()
  chain.store.close()
})
