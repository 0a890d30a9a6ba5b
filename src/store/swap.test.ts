/** Files that are put into a folder at once: killed at whatever step, the folder has the old ones or the new ones. */
import { afterAll, expect, test } from "bun:test"
import { cpSync, existsSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { Home } from "../../test/backups.ts"
import { lockFolder } from "./lock.ts"
import { beginStaging, endStaging, finishSwap, swapIn } from "./swap.ts"

const home = new Home()
afterAll(home.remove)

const files = ["spec.json", "identity/node.key", "chain.db"]

const write = (folder: string, path: string, text: string): void => {
  mkdirSync(join(folder, path, ".."), { recursive: true })
  writeFileSync(join(folder, path), text)
}
const read = (folder: string, path: string): string => readFileSync(join(folder, path), "utf8")

/** A folder with old files and staged new ones. */
const prepare = (name: string) => {
  const folder = home.at(name)
  mkdirSync(folder)
  for (const path of [...files, "chain.db-wal", "chain.db-shm", "admin.token"]) write(folder, path, "old")
  const staging = beginStaging(folder)
  for (const path of files) write(staging, path, "new")
  return { folder, staging }
}

const expectNew = (folder: string): void => {
  expect(files.map((path) => read(folder, path))).toEqual(["new", "new", "new"])
  expect(readdirSync(folder).filter((name) => name.startsWith("chain.db"))).toEqual(["chain.db"])
  expect([read(folder, "admin.token"), existsSync(join(folder, ".swap"))]).toEqual(["old", false])
}

test("before it is decided nothing has changed; then all has, and the old files are kept, or are not", () => {
  for (const keep of [true, false]) {
    const { folder, staging } = prepare(`whole-${keep}`)
    expect(files.map((path) => read(folder, path))).toEqual(["old", "old", "old"])
    swapIn(folder, staging, { aside: "aside", keep, files })
    expectNew(folder)
    expect(existsSync(join(folder, "aside"))).toBe(keep)
    if (keep)
      expect([...files, "chain.db-wal"].map((path) => read(join(folder, "aside"), path))).toEqual(Array(4).fill("old"))
  }
})

test("what is decided is brought to an end by whoever takes the folder next, wherever it was cut off", () => {
  const { folder, staging } = prepare("decided")
  write(staging, "plan.json", JSON.stringify({ aside: "aside", keep: true, files }))
  renameSync(staging, join(folder, ".swap"))
  /** The moves of the whole, in their order. */
  const moves: ReadonlyArray<readonly [string, string]> = [
    ["spec.json", "aside/spec.json"],
    [".swap/spec.json", "spec.json"],
    ["identity/node.key", "aside/identity/node.key"],
    [".swap/identity/node.key", "identity/node.key"],
    ["chain.db", "aside/chain.db"],
    ["chain.db-wal", "aside/chain.db-wal"],
    ["chain.db-shm", "aside/chain.db-shm"],
    [".swap/chain.db", "chain.db"]
  ]
  for (let done = 0; done <= moves.length; done++) {
    const copy = home.at(`decided-${done}`)
    cpSync(folder, copy, { recursive: true })
    for (const [from, to] of moves.slice(0, done)) {
      mkdirSync(join(copy, to, ".."), { recursive: true })
      renameSync(join(copy, from), join(copy, to))
    }
    lockFolder(copy).release()
    expectNew(copy)
    expect(files.map((path) => read(join(copy, "aside"), path))).toEqual(["old", "old", "old"])
    finishSwap(copy)
    expectNew(copy)
  }
})

test("a staging that nobody decided goes with the next one", () => {
  const { folder, staging } = prepare("undecided")
  renameSync(staging, join(folder, ".staging-999999999"))
  const next = beginStaging(folder)
  expect(readdirSync(folder).filter((name) => name.startsWith(".staging"))).toEqual([next.split("/").at(-1)!])
  endStaging(next)
  expect(files.map((path) => read(folder, path))).toEqual(["old", "old", "old"])
  rmSync(folder, { recursive: true })
})
