/** `cairn peers list|add|ban|unban|remove`: who a running node knows, and the operator's word on them. */
import { call } from "../http/client.ts"
import type { ReplyOf } from "../http/contract.ts"
import { readText } from "../io/files.ts"
import { tokenPath } from "./data-folder.ts"
import { paint, print, rows, type Style } from "./output.ts"

/** Which node, and what opens its admin routes; neither file: a development node asks for none. */
export interface Desk {
  readonly node: string
  readonly tokenFile: string | undefined
  readonly dataDir: string | undefined
}

type Peer = ReplyOf<"peers">["peer_records"][number]

const tokenOf = ({ tokenFile, dataDir }: Desk): string | undefined => {
  const path = tokenFile ?? (dataDir === undefined ? undefined : tokenPath(dataDir))
  return path === undefined ? undefined : readText(path, 4096).trim()
}

const styles: Readonly<Record<Peer["state"], Style>> = {
  active: "green",
  known: "dim",
  backoff: "yellow",
  banned: "red"
}

const linesOf = (peer: Peer): ReadonlyArray<string> => [
  `${paint(styles[peer.state], peer.state.padEnd(7))} ${peer.node_id}`,
  ...rows([
    ["at", `${peer.url === "" ? "it does not listen" : peer.url} (${peer.source}, ${peer.direction})`],
    [
      "score",
      `${peer.score}, ${peer.misbehaviour_points} points, ${peer.success_count} met, ${peer.failure_count} failed`
    ],
    ["height", String(peer.last_advertised_height)],
    ...(peer.banned_until === null
      ? []
      : [["banned", `until ${new Date(peer.banned_until).toISOString()}: ${peer.ban_reason}`] as const]),
    ...(peer.last_error === null ? [] : [["last error", peer.last_error] as const])
  ])
]

export const listPeers = async (node: string): Promise<void> => {
  const reply = await call(node, "peers")
  const { counts, peer_records: peers, unmet } = reply
  const own = unmet.filter(({ source }) => source === "manual" || source === "seed")
  print(reply, [
    ...peers.flatMap(linesOf),
    ...own.map(
      ({ url, source, last_error }) => `not met yet: ${url} (${source})${last_error === null ? "" : `, ${last_error}`}`
    ),
    `${counts.total} met, ${counts.active} active; endpoints: ${counts.endpoints.own} named here, ${counts.endpoints.tried} found, ${counts.endpoints.new} heard of`
  ])
}

export const addPeer = async (desk: Desk, peer: string): Promise<void> => {
  const reply = await call(desk.node, "addPeer", { body: { peer }, token: tokenOf(desk) })
  print(reply, [reply.message])
}

export const banPeer = async (
  desk: Desk,
  id: string,
  wish: { readonly seconds: number | undefined; readonly reason: string | undefined }
): Promise<void> => {
  const body = {
    ...(wish.seconds === undefined ? {} : { seconds: wish.seconds }),
    ...(wish.reason === undefined ? {} : { reason: wish.reason })
  }
  const reply = await call(desk.node, "banPeer", { params: { id }, body, token: tokenOf(desk) })
  print(reply, linesOf(reply.peer))
}

export const unbanPeer = async (desk: Desk, id: string): Promise<void> => {
  const reply = await call(desk.node, "unbanPeer", { params: { id }, token: tokenOf(desk) })
  print(reply, linesOf(reply.peer))
}

export const removePeer = async (desk: Desk, id: string): Promise<void> => {
  const reply = await call(desk.node, "removePeer", { params: { id }, token: tokenOf(desk) })
  print(reply, [`Forgotten: ${reply.removed}`])
}
