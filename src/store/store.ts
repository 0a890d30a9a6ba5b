/**
 * The chain on disk, as the chain actor reads and changes it. One writer; each decision is one transaction.
 *
 * Rows read often are kept in bounded caches. They follow a decision as it is made, so that its later steps see its
 * earlier ones, and are emptied if it fails: memory is never ahead of the disk. Nobody else runs in between.
 */
import type { Database, Statement } from "bun:sqlite"
import { Result } from "effect"
import { assert } from "../assert.ts"
import { type Block, decodeBody, encodeBody } from "../block/block.ts"
import { decodeHeader } from "../block/header.ts"
import { StateTree } from "../block/state-tree.ts"
import type { Landing } from "../chain/connect.ts"
import type { ChainReader, Row } from "../chain/reader.ts"
import { genesisState, type Rules } from "../chain/rules.ts"
import { equal, toHex } from "../codec/bytes.ts"
import { fromTarget, toTarget } from "../consensus/difficulty.ts"
import { summaryOf } from "../ledger/summary.ts"
import { isSent } from "../ledger/transaction.ts"
import { type Before, decodeUndo } from "../ledger/undo.ts"
import { type Balance, Balances, balancesSql } from "./balances.ts"
import { filtersPerLandingMax, headerCacheMax, invalidBlocksMax, stateEntriesMax, statePagesMax } from "../limits.ts"
import { BoundedCache } from "./cache.ts"
import { type HeaderRow, statements } from "./statements.ts"
import { EvidenceBook, WishBook } from "./evidence.ts"
import { SealIndex } from "./seals.ts"
import { FilterTable, type StoredFilter } from "./filters.ts"
import { closeDatabase, corrupt, pastInvalid, StoreFault } from "./db.ts"
import { floorOf, inconsistency, prunedOf } from "./consistency.ts"
import { deletePending, hasPending, insertPending } from "./pending.ts"

/** A row as it is stored: with its number. */
interface StoredRow extends Row {
  readonly n: number
}

/** The answer of a decision. A promise would commit at its first wait, and what it does later would not roll back. */
const finished = <A>(answer: A): A => {
  assert(!(answer instanceof Promise), "a decision waits for nothing")
  return answer
}

const keyBytes = (hex: string): Uint8Array => Uint8Array.fromHex(hex)

export class ChainStore implements ChainReader {
  readonly db: Database
  readonly seals: SealIndex
  readonly evidence: EvidenceBook
  readonly wishes: WishBook
  private readonly rules: Rules
  private readonly sql: ReturnType<typeof statements>
  private readonly rows = new BoundedCache<StoredRow>(headerCacheMax)
  private readonly bestRows = new BoundedCache<StoredRow>(headerCacheMax)
  private readonly entries = new BoundedCache<Uint8Array | null>(stateEntriesMax)
  private readonly treePages = new BoundedCache<Uint8Array | null>(statePagesMax)
  private readonly filters: FilterTable
  private best: StoredRow
  private deciding = false
  private lowest: number
  private readonly cut: number
  private broken: string | undefined

  /** Takes an open, migrated database; writes the genesis into an empty one; refuses another chain's or a broken one. */
  constructor(db: Database, rules: Rules, options: { readonly filters: boolean } = { filters: true }) {
    this.db = db
    this.rules = rules
    this.sql = statements(db)
    this.filters = new FilterTable(db, options.filters)
    this.seals = new SealIndex(db, rules.consensus.author)
    this.evidence = new EvidenceBook(db)
    this.wishes = new WishBook(db)
    const genesis = this.sql.meta.get("genesis")?.value
    if (genesis === undefined) this.begin()
    else if (!equal(genesis as Uint8Array, rules.genesis.header.hash)) {
      throw new StoreFault(
        "chain-mismatch",
        `The data folder holds the chain with genesis ${toHex(genesis as Uint8Array)}, not ${rules.genesis.header.id}.`,
        "Use the chain spec it was initialised with, or another data folder."
      )
    }
    const broken = this.sql.meta.get("past-broken")?.value
    if (broken !== undefined) throw pastInvalid(String(broken))
    const wrong = inconsistency(db, rules.ledger)
    if (wrong !== undefined) throw corrupt(wrong)
    this.best = this.toRow(this.sql.tip.get()!)
    this.lowest = floorOf(db)
    this.cut = prunedOf(db)
  }

