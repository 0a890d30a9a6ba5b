/** One list of demands for every datastore, and what only a file can show: it is there after a restart, and a bad one is a fault. */
import { afterEach, describe, expect, test } from "bun:test"
import { mkdtempSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { utf8 } from "../codec/bytes.ts"
import {
  type Datastore,
  type DatastoreChange,
  datastoreKeyLengthMax,
  datastoreQueryRowsMax,
  datastoreValueBytesMax,
  makeMemoryDatastore
} from "../host/datastore.ts"
import { Libp2pFault } from "../libp2p/fault.ts"
import { makeDice } from "../sim/dice.ts"
import { makeSqliteDatastore } from "./datastore.ts"

const faultOf = (run: () => unknown): Libp2pFault => {
  try {
    run()
  } catch (error) {
    expect(error).toBeInstanceOf(Libp2pFault)
    return error as Libp2pFault
  }
  throw new Error("nothing was thrown")
}
const folders: Array<string> = []
afterEach(() => {
  for (const folder of folders.splice(0)) rmSync(folder, { recursive: true, force: true })
})
const fileIn = (): string => {
  const folder = mkdtempSync(join(tmpdir(), "cairn-datastore-"))
  folders.push(folder)
  return join(folder, "libp2p.db")
}
const keysOf = (store: Datastore, query: Parameters<Datastore["query"]>[0] = {}): ReadonlyArray<string> =>
  store.query(query).map(({ key }) => key)

describe.each([
  ["in memory", (now: () => number) => makeMemoryDatastore(now)],
  ["SQLite", (now: () => number) => makeSqliteDatastore(":memory:", now)]
])("a datastore: %s", (_, make) => {
  const clock = { now: 1_000 }
  const fresh = (): Datastore => make(() => clock.now)

  test("gives what was put, the last one, and nothing that was deleted", () => {
    const store = fresh()
    expect(store.get("/a")).toBeUndefined()
    store.put("/a", utf8("one"))
    store.put("/a", utf8("two"))
    store.put("/empty", new Uint8Array(0))
    expect(store.get("/a")).toEqual(utf8("two"))
    expect(store.get("/empty")).toEqual(new Uint8Array(0))
    store.delete("/a")
    store.delete("/never")
    expect(store.get("/a")).toBeUndefined()
    expect(keysOf(store)).toEqual(["/empty"])
  })

  test("shares no memory with those who put and get", () => {
    const store = fresh()
    const mine = utf8("mine")
    store.put("/a", mine)
    mine.fill(0)
    store.get("/a")!.fill(0)
    store.query()[0]!.value.fill(0)
    expect(store.get("/a")).toEqual(utf8("mine"))
  })

  test("queries by prefix, in the order of keys, with limit and offset and with keys only", () => {
    const store = fresh()
    for (const key of ["/b/2", "/a", "/b/1", "/b/10", "/b~", "/b", "/c"]) store.put(key, utf8(key))
    expect(keysOf(store)).toEqual(["/a", "/b", "/b/1", "/b/10", "/b/2", "/b~", "/c"])
    expect(store.query({ prefix: "/b/" })).toEqual(["/b/1", "/b/10", "/b/2"].map((key) => ({ key, value: utf8(key) })))
    expect(keysOf(store, { prefix: "/b", limit: 2, offset: 1 })).toEqual(["/b/1", "/b/10"])
    expect(keysOf(store, { offset: 7 })).toEqual([])
    expect(keysOf(store, { limit: 0 })).toEqual([])
    expect(store.query({ prefix: "/a", keysOnly: true })).toEqual([{ key: "/a", value: new Uint8Array(0) }])
  })

  test("one query gives so many rows and no more", () => {
    const store = fresh()
    store.batch(Array.from({ length: datastoreQueryRowsMax + 5 }, (_, at) => ({ key: `/${at}`, value: utf8("v") })))
    expect(store.query({ limit: 1_000_000 }).length).toBe(datastoreQueryRowsMax)
    expect(store.query({ offset: datastoreQueryRowsMax }).length).toBe(5)
  })

  test("a row with a time to live is there until it has passed, and a later put without one stays", () => {
    const store = fresh()
    clock.now = 1_000.25
    store.put("/short", utf8("s"), { ttl: 10 })
    store.put("/kept", utf8("k"), { ttl: 10 })
    store.put("/kept", utf8("k"))
    clock.now += 9
    expect(keysOf(store)).toEqual(["/kept", "/short"])
    expect(store.sweep()).toBe(0)
    clock.now += 1
    expect(store.get("/short")).toBeUndefined()
    expect(keysOf(store)).toEqual(["/kept"])
    expect(store.sweep()).toBe(1)
    expect(store.sweep()).toBe(0)
  })

  test("a batch is applied in its order, or not at all", () => {
    const store = fresh()
    store.put("/a", utf8("a"))
    store.batch([
      { key: "/a", value: undefined },
      { key: "/b", value: utf8("1") },
      { key: "/b", value: utf8("2"), ttl: 5 }
    ])
    expect(store.query()).toEqual([{ key: "/b", value: utf8("2") }])
    const bad: ReadonlyArray<DatastoreChange> = [
      { key: "/c", value: utf8("c") },
      { key: "no path", value: utf8("d") }
    ]
    expect(faultOf(() => store.batch(bad)).kind).toBe("input")
    expect(keysOf(store)).toEqual(["/b"])
  })

  test.each([
    ["a key that is no path", (store: Datastore) => store.put("a", utf8("v"))],
    ["a key with a blank", (store: Datastore) => store.get("/a b")],
    ["a key of other letters", (store: Datastore) => store.delete("/ä")],
    ["a key that is too long", (store: Datastore) => store.get(`/${"k".repeat(datastoreKeyLengthMax)}`)],
    ["a value that is too long", (store: Datastore) => store.put("/a", new Uint8Array(datastoreValueBytesMax + 1))],
    ["no time to live", (store: Datastore) => store.put("/a", utf8("v"), { ttl: 0 })],
    ["half a millisecond", (store: Datastore) => store.put("/a", utf8("v"), { ttl: 0.5 })],
    ["a negative offset", (store: Datastore) => store.query({ offset: -1 })],
    ["no limit", (store: Datastore) => store.query({ limit: Number.NaN })],
    ["a prefix of other letters", (store: Datastore) => store.query({ prefix: "/ä" })]
  ])("refuses %s", (_case, run) => {
    const store = fresh()
    expect(faultOf(() => run(store))).toMatchObject({ kind: "input", name: "InvalidParametersError" })
    expect(store.query()).toEqual([])
  })

  test("the longest key and value go in", () => {
    const store = fresh()
    const key = `/${"k".repeat(datastoreKeyLengthMax - 1)}`
    store.put(key, new Uint8Array(datastoreValueBytesMax))
    expect(store.get(key)?.length).toBe(datastoreValueBytesMax)
  })

  test("closed, it does nothing, and closing again is no fault", () => {
    const store = fresh()
    store.close()
    store.close()
    const calls = [() => store.get("/a"), () => store.put("/a", utf8("")), () => store.query(), () => store.sweep()]
    for (const call of calls) expect(faultOf(call).kind).toBe("state")
  })

  test("does what a plain map does, over many random calls", () => {
    const dice = makeDice(7)
    const store = fresh()
    const model = new Map<string, Uint8Array>()
    for (let round = 0; round < 2_000; round++) {
      const key = `/${dice.pick(["a", "b"])}/${dice.int(20)}`
      const value = dice.chance(0.3) ? undefined : dice.bytes(dice.int(20))
      store.batch([{ key, value }])
      if (value === undefined) model.delete(key)
      else model.set(key, value)
      const prefix = dice.pick(["/", "/a", "/b/1"])
      const offset = dice.int(3)
      const limit = 1 + dice.int(30)
      const expected = [...model.keys()].filter((name) => name.startsWith(prefix)).sort()
      expect(keysOf(store, { prefix, offset, limit })).toEqual(expected.slice(offset, offset + limit))
      expect(store.get(key)).toEqual(model.get(key))
    }
  })
})

test("a datastore in memory that is full takes no new row, but changes of those it has, and room that has run out", () => {
  let now = 0
  const store = makeMemoryDatastore(() => now, { rowsMax: 2 })
  store.put("/a", utf8("a"))
  store.put("/b", utf8("b"), { ttl: 5 })
  store.put("/a", utf8("c"))
  expect(faultOf(() => store.put("/c", utf8("c")))).toMatchObject({ kind: "capacity" })
  now = 5
  store.put("/c", utf8("c"))
  expect(keysOf(store)).toEqual(["/a", "/c"])
})

describe("a datastore in a file", () => {
  test("is there after a restart, times to live too", () => {
    const path = fileIn()
    const first = makeSqliteDatastore(path, () => 0)
    first.put("/a", utf8("kept"))
    first.put("/b", utf8("short"), { ttl: 100 })
    first.close()
    const early = makeSqliteDatastore(path, () => 99)
    expect(keysOf(early)).toEqual(["/a", "/b"])
    early.close()
    const late = makeSqliteDatastore(path, () => 100)
    expect(late.query()).toEqual([{ key: "/a", value: utf8("kept") }])
    late.close()
  })

  test("that fails in the middle of a batch has nothing of it", () => {
    const store = makeSqliteDatastore(":memory:", () => 0)
    const changes = [
      { key: "/a", value: utf8("a") },
      { key: "/b", value: {} as unknown as Uint8Array }
    ]
    expect(faultOf(() => store.batch(changes)).kind).toBe("io")
    expect(store.query()).toEqual([])
  })

  test("that is something else, or cannot be made, is a fault of the world", () => {
    const path = fileIn()
    writeFileSync(path, "this is no database, but long enough to have the header of one that would be read")
    expect(faultOf(() => makeSqliteDatastore(path, () => 0)).kind).toBe("io")
    expect(faultOf(() => makeSqliteDatastore(join(path, "below", "a-file"), () => 0)).kind).toBe("io")
  })
})
