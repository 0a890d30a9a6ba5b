/** Coins by owner and by name, and their proofs. On a chain of accounts every one of these routes says that there are none. */
import { Effect } from "effect"
import { fromHex } from "../codec/bytes.ts"
import { formatAddress } from "../crypto/address.ts"
import type { Outpoint, TransactionId } from "../ledger/transaction.ts"
import type { CoinAbsence, NodeShape } from "../node/node.ts"
import type { Handlers, Input } from "./exchange.ts"
import { addressIn, badCursor, cursorOf, hasCoins, limitOf, withoutCoins } from "./input.ts"
import { coinJson, coinProofJson, pendingCoinJson } from "./json.ts"
import { problem, type Problem } from "./problem.ts"

const absences: Readonly<Record<CoinAbsence, Problem>> = {
  spent: problem(404, "coin-spent", "This coin was made, and a block has spent it."),
  pending: problem(404, "coin-pending", "A pending transaction would make this coin: no block has it yet. Ask later."),
  unknown: problem(404, "coin-unknown", "No transaction in a block, and none that is pending, has this output.")
}

/** The coin that a path names; undefined: no coin can have that index. */
const outpointIn = ({ params }: Input): Outpoint | undefined => {
  const index = Number(params["index"])
  const id = fromHex(params["id"]!.toLowerCase())! as Uint8Array as TransactionId
  return index <= 0xffff_ffff ? { id, index } : undefined
}

export const coinHandlers = (node: NodeShape): Pick<Handlers, "coins" | "coin" | "coinProof"> => {
  const { facts } = node
  return {
    coins: (input) =>
      Effect.gen(function* () {
        if (!hasCoins(node)) return withoutCoins
        const address = addressIn(node, input.params["address"]!)
        if ("code" in address) return address
        const view = yield* node.coins(address, cursorOf(input), limitOf(input))
        if (view === undefined) return badCursor
        const { rows, next, height, pending } = view
        return {
          reply: {
            address: formatAddress(address, facts.rules.spec.addressPrefix),
            height,
            coins: rows.map((coin) => coinJson(facts, coin)),
            pending_coins: pending.map(pendingCoinJson),
            count: rows.length,
            page: { rows: rows.length, next_cursor: next ?? null }
          }
        }
      }),
    coin: (input) =>
      Effect.gen(function* () {
        if (!hasCoins(node)) return withoutCoins
        const outpoint = outpointIn(input)
        const found = outpoint === undefined ? "unknown" : yield* node.coin(outpoint)
        return typeof found === "string" ? absences[found] : { reply: { coin: coinJson(facts, found) } }
      }),
    coinProof: (input) =>
      Effect.gen(function* () {
        if (!hasCoins(node)) return withoutCoins
        const outpoint = outpointIn(input)
        if (outpoint === undefined) return absences.unknown
        return { reply: coinProofJson(facts, yield* node.coinProof(outpoint)) }
      })
  }
}
