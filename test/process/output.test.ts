/** What a command prints arrives whole, however slowly it is read and however soon the command ends. */
import { expect, test } from "bun:test"
import { join } from "node:path"

const output = join(import.meta.dir, "../../src/cli/output.ts")
const script = `import { print } from ${JSON.stringify(output)}; print("x".repeat(500_000), []); process.exit(0)`

/** Bytes that a reader gets who begins late. */
const piped = async (reader: string): Promise<{ readonly bytes: number; readonly ended: boolean }> => {
  const shell = Bun.spawn(["bash", "-c", `set -o pipefail; "$0" -e "$1" | (${reader})`, process.execPath, script], {
    stdout: "pipe",
    stderr: "inherit"
  })
  const bytes = Number(await new Response(shell.stdout).text())
  return { bytes, ended: (await shell.exited) === 0 }
}

test("a long value is not cut off at what a pipe holds", async () => {
  expect(await piped("sleep 0.5; wc -c")).toEqual({ bytes: 500_003, ended: true })
})

test("a reader who has enough ends nobody with an error", async () => {
  expect(await piped("head -c 10 | wc -c")).toEqual({ bytes: 10, ended: true })
})
