/** `cairn verify`: replays the whole stored chain by its own rules, and compares what comes out with what is stored. */
import { existsSync } from "node:fs"
import { makeRules } from "../chain/rules.ts"
import { toHex } from "../codec/bytes.ts"
import { loadEngine } from "../crypto/native.ts"
import { useEngine } from "../crypto/signature.ts"
import { auditChain } from "../store/audit.ts"
import { openDatabase } from "../store/db.ts"
import { lockFolder } from "../store/lock.ts"
import { ChainStore } from "../store/store.ts"
import { databasePath, specOf } from "./data-folder.ts"
import { failure, type Failure } from "./failure.ts"
import { formatDuration, makeProgress, print, rows } from "./output.ts"

const corrupt = (message: string): Failure =>
  failure(
    "corrupt",
    "store-corrupt",
    message,
    "Restore a backup, or remove chain.db: the node downloads the chain again from its peers."
  )

const unproven = (floor: number): Failure =>
  failure(
    "refused",
    "past-unproven",
    `Blocks 1 to ${floor} are not proven: this chain was loaded from a snapshot.`,
    "Prove them first: cairn verify --past --from DIR. Or start the node: it does so with what its peers have."
  )

const prunedPast = (height: number): Failure =>
  failure(
    "refused",
    "past-pruned",
    `Blocks 1 to ${height} are pruned: there is nothing to replay the chain from.`,
    "A whole chain comes from a backup, or from peers into a new folder. What a start checks still holds."
  )

/** Says how far the replay is, and how long it will take. */
export const makeReplayProgress = (now: () => number): ((height: number, of: number) => void) => {
  const progress = makeProgress(now, 5_000)
  const began = now()
  return (height, of) => {
    const rate = height / Math.max(1, now() - began)
    const left = (of - height) / rate
    progress(
      `verifying ${height} of ${of} (${((100 * height) / of).toFixed(1)} %), ${(rate * 1000).toFixed(0)} blocks/s, ${formatDuration(left)} left`,
      { height, of, eta_ms: Math.round(left) }
    )
  }
}

/** Verifies a folder that no node is using. */
export const verify = (options: { readonly dataDir: string; readonly now: () => number }): void => {
  const rules = makeRules(specOf(options.dataDir))
  if (!existsSync(databasePath(options.dataDir)))
    throw failure("dataFolder", "store-missing", `There is no chain.db in ${options.dataDir}.`, "Start the node once.")
  useEngine(loadEngine("auto")!)
  const lock = lockFolder(options.dataDir)
  const store = new ChainStore(openDatabase(databasePath(options.dataDir)), rules)
  try {
    if (store.floor() > 0) throw unproven(store.floor())
    if (store.pruned() > 0) throw prunedPast(store.pruned())
    const damage = store.damage()
    if (damage !== undefined) throw corrupt(`The database is damaged: ${damage}`)
    const began = options.now()
    const entries = auditChain(store, rules, makeReplayProgress(options.now))
    if (typeof entries === "string") throw corrupt(entries)
    if (process.stderr.isTTY === true) process.stderr.write("\r\u001b[K")
    const { header } = store.tip()
    const value = {
      valid: true,
      height: header.height,
      tip: header.id,
      state_root: toHex(header.stateRoot),
      entries,
      ms: options.now() - began
    }
    print(value, [
      `The chain holds: ${header.height} blocks replayed in ${formatDuration(value.ms)}.`,
      ...rows([
        ["tip", header.id],
        ["state root", value.state_root],
        [rules.spec.ledger.model === "utxo" ? "coins" : "accounts", String(value.entries)]
      ])
    ])
  } finally {
    store.close()
    lock.release()
  }
}
