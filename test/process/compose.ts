/** Compose files as an engine reads them, as far as ours go: variables, files over files, and their commands as processes. */
import { readFileSync } from "node:fs"
import { join } from "node:path"

export const root = join(import.meta.dir, "../..")

export interface Service {
  readonly image: string
  readonly build: { readonly context: string; readonly dockerfile: string }
  readonly command: ReadonlyArray<string>
  readonly user: string
  readonly restart: string
  readonly read_only: boolean
  readonly tmpfs: ReadonlyArray<string>
  readonly cap_drop: ReadonlyArray<string>
  readonly security_opt: ReadonlyArray<string>
  readonly pids_limit: number
  readonly stop_grace_period: string
  readonly healthcheck: { readonly test?: ReadonlyArray<string>; readonly disable?: boolean }
  readonly ports?: ReadonlyArray<string>
  readonly depends_on?: ReadonlyArray<string>
  readonly volumes: ReadonlyArray<string>
  readonly environment?: Readonly<Record<string, string>>
  readonly secrets?: ReadonlyArray<string>
  readonly mem_limit?: string
  readonly cpus?: number
}
export interface Compose {
  readonly services: Readonly<Record<string, Service>>
  readonly volumes: Readonly<Record<string, null>>
  readonly secrets?: Readonly<Record<string, { readonly file: string }>>
}

const isMap = (value: unknown): value is Record<string, unknown> =>
  typeof value === "object" && value !== null && !Array.isArray(value)

/** A file over another: maps by key, lists of ports are joined, everything else is replaced. */
const over = (below: unknown, above: unknown, key = ""): unknown => {
  if (key === "ports" && Array.isArray(below) && Array.isArray(above)) return [...below, ...above]
  if (!isMap(below) || !isMap(above)) return above
  const merged = { ...below }
  for (const [name, value] of Object.entries(above)) {
    merged[name] = name in below ? over(below[name], value, name) : value
  }
  return merged
}

/** Texts with `${NAME:?why}` replaced by what stands in the variables; without a value the start is refused, as an engine does. */
const filled = (value: unknown, variables: Readonly<Record<string, string>>): unknown => {
  if (typeof value === "string") {
    return value.replace(/\$\{(\w+):\?([^}]*)\}/g, (_, name: string, why: string) => {
      const text = variables[name]
      if (text === undefined || text === "") throw new Error(`required variable ${name} is missing a value: ${why}`)
      return text
    })
  }
  if (Array.isArray(value)) return value.map((one) => filled(one, variables))
  if (!isMap(value)) return value
  return Object.fromEntries(Object.entries(value).map(([key, one]) => [key, filled(one, variables)]))
}

/** What the files say together, later ones over earlier ones. */
export const readCompose = (
  files: ReadonlyArray<string>,
  variables: Readonly<Record<string, string>> = {}
): Compose => {
  const read = files.map((file): unknown => Bun.YAML.parse(readFileSync(join(root, file), "utf8")))
  return filled(
    read.reduce((below, above) => over(below, above)),
    variables
  ) as Compose
}

/** The value of a flag in a service's command. */
export const valueOf = ({ command }: Service, flag: string): string | undefined =>
  command.includes(flag) ? command[command.indexOf(flag) + 1] : undefined
