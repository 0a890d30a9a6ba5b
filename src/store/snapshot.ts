/**
 * What outsiders read: the last commit, through a connection that can change nothing and waits for nobody. Blocks of a
 * loaded snapshot's past have rows when they have been replayed.
 */
import type { Database } from "bun:sqlite"
import { Result } from "effect"
import { assert } from "../assert.ts"
import { type Block, decodeBody } from "../block/block.ts"
import { decodeHeader, type Header } from "../block/header.ts"
import { prove, type StateProof } from "../block/state-tree.ts"
import type { Rules } from "../chain/rules.ts"
import { fromHex, toHex } from "../codec/bytes.ts"
import { fromTarget } from "../consensus/difficulty.ts"
import type { Address } from "../crypto/address.ts"
import { type Coin, coinKey, decodeCoin, decodeOutpoint } from "../ledger/coin.ts"
import type { LedgerRules } from "../ledger/ledger.ts"
import type { Outpoint } from "../ledger/transaction.ts"
import { type Before, decodeUndo } from "../ledger/undo.ts"
import { prunedOf } from "./consistency.ts"
import { loadAnchors } from "./finality.ts"

export interface SnapshotRow {
  readonly header: Header
  readonly work: bigint
  readonly transactions: number
  readonly fees: number
}

interface Stored {
  readonly n: number
  readonly header: Uint8Array
  readonly work: Uint8Array
  readonly transactions: number
  readonly fees: number
}

const columns = "h.n, h.header, h.work, u.transactions, u.fees"
const joined = `SELECT ${columns} FROM best b JOIN headers h ON h.n = b.n JOIN undos u ON u.n = b.n`

/** The money of each address by the index that lists it largest first: an account's own entry, or what its coins add up to. */
const richest = {
  account: { from: "SELECT key, units FROM state WHERE owner IS NULL", key: "key" },
  utxo: { from: "SELECT owner AS key, units FROM balances WHERE true", key: "owner" }
} as const

const coinsSql = "SELECT key, value, units FROM state WHERE owner = ?1"

/** A place in an order by units, largest first, then by key. */
export interface UnitsPlace {
  readonly units: number
  /** Hex. */
  readonly key: string
}

export class Snapshot {
  private readonly db: Database
  private readonly rules: Rules

  constructor(db: Database, rules: Rules) {
    this.db = db
    this.rules = rules
  }

  /** The money model of the chain: what its state has entries of. */
  get model(): LedgerRules["model"] {
    return this.rules.spec.ledger.model
  }

  /** Up to where the votes of authorities have settled the best branch; undefined: none vote on this chain. */
  finalHeight(): number | undefined {
    return this.rules.spec.authority?.finality === undefined ? undefined : (loadAnchors(this.db)?.final.height ?? 0)
  }

  tip(): SnapshotRow {
    const row = this.db.query<Stored, []>(`${joined} ORDER BY b.height DESC LIMIT 1`).get()
    assert(row !== null, "a store has at least its genesis")
    return toRow(row)
  }

  /** Best-branch rows from a height up. */
  rowsFrom(height: number, limit: number): ReadonlyArray<SnapshotRow> {
    return this.db
      .query<Stored, [number, number]>(`${joined} WHERE b.height >= ? ORDER BY b.height LIMIT ?`)
      .all(height, limit)
      .map(toRow)
  }

  /** The bytes of best-branch headers from a height up: what peers are served. */
  headersFrom(height: number, limit: number): ReadonlyArray<{ readonly bytes: Uint8Array }> {
    return this.db
      .query<{ bytes: Uint8Array }, [number, number]>(
        "SELECT h.header AS bytes FROM best b JOIN headers h ON h.n = b.n WHERE b.height >= ? ORDER BY b.height LIMIT ?"
      )
      .all(height, limit)
  }

  /** Best-branch rows from a height down. */
  rowsDownFrom(height: number, limit: number): ReadonlyArray<SnapshotRow> {
    return this.db
      .query<Stored, [number, number]>(`${joined} WHERE b.height <= ? ORDER BY b.height DESC LIMIT ?`)
      .all(height, limit)
      .map(toRow)
  }

  rowAt(height: number): SnapshotRow | undefined {
    const row = this.db.query<Stored, [number]>(`${joined} WHERE b.height = ?`).get(height)
    return row === null ? undefined : toRow(row)
  }

