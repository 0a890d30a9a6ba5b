/** The table of settings as people read it: .env.example, docs/configuration.md, and what holds on one node. */
import type { Origin, Resolved } from "./resolve.ts"
import { chainTexts } from "./chain.ts"
import type { ChainSpec } from "../block/genesis.ts"
import { configVariable, fileKey, fileVariable, type Key, rows, sectionOf, sections } from "./table.ts"
import type { Setting } from "./setting.ts"

const bySection = (): ReadonlyArray<readonly [string, ReadonlyArray<Setting<unknown>>]> =>
  Object.keys(sections).map((section) => [
    section,
    rows.map(([, setting]) => setting).filter((setting) => sectionOf(setting) === section)
  ])

/** What holds if nobody says anything, in words or as it would be said. */
const defaultText = ({ kind, otherwise, unsaid }: Setting<unknown>): string => {
  if (otherwise === undefined) return unsaid ?? ""
  const text = kind.format(otherwise)
  return text === "" ? "none" : text
}

const sentence = (text: string): string => (/[.]$/.test(text) ? text : `${text}.`)

/** .env.example: every variable, as a comment, with what holds without it. */
export const envExample = (): string => {
  const lines = [
    "# Every setting of cairn start that the environment may say. Made by: cairn config env",
    "# Flags are stronger than the environment, the environment is stronger than the file. Check yours: cairn config check",
    "# A variable that is empty says nothing; but an empty list is an empty list. Unknown names and wrong values are errors.",
    "",
    `# File of settings with the same names in sections, in TOML: docs/configuration.md`,
    `#${configVariable}=`
  ]
  for (const [section, settings] of bySection()) {
    lines.push("", `# ${sections[section]}`)
    for (const setting of settings) {
      const { variable, otherwise, kind, help, unsaid, secret } = setting
      lines.push("", `# ${sentence(help)}${unsaid === undefined ? "" : ` Without it: ${sentence(unsaid)}`}`)
      lines.push(`#${variable}=${otherwise === undefined ? "" : kind.format(otherwise)}`)
      if (secret === true) lines.push(`#${fileVariable(variable)}=`)
    }
  }
  return `${lines.join("\n")}\n`
}

const cell = (text: string): string => text.replaceAll("|", "\\|")
const code = (text: string): string => `\`${text}\``

const flagText = ({ flag, flagForm, kind }: Setting<unknown>): string => {
  if (flag === undefined) return "–"
  if (flagForm === "not" || kind.form === "flag") return code(`--${flag}`)
  return code(`--${flag} ${flagForm === "file" ? "FILE" : flagForm === "repeat" ? "URL" : kind.symbol}`)
}

/** The tables of docs/configuration.md, one for each section. */
export const referenceTables = (): string =>
  bySection()
    .map(([section, settings]) =>
      [
        `### ${sections[section]}: \`[${section}]\``,
        "",
        "| environment | key | flag | what it is | it must be | without it |",
        "| --- | --- | --- | --- | --- | --- |",
        ...settings.map((setting) => {
          const { variable, file, kind, help, secret, theirs } = setting
          const key = file.slice(section.length + 1)
          const names = secret === true ? `${code(variable)}, ${code(fileVariable(variable))}` : code(variable)
          const keys = secret === true ? `${code(key)}, ${code(fileKey(key))}` : code(key)
          const there = theirs === undefined ? "" : ` (there: ${theirs})`
          const cells = [names, keys, flagText(setting), help, kind.must, `${defaultText(setting)}${there}`]
          return `| ${cells.map(cell).join(" | ")} |`
        })
      ].join("\n")
    )
    .join("\n\n")

/** A setting as it holds on a node. */
export interface Shown {
  readonly setting: string
  readonly variable: string
  /** As it would be said; null: nothing was said, `without` tells what holds. A secret: "(set)". */
  readonly value: string | null
  readonly without: string | null
  readonly source: Origin["source"]
  readonly name: string
}

/** What stands for a secret. */
export const redacted = "(set)"

/** Every setting with its origin. `spec`: the chain's, where one is there. */
export const listing = (
  { values, origins }: Pick<Resolved, "values" | "origins">,
  spec: ChainSpec | undefined
): ReadonlyArray<Shown> => {
  const chain: Partial<Record<Key, string | undefined>> = spec === undefined ? {} : chainTexts(spec)
  return rows.map(([key, setting]) => {
    const value = values[key] as unknown
    const origin = origins[key]
    const ofChain = origin.source === "default" ? chain[key] : undefined
    const text =
      value === undefined ? (ofChain ?? null) : setting.secret === true ? redacted : setting.kind.format(value)
    return {
      setting: setting.file,
      variable: setting.variable,
      value: text,
      without: text === null ? (setting.unsaid ?? null) : null,
      source: ofChain === undefined ? origin.source : "chain spec",
      name: origin.name
    }
  })
}
