/** What must hold in every run, whatever happens in it. A checker gives what is wrong in words, or nothing. */
import { type Effect, Result } from "effect"
import type { Header } from "../block/header.ts"
import type { Anchors } from "../chain/choose.ts"
import { isBest, parentId, type Row } from "../chain/reader.ts"
import type { Rules } from "../chain/rules.ts"
import { toHex } from "../codec/bytes.ts"
import type { Link } from "../consensus/checkpoint.ts"
import { toTarget } from "../consensus/difficulty.ts"
import type { Transaction } from "../ledger/transaction.ts"
import { auditChain } from "../store/audit.ts"
import { inconsistency } from "../store/consistency.ts"
import { loadAnchors } from "../store/finality.ts"
import { loadPending } from "../store/pending.ts"
import type { SimNode } from "./node.ts"

/** The run has shown a fault of the node. */
export class Violation extends Error {
  override readonly name = "Violation"
}

/**
 * After every move of a tip: the stored tip is whole, its state tree is the one it commits to, its entries sum up to the supply, and
 * the balances of owners are what their entries hold.
 */
export const checkTip = (node: SimNode, rules: Rules): string | undefined => {
  const wrong =
    inconsistency(node.store.db, rules.ledger) ??
    (node.store.balancesHold() ? undefined : "the balances are not what the coins add up to")
  return wrong === undefined ? undefined : `${node.name}: ${wrong}`
}

/** The whole stored chain replayed from genesis gives the stored state, entry by entry: undo has left nothing behind. */
export const checkHistory = (node: SimNode, rules: Rules): string | undefined => {
  const outcome = auditChain(node.store, rules)
  return typeof outcome === "number" ? undefined : `${node.name}: ${outcome}`
}

const heavierSql = `SELECT hash FROM headers h WHERE work > ? AND has_body = 1
  AND NOT EXISTS (SELECT 1 FROM invalid i WHERE i.hash = h.hash) ORDER BY work DESC LIMIT 16`

/** How much a branch has of what votes have settled: 2, all of it; 1, what is final; 0. Found without the code that is on trial. */
const settledOn = ({ store }: SimNode, row: Row): number => {
  const anchors = loadAnchors(store.db)
  if (anchors === undefined) return 2
  const has = ({ height, id }: Anchors["final"]): boolean => {
    let walk = row
    while (walk.header.height > height) walk = store.find(parentId(walk.header))!
    return walk.header.id === id
  }
  return has(anchors.final) ? (has(anchors.justified) ? 2 : 1) : 0
}

/**
 * The tip of a branch that is here as a whole and wins over the tip: it has more of what votes have made final and justified,
 * or as much of that and more work. While the chain decides there may be one.
 */
export const heavierBranch = (node: SimNode): string | undefined => {
  const { store } = node
  const whole = (id: string): boolean => {
    let row = store.find(id)
    while (row?.hasBody === true && !isBest(store, row.header)) row = store.find(parentId(row.header))
    return row?.hasBody === true
  }
  const tip = store.tip()
  const settled = settledOn(node, tip)
  const wins = (row: Row): boolean => {
    const more = settledOn(node, row) - settled
    return more > 0 || (more === 0 && row.work > tip.work)
  }
  const above = settled < 2 ? 0n : tip.work
  const rows = store.db.query<{ hash: Uint8Array }, [Uint8Array]>(heavierSql).all(toTarget(above))
  return rows.map(({ hash }) => toHex(hash)).find((id) => whole(id) && wins(store.find(id)!))
}

/** No block that an honest node has had as its tip is held invalid. */
export const checkCondemned = ({ name, store }: SimNode, wasTip: (id: string) => boolean): string | undefined => {
  const rows = store.db.query<{ hash: Uint8Array; code: string }, []>("SELECT hash, code FROM invalid").all()
  const wrong = rows.find(({ hash }) => wasTip(toHex(hash)))
  return wrong === undefined
    ? undefined
    : `${name} holds an honest block invalid, as ${wrong.code}: ${toHex(wrong.hash)}`
}

/** Nothing holds more than its bound. */
export const checkBounds = (node: SimNode): string | undefined => {
  const over = node.tree.bounds().find(({ used, max }) => used > max)
  return over === undefined
    ? undefined
    : `${node.name}: ${over.actor} holds ${over.used} ${over.of}, ${over.max} are allowed`
}

/** What is pending at a node, as its disk has it: a transfer by sender and nonce, a payment by its id. */
export type PoolView = ReadonlyMap<string, Transaction>

/** Of two transactions in one slot at most one can be pending. */
export const slotOf = (transaction: Transaction): string => {
  if (transaction.kind !== "transfer") return toHex(transaction.id)
  const { sender, nonce } = transaction.transfer
  return `${toHex(sender)} ${nonce}`
}

export const poolView = ({ store }: SimNode, rules: Rules): PoolView =>
  new Map(
    loadPending(store.db).flatMap(({ bytes }) => {
      const decoded = rules.ledger.decode(bytes)
      return Result.isSuccess(decoded) ? [[slotOf(decoded.success), decoded.success] as const] : []
    })
  )

/** What a money model promises to whoever had a transaction acknowledged. */
export interface Promises {
  /** A node's tip has moved. */
  readonly moved: (node: SimNode) => void
  /** The first promise of a node that is broken, in words. */
  readonly broken: (node: SimNode, pool: PoolView) => string | undefined
}

/** Something that must hold in runs of some chains. Each gives what is wrong in words, or nothing. */
export interface Checker {
  /** A node's key has sealed a header, of which nobody else has the seal yet. */
  readonly sealed?: (node: SimNode, header: Header) => string | undefined
  /** A node's key has signed a vote on a checkpoint, which nobody else has yet. */
  readonly voted?: (node: SimNode, link: Link) => string | undefined
  /** A node's tip has moved. */
  readonly moved?: (node: SimNode, nodes: ReadonlyMap<string, SimNode>) => string | undefined
  /** A virtual second has passed, and the node runs. */
  readonly looked?: (node: SimNode) => string | undefined
  /** Faults are over and all agree; may let time pass. */
  readonly quiet?: (nodes: ReadonlyArray<SimNode>) => Effect.Effect<string | undefined>
}

/** When nothing is under way, the pool in memory is the one on disk. */
export const checkMemory = ({ name }: SimNode, pool: PoolView, inMemory: number): string | undefined =>
  inMemory === pool.size ? undefined : `${name}: ${inMemory} transfers are pending, and ${pool.size} on its disk`
