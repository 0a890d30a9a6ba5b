/** Routes that the reference system has and that have no better name here (L-R14, L-R16, L-R28, L-R29); a part of contract.ts. */
import { Schema } from "effect"
import { Block, bytes, list, Snapshot, text } from "./shapes.ts"

export const legacyRoutes = {
  wallets: {
    method: "POST",
    path: "/api/wallets",
    auth: "admin",
    summary: "Makes a key and gives it away; the node keeps none of it. Off unless the operator allows it.",
    // Nothing, or an object without a field.
    body: Schema.Record(text, Schema.Never),
    status: 201,
    refusals: { 401: "no token", 403: "not from here, or the operator does not allow it" },
    reply: Schema.Struct({
      message: text,
      wallet: Schema.Struct({ private_key: bytes, public_key: bytes, address: text })
    })
  },
  mineByGet: {
    method: "GET",
    path: "/mine_block",
    auth: "admin",
    acts: true,
    summary:
      "Seals one block now, by a GET as older clients send it. Off unless the operator allows it: POST /api/mine.",
    query: Schema.Struct({ miner: Schema.optionalKey(text) }),
    status: 201,
    refusals: {
      400: "miner is not an address",
      401: "no token",
      403: "asked for by a page of another origin",
      404: "the operator does not allow it",
      503: "busy"
    },
    reply: Schema.Struct({ message: text, block: Block, snapshot: Snapshot })
  },
  remoteChain: {
    method: "GET",
    path: "/get_remote_chain",
    auth: "public",
    summary: "Peers met, and how nodes follow one another.",
    status: 200,
    refusals: {},
    reply: Schema.Struct({ peers: list(text), message: text })
  },
  hashHint: {
    method: "GET",
    path: "/hashing/sha256",
    auth: "public",
    summary: "Says which route hashes a text.",
    status: 200,
    refusals: {},
    reply: Schema.Struct({ message: text })
  }
} as const