  // ── reading ────────────────────────────────────────────────────────────────────────────────────────────────────────

  readonly find = (id: string): Row | undefined => this.stored(id)

  readonly bestAt = (height: number): Row | undefined => {
    if (height > this.best.header.height || height < 0) return undefined
    const key = String(height)
    const cached = this.bestRows.get(key)
    if (cached !== undefined) return cached
    const row = this.sql.byHeight.get(height)
    if (row === null) return undefined
    const stored = this.toRow(row)
    this.bestRows.set(key, stored)
    return stored
  }

  readonly tip = (): Row => this.best

  /** The height up to which the past of a loaded snapshot is not proven: nothing of it can be undone. 0: none. */
  readonly floor = (): number => this.lowest

  /** The height up to which bodies and undo records were dropped (rollback.ts); 0: none were. */
  readonly pruned = (): number => prunedOf(this.db)

  /** The height below which nothing can be undone, for whatever reason. */
  readonly bottom = (): number => Math.max(this.lowest, this.cut)

  readonly block = (id: string): Block | undefined => {
    const row = this.stored(id)
    const body = row === undefined ? undefined : this.sql.body.get(row.n)?.body
    if (row === undefined || body === undefined) return undefined
    const decoded = decodeBody(row.header, body, this.rules.ledger)
    assert(Result.isSuccess(decoded), "a stored body can be read again")
    return decoded.success
  }

  readonly undo = (id: string): ReadonlyArray<Before> | undefined => {
    const row = this.stored(id)
    if (row === undefined || (row.header.height > 0 && row.header.height <= this.cut)) return undefined
    const bytes = this.sql.undo.get(row.n)?.undo
    if (bytes === undefined) return undefined
    const decoded = decodeUndo(bytes)
    assert(Result.isSuccess(decoded), "a stored undo record can be read again")
    return decoded.success
  }

  readonly readEntry = (key: string): Uint8Array | undefined =>
    this.entries.getOr(key, () => this.sql.entry.get(keyBytes(key))?.value ?? null) ?? undefined

  readonly readPage = (name: string): Uint8Array | undefined =>
    this.treePages.getOr(name, () => this.sql.page.get(name)?.page ?? null) ?? undefined

  /** What an owner's entries hold together. */
  balanceOf(owner: Uint8Array): Balance {
    return this.sql.balance.get(owner) ?? { units: 0, coins: 0 }
  }

  /** Bytes of a body as it travels, for peers. */
  body(id: string): Uint8Array | undefined {
    const row = this.stored(id)
    return row === undefined ? undefined : this.sql.body.get(row.n)?.body
  }

  /** Headers that build on a block. */
  children(id: string): ReadonlyArray<Row> {
    return this.sql.children.all(keyBytes(id)).map((row) => this.toRow(row))
  }

  /** The header with the most work that is not known to be invalid. */
  heaviest(): Row {
    return this.toRow(this.sql.heaviest.get()!)
  }

  /** Blocks with a body and more work than the tip, heaviest first, that are not known to be invalid. */
  *heavier(): Generator<Row> {
    for (const row of this.sql.heavier.iterate(toTarget(this.best.work))) yield this.toRow(row)
  }

  /** Why a block is invalid, if it is known to be. */
  invalidCode(id: string): string | undefined {
    return this.sql.invalid.get(keyBytes(id))?.code
  }

  /** The stored filter of the best branch at a height, if there is one. */
  filterAt(height: number): StoredFilter | undefined {
    return this.filters.at(height)
  }

