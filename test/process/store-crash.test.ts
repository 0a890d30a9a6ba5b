/** A real process writing to a real disk is killed at ten instants of chance: what it said was kept is kept. */
import { afterAll, expect, test } from "bun:test"
import { mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { Result } from "effect"
import { fromHex } from "../../src/codec/bytes.ts"
import { lockFolder } from "../../src/store/lock.ts"
import { loadPending } from "../../src/store/pending.ts"
import { specOf, TestChain } from "../fixtures.ts"
import { makeDice } from "../../src/sim/dice.ts"

const rounds = 10
const folder = mkdtempSync(join(tmpdir(), "cairn-crash-"))
afterAll(() => rmSync(folder, { recursive: true }))

interface Said {
  readonly kind: string
  readonly id: string
}

/** Lets a writer run until it has said so many lines and a moment more, kills it, and gives all that it said. */
const runAndKill = async (lines: number, moment: number): Promise<ReadonlyArray<Said>> => {
  const child = Bun.spawn([process.execPath, join(import.meta.dir, "store-writer.ts"), folder], {
    stdout: "pipe",
    stderr: "inherit"
  })
  let text = ""
  let doomed = false
  const decoder = new TextDecoder()
  for await (const chunk of child.stdout) {
    text += decoder.decode(chunk, { stream: true })
    // What comes after the kill was in the pipe before it.
    if (doomed || text.split("\n").length <= lines) continue
    doomed = true
    expect(() => lockFolder(folder)).toThrow(`(pid ${child.pid})`)
    Bun.sleepSync(moment)
    child.kill("SIGKILL")
  }
  await child.exited
  expect(child.signalCode).toBe("SIGKILL")
  // The last line may be cut off: that one was not said.
  return text
    .split("\n")
    .slice(0, -1)
    .map((line) => ({ kind: line.split(" ")[0]!, id: line.split(" ")[1]! }))
}

/** Opens what the writer left behind, as its next start would, and looks for all that was ever said. */
const expectKept = (said: ReadonlyArray<Said>): number => {
  const lock = lockFolder(folder)
  const { store, rules } = new TestChain(specOf(), join(folder, "chain.db"))
  expect(store.damage()).toBeUndefined()
  const promised = loadPending(store.db).map(({ bytes }) => Result.getOrThrow(rules.ledger.decode(bytes)).id)
  const pending = new Set(promised.map((id) => id.toHex()))
  const lost = said.filter(({ kind, id }) => {
    if (kind === "pending") return !pending.has(id) && !store.isConfirmed(fromHex(id)!)
    const row = kind === "block" ? store.find(id) : undefined
    return kind === "block" && (row === undefined || store.bestAt(row.header.height)?.header.id !== id)
  })
  expect(lost).toEqual([])
  const { height } = store.tip().header
  store.close()
  lock.release()
  return height
}

test("killed at ten instants, the store has all that was acknowledged, and its folder is free again", async () => {
  const dice = makeDice(8)
  const said: Array<Said> = []
  let height = 0
  for (let round = 0; round < rounds; round++) {
    said.push(...(await runAndKill(30 + dice.int(120), dice.int(12))))
    const reached = expectKept(said)
    expect(reached).toBeGreaterThanOrEqual(height)
    height = reached
  }
  expect(said.filter(({ kind }) => kind === "block").length).toBeGreaterThan(rounds)
}, 120_000)