  /** The best-branch row of a hash. */
  rowOf(hash: Uint8Array): SnapshotRow | undefined {
    const row = this.db
      .query<Stored, [Uint8Array]>(
        `SELECT ${columns} FROM headers h JOIN best b ON b.height = h.height AND b.n = h.n JOIN undos u ON u.n = h.n WHERE h.hash = ?`
      )
      .get(hash)
    return row === null ? undefined : toRow(row)
  }

  /** The height of a hash on the best branch. */
  heightOf(hash: Uint8Array): number | undefined {
    return this.db
      .query<{ height: number }, [Uint8Array]>(
        "SELECT h.height FROM headers h JOIN best b ON b.height = h.height AND b.n = h.n WHERE h.hash = ?"
      )
      .get(hash)?.height
  }

  /** The hash of the best branch at a height. */
  hashAt(height: number): Uint8Array | undefined {
    return this.db
      .query<{ hash: Uint8Array }, [number]>("SELECT h.hash FROM best b JOIN headers h ON h.n = b.n WHERE b.height = ?")
      .get(height)?.hash
  }

  /** Filters of best-branch blocks from a height up to another, the lowest first, as far as they are made. */
  *filters(from: number, to: number): Generator<Uint8Array> {
    const rows = this.db
      .query<{ filter: Uint8Array }, [number, number]>(
        "SELECT filter FROM filters WHERE height BETWEEN ? AND ? ORDER BY height"
      )
      .iterate(from, to)
    for (const { filter } of rows) yield filter
  }

  /** The filter header of the best-branch block at a height, if it is made. */
  filterHeader(height: number): Uint8Array | undefined {
    return this.db.query<{ header: Uint8Array }, [number]>("SELECT header FROM filters WHERE height = ?").get(height)
      ?.header
  }

  block(row: SnapshotRow): Block {
    const block = this.blockOf(row)
    assert(block !== undefined, "a block of the best branch that is not pruned has its body")
    return block
  }

  /** The block of a row; undefined: it is pruned. */
  blockOf(row: SnapshotRow): Block | undefined {
    const body = this.db
      .query<{ body: Uint8Array }, [Uint8Array]>(
        "SELECT body FROM bodies WHERE n = (SELECT n FROM headers WHERE hash = ?)"
      )
      .get(row.header.hash)
    if (body === null) return undefined
    const decoded = decodeBody(row.header, body.body, this.rules.ledger)
    assert(Result.isSuccess(decoded), "a stored body can be read again")
    return decoded.success
  }

  /** Height and position of a confirmed transaction. */
  place(id: Uint8Array): { readonly height: number; readonly position: number } | undefined {
    return (
      this.db
        .query<{ height: number; position: number }, [Uint8Array]>(
          "SELECT height, position FROM transactions WHERE id = ?"
        )
        .get(id) ?? undefined
    )
  }

  entry(key: string): Uint8Array | undefined {
    return this.db
      .query<{ value: Uint8Array }, [Uint8Array]>("SELECT value FROM state WHERE key = ?")
      .get(fromHex(key)!)?.value
  }

  /** Addresses with the most units first, after a place in that order. Each page costs the same, however many are equal. */
  addressesByUnits(after: UnitsPlace | undefined, limit: number): ReadonlyArray<UnitsPlace> {
    const { from, key } = richest[this.rules.spec.ledger.model]
    const rows =
      after === undefined
        ? this.db.query<UnitsRow, [number]>(`${from} ORDER BY units DESC, ${key} LIMIT ?`).all(limit)
        : this.db
            .query<UnitsRow, [number, Uint8Array, number]>(
              `SELECT * FROM (${from} AND units = ?1 AND ${key} > ?2 ORDER BY ${key} LIMIT ?3)
               UNION ALL SELECT * FROM (${from} AND units < ?1 ORDER BY units DESC, ${key} LIMIT ?3) LIMIT ?3`
            )
            .all(after.units, fromHex(after.key)!, limit)
    return rows.map((row) => ({ key: toHex(row.key), units: row.units }))
  }