  /** Every entry of the ledger, for a comparison with a replay. */
  *allEntries(): Generator<readonly [key: string, value: Uint8Array]> {
    const rows = this.db.query<{ key: Uint8Array; value: Uint8Array }, []>("SELECT key, value FROM state").iterate()
    for (const { key, value } of rows) yield [toHex(key), value]
  }

  /** Do the balances of owners say what their entries hold? */
  balancesHold(): boolean {
    const kept = "SELECT owner, units, coins FROM balances"
    const differ = `SELECT 1 FROM (${kept} EXCEPT ${balancesSql}) UNION ALL SELECT 1 FROM (${balancesSql} EXCEPT ${kept})`
    return this.db.query(differ).get() === null
  }

  /** What SQLite finds damaged in the file; undefined: nothing. */
  damage(): string | undefined {
    const found = this.db.query<{ integrity_check: string }, []>("PRAGMA integrity_check(1)").get()?.integrity_check
    return found === "ok" ? undefined : (found ?? "no answer")
  }

  /** Is the transaction in the best branch? */
  isConfirmed(id: Uint8Array): boolean {
    return this.sql.hasTransaction.get(id) !== null
  }

  // ── writing ────────────────────────────────────────────────────────────────────────────────────────────────────────

  /** Runs `f` in one transaction. It throws: nothing of it happened, on disk or in memory. */
  decide<A>(f: () => A): A {
    if (this.deciding) return f()
    const { best } = this
    this.deciding = true
    try {
      return this.db.transaction(() => finished(f())).immediate()
    } catch (error) {
      this.best = best
      for (const cache of [this.rows, this.bestRows, this.entries, this.treePages]) cache.clear()
      throw error
    } finally {
      this.deciding = false
    }
  }

  /** Saves headers that passed their checks. Known ones are left as they are. */
  saveHeaders(rows: ReadonlyArray<Row>): void {
    this.decide(() => {
      for (const { header, work } of rows) {
        if (this.stored(header.id) !== undefined) continue
        const { hash, previous, height, bytes } = header
        const { lastInsertRowid } = this.sql.insertHeader.run(hash, previous, height, bytes, toTarget(work))
        this.seals.add(header, Number(lastInsertRowid))
      }
    })
  }

  /** Saves a body behind a known header. */
  saveBody(block: Block): void {
    this.decide(() => {
      const row = this.stored(block.header.id)
      assert(row !== undefined, "a body is saved behind a saved header")
      if (row.hasBody) return
      this.sql.insertBody.run(row.n, encodeBody(block))
      this.sql.hasBody.run(row.n)
      this.rows.delete(block.header.id)
      this.bestRows.delete(String(block.header.height))
    })
  }

  /** Puts a decision on disk: best branch, index, state, pages, undo, and the pending rows that follow from it. */
  land(landing: Landing, now: number): void {
    this.decide(() => {
      for (const block of landing.detached) this.detach(block)
      for (const attached of landing.attached) this.attach(attached)
      this.writeState(landing)
      this.movePending(landing, now)
      // Without one that was attached the chain was rolled back.
      const top = landing.attached.at(-1)
      const tip = top === undefined ? this.toRow(this.sql.tip.get()!) : this.stored(top.block.header.id)
      assert(tip !== undefined, "a landing ends with a stored block")
      this.best = tip
      this.extendFilters(filtersPerLandingMax)
    })
  }

  /** Makes block filters that are lacking, at most so many. False: there are more to make. */
  extendFilters(limit: number): boolean {
    return this.decide(() => {
      for (let made = 0; made < limit; made++) {
        const height = this.filters.next()
        const row = height === undefined ? undefined : this.bestAt(height)
        const block = row === undefined ? undefined : this.block(row.header.id)
        if (block === undefined) return true
        this.filters.attach(block)
      }
      return false
    })
  }

