/**
 * Makes a database of a snapshot. Nothing in the file is believed: headers by the rules of headers, the state by the root
 * that the header of its height carries and by the supply, the blocks above it by the rules of blocks. What the rules
 * cannot say from here is that the work was done on a true past: past.ts replays that.
 */
import type { Database } from "bun:sqlite"
import { Result } from "effect"
import { assert } from "../assert.ts"
import { decodeBlock } from "../block/block.ts"
import { decodeHeader, type Header, splitHeaders } from "../block/header.ts"
import { buildTree } from "../block/state-build.ts"
import type { Leaf } from "../block/state-page.ts"
import { pathOf } from "../block/state-tree.ts"
import { checkBody, checkHeader } from "../chain/check.ts"
import { choosePlan } from "../chain/choose.ts"
import { runPlan } from "../chain/connect.ts"
import type { Rules } from "../chain/rules.ts"
import { VerifiedLeaves } from "../chain/verified.ts"
import { compare, equal, toHex } from "../codec/bytes.ts"
import type { Ancestry } from "../consensus/consensus.ts"
import { toTarget } from "../consensus/difficulty.ts"
import { headerCacheMax } from "../limits.ts"
import { ChunkReader, decodeEntries, decodeHead, type Head, kinds, malformed, SnapshotFault } from "./snapshot-file.ts"
import type { Progress } from "./snapshot-make.ts"
import { balancesSql } from "./balances.ts"
import { SealIndex } from "./seals.ts"
import { ChainStore } from "./store.ts"

export interface Loaded {
  readonly head: Head
  /** The last check of the file, in hex. */
  readonly check: string
}

/** Entries between two words on how far it is. */
const entriesPerWord = 1_000

class Loader {
  private readonly db: Database
  private readonly rules: Rules
  private readonly file: ChunkReader
  private readonly now: number
  private readonly progress: Progress
  private readonly head: Head

  constructor(db: Database, rules: Rules, from: LoadOptions & { readonly head: Head; readonly file: ChunkReader }) {
    this.db = db
    this.rules = rules
    this.file = from.file
    this.now = from.now
    this.progress = from.progress
    this.head = from.head
  }

  run(): Loaded {
    const { db, rules } = this
    // Writes the genesis; the store itself begins when there is a state to stand on.
    new ChainStore(db, rules)
    const base = this.headers()
    if (!equal(base.stateRoot, this.head.stateRoot))
      throw wrongState("the head of the file names another than its headers")
    this.state(base)
    this.beginPast()
    this.blocks(new ChainStore(db, rules))
    const check = this.file.end()
    return { head: this.head, check }
  }

  /** Every header on its parent; they are the best branch for as long as they are looked up. The one of the state. */
  private headers(): Header {
    const { head, rules } = this
    const insert = this.db.query(
      "INSERT INTO headers (n, hash, previous, height, header, work) VALUES (?, ?, ?, ?, ?, ?)"
    )
    const best = this.db.query("INSERT INTO best (height, n) VALUES (?1, ?1 + 1)")
    const seals = new SealIndex(this.db, rules.consensus.author)
    const recent = new RecentHeaders(this.db, rules.genesis.header)
    let work = rules.consensus.work(rules.genesis.header)
    let base = rules.genesis.header
    for (let payload = this.file.next(kinds.headers); payload !== undefined; payload = this.file.next(kinds.headers)) {
      const bytes = payload
      this.db.transaction(() => {
        for (const row of splitHeaders(bytes)) {
          const header = this.header(row.slice(), recent)
          work += rules.consensus.work(header)
          insert.run(header.height + 1, header.hash, header.previous, header.height, header.bytes, toTarget(work))
          seals.add(header, header.height + 1)
          best.run(header.height)
          recent.push(header)
          if (header.height === head.stateHeight) base = header
        }
      })()
      this.progress("headers", recent.last.height, head.height)
    }
    if (recent.last.height !== head.height) throw malformed(`it has ${recent.last.height} headers of ${head.height}`)
    if (!equal(recent.last.hash, head.tip)) throw malformed("its last header is not the tip that its head names")
    this.db.run("DELETE FROM best WHERE height > ?", [head.stateHeight])
    return base
  }

