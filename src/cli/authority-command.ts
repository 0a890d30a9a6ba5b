/** The command group `cairn authority`: its commands, their flags and what `--help` teaches. */
import { Command } from "effect/cli"
import { attempt } from "./attempt.ts"
import { listAuthorities } from "./authority-list.ts"
import { nodeUrl } from "./flags.ts"

const listCommand = Command.make("list", { node: nodeUrl }, ({ node }) => attempt(() => listAuthorities(node))).pipe(
  Command.withDescription("Authorities in the order of their turns: what each did lately, and when it leads next")
)

export const authorityCommand = Command.make("authority").pipe(
  Command.withDescription("Who seals on a chain of authorities"),
  Command.withSubcommands([listCommand]),
  Command.withExamples([
    {
      command: "cairn authority list --node http://127.0.0.1:8080",
      description: "Who leads now, who was late, what is voted on; JSON in a pipe"
    }
  ])
)