  /** Remembers that a block and all that builds on it are invalid. */
  markInvalid(id: string, code: string): void {
    this.decide(() => {
      const queue = [id]
      for (let next = queue.pop(); next !== undefined; next = queue.pop()) {
        this.sql.insertInvalid.run(keyBytes(next), next === id ? code : "parent-invalid")
        queue.push(...this.children(next).map(({ header }) => header.id))
      }
      this.sql.trimInvalid.run(invalidBlocksMax)
    })
  }

  // ── the past of a loaded snapshot ──────────────────────────────────────────────────────────────────────────────────

  /** The height up to which the past has been replayed; undefined: there is none to replay. */
  proven(): number | undefined {
    return this.lowest === 0 ? undefined : Number(this.sql.meta.get("proven")?.value)
  }

  /** Entries and pages of the past as far as it has been replayed. */
  readonly past = {
    readEntry: (key: string): Uint8Array | undefined =>
      this.db
        .query<{ value: Uint8Array }, [Uint8Array]>("SELECT value FROM past_state WHERE key = ?")
        .get(keyBytes(key))?.value,
    readPage: (name: string): Uint8Array | undefined =>
      this.db.query<{ page: Uint8Array }, [string]>("SELECT page FROM past_pages WHERE name = ?").get(name)?.page
  }

  /** Puts replayed blocks of the past on disk; with the last of them the chain is like any other. */
  landPast({ attached, entries, pages }: Landing): void {
    const height = attached.at(-1)!.block.header.height
    assert(
      attached[0]!.block.header.height === this.proven()! + 1 && height <= this.lowest,
      "the past grows to the floor"
    )
    this.decide(() => {
      for (const one of attached) this.remember(one)
      for (const [key, value] of entries)
        value === undefined
          ? this.sql.deletePastEntry.run(keyBytes(key))
          : this.sql.setPastEntry.run(keyBytes(key), value)
      for (const [name, page] of pages)
        page === undefined ? this.sql.deletePastPage.run(name) : this.sql.setPastPage.run(name, page)
      this.sql.setMeta.run("proven", height)
      if (height < this.lowest) return
      for (const table of ["past_state", "past_pages"]) this.db.run(`DELETE FROM ${table}`)
      this.db.run("DELETE FROM meta WHERE key IN ('floor', 'proven')")
    })
    this.lowest = floorOf(this.db)
  }

  /** Remembers for ever that the past is not one that the rules allow: the state stands on nothing. */
  breakPast(why: string): void {
    this.decide(() => this.sql.setMeta.run("past-broken", why))
    this.broken = why
  }

  /** Why the past is not one that the rules allow; undefined: nothing is known against it. */
  brokenPast(): string | undefined {
    return this.broken
  }

  close(): void {
    closeDatabase(this.db)
  }

  // ── within a transaction ───────────────────────────────────────────────────────────────────────────────────────────

  private detach(block: Block): void {
    const row = this.stored(block.header.id)
    assert(row !== undefined, "a detached block is stored")
    this.sql.deleteBest.run(block.header.height)
    this.bestRows.delete(String(block.header.height))
    this.sql.deleteUndo.run(row.n)
    this.filters.detach(block.header.height)
    for (const { id } of block.transactions) this.sql.deleteTransaction.run(id)
    this.count(block, -1)
  }

  private attach(attached: Landing["attached"][number]): void {
    const row = this.stored(attached.block.header.id)
    assert(row !== undefined, "an attached block is stored")
    this.sql.insertBest.run(attached.block.header.height, row.n)
    this.remember(attached)
  }

  /** Undo record, index and counters of a block of the best branch. */
  private remember({ block, undo, fees }: Landing["attached"][number]): void {
    const { header, transactions } = block
    const row = this.stored(header.id)
    assert(row !== undefined && row.hasBody, "an attached block is stored with its body")
    this.sql.insertUndo.run(row.n, undo, fees, transactions.length)
    const insert: Statement = this.sql.insertTransaction
    for (let i = 0; i < transactions.length; i++) insert.run(transactions[i]!.id, header.height, i)
    this.filters.attach(block)
    this.count(block, 1)
  }

