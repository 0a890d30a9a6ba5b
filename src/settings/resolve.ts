/**
 * What flags, environment and file say, read by the table: every value, who said it, and every error at once.
 *
 *   flag > environment > file > chain spec > default
 *
 * All that is said is checked, also what a stronger source overrules: a wrong line never waits to be found.
 */
import { Result } from "effect"
import { itemsOf, read } from "./kind.ts"
import { nearest } from "./nearest.ts"
import { fileKey, fileVariable, type Key, rows, table, type Values, configVariable } from "./table.ts"
import type { Setting } from "./setting.ts"

/** Weakest last. The chain's spec is asked later, once it is known (chain.ts). */
export const sources = ["flag", "environment", "file", "chain spec", "default"] as const
export type Source = (typeof sources)[number]

/** Who said it, and by which name. */
export interface Origin {
  readonly source: Source
  /** `--http-port`, `BLOCKCHAIN_PORT`, `http.port in cairn.toml`; empty of a default. */
  readonly name: string
}

/** What is wrong, by a stable code. */
export interface SettingError {
  readonly code: string
  /** The setting that it is about; undefined: none that there is. */
  readonly key?: Key
  /** The flag, variable or key that says it, as it was said. */
  readonly name: string
  /** A sentence without the value: anybody may hear it. */
  readonly message: string
  /** What stands there, for the operator. Never a secret. */
  readonly said?: string
  /** What to do. */
  readonly hint?: string
}

/** What is said, unread. */
export interface Said {
  /** Flags that were given, by name without hyphens. */
  readonly flags: Readonly<Record<string, string | boolean | ReadonlyArray<string>>>
  /** Of `--set section.key=value`. */
  readonly sets: ReadonlyArray<string>
  readonly environment: Readonly<Record<string, string | undefined>>
  /** The file's value, once parsed; undefined: there is none. */
  readonly file: { readonly name: string; readonly value: unknown } | undefined
  /** The text of a file that holds a secret, or why there is none. */
  readonly readFile: (path: string) => Result.Result<string, string>
}

export interface Resolved {
  readonly values: Values
  readonly origins: Readonly<Record<Key, Origin>>
  readonly errors: ReadonlyArray<SettingError>
}

/** One source's word on one setting, still as text. */
interface Word {
  readonly key: Key
  readonly source: Source
  readonly name: string
  readonly text: string
  /** The text is the path of the file in which the value stands. */
  readonly inFile: boolean
}

const settingOf = (key: Key): Setting<unknown> => table[key] as Setting<unknown>

/** Words and errors of one source. */
interface Heard {
  readonly words: ReadonlyArray<Word>
  readonly errors: ReadonlyArray<SettingError>
}

const meant = (name: string, known: Iterable<string>): Pick<SettingError, "hint"> => {
  const near = nearest(name, known)
  return near === undefined ? { hint: "docs/configuration.md lists them all." } : { hint: `Is it ${near}?` }
}

const flagText = (setting: Setting<unknown>, said: string | boolean | ReadonlyArray<string>): string => {
  if (typeof said === "boolean") return String(setting.flagForm === "not" ? !said : said)
  return typeof said === "string" ? said : said.join(",")
}

/** An empty flag says nothing about a list with several, and is not given otherwise. */
const heardFlags = ({ flags, sets }: Said): Heard => {
  const words: Array<Word> = []
  const errors: Array<SettingError> = []
  for (const [key, setting] of rows) {
    const said = setting.flag === undefined ? undefined : flags[setting.flag]
    if (said === undefined || (Array.isArray(said) && said.length === 0)) continue
    const inFile = setting.flagForm === "file"
    words.push({ key, source: "flag", name: `--${setting.flag}`, text: flagText(setting, said), inFile })
  }
  const keys = new Map(rows.map(([key, { file }]) => [file, key]))
  for (const one of sets) {
    const at = one.indexOf("=")
    const [file, text] = [one.slice(0, at).trim(), one.slice(at + 1)]
    const key = at < 0 ? undefined : keys.get(file)
    const name = `--set ${at < 0 ? one : file}`
    if (at < 0) errors.push({ code: "setting-malformed", name, message: `${name} must be section.key=value.` })
    else if (key === undefined)
      errors.push({
        code: "setting-unknown",
        name,
        message: `There is no setting ${file}.`,
        ...meant(file, keys.keys())
      })
    else if (settingOf(key).secret === true)
      errors.push({
        code: "setting-on-command-line",
        name,
        message: `${name}: others of this machine see command lines.`,
        hint: `Put it into a file and name that in ${fileVariable(settingOf(key).variable)}.`
      })
    else words.push({ key, source: "flag", name, text, inFile: false })
  }
  return { words, errors }
}

/** Empty is not said; but where something must be, or a list may be, it is what it is. */
const emptySays = (setting: Setting<unknown>): boolean =>
  setting.kind.form === "list" || setting.file === "chain.id" || setting.file === "node.data_file"

const ourName = /^(BLOCKCHAIN|CAIRN)_/
/** No settings of a node, but what its build and its tests are told; they may stand in the same environment. */
const others = ["CAIRN_COMMIT", "CAIRN_VECTORS", "CAIRN_PICTURES"]

