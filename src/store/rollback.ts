/**
 * Takes a stored chain back: to a lower tip, or to fewer bodies. For a store that no node is using; it is to be closed after, for
 * what it remembers of headers and bodies is then of before.
 */
import { assert } from "../assert.ts"
import { Decision } from "../chain/connect.ts"
import type { Rules } from "../chain/rules.ts"
import { VerifiedLeaves } from "../chain/verified.ts"
import { loadAnchors } from "./finality.ts"
import type { ChainStore } from "./store.ts"

/** Blocks that one decision takes off. */
const blocksPerStep = 256

/** Why the tip cannot stand so low: a code, and in words. */
export interface RollbackRefused {
  readonly code: "rollback-final" | "rollback-unproven" | "rollback-pruned" | "height-invalid"
  readonly message: string
}

/** May the tip be taken back to a height? */
export const checkRollback = (store: ChainStore, height: number): RollbackRefused | undefined => {
  const tip = store.tip().header.height
  if (height > tip) return { code: "height-invalid", message: `The tip has height ${tip}, and no block above it.` }
  const final = loadAnchors(store.db)?.final.height ?? 0
  if (height < final)
    return {
      code: "rollback-final",
      message: `Block ${final} is final by the votes of the authorities: nothing below it is left.`
    }
  if (height < store.floor())
    return {
      code: "rollback-unproven",
      message: `The chain was loaded from a snapshot of height ${store.floor()} whose past is not proven: there is no state below it.`
    }
  if (height < store.bottom())
    return {
      code: "rollback-pruned",
      message: `Blocks up to ${store.bottom()} are pruned: there is no way back below them.`
    }
  return undefined
}

/**
 * Takes the best branch back, in one transaction: state, indexes and filters are those of the height; transactions that were
 * confirmed above it are pending again; headers and bodies above it, of every branch, are gone.
 */
export const rollBack = (
  store: ChainStore,
  rules: Rules,
  to: { readonly height: number; readonly now: number; readonly progress: (done: number, of: number) => void }
): void => {
  const first = store.tip().header.height
  store.decide(() => {
    for (let top = first; top > to.height; top = store.tip().header.height) {
      const down = Math.max(to.height, top - blocksPerStep)
      takeOff(store, rules, { top, down, now: to.now })
      to.progress(first - down, first - to.height)
    }
    const above = "SELECT n FROM headers WHERE height > ?"
    for (const table of ["bodies", "seals"]) store.db.run(`DELETE FROM ${table} WHERE n IN (${above})`, [to.height])
    store.db.run("DELETE FROM headers WHERE height > ?", [to.height])
  })
}

const takeOff = (
  store: ChainStore,
  rules: Rules,
  { top, down, now }: { readonly top: number; readonly down: number; readonly now: number }
): void => {
  const decision = new Decision(rules, store, new VerifiedLeaves(2))
  for (let height = top; height > down; height--) {
    const id = store.bestAt(height)?.header.id
    const block = id === undefined ? undefined : store.block(id)
    const undo = id === undefined ? undefined : store.undo(id)
    assert(block !== undefined && undo !== undefined, "the best branch has bodies and undo records above its bottom")
    decision.detach(block, undo)
  }
  decision.assertAt(store.bestAt(down)!.header.stateRoot)
  store.land(decision.landing(), now)
}

/** Bodies that one transaction drops. */
const bodiesPerStep = 2_000

/**
 * Drops bodies, undo values and index rows up to a height, the genesis excepted; headers, filters and counters stay. The height is
 * remembered before the first body goes: a kill leaves a chain that is pruned, with some bodies more than it says.
 */
export const prune = (store: ChainStore, height: number, progress: (done: number, of: number) => void): void => {
  const { db } = store
  const from = store.pruned()
  if (height <= from) return
  store.decide(() =>
    db.run("INSERT INTO meta (key, value) VALUES ('pruned', ?1) ON CONFLICT (key) DO UPDATE SET value = ?1", [height])
  )
  for (let at = from; at < height; ) {
    const end = Math.min(height, at + bodiesPerStep)
    store.decide(() => {
      // Of side branches too, which can never win any more.
      const rows = "SELECT n FROM headers WHERE height > ?1 AND height <= ?2"
      db.run(`DELETE FROM bodies WHERE n IN (${rows})`, [at, end])
      db.run(`UPDATE undos SET undo = x'' WHERE n IN (${rows})`, [at, end])
      db.run("UPDATE headers SET has_body = 0 WHERE height > ?1 AND height <= ?2", [at, end])
      db.run("DELETE FROM transactions WHERE height > ?1 AND height <= ?2", [at, end])
    })
    at = end
    progress(end - from, height - from)
  }
  db.run("VACUUM")
}