  private header(bytes: Uint8Array, recent: RecentHeaders): Header {
    const header = decodeHeader(bytes)
    if (header === undefined) throw malformed("a header is cut off")
    const parent = recent.last
    if (!equal(header.previous, parent.hash)) {
      throw headerRefused(parent.height + 1, "parent-unknown: it does not build on the one before")
    }
    const refused = checkHeader(this.rules, header, { ancestry: recent.ancestry(), now: this.now })
    if (refused !== undefined) throw headerRefused(parent.height + 1, `${refused.code}: ${refused.message}`)
    return header
  }

  /** The entries, in the order of the tree, which is built of them again: root and supply must come out. */
  private state(base: Header): void {
    const { db, head, rules } = this
    // What the past begins with, before the state takes its place.
    db.run("INSERT INTO past_state SELECT key, value FROM state")
    db.run("INSERT INTO past_pages SELECT name, page FROM pages")
    for (const table of ["state", "pages", "balances"]) db.run(`DELETE FROM ${table}`)
    const insertPage = db.query("INSERT INTO pages (name, page) VALUES (?, ?)")
    const total = { entries: 0, units: 0 }
    db.transaction(() => {
      const root = buildTree(this.leaves(total), (name, page) => void insertPage.run(name, page))
      if (!equal(root, base.stateRoot)) throw wrongState(`its entries have the root ${toHex(root)}`)
    })()
    if (total.entries !== head.entries) throw malformed(`it has ${total.entries} entries of ${head.entries}`)
    const supply = rules.ledger.supplyAt(base.height)
    if (total.units !== supply) {
      throw new SnapshotFault(
        "snapshot-supply-wrong",
        `The entries hold ${total.units} units; ${supply} were issued up to height ${base.height}.`
      )
    }
    const { changes: owners } = db.run(`INSERT INTO balances ${balancesSql}`)
    const setMeta = db.query("INSERT INTO meta (key, value) VALUES (?1, ?2) ON CONFLICT (key) DO UPDATE SET value = ?2")
    setMeta.run("entries", total.entries)
    setMeta.run("owners", owners)
  }

  /** Inserts each entry as the tree takes it. */
  private *leaves(total: { entries: number; units: number }): Generator<Leaf> {
    const { ledger } = this.rules
    const insert = this.db.query("INSERT INTO state (key, value, units, owner) VALUES (?, ?, ?, ?)")
    let last: Uint8Array | undefined
    for (let payload = this.file.next(kinds.entries); payload !== undefined; payload = this.file.next(kinds.entries)) {
      for (const { key, value } of decodeEntries(payload)) {
        if (!ledger.isEntry(key, value)) throw malformed(`entry ${total.entries} does not have the form of one`)
        const path = pathOf(toHex(key))
        if (last !== undefined && compare(last, path) >= 0) throw malformed(`entry ${total.entries} is out of order`)
        last = path
        const units = ledger.unitsOf(value)
        insert.run(key, value, units, ledger.ownerOf(value) ?? null)
        total.entries++
        total.units += units
        if (total.entries % entriesPerWord === 0) this.progress("entries", total.entries, this.head.entries)
        yield { path, value }
      }
    }
  }

  /** From here on the database says which blocks it lacks. */
  private beginPast(): void {
    const { stateHeight } = this.head
    if (stateHeight === 0) for (const table of ["past_state", "past_pages"]) this.db.run(`DELETE FROM ${table}`)
    else this.db.run("INSERT INTO meta (key, value) VALUES ('floor', ?), ('proven', 0)", [stateHeight])
  }

