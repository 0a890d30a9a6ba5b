/** Every table and what it holds. Steps are numbered by their place, forward only, and never edited after a release. */

/** Step 1: the first schema. */
const first: ReadonlyArray<string> = [
  // Facts about this database: genesis, counters. Each small: a long row would be read with its neighbours.
  `CREATE TABLE meta (key TEXT PRIMARY KEY, value NOT NULL) WITHOUT ROWID`,

  // Every header known, of any branch. n: our own short name for a block, used by the other tables.
  // work: cumulative, 32 bytes big-endian, so that it sorts. has_body: 1 if `bodies` holds it.
  `CREATE TABLE headers (
    n INTEGER PRIMARY KEY, hash BLOB NOT NULL UNIQUE, previous BLOB NOT NULL, height INTEGER NOT NULL,
    header BLOB NOT NULL, work BLOB NOT NULL, has_body INTEGER NOT NULL DEFAULT 0)`,
  `CREATE INDEX headers_previous ON headers (previous)`,
  `CREATE INDEX headers_work ON headers (work)`,

  // The body of a block as it travels.
  `CREATE TABLE bodies (n INTEGER PRIMARY KEY, body BLOB NOT NULL)`,
  // What a block of the best branch changed, as the values before; and the fees in it.
  `CREATE TABLE undos (n INTEGER PRIMARY KEY, undo BLOB NOT NULL, fees INTEGER NOT NULL, transactions INTEGER NOT NULL)`,
  // The best branch.
  `CREATE TABLE best (height INTEGER PRIMARY KEY, n INTEGER NOT NULL)`,
  // Where a transaction of the best branch stands.
  `CREATE TABLE transactions (id BLOB PRIMARY KEY, height INTEGER NOT NULL, position INTEGER NOT NULL) WITHOUT ROWID`,

  // The ledger's entries after the tip. units: the money in it, for listing by balance.
  `CREATE TABLE state (key BLOB PRIMARY KEY, value BLOB NOT NULL, units INTEGER NOT NULL) WITHOUT ROWID`,
  `CREATE INDEX state_units ON state (units DESC, key)`,
  // Pages of the state tree after the tip, by the hex of the path above them.
  `CREATE TABLE pages (name TEXT PRIMARY KEY, page BLOB NOT NULL) WITHOUT ROWID`,

  // Transactions that we have promised to keep until they are in a block. received: milliseconds.
  `CREATE TABLE pending (id BLOB PRIMARY KEY, bytes BLOB NOT NULL, received INTEGER NOT NULL) WITHOUT ROWID`,
  // Blocks that break the rules, so that they are not judged again.
  `CREATE TABLE invalid (n INTEGER PRIMARY KEY AUTOINCREMENT, hash BLOB NOT NULL UNIQUE, code TEXT NOT NULL)`,
  // What we know of other nodes, one JSON record each.
  `CREATE TABLE peers (node_id TEXT PRIMARY KEY, record TEXT NOT NULL) WITHOUT ROWID`
]

/** Step 2: the past of a loaded snapshot, replayed beside the state (past.ts). Empty once it is proven, and everywhere else. */
const past: ReadonlyArray<string> = [
  // Entries and pages after the last block of the past that has been replayed.
  `CREATE TABLE past_state (key BLOB PRIMARY KEY, value BLOB NOT NULL) WITHOUT ROWID`,
  `CREATE TABLE past_pages (name TEXT PRIMARY KEY, page BLOB NOT NULL) WITHOUT ROWID`
]

/** Step 3: entries that belong to an address which is not their key: coins. */
const owners: ReadonlyArray<string> = [
  // Whose the entry is; NULL where the key says it. It stands in the index of those without one, so that the index covers their sum.
  `ALTER TABLE state ADD COLUMN owner BLOB`,
  `CREATE INDEX state_owner ON state (owner, units DESC, key) WHERE owner IS NOT NULL`,
  `DROP INDEX state_units`,
  `CREATE INDEX state_units ON state (units DESC, key, owner) WHERE owner IS NULL`,
  // What the entries of an owner hold together, and how many they are. An owner of nothing has no row.
  `CREATE TABLE balances (owner BLOB PRIMARY KEY, units INTEGER NOT NULL, coins INTEGER NOT NULL) WITHOUT ROWID`,
  `CREATE INDEX balances_units ON balances (units DESC, owner)`,
  // Nobody has read it here, and SQLite reads a row of megabytes whole to look for its neighbours: the counters of each block.
  `DELETE FROM meta WHERE key = 'spec'`
]

/** Step 4: block filters and their headers (filters.ts). */
const filters: ReadonlyArray<string> = [
  `CREATE TABLE filters (height INTEGER PRIMARY KEY, filter BLOB NOT NULL, header BLOB NOT NULL)`
]

/** Step 5: chains of authorities (seals.ts, evidence.ts). Empty on every other. Headers stored before have no row in `seals`. */
const authorities: ReadonlyArray<string> = [
  // The first header that an authority sealed for a slot.
  `CREATE TABLE seals (slot INTEGER NOT NULL, authority BLOB NOT NULL, n INTEGER NOT NULL, PRIMARY KEY (slot, authority))
    WITHOUT ROWID`,
  // Two headers of one slot and authority, as they travel. found: milliseconds.
  `CREATE TABLE evidence (
    n INTEGER PRIMARY KEY AUTOINCREMENT, authority BLOB NOT NULL, slot INTEGER NOT NULL, bytes BLOB NOT NULL,
    found INTEGER NOT NULL, UNIQUE (authority, slot))`,
  // What the operator wants to become of somebody. since: milliseconds.
  `CREATE TABLE wishes (
    n INTEGER PRIMARY KEY AUTOINCREMENT, subject BLOB NOT NULL UNIQUE, vote TEXT NOT NULL, since INTEGER NOT NULL)`
]

/** Step 6: finality (finality.ts). */
const finality: ReadonlyArray<string> = [
  // Votes of authorities on checkpoints that may justify something yet, as they travel.
  `CREATE TABLE checkpoint_votes (n INTEGER PRIMARY KEY, vote BLOB NOT NULL UNIQUE)`,
  // Votes on one link, one after the other, that make its target justified, and its source final if the target is the next.
  `CREATE TABLE certificates (n INTEGER PRIMARY KEY, votes BLOB NOT NULL UNIQUE)`,
  // Two votes that no honest authority signs both.
  `CREATE TABLE vote_offences (voter BLOB PRIMARY KEY, votes BLOB NOT NULL) WITHOUT ROWID`
]

export const migrations: ReadonlyArray<ReadonlyArray<string>> = [first, past, owners, filters, authorities, finality]
