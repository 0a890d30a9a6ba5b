/** Where the first header stands that an authority sealed for a slot, of any branch: so a second one is known after a restart, too. */
import type { Database, Statement } from "bun:sqlite"
import { assert } from "../assert.ts"
import { decodeHeader, type Header } from "../block/header.ts"
import type { AuthorRules } from "../consensus/consensus.ts"
import { slotOf } from "../consensus/rota.ts"

export class SealIndex {
  private readonly author: AuthorRules | undefined
  private readonly insert: Statement
  private readonly select: Statement<{ header: Uint8Array }, [number, Uint8Array]>

  /** `author`: of a chain without authorities nothing is kept. */
  constructor(db: Database, author: AuthorRules | undefined) {
    this.author = author
    this.insert = db.query("INSERT OR IGNORE INTO seals (slot, authority, n) VALUES (?, ?, ?)")
    this.select = db.query("SELECT header FROM seals s JOIN headers h ON h.n = s.n WHERE s.slot = ? AND s.authority = ?")
  }

  /** Within the transaction that stores the header, under this number. */
  add(header: Header, n: number): void {
    if (this.author === undefined || header.height === 0) return
    this.insert.run(slotOf(this.author.rota, header.time), header.proposer, n)
  }

  /** The first stored header of this one's authority and slot; it may be this one. */
  first({ proposer, time }: Pick<Header, "proposer" | "time">): Header | undefined {
    if (this.author === undefined) return undefined
    const row = this.select.get(slotOf(this.author.rota, time), proposer)
    if (row === null) return undefined
    const header = decodeHeader(row.header)
    assert(header !== undefined, "a stored header can be read again")
    return header
  }
}
