/** Long files on a real disk: pieces in, pieces out, and nothing under the name before it is whole. */
import { afterAll, expect, test } from "bun:test"
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import type { FileFault } from "./files.ts"
import { FileReader, FileWriter, install } from "./stream.ts"

const folder = mkdtempSync(join(tmpdir(), "cairn-stream-"))
afterAll(() => rmSync(folder, { recursive: true }))
const bytes = Uint8Array.from({ length: 1000 }, (_, i) => i & 255)

test("a file has its name when it is committed, and leaves nothing when it is abandoned", () => {
  const path = join(folder, "deep", "whole")
  const out = new FileWriter(path)
  out.write(bytes.subarray(0, 600))
  expect(existsSync(path)).toBe(false)
  out.write(bytes.subarray(600))
  out.commit()
  expect(new Uint8Array(readFileSync(path))).toEqual(bytes)
  const other = new FileWriter(join(folder, "deep", "other"))
  other.write(bytes)
  other.abandon()
  expect(readdirSync(join(folder, "deep"))).toEqual(["whole"])
})

test("a file is read in pieces; the last is as long as there is", () => {
  const path = join(folder, "read")
  writeFileSync(path, bytes)
  const file = new FileReader(path)
  expect([file.read(0), file.read(300), file.read(300)]).toEqual([
    new Uint8Array(0),
    bytes.slice(0, 300),
    bytes.slice(300, 600)
  ])
  expect([file.read(1000), file.read(1)]).toEqual([bytes.slice(600), new Uint8Array(0)])
  file.close()
})

test("a finished file is moved to its place", () => {
  writeFileSync(join(folder, "from"), bytes)
  install(join(folder, "from"), join(folder, "to"))
  expect([existsSync(join(folder, "from")), readFileSync(join(folder, "to")).length]).toEqual([false, 1000])
})

test("what the system refuses is a FileFault", () => {
  const code = (f: () => unknown): string => {
    try {
      f()
      return "done"
    } catch (error) {
      return (error as FileFault).code
    }
  }
  expect(code(() => new FileReader(join(folder, "absent")))).toBe("file-missing")
  expect(code(() => new FileReader(folder).read(1))).toBe("file-failed")
  writeFileSync(join(folder, "file"), "")
  expect(code(() => new FileWriter(join(folder, "file", "below")))).toBe("file-failed")
  expect(code(() => install(join(folder, "absent"), join(folder, "there")))).toBe("file-missing")
})
