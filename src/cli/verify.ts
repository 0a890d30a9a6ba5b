/** `cairn verify`: replays the whole stored chain by its own rules, and compares what comes out with what is stored. */
import { existsSync } from "node:fs"
import { ancestryOf } from "../chain/reader.ts"
import { checkBody, checkHeader } from "../chain/check.ts"
import { Decision } from "../chain/connect.ts"
import { genesisState, makeRules, type Rules } from "../chain/rules.ts"
import { VerifiedLeaves } from "../chain/verified.ts"
import { StateTree } from "../block/state-tree.ts"
import { equal, toHex } from "../codec/bytes.ts"
import { loadEngine } from "../crypto/native.ts"
import { useEngine } from "../crypto/signature.ts"
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

/** Entries and pages as the replay makes them. */
class Replay {
  readonly entries = new Map<string, Uint8Array>()
  readonly pages = new Map<string, Uint8Array>()
  readonly reader = {
    readEntry: (key: string) => this.entries.get(key),
    readPage: (name: string) => this.pages.get(name)
  }

  constructor(rules: Rules) {
    const state = genesisState(rules.ledger, rules.spec)
    const entries = [...state.changes].map(([key, { after }]) => [key, after] as const)
    const tree = new StateTree(() => undefined)
    tree.update(entries)
    this.take({ entries: entries.map(([key, value]) => [key, value, 0] as const), pages: tree.pages() })
  }

  take(landing: Pick<ReturnType<Decision["landing"]>, "entries" | "pages">): void {
    for (const [key, value] of landing.entries)
      value === undefined ? this.entries.delete(key) : this.entries.set(key, value)
    for (const [name, page] of landing.pages) page === undefined ? this.pages.delete(name) : this.pages.set(name, page)
  }
}

/** Replays heights 1 to the tip. Throws a failure that names the first block that does not hold. */
const replayAll = (store: ChainStore, rules: Rules, now: () => number): Replay => {
  const replay = new Replay(rules)
  const progress = makeProgress(now, 5_000)
  const top = store.tip().header.height
  const began = now()
  for (let height = 1; height <= top; height++) {
    const row = store.bestAt(height)
    const parent = store.bestAt(height - 1)
    const block = row === undefined ? undefined : store.block(row.header.id)
    if (row === undefined || parent === undefined || block === undefined)
      throw corrupt(`The block at height ${height} is not stored.`)
    const decision = new Decision(rules, replay.reader, new VerifiedLeaves(2))
    const refused =
      checkHeader(rules, row.header, {
        ancestry: ancestryOf(store, parent.header),
        now: Number.MAX_SAFE_INTEGER / 2
      }) ??
      checkBody(rules, block) ??
      decision.attach(block)
    if (refused !== undefined)
      throw corrupt(`Block ${height} (${row.header.id}) breaks the rules: ${refused.code}: ${refused.message}`)
    replay.take(decision.landing())
    const rate = height / Math.max(1, now() - began)
    const left = (top - height) / rate
    progress(
      `verifying ${height} of ${top} (${((100 * height) / top).toFixed(1)} %), ${(rate * 1000).toFixed(0)} blocks/s, ${formatDuration(left)} left`,
      { height, of: top, eta_ms: Math.round(left) }
    )
  }
  return replay
}

/** The stored state against the replayed one, row by row. */
const compareState = (store: ChainStore, replay: Replay): void => {
  let stored = 0
  for (const [key, value] of store.allEntries()) {
    stored++
    const expected = replay.entries.get(key)
    if (expected === undefined || !equal(expected, value))
      throw corrupt(`The stored entry ${key} is not what the blocks say.`)
  }
  if (stored !== replay.entries.size)
    throw corrupt(`${replay.entries.size} entries follow from the blocks; ${stored} are stored.`)
  for (const [name, page] of replay.pages) {
    const kept = store.readPage(name)
    if (kept === undefined || !equal(kept, page))
      throw corrupt(`The stored page "${name}" of the state tree is not what the blocks say.`)
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
    const damage = store.damage()
    if (damage !== undefined) throw corrupt(`The database is damaged: ${damage}`)
    const began = options.now()
    const replay = replayAll(store, rules, options.now)
    compareState(store, replay)
    if (process.stderr.isTTY === true) process.stderr.write("\r\u001b[K")
    const { header } = store.tip()
    const value = {
      valid: true,
      height: header.height,
      tip: header.id,
      state_root: toHex(header.stateRoot),
      entries: replay.entries.size,
      ms: options.now() - began
    }
    print(value, [
      `The chain holds: ${header.height} blocks replayed in ${formatDuration(value.ms)}.`,
      ...rows([
        ["tip", header.id],
        ["state root", value.state_root],
        ["accounts", String(value.entries)]
      ])
    ])
  } finally {
    store.close()
    lock.release()
  }
}
