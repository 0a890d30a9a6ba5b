/** Dials that the kernel answers oddly: a socket that is reset before it is ours. */
import { expect, test } from "bun:test"
import type { LinkHandlers } from "../host/world.ts"
import { makeBunWorld } from "./link.ts"

const handlers = (closed: LinkHandlers["closed"] = () => {}): LinkHandlers => ({
  data: () => {},
  drained: () => {},
  secured: () => {},
  closed
})

test("a dial that the other side resets as it comes fails at once, or its link ends at once", async () => {
  const world = makeBunWorld()
  const { at, close } = await world.listen({ host: "127.0.0.1", port: 0 }, (link) => {
    link.terminate()
    return handlers()
  })
  for (let i = 0; i < 5; i++) {
    const { promise: closed, resolve } = Promise.withResolvers<string>()
    const outcome = await world
      .dial({ ...at, timeoutMs: 60_000 }, () => handlers(resolve))
      .then(
        () => closed,
        (error: unknown) => error
      )
    // Whether the reset is there before the socket is ours, the kernel decides.
    if (typeof outcome !== "string") expect(outcome).toMatchObject({ kind: "io", name: "DialError" })
    else expect(outcome).toContain("ECONNRESET")
  }
  close()
})
