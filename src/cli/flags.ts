/** Flags that several commands share, and what a command needs to open a key. */
import { homedir } from "node:os"
import { join } from "node:path"
import { Effect, Option, Schema } from "effect"
import { Flag, Prompt } from "effect/cli"
import { presets } from "../chain/presets.ts"
import { defaults } from "../config.ts"
import { loadEngine } from "../crypto/native.ts"
import { useEngine } from "../crypto/signature.ts"
import { readText } from "../io/files.ts"
import { Random } from "../io/random.ts"
import { attempt } from "./attempt.ts"
import { keystorePath } from "./data-folder.ts"
import { failure } from "./failure.ts"
import type { KeyOptions } from "./keys.ts"

const home = join(homedir(), ".cairn")

export const nodeUrl = Flag.String("node").pipe(
  Flag.withDescription("URL of the node to talk to, or unix: and the path of its admin socket"),
  Flag.withDefault(`http://${defaults.httpHost}:${defaults.httpPort}`)
)
export const optional = (name: string, description: string) =>
  Flag.String(name).pipe(Flag.withDescription(description), Flag.optional)
export const yes = (name: string, description: string) =>
  Flag.Boolean(name).pipe(Flag.withDescription(description), Flag.withDefault(false))

export const presetNames = Object.keys(presets).join(", ")

/** Where a node lives that is told no other place. */
export const usualFolder = "cairn-data"
export const dataDir = Flag.String("data-dir").pipe(
  Flag.withDescription("Folder of the chain, the keys and the lock"),
  Flag.withDefault(usualFolder)
)
export const whole = (maximum: number) => Schema.Int.check(Schema.isBetween({ minimum: 0, maximum }))
export const port = (name: string, description: string, value: number) =>
  Flag.Int(name).pipe(Flag.withSchema(whole(65_535)), Flag.withDescription(description), Flag.withDefault(value))

export const undefinedIfNone = <A>(option: Option.Option<A>): A | undefined => Option.getOrUndefined(option)

export const prefix = Flag.String("prefix").pipe(
  Flag.withDescription("Prefix of the chain's addresses"),
  Flag.withDefault("crn")
)
export const keyFlags = {
  keystore: Flag.String("keystore").pipe(
    Flag.withDescription("Folder of the key files"),
    Flag.withDefault(keystorePath(home))
  ),
  prefix,
  passphraseFile: optional("passphrase-file", "File with the passphrase; else it is asked for")
}

/** The passphrase of a file, or of who sits at the terminal. */
export const passphraseOf = (file: Option.Option<string>, repeat: boolean) =>
  Effect.gen(function* () {
    if (Option.isSome(file)) return yield* attempt(() => readText(file.value, 4096).replace(/\r?\n$/, ""))
    if (process.stdin.isTTY !== true)
      return yield* failure(
        "key",
        "passphrase-missing",
        "There is nobody to ask for the passphrase.",
        "Use --passphrase-file FILE."
      )
    const first = yield* ask("Passphrase")
    if (repeat && (yield* ask("Again")) !== first)
      return yield* failure("key", "passphrase-differs", "The two passphrases differ.")
    return first
  })

/** Asks for a secret at the terminal. */
export const ask = (message: string) =>
  Prompt.Password({ message }).pipe(
    Prompt.run,
    Effect.map((secret) => String((secret as { value?: string }).value ?? secret)),
    Effect.mapError(() => failure("usage", "interrupted", "No answer was given."))
  )

/** Runs plain code with the keystore's options and a signature engine. */
export const withKeys = (
  input: { readonly keystore: string; readonly prefix: string },
  f: (options: KeyOptions) => void | Promise<void>
) =>
  Effect.flatMap(Effect.service(Random), (random) =>
    attempt(() => {
      useEngine(loadEngine("auto")!)
      return f({ keystore: input.keystore, prefix: input.prefix, random })
    })
  )
