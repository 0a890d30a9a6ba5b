/** Migrations: a database of each released version comes out as a new one is made, with its rows; a step is whole or not. */
import { Database } from "bun:sqlite"
import { expect, test } from "bun:test"
import { migrate } from "./db.ts"
import { migrations } from "./schema.ts"

/** Version 1 as it was released. Never changed: if this test fails, step 1 was edited and a new step is due instead. */
const version1 = `
  CREATE TABLE meta (key TEXT PRIMARY KEY, value NOT NULL) WITHOUT ROWID;
  CREATE TABLE headers (n INTEGER PRIMARY KEY, hash BLOB NOT NULL UNIQUE, previous BLOB NOT NULL,
    height INTEGER NOT NULL, header BLOB NOT NULL, work BLOB NOT NULL, has_body INTEGER NOT NULL DEFAULT 0);
  CREATE INDEX headers_previous ON headers (previous);
  CREATE INDEX headers_work ON headers (work);
  CREATE TABLE bodies (n INTEGER PRIMARY KEY, body BLOB NOT NULL);
  CREATE TABLE undos (n INTEGER PRIMARY KEY, undo BLOB NOT NULL, fees INTEGER NOT NULL, transactions INTEGER NOT NULL);
  CREATE TABLE best (height INTEGER PRIMARY KEY, n INTEGER NOT NULL);
  CREATE TABLE transactions (id BLOB PRIMARY KEY, height INTEGER NOT NULL, position INTEGER NOT NULL) WITHOUT ROWID;
  CREATE TABLE state (key BLOB PRIMARY KEY, value BLOB NOT NULL, units INTEGER NOT NULL) WITHOUT ROWID;
  CREATE INDEX state_units ON state (units DESC, key);
  CREATE TABLE pages (name TEXT PRIMARY KEY, page BLOB NOT NULL) WITHOUT ROWID;
  CREATE TABLE pending (id BLOB PRIMARY KEY, bytes BLOB NOT NULL, received INTEGER NOT NULL) WITHOUT ROWID;
  CREATE TABLE invalid (n INTEGER PRIMARY KEY AUTOINCREMENT, hash BLOB NOT NULL UNIQUE, code TEXT NOT NULL);
  CREATE TABLE peers (node_id TEXT PRIMARY KEY, record TEXT NOT NULL) WITHOUT ROWID;
  PRAGMA user_version = 1;
  INSERT INTO headers (hash, previous, height, header, work, has_body) VALUES (x'0a', x'00', 0, x'01', x'02', 1);
  INSERT INTO bodies VALUES (1, x'b0');
  INSERT INTO best VALUES (0, 1);
  INSERT INTO transactions VALUES (x'1d', 0, 0);
  INSERT INTO state VALUES (x'0c', x'05', 9007199254740991);
  INSERT INTO pending VALUES (x'1e', x'ff', 7);
  INSERT INTO peers VALUES ('node', '{}');`

interface Named {
  readonly name: string
}

const fromText = (sql: string): Database => {
  const db = new Database(":memory:", { strict: true })
  db.run(sql)
  return db
}

/** What there is, without regard to how it was written down. */
const shapeOf = (db: Database): unknown => {
  const tables = db.query<Named, []>("SELECT name FROM sqlite_schema WHERE type = 'table' ORDER BY name").all()
  const indexes = db
    .query<Named, []>("SELECT tbl_name, sql FROM sqlite_schema WHERE type = 'index' ORDER BY name")
    .all()
  const list = "SELECT name, type, wr, strict FROM pragma_table_list WHERE schema = 'main' ORDER BY name"
  return [
    db.query(list).all(),
    indexes,
    tables.map(({ name }) => [name, db.query(`SELECT * FROM pragma_table_xinfo(?)`).all(name)])
  ]
}

const versionOf = (db: Database): unknown => db.query("PRAGMA user_version").get()

test("version 1 with its rows is brought to the shape of a new database", () => {
  const [old, fresh] = [fromText(version1), new Database(":memory:")]
  migrate(old)
  migrate(fresh)
  expect(shapeOf(old)).toEqual(shapeOf(fresh))
  expect(versionOf(old)).toEqual({ user_version: migrations.length })
  expect(old.query("SELECT lower(hex(key)) AS key, units FROM state").all()).toEqual([
    { key: "0c", units: Number.MAX_SAFE_INTEGER }
  ])
  expect(old.query("SELECT best.height, lower(hex(hash)) AS hash FROM best JOIN headers USING (n)").all()).toEqual([
    { height: 0, hash: "0a" }
  ])
  expect(old.query("SELECT received FROM pending").all()).toEqual([{ received: 7 }])
})

test("missing steps run once, in order, all of them or none", () => {
  const db = fromText(version1)
  const [first, second] = [migrations[0]!, ["ALTER TABLE best ADD COLUMN seen INTEGER", "UPDATE best SET seen = 5"]]
  const broken = ["DROP TABLE peers", "INSERT INTO nowhere VALUES (1)"]
  expect(() => migrate(db, [first, second, broken])).toThrow("nowhere")
  expect(versionOf(db)).toEqual({ user_version: 1 })
  expect(() => db.query("SELECT seen FROM best")).toThrow("seen")
  expect(db.query("SELECT node_id FROM peers").all()).toEqual([{ node_id: "node" }])
  migrate(db, [first, second, ["DELETE FROM peers"]])
  expect(versionOf(db)).toEqual({ user_version: 3 })
  expect(db.query("SELECT seen FROM best").all()).toEqual([{ seen: 5 }])
})

test("a newer database is refused, with both versions named", () => {
  const db = fromText("PRAGMA user_version = 7")
  expect(() => migrate(db)).toThrow(`has schema 7; this program knows up to ${migrations.length}`)
  expect(db.query("SELECT name FROM sqlite_schema").all()).toEqual([])
})
