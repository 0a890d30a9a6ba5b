/** What commands print: for people on a terminal, one JSON value a line in a pipe. Colours only on a terminal. */
import { writeSync } from "node:fs"
import type { Failure } from "./failure.ts"

const ansi = { bold: 1, dim: 2, red: 31, green: 32, yellow: 33, blue: 34 } as const
export type Style = keyof typeof ansi

/** True if a person reads standard output. `NO_COLOR` and `--json` habits: a pipe always gets JSON. */
export const isTerminal = (): boolean => process.stdout.isTTY === true

const coloured = (stream: NodeJS.WriteStream): boolean => stream.isTTY === true && process.env["NO_COLOR"] === undefined

/** The text in a style, where colours may be. */
export const paint = (style: Style, text: string): string =>
  coloured(process.stdout) ? `\u001b[${ansi[style]}m${text}\u001b[0m` : text

/** Bytes that a pipe takes at once. */
const pipeBytes = 32 * 1024
/** Milliseconds before a full pipe is tried again. */
const pipeWaitMs = 2

/** Whether the bytes, or some of them, went; a full pipe took none. Who reads no more wants no more: all went. */
const written = (bytes: Uint8Array): number => {
  try {
    return writeSync(1, bytes)
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException
    if (code === "EAGAIN") return 0
    if (code === "EPIPE") return bytes.length
    throw error
  }
}

/** Writes to standard output. What is longer than a pipe takes at once is written here and now: leaving the process would cut it off. */
const write = (text: string): void => {
  const bytes = Buffer.from(text)
  if (isTerminal() || bytes.length <= pipeBytes) return void process.stdout.write(text)
  const pause = new Int32Array(new SharedArrayBuffer(4))
  for (let at = 0; at < bytes.length; ) {
    const count = written(bytes.subarray(at, at + pipeBytes))
    if (count === 0) Atomics.wait(pause, 0, 0, pipeWaitMs)
    at += count
  }
}

/** Prints lines to a person, or the value to a program. */
export const print = (value: unknown, lines: ReadonlyArray<string>): void =>
  write(isTerminal() ? `${lines.join("\n")}\n` : `${JSON.stringify(value)}\n`)

/** Prints a text as it is, to people and programs. */
export const printText = (text: string): void => write(text)

/** Tells something beside what a command prints: on standard error, a JSON value a line in a pipe. */
export const remark = (name: string, message: string): void =>
  void process.stderr.write(
    process.stderr.isTTY === true ? `  ${name}: ${message}\n` : `${JSON.stringify({ remark: { name, message } })}\n`
  )

/** Rows of aligned `name  value`, for people. */
export const rows = (pairs: ReadonlyArray<readonly [name: string, value: string]>): ReadonlyArray<string> => {
  const width = Math.max(...pairs.map(([name]) => name.length))
  return pairs.map(([name, value]) => `  ${paint("dim", name.padEnd(width))}  ${value}`)
}

/** Prints a failure to standard error. */
export const printFailure = (error: Failure): void => {
  if (process.stderr.isTTY !== true) {
    const { code, message, hint, errors } = error
    process.stderr.write(`${JSON.stringify({ error: { code, message, hint, errors } })}\n`)
    return
  }
  const red = coloured(process.stderr) ? "\u001b[31m" : ""
  const reset = red === "" ? "" : "\u001b[0m"
  process.stderr.write(`${red}error${reset} ${error.message} (${error.code})\n`)
  if (error.hint !== undefined) process.stderr.write(`  ${error.hint}\n`)
}

/** A line that is redrawn on a terminal and printed once a `everyMs` in a pipe. */
export const makeProgress = (now: () => number, everyMs: number): ((text: string, value: unknown) => void) => {
  let last = -Infinity
  return (text, value) => {
    if (now() - last < (isTerminal() ? 100 : everyMs)) return
    last = now()
    process.stderr.write(process.stderr.isTTY === true ? `\r\u001b[K${text}` : `${JSON.stringify(value)}\n`)
  }
}

/** The same, for what may be done at once: in a pipe nothing is said before the first `everyMs` have passed. */
export const makeLateProgress = (now: () => number, everyMs: number): ((text: string, value: unknown) => void) => {
  const began = now()
  const say = makeProgress(now, everyMs)
  return (text, value) => {
    if (process.stderr.isTTY === true || now() - began >= everyMs) say(text, value)
  }
}

/** Takes away the line that is redrawn. */
export const clearLine = (): void => void (process.stderr.isTTY === true && process.stderr.write("\r\u001b[K"))

/** Milliseconds as a person says them. */
export const formatDuration = (ms: number): string => {
  const seconds = Math.round(ms / 1000)
  if (seconds < 60) return `${seconds} s`
  if (seconds < 3600) return `${Math.floor(seconds / 60)} min ${seconds % 60} s`
  return `${Math.floor(seconds / 3600)} h ${Math.floor((seconds % 3600) / 60)} min`
}
