/** Logs of components, handed to whoever wants the lines; silent without. */
import type { ComponentLogger, Logger } from "./api.ts"

export type LogLevel = "debug" | "error" | "trace"
/** Takes a line; the values are not yet put into the text. */
export type LogSink = (level: LogLevel, scope: string, formatter: unknown, values: ReadonlyArray<unknown>) => void

const loggerOf = (scope: string, sink: LogSink | undefined): Logger => {
  const at =
    (level: LogLevel) =>
    (formatter: unknown, ...values: ReadonlyArray<unknown>): void =>
      sink?.(level, scope, formatter, values)
  return Object.assign(at("debug"), {
    error: at("error"),
    trace: at("trace"),
    enabled: sink !== undefined,
    newScope: (name: string): Logger => loggerOf(`${scope}:${name}`, sink)
  })
}

export const componentLogger = (sink?: LogSink): ComponentLogger => ({
  forComponent: (name) => loggerOf(name, sink)
})
