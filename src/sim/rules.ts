/** The rules of simulated chains: which spec a plan means. */
import { Result } from "effect"
import { type ChainSpec, parseSpec } from "../block/genesis.ts"
import { presets } from "../chain/presets.ts"
import { makeRules, type Rules } from "../chain/rules.ts"
import { evidenceBytes } from "../consensus/evidence.ts"
import { formatAddress } from "../crypto/address.ts"
import { nodeKey, traitorKey, walletKey } from "./keys.ts"
import { futureMsOf, type Plan } from "./plan.ts"
import { startMs } from "./world.ts"

/** How far ahead a header's time may be: less than the clocks of plans are off. */
const futureMsMax = 60_000
/** Blocks until the coins of a block's proposer may be spent: few, so that reorganisations take such coins back. */
const coinbaseMaturity = 2
/** Blocks for which a vote of authorities counts. */
const voteBlocks = 100

/** Is the i-th node an authority, where there are any? */
export const isAuthority = ({ authority, nodes }: Plan, i: number): boolean =>
  authority !== undefined && nodes[i]!.hashesPerSecond > 0

/** What a spec says of seals, where work makes a block and where authorities do. */
const sealing = (plan: Plan, prefix: string, block: object): object => {
  const { authority, blockMs, nodes } = plan
  if (authority === undefined) {
    const total = nodes.reduce((sum, { hashesPerSecond }) => sum + hashesPerSecond, 0)
    const bits = Math.max(4, Math.round(Math.log2(Math.max(1, (total * blockMs) / 1000))))
    return {
      difficulty: { rule: "asert", blockMs, halfLifeMs: 30 * blockMs, bitsStart: bits, bitsMin: 4 },
      time: { medianBlocks: 11, futureMsMax }
    }
  }
  const { checkpointBlocks } = authority
  const keys = [
    ...nodes.flatMap((_, i) => (isAuthority(plan, i) ? [nodeKey(i)] : [])),
    ...Array.from({ length: authority.traitors }, (_, i) => traitorKey(i))
  ]
  return {
    difficulty: { rule: "fixed", blockMs, bits: authority.bits },
    time: { futureMsMax: futureMsOf(blockMs) },
    authority: {
      members: keys.map(({ address }) => formatAddress(address, prefix)),
      outOfTurnMs: Math.floor(blockMs / 2),
      voteBlocks,
      ...(checkpointBlocks === undefined ? {} : { finality: { checkpointBlocks } })
    },
    block: { ...block, extraBytesMax: Math.max(1_024, evidenceBytes) }
  }
}

/** The chain of simulations: small targets or authorities, wallets with money, a quick retarget. */
export const rulesOf = (plan: Plan): Rules => {
  const dev = presets["dev"] as Record<"ledger" | "genesis" | "block", object> & Pick<ChainSpec, "addressPrefix">
  const model = plan.ledger === "utxo" ? { model: plan.ledger, coinbaseMaturity } : {}
  const data = plan.payloadBytesMax === undefined ? {} : { payloadBytesMax: plan.payloadBytesMax }
  const parsed = parseSpec({
    ...dev,
    name: "simulated",
    ledger: { ...dev.ledger, ...model, ...data, chainId: "simulated", feeMin: 10, reward: 5_000 },
    ...sealing(plan, dev.addressPrefix, dev.block),
    genesis: { time: startMs, note: "", alloc: [] }
  })
  if (Result.isFailure(parsed)) throw new Error(JSON.stringify(parsed.failure))
  const alloc = Array.from({ length: plan.wallets }, (_, i) => ({
    address: walletKey(i).address,
    balance: 1_000_000_000
  }))
  return makeRules({ ...parsed.success, genesis: { ...parsed.success.genesis, alloc: alloc as never } })
}
