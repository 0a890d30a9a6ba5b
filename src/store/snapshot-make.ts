/**
 * Writes a snapshot: all headers, the state some blocks below a tip, and the blocks from there to it. The folder's node may
 * go on meanwhile: everything is read in one transaction of a connection that can change nothing.
 */
import type { Database } from "bun:sqlite"
import { Result } from "effect"
import { buildTree } from "../block/state-build.ts"
import { pathOf } from "../block/state-tree.ts"
import { decodeHeader, type Header } from "../block/header.ts"
import { assert } from "../assert.ts"
import type { Rules } from "../chain/rules.ts"
import { concat, equal, fromHex, toHex } from "../codec/bytes.ts"
import type { FileWriter } from "../io/stream.ts"
import { decodeUndo } from "../ledger/undo.ts"
import { snapshotBlocksMax } from "../limits.ts"
import { corrupt, StoreFault } from "./db.ts"
import { floorOf, prunedOf } from "./consistency.ts"
import { ChunkWriter, encodeEntry, encodeHead, kinds, SnapshotFault } from "./snapshot-file.ts"

/** How far a part of the work is: `done` of `of` things. */
export type Progress = (part: "headers" | "entries" | "blocks", done: number, of: number) => void

export interface Made {
  readonly height: number
  readonly tip: string
  readonly stateHeight: number
  readonly stateRoot: string
  readonly entries: number
  readonly bytes: number
  /** The last check of the file, in hex: its name wherever it is passed on. */
  readonly check: string
}

const headersPerRead = 1_000

class Maker {
  private readonly db: Database
  private readonly rules: Rules
  private readonly progress: Progress
  private readonly height: number
  private readonly stateHeight: number

  constructor(db: Database, rules: Rules, wish: { readonly height: number | undefined; readonly progress: Progress }) {
    this.db = db
    this.rules = rules
    this.progress = wish.progress
    const genesis = db.query<{ value: Uint8Array }, []>("SELECT value FROM meta WHERE key = 'genesis'").get()?.value
    if (genesis === undefined || !equal(genesis, rules.genesis.header.hash))
      throw new StoreFault("chain-mismatch", "The database is of another chain than spec.json.", "Restore a backup.")
    const top = db.query<{ height: number }, []>("SELECT MAX(height) AS height FROM best").get()!.height
    const floor = Math.max(floorOf(db), prunedOf(db))
    this.height = wish.height ?? top
    // A height at the floor itself would have no block above its state.
    const least = floor === 0 ? 0 : floor + 1
    if (this.height < least || this.height > top) {
      throw new SnapshotFault(
        "snapshot-height-wrong",
        `A snapshot of height ${this.height} cannot be made: this folder has what it takes from ${least} to ${top}.`
      )
    }
    this.stateHeight = Math.max(floor, this.height - snapshotBlocksMax, 0)
    this.gather(top)
  }

  /** Writes everything; the root of what is written is the header's, or nothing was good for anyone. */
  write(out: Pick<FileWriter, "write">): Made {
    const file = new ChunkWriter(out)
    const { stateRoot } = this.headerAt(this.stateHeight)
    const tip = this.headerAt(this.height)
    const { chainId } = this.rules.spec.ledger
    const entries = this.db.query<{ n: number }, []>("SELECT COUNT(*) AS n FROM temp.entries").get()!.n
    const { height, stateHeight } = this
    const genesis = this.rules.genesis.header.hash
    file.put(kinds.head, encodeHead({ chainId, genesis, stateHeight, stateRoot, entries, height, tip: tip.hash }))
    this.headers(file)
    const root = buildTree(this.entries(file, entries), () => {})
    file.flush(kinds.entries)
    if (!equal(root, stateRoot)) throw corrupt("the state does not have the root of its header")
    this.blocks(file)
    const check = file.end()
    return { height, tip: tip.id, stateHeight, stateRoot: toHex(stateRoot), entries, bytes: file.bytes, check }
  }

