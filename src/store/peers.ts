/** Peer records across a restart, one JSON value each. What they mean is the directory's business. */
import type { Database } from "bun:sqlite"

/** Replaces all records by these, in one transaction. */
export const savePeers = (db: Database, records: ReadonlyMap<string, unknown>): void => {
  const insert = db.query("INSERT INTO peers (node_id, record) VALUES (?, ?)")
  db.transaction(() => {
    db.run("DELETE FROM peers")
    for (const [nodeId, record] of records) insert.run(nodeId, JSON.stringify(record))
  }).immediate()
}

/** Every record, by node id. */
export const loadPeers = (db: Database): ReadonlyMap<string, unknown> =>
  new Map(
    db
      .query<{ node_id: string; record: string }, []>("SELECT node_id, record FROM peers")
      .all()
      .map(({ node_id, record }) => [node_id, JSON.parse(record) as unknown] as const)
  )
