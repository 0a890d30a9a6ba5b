/** `cairn token`: its subcommands and what `--help` teaches. */
import { Clock, Effect } from "effect"
import { Argument, Command } from "effect/cli"
import { Random } from "../io/random.ts"
import { attempt } from "./attempt.ts"
import { dataDir } from "./flags.ts"
import { addToken, listTokens, revokeToken } from "./token.ts"

const name = Argument.String("name").pipe(Argument.withDescription("Who has it: the log has this name"))

const addCommand = Command.make("add", { name, dataDir }, (input) =>
  Effect.gen(function* () {
    const random = yield* Random
    const clock = yield* Clock.Clock
    yield* attempt(() => addToken({ ...input, random, now: clock.currentTimeMillisUnsafe() }))
  })
).pipe(Command.withDescription("Makes a token and shows it once"))

export const tokenCommand = Command.make("token").pipe(
  Command.withDescription("Who may use a node's admin routes: named tokens, made and revoked while it runs"),
  Command.withSubcommands([
    addCommand,
    Command.make("list", { dataDir }, ({ dataDir: folder }) => attempt(() => listTokens(folder))).pipe(
      Command.withDescription("Names of the tokens that count")
    ),
    Command.make("revoke", { name, dataDir }, (input) => attempt(() => revokeToken(input.dataDir, input.name))).pipe(
      Command.withDescription("Lets a token count no more")
    )
  ]),
  Command.withExamples([
    { command: "cairn token add anna --data-dir mine", description: "A token for anna, on the node of ./mine" },
    { command: "cairn token revoke anna --data-dir mine", description: "It counts no more within a second" }
  ])
)
