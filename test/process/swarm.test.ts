/** Simulations with the built binary: every run that ever failed, a fixed swarm that must reach every rare path, and seeds that nobody has seen. */
import { afterAll, expect, test } from "bun:test"
import { readFileSync } from "node:fs"
import { join } from "node:path"
import { folder, run } from "./binary.ts"

const home = folder()
afterAll(home.remove)

const lines = readFileSync(join(import.meta.dir, "../sim/seeds.txt"), "utf8")
  .split("\n")
  .map((line) => line.replace(/#.*/, "").trim())
  .filter((line) => line !== "")

/** The last line of a command's output, which is its table. */
const tableOf = (output: string): Readonly<Record<string, unknown>> => {
  const rows = output.trim().split("\n").map((line) => JSON.parse(line) as Readonly<Record<string, unknown>>)
  return rows.find((row) => "virtual_ms" in row)!
}

test.each(lines)("cairn sim %s", async (flags) => {
  const { code, out, err } = await run("sim", ...flags.split(/\s+/), "--quiet", "--out", home.path)
  expect([code, code === 0 ? "" : err]).toEqual([0, ""])
  expect(tableOf(out)).toMatchObject(flags.includes("--swarm") ? { failed: [] } : { failure: null })
}, 300_000)

test("a fixed swarm holds, and reaches every rare path", async () => {
  const { code, out, err } = await run("sim", "--swarm", "100", "--hours", "0.25", "--reach", "--out", home.path)
  expect([code, code === 0 ? "" : err]).toEqual([0, ""])
  expect(tableOf(out)).toMatchObject({ runs: 100, failed: [], unreached: [] })
}, 900_000)

test("seeds of this commit hold, and are the same run twice", async () => {
  const { stdout: head } = Bun.spawnSync(["git", "rev-parse", "HEAD"], { cwd: import.meta.dir, stderr: "ignore" })
  const from = Number.parseInt(head.toString().slice(0, 7), 16) || 1_000_000
  const { code, out, err } = await run(
    ...["sim", "--swarm", "20", "--seed", String(from), "--hours", "0.2", "--twice", "--out", home.path]
  )
  expect([from, code, code === 0 ? "" : err]).toEqual([from, 0, ""])
  expect(tableOf(out)).toMatchObject({ runs: 20, failed: [] })
}, 600_000)
