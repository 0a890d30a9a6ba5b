/** The flags and subcommands of `cairn light`. */
import { homedir } from "node:os"
import { join } from "node:path"
import { Effect, Option, Schema } from "effect"
import { Argument, Command, Flag } from "effect/cli"
import { presets } from "../chain/presets.ts"
import { yes } from "./flags.ts"
import { lightBalance, lightFollow, lightProof, lightSync } from "./light.ts"
import { lightScan } from "./light-scan.ts"
import type { LightOptions } from "./light-session.ts"

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
const named = (name: string, description: string) => Argument.String(name).pipe(Argument.withDescription(description))

/** Alone it follows. Its flags are those of all subcommands, before or after their names. */
const light = Command.make("light").pipe(
  Command.withSharedFlags(flags),
  Command.withHandler((input) => lightFollow(optionsOf(input)))
)

const withOptions = <E, R>(f: (options: LightOptions) => Effect.Effect<void, E, R>) =>
  Effect.flatMap(light, (input) => f(optionsOf(input)))

const syncCommand = Command.make("sync", {}, () => withOptions(lightSync)).pipe(
  Command.withDescription("Checks headers up to the heaviest tip that a peer can show")
)

const followCommand = Command.make("follow", {}, () => withOptions(lightFollow)).pipe(
  Command.withDescription("Shows each new tip, until it is told to stop; cairn light alone does the same")
)

const txCommand = Command.make("tx", { id: named("id", "Transaction id") }, ({ id }) =>
  withOptions((options) => lightProof({ ...options, subject: id, kind: "transaction" }))
).pipe(Command.withDescription("Proves that a transaction, payment or coinbase is in a block of the best branch"))

const coinCommand = Command.make("coin", { coin: named("coin", "ID:INDEX") }, ({ coin }) =>
  withOptions((options) => lightProof({ ...options, subject: coin, kind: "coin" }))
).pipe(
  Command.withDescription(
    "Proves that a coin is there after the tip, or that it is not: spent, or never made. Peers learn which coin"
  )
)

/** What is proven and what is not: nobody shall take the one for the other. */
const balanceHelp = [
  "Proves what an address has after the tip. On accounts that is one proof, and the peer that is asked learns the address.",
  "On a chain of coins block filters are downloaded, and the blocks that match from --from on; then each coin that is found",
  "there is proven to be there, so nobody can hide that it is spent. Not proven is that there are no others: that rests on",
  "filter headers that all peers agreed on, of whom one must be honest. Peers learn which coins are asked for"
].join(" ")

const balanceCommand = Command.make(
  "balance",
  { address: named("address", "Address"), from, coins: yes("coins", "On a chain of coins: show each of them") },
  ({ address, from: first, coins }) =>
    withOptions((options) => lightBalance({ ...options, address, from: first, listed: coins }))
).pipe(
  Command.withDescription(balanceHelp),
  Command.withShortDescription("Proves what an address has: an account, or each coin of it")
)

const scanCommand = Command.make(
  "scan",
  {
    addresses: named("address", "Addresses to look for").pipe(Argument.variadic({ min: 1, max: 1_000 })),
    from
  },
  ({ addresses, from: first }) => withOptions((options) => lightScan({ ...options, addresses, from: first }))
).pipe(
  Command.withDescription(
    "Finds what concerns addresses by block filters; no peer learns which addresses. What goes back to who pays is change and not counted"
  )
)

export const lightCommand = light.pipe(
  Command.withDescription(
    "A light client: keeps headers, checks the work behind them, and takes nothing else on trust. Alone it shows each new tip"
  ),
  Command.withSubcommands([syncCommand, followCommand, txCommand, coinCommand, balanceCommand, scanCommand]),
  Command.withExamples([
    {
      command: "cairn light --peer 127.0.0.1:19100 --spec dev --data-dir phone",
      description: "Each new tip of a chain, its headers in ./phone"
    },
    {
      command:
        "cairn light balance crn1q5jjwsx35h5rfkxzmhv3e8gr5ny44hgtnc5tzzv --peer 127.0.0.1:19100 --data-dir phone",
      description: "What an address has, proven"
    }
  ])
)
