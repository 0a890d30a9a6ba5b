/** Does the node live, has it started, is it ready? However often that is asked, it is looked at once a second. */
import { Effect } from "effect"
import type { NodeShape, ReadyView, Tip } from "../node/node.ts"
import type { Handlers } from "./exchange.ts"
import { backupsJson, namesJson, stateJson } from "./json.ts"
import { problem } from "./problem.ts"

/** How long an answer holds. */
const holds = "1 second"

const progressJson = ({ sync }: ReadyView, { header: { height } }: Tip) => {
  const target = Math.max(height, sync?.targetHeight ?? 0)
  const behind = target - height
  return {
    height,
    target_height: target,
    blocks_behind: behind,
    eta_ms: behind === 0 ? null : (sync?.etaMs ?? null),
    peers: sync?.peers ?? 0
  }
}

export const healthHandlers = (node: NodeShape): Pick<Handlers, "live" | "ready" | "startup"> => {
  const { rules } = node.facts
  const { node_id } = namesJson(node.facts)
  let started = false
  const look = Effect.gen(function* () {
    const view = yield* node.ready()
    const tip = yield* node.tip()
    const { name } = view.state
    started ||= name !== "genesis" && name !== "boot"
    const state = stateJson(view.state)
    const backups = backupsJson(view.backups)
    return { view, state, backups, sync: progressJson(view, tip), timestamp: new Date().toISOString() }
  })
  const looked = Effect.runSync(Effect.cachedWithTTL(look, holds))
  return {
    live: () => Effect.succeed({ reply: { status: "ok" as const } }),
    ready: () =>
      Effect.map(looked, ({ view: { ready, reasons }, state, sync, backups, timestamp }) => {
        const more = { errors: reasons, extra: { state, sync } }
        if (!ready) return problem(503, "not-ready", reasons.map(({ message }) => message).join(" "), more)
        const { chainId } = rules.spec.ledger
        const reply = { state, chain_id: chainId, node_id, height: sync.height, sync, backups, timestamp }
        return { reply: { status: "ready" as const, ...reply } }
      }),
    startup: () =>
      Effect.map(looked, ({ state }) =>
        started ? { reply: { status: "started" as const, state } } : problem(503, "not-started", state.message)
      )
  }
}
