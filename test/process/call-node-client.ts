/** Asks some hosts by HTTPS through the door to other nodes, each looked up as this machine; prints what came of it. */
import { Effect } from "effect"
import { makeCallNode } from "../../src/io/call-node.ts"

const [port, ...hosts] = process.argv.slice(2)
const door = makeCallNode(async () => ["127.0.0.1"])
for (const host of hosts) {
  const call = { method: "GET", url: `https://${host}:${port}/`, timeoutMs: 5_000, bytesMax: 1_000, allowPrivate: true } as const
  const outcome = await Effect.runPromise(
    Effect.match(door(call), { onSuccess: ({ body }) => body, onFailure: ({ message }) => message.split(" ")[0] })
  )
  process.stdout.write(`${outcome}\n`)
}
