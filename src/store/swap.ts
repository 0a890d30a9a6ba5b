/**
 * Puts a set of files into a data folder at once: after kill -9 the folder has the old ones or the new ones, whole. They are made in
 * a folder beside their places; giving that folder its name decides. From then on whoever next takes the folder's lock
 * brings it to an end, in the process that began it or in a later one.
 */
import { existsSync, mkdirSync, readdirSync, renameSync, rmSync } from "node:fs"
import { dirname, join } from "node:path"
import { faulting, flushFile as flush, readText, writeFile } from "../io/files.ts"
import { besideDatabase, layout } from "./layout.ts"

interface Plan {
  /** Where what stood in the way goes, within the data folder. */
  readonly aside: string
  /** Does it stay there? */
  readonly keep: boolean
  /** Paths within the data folder, in the order in which they are put there. */
  readonly files: ReadonlyArray<string>
}

const decided = ".swap"
const planFile = "plan.json"
const planBytesMax = 1024 * 1024
const staged = /^\.staging-(\d+)$/

/** A new folder to make files in, at the paths that they shall have in the data folder. What an earlier process left goes. */
export const beginStaging = (dataDir: string): string =>
  faulting(dataDir, () => {
    mkdirSync(dataDir, { recursive: true })
    for (const name of readdirSync(dataDir)) {
      if (staged.test(name)) rmSync(join(dataDir, name), { recursive: true, force: true })
    }
    const staging = join(dataDir, `.staging-${process.pid}`)
    mkdirSync(staging, { mode: 0o700 })
    return staging
  })

/** Throws away what was made. */
export const endStaging = (staging: string): void => rmSync(staging, { recursive: true, force: true })

/** Decides: from now on the data folder has these files of the staging. The caller has its lock, and flushed each of them. */
export const swapIn = (dataDir: string, staging: string, plan: Plan): void => {
  writeFile(join(staging, planFile), JSON.stringify(plan), 0o600)
  faulting(dataDir, () => {
    for (const path of plan.files) flush(dirname(join(staging, path)))
    renameSync(staging, join(dataDir, decided))
    flush(dataDir)
  })
  finishSwap(dataDir)
}

/** Brings to an end what was decided; nothing, if nothing was. The caller has the folder's lock. */
export const finishSwap = (dataDir: string): void => {
  const from = join(dataDir, decided)
  if (!existsSync(from)) return
  const plan = JSON.parse(readText(join(from, planFile), planBytesMax)) as Plan
  faulting(dataDir, () => {
    for (const path of plan.files) install(dataDir, plan.aside, path)
    if (!plan.keep) rmSync(join(dataDir, plan.aside), { recursive: true, force: true })
    rmSync(from, { recursive: true, force: true })
    flush(dataDir)
  })
}

/** One file. It may have been put there before the process was killed. */
const install = (dataDir: string, aside: string, path: string): void => {
  const made = join(dataDir, decided, path)
  if (!existsSync(made)) return
  // The log of the old database must never be read beside the new one.
  const old = path === layout.database ? [path, ...besideDatabase.map((end) => path + end)] : [path]
  for (const one of old) {
    if (!existsSync(join(dataDir, one))) continue
    const to = join(dataDir, aside, one)
    mkdirSync(dirname(to), { recursive: true, mode: 0o700 })
    renameSync(join(dataDir, one), to)
  }
  if (existsSync(join(dataDir, aside))) flush(join(dataDir, aside))
  const to = join(dataDir, path)
  mkdirSync(dirname(to), { recursive: true })
  renameSync(made, to)
  flush(dirname(to))
}
