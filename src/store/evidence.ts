/**
 * Evidence against authorities, and what this node's operator wishes of them, across restarts. Both tables are bounded: what
 * peers tell can fill neither beyond limits.ts.
 */
import type { Database } from "bun:sqlite"
import { toHex } from "../codec/bytes.ts"
import { encodeEvidence, type Evidence } from "../consensus/evidence.ts"
import type { Address } from "../crypto/address.ts"
import { evidenceMax, evidencePerAuthorityMax, wishesMax } from "../limits.ts"

/** `found`: milliseconds since 1970. */
export interface EvidenceRow {
  readonly authority: Uint8Array
  readonly slot: number
  readonly bytes: Uint8Array
  readonly found: number
}

export class EvidenceBook {
  private readonly db: Database
  private readonly max: number

  constructor(db: Database, max = evidenceMax) {
    this.db = db
    this.max = max
  }

  /** Does it lack this one, and want it? Of one authority a few are enough. */
  wants({ authority, slot }: Pick<Evidence, "authority" | "slot">): boolean {
    const held = this.db
      .query<{ slot: number }, [Uint8Array]>("SELECT slot FROM evidence WHERE authority = ?")
      .all(authority)
    return held.length < evidencePerAuthorityMax && held.every((row) => row.slot !== slot)
  }

  /** Keeps one whose signatures are right. False: it was known, or there are enough. */
  add(evidence: Evidence, now: number): boolean {
    if (!this.wants(evidence)) return false
    this.db
      .query("INSERT INTO evidence (authority, slot, bytes, found) VALUES (?, ?, ?, ?)")
      .run(evidence.authority, evidence.slot, encodeEvidence(evidence), now)
    this.db.query("DELETE FROM evidence WHERE n <= (SELECT MAX(n) FROM evidence) - ?").run(this.max)
    return true
  }

  /** In the order in which they were found. */
  all(): ReadonlyArray<EvidenceRow> {
    return this.db.query<EvidenceRow, []>("SELECT authority, slot, bytes, found FROM evidence ORDER BY n").all()
  }

  /** The first of each authority, by the hex of its address, in the order in which they were found. */
  firsts(): ReadonlyMap<string, Uint8Array> {
    const firsts = new Map<string, Uint8Array>()
    for (const { authority, bytes } of this.all()) {
      const key = toHex(authority)
      if (!firsts.has(key)) firsts.set(key, bytes)
    }
    return firsts
  }

  /** Is there any against this one? */
  isGuilty(authority: Address): boolean {
    return this.db.query("SELECT 1 FROM evidence WHERE authority = ? LIMIT 1").get(authority) !== null
  }

  get size(): number {
    return this.db.query<{ count: number }, []>("SELECT COUNT(*) AS count FROM evidence").get()!.count
  }
}

/** What an operator wants to become of somebody. `since`: milliseconds since 1970. */
export interface Wished {
  readonly vote: "admit" | "expel"
  readonly subject: Address
  readonly since: number
}

/** The operator's wishes, one about each subject, in the order in which they were made. */
export class WishBook {
  private readonly db: Database

  constructor(db: Database) {
    this.db = db
  }

  all(): ReadonlyArray<Wished> {
    return this.db
      .query<{ subject: Uint8Array; vote: Wished["vote"]; since: number }, []>(
        "SELECT subject, vote, since FROM wishes ORDER BY n"
      )
      .all()
      .map((row) => ({ ...row, subject: row.subject as Address }))
  }

  /** A new one about a subject takes the place of the older. False: there are too many about others. */
  set({ vote, subject, since }: Wished): boolean {
    this.drop(subject)
    const { count } = this.db.query<{ count: number }, []>("SELECT COUNT(*) AS count FROM wishes").get()!
    if (count >= wishesMax) return false
    this.db.query("INSERT INTO wishes (subject, vote, since) VALUES (?, ?, ?)").run(subject, vote, since)
    return true
  }

  /** False: there was none. */
  drop(subject: Address): boolean {
    return this.db.query("DELETE FROM wishes WHERE subject = ?").run(subject).changes > 0
  }
}