const heardEnvironment = ({ environment }: Said): Heard => {
  const words: Array<Word> = []
  const known = new Set([configVariable])
  for (const [key, setting] of rows) {
    const { variable, secret } = setting
    const names = secret === true ? [variable, fileVariable(variable)] : [variable]
    for (const name of names) {
      known.add(name)
      const text = environment[name]
      if (text === undefined || (text.trim() === "" && !emptySays(setting))) continue
      words.push({ key, source: "environment", name, text, inFile: name !== variable })
    }
  }
  const errors = Object.keys(environment)
    .filter((name) => ourName.test(name) && !known.has(name) && !others.includes(name))
    .filter((name) => environment[name] !== undefined)
    .map((name) => ({
      code: "setting-unknown",
      name,
      message: `There is no setting ${name}.`,
      ...meant(name, known)
    }))
  return { words, errors }
}

const isTable = (value: unknown): value is Readonly<Record<string, unknown>> =>
  typeof value === "object" && value !== null && !Array.isArray(value) && !(value instanceof Date)

/** The text of a file's value; undefined: it has not the form that the kind wants. */
const fileText = ({ kind: { form } }: Setting<unknown>, value: unknown): string | undefined => {
  switch (form) {
    case "flag":
      return typeof value === "boolean" ? String(value) : undefined
    case "flag or text":
      return typeof value === "boolean" || typeof value === "string" ? String(value) : undefined
    case "number":
      return typeof value === "number" ? String(value) : undefined
    case "number or text":
      return typeof value === "number" || typeof value === "string" ? String(value) : undefined
    case "text":
      return typeof value === "string" ? value : undefined
    case "list":
      return Array.isArray(value) && value.every((item) => typeof item === "string" && itemsOf(item).length === 1)
        ? value.join(",")
        : undefined
  }
}

const heardFile = ({ file }: Said): Heard => {
  if (file === undefined) return { words: [], errors: [] }
  const words: Array<Word> = []
  const errors: Array<SettingError> = []
  const at = (key: string): string => `${key} in ${file.name}`
  if (!isTable(file.value))
    return { words, errors: [{ code: "settings-malformed", name: file.name, message: "It has no sections." }] }
  const keys = new Map<string, { readonly key: Key; readonly inFile: boolean }>()
  for (const [key, setting] of rows) {
    keys.set(setting.file, { key, inFile: false })
    if (setting.secret === true) keys.set(fileKey(setting.file), { key, inFile: true })
  }
  const entries = Object.entries(file.value).flatMap(([section, inner]) =>
    isTable(inner)
      ? Object.entries(inner).map(([key, value]) => [`${section}.${key}`, value] as const)
      : [[section, inner] as const]
  )
  for (const [name, value] of entries) {
    const known = keys.get(name)
    if (known === undefined) {
      errors.push({
        code: "setting-unknown",
        name: at(name),
        message: `There is no setting ${at(name)}.`,
        ...meant(name, keys.keys())
      })
      continue
    }
    const text = known.inFile ? (typeof value === "string" ? value : undefined) : fileText(settingOf(known.key), value)
    if (text !== undefined) words.push({ ...known, source: "file", name: at(name), text })
    else
      errors.push({
        code: settingOf(known.key).code ?? "setting-malformed",
        key: known.key,
        name: at(name),
        message: `${at(name)} must be ${settingOf(known.key).kind.must}.`
      })
  }
  return { words, errors }
}

/** The value of a word. A secret is not repeated in what is said about it. */
const valueOf = (word: Word, readFile: Said["readFile"]): Result.Result<unknown, SettingError> => {
  const setting = settingOf(word.key)
  const wrong = (code: string, message: string, said = ""): Result.Result<never, SettingError> =>
    Result.fail({ code, key: word.key, name: word.name, message, ...(said === "" ? {} : { said }) })
  let text = word.text
  if (word.inFile) {
    const file = readFile(text.trim())
    if (Result.isFailure(file))
      return wrong("setting-unreadable", `${word.name} names a file that cannot be read.`, file.failure)
    text = file.success.replace(/\r?\n$/, "")
  }
  const value = read(setting.kind, text)
  if (Result.isSuccess(value)) return Result.succeed(value.success)
  const shown = setting.secret === true || text.length > 80 ? "" : `It is "${text}".`
  return wrong(setting.code ?? "setting-malformed", `${word.name} ${value.failure}.`, shown)
}

/** Two words of one source on one thing contradict each other, or will. */
const doubles = (words: ReadonlyArray<Word>): ReadonlyArray<SettingError> => {
  const first = new Map<string, string>()
  return words.flatMap(({ key, source, name }) => {
    const other = first.get(`${source} ${key}`)
    if (other === undefined) {
      first.set(`${source} ${key}`, name)
      return []
    }
    return [
      {
        code: "setting-double",
        name,
        message: `${other} and ${name} say the same thing twice.`,
        hint: "Leave one out."
      }
    ]
  })
}

/** Reads all that is said. Where there are errors, `values` has the default for what could not be read. */
export const resolve = (said: Said): Resolved => {
  const heard = [heardFlags(said), heardEnvironment(said), heardFile(said)]
  const words = heard.flatMap((one) => one.words)
  const errors = [...heard.flatMap((one) => one.errors), ...doubles(words)]
  const values: Record<string, unknown> = {}
  const origins: Record<string, Origin> = {}
  for (const [key, { otherwise }] of rows) {
    values[key] = otherwise
    origins[key] = { source: "default", name: "" }
  }
  // Words stand strongest first: the first good one holds.
  for (const word of words) {
    const value = valueOf(word, said.readFile)
    if (Result.isFailure(value)) errors.push(value.failure)
    else if (origins[word.key]!.source === "default") {
      values[word.key] = value.success
      origins[word.key] = { source: word.source, name: word.name }
    }
  }
  return { values: values as unknown as Values, origins: origins as Record<Key, Origin>, errors }
}
