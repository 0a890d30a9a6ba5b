/** The route of backups: who may order one, what it gives, how it refuses. */
import { expect, test } from "bun:test"
import { Context, Effect, Exit, Schema } from "effect"
import { startNode } from "../../test/network.ts"
import { type Answer, BackupRefused, type BackupMade, Busy, type NodeShape } from "../node/node.ts"
import { makeApp } from "./app.ts"
import { routes } from "./contract.ts"

const token = "0123456789abcdef0123456789abcdef"
const file = (name: string) => ({ name, bytes: 1, sha256: "ab".repeat(32) })
const manifest = {
  format: "cairn-backup",
  version: 1,
  created_at: "2026-11-21T17:00:00.000Z",
  label: "nightly",
  chain: {
    chain_id: "test",
    genesis: "ab".repeat(32),
    blocks: 1,
    height: 0,
    cumulative_work: "16",
    tip_hash: "ab".repeat(32)
  },
  node: { node_id: "node1x", node_url: "" },
  program: { name: "cairn", version: "0.1.0", schema: 6 },
  keys: "left-out",
  files: { database: file("chain.db"), spec: file("spec.json") }
}

test("an admin orders a backup, with a label or without a body; others and failures hear why not", async () => {
  const running = await startNode()
  const asked: Array<string | undefined> = []
  const outcomes: Array<Answer<BackupMade, BackupRefused>> = []
  const node: NodeShape = {
    ...running.tree.node,
    backup: (label) => {
      asked.push(label)
      return outcomes.shift() ?? running.tree.node.backup(label)
    }
  }
  const app = makeApp({ node, context: Context.empty(), adminToken: token, page: new Map(), hosts: ["localhost"] })
  const post = (body: string | undefined, given = token) =>
    app.request("http://localhost/api/admin/backup", {
      method: "POST",
      headers: {
        authorization: `Bearer ${given}`,
        ...(body === undefined ? {} : { "content-type": "application/json" })
      },
      ...(body === undefined ? {} : { body })
    })
  outcomes.push(Effect.succeed({ path: "/b/nightly", manifest }), Effect.succeed({ path: "/b/snapshot", manifest }))
  for (const body of ['{"label":"nightly"}', undefined]) {
    const response = await post(body)
    const decode = Schema.decodeUnknownExit(routes.backup.reply, { errors: "all", onExcessProperty: "error" })
    expect([response.status, Exit.isSuccess(decode(await response.json()))]).toEqual([201, true])
  }
  outcomes.push(
    Effect.fail(new BackupRefused({ code: "backup-failed", message: "no room" })),
    Effect.fail(new Busy({ actor: "backup", retryAfterMs: 10_000 }))
  )
  const codes: Array<unknown> = []
  for (const [body, given] of [["{}"], ["{}"], ["{}"], ['{"label":1}'], ["{}", "wrong"]] as const) {
    const response = await post(body, given)
    codes.push([response.status, ((await response.json()) as { code: string }).code])
  }
  expect(codes).toEqual([
    [500, "backup-failed"],
    [503, "busy"],
    [503, "backups-none"],
    [400, "body-invalid"],
    [401, "admin-token-required"]
  ])
  expect(asked).toStrictEqual(["nightly", undefined, undefined, undefined, undefined])
  await running.stop()
})
