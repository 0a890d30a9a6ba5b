/** `cairn config`: what is said to this process and by whom, whether it holds, and every setting that there is. */
import { Effect } from "effect"
import { Command } from "effect/cli"
import { formatSpec } from "../block/genesis.ts"
import { envExample, listing, referenceTables, type Shown } from "../settings/documents.ts"
import { attempt } from "./attempt.ts"
import { failureOfSettings, originFlag, settingFlags, type SettingInput, type Settled, settle } from "./settings.ts"
import { paint, print, printText, rows } from "./output.ts"

const flags = { ...settingFlags }

const remarkLines = ({ remarks }: Settled): ReadonlyArray<string> =>
  remarks.map(({ name, message }) => `  ${paint("yellow", "!")} ${name}: ${message}`)

const check = (input: SettingInput): void => {
  const settled = settle(input)
  if (settled.errors.length > 0) throw failureOfSettings(settled)
  const { values, remarks, chain, folder } = settled
  const value = {
    valid: true,
    mode: values.mode,
    data_dir: folder ?? null,
    chain: chain?.ledger.chainId ?? null,
    remarks
  }
  print(value, [
    `${paint("green", "✓")} These settings hold.`,
    ...rows([
      ["mode", values.mode],
      ["data", folder ?? "a fresh folder"],
      ["chain", chain?.ledger.chainId ?? "none yet: cairn init makes one"]
    ]),
    ...remarkLines(settled)
  ])
}

const line = ({ value, without, source, name }: Shown, origin: boolean): string => {
  const text = value === "" ? paint("dim", "– none") : (value ?? paint("dim", `– ${without ?? ""}`))
  return origin ? `${text}  ${paint("dim", name === "" ? source : `${source}: ${name}`)}` : text
}

const show = (input: SettingInput & { readonly origin: boolean }): void => {
  const settled = settle(input)
  const shown = listing(settled, settled.chain)
  const settings = shown.map(({ source, name, ...rest }) => (input.origin ? { ...rest, source, name } : rest))
  const { errors, remarks, chain } = settled
  print({ settings, remarks, errors, spec: chain === undefined ? null : formatSpec(chain) }, [
    ...rows(shown.map((one) => [one.setting, line(one, input.origin)] as const)),
    ...remarkLines(settled),
    ...errors.map(({ message, said = "" }) => `  ${paint("red", "✗")} ${message} ${said}`)
  ])
}

/** The command. */
export const configCommand = Command.make("config").pipe(
  Command.withDescription("Settings of cairn start: flag > environment > file > the chain's spec > default"),
  Command.withSubcommands([
    Command.make("check", flags, (input) => attempt(() => check(input))).pipe(
      Command.withDescription(
        "Tells everything that is wrong with flags, environment and file; exit code 2 if anything is"
      ),
      Command.withExamples([
        { command: "cairn config check", description: "Does all that is said here hold?" },
        { command: "cairn config check --mode production", description: "And in production?" }
      ])
    ),
    Command.make("show", { ...flags, origin: originFlag }, (input) => attempt(() => show(input))).pipe(
      Command.withDescription("Every setting as it holds here; secrets are not shown"),
      Command.withExamples([{ command: "cairn config show --origin", description: "And who said it" }])
    ),
    Command.make("env", {}, () => Effect.sync(() => printText(envExample()))).pipe(
      Command.withDescription("Every variable with its meaning, as a file of comments: .env.example")
    ),
    Command.make("reference", {}, () => Effect.sync(() => printText(`${referenceTables()}\n`))).pipe(
      Command.withDescription("Every setting as tables in Markdown: those of docs/configuration.md")
    )
  ])
)
