/** `cairn genesis`: its flags and what `--help` teaches. */
import { Clock, Effect, Schema } from "effect"
import { Argument, Command, Flag } from "effect/cli"
import { attempt } from "./attempt.ts"
import { optional, undefinedIfNone } from "./flags.ts"
import { checkGenesis, hashGenesis, newGenesis } from "./genesis.ts"

const file = Argument.String("file").pipe(
  Argument.withDescription("Chain spec, or genesis file of ccoin; comments are allowed")
)
export const mapFlag = optional("map", "JSON file with ccoin's old addresses and the new ones that take their place")

const text = (name: string, description: string, value: string) =>
  Flag.String(name).pipe(Flag.withDescription(description), Flag.withDefault(value))
const whole = (maximum: number) => Schema.Int.check(Schema.isBetween({ minimum: 0, maximum }))

const newFlags = {
  out: Flag.String("out").pipe(Flag.withDescription("File to write; must not be there")),
  name: text("name", "Name of the chain, for people", "a chain"),
  chainId: Flag.String("chain-id").pipe(Flag.withDescription("Part of all that is signed: a-z, 0-9, hyphen")),
  prefix: text("prefix", "Prefix of its addresses", "crn"),
  symbol: text("symbol", "Symbol of its money: A-Z", "CRN"),
  decimals: Flag.Int("decimals").pipe(
    Flag.withSchema(whole(12)),
    Flag.withDescription("Decimals of an amount"),
    Flag.withDefault(8)
  ),
  reward: text("reward", "Coins that a block makes", "5"),
  supply: text("supply", "Coins that can ever be", "21000000"),
  fee: text("fee", "The least fee, in coins", "0.00001"),
  authorities: optional("authorities", "Addresses that seal in turn, separated by commas; else whoever does the work"),
  voteBlocks: Flag.Int("vote-blocks").pipe(
    Flag.withSchema(whole(10_000_000)),
    Flag.withDescription("Blocks for which a vote to admit or expel an authority counts; 0: the list is fixed"),
    Flag.withDefault(0)
  ),
  interval: Flag.Finite("interval").pipe(
    Flag.withDescription("Seconds from block to block; of authorities, of a slot"),
    Flag.withDefault(10)
  ),
  bits: Flag.Int("bits").pipe(
    Flag.withSchema(whole(240)),
    Flag.withDescription("Zero bits that a block's hash begins with; default: 20, with authorities none"),
    Flag.optional
  ),
  alloc: optional("alloc", "Who has what in the beginning: ADDRESS=COINS, separated by commas")
}

export const genesisCommand = Command.make("genesis").pipe(
  Command.withDescription("The file that a chain begins with: looks at it, names its hash, makes one"),
  Command.withSubcommands([
    Command.make("check", { file, map: mapFlag }, (input) =>
      attempt(() => checkGenesis({ file: input.file, map: undefinedIfNone(input.map) }))
    ).pipe(
      Command.withDescription(
        "Every error of the file at once, or the chain that it makes; exit code 3 if it makes none"
      )
    ),
    Command.make("hash", { file, map: mapFlag }, (input) =>
      attempt(() => hashGenesis({ file: input.file, map: undefinedIfNone(input.map) }))
    ).pipe(Command.withDescription("The genesis hash: the same file has the same on every machine")),
    Command.make("new", newFlags, (input) =>
      Effect.flatMap(Clock.currentTimeMillis, (now) =>
        attempt(() =>
          newGenesis({
            ...input,
            authorities: undefinedIfNone(input.authorities),
            bits: undefinedIfNone(input.bits),
            alloc: undefinedIfNone(input.alloc),
            now
          })
        )
      )
    ).pipe(Command.withDescription("Writes a chain spec of a few flags, on accounts; edit it for more"))
  ]),
  Command.withExamples([
    {
      command: "cairn genesis check genesis.json --map addresses.json",
      description: "A file of ccoin, and its new addresses"
    },
    {
      command:
        "cairn genesis new --out ours.json --chain-id ours --interval 5 --authorities crn1q5jjwsx35h5rfkxzmhv3e8gr5ny44hgtnc5tzzv",
      description: "A chain that one authority seals"
    }
  ])
)
