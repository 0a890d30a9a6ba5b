/** `cairn send` and `cairn wallet`: their flags and what `--help` teaches. */
import { Clock, Effect } from "effect"
import { Argument, Command, Flag } from "effect/cli"
import type { Keypair } from "../crypto/keys.ts"
import { noteFault } from "../ledger/note.ts"
import { type Failure, failure } from "./failure.ts"
import { keyFlags, nodeUrl, optional, passphraseOf, undefinedIfNone, withKeys, yes } from "./flags.ts"
import { addressNamed, devKey, type KeyOptions, openKey } from "./keys.ts"
import { send } from "./send.ts"
import { joinCoins, listCoins } from "./wallet.ts"

const from = Flag.String("from").pipe(
  Flag.withDescription("Name of a key, or dev:0, dev:1, dev:2 on a development chain")
)
const note = Flag.String("note").pipe(
  Flag.withDescription("Text for everyone to read, at most 280 bytes"),
  Flag.withDefault("")
)
const fees = {
  fee: optional("fee", "The whole fee in coins; default: the least that the chain takes"),
  feeRate: optional("fee-rate", "Fee in base units a byte, if that is more than the least")
}

type KeyInput = {
  readonly from: string
  readonly passphraseFile: Parameters<typeof passphraseOf>[0]
} & Parameters<typeof withKeys>[0]

const checkNote = (text: string): Effect.Effect<void, Failure> => {
  const fault = noteFault(text)
  return fault === undefined ? Effect.void : Effect.fail(failure("usage", "note-too-long", `--note: ${fault}`))
}

/** Opens the key that pays, and does with it what the command is for. */
const withPayer = (input: KeyInput, f: (key: Keypair, options: KeyOptions) => Promise<void>) =>
  Effect.gen(function* () {
    const known = devKey(input.from)
    const passphrase = known === undefined ? yield* passphraseOf(input.passphraseFile, false) : ""
    yield* withKeys(input, async (options) => f(known ?? (await openKey(options, input.from, passphrase)), options))
  })

const feesOf = (input: {
  readonly fee: Parameters<typeof undefinedIfNone<string>>[0]
  readonly feeRate: Parameters<typeof undefinedIfNone<string>>[0]
}) => ({
  fee: undefinedIfNone(input.fee),
  feeRate: undefinedIfNone(input.feeRate)
})

export const sendCommand = Command.make(
  "send",
  {
    from,
    to: Flag.String("to").pipe(Flag.withDescription("Address of the recipient")),
    amount: optional("amount", "Coins, such as 1.5"),
    all: yes("all", "Everything there is, less the fee, in place of an amount"),
    ...fees,
    changeTo: optional("change-to", "On a chain of coins: address of what is left over; default: the sender's own"),
    note,
    signOnly: yes("sign-only", "Prints the signed transaction and submits nothing: POST it to /api/transactions"),
    data: optional("data", "Bytes for everyone to read, where the chain takes some: text, or 0x and hex"),
    node: nodeUrl,
    ...keyFlags
  },
  (input) =>
    Effect.gen(function* () {
      const now = yield* Clock.currentTimeMillis
      const amount = undefinedIfNone(input.amount)
      if ((amount === undefined) !== input.all)
        return yield* failure("usage", "amount-missing", "Say how much: --amount, or --all.")
      yield* checkNote(input.note)
      const { node, to } = input
      const said = { note: input.note, dataText: undefinedIfNone(input.data) }
      const shared = {
        node,
        to,
        amount,
        ...said,
        changeTo: undefinedIfNone(input.changeTo),
        now,
        signOnly: input.signOnly
      }
      yield* withPayer(input, (key, { random }) => send({ ...shared, ...feesOf(input), key, random }))
    })
).pipe(
  Command.withDescription("Signs a transfer, or a payment out of coins, here and gives it to a node"),
  Command.withExamples([
    {
      command: "cairn send --from dev:0 --to crn1qhd5kppc0rh37u6cdxj554pz0wezxvhp45sa769 --amount 1.5",
      description: "Pays from the first development account"
    }
  ])
)

const coinsCommand = Command.make(
  "coins",
  {
    whose: Argument.String("whose").pipe(Argument.withDescription("Address, name of a key, or dev:0")),
    node: nodeUrl,
    ...keyFlags
  },
  (input) => withKeys(input, (options) => listCoins(input.node, addressNamed(options, input.whose)))
).pipe(Command.withDescription("The coins of an address, largest first, and what is pending of them"))

const consolidateCommand = Command.make("consolidate", { from, ...fees, note, node: nodeUrl, ...keyFlags }, (input) =>
  Effect.andThen(
    checkNote(input.note),
    withPayer(input, (key, { random }) =>
      joinCoins({ node: input.node, key, note: input.note, random, ...feesOf(input) })
    )
  )
).pipe(Command.withDescription("Joins the smallest coins of a key, as many as fit one payment, to one coin"))

export const walletCommand = Command.make("wallet").pipe(
  Command.withDescription("The coins of a key, on a chain of coins"),
  Command.withSubcommands([coinsCommand, consolidateCommand]),
  Command.withExamples([
    { command: "cairn wallet coins dev:0", description: "What the first development key can spend" },
    { command: "cairn wallet consolidate --from dev:0", description: "Pays once, so that later payments are small" }
  ])
)
