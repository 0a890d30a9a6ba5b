/** A libp2p host that runs out of file descriptors says so, and goes on when there are some again. */
import { expect, test } from "bun:test"
import { join } from "node:path"

test("no descriptor left is a fault of its own, told apart from a refusal, and is over when there is one", async () => {
  const script = join(import.meta.dir, "libp2p-descriptors.ts")
  const child = Bun.spawn(["sh", "-c", 'ulimit -n 64 && exec "$0" "$1"', process.execPath, script], {
    stderr: "inherit"
  })
  expect(await new Response(child.stdout).json()).toEqual({
    taken: true,
    dial: ["resource", "DialError", true],
    start: ["resource", "ListenError", true],
    after: "open",
    closed: ["io", "DialError", false]
  })
  expect(await child.exited).toBe(0)
})
