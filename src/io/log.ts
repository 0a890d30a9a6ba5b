/** The log of the library on standard error, as the environment asks for it: text on a terminal, JSON lines in a pipe. */
import type { ComponentLogger } from "../host/api.ts"
import { componentLogger, type LogLevel } from "../host/log.ts"
import { logFilterOf } from "../host/log-filter.ts"
import { jsonLine, textLine } from "../host/log-text.ts"
import { Libp2pFault } from "../libp2p/fault.ts"
import { logQueueBytesMax } from "../limits.ts"

/** Where lines go: standard error's part that is used. */
export interface LogOutput {
  readonly isTTY?: boolean | undefined
  /** Bytes that nobody has taken yet. */
  readonly writableLength: number
  write(text: string): unknown
}

type Environment = Readonly<Record<string, string | undefined>>

const colours: Readonly<Record<LogLevel, string>> = { trace: "90", debug: "36", info: "32", warn: "33", error: "31" }
const painted = (level: LogLevel, text: string): string => `\x1b[${colours[level]}m${text}\x1b[0m`

/**
 * Undefined: `LIBP2P_LOG` and `DEBUG` ask for no line. Throws InvalidParametersError (input) for a level that there is not.
 * A reader that does not keep up loses lines, and is told how many.
 */
export const environmentLogger = (
  environment: Environment = process.env,
  given?: LogOutput,
  now: () => number = Date.now
): ComponentLogger | undefined => {
  const wants = logFilterOf(environment)
  if (wants instanceof Libp2pFault) throw wants
  if (wants === undefined) return undefined
  // Standard error is not made for those who want no line.
  const output: LogOutput = given ?? process.stderr
  const people = output.isTTY === true
  const paint = people && (environment["NO_COLOR"] ?? "") === "" ? painted : undefined
  let lost = 0
  return componentLogger((level, scope, formatter, values) => {
    if (output.writableLength > logQueueBytesMax) {
      lost++
      return
    }
    const line = { at: now(), level, scope, formatter, values }
    const show = people ? textLine : jsonLine
    if (lost > 0) {
      const formatter = "%d lines were left out"
      const told = { ...line, level: "warn", scope: "libp2p:log", formatter, values: [lost] } as const
      lost = 0
      output.write(`${show(told, paint)}\n`)
    }
    output.write(`${show(line, paint)}\n`)
  }, wants)
}
