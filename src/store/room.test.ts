/** A real database that may not grow: what a writer hears, how long it waits, what is left of what it tried. */
import { expect, test } from "bun:test"
import { Result } from "effect"
import { diskRetryMs, diskRetryMsMax } from "../limits.ts"
import { openDatabase } from "./db.ts"
import { DiskRoom } from "./room.ts"

const makeFull = () => {
  const db = openDatabase(":memory:")
  const grow = (pages: number): void => void db.run(`PRAGMA max_page_count = ${pages}`)
  grow((db.query("PRAGMA page_count").get() as { readonly page_count: number }).page_count)
  const write = (): void =>
    db
      .transaction(() => {
        for (let i = 0; i < 200; i++)
          db.run("INSERT INTO meta (key, value) VALUES (?, ?)", [`k${i}`, new Uint8Array(500)])
      })
      .immediate()
  const rows = (): number => (db.query("SELECT COUNT(*) AS n FROM meta").get() as { readonly n: number }).n
  return { grow, write, rows }
}

test("a write without room leaves nothing, waits twice as long each time, and works when there is room", () => {
  const room = new DiskRoom()
  const { grow, write, rows } = makeFull()
  let now = 1_000
  const waits: Array<number> = []
  for (let tries = 0; tries < 8; tries++) {
    const done = room.try("chain", now, write)
    if (Result.isSuccess(done)) throw new Error("it was to be full")
    expect(done.failure.first).toBe(tries === 0)
    waits.push(done.failure.retryMs)
    expect([room.isWaiting("chain", now), room.isWaiting("chain", now + done.failure.retryMs)]).toEqual([true, false])
    expect([room.isWaiting("mempool", now), room.lacking(now)]).toEqual([false, ["chain"]])
    now += done.failure.retryMs
  }
  expect(waits.slice(0, 3)).toEqual([diskRetryMs, 2 * diskRetryMs, 4 * diskRetryMs])
  expect([waits.at(-1), rows()]).toEqual([diskRetryMsMax, 0])
  grow(1_000_000)
  expect(Result.isSuccess(room.try("chain", now, write))).toBe(true)
  expect([rows(), room.isWaiting("chain", now), room.lacking(now)]).toEqual([200, false, []])
})

test("who has not tried again for long is not said to lack room; any other error passes as it is", () => {
  const room = new DiskRoom()
  room.try("mempool", 0, makeFull().write)
  expect([room.lacking(diskRetryMs), room.lacking(diskRetryMs + 1_000)]).toEqual([["mempool"], []])
  expect(() =>
    room.try("mempool", 0, () => {
      throw new Error("a bug")
    })
  ).toThrow("a bug")
})

test("a disk that is read-only is waited for as a full one, and says which it is; a flush that failed is not waited for", () => {
  const room = new DiskRoom()
  const db = openDatabase(":memory:")
  const write = () => db.run("INSERT OR REPLACE INTO meta (key, value) VALUES ('k', 1)")
  db.run("PRAGMA query_only = 1")
  expect(room.try("chain", 0, write)).toMatchObject({ failure: { code: "storage-read-only", first: true } })
  expect(room.fault(0)).toMatchObject({ code: "storage-read-only", message: expect.stringContaining("chain") })
  room.try("mempool", 0, makeFull().write)
  expect([room.faultOf("mempool"), room.fault(0)?.code]).toEqual(["disk-full", "storage-read-only"])
  db.run("PRAGMA query_only = 0")
  expect(Result.isSuccess(room.try("chain", diskRetryMs, write))).toBe(true)
  expect(room.fault(diskRetryMs)?.code).toBe("disk-full")
  const failing = (code: string) => () =>
    room.try("chain", 0, () => Result.getOrThrow(Result.fail(Object.assign(new Error(code), { code }))))
  for (const code of ["SQLITE_IOERR_WRITE", "SQLITE_CANTOPEN", "SQLITE_READONLY_DBMOVED"])
    expect(failing(code)).not.toThrow()
  for (const code of ["SQLITE_IOERR_FSYNC", "SQLITE_CORRUPT", "SQLITE_CONSTRAINT"]) expect(failing(code)).toThrow()
})
