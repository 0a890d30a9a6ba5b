/**
 * Filters and filter headers of the best branch, kept with its blocks: each is written in the SQL transaction that its block
 * joins in, and goes with it. They stand without a gap from the genesis up; what an older program or a snapshot left out is
 * made later, a few with each landing.
 */
import type { Database } from "bun:sqlite"
import type { Block } from "../block/block.ts"
import { blockElements, filterHash, filterHeaderStart, makeFilter, nextFilterHeader } from "../block/filter.ts"
import type { Hash32 } from "../crypto/hash.ts"

const statements = (db: Database) => ({
  header: db.query<{ header: Uint8Array }, [number]>("SELECT header FROM filters WHERE height = ?"),
  row: db.query<StoredFilter, [number]>("SELECT filter, header FROM filters WHERE height = ?"),
  top: db.query<{ height: number | null }, []>("SELECT MAX(height) AS height FROM filters"),
  insert: db.query("INSERT OR REPLACE INTO filters (height, filter, header) VALUES (?, ?, ?)"),
  remove: db.query("DELETE FROM filters WHERE height = ?")
})

/** A row of the table. */
export interface StoredFilter {
  readonly filter: Uint8Array
  readonly header: Uint8Array
}

/** What a block's filter and its header must be, on the filter header of the block before. */
export const filterOf = (block: Block, before: Hash32): { readonly filter: Uint8Array; readonly header: Hash32 } => {
  const { bytes } = makeFilter(block.header.hash, blockElements(block))
  return { filter: bytes, header: nextFilterHeader(before, filterHash(bytes)) }
}

export class FilterTable {
  private readonly sql: ReturnType<typeof statements>
  private readonly kept: boolean

  /** `kept`: false makes none; those that are there still go with their blocks. */
  constructor(db: Database, kept: boolean) {
    this.sql = statements(db)
    this.kept = kept
  }

  /** The lowest height without a filter; undefined: none are kept. */
  next(): number | undefined {
    return this.kept ? (this.sql.top.get()?.height ?? -1) + 1 : undefined
  }

  /** Makes the filter of a block of the best branch, if the one before it is there. */
  attach(block: Block): void {
    if (!this.kept) return
    const { height } = block.header
    const before = height === 0 ? filterHeaderStart : this.sql.header.get(height - 1)?.header
    if (before === undefined) return
    const { filter, header } = filterOf(block, before as Hash32)
    this.sql.insert.run(height, filter, header)
  }

  at(height: number): StoredFilter | undefined {
    return this.sql.row.get(height) ?? undefined
  }

  detach(height: number): void {
    this.sql.remove.run(height)
  }
}
