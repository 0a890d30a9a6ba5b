/** The lock of a data folder holds until it is released or its process is gone: test/process/store-crash.test.ts kills one. */
import { afterAll, expect, test } from "bun:test"
import { mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { lockFolder } from "./lock.ts"

const folder = mkdtempSync(join(tmpdir(), "cairn-lock-"))
afterAll(() => rmSync(folder, { recursive: true }))

const collectGarbage = async (): Promise<void> => {
  for (let i = 0; i < 5; i++) {
    Bun.gc(true)
    await Promise.resolve()
  }
}

test("a lock that nobody refers to is still held: it is the process's, not a variable's", async () => {
  // A few dozen: the collector may spare the last ones by finding them on the stack.
  const folders = Array.from({ length: 32 }, () => mkdtempSync(join(folder, "held-")))
  for (const one of folders) lockFolder(one)
  await collectGarbage()
  for (const one of folders) expect(() => lockFolder(one)).toThrow(`(pid ${process.pid})`)
})
