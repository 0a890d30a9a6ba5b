/**
 * Rebuilds a database from the headers and bodies of another one: every block is checked and connected again, so state, state tree, indexes,
 * undo records and filters are those that follow from the blocks. What is no consequence of blocks is copied as it is.
 */
import type { Database } from "bun:sqlite"
import { Result } from "effect"
import { type Block, decodeBody } from "../block/block.ts"
import { decodeHeader } from "../block/header.ts"
import type { Rules } from "../chain/rules.ts"
import { filtersPerLandingMax } from "../limits.ts"
import type { ChainStore } from "./store.ts"
import { BlockTaker } from "./take.ts"

/** Tables that blocks say nothing of; and facts that votes have settled. */
const copied = ["pending", "peers", "evidence", "wishes", "checkpoint_votes", "certificates", "vote_offences"] as const
const copiedMeta = ["final", "justified"] as const

export interface Rebuilt {
  readonly blocks: number
  /** Blocks that the rules do not allow, or that build on such a one. */
  readonly refused: number
  /** Bodies that could not be read. */
  readonly unreadable: number
}

interface Stored {
  readonly n: number
  readonly header: Uint8Array
}

/** Blocks of every branch, parents first. One whose row is damaged is left out. */
function* blocksOf(db: Database, rules: Rules, unreadable: () => void): Generator<Block> {
  const page = db.query<Stored & { readonly height: number }, [number, number]>(
    "SELECT n, header, height FROM headers WHERE (height, n) > (?1, ?2) ORDER BY height, n LIMIT 500"
  )
  const body = db.query<{ body: Uint8Array }, [number]>("SELECT body FROM bodies WHERE n = ?")
  let rows = page.all(0, Number.MAX_SAFE_INTEGER)
  while (rows.length > 0) {
    for (const row of rows) {
      const block = blockOf(row, rules, () => body.get(row.n)?.body)
      if (block === "damaged") unreadable()
      else if (block !== undefined) yield block
    }
    const last = rows.at(-1)!
    rows = page.all(last.height, last.n)
  }
}

/** Undefined: the body was never here. */
const blockOf = (row: Stored, rules: Rules, read: () => Uint8Array | undefined): Block | "damaged" | undefined => {
  const header = decodeHeader(row.header)
  if (header === undefined) return "damaged"
  let bytes: Uint8Array | undefined
  try {
    bytes = read()
  } catch {
    return "damaged"
  }
  if (bytes === undefined) return undefined
  const decoded = decodeBody(header, bytes, rules.ledger)
  return Result.isSuccess(decoded) ? decoded.success : "damaged"
}

/** Fills a new store from an old database. */
export const rebuild = (
  old: Database,
  fresh: ChainStore,
  rules: Rules,
  wish: { readonly now: number; readonly progress: (done: number, of: number) => void }
): Rebuilt => {
  const { total } = old.query("SELECT COUNT(*) AS total FROM headers WHERE height > 0").get() as {
    readonly total: number
  }
  const count = { blocks: 0, refused: 0, unreadable: 0 }
  const blocks = blocksOf(old, rules, () => void count.unreadable++)
  const taker = new BlockTaker(fresh, rules, wish.now)
  const each = (): void => wish.progress(++count.blocks, total)
  // One that is refused is left out, and so is all that builds on it.
  for (let over = false; !over; ) {
    const { refused } = taker.all(blocks, each)
    if (refused === undefined) over = true
    else count.refused++
  }
  while (!fresh.extendFilters(filtersPerLandingMax));
  copyRest(old, fresh)
  return count
}

const copyRest = (old: Database, fresh: ChainStore): void => {
  fresh.decide(() => {
    for (const table of copied) {
      const rows = old.query<Record<string, unknown>, []>(`SELECT * FROM ${table}`).values() as Array<Array<never>>
      for (const row of rows)
        fresh.db.run(`INSERT OR IGNORE INTO ${table} VALUES (${row.map(() => "?").join(", ")})`, row)
    }
    for (const key of copiedMeta) {
      const row = old.query<{ value: never }, [string]>("SELECT value FROM meta WHERE key = ?").get(key)
      if (row !== null) fresh.db.run("INSERT OR REPLACE INTO meta (key, value) VALUES (?, ?)", [key, row.value])
    }
  })
}
