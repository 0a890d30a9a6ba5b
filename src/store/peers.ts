/** The rows of the peer book across a restart, one JSON value each. What they mean is the book's business. */
import type { Database } from "bun:sqlite"

/** The table of the book's rows. Remembers what is there, so that a save writes only what has changed. */
export class PeerShelf {
  private readonly db: Database
  /** Text of each row as it stands; undefined: not read yet. */
  private written: Map<string, string> | undefined

  constructor(db: Database) {
    this.db = db
  }

  /** Every row that is JSON, by name. */
  load(): ReadonlyMap<string, unknown> {
    const rows = this.db.query<{ node_id: string; record: string }, []>("SELECT node_id, record FROM peers").all()
    this.written = new Map(rows.map(({ node_id, record }) => [node_id, record]))
    return new Map(rows.map(({ node_id, record }) => [node_id, JSON.parse(record) as unknown]))
  }

  /** The table has these rows and no others afterwards, in one transaction. */
  save(rows: ReadonlyMap<string, unknown>): void {
    if (this.written === undefined) this.load()
    const next = new Map([...rows].map(([name, value]) => [name, JSON.stringify(value)]))
    const changed = [...next].filter(([name, text]) => this.written!.get(name) !== text)
    const gone = [...this.written!.keys()].filter((name) => !next.has(name))
    if (changed.length + gone.length === 0) return
    const put = this.db.query("INSERT OR REPLACE INTO peers (node_id, record) VALUES (?, ?)")
    const remove = this.db.query("DELETE FROM peers WHERE node_id = ?")
    this.db
      .transaction(() => {
        for (const [name, text] of changed) put.run(name, text)
        for (const name of gone) remove.run(name)
      })
      .immediate()
    this.written = next
  }
}
