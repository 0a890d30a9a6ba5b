/**
 * The disk of a simulated machine: real SQLite files, and the ways in which a disk lets a program down.
 *
 * The node's store syncs at every commit (WAL, synchronous=FULL), so what the model may take away is what was not synced: the
 * commit in hand. A torn commit keeps of its bytes an arbitrary choice of sectors, in the log or, when the log was being folded
 * in, in the database. A store that asks for less than FULL syncs when it folds the log in: of its log since then a loss of power
 * leaves an arbitrary choice of sectors too. The files themselves are written without syncing: the machine that runs the
 * simulation does not lose power, and a simulated year has many commits.
 */
import {
  closeSync,
  existsSync,
  mkdtempSync,
  openSync,
  readFileSync,
  readSync,
  rmSync,
  statSync,
  writeFileSync
} from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { assert } from "../assert.ts"
import type { Rules } from "../chain/rules.ts"
import { openDatabase, openReadonly } from "../store/db.ts"
import { Snapshot } from "../store/snapshot.ts"
import { ChainStore } from "../store/store.ts"
import { nothingSigned, type Signed } from "../validator/protection.ts"
import type { SignedBook } from "../validator/signer.ts"
import type { Choices } from "./choices.ts"

/** Thrown inside a commit by a machine that loses its power there. Whoever catches it is dead already. */
export class PowerLoss extends Error {
  override readonly name = "PowerLoss"
}

type Database = ReturnType<typeof openDatabase>

interface Files {
  readonly db: Uint8Array
  readonly wal: Uint8Array
}

const sectorBytes = 512
/** What `PRAGMA synchronous` gives for FULL. */
const syncFull = 2

/** Where simulations keep their files: memory, where the system has a file system in it. */
const folder = (): string => mkdtempSync(join(existsSync("/dev/shm") ? "/dev/shm" : tmpdir(), "cairn-sim-"))

/** What of a write reaches the disk, by choice: all of it, its beginning, or any of its sectors. The rest is as it was before. */
const tear = (before: Uint8Array, after: Uint8Array, choices: Choices): Uint8Array => {
  const kind = choices.pick("sector", 3)
  if (kind === 0) return after
  const sectors = Math.ceil(after.length / sectorBytes)
  const end = kind === 1 ? choices.pick("sector", sectors + 1) : 0
  const out = after.slice()
  for (let i = 0; i < sectors; i++) {
    const isWritten = kind === 1 ? i < end : choices.pick("sector", 2) === 0
    if (isWritten) continue
    const at = i * sectorBytes
    out.fill(0, at, at + sectorBytes)
    out.set(before.subarray(at, at + sectorBytes), at)
  }
  return out
}

export class SimDisk {
  private readonly folder = folder()
  private readonly path = join(this.folder, "chain.db")
  private readonly choices: Choices
  private readonly rules: Rules
  private readonly openFile: (path: string) => Database
  private db: Database | undefined
  private reader: Database | undefined
  private lossAt: (() => void) | undefined
  /** Does every commit sync? */
  private synced = true
  /** What is on disk for certain. Of a store that syncs it is looked at only before a commit that is to be torn. */
  private kept: Files | undefined
  private full = false
  /** Commits so far. */
  commits = 0
  /** A small file beside the database, replaced as a whole: after any end it holds what was written last, or what was before. */
  private signed = nothingSigned
  /** What the machine's key has signed. */
  readonly book: SignedBook = { load: () => this.signed, save: (signed) => this.keep(signed) }

  /** `openFile`: how the store opens its database, if not as the node does. */
  constructor(rules: Rules, choices: Choices, openFile: (path: string) => Database = openDatabase) {
    this.rules = rules
    this.choices = choices
    this.openFile = openFile
  }

  /** Fills the disk of a machine on which no node has run. */
  prepare(fill: (db: Database) => void): void {
    assert(!existsSync(this.path), "the disk is empty")
    const db = this.openFile(this.path)
    fill(db)
    db.close()
  }