  /** Keeps the counters that statistics show: no query ever counts rows. */
  private count({ transactions }: Block, sign: 1 | -1): void {
    const moved = transactions.filter(isSent)
    const value = moved.reduce((sum, transaction) => sum + summaryOf(transaction).amount, 0)
    // 0 + makes a plain zero of -0, which would be bound as REAL and turn the counter into one.
    this.sql.addMeta.run("transactions", 0 + sign * moved.length)
    this.sql.addMeta.run("value", 0 + sign * value)
  }

  private writeState({ entries, pages }: Landing): void {
    const { ledger } = this.rules
    const balances = new Balances(ledger)
    let grown = 0
    for (const [key, value, units, before] of entries) {
      grown += Number(value !== undefined) - Number(before !== undefined)
      balances.count(before, -1)
      balances.count(value, 1)
      if (value === undefined) this.sql.deleteEntry.run(keyBytes(key))
      else this.sql.setEntry.run(keyBytes(key), value, units, ledger.ownerOf(value) ?? null)
      this.entries.set(key, value ?? null)
    }
    let owners = 0
    for (const { owner, units, coins } of balances.changed()) {
      const held = this.sql.addBalance.get(owner, units, coins)!.coins
      // Who holds no more than has just come held nothing before.
      if (held === coins) owners++
      if (held > 0) continue
      this.sql.deleteBalance.run(owner)
      owners--
    }
    for (const [name, page] of pages) {
      if (page === undefined) this.sql.deletePage.run(name)
      else this.sql.setPage.run(name, page)
      this.treePages.set(name, page ?? null)
    }
    this.sql.addMeta.run("entries", grown)
    this.sql.addMeta.run("owners", owners)
  }

  /** What is mined is no longer promised; what the losing branch had mined is promised again (defect 3). A coinbase dies with its block. */
  private movePending({ detached, attached }: Landing, now: number): void {
    for (const { transactions } of detached) insertPending(this.db, transactions.filter(isSent), now)
    // While catching up nothing is pending, and thousands of deletes would look for nothing.
    if (!hasPending(this.db)) return
    for (const { block } of attached)
      deletePending(
        this.db,
        block.transactions.map(({ id }) => id)
      )
  }

  private stored(id: string): StoredRow | undefined {
    const cached = this.rows.get(id)
    if (cached !== undefined) return cached
    const row = this.sql.byHash.get(keyBytes(id))
    return row === null ? undefined : this.toRow(row)
  }

  private toRow(row: HeaderRow): StoredRow {
    const header = decodeHeader(row.header)
    assert(header !== undefined, "a stored header can be read again")
    const stored = { n: row.n, header, work: fromTarget(row.work), hasBody: row.has_body === 1 }
    this.rows.set(header.id, stored)
    return stored
  }

  /** The genesis, as a landing of its own. */
  private begin(): void {
    const { genesis, ledger, spec, consensus } = this.rules
    const state = genesisState(ledger, spec)
    const entries = [...state.changes].map(
      ([key, { after }]) => [key, after, ledger.unitsOf(after!), undefined] as const
    )
    const tree = new StateTree(() => undefined)
    tree.update(entries.map(([key, value]) => [key, value] as const))
    this.decide(() => {
      this.saveHeaders([{ header: genesis.header, work: consensus.work(genesis.header), hasBody: false }])
      this.saveBody(genesis)
      this.sql.setMeta.run("genesis", genesis.header.hash)
      this.attach({ block: genesis, undo: new Uint8Array(0), fees: 0 as Landing["attached"][number]["fees"] })
      this.writeState({ detached: [], attached: [], entries, pages: tree.pages() })
    })
  }
}
