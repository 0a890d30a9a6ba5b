/** Routes about other nodes: what is known of them, and the operator's word on them; a part of contract.ts. */
import { Schema } from "effect"
import { banMsMax, endpointCharsMax } from "../limits.ts"
import { count, list, nullable, Peer, PeerSource, text } from "./shapes.ts"

/** An endpoint where nobody was met yet. */
const Unmet = Schema.Struct({
  url: text,
  source: PeerSource,
  state: Schema.Literals(["known", "backoff", "banned"]),
  discovered_at: count,
  last_tried_at: nullable(count),
  failures: count,
  last_error: nullable(text),
  cooldown_until: nullable(count)
})
const One = Schema.Struct({ peer: Peer })
/** A node id. */
const badId = { 400: "this is no node id", 401: "no token" }

export const peerRoutes = {
  peers: {
    method: "GET",
    path: "/api/peers",
    auth: "public",
    summary: "Peers met, with what they are worth to us, and endpoints where nobody was met yet.",
    status: 200,
    refusals: {},
    reply: Schema.Struct({
      active_peers: list(text),
      peers: list(text),
      peer_records: list(Peer),
      unmet: list(Unmet),
      counts: Schema.Struct({
        active: count,
        total: count,
        states: Schema.Struct({ active: count, known: count, backoff: count, banned: count }),
        /** Endpoints that the operator named, where we found a node, and that others named. */
        endpoints: Schema.Struct({ own: count, tried: count, new: count })
      })
    })
  },
  addPeer: {
    method: "POST",
    path: "/api/peers",
    auth: "admin",
    summary:
      "Keeps an endpoint and dials it: `peer` or `url`, host and port of peers, also as a URL, or a multiaddr that ends in the peer id.",
    status: 201,
    body: Schema.Struct({
      peer: Schema.optionalKey(text.check(Schema.isMaxLength(endpointCharsMax))),
      url: Schema.optionalKey(text.check(Schema.isMaxLength(endpointCharsMax)))
    }),
    refusals: {
      400: "it is no endpoint, our own, or its host is not on the list: the code says which",
      401: "no token",
      409: "this node speaks to no peers, or not by that transport: the code says which",
      503: "there is no room for more"
    },
    reply: Schema.Struct({ message: text, peer: text, peers: list(text) })
  },
  banPeer: {
    method: "POST",
    path: "/api/peers/:id/ban",
    auth: "admin",
    summary: "Bans a node, met or not, and ends its session.",
    status: 200,
    body: Schema.Struct({
      /** Default: the policy's. */
      seconds: Schema.optionalKey(Schema.Int.check(Schema.isBetween({ minimum: 1, maximum: banMsMax / 1_000 }))),
      reason: Schema.optionalKey(text.check(Schema.isMaxLength(200)))
    }),
    refusals: badId,
    reply: One
  },
  unbanPeer: {
    method: "POST",
    path: "/api/peers/:id/unban",
    auth: "admin",
    summary: "Lifts a ban, whoever set it, and the waits of its endpoints.",
    status: 200,
    refusals: { ...badId, 404: "nothing is known of this node" },
    reply: One
  },
  removePeer: {
    method: "POST",
    path: "/api/peers/:id/remove",
    auth: "admin",
    summary: "Forgets a node and where it was, or an endpoint, and ends its session. A seed stays.",
    status: 200,
    refusals: { 401: "no token", 404: "nothing is known of this node, or it is a seed" },
    reply: Schema.Struct({ removed: text })
  }
} as const
