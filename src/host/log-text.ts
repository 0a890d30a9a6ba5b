/**
 * A line of the log as text and as JSON. Much of a line is what a stranger said: it is cut, and signs that a terminal would obey
 * are written out. Keys, and bytes of any sort, are never shown.
 */
import { Libp2pFault } from "../libp2p/fault.ts"
import { subsystemOf } from "./log-filter.ts"
import type { LogLevel } from "./log.ts"

/** Characters of a line, and of one value in it. */
export const lineCharactersMax = 2_048
export const valueCharactersMax = 512
/** Parts of an object that are shown, how deep, and causes of an error. */
const partsMax = 16
const depthMax = 3
const causesMax = 3

const secretName = /secret|private|passw|passphrase|token|seed|mnemonic|credential|^(key|raw|d)$/i
const pem = /-----BEGIN [A-Z ]*PRIVATE KEY-----[\s\S]*?(-----END [A-Z ]*PRIVATE KEY-----|$)/g
/** What a terminal obeys, ends a line, or turns its direction. */
// biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is looked for
const unprintable = /[\u0000-\u001f\u007f-\u009f\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff]/g

const escaped = (sign: string): string => `\\u${sign.charCodeAt(0).toString(16).padStart(4, "0")}`
const cut = (text: string, max: number): string => (text.length <= max ? text : `${text.slice(0, max)}…`)

/** A stranger's words as they may be shown. */
export const cleanText = (text: string, max = valueCharactersMax): string =>
  cut(
    cut(text, 4 * max)
      .replace(pem, "<private key>")
      .replace(unprintable, escaped),
    max
  )

const isKey = (value: object): boolean => "sign" in value && typeof value.sign === "function"

const errorText = (error: Error, causes = causesMax): string => {
  const kind = error instanceof Libp2pFault ? ` (${error.kind})` : ""
  const { cause } = error
  const why = cause instanceof Error && causes > 0 ? `; because ${errorText(cause, causes - 1)}` : ""
  return `${cleanText(error.name)}${kind}: ${cleanText(error.message)}${why}`
}

/** A value without secrets and of bounded size, for JSON. */
const plain = (value: unknown, depth: number): unknown => {
  if (typeof value === "string") return cleanText(value)
  if (typeof value === "number" || typeof value === "boolean" || value === null || value === undefined) return value
  if (typeof value === "bigint" || typeof value === "symbol") return cleanText(String(value))
  if (typeof value === "function") return "<function>"
  if (value instanceof Error) return errorText(value)
  if (ArrayBuffer.isView(value) || value instanceof ArrayBuffer) return `<${value.byteLength} bytes>`
  if (isKey(value)) return "<private key>"
  // Peer ids and addresses say themselves what they are.
  if (value.toString !== Object.prototype.toString && !Array.isArray(value)) return cleanText(String(value))
  if (depth === 0) return "…"
  if (Array.isArray(value)) return value.slice(0, partsMax).map((part) => plain(part, depth - 1))
  const shown = Object.entries(value).slice(0, partsMax)
  return Object.fromEntries(
    shown.map(([name, part]) => [cleanText(name), secretName.test(name) ? "<redacted>" : plain(part, depth - 1)])
  )
}

const valueText = (value: unknown): string => {
  try {
    const found = plain(value, depthMax)
    return typeof found === "string" ? found : cut(JSON.stringify(found) ?? "undefined", valueCharactersMax)
  } catch {
    return "<unreadable>"
  }
}

/** The text with its values: `%s` and js-libp2p's letters take the next one, `%%` is a sign, what is left over follows. */
export const messageOf = (formatter: unknown, values: ReadonlyArray<unknown>): string => {
  const rest = [...values]
  const text =
    typeof formatter === "string"
      ? formatter.replace(/%([a-zA-Z%])/g, (whole, letter: string) => {
          if (letter === "%") return "%"
          return rest.length === 0 ? whole : valueText(rest.shift())
        })
      : valueText(formatter)
  return cut([text.replace(unprintable, escaped), ...rest.map(valueText)].join(" "), lineCharactersMax)
}

/** One line of the log. */
export interface LogLine {
  /** Milliseconds since 1970. */
  readonly at: number
  readonly level: LogLevel
  readonly scope: string
  readonly formatter: unknown
  readonly values: ReadonlyArray<unknown>
}

const isoTime = (at: number): string => new Date(at).toISOString()

/** For programs: an object on a line. `error` is there if one of the values is one. */
export const jsonLine = ({ at, level, scope, formatter, values }: LogLine): string => {
  const error = [formatter, ...values].find((value) => value instanceof Error)
  return JSON.stringify({
    timestamp: isoTime(at),
    level,
    subsystem: subsystemOf(scope),
    message: messageOf(formatter, values),
    ...(error === undefined ? {} : { error: errorFields(error) })
  })
}

const errorFields = (error: Error): Readonly<Record<string, unknown>> => ({
  name: cleanText(error.name),
  ...(error instanceof Libp2pFault ? { kind: error.kind, context: plain(error.context, depthMax) } : {})
})

/** For people. `paint`: what a level looks like. */
export const textLine = (line: LogLine, paint: (level: LogLevel, text: string) => string = (_, text) => text): string =>
  [
    isoTime(line.at).slice(11, -1),
    paint(line.level, line.level.padEnd(5)),
    subsystemOf(line.scope).padEnd(10),
    messageOf(line.formatter, line.values)
  ].join(" ")
