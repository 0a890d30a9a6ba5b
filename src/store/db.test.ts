/** The database file: forward migrations, the lock, a failed decision that leaves nothing. */
import { afterAll, describe, expect, test } from "bun:test"
import { Database } from "bun:sqlite"
import { mkdirSync, mkdtempSync, readdirSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { specOf, TestChain, transfer } from "../../test/fixtures.ts"
import { makeRules } from "../chain/rules.ts"
import { BoundedCache } from "./cache.ts"
import { openDatabase, openReadonly, StoreFault } from "./db.ts"
import { lockFolder } from "./lock.ts"
import { PeerShelf } from "./peers.ts"
import { migrations } from "./schema.ts"
import { Snapshot } from "./snapshot.ts"
import { ChainStore } from "./store.ts"

const folder = mkdtempSync(join(tmpdir(), "cairn-store-"))
afterAll(() => rmSync(folder, { recursive: true, force: true }))

const codeOf = (f: () => unknown): string => {
  try {
    f()
    return "nothing"
  } catch (error) {
    return error instanceof StoreFault ? error.code : String(error)
  }
}

test("a folder is one process's at a time, and free again when it is released", () => {
  const lock = lockFolder(folder)
  const script = `import { lockFolder } from ${JSON.stringify(join(import.meta.dir, "lock.ts"))}
    try { lockFolder(${JSON.stringify(folder)}) } catch (e) { console.log(e.code, e.message) }`
  const other = Bun.spawnSync(["bun", "-e", script])
  expect(other.stdout.toString()).toContain(`data-folder-locked Another process (pid ${process.pid})`)
  lock.release()
  lockFolder(folder).release()
})

test("an older database is brought forward step by step, a newer one is refused", () => {
  const path = join(folder, "old.db")
  const db = openDatabase(path)
  expect((db.query("PRAGMA user_version").get() as { user_version: number }).user_version).toBe(migrations.length)
  db.run(`PRAGMA user_version = ${migrations.length + 1}`)
  db.close()
  expect(codeOf(() => openDatabase(path))).toBe("schema-newer")
})

test("a database of one chain is refused to another", () => {
  const path = join(folder, "chain.db")
  new ChainStore(openDatabase(path), makeRules(specOf())).close()
  expect(codeOf(() => new ChainStore(openDatabase(path), makeRules(specOf({ chainId: "other" }))))).toBe(
    "chain-mismatch"
  )
})

test("a store whose state is not its tip's is refused when it is opened", () => {
  const path = join(folder, "broken.db")
  const chain = new TestChain(specOf(), path)
  chain.mine(2)
  chain.store.db.run("DELETE FROM pages WHERE name = ''")
  chain.store.close()
  expect(codeOf(() => new ChainStore(openDatabase(path), chain.rules))).toBe("store-corrupt")
})

describe("a migration", () => {
  const steps = (count: number) => Array.from({ length: count }, (_, i) => [`CREATE TABLE t${i} (n INTEGER)`])
  const tables = (path: string): number => {
    const db = new Database(path, { readonly: true })
    const { n } = db.query("SELECT COUNT(*) AS n FROM sqlite_schema WHERE type = 'table'").get() as { n: number }
    db.close()
    return n
  }
  const copies = (): ReadonlyArray<string> => readdirSync(folder).filter((name) => name.startsWith("step.db."))

  test("keeps what was there before its first step, until the next one; a new database needs no copy", () => {
    const path = join(folder, "step.db")
    openDatabase(path, steps(2)).close()
    openDatabase(path, steps(2)).close()
    expect(copies()).toEqual([])
    openDatabase(path, steps(4)).close()
    expect([copies(), tables(path), tables(join(folder, "step.db.before-schema-3"))]).toEqual([
      ["step.db.before-schema-3"],
      4,
      2
    ])
    openDatabase(path, steps(5)).close()
    expect([copies(), tables(join(folder, "step.db.before-schema-5"))]).toEqual([["step.db.before-schema-5"], 4])
  })

  test("that fails leaves the old schema; a later try copies what is there then", () => {
    const path = join(folder, "torn.db")
    openDatabase(path, steps(2)).close()
    const bad = [...steps(3), ["CREATE TABLE"]]
    expect(() => openDatabase(path, bad)).toThrow()
    expect([tables(path), tables(`${path}.before-schema-3`)]).toEqual([2, 2])
    const old = openDatabase(path, steps(2))
    old.run("INSERT INTO t0 VALUES (5)")
    old.close()
    openDatabase(path, steps(3)).close()
    const copy = new Database(`${path}.before-schema-3`, { readonly: true })
    expect(copy.query("SELECT n FROM t0").all()).toEqual([{ n: 5 }])
    copy.close()
    expect([tables(path), tables(`${path}.before-schema-3`)]).toEqual([3, 2])
  })

  test("without room for the copy does not begin", () => {
    const path = join(folder, "full.db")
    openDatabase(path, steps(2)).close()
    mkdirSync(`${path}.before-schema-3.partial`)
    expect(() => openDatabase(path, steps(3))).toThrow()
    expect(tables(path)).toBe(2)
  })
})

describe("a decision", () => {
  test("that fails leaves disk and memory as they were", () => {
    const chain = new TestChain()
    chain.mine(2, [transfer({ from: 0, to: 1, nonce: 1 })])
    const before = chain.dump()
    const block = chain.next([transfer({ from: 0, to: 1, nonce: 2 })])
    expect(() =>
      chain.store.decide(() => {
        chain.store.saveHeaders([chain.rowFor(block)])
        chain.store.saveBody(block)
        throw new Error("planted")
      })
    ).toThrow("planted")
    expect(chain.store.find(block.header.id)).toBeUndefined()
    expect(chain.dump()).toBe(before)
    expect(chain.take(block)).toBeUndefined()
  })

  test("is seen by readers whole, after it is committed", () => {
    const path = join(folder, "readers.db")
    const chain = new TestChain(specOf(), path)
    const reader = new Snapshot(openReadonly(path), chain.rules)
    const paid = transfer({ from: 0, to: 1, nonce: 1 })
    const block = chain.next([paid])
    chain.store.decide(() => {
      chain.take(block)
      expect(reader.tip().header.height as number).toBe(0)
    })
    expect(reader.tip().header.id).toBe(block.header.id)
    expect(reader.place(paid.id)).toEqual({ height: 1, position: 0 })
    expect(reader.counts()).toMatchObject({ transactions: 1, value: 10 })
    const [first, ...rest] = reader.addressesByUnits(undefined, 100)
    expect(reader.addressesByUnits(first, 100)).toEqual(rest)
    reader.close()
    chain.store.close()
  })
})

test("rows of the peer book are kept over a restart, and only those that changed are written", () => {
  const db = openDatabase(":memory:")
  const written = (): number => db.query<{ n: number }, []>("SELECT total_changes() AS n").get()!.n
  const rows = new Map<string, unknown>([
    ["node1x", { score: 3 }],
    ["@a:1", { table: "new" }],
    ["#key", "ab"]
  ])
  const shelf = new PeerShelf(db)
  shelf.save(rows)
  const before = written()
  shelf.save(new Map(rows).set("node1x", { score: 4 }))
  expect(written() - before).toBe(1)
  shelf.save(new Map([["node1x", { score: 4 }]]))
  expect([...new PeerShelf(db).load()]).toEqual([["node1x", { score: 4 }]])
  new PeerShelf(db).save(new Map())
  expect(new PeerShelf(db).load().size).toBe(0)
})

test("a bounded cache keeps what is used and never more than its bound", () => {
  const cache = new BoundedCache<number>(10)
  cache.set("used", 1)
  for (let i = 0; i < 100; i++) {
    cache.set(`k${i}`, i)
    expect(cache.get("used")).toBe(1)
  }
  expect(
    Array.from({ length: 100 }, (_, i) => cache.get(`k${i}`)).filter((value) => value !== undefined).length
  ).toBeLessThanOrEqual(10)
  cache.clear()
  expect(cache.get("used")).toBeUndefined()
})
