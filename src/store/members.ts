/** The members of a discovery service, in a file or in memory. Which of them may be there is the registry's business. */
import type { Database } from "bun:sqlite"
import type { Member, MemberStore, Row } from "../discovery/registry.ts"
import { closeDatabase, openDatabase } from "./db.ts"

/** Steps of this database's own; numbered by their place, never edited after a release. */
const steps: ReadonlyArray<ReadonlyArray<string>> = [
  [
    // A member that has gone has expires 0; kept: when the row may be forgotten. Times in milliseconds.
    `CREATE TABLE members (
      node_id TEXT PRIMARY KEY, genesis BLOB NOT NULL, chain_id TEXT NOT NULL, endpoint TEXT NOT NULL, source TEXT NOT NULL,
      time INTEGER NOT NULL, expires INTEGER NOT NULL, kept INTEGER NOT NULL) STRICT, WITHOUT ROWID`,
    `CREATE INDEX members_genesis ON members (genesis, node_id)`,
    `CREATE INDEX members_source ON members (source)`,
    `CREATE INDEX members_kept ON members (kept)`
  ]
]

interface Stored {
  readonly node_id: string
  readonly genesis: Uint8Array
  readonly chain_id: string
  readonly endpoint: string
  readonly source: string
  readonly time: number
  readonly expires: number
  readonly kept: number
}

const memberOf = (row: Stored): Member => ({
  nodeId: row.node_id,
  chainId: row.chain_id,
  endpoint: row.endpoint,
  time: row.time,
  expires: row.expires
})

const rowOf = (row: Stored): Row => ({
  ...memberOf(row),
  genesis: row.genesis,
  source: row.source,
  keptUntil: row.kept
})

/** Opens a file, or `:memory:`. Throws StoreFault. */
export const openMembers = (path: string): MemberStore => storeOf(openDatabase(path, steps))

const storeOf = (db: Database): MemberStore => {
  const purge = db.query<unknown, [number]>("DELETE FROM members WHERE kept <= ?")
  const find = db.query<Stored, [string]>("SELECT * FROM members WHERE node_id = ?")
  const put = db.query("INSERT OR REPLACE INTO members VALUES (?, ?, ?, ?, ?, ?, ?, ?)")
  const all = db.query<{ n: number }, []>("SELECT COUNT(*) AS n FROM members")
  const ofSource = db.query<{ n: number }, [string]>("SELECT COUNT(*) AS n FROM members WHERE source = ?")
  const page = db.query<Stored, [Uint8Array, string, number, number]>(
    "SELECT * FROM members WHERE genesis = ? AND node_id > ? AND expires > ? ORDER BY node_id LIMIT ?"
  )
  return {
    purge: (now) => void purge.run(now),
    find: (nodeId) => {
      const row = find.get(nodeId)
      return row === null ? undefined : rowOf(row)
    },
    put: ({ nodeId, genesis, chainId, endpoint, source, time, expires, keptUntil }) =>
      void put.run(nodeId, genesis, chainId, endpoint, source, time, expires, keptUntil),
    count: (source) => ({ all: all.get()!.n, ofSource: ofSource.get(source)!.n }),
    page: (genesis, after, limit, now) => page.all(genesis, after, now, limit).map(memberOf),
    close: () => closeDatabase(db)
  }
}