  /** Copies the state in the order of the tree, in a table that SQLite keeps on disk, and undoes it to its height. */
  private gather(top: number): void {
    const { db } = this
    db.run("CREATE TEMP TABLE entries (path BLOB PRIMARY KEY, key BLOB NOT NULL, value BLOB NOT NULL) WITHOUT ROWID")
    const set = db.query("INSERT OR REPLACE INTO temp.entries (path, key, value) VALUES (?, ?, ?)")
    const remove = db.query("DELETE FROM temp.entries WHERE path = ?")
    for (const { key, value } of db.query<Stored, []>("SELECT key, value FROM main.state").iterate())
      set.run(pathOf(toHex(key)), key, value)
    const undo = db.query<{ undo: Uint8Array }, [number]>("SELECT undo FROM best b JOIN undos u ON u.n = b.n WHERE height = ?")
    for (let height = top; height > this.stateHeight; height--) {
      const bytes = undo.get(height)?.undo
      const befores = bytes === undefined ? undefined : decodeUndo(bytes)
      if (befores === undefined || Result.isFailure(befores)) throw corrupt(`block ${height} has no undo record of its own`)
      for (const [key, value] of befores.success)
        value === undefined ? remove.run(pathOf(key)) : set.run(pathOf(key), fromHex(key)!, value)
    }
  }

  private headerAt(height: number): Header {
    const row = this.db
      .query<{ header: Uint8Array }, [number]>("SELECT header FROM best b JOIN headers h ON h.n = b.n WHERE b.height = ?")
      .get(height)
    const header = row === null ? undefined : decodeHeader(row.header)
    assert(header !== undefined, "the best branch has a header at every height")
    return header
  }

  private headers(file: ChunkWriter): void {
    const page = this.db.query<{ header: Uint8Array }, [number, number]>(
      "SELECT header FROM best b JOIN headers h ON h.n = b.n WHERE b.height > ? AND b.height <= ? ORDER BY b.height"
    )
    for (let from = 0; from < this.height; from += headersPerRead) {
      const to = Math.min(this.height, from + headersPerRead)
      const rows = page.all(from, to)
      if (rows.length !== to - from) throw corrupt(`a block between heights ${from} and ${to} has no header`)
      for (const { header } of rows) file.gather(kinds.headers, header)
      this.progress("headers", to, this.height)
    }
    file.flush(kinds.headers)
  }

  /** Writes each entry as the tree takes it. */
  private *entries(file: ChunkWriter, of: number) {
    let done = 0
    const rows = this.db.query<Stored & { path: Uint8Array }, []>("SELECT path, key, value FROM temp.entries ORDER BY path")
    for (const row of rows.iterate()) {
      file.gather(kinds.entries, encodeEntry(row))
      if (++done % headersPerRead === 0) this.progress("entries", done, of)
      yield row
    }
  }

  private blocks(file: ChunkWriter): void {
    const sql = `SELECT header, body FROM best b JOIN headers h ON h.n = b.n JOIN bodies o ON o.n = b.n WHERE b.height = ?`
    const block = this.db.query<{ header: Uint8Array; body: Uint8Array }, [number]>(sql)
    for (let height = this.stateHeight + 1; height <= this.height; height++) {
      const row = block.get(height)
      if (row === null) throw corrupt(`the block at height ${height} has no body`)
      file.put(kinds.block, concat(row.header, row.body))
      this.progress("blocks", height - this.stateHeight, this.height - this.stateHeight)
    }
  }
}

interface Stored {
  readonly key: Uint8Array
  readonly value: Uint8Array
}

/**
 * Writes the snapshot of a height (undefined: the tip) through a connection that can change nothing. Throws SnapshotFault
 * and StoreFault; what was written by then is to be thrown away.
 */
export const makeSnapshot = (
  db: Database,
  rules: Rules,
  wish: { readonly out: Pick<FileWriter, "write">; readonly height: number | undefined; readonly progress: Progress }
): Made => {
  db.run("BEGIN")
  try {
    return new Maker(db, rules, wish).write(wish.out)
  } finally {
    // Takes the copy of the state along.
    db.run("ROLLBACK")
  }
}
