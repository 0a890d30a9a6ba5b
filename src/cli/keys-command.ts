/** `cairn keys` on the command line. */
import { Effect, Option } from "effect"
import { Argument, Command } from "effect/cli"
import { readText } from "../io/files.ts"
import { Random } from "../io/random.ts"
import { makeToken } from "./account-token.ts"
import { attempt } from "./attempt.ts"
import { ask, dataDir, keyFlags, optional, passphraseOf, withKeys } from "./flags.ts"
import { devKey, exportKey, importKey, listKeys, newKey, openKey } from "./keys.ts"

const keyName = Argument.String("name").pipe(Argument.withDescription("Name of the key: a-z, 0-9, hyphen"))

/** The command. */
export const keysCommand = Command.make("keys").pipe(
  Command.withDescription("Keys on this machine, each locked by a passphrase (scrypt, AES-256-GCM)"),
  Command.withSubcommands([
    Command.make("new", { name: keyName, ...keyFlags }, (input) =>
      Effect.flatMap(passphraseOf(input.passphraseFile, true), (passphrase) =>
        withKeys(input, (options) => newKey(options, input.name, passphrase))
      )
    ).pipe(Command.withDescription("Makes a key and shows its mnemonic once")),
    Command.make("list", keyFlags, (input) => withKeys(input, listKeys)).pipe(
      Command.withDescription("Names and addresses")
    ),
    Command.make("export", { name: keyName, ...keyFlags }, (input) =>
      Effect.flatMap(passphraseOf(input.passphraseFile, false), (passphrase) =>
        withKeys(input, (options) => exportKey(options, input.name, passphrase))
      )
    ).pipe(Command.withDescription("Shows a key's secret in hex")),
    Command.make("token", { name: keyName, dataDir, ...keyFlags }, (input) =>
      Effect.gen(function* () {
        const random = yield* Random
        const known = devKey(input.name)
        const passphrase = known === undefined ? yield* passphraseOf(input.passphraseFile, false) : ""
        yield* withKeys(input, async (options) => {
          const key = known ?? (await openKey(options, input.name, passphrase))
          return makeToken({ dataDir: input.dataDir, key, name: input.name, random })
        })
      })
    ).pipe(
      Command.withDescription("Lets the node of a folder spend of the key's account for who has a token, shown once")
    ),
    Command.make(
      "import",
      {
        name: keyName,
        secretFile: optional("secret-file", "File with the secret or mnemonic; else it is asked for"),
        ...keyFlags
      },
      (input) =>
        Effect.gen(function* () {
          const secret = Option.isSome(input.secretFile)
            ? yield* attempt(() => readText(Option.getOrThrow(input.secretFile), 4096))
            : yield* ask("Secret in hex, or mnemonic")
          const passphrase = yield* passphraseOf(input.passphraseFile, true)
          yield* withKeys(input, (options) => importKey(options, { name: input.name, secret, passphrase }))
        })
    ).pipe(Command.withDescription("Stores a secret in hex or a mnemonic's first account"))
  ])
)
