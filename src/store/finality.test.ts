/** What is kept of finality: it comes back as it was, changes are written and no more, and the chain knows its anchors at once. */
import { expect, test } from "bun:test"
import { keyOf } from "../../test/fixtures.ts"
import type { BlockHash } from "../block/header.ts"
import { toHex, utf8 } from "../codec/bytes.ts"
import { type Checkpoint, offenceOf, signVote } from "../consensus/checkpoint.ts"
import { sha256 } from "../crypto/hash.ts"
import { openDatabase } from "./db.ts"
import { type KeptFinality, loadAnchors, loadFinality, saveFinality } from "./finality.ts"

const genesis = sha256(utf8("genesis"))
const point = (height: number, name = ""): Checkpoint => {
  const hash = sha256(utf8(`${height}${name}`)) as Uint8Array as BlockHash
  return { height, hash, id: toHex(hash) }
}
const vote = (i: number, from: number, to: number, name = "") =>
  signVote(genesis, { source: point(from), target: point(to, name) }, keyOf(i))
const none: KeptFinality = { votes: [], certificates: [], offences: [] }

test("votes, certificates and guilt come back; what went is gone", () => {
  const db = openDatabase(":memory:")
  expect(loadFinality(db, genesis)).toEqual(none)
  expect(loadAnchors(db)).toBeUndefined()
  const votes = [vote(0, 0, 10), vote(1, 0, 10), vote(2, 10, 20)]
  const certificate = { source: point(0), target: point(10), votes: votes.slice(0, 2) }
  const offences = [offenceOf(vote(3, 0, 10), vote(3, 0, 10, "other"))!]
  const first = { votes, certificates: [certificate], offences }
  saveFinality(db, none, first, { final: point(0), justified: point(10) })
  expect(loadFinality(db, genesis)).toEqual(first)
  const next = { source: point(10), target: point(20), votes: [vote(0, 10, 20), votes[2]!] }
  const second = { votes: [votes[2]!], certificates: [certificate, next], offences }
  saveFinality(db, first, second, { final: point(10), justified: point(20) })
  expect(loadFinality(db, genesis)).toEqual(second)
  expect(loadAnchors(db)).toEqual({ final: point(10), justified: point(20) })
  // As after a restart, where nothing is the same object any more.
  const again = loadFinality(db, genesis)
  saveFinality(db, again, { ...again, certificates: [next] }, { final: point(10), justified: point(20) })
  expect(loadFinality(db, genesis).certificates).toEqual([next])
  db.close()
})
