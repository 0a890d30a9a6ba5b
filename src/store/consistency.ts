/** Is the store what it was when we left it? The cheap checks of every start; `cairn verify` replays the whole chain. */
import type { Database } from "bun:sqlite"
import { decodeHeader, type Header } from "../block/header.ts"
import { rootOf } from "../block/state-tree.ts"
import { equal } from "../codec/bytes.ts"
import type { Ledger } from "../ledger/ledger.ts"

/** Blocks below the tip that must link to one another: more than any crash could have touched. */
const linkedBlocks = 100

interface TipRow {
  readonly height: number
  readonly hash: Uint8Array | null
  readonly header: Uint8Array | null
  readonly body: number | null
  readonly undo: number | null
}

const tipSql = `SELECT b.height, h.hash, h.header, o.n AS body, u.n AS undo FROM best b
  LEFT JOIN headers h ON h.n = b.n LEFT JOIN bodies o ON o.n = b.n LEFT JOIN undos u ON u.n = b.n
  ORDER BY b.height DESC LIMIT 1`

/** Best-branch heights above a bound whose block does not build on the one below. */
const brokenSql = `SELECT b.height FROM best b LEFT JOIN headers h ON h.n = b.n
  LEFT JOIN best p ON p.height = b.height - 1 LEFT JOIN headers q ON q.n = p.n
  WHERE b.height > ? AND q.hash IS NOT h.previous ORDER BY b.height LIMIT 1`

const floorSql = "SELECT value FROM meta WHERE key = 'floor'"
const prunedSql = "SELECT value FROM meta WHERE key = 'pruned'"

/** The height up to which blocks are known by their headers only, after a snapshot was loaded; 0: all are here. */
export const floorOf = (db: Database): number => db.query<{ value: number }, []>(floorSql).get()?.value ?? 0

/** The height up to which bodies were dropped; 0: none were. */
export const prunedOf = (db: Database): number => db.query<{ value: number }, []>(prunedSql).get()?.value ?? 0

/**
 * What does not fit together at the tip, in words; undefined: all does. Reads the last blocks' rows, one page of the
 * state tree, and the index by units: some 50 ms for a million entries, whatever the length of the chain.
 */
export const inconsistency = (db: Database, ledger: Pick<Ledger, "supplyAt">): string | undefined => {
  const tip = db.query<TipRow, []>(tipSql).get()
  if (tip === null) return "there is no tip"
  const header = headerOf(tip)
  if (header === undefined) return `the block at height ${tip.height} has no header of its own`
  if (tip.height > floorOf(db) && (tip.body === null || tip.undo === null))
    return `the block at height ${tip.height} has no body or no undo record`
  const broken = db.query<{ height: number }, [number]>(brokenSql).get(Math.max(0, tip.height - linkedBlocks))
  if (broken !== null) return `the block at height ${broken.height} does not build on the one below`
  return stateInconsistency(db, header, ledger)
}

const headerOf = ({ height, hash, header: bytes }: TipRow): Header | undefined => {
  const header = bytes === null ? undefined : decodeHeader(bytes)
  return header?.height === height && hash !== null && equal(header.hash, hash) ? header : undefined
}

/** The money of all entries, by indexes: of those that are accounts, and of the owners of the others. */
const unitsSql = `SELECT TOTAL(units) AS units FROM
  (SELECT units FROM state WHERE owner IS NULL UNION ALL SELECT units FROM balances)`

const stateInconsistency = (db: Database, tip: Header, ledger: Pick<Ledger, "supplyAt">): string | undefined => {
  const page = db.query<{ page: Uint8Array }, [string]>("SELECT page FROM pages WHERE name = ?")
  const root = rootOf((name) => page.get(name)?.page)
  if (!equal(root, tip.stateRoot)) return "the state tree is not the one of the tip"
  const units = db.query<{ units: number }, []>(unitsSql).get()!.units
  const supply = ledger.supplyAt(tip.height)
  return units === supply ? undefined : `the entries hold ${units} units; ${supply} were issued`
}
