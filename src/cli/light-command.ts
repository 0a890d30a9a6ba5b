/** The flags and subcommands of `cairn light`. */
import { homedir } from "node:os"
import { join } from "node:path"
import { Option } from "effect"
import { Argument, Command, Flag } from "effect/cli"
import { Schema } from "effect"
import { presets } from "../chain/presets.ts"
import { lightFollow, type LightOptions, lightProof, lightScan, lightSync } from "./light.ts"

const flags = {
  peer: Flag.String("peer").pipe(Flag.withDescription("Full nodes to ask: host:port, separated by commas")),
  dataDir: Flag.String("data-dir").pipe(
    Flag.withDescription("Folder of the headers"),
    Flag.withDefault(join(homedir(), ".cairn", "light"))
  ),
  spec: Flag.String("spec").pipe(
    Flag.withDescription(`Chain of a new folder: a file, or ${Object.keys(presets).join(", ")}; default: cairn`),
    Flag.optional
  )
}

const optionsOf = (input: Command.Command.Config.Infer<typeof flags>): LightOptions => ({
  peers: input.peer,
  dataDir: input.dataDir,
  spec: Option.getOrUndefined(input.spec)
})

const from = Flag.Int("from").pipe(
  Flag.withSchema(Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: Number.MAX_SAFE_INTEGER }))),
  Flag.withDescription("First height to look at: below the first payment to a new address there is nothing"),
  Flag.withDefault(0)
)

export const lightCommand = Command.make("light").pipe(
  Command.withDescription(
    "A light client: keeps headers, checks the work behind them, and takes nothing else on trust"
  ),
  Command.withSubcommands([
    Command.make("sync", flags, (input) => lightSync(optionsOf(input))).pipe(
      Command.withDescription("Checks headers up to the heaviest tip that a peer can show")
    ),
    Command.make("follow", flags, (input) => lightFollow(optionsOf(input))).pipe(
      Command.withDescription("Shows each new tip, until it is told to stop")
    ),
    Command.make(
      "tx",
      { id: Argument.String("id").pipe(Argument.withDescription("Transaction id")), ...flags },
      (input) => lightProof({ ...optionsOf(input), subject: input.id, kind: "transaction" })
    ).pipe(Command.withDescription("Proves that a transaction is in a block of the best branch")),
    Command.make(
      "balance",
      { address: Argument.String("address").pipe(Argument.withDescription("Address")), ...flags },
      (input) => lightProof({ ...optionsOf(input), subject: input.address, kind: "account" })
    ).pipe(
      Command.withDescription("Proves what an address has after the tip; the peer that is asked learns the address")
    ),
    Command.make(
      "scan",
      {
        addresses: Argument.String("address").pipe(
          Argument.withDescription("Addresses to look for"),
          Argument.variadic({ min: 1, max: 1_000 })
        ),
        from,
        ...flags
      },
      (input) => lightScan({ ...optionsOf(input), addresses: input.addresses, from: input.from })
    ).pipe(Command.withDescription("Finds what concerns addresses by block filters; no peer learns which addresses"))
  ]),
  Command.withExamples([
    {
      command: "cairn light sync --peer 127.0.0.1:19100 --spec dev --data-dir phone",
      description: "Headers of a chain, in ./phone"
    },
    {
      command:
        "cairn light balance crn1q5jjwsx35h5rfkxzmhv3e8gr5ny44hgtnc5tzzv --peer 127.0.0.1:19100 --data-dir phone",
      description: "What an address has, proven"
    }
  ])
)
