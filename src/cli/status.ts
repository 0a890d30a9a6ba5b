/** `cairn status`: how a running node is. Exit code 0 if it is ready: good for health checks. */
import { ApiError, call } from "../http/client.ts"
import { type Amount, format } from "../ledger/amount.ts"
import { failure } from "./failure.ts"
import type { ReplyOf } from "../http/contract.ts"
import { formatDuration, print, rows } from "./output.ts"

type Progress = Pick<ReplyOf<"stats">["stats"]["sync"], "height" | "target_height" | "blocks_per_second" | "eta_ms">

/** How far something is, how fast, and how long it will take if that is known. */
const progressText = ({ height, target_height, blocks_per_second, eta_ms }: Progress): string => {
  const eta = eta_ms === null ? "" : `, about ${formatDuration(eta_ms)} left`
  return `${height} of ${target_height}, ${blocks_per_second.toFixed(0)} blocks/s${eta}`
}

/** Asks the node and prints. */
export const status = async (node: string): Promise<void> => {
  const { meta, stats } = await call(node, "stats")
  const ready = await call(node, "ready").then(
    () => undefined,
    (error: unknown) => {
      if (error instanceof ApiError && error.status === 503) return error.message
      throw error
    }
  )
  const { sync, past, state } = stats
  print(
    { ready: ready === undefined, reason: ready ?? null, meta, stats },
    rows([
      ["node", `${node} (${meta.node_id})`],
      ["chain", `${meta.chain_id}, ${meta.consensus}`],
      ["ready", ready === undefined ? "yes" : `no: ${ready}`],
      ["state", `${state.name} since ${new Date(state.since).toISOString()}: ${state.message}`],
      ["height", sync.target_height > sync.height ? progressText(sync) : String(sync.height)],
      ["tip", stats.last_block_hash],
      ...(past === null ? [] : [["past", `proven up to ${progressText(past)}`] as const]),
      ["peers", `${stats.peers} of ${stats.known_peers} known`],
      ...(meta.transports.libp2p?.addresses ?? []).map((address) => ["libp2p", address] as const),
      ["pending", `${stats.pending_transactions} transactions`],
      [
        "supply",
        `${format(stats.circulating_supply as Amount, meta.decimals)} ${meta.symbol} ${
          stats.coins === null ? `on ${stats.accounts} accounts` : `in ${stats.coins} coins of ${stats.accounts} owners`
        }`
      ],
      ["hashing", stats.mining ? `${(stats.hashes_per_second / 1e6).toFixed(2)} MH/s` : "no"]
    ])
  )
  if (ready !== undefined) throw failure("refused", "not-ready", ready)
}
