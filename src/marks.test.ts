/** Marks count what is reached, and each of them stands somewhere in the code. */
import { expect, test } from "bun:test"
import { readFileSync } from "node:fs"
import { join } from "node:path"
import { Glob } from "bun"
import { marks, marksReached, reached } from "./marks.ts"

test("a mark counts each time it is reached; a copy taken before stays as it was", () => {
  const before = marksReached()
  reached("disk-full")
  reached("disk-full")
  const after = marksReached()
  expect(after["disk-full"] - before["disk-full"]).toBe(2)
  expect({ ...after, "disk-full": 0 }).toEqual({ ...before, "disk-full": 0 })
})

test("every mark is set somewhere", () => {
  const root = join(import.meta.dir, "..")
  const files = [...new Glob("{src,actors}/**/*.ts").scanSync(root)].filter(
    (file) => !file.endsWith(".test.ts") && file !== "src/marks.ts"
  )
  const code = files.map((file) => readFileSync(join(root, file), "utf8")).filter((text) => text.includes("reached("))
  expect(Object.keys(marks).filter((mark) => !code.some((text) => text.includes(`"${mark}"`)))).toEqual([])
})