  /** Opens the store, as a node does that starts. */
  open(): { readonly store: ChainStore; readonly snapshot: Snapshot } {
    assert(this.db === undefined, "one process at a time has the disk")
    const db = this.openFile(this.path)
    const { synchronous } = db.query<{ synchronous: number }, []>("PRAGMA synchronous").get()!
    this.synced = synchronous >= syncFull
    db.run("PRAGMA synchronous = OFF")
    this.db = db
    this.kept = this.synced ? undefined : this.read()
    this.watch(db)
    this.fill(this.full)
    try {
      const store = new ChainStore(db, this.rules)
      this.reader = openReadonly(this.path)
      return { store, snapshot: new Snapshot(this.reader, this.rules) }
    } catch (error) {
      this.shut()
      throw error
    }
  }

  /** The next commit loses power half way; `down` is called from within, then it throws PowerLoss. */
  tearNext(down: () => void): void {
    this.lossAt = down
  }

  /** True while a torn commit has been asked for and none has come. */
  get tearing(): boolean {
    return this.lossAt !== undefined
  }

  /** No room, or room again, also for a process that starts meanwhile. SQLite itself refuses to grow. */
  fill(full: boolean): void {
    const { db } = this
    this.full = full
    if (db === undefined) return
    const { page_count: pages } = db.query<{ page_count: number }, []>("PRAGMA page_count").get()!
    db.run(`PRAGMA max_page_count = ${full ? pages : 0xfffffffe}`)
  }

  /** The process is gone, and what it had written is there. `power`: the machine too, and what was not synced may not be. */
  lose(power: boolean): void {
    this.lossAt = undefined
    const files = this.read()
    this.shut()
    const { kept, choices } = this
    this.write(power && kept !== undefined ? { db: files.db, wal: tear(kept.wal, files.wal, choices) } : files)
  }

  private keep(signed: Signed): void {
    if (this.db === undefined) throw new PowerLoss("the machine is off")
    if (this.full) throw new Error("no room on the disk")
    const down = this.lossAt
    if (down === undefined || this.choices.pick("sector", 2) === 1) this.signed = signed
    if (down === undefined) return
    down()
    this.lose(true)
    throw new PowerLoss("the power went while the book was written")
  }

  /** Takes the files away. */
  remove(): void {
    this.shut()
    rmSync(this.folder, { recursive: true, force: true })
  }

  /** Closes without the folding of the log that a graceful end does. */
  private shut(): void {
    this.reader?.close()
    this.db?.close()
    this.reader = undefined
    this.db = undefined
  }

  private read(): Files {
    return { db: readFileSync(this.path), wal: this.readWal() }
  }

  private readWal(): Uint8Array {
    const path = `${this.path}-wal`
    if (!existsSync(path)) return new Uint8Array(0)
    const bytes = new Uint8Array(statSync(path).size)
    const file = openSync(path, "r")
    readSync(file, bytes)
    closeSync(file)
    return bytes
  }

  private write({ db, wal }: Files): void {
    writeFileSync(this.path, db)
    rmSync(`${this.path}-shm`, { force: true })
    if (wal.length > 0) writeFileSync(`${this.path}-wal`, wal)
    else rmSync(`${this.path}-wal`, { force: true })
  }

  /** Every transaction of this connection passes here. */
  private watch(db: Database): void {
    const real = db.transaction.bind(db)
    const around = <A>(run: () => A): A => {
      if (this.lossAt !== undefined && this.synced) this.kept = this.read()
      const done = run()
      this.commits++
      if (this.lossAt !== undefined) this.losePower(this.lossAt)
      if (!this.synced) this.fold()
      return done
    }
    const wrapped = (f: () => unknown) => {
      if (db !== this.db) throw new PowerLoss("the machine is off")
      const transaction = real(f)
      return Object.assign(() => around(transaction), { immediate: () => around(() => transaction.immediate()) })
    }
    Object.defineProperty(db, "transaction", { value: wrapped })
  }

  /** A commit after which the log was folded in has synced all there is. */
  private fold(): void {
    const files = this.read()
    if (Buffer.compare(files.db, this.kept!.db) !== 0) this.kept = files
  }

  /** The commit that has just been made was half way: some of its sectors are on disk. */
  private losePower(down: () => void): never {
    const kept = this.kept!
    const after = this.read()
    this.lossAt = undefined
    this.kept = undefined
    down()
    const folding = Buffer.compare(kept.db, after.db) !== 0
    this.shut()
    this.write(
      folding
        ? { db: tear(kept.db, after.db, this.choices), wal: after.wal }
        : { db: kept.db, wal: tear(kept.wal, after.wal, this.choices) }
    )
    throw new PowerLoss("the power went in a commit")
  }
}
