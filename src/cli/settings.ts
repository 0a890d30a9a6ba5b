/** The settings of this process: flags, environment and file, read and judged together with the chain of the data folder. */
import { statSync } from "node:fs"
import { Option, Result } from "effect"
import { Flag } from "effect/cli"
import type { ChainSpec } from "../block/genesis.ts"
import { FileFault, readText } from "../io/files.ts"
import { secretBytesMax, settingsBytesMax } from "../limits.ts"
import { beginsChain, chainConflicts, chainSpec } from "../settings/chain.ts"
import { judge, type Judged } from "../settings/judge.ts"
import type { Said, SettingError } from "../settings/resolve.ts"
import { folderSaid, type Remark } from "../settings/rules.ts"
import { configVariable, fileKey, rows } from "../settings/table.ts"
import type { Setting } from "../settings/setting.ts"
import { isInitialised, loadSpec, specOf } from "./data-folder.ts"
import { Failure, failureOfAll } from "./failure.ts"
import { optional, presetNames, usualFolder, yes } from "./flags.ts"

/** What a flag gives; none if it was not. */
type Given = Option.Option<string | boolean> | ReadonlyArray<string>

const described = ({ help, flagHelp, kind, otherwise, unsaid, flagForm, file }: Setting<unknown>): string => {
  if (flagHelp !== undefined) return flagHelp
  if (file === "node.spec") return `${help}: ${presetNames}`
  const text = otherwise === undefined ? unsaid : kind.format(otherwise)
  return kind.form === "flag" || flagForm === "repeat" || text === "" ? help : `${help}; default: ${text}`
}

const flagOf = (name: string, setting: Setting<unknown>): Flag.Flag<Given> => {
  const help = described(setting)
  if (setting.flagForm === "not" || setting.kind.form === "flag")
    return Flag.Boolean(name).pipe(Flag.withDescription(help), Flag.optional)
  const symbol = setting.flagForm === "file" ? "FILE" : setting.kind.symbol
  const text = (as: string) => Flag.String(name).pipe(Flag.withMetavar(as), Flag.withDescription(help))
  return setting.flagForm === "repeat" ? text("URL").pipe(Flag.atMost(64)) : text(symbol).pipe(Flag.optional)
}

/** Flags of every row that has one, and the two by which the others can be said. */
export const settingFlags = {
  settings: Object.fromEntries(
    rows.flatMap(([, setting]) =>
      setting.flag === undefined ? [] : [[setting.flag, flagOf(setting.flag, setting)] as const]
    )
  ) as Record<string, Flag.Flag<Given>>,
  set: Flag.String("set").pipe(
    Flag.withMetavar("KEY=VALUE"),
    Flag.withDescription(
      "Any other setting, by its key in the file: --set http.public_rate_per_minute=600; several times"
    ),
    Flag.atMost(64)
  ),
  config: optional("config", `File of settings, in TOML; docs/configuration.md lists them. Default: ${configVariable}`)
}

export interface SettingInput {
  readonly settings: Readonly<Record<string, Given>>
  readonly set: ReadonlyArray<string>
  readonly config: Option.Option<string>
}

/** A flag of `cairn config` that takes part in nothing else. */
export const originFlag = yes("origin", "Tell who said it: flag, environment, file, the chain's spec, or nobody")

const flagsOf = (settings: SettingInput["settings"]): Said["flags"] =>
  Object.fromEntries(
    Object.entries(settings).flatMap(([name, given]): ReadonlyArray<readonly [string, Said["flags"][string]]> => {
      if (!Option.isOption(given)) return [[name, given]]
      return Option.isNone(given) ? [] : [[name, given.value]]
    })
  )

/** The text of a file that is named in settings, or why there is none. */
const readSecret = (path: string): Result.Result<string, string> => {
  try {
    return Result.succeed(readText(path, secretBytesMax))
  } catch (error) {
    if (error instanceof FileFault) return Result.fail(error.message)
    throw error
  }
}

interface SettingsFile {
  readonly said: Said["file"]
  readonly errors: ReadonlyArray<SettingError>
  readonly remarks: ReadonlyArray<Remark>
}

