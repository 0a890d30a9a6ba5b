/** Routes about what authorities say of each other; a part of contract.ts. On a chain without authorities each answers 404. */
import { Schema } from "effect"
import { bytes, count, hash, list, text } from "./shapes.ts"

const Wish = Schema.Struct({
  vote: Schema.Literals(["admit", "expel"]),
  subject: text,
  since: count,
  state: Schema.Literals(["waiting", "cast", "done", "impossible"])
})
/** Votes that count in the next block, of all authorities. */
const Motion = Schema.Struct({
  vote: Schema.Literals(["admit", "expel"]),
  subject: text,
  voters: list(text),
  votes: count,
  /** Votes that it still needs. */
  lacking: count
})
const Votes = Schema.Struct({
  height: count,
  authorities: count,
  /** Blocks for which a vote counts; 0: the list is fixed. */
  vote_blocks: count,
  wishes: list(Wish),
  motions: list(Motion)
})
const Sealed = Schema.Struct({ hash, height: count, time: count, previous_hash: hash, header: bytes })
const Offence = Schema.Struct({
  authority: text,
  slot: count,
  found_at: count,
  /** Of the guilty after the tip. */
  standing: Schema.Literals(["member", "convicted", "none"]),
  ours: Schema.Boolean,
  /** As it travels: both headers. */
  evidence: bytes,
  first: Sealed,
  second: Sealed
})

export const authorityRoutes = {
  votes: {
    method: "GET",
    path: "/api/authorities/votes",
    auth: "public",
    summary: "What this authority's operator wishes of others, and what all of them vote for.",
    status: 200,
    refusals: { 404: "the chain has no authorities" },
    reply: Votes
  },
  vote: {
    method: "POST",
    path: "/api/authorities/votes",
    auth: "admin",
    summary: "Wishes that an address become an authority (admit) or be none (expel), or forgets the wish.",
    status: 200,
    body: Schema.Struct({ vote: Schema.Literals(["admit", "expel", "forget"]), subject: text }),
    refusals: {
      400: "subject is not an address",
      401: "no token",
      404: "the chain has no authorities, or there is no such wish",
      409: "it cannot be; the code says why",
      503: "busy"
    },
    reply: Votes
  },
  evidence: {
    method: "GET",
    path: "/api/authorities/evidence",
    auth: "public",
    summary: "Proof that authorities sealed two blocks of one slot, oldest first.",
    status: 200,
    refusals: { 404: "the chain has no authorities" },
    reply: Schema.Struct({ evidence: list(Offence), count })
  }
} as const
