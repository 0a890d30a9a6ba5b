/** The end of a file is replaced, and only the end. */
import { expect, test } from "bun:test"
import { mkdtempSync, readFileSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { PatchFile } from "./patch.ts"

test("bytes from an offset on are others, shorter or longer, and are there when it is opened again", () => {
  const folder = mkdtempSync(join(tmpdir(), "cairn-patch-"))
  const path = join(folder, "new", "rows")
  const text = (file: PatchFile, most = 1000): string => new TextDecoder().decode(file.read(most))
  const bytes = (content: string): Uint8Array => new TextEncoder().encode(content)
  const file = new PatchFile(path)
  expect(text(file)).toBe("")
  file.replaceFrom(0, bytes("abcdefgh"))
  file.replaceFrom(3, bytes("XY"))
  expect([text(file), text(file, 2)]).toEqual(["abcXY", "ab"])
  file.replaceFrom(5, bytes("longer"))
  file.close()
  const again = new PatchFile(path)
  expect([text(again), readFileSync(path, "utf8")]).toEqual(["abcXYlonger", "abcXYlonger"])
  again.close()
  rmSync(folder, { recursive: true })
})
