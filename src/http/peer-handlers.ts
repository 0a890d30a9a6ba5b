/** What is known of other nodes, and the operator's word on them. */
import { Effect } from "effect"
import { defaults, formatEndpoint, parseEndpoint, parsePlace } from "../config.ts"
import { isName } from "../crypto/address.ts"
import type { NodeShape } from "../node/node.ts"
import type { PeerAdded, PeerBookView, PlaceView } from "../node/peers.ts"
import type { ReplyOf } from "./contract.ts"
import type { Handlers } from "./exchange.ts"
import { peerJson, peerStates } from "./json.ts"
import { type Problem, problem } from "./problem.ts"

const unmetJson = (place: PlaceView): ReplyOf<"peers">["unmet"][number] => ({
  url: place.endpoint,
  source: place.source,
  state: place.state,
  discovered_at: place.discoveredAt,
  last_tried_at: place.lastTriedAt ?? null,
  failures: place.failures,
  last_error: place.lastError ?? null,
  cooldown_until: place.cooldownUntil ?? null
})

const bookJson = ({ peers, unmet, counts }: PeerBookView): ReplyOf<"peers"> => {
  const active = peers.filter(({ state }) => state === "active")
  return {
    active_peers: active.map(({ endpoint }) => endpoint),
    peers: peers.map(({ endpoint }) => endpoint),
    peer_records: peers.map(peerJson),
    unmet: unmet.map(unmetJson),
    counts: { active: active.length, total: peers.length, states: peerStates(peers), endpoints: counts }
  }
}

/** host:port of a text that may be a URL, or the problem with it. A URL without a port means the usual one of peers. */
const endpointIn = (text: string): string | Problem => {
  if (parsePlace(text)?.peer !== undefined) return text
  const url = /^([a-z][a-z0-9+.-]*):\/\/(.*)$/i.exec(text)
  if (url !== null && !/^https?$/i.test(url[1]!))
    return problem(400, "peer-scheme-wrong", "A peer is host:port, or a URL that begins with http:// or https://.")
  const rest = (url?.[2] ?? text).replace(/\/+$/, "")
  const at = parseEndpoint(rest) ?? (url === null ? undefined : parseEndpoint(`${rest}:${defaults.peerPort}`))
  return at === undefined
    ? problem(400, "endpoint-invalid", `"${text.slice(0, 80)}" is neither host:port nor the multiaddr of a node.`)
    : formatEndpoint(at.host.toLowerCase(), at.port)
}

const refusals: Readonly<Record<Exclude<PeerAdded, "added" | "known">, Problem>> = {
  "no-peers": problem(409, "no-peers", "This node was started with --no-p2p and speaks to nobody."),
  unspoken: problem(
    409,
    "transport-off",
    "This node does not speak the transport of this endpoint: by host:port cairn's own TLS, by multiaddr libp2p."
  ),
  "not-allowed": problem(400, "peer-host-not-allowed", "This host is not on the node's list of hosts."),
  self: problem(400, "peer-is-self", "This is where this node listens itself."),
  invalid: problem(400, "endpoint-invalid", "Nobody can dial this."),
  full: problem(503, "directory-full", "The operator's list of peers has no room. Remove some first.", {
    headers: { "retry-after": "60" }
  })
}

/** Ids are compared as text, so one in capitals is none. */
const isNodeId = (text: string): boolean => isName("node", text) && text === text.toLowerCase()
const idWrong = problem(400, "node-id-invalid", "A node id begins with node1 and has a checksum: look for a typo.")
const unknown = problem(404, "peer-unknown", "Nothing is known of this peer.")

type Names = "peers" | "addPeer" | "banPeer" | "unbanPeer" | "removePeer"

export const peerHandlers = (node: NodeShape): Pick<Handlers, Names> => ({
  peers: () => Effect.map(node.peerBook(), (book) => ({ reply: bookJson(book) })),
  addPeer: ({ body }) => {
    const { peer, url } = body as { readonly peer?: string; readonly url?: string }
    const named = (peer ?? url ?? "").trim()
    if (named === "") return Effect.succeed(problem(400, "peer-required", 'Name a peer: {"peer": "host:port"}.'))
    const endpoint = endpointIn(named)
    if (typeof endpoint !== "string") return Effect.succeed(endpoint)
    return Effect.gen(function* () {
      const added = yield* node.addPeer(endpoint)
      if (added !== "added" && added !== "known") return refusals[added]
      const peers = (yield* node.peers()).map((one) => one.endpoint).filter((one) => one !== "")
      const message = added === "added" ? "This peer is kept, and dialled soon." : "This peer is known already."
      return { reply: { message, peer: endpoint, peers: [...new Set([...peers, endpoint])] } }
    })
  },
  banPeer: ({ params, body }) => {
    const id = params["id"]!
    const { seconds, reason } = body as { readonly seconds?: number; readonly reason?: string }
    if (!isNodeId(id)) return Effect.succeed(idWrong)
    const ms = seconds === undefined ? undefined : seconds * 1_000
    return Effect.map(node.banPeer(id, ms, reason), (peer) => ({ reply: { peer: peerJson(peer) } }))
  },
  unbanPeer: ({ params }) =>
    isNodeId(params["id"]!)
      ? Effect.map(node.unbanPeer(params["id"]!), (peer) =>
          peer === undefined ? unknown : { reply: { peer: peerJson(peer) } }
        )
      : Effect.succeed(idWrong),
  removePeer: ({ params }) =>
    Effect.map(node.removePeer(params["id"]!), (gone) => (gone ? { reply: { removed: params["id"]! } } : unknown))
})
