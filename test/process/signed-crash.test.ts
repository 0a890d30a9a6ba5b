/** A process that signs is killed at instants of chance, and its file put back to an older state: no slot is ever signed twice. */
import { afterAll, expect, test } from "bun:test"
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { makeDice } from "../../src/sim/dice.ts"

const folder = mkdtempSync(join(tmpdir(), "cairn-signed-"))
afterAll(() => rmSync(folder, { recursive: true }))
const path = join(folder, "one.signed.json")
/** Longer than a process takes to start: so a restart falls into the slot that was signed last. */
const slotMs = 900

/** The slots that a process says it has signed until it is killed, so many milliseconds after the first. */
const runAndKill = async (moment: number): Promise<ReadonlyArray<number>> => {
  const child = Bun.spawn([process.execPath, join(import.meta.dir, "signed-writer.ts"), path, String(slotMs)], {
    stdout: "pipe",
    stderr: "inherit"
  })
  let text = ""
  let doomed = false
  for await (const chunk of child.stdout) {
    text += new TextDecoder().decode(chunk)
    if (doomed || !/\d\n/.test(text)) continue
    doomed = true
    setTimeout(() => child.kill("SIGKILL"), moment)
  }
  await child.exited
  expect(child.signalCode).toBe("SIGKILL")
  return text.split("\n").slice(1, -1).map(Number)
}

test("killed twelve times, with every third file from a backup, it never signs a slot twice", async () => {
  const dice = makeDice(23)
  const slots: Array<number> = []
  const backups: Array<string> = []
  for (let round = 0; round < 12; round++) {
    slots.push(...(await runAndKill(dice.int(20))))
    if (existsSync(path)) backups.push(readFileSync(path, "utf8"))
    if (round % 3 === 2) writeFileSync(path, dice.pick(backups))
  }
  expect(slots.length).toBeGreaterThanOrEqual(12)
  expect(new Set(slots).size).toBe(slots.length)
}, 60_000)
