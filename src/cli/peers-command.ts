/** `cairn peers`: its subcommands and what `--help` teaches. */
import type { Option } from "effect"
import { Argument, Command, Flag } from "effect/cli"
import { banMsMax } from "../limits.ts"
import { attempt } from "./attempt.ts"
import { nodeUrl, optional, undefinedIfNone, whole } from "./flags.ts"
import { addPeer, banPeer, type Desk, listPeers, removePeer, unbanPeer } from "./peers.ts"

const id = Argument.String("id").pipe(Argument.withDescription("Node id, as `cairn peers list` shows it"))
const desk = {
  node: nodeUrl,
  tokenFile: optional(
    "admin-token-file",
    "File with the node's admin token; a development node on this machine needs none"
  ),
  dataDir: optional("data-dir", "The node's data folder, whose admin.token is used")
}
const deskOf = ({
  node,
  tokenFile,
  dataDir
}: {
  readonly node: string
  readonly tokenFile: Option.Option<string>
  readonly dataDir: Option.Option<string>
}): Desk => ({
  node,
  tokenFile: undefinedIfNone(tokenFile),
  dataDir: undefinedIfNone(dataDir)
})

const banFlags = {
  id,
  ...desk,
  seconds: Flag.Int("seconds").pipe(
    Flag.withSchema(whole(banMsMax / 1_000)),
    Flag.withDescription("For so long; default: as long as the node bans for misbehaviour"),
    Flag.optional
  ),
  reason: optional("reason", "For those who read the list")
}

export const peersCommand = Command.make("peers").pipe(
  Command.withDescription("Other nodes that a running node knows: list them, name one, ban one"),
  Command.withSubcommands([
    Command.make("list", { node: nodeUrl }, ({ node }) => attempt(() => listPeers(node))).pipe(
      Command.withDescription("Everybody that was met, by state and score, and what was named here and not met yet")
    ),
    Command.make(
      "add",
      { peer: Argument.String("host:port").pipe(Argument.withDescription("Host and port of peers")), ...desk },
      ({ peer, ...flags }) => attempt(() => addPeer(deskOf(flags), peer))
    ).pipe(Command.withDescription("Keeps an endpoint and dials it, over restarts, until it is removed")),
    Command.make("ban", banFlags, ({ id: peer, seconds, reason, ...flags }) =>
      attempt(() =>
        banPeer(deskOf(flags), peer, { seconds: undefinedIfNone(seconds), reason: undefinedIfNone(reason) })
      )
    ).pipe(Command.withDescription("Ends the session with a node, and lets it in no more for a while")),
    Command.make("unban", { id, ...desk }, ({ id: peer, ...flags }) =>
      attempt(() => unbanPeer(deskOf(flags), peer))
    ).pipe(Command.withDescription("Lifts a ban, whoever set it")),
    Command.make(
      "remove",
      { id: Argument.String("id").pipe(Argument.withDescription("Node id, or host:port")), ...desk },
      ({ id: peer, ...flags }) => attempt(() => removePeer(deskOf(flags), peer))
    ).pipe(Command.withDescription("Forgets a node and where it was, or an endpoint; a seed stays"))
  ]),
  Command.withExamples([
    { command: "cairn peers list", description: "Who is there; JSON in a pipe" },
    {
      command: "cairn peers add 192.0.2.7:19100 --data-dir mine",
      description: "A peer to be kept, through the node of ./mine"
    }
  ])
)
