/** The built binary as a user runs it: started in a folder of its own, asked over HTTP, killed as power does. */
import { afterAll } from "bun:test"
import { mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import type { Subprocess } from "bun"
import { until } from "../network.ts"

export const binary = join(import.meta.dir, "../../dist/cairn")

/** Without what would be settings of a node: some names that begin as those do are of the tests. */
export const plainEnvironment: Readonly<Record<string, string | undefined>> = Object.fromEntries(
  Object.entries(process.env).filter(([name]) => !/^(BLOCKCHAIN|CAIRN)_/.test(name))
)

/** A folder that goes with the test. */
export const folder = (): { readonly path: string; readonly remove: () => void } => {
  const path = mkdtempSync(join(tmpdir(), "cairn-journey-"))
  return { path, remove: () => rmSync(path, { recursive: true, force: true }) }
}

export interface Running {
  readonly http: string
  readonly peers: string
  readonly process: Subprocess
  readonly ready: Readonly<Record<string, unknown>>
  /** All that it has printed so far. */
  readonly printed: () => string
  /** Ends it and gives the exit code. */
  readonly stop: (signal?: "SIGTERM" | "SIGKILL") => Promise<number | null>
}

/** Warnings may stand before it. */
export const readyLine = (text: string): string | undefined =>
  text
    .split("\n")
    .slice(0, -1)
    .find((line) => line.startsWith('{"ready":true'))

/** Starts `cairn start` with free ports and waits for its ready line. */
export const start = (...args: ReadonlyArray<string>): Promise<Running> =>
  startWith(plainEnvironment, "--http-port", "0", "--p2p-port", "0", ...args)

/** The same with these variables, and with the ports that they name. */
export const startWith = async (
  environment: Readonly<Record<string, string | undefined>>,
  ...args: ReadonlyArray<string>
): Promise<Running> => {
  const child = Bun.spawn([binary, "start", ...args], {
    cwd: tmpdir(),
    env: environment,
    stdin: "ignore",
    stdout: "pipe",
    stderr: "inherit"
  })
  const reader = child.stdout.getReader()
  let text = ""
  await until("the ready line", async () => {
    const { value, done } = await reader.read()
    if (done) throw new Error(`the node ended before it was ready: ${text}`)
    text += new TextDecoder().decode(value)
    return readyLine(text) !== undefined
  })
  const ready = JSON.parse(readyLine(text)!) as Record<string, unknown>
  const decoder = new TextDecoder()
  void (async () => {
    for (;;) {
      const { value, done } = await reader.read()
      if (done) return
      text += decoder.decode(value, { stream: true })
    }
  })()
  return {
    http: String(ready["http"]),
    peers: String(ready["peers"]),
    process: child,
    ready,
    printed: () => text,
    stop: async (signal = "SIGTERM") => {
      child.kill(signal)
      await child.exited
      return child.exitCode
    }
  }
}

/** A suite's folder and nodes: what `begin` starts is killed, and the folder goes, when the suite has ended. */
export const suite = (): { readonly home: ReturnType<typeof folder>; readonly begin: typeof start } => {
  const home = folder()
  const running: Array<Running> = []
  afterAll(async () => {
    for (const node of running) await node.stop("SIGKILL")
    home.remove()
  })
  const begin = async (...args: ReadonlyArray<string>): Promise<Running> => {
    const node = await start(...args)
    running.push(node)
    return node
  }
  return { home, begin }
}

export interface Ended {
  readonly code: number
  readonly out: string
  readonly err: string
}

/** Runs a command to its end. */
export const run = (...args: ReadonlyArray<string>): Promise<Ended> => runWith(plainEnvironment, ...args)

/** The same with these variables. */
export const runWith = async (
  environment: Readonly<Record<string, string | undefined>>,
  ...args: ReadonlyArray<string>
): Promise<Ended> => {
  const child = Bun.spawn([binary, ...args], {
    cwd: tmpdir(),
    env: environment,
    stdin: "ignore",
    stdout: "pipe",
    stderr: "pipe"
  })
  const [out, err] = await Promise.all([new Response(child.stdout).text(), new Response(child.stderr).text()])
  return { code: await child.exited, out, err }
}
