/** `cairn reindex`, `cairn rollback` and `cairn prune`: work on the stored chain of a folder that no node is using. */
import { existsSync } from "node:fs"
import { join } from "node:path"
import { stateBlocksOf } from "../block/genesis.ts"
import { makeRules, type Rules } from "../chain/rules.ts"
import { loadEngine } from "../crypto/native.ts"
import { useEngine } from "../crypto/signature.ts"
import { flushFile } from "../io/files.ts"
import { prunedKeepMin } from "../limits.ts"
import { floorOf, prunedOf } from "../store/consistency.ts"
import { closeDatabase, openDatabase } from "../store/db.ts"
import { layout } from "../store/layout.ts"
import { lockFolder } from "../store/lock.ts"
import { rebuild } from "../store/reindex.ts"
import { checkRollback, prune, rollBack } from "../store/rollback.ts"
import { ChainStore } from "../store/store.ts"
import { beginStaging, endStaging, swapIn } from "../store/swap.ts"
import { databasePath, specOf } from "./data-folder.ts"
import { failure } from "./failure.ts"
import { clearLine, formatDuration, makeLateProgress, print, rows } from "./output.ts"

interface Options {
  readonly dataDir: string
  readonly now: () => number
}

const makeSteps = (verb: string, now: () => number): ((done: number, of: number) => void) => {
  const say = makeLateProgress(now, 5_000)
  const began = now()
  return (done, of) => {
    const left = ((now() - began) / Math.max(1, done)) * (of - done)
    say(`${verb} ${done} of ${of}, ${formatDuration(left)} left`, { done, of, eta_ms: Math.round(left) })
  }
}

/** Runs `f` with the folder's lock. */
const locked = <A>(dataDir: string, f: (rules: Rules) => A): A => {
  const rules = makeRules(specOf(dataDir))
  useEngine(loadEngine("auto")!)
  const lock = lockFolder(dataDir)
  try {
    if (!existsSync(databasePath(dataDir)))
      throw failure("dataFolder", "store-missing", `There is no chain.db in ${dataDir}.`, "Start the node once.")
    return f(rules)
  } finally {
    lock.release()
  }
}

const withStore = <A>(dataDir: string, f: (store: ChainStore, rules: Rules) => A): A =>
  locked(dataDir, (rules) => {
    const store = new ChainStore(openDatabase(databasePath(dataDir)), rules)
    try {
      return f(store, rules)
    } finally {
      store.close()
    }
  })

/** Rebuilds the database from its blocks. The old one is there until the new one is whole. */
export const reindex = ({ dataDir, now }: Options): void =>
  locked(dataDir, (rules) => {
    const began = now()
    const staging = beginStaging(dataDir)
    let done = false
    try {
      const old = openDatabase(databasePath(dataDir))
      const path = join(staging, layout.database)
      let rebuilt: ReturnType<typeof fill>
      try {
        refuseHoles(floorOf(old), prunedOf(old))
        rebuilt = fill(old, path, rules, now)
      } finally {
        // A damaged one may not even be closed as it should; it goes anyway.
        old.close()
      }
      flushFile(path)
      swapIn(dataDir, staging, { aside: `.reindexed-${process.pid}`, keep: false, files: [layout.database] })
      done = true
      clearLine()
      const ms = now() - began
      print({ ...rebuilt, ms }, [
        `The chain is rebuilt from ${rebuilt.blocks} blocks in ${formatDuration(ms)}.`,
        ...rows([["tip", `height ${rebuilt.height}, ${rebuilt.tip}`]]),
        ...(rebuilt.refused + rebuilt.unreadable === 0
          ? []
          : [
              `  Left out: ${rebuilt.refused} blocks that break the rules, ${rebuilt.unreadable} that could not be read. Peers have the true ones.`
            ])
      ])
    } finally {
      if (!done) endStaging(staging)
    }
  })

const fill = (old: Parameters<typeof rebuild>[0], path: string, rules: Rules, now: () => number) => {
  const db = openDatabase(path)
  try {
    // Nobody counts on it before it is whole: flushed once, at its end.
    db.run("PRAGMA synchronous = OFF")
    const store = new ChainStore(db, rules)
    const rebuilt = rebuild(old, store, rules, { now: now(), progress: makeSteps("rebuilding", now) })
    const { height, id } = store.tip().header
    return { ...rebuilt, height, tip: id }
  } finally {
    closeDatabase(db)
  }
}

const refuseHoles = (floor: number, pruned: number): void => {
  if (floor > 0)
    throw failure(
      "refused",
      "past-unproven",
      `Blocks 1 to ${floor} are not all here: the chain was loaded from a snapshot.`,
      "Let the node run until the past is proven, or load a snapshot anew."
    )
  if (pruned > 0)
    throw failure(
      "refused",
      "past-pruned",
      `Blocks 1 to ${pruned} are pruned: nothing can be rebuilt from them.`,
      "Restore a backup, load a snapshot, or remove chain.db and download the chain again."
    )
}

/** Takes the tip back to a height. */
export const rollback = ({ dataDir, now, to }: Options & { readonly to: number }): void =>
  withStore(dataDir, (store, rules) => {
    const refused = checkRollback(store, to)
    if (refused !== undefined) throw failure("refused", refused.code, refused.message, "Nothing was changed.")
    const { height } = store.tip().header
    const began = now()
    rollBack(store, rules, { height: to, now: began, progress: makeSteps("taking back", now) })
    clearLine()
    const ms = now() - began
    const { id } = store.tip().header
    print({ from: height, height: to, tip: id, blocks: height - to, ms }, [
      `The tip stands at height ${to}: ${height - to} blocks are taken back.`,
      ...rows([["tip", id]]),
      "  What they had confirmed is pending again. A node with peers downloads their best branch anew, which may be the same."
    ])
  })

/** Drops the bodies of all but the last blocks. */
export const pruneBlocks = ({ dataDir, now, keep }: Options & { readonly keep: number }): void =>
  withStore(dataDir, (store, rules) => {
    const least = Math.max(prunedKeepMin, stateBlocksOf(rules.spec))
    if (keep < least) throw failure("usage", "keep-invalid", `--keep must be at least ${least} on this chain.`)
    refusePast(store.floor())
    const before = store.pruned()
    const upTo = Math.max(before, store.tip().header.height - keep)
    const began = now()
    prune(store, upTo, makeSteps("pruning", now))
    clearLine()
    const ms = now() - began
    print({ pruned_to: upTo, blocks: upTo - before, ms }, [
      upTo === before
        ? "There is nothing to drop."
        : `The bodies of ${upTo - before} blocks are dropped: blocks 1 to ${upTo} are headers only from now on.`
    ])
  })

const refusePast = (floor: number): void => {
  if (floor > 0)
    throw failure(
      "refused",
      "past-unproven",
      `Blocks 1 to ${floor} are not proven yet.`,
      "Prune when they are: cairn verify --past, or let the node run."
    )
}
