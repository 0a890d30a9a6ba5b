/** The whole stored chain, replayed by its own rules and compared with what is stored: what `cairn verify` does, and every simulation. */
import { ancestryOf } from "../chain/reader.ts"
import { checkBody, checkHeader } from "../chain/check.ts"
import { Decision } from "../chain/connect.ts"
import { genesisState, type Rules } from "../chain/rules.ts"
import { VerifiedLeaves } from "../chain/verified.ts"
import { filterHeaderStart } from "../block/filter.ts"
import { StateTree } from "../block/state-tree.ts"
import { equal } from "../codec/bytes.ts"
import { filterOf } from "./filters.ts"
import type { ChainStore } from "./store.ts"

/** Where the stored chain does not hold, in words. */
class Broken extends Error {}

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
    this.take({ entries: entries.map(([key, value]) => [key, value, 0, undefined] as const), pages: tree.pages() })
  }

  take(landing: Pick<ReturnType<Decision["landing"]>, "entries" | "pages">): void {
    for (const [key, value] of landing.entries)
      value === undefined ? this.entries.delete(key) : this.entries.set(key, value)
    for (const [name, page] of landing.pages) page === undefined ? this.pages.delete(name) : this.pages.set(name, page)
  }
}

const replayAll = (store: ChainStore, rules: Rules, progress: (height: number, of: number) => void): Replay => {
  const replay = new Replay(rules)
  const top = store.tip().header.height
  for (let height = 1; height <= top; height++) {
    const row = store.bestAt(height)
    const parent = store.bestAt(height - 1)
    const block = row === undefined ? undefined : store.block(row.header.id)
    if (row === undefined || parent === undefined || block === undefined)
      throw new Broken(`The block at height ${height} is not stored.`)
    const decision = new Decision(rules, replay.reader, new VerifiedLeaves(2))
    const refused =
      checkHeader(rules, row.header, {
        ancestry: ancestryOf(store, parent.header),
        now: Number.MAX_SAFE_INTEGER / 2
      }) ??
      checkBody(rules, block) ??
      decision.attach(block, parent.header)
    if (refused !== undefined)
      throw new Broken(`Block ${height} (${row.header.id}) breaks the rules: ${refused.code}: ${refused.message}`)
    replay.take(decision.landing())
    progress(height, top)
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
      throw new Broken(`The stored entry ${key} is not what the blocks say.`)
  }
  if (stored !== replay.entries.size)
    throw new Broken(`${replay.entries.size} entries follow from the blocks; ${stored} are stored.`)
  if (!store.balancesHold()) throw new Broken("The stored balances are not what the stored coins add up to.")
  for (const [name, page] of replay.pages) {
    const kept = store.readPage(name)
    if (kept === undefined || !equal(kept, page))
      throw new Broken(`The stored page "${name}" of the state tree is not what the blocks say.`)
  }
}

/** Stored filters against those that follow from the blocks: a wrong one would make a liar of an honest node. */
const compareFilters = (store: ChainStore): void => {
  let before = filterHeaderStart
  for (let height = 0; height <= store.tip().header.height; height++) {
    const kept = store.filterAt(height)
    if (kept === undefined) return
    const { filter, header } = filterOf(store.block(store.bestAt(height)!.header.id)!, before)
    if (!equal(kept.filter, filter) || !equal(kept.header, header))
      throw new Broken(`The stored filter of block ${height} is not what the block says.`)
    before = header
  }
}

/**
 * Replays every block from genesis and compares entries and pages of the state, and filters, with what is stored. The number of entries,
 * or where the chain does not hold, in words.
 */
export const auditChain = (
  store: ChainStore,
  rules: Rules,
  progress: (height: number, of: number) => void = () => {}
): number | string => {
  try {
    const replay = replayAll(store, rules, progress)
    compareState(store, replay)
    compareFilters(store)
    return replay.entries.size
  } catch (error) {
    if (error instanceof Broken) return error.message
    throw error
  }
}
