/** Routes about what is stored; a part of contract.ts. */
import { Schema } from "effect"
import { count, hash, text } from "./shapes.ts"

const File = Schema.Struct({ name: text, bytes: count, sha256: hash })

/** As it stands in manifest.json of the backup, but for the check of its text. */
const Manifest = Schema.Struct({
  format: Schema.Literal("cairn-backup"),
  version: count,
  created_at: text,
  label: text,
  chain: Schema.Struct({
    chain_id: text,
    genesis: hash,
    blocks: count,
    height: count,
    cumulative_work: text,
    tip_hash: hash
  }),
  node: Schema.Struct({ node_id: text, node_url: text }),
  program: Schema.Struct({ name: text, version: text, schema: count }),
  /** Are the node's keys in it? */
  keys: Schema.Literals(["sealed", "left-out"]),
  files: Schema.Struct({ database: File, spec: File, keys: Schema.optionalKey(File) })
})

export const storageRoutes = {
  backup: {
    method: "POST",
    path: "/api/admin/backup",
    auth: "admin",
    summary: "Makes a backup of the last commit while the node goes on. 201: it is on disk, whole.",
    status: 201,
    body: Schema.Struct({ label: Schema.optionalKey(text) }),
    refusals: {
      401: "no token",
      500: "it could not be written; none is left half made",
      503: "another one is being made, or this node makes none"
    },
    reply: Schema.Struct({ message: text, folder: text, backup: Manifest })
  }
} as const
