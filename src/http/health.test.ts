/** Liveness, start and readiness: true, looked at once a second, and never limited. */
import { afterAll, beforeAll, describe, expect, test } from "bun:test"
import { Clock, Context, Effect } from "effect"
import { TestClock } from "effect/testing"
import { startNode, type TestNode } from "../../test/network.ts"
import type { NodeShape, ReadyView, SyncView } from "../node/node.ts"
import type { StateName } from "../ready.ts"
import { makeApp } from "./app.ts"

let node: TestNode
beforeAll(async () => {
  node = await startNode()
})
afterAll(() => node.stop())

const sync: SyncView = { state: "bodies", peers: 2, height: 0, targetHeight: 40, blocksPerSecond: 10, etaMs: 4_000 }
const viewOf = (name: StateName, more: Partial<ReadyView> = {}): ReadyView => ({
  ready: name === "ready",
  state: { name, since: 1, reason: "why", message: "So it is.", looks: true },
  reasons: name === "ready" ? [] : [{ code: "catching-up", message: "40 blocks behind." }],
  sync,
  backups: undefined,
  ...more
})

/** An app over a node that is as the test says, and a clock that the test moves. */
const make = async () => {
  const seen = { view: viewOf("boot"), looks: 0 }
  const ready: NodeShape["ready"] = () =>
    Effect.sync(() => {
      seen.looks++
      return seen.view
    })
  const clock = await Effect.runPromise(Effect.scoped(TestClock.make()))
  const app = makeApp({
    node: { ...node.tree.node, ready },
    context: Context.make(Clock.Clock, clock) as Context.Context<never>,
    adminToken: undefined,
    page: new Map(),
    hosts: [],
    access: { rates: { public: 1, admin: 1, peer: 1 }, now: () => 0 }
  })
  const ask = async (path: string) => {
    const response = await app.fetch(new Request(`http://localhost${path}`), { remote: "192.0.2.1" })
    return { status: response.status, body: (await response.json()) as Record<string, unknown> }
  }
  const pass = (ms: number): Promise<void> => Effect.runPromise(clock.adjust(ms))
  return { seen, ask, pass }
}

describe("ready", () => {
  test("says how far the node is, both ways", async () => {
    const { seen, ask, pass } = await make()
    seen.view = viewOf("syncing")
    const behind = { height: 0, target_height: 40, blocks_behind: 40, eta_ms: 4_000, peers: 2 }
    const state = { name: "syncing", since: 1, reason: "why", message: "So it is." }
    const late = {
      code: "not-ready",
      sync: behind,
      state,
      errors: [{ code: "catching-up", message: "40 blocks behind." }]
    }
    expect(await ask("/api/ready")).toMatchObject({ status: 503, body: late })
    seen.view = viewOf("ready", { sync: { ...sync, targetHeight: 0, etaMs: undefined } })
    await pass(1_000)
    const there = { height: 0, target_height: 0, blocks_behind: 0, eta_ms: null, peers: 2 }
    expect(await ask("/readyz")).toMatchObject({ status: 200, body: { status: "ready", sync: there } })
    seen.view = viewOf("failed", { sync: undefined })
    await pass(1_000)
    expect(await ask("/api/ready")).toMatchObject({ status: 503, body: { sync: { peers: 0, blocks_behind: 0 } } })
  })

  test("is looked at once a second, however many ask, and nobody of them is limited", async () => {
    const { seen, ask, pass } = await make()
    const paths = Array.from({ length: 200 }, (_, i) => ["/api/ready", "/readyz", "/startupz"][i % 3]!)
    const statuses = new Set((await Promise.all(paths.map(ask))).map(({ status }) => status))
    expect([[...statuses], seen.looks]).toEqual([[503], 1])
    await pass(999)
    await ask("/api/ready")
    expect(seen.looks).toBe(1)
    await pass(1)
    await ask("/api/ready")
    expect(seen.looks).toBe(2)
  })
})

test("a node has started once it was past its start, and then for good", async () => {
  const { seen, ask, pass } = await make()
  const statuses: Array<number> = []
  for (const name of ["genesis", "boot", "syncing", "boot", "failed"] as const) {
    seen.view = viewOf(name)
    await pass(1_000)
    statuses.push((await ask("/startupz")).status)
  }
  expect(statuses).toEqual([503, 503, 200, 200, 200])
})

test("a node is alive without being looked at", async () => {
  const { seen, ask } = await make()
  for (const path of ["/livez", "/livez", "/livez"])
    expect(await ask(path)).toEqual({ status: 200, body: { status: "ok" } })
  expect(seen.looks).toBe(0)
})