  private blocks(store: ChainStore): void {
    const { head, rules } = this
    const verified = new VerifiedLeaves(2)
    let height = head.stateHeight
    for (let payload = this.file.next(kinds.block); payload !== undefined; payload = this.file.next(kinds.block)) {
      height++
      const decoded = decodeBlock(payload, rules.ledger)
      if (Result.isFailure(decoded)) throw blockRefused(height, `block-malformed: ${decoded.failure.what}`)
      const block = decoded.success
      const row = store.find(block.header.id)
      if (row?.header.height !== height) throw blockRefused(height, "parent-unknown: it is not the block of its header")
      const refused = checkBody(rules, block)
      if (refused !== undefined) throw blockRefused(height, `${refused.code}: ${refused.message}`)
      store.saveBody(block)
      const outcome = runPlan(choosePlan(store, { ...row, hasBody: true }), { rules, reader: store, verified })
      if (Result.isFailure(outcome)) {
        const { code, message } = outcome.failure.reject
        throw blockRefused(height, `${code}: ${message}`)
      }
      store.land(outcome.success, this.now)
      this.progress("blocks", height - head.stateHeight, head.height - head.stateHeight)
    }
    if (height !== head.height) throw malformed(`its blocks end at height ${height} and not at ${head.height}`)
  }
}

const wrongState = (what: string): SnapshotFault =>
  new SnapshotFault(
    "snapshot-state-wrong",
    `The state is not the one that the header of its height commits to: ${what}.`
  )

const headerRefused = (height: number, why: string): SnapshotFault =>
  new SnapshotFault("snapshot-header-refused", `Header ${height} breaks the rules: ${why}.`)

const blockRefused = (height: number, why: string): SnapshotFault =>
  new SnapshotFault("snapshot-block-refused", `Block ${height} breaks the rules: ${why}.`)

/** The last headers in memory, older ones in the database. */
class RecentHeaders {
  last: Header
  private readonly db: Database
  private readonly held: Array<Header>

  constructor(db: Database, genesis: Header) {
    this.db = db
    this.last = genesis
    this.held = [genesis]
  }

  push(header: Header): void {
    this.last = header
    this.held[header.height % headerCacheMax] = header
  }

  /** The ancestors of the next header. */
  ancestry(): Ancestry {
    return { parent: this.last, at: this.at }
  }

  private readonly at = (height: number): Header => {
    const held = this.held[height % headerCacheMax]
    if (held?.height === height) return held
    const row = this.db
      .query<{ header: Uint8Array }, [number]>("SELECT header FROM headers WHERE n = ?")
      .get(height + 1)
    const header = row === null ? undefined : decodeHeader(row.header)
    assert(header !== undefined, "a header has an ancestor at every height below it")
    return header
  }
}

export interface LoadOptions {
  /** Milliseconds since 1970. */
  readonly now: number
  readonly progress: Progress
}

/**
 * Reads the rest of a file, of which the head is read, into a new and empty database. Throws SnapshotFault; then the
 * database is to be thrown away.
 */
export const loadSnapshot = (
  db: Database,
  rules: Rules,
  from: LoadOptions & { readonly head: Head; readonly file: ChunkReader }
): Loaded => {
  const { genesis, chainId } = from.head
  if (!equal(genesis, rules.genesis.header.hash)) {
    throw new SnapshotFault(
      "snapshot-chain-mismatch",
      `The snapshot is of chain "${chainId}" with genesis ${toHex(genesis)}, not ${rules.genesis.header.id}.`
    )
  }
  if (chainId !== rules.spec.ledger.chainId) throw malformed("its chain id is not the one of its genesis")
  return new Loader(db, rules, from).run()
}

/** Opens the file form and reads its head. Throws SnapshotFault. */
export const openSnapshot = (file: ConstructorParameters<typeof ChunkReader>[0]): { head: Head; file: ChunkReader } => {
  const chunks = new ChunkReader(file)
  return { file: chunks, head: decodeHead(chunks.expect(kinds.head)) }
}
