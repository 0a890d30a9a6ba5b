/** What a node tells of its states to who reads its log and its API: one line for each, after the line that says that it is ready. */
import { expect, test } from "bun:test"
import { join } from "node:path"
import { call } from "../../src/http/client.ts"
import { binary, folder } from "./binary.ts"
import { atTerminal } from "./terminal.ts"

const home = folder()

test("the first line is that it is ready, then comes one for each state, to the last", async () => {
  const args = ["start", "--dev", "--http-port", "0", "--p2p-port", "0", "--data-dir", join(home.path, "a")]
  const child = Bun.spawn([binary, ...args], { stdout: "pipe", stderr: "inherit" })
  const reader = child.stdout.getReader()
  let text = ""
  const read = async (): Promise<boolean> => {
    const { value, done } = await reader.read()
    text += new TextDecoder().decode(value)
    return !done
  }
  while (!text.includes("nobody-to-look-for") && (await read()));
  const [first] = text.split("\n")
  const { ready, http } = JSON.parse(first!) as { readonly ready: boolean; readonly http: string }
  expect(ready).toBe(true)
  const { state } = await call(http, "ready")
  expect(state).toMatchObject({ name: "ready", reason: "nobody-to-look-for" })
  expect((await call(http, "stats")).stats.state).toEqual(state)
  child.kill("SIGTERM")
  while (await read());
  expect(await child.exited).toBe(0)
  const lines = text
    .trim()
    .split("\n")
    .slice(1)
    .map(
      (line) =>
        (JSON.parse(line) as { readonly message: readonly [string, { readonly from: string; readonly state: string }] })
          .message[1]
    )
  expect(lines.map(({ from, state }) => `${from} ${state}`)).toEqual([
    "genesis boot",
    "boot ready",
    "ready stopping",
    "stopping dead"
  ])
  home.remove()
}, 30_000)

test("on a terminal it speaks to people: whole milliseconds, and each state in one line of words", async () => {
  const args = ["start", "--dev", "--http-port", "0", "--no-p2p"]
  const { text, code } = await atTerminal([binary, ...args], "boot → ready")
  expect(code).toBe(0)
  expect(text).toMatch(/^cairn \S+ is ready in \d+ ms\r?$/m)
  expect(text).toMatch(/INFO .*: boot → ready: No peer is known or configured\.\r?$/m)
  expect(text).toContain("stopping → dead")
  expect(text).not.toContain("{")
}, 30_000)
