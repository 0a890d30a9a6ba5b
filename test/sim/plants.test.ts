/** Planted bugs stand where they are meant to: the sources have moved on, and a plant that no longer fits must say so. */
import { describe, expect, test } from "bun:test"
import { readFileSync } from "node:fs"
import { join } from "node:path"
import { faults } from "../../src/sim/plan.ts"
import { plantIn, plants } from "./plants.ts"

const sourceOf = (file: string): string => readFileSync(join(import.meta.dir, "../..", file), "utf8")
const transpiler = new Bun.Transpiler({ loader: "ts" })

describe.each(plants.map((plant) => [plant.name, plant] as const))("%s", (_, plant) => {
  const text = sourceOf(plant.file)

  test("its place is there once", () => {
    expect(text.split(plant.find).length - 1).toBe(1)
  })

  test("with it the file is another program, and still one", () => {
    const before = transpiler.transformSync(text)
    const after = transpiler.transformSync(plantIn(text, plant))
    expect(after).not.toBe(before)
  })
})

test("a place that is not there, or there twice, is not planted", () => {
  const plant = { ...plants[0]!, find: "let a" }
  expect(() => plantIn("let b", plant)).toThrow("stands 0 times")
  expect(() => plantIn("let a; let a", plant)).toThrow("stands 2 times")
})

test("every plant has a name and a change of its own, and asks for faults that there are", () => {
  expect(new Set(plants.map(({ name }) => name)).size).toBe(plants.length)
  expect(new Set(plants.map(({ file, find }) => `${file} ${find}`)).size).toBe(plants.length)
  for (const { needs } of plants) for (const fault of needs) expect(faults).toContain(fault)
  expect(plants.length).toBeGreaterThanOrEqual(10)
})