  /** The coins of an owner, largest first, after a place in that order. */
  coinsOf(owner: Address, after: UnitsPlace | undefined, limit: number): ReadonlyArray<Outpoint & Coin> {
    const rows =
      after === undefined
        ? this.db
            .query<EntryRow, [Uint8Array, number]>(`${coinsSql} ORDER BY units DESC, key LIMIT ?2`)
            .all(owner, limit)
        : this.db
            .query<EntryRow, [Uint8Array, number, Uint8Array, number]>(
              `SELECT * FROM (${coinsSql} AND units = ?2 AND key > ?3 ORDER BY key LIMIT ?4)
               UNION ALL SELECT * FROM (${coinsSql} AND units < ?2 ORDER BY units DESC, key LIMIT ?4) LIMIT ?4`
            )
            .all(owner, after.units, fromHex(after.key)!, limit)
    return rows.map(({ key, value }) => ({ ...decodeOutpoint(key), ...decodeCoin(value) }))
  }

  /** The coin of a name, if it can be spent. */
  coin(outpoint: Outpoint): Coin | undefined {
    const value = this.entry(coinKey(outpoint))
    return value === undefined ? undefined : decodeCoin(value)
  }

  /** The undo record of the best branch's block at a height; undefined: there is none, as below a loaded snapshot and where it is pruned. */
  beforesAt(height: number): ReadonlyArray<Before> | undefined {
    const row = this.db
      .query<{ undo: Uint8Array }, [number]>("SELECT u.undo FROM best b JOIN undos u ON u.n = b.n WHERE b.height = ?")
      .get(height)
    if (row === null || (height > 0 && height <= prunedOf(this.db))) return undefined
    const decoded = decodeUndo(row.undo)
    assert(Result.isSuccess(decoded), "a stored undo record can be read again")
    return decoded.success
  }

  /** What a block of the best branch spent and changed: the entries as they were before it. */
  befores(row: SnapshotRow): ReadonlyMap<string, Uint8Array | undefined> {
    const { undo } = this.db
      .query<{ undo: Uint8Array }, [Uint8Array]>(
        "SELECT undo FROM undos WHERE n = (SELECT n FROM headers WHERE hash = ?)"
      )
      .get(row.header.hash)!
    const decoded = decodeUndo(undo)
    assert(Result.isSuccess(decoded), "a stored undo record can be read again")
    return new Map(decoded.success)
  }

  /** Entries in the order of their keys, after one of them. Keys are hex. */
  entriesByKey(after: string | undefined, limit: number) {
    const rows = this.db
      .query<Entry, [Uint8Array, number]>("SELECT key, value FROM state WHERE key > ? ORDER BY key LIMIT ?")
      .all(fromHex(after ?? "")!, limit)
    return rows.map((row) => ({ key: toHex(row.key), value: row.value }))
  }

  /** What the state root says of a key. */
  prove(key: string): StateProof {
    return prove(
      (name) => this.db.query<{ page: Uint8Array }, [string]>("SELECT page FROM pages WHERE name = ?").get(name)?.page,
      key
    )
  }

  /** The root page, for the cheap consistency check. */
  page(name: string): Uint8Array | undefined {
    return this.db.query<{ page: Uint8Array }, [string]>("SELECT page FROM pages WHERE name = ?").get(name)?.page
  }

  /** Counters that every landing keeps. */
  counts(): {
    readonly transactions: number
    readonly entries: number
    readonly owners: number
    readonly value: number
  } {
    const value = (key: string): number =>
      Number(this.db.query<{ value: number }, [string]>("SELECT value FROM meta WHERE key = ?").get(key)?.value ?? 0)
    return {
      transactions: value("transactions"),
      entries: value("entries"),
      owners: value("owners"),
      value: value("value")
    }
  }

  /** All reads of `f` see one commit. */
  read<A>(f: () => A): A {
    return this.db.transaction(f)()
  }

  close(): void {
    this.db.close()
  }
}

type Entry = Pick<EntryRow, "key" | "value">

interface UnitsRow {
  readonly key: Uint8Array
  readonly units: number
}
interface EntryRow extends UnitsRow {
  readonly value: Uint8Array
}

const toRow = ({ header, work, transactions, fees }: Stored): SnapshotRow => {
  const decoded = decodeHeader(header)
  assert(decoded !== undefined, "a stored header can be read again")
  return { header: decoded, work: fromTarget(work), transactions, fees }
}
