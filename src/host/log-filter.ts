/**
 * Which lines are wanted, as the environment says it. `LIBP2P_LOG` is a level, or a list such as `identify=debug,*=warn`;
 * `DEBUG` is js-libp2p's: patterns of scopes, such as `libp2p:*` and `-libp2p:ping`. Either may let a line through.
 */
import { Libp2pFault } from "../libp2p/fault.ts"
import { type LogFilter, logLevels } from "./log.ts"

/** Characters of a setting, and parts of it: more is no setting. */
const settingCharactersMax = 4_096
const partsMax = 64

/** Where each level stands; `off` is above all. */
const ranks: ReadonlyMap<string, number> = new Map([...logLevels, "off"].map((name, rank) => [name, rank]))

/** Our scopes are `libp2p:identify`; of the setting, and of a line as it is shown, only `identify`. */
export const subsystemOf = (scope: string): string => {
  if (scope === "libp2p") return "host"
  return scope.startsWith("libp2p:") ? scope.slice("libp2p:".length) : scope
}

const faultOf = (message: string): Libp2pFault => new Libp2pFault("input", "InvalidParametersError", message)

/** From a subsystem to the rank of its least level, from `a:b` on to `a` and to `*`. */
const rankOf = (ranksBySubsystem: ReadonlyMap<string, number>, subsystem: string): number => {
  for (let name = subsystem; ; name = name.slice(0, name.lastIndexOf(":"))) {
    const found = ranksBySubsystem.get(name)
    if (found !== undefined) return found
    if (!name.includes(":")) return ranksBySubsystem.get("*") ?? Number.POSITIVE_INFINITY
  }
}

/** Reads `LIBP2P_LOG`. */
export const levelFilter = (setting: string): LogFilter | Libp2pFault => {
  const parts = setting
    .split(",")
    .map((part) => part.trim())
    .filter((part) => part !== "")
  if (setting.length > settingCharactersMax || parts.length > partsMax) return faultOf("LIBP2P_LOG is too long")
  const wanted = new Map<string, number>()
  for (const part of parts) {
    const at = part.indexOf("=")
    const name = at < 0 ? "*" : part.slice(0, at).trim()
    const level = part
      .slice(at + 1)
      .trim()
      .toLowerCase()
    const rank = ranks.get(level)
    if (rank === undefined || name === "")
      return faultOf(
        `LIBP2P_LOG: ${JSON.stringify(part)} is no level; write one of ${[...ranks.keys()].join(", ")}, or identify=debug,*=warn`
      )
    wanted.set(subsystemOf(name), rank)
  }
  return (scope, level) => ranks.get(level)! >= rankOf(wanted, subsystemOf(scope))
}

/** Does the text match a pattern whose `*` stands for anything? In time of at most the product of the lengths. */
const matches = (pattern: string, text: string): boolean => {
  let [at, from] = [0, 0]
  let [star, mark] = [-1, 0]
  while (from < text.length) {
    if (pattern[at] === "*") {
      star = at++
      mark = from
    } else if (pattern[at] === text[from]) {
      at++
      from++
    } else if (star >= 0) {
      at = star + 1
      from = ++mark
    } else return false
  }
  while (pattern[at] === "*") at++
  return at === pattern.length
}

/** Reads `DEBUG`. `trace` lines must be asked for by name: `libp2p:*:trace`. Errors have the name `libp2p:dial:error`. */
export const debugFilter = (setting: string): LogFilter | Libp2pFault => {
  const parts = setting.split(/[\s,]+/).filter((part) => part !== "")
  if (setting.length > settingCharactersMax || parts.length > partsMax) return faultOf("DEBUG is too long")
  const taken = parts.filter((part) => !part.startsWith("-"))
  const left = parts.filter((part) => part.startsWith("-")).map((part) => part.slice(1))
  const traces = taken.some((pattern) => pattern.includes(":trace"))
  return (scope, level) => {
    const name = level === "trace" || level === "error" ? `${scope}:${level}` : scope
    if (level === "trace" && !traces) return false
    return taken.some((pattern) => matches(pattern, name)) && !left.some((pattern) => matches(pattern, name))
  }
}

/** The filter of an environment; undefined: it asks for nothing. */
export const logFilterOf = (
  environment: Readonly<Record<string, string | undefined>>
): LogFilter | Libp2pFault | undefined => {
  const { LIBP2P_LOG: levels = "", DEBUG: patterns = "" } = environment
  const filters: Array<LogFilter> = []
  if (levels.trim() !== "") {
    const found = levelFilter(levels)
    if (found instanceof Libp2pFault) return found
    filters.push(found)
  }
  if (patterns.includes("libp2p") || patterns.includes("*")) {
    // It is the setting of others too: what of it cannot be read is none of ours.
    const found = debugFilter(patterns)
    if (!(found instanceof Libp2pFault)) filters.push(found)
  }
  return filters.length === 0 ? undefined : (scope, level) => filters.some((wants) => wants(scope, level))
}
