/** Files on a real disk: bounds count bytes read, a write is whole or leaves nothing, secrets are never readable by others. */
import { afterAll, expect, test } from "bun:test"
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { FileFault, readBytes, readText, writeFile } from "./files.ts"

const folder = mkdtempSync(join(tmpdir(), "cairn-files-"))
afterAll(() => rmSync(folder, { recursive: true }))

const codeOf = (f: () => unknown): string | undefined => {
  try {
    f()
    return undefined
  } catch (error) {
    return error instanceof FileFault ? error.code : String(error)
  }
}

test("a file of exactly the bound is read, one of a byte more is refused", () => {
  const path = join(folder, "bound")
  writeFile(path, "x".repeat(100))
  expect(readBytes(path, 100).length).toBe(100)
  expect(codeOf(() => readBytes(path, 99))).toBe("file-too-large")
})

test.skipIf(process.platform !== "linux")("a file that hides its size is read no further than the bound", () => {
  expect(statSync("/proc/self/status").size).toBe(0)
  expect(codeOf(() => readBytes("/proc/self/status", 10))).toBe("file-too-large")
  expect(codeOf(() => readBytes("/dev/zero", 1000))).toBe("file-too-large")
})

test("what the system refuses is a fault with a code", () => {
  expect(codeOf(() => readBytes(join(folder, "nothing"), 10))).toBe("file-missing")
  expect(codeOf(() => readBytes(folder, 10))).toBe("file-failed")
})

test("text comes back as it was written, over a file that was there", () => {
  const path = join(folder, "new", "text")
  for (const text of ["", "first ☃", "second"]) {
    writeFile(path, text)
    expect(readText(path, 100)).toBe(text)
  }
  expect(readdirSync(join(folder, "new"))).toEqual(["text"])
})

test("a secret has its mode, also over what a killed process of the same id has left", () => {
  const path = join(folder, "secret")
  writeFileSync(join(folder, `.${process.pid}-secret.tmp`), "left over", { mode: 0o666 })
  writeFile(path, "key", 0o600)
  expect([statSync(path).mode & 0o777, readFileSync(path, "utf8")]).toEqual([0o600, "key"])
})

test("a write that fails leaves no file behind", () => {
  const within = join(folder, "taken")
  mkdirSync(join(within, "name"), { recursive: true })
  expect(codeOf(() => writeFile(join(within, "name"), "x"))).toBe("file-failed")
  expect(readdirSync(within)).toEqual(["name"])
})
