/** Routes for who watches over the process: does it live, has it started, may it be sent work? A part of contract.ts. Never limited. */
import { Schema } from "effect"
import { Backups, count, nullable, State, text } from "./shapes.ts"

/** How far the node is behind the best header that it knows of. */
export const Progress = Schema.Struct({
  height: count,
  target_height: count,
  blocks_behind: count,
  /** Milliseconds; null: nothing lacks, or it is not known. */
  eta_ms: nullable(Schema.Finite),
  /** That have said how long their chain is. */
  peers: count
})

export const healthRoutes = {
  live: {
    method: "GET",
    path: "/livez",
    auth: "health",
    summary: "Does the process answer? Nothing is looked up.",
    status: 200,
    refusals: {},
    reply: Schema.Struct({ status: Schema.Literal("ok") })
  },
  ready: {
    method: "GET",
    path: "/api/ready",
    auth: "health",
    summary: "May traffic be sent here? 503 with the reasons if not. Looked at once a second at most.",
    status: 200,
    refusals: { 503: "not ready; `errors` lists the reasons, `sync` says how far behind" },
    reply: Schema.Struct({
      status: Schema.Literal("ready"),
      state: State,
      chain_id: text,
      node_id: text,
      height: count,
      sync: Progress,
      /** Null: the node makes none of itself. */
      backups: nullable(Backups),
      timestamp: text
    })
  },
  startup: {
    method: "GET",
    path: "/startupz",
    auth: "health",
    summary: "Has it been past its start? Then it has for as long as it lives.",
    status: 200,
    refusals: { 503: "it opens its chain or looks for its first peer" },
    reply: Schema.Struct({ status: Schema.Literal("started"), state: State })
  }
} as const
