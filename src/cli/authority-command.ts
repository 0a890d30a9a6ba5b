/** `cairn authority`: its subcommands and what `--help` teaches. */
import { Argument, Command } from "effect/cli"
import { attempt } from "./attempt.ts"
import { showEvidence, showVotes, vote, type VoteOptions } from "./authority.ts"
import { listAuthorities } from "./authority-list.ts"
import { nodeUrl, optional, undefinedIfNone } from "./flags.ts"

const voteFlags = {
  subject: Argument.String("address").pipe(
    Argument.withDescription("Address of the authority, or of who shall be one")
  ),
  node: nodeUrl,
  tokenFile: optional(
    "admin-token-file",
    "File with the node's admin token; a development node on this machine needs none"
  ),
  dataDir: optional("data-dir", "The node's data folder, whose admin.token is used")
}

const voteCommand = (name: VoteOptions["vote"], description: string) =>
  Command.make(name, voteFlags, ({ subject, node, tokenFile, dataDir }) =>
    attempt(() =>
      vote({
        vote: name,
        subject,
        node,
        tokenFile: undefinedIfNone(tokenFile),
        dataDir: undefinedIfNone(dataDir)
      })
    )
  ).pipe(Command.withDescription(description))

const listCommand = Command.make("list", { node: nodeUrl }, ({ node }) => attempt(() => listAuthorities(node))).pipe(
  Command.withDescription("Authorities in the order of their turns: what each did lately, and when it leads next")
)

export const authorityCommand = Command.make("authority").pipe(
  Command.withDescription(
    "Authorities: what this node's operator wishes of others, what they vote for, what is known against them"
  ),
  Command.withSubcommands([
    listCommand,
    voteCommand("admit", "Lets this authority's blocks vote for a new one, until it is one or the wish is forgotten"),
    voteCommand("expel", "Lets this authority's blocks vote against one, until it is none or the wish is forgotten"),
    voteCommand("forget", "Takes a wish back; a vote that stands in a block counts until it lapses"),
    Command.make("votes", { node: nodeUrl }, ({ node }) => attempt(() => showVotes(node))).pipe(
      Command.withDescription("Wishes of this node, and votes of all authorities")
    ),
    Command.make("evidence", { node: nodeUrl }, ({ node }) => attempt(() => showEvidence(node))).pipe(
      Command.withDescription("Proof that authorities sealed two blocks of one slot")
    )
  ]),
  Command.withExamples([
    {
      command: "cairn authority list --node http://127.0.0.1:8080",
      description: "Who leads now, who was late, what is voted on; JSON in a pipe"
    },
    {
      command: "cairn authority admit crn1q5jjwsx35h5rfkxzmhv3e8gr5ny44hgtnc5tzzv --data-dir mine",
      description: "Votes for a new authority, through the node of ./mine"
    }
  ])
)
