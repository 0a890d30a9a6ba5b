/** `cairn verify --past`: replays what lies below a loaded snapshot, with bodies of this folder and of another one. */
import { existsSync } from "node:fs"
import { makeRules, type Rules } from "../chain/rules.ts"
import { VerifiedLeaves } from "../chain/verified.ts"
import { loadEngine } from "../crypto/native.ts"
import { useEngine } from "../crypto/signature.ts"
import { openDatabase, openExisting } from "../store/db.ts"
import { lockFolder } from "../store/lock.ts"
import { bodiesOf, type BodySource, nextOfPast, provePast } from "../store/past.ts"
import { ChainStore } from "../store/store.ts"
import { databasePath, specOf } from "./data-folder.ts"
import { type Failure, failure } from "./failure.ts"
import { formatDuration, print } from "./output.ts"
import { makeReplayProgress } from "./verify.ts"

/** Replayed in one transaction. */
const group = { blocks: 256, transactions: 4_096 } as const

export interface VerifyPastOptions {
  readonly dataDir: string
  /** Folder of a chain that has the old bodies; its node may be running. */
  readonly from: string | undefined
  readonly now: () => number
}

const lacking = (height: number): Failure =>
  failure(
    "refused",
    "past-missing",
    `The body of block ${height} is in no folder at hand. What was proven below it is kept.`,
    "Name a folder that has the chain with --from DIR, or start the node: it downloads the past from its peers."
  )

const missing = (folder: string): Failure =>
  failure("dataFolder", "store-missing", `There is no chain.db in ${folder}.`, "Name the folder of a chain.")

const replay = (store: ChainStore, rules: Rules, options: { readonly source: BodySource; readonly now: () => number }) => {
  const progress = makeReplayProgress(options.now)
  const floor = store.floor()
  const first = store.proven()
  // Signatures are checked as the blocks are attached: nothing has been checked before.
  const verified = new VerifiedLeaves(2)
  for (let proven = first; proven !== undefined; proven = store.proven()) {
    const blocks = nextOfPast(store, group, options.source)
    if (blocks.length === 0) throw lacking(proven + 1)
    provePast(store, rules, { blocks, verified })
    progress(proven + blocks.length, floor)
  }
  return floor - (first ?? floor)
}

/** Proves the past of a folder that no node is using. */
export const verifyPast = (options: VerifyPastOptions): void => {
  const { dataDir, from, now } = options
  const rules = makeRules(specOf(dataDir))
  for (const folder of [dataDir, from]) {
    if (folder !== undefined && !existsSync(databasePath(folder))) throw missing(folder)
  }
  useEngine(loadEngine("auto")!)
  const lock = lockFolder(dataDir)
  try {
    const other = from === undefined ? undefined : openExisting(databasePath(from))
    const store = new ChainStore(openDatabase(databasePath(dataDir)), rules)
    const began = now()
    try {
      const source = other === undefined ? () => undefined : bodiesOf(other, rules)
      const blocks = replay(store, rules, { source, now })
      if (process.stderr.isTTY === true) process.stderr.write("\r\u001b[K")
      const ms = now() - began
      print({ past_proven: true, blocks, height: store.tip().header.height, ms }, [
        blocks === 0
          ? "Every block of this chain has been replayed already."
          : `The past is proven: ${blocks} blocks replayed in ${formatDuration(ms)}; their end is the state that was loaded.`
      ])
    } finally {
      store.close()
      other?.close()
    }
  } finally {
    lock.release()
  }
}
