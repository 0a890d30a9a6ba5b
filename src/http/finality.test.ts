/** What the interface shows of finality: on a chain whose authorities vote, and on one where nobody does. */
import { expect, test } from "bun:test"
import { Effect, Exit, Schema } from "effect"
import { specOf } from "../../test/fixtures.ts"
import { startNode } from "../../test/network.ts"
import { makeApp } from "./app.ts"
import { routes } from "./contract.ts"

const ask = async (spec: ReturnType<typeof specOf>, path: string) => {
  const node = await startNode({ spec })
  try {
    const context = await Effect.runPromise(Effect.context<never>())
    const app = makeApp({ node: node.tree.node, context, adminToken: undefined, page: new Map(), hosts: [] })
    const response = await app.request(`http://localhost${path}`)
    return { status: response.status, body: (await response.json()) as Record<string, unknown> }
  } finally {
    await node.stop()
  }
}
const voting = specOf({ authorities: 3, authority: { finality: { checkpointBlocks: 5 } } })

test("a chain whose authorities vote shows what is final, and begins with the genesis", async () => {
  const { status, body } = await ask(voting, "/api/finality")
  const decode = Schema.decodeUnknownExit(routes.finality.reply, { errors: "all", onExcessProperty: "error" })
  expect([status, Exit.isSuccess(decode(body))]).toEqual([200, true])
  expect(body).toMatchObject({
    checkpoint_blocks: 5,
    final: { height: 0 },
    on_branch: true,
    conflict: null,
    guilty: []
  })
  expect(body["votes"]).toHaveLength(3)
  expect((await ask(voting, "/api/blocks/0")).body["block"]).toMatchObject({ final: true })
  expect((await ask(voting, "/api/stats")).body["stats"]).toMatchObject({ final_height: 0 })
  expect((await ask(voting, "/api/ready")).status).toBe(200)
})

test("a chain without votes says so, and its blocks and figures are as before", async () => {
  const { status, body } = await ask(specOf({ authorities: 3 }), "/api/finality")
  expect([status, body["code"]]).toEqual([404, "finality-none"])
  expect((await ask(specOf(), "/api/blocks/0")).body["block"]).not.toHaveProperty("final")
  expect((await ask(specOf(), "/api/stats")).body["stats"]).not.toHaveProperty("final_height")
})
