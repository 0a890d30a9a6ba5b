/** The simulated disk: what was synced is there whatever happens, a commit is all or nothing, and a full disk says so. */
import { afterEach, describe, expect, test } from "bun:test"
import { specOf, transfer } from "../../test/fixtures.ts"
import { makeRules } from "../chain/rules.ts"
import { openDatabase } from "../store/db.ts"
import { insertPending, loadPending } from "../store/pending.ts"
import type { ChainStore } from "../store/store.ts"
import { nothingSigned } from "../validator/protection.ts"
import { type Choices, SeededChoices } from "./choices.ts"
import { PowerLoss, SimDisk } from "./disk.ts"

const rules = makeRules(specOf())
/** Transfers of one commit: several pages, many sectors. */
const rows = 40
const paid = Array.from({ length: 8 * rows }, (_, i) => transfer({ from: i % 4, to: 9, nonce: 1 + (i >> 2) }))

const disks: Array<SimDisk> = []
const diskOf = (choices: Choices, pragmas: ReadonlyArray<string> = []): SimDisk => {
  const disk = new SimDisk(rules, choices, (path) => {
    const db = openDatabase(path)
    for (const pragma of pragmas) db.run(`PRAGMA ${pragma}`)
    return db
  })
  disks.push(disk)
  return disk
}
afterEach(() => {
  for (const disk of disks.splice(0)) disk.remove()
})

/** What an odd commit writes: not to the pages that even ones write to. */
const value = (i: number): Uint8Array => new Uint8Array(10_000).fill(i)

/** The i-th commit. */
const commit = (store: ChainStore, i: number): void =>
  store.decide(() => {
    if (i % 2 === 0) insertPending(store.db, paid.slice(i * rows, (i + 1) * rows), i)
    else store.db.run("INSERT INTO meta (key, value) VALUES (?, ?)", [`commit ${i}`, value(i)])
  })

/** Commits that the disk has now, as a process finds them that starts on it; fails if one is there in part, or one is left out. */
const found = (disk: SimDisk): number => {
  const { store } = disk.open()
  const pending = loadPending(store.db).length
  const values = store.db.query<{ key: string; value: Uint8Array }, []>("SELECT * FROM meta WHERE key LIKE 'commit %'").all()
  for (const row of values) expect(row.value).toEqual(value(Number(row.key.slice(7))))
  const commits = pending / rows + values.length
  expect([store.damage(), pending / rows, values.length]).toEqual([undefined, Math.ceil(commits / 2), Math.floor(commits / 2)])
  disk.lose(false)
  return commits
}

/** Pragmas under which the log is never folded in, now and then, with every commit. */
const folding: ReadonlyArray<ReadonlyArray<string>> = [[], ["wal_autocheckpoint = 16"], ["wal_autocheckpoint = 1"]]

describe("a store that syncs at every commit", () => {
  test("has a commit in which the power went wholly or not at all, and every one before it", () => {
    const outcomes = [0, 0]
    for (let seed = 0; seed < 200; seed++) {
      const disk = diskOf(new SeededChoices(seed), folding[seed % 3])
      const { store } = disk.open()
      const last = 1 + (seed % 5)
      for (let i = 0; i < last; i++) commit(store, i)
      let down = 0
      disk.tearNext(() => void down++)
      expect(() => commit(store, last)).toThrow(PowerLoss)
      expect([down, disk.tearing]).toEqual([1, false])
      const commits = found(disk)
      expect([last, last + 1]).toContain(commits)
      outcomes[commits - last]!++
      disk.remove()
    }
    expect(Math.min(...outcomes)).toBeGreaterThan(20)
  }, 30_000)

  test("loses nothing when its process is killed or the power goes between two commits", () => {
    for (const power of [false, true]) {
      for (let seed = 0; seed < 20; seed++) {
        const disk = diskOf(new SeededChoices(seed), folding[seed % 3])
        const { store } = disk.open()
        for (let i = 0; i < 4; i++) commit(store, i)
        disk.lose(power)
        expect(found(disk)).toBe(4)
      }
    }
  })

  test("goes on after a loss, over and over", () => {
    const disk = diskOf(new SeededChoices(7), folding[1])
    for (let i = 0; i < 8; i++) {
      const { store } = disk.open()
      disk.tearNext(() => {})
      expect(() => commit(store, i)).toThrow(PowerLoss)
      if (found(disk) === i) {
        const { store: next } = disk.open()
        commit(next, i)
        disk.lose(true)
      }
      expect(found(disk)).toBe(i + 1)
    }
  })
})

describe("a store that asks for less than FULL", () => {
  const losses = (power: boolean, more: ReadonlyArray<string> = []) =>
    Array.from({ length: 60 }, (_, seed) => {
      const disk = diskOf(new SeededChoices(seed), ["synchronous = NORMAL", ...more])
      const { store } = disk.open()
      for (let i = 0; i < 5; i++) commit(store, i)
      disk.lose(power)
      const commits = found(disk)
      disk.remove()
      return 5 - commits
    })

  test("may lose its last commits with the power, and none with its process", () => {
    const lost = losses(true)
    expect([Math.min(...lost), Math.max(...lost), new Set(lost).size > 3]).toEqual([0, 5, true])
    expect(new Set(losses(false))).toEqual(new Set([0]))
  })

  test("keeps what was folded into the database", () => {
    expect(Math.max(...losses(true, ["wal_autocheckpoint = 1"]))).toBe(0)
  })
})

test("a full disk refuses a commit whole, also after a restart, until there is room again", () => {
  const disk = diskOf(new SeededChoices(1))
  const { store } = disk.open()
  commit(store, 0)
  disk.fill(true)
  const refused = expect.objectContaining({ code: "SQLITE_FULL" })
  expect(() => commit(store, 1)).toThrow(refused)
  disk.lose(false)
  expect(found(disk)).toBe(1)
  const { store: next } = disk.open()
  expect(() => commit(next, 1)).toThrow(refused)
  disk.fill(false)
  commit(next, 1)
  disk.lose(true)
  expect(found(disk)).toBe(2)
})

test("a machine that is off writes nothing more", () => {
  const disk = diskOf(new SeededChoices(1))
  const { store } = disk.open()
  commit(store, 0)
  disk.lose(true)
  expect(() => commit(store, 1)).toThrow(PowerLoss)
  expect([found(disk), disk.commits > 1]).toEqual([1, true])
})

test("the book of what a key has signed is on disk when it says so, and a power loss in it is no signature", () => {
  const seen = new Set<number>()
  for (let seed = 0; seed < 20; seed++) {
    const disk = diskOf(new SeededChoices(seed))
    disk.open()
    disk.book.save({ ...nothingSigned, slot: 4 })
    disk.lose(true)
    expect(() => disk.book.save({ ...nothingSigned, slot: 5 })).toThrow(PowerLoss)
    disk.open()
    expect(disk.book.load().slot).toBe(4)
    let offs = 0
    disk.tearNext(() => offs++)
    expect(() => disk.book.save({ ...nothingSigned, slot: 6 })).toThrow(PowerLoss)
    expect([offs, disk.tearing]).toEqual([1, false])
    seen.add(disk.book.load().slot)
    disk.open()
    disk.fill(true)
    expect(() => disk.book.save({ ...nothingSigned, slot: 7 })).toThrow("no room")
  }
  expect([...seen].sort()).toEqual([4, 6])
})
