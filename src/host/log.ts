/** Logs of components, handed to whoever wants the lines. A level that nobody wants is an empty function: it makes nothing of its values. */
import type { ComponentLogger, Logger } from "./api.ts"

/** From the least to the gravest: go's and the reference's four, and js-libp2p's `trace` below them. */
export const logLevels = ["trace", "debug", "info", "warn", "error"] as const
export type LogLevel = (typeof logLevels)[number]
/** Takes a line; the values are not yet put into the text (`log-text.ts` does that). */
export type LogSink = (level: LogLevel, scope: string, formatter: unknown, values: ReadonlyArray<unknown>) => void
/** Is that level of that scope wanted? Asked once for each logger. */
export type LogFilter = (scope: string, level: LogLevel) => boolean

/** What a host itself writes to: a logger of js-libp2p's shape, with the two levels that are ours. */
export interface HostLogger extends Logger {
  info(formatter: unknown, ...values: ReadonlyArray<unknown>): void
  warn(formatter: unknown, ...values: ReadonlyArray<unknown>): void
  newScope(name: string): HostLogger
}

const nothing = (): void => {}

/** The one logger of those who want no line. */
const silent: HostLogger = Object.assign(() => {}, {
  trace: nothing,
  info: nothing,
  warn: nothing,
  error: nothing,
  enabled: false,
  newScope: () => silent
})

const loggerOf = (scope: string, sink: LogSink, wants: LogFilter): HostLogger => {
  if (!logLevels.some((level) => wants(scope, level))) return silent
  const at = (level: LogLevel): Logger["error"] => {
    if (!wants(scope, level)) return () => {}
    return (formatter, ...values) => {
      try {
        sink(level, scope, formatter, values)
      } catch {
        // A log that fails must not end what it tells of.
      }
    }
  }
  return Object.assign(at("debug"), {
    trace: at("trace"),
    info: at("info"),
    warn: at("warn"),
    error: at("error"),
    enabled: wants(scope, "debug"),
    newScope: (name: string): HostLogger => loggerOf(`${scope}:${name}`, sink, wants)
  })
}

/** Without a sink: silence. `wants`: all levels of all scopes unless it says otherwise. */
export const componentLogger = (sink?: LogSink, wants: LogFilter = () => true): ComponentLogger => ({
  forComponent: (name): HostLogger => (sink === undefined ? silent : loggerOf(name, sink, wants))
})

/** A logger with our two levels; of js-libp2p's own, `info` and `warn` are plain lines. */
export const hostLogger = (logger: ComponentLogger, name: string): HostLogger => {
  const found = logger.forComponent(name) as Logger & Partial<HostLogger>
  if (found.info !== undefined && found.warn !== undefined) return found as HostLogger
  return Object.assign((...line: Parameters<Logger>) => found(...line), {
    trace: (...line: Parameters<Logger>) => found.trace(...line),
    info: (...line: Parameters<Logger>) => found(...line),
    warn: (...line: Parameters<Logger>) => found(...line),
    error: (...line: Parameters<Logger>) => found.error(...line),
    enabled: found.enabled,
    newScope: (scope: string) => hostLogger(logger, `${name}:${scope}`)
  })
}
