/** Checkpoint votes across a restart: those held, the certificates, proven guilt, and what the chain is anchored at. */
import type { Database } from "bun:sqlite"
import { concatAll, fromHex, readU64, toHex, writeU64 } from "../codec/bytes.ts"
import type { BlockHash } from "../block/header.ts"
import type { Anchors } from "../chain/choose.ts"
import {
  type Checkpoint,
  type CheckpointVote,
  decodeOffence,
  decodeVote,
  encodeOffence,
  voteBytes
} from "../consensus/checkpoint.ts"
import type { VoteOffence } from "../consensus/checkpoint.ts"
import type { Certificate } from "../consensus/finality.ts"

/** All of it. */
export interface KeptFinality {
  readonly votes: ReadonlyArray<CheckpointVote>
  /** In the order in which they were saved. */
  readonly certificates: ReadonlyArray<Certificate>
  readonly offences: ReadonlyArray<VoteOffence>
}

const encodePoint = ({ height, hash }: Checkpoint): Uint8Array => {
  const out = new Uint8Array(40)
  writeU64(out, 0, height)
  out.set(hash, 8)
  return out
}

const pointAt = (db: Database, key: string): Checkpoint | undefined => {
  const bytes = db.query<{ value: Uint8Array }, [string]>("SELECT value FROM meta WHERE key = ?").get(key)?.value
  if (bytes === undefined) return undefined
  const hash = bytes.slice(8) as Uint8Array as BlockHash
  return { height: readU64(bytes, 0)!, hash, id: toHex(hash) }
}

/** What the votes have made final and justified, as the chain must know before it moves; undefined: nothing was saved. */
export const loadAnchors = (db: Database): Anchors | undefined => {
  const final = pointAt(db, "final")
  const justified = pointAt(db, "justified")
  return final === undefined || justified === undefined ? undefined : { final, justified }
}

const votesOf = (bytes: Uint8Array): ReadonlyArray<CheckpointVote> =>
  Array.from(
    { length: bytes.length / voteBytes },
    (_, i) => decodeVote(bytes.slice(i * voteBytes, (i + 1) * voteBytes))!
  )

/** Everything that was saved. */
export const loadFinality = (db: Database, genesis: Uint8Array): KeptFinality => ({
  votes: db
    .query<{ vote: Uint8Array }, []>("SELECT vote FROM checkpoint_votes ORDER BY n")
    .all()
    .map(({ vote }) => decodeVote(vote)!),
  certificates: db
    .query<{ votes: Uint8Array }, []>("SELECT votes FROM certificates ORDER BY n")
    .all()
    .map(({ votes }) => votesOf(votes))
    .map((votes) => ({ source: votes[0]!.source, target: votes[0]!.target, votes })),
  offences: db
    .query<{ votes: Uint8Array }, []>("SELECT votes FROM vote_offences ORDER BY voter")
    .all()
    .map(({ votes }) => decodeOffence(genesis, votes)!)
})

/** Saves what changed between two states, within the caller's transaction or in one of its own. */
export const saveFinality = (db: Database, before: KeptFinality, after: KeptFinality, anchors: Anchors): void => {
  const swap = <A>(old: ReadonlyArray<A>, now: ReadonlyArray<A>, write: (gone: boolean, one: A) => void): void => {
    const [was, is] = [new Set(old), new Set(now)]
    for (const one of was) if (!is.has(one)) write(true, one)
    for (const one of is) if (!was.has(one)) write(false, one)
  }
  db.transaction(() => {
    swap(before.votes, after.votes, (gone, { bytes }) =>
      db
        .query(
          gone
            ? "DELETE FROM checkpoint_votes WHERE vote = ?"
            : "INSERT OR IGNORE INTO checkpoint_votes (vote) VALUES (?)"
        )
        .run(bytes)
    )
    swap(before.certificates, after.certificates, (gone, { votes }) =>
      db
        .query(
          gone ? "DELETE FROM certificates WHERE votes = ?" : "INSERT OR IGNORE INTO certificates (votes) VALUES (?)"
        )
        .run(concatAll(votes.map(({ bytes }) => bytes)))
    )
    for (const offence of after.offences)
      db.query("INSERT OR IGNORE INTO vote_offences (voter, votes) VALUES (?, ?)").run(
        fromHex(offence.voter)!,
        encodeOffence(offence)
      )
    for (const key of ["final", "justified"] as const)
      db.query("INSERT INTO meta (key, value) VALUES (?1, ?2) ON CONFLICT (key) DO UPDATE SET value = ?2").run(
        key,
        encodePoint(anchors[key])
      )
  }).immediate()
}