const readSettings = (path: string | undefined, name: string): SettingsFile => {
  if (path === undefined) return { said: undefined, errors: [], remarks: [] }
  const none = (code: string, message: string): SettingsFile => ({
    said: undefined,
    errors: [{ code, name, message }],
    remarks: []
  })
  try {
    const value: unknown = Bun.TOML.parse(readText(path, settingsBytesMax))
    return { said: { name: path, value }, errors: [], remarks: openSecrets(path, value) }
  } catch (error) {
    if (error instanceof FileFault) return none("settings-unreadable", `${name}: ${error.message}`)
    const { message } = error as Error
    return none("settings-malformed", `${path} is not TOML: ${message.replace(/^TOML Parse error: /, "")}`)
  }
}

/** A file that others can read and that holds a secret itself is told of. */
const openSecrets = (path: string, value: unknown): ReadonlyArray<Remark> => {
  if ((statSync(path).mode & 0o077) === 0) return []
  const held = rows
    .flatMap(([, { secret, file }]) => (secret === true ? [file] : []))
    .filter((file) => {
      const [section, key] = file.split(".") as [string, string]
      const inner = (value as Readonly<Record<string, unknown>>)[section]
      return typeof inner === "object" && inner !== null && Object.hasOwn(inner, key)
    })
  return held.map((key) => ({
    name: `${key} in ${path}`,
    message: `others of this machine can read the file: chmod 600 ${path}, or put the secret into one of its own and name that with ${fileKey(key)}.`
  }))
}

export interface Settled extends Judged {
  /** Where the node lives; undefined: a fresh folder of a development node. */
  readonly folder: string | undefined
  /** What an empty folder begins with; undefined: it must have a chain. */
  readonly spec: string | ChainSpec | undefined
  /** The chain that these settings are about, where one is known. */
  readonly chain: ChainSpec | undefined
}

type ChainFound = Pick<Settled, "spec" | "chain" | "errors">

/** A spec that cannot be read is one error among the others. */
const chainOf = (judged: Judged, folder: string | undefined): ChainFound => {
  try {
    return chainIn(judged, folder)
  } catch (error) {
    if (!(error instanceof Failure) || error.exit !== "usage") throw error
    const { code, message, hint } = error
    const wrong: SettingError = { code, key: "spec", name: judged.origins.spec.name, message }
    return { spec: undefined, chain: undefined, errors: [hint === undefined ? wrong : { ...wrong, hint }] }
  }
}

/** The chain of the folder, or the one that would be begun in it; and what the settings say against it. */
const chainIn = (judged: Judged, folder: string | undefined): ChainFound => {
  const { values } = judged
  const name = values.spec ?? (values.dev ? "dev" : undefined)
  const against = (chain: ChainSpec): ChainFound => ({
    spec: name,
    chain,
    errors: chainConflicts(judged, chain)
  })
  if (folder !== undefined && isInitialised(folder)) return against(specOf(folder))
  if (name !== undefined) return against(loadSpec(name))
  if (!beginsChain(judged)) return { spec: undefined, chain: undefined, errors: [] }
  const made = chainSpec(values)
  return Result.isSuccess(made)
    ? { spec: made.success, chain: made.success, errors: [] }
    : { spec: undefined, chain: undefined, errors: made.failure }
}

/** Reads all that is said to this process. Throws Failure where the data folder cannot be read. */
export const settle = ({ settings, set, config }: SettingInput): Settled => {
  const flag = Option.getOrUndefined(config)
  const variable = process.env[configVariable]
  const named = flag ?? (variable === undefined || variable.trim() === "" ? undefined : variable)
  const file = readSettings(named, flag === undefined ? configVariable : "--config")
  const judged = judge({
    flags: flagsOf(settings),
    sets: set,
    environment: process.env,
    file: file.said,
    readFile: readSecret
  })
  const folder = folderSaid(judged) ?? (judged.values.dev ? undefined : usualFolder)
  const chain = chainOf(judged, folder)
  return {
    ...judged,
    ...chain,
    folder,
    errors: [...file.errors, ...judged.errors, ...chain.errors],
    remarks: [...file.remarks, ...judged.remarks]
  }
}

/** What is wrong, as a command ends with it. */
export const failureOfSettings = ({ errors }: Pick<Settled, "errors">): Failure =>
  failureOfAll("usage", "settings-invalid", `${errors.length} settings are refused:`, errors)
