/**
 * What every account had after a block: from what they have now, each later block taken back. A transfer tells all that it
 * changed, so no copy of a state is kept. Small chains only: both how far back and how many accounts are bounded.
 */
import { Effect } from "effect"
import type { Header } from "../block/header.ts"
import { toHex } from "../codec/bytes.ts"
import { compatAccountsMax, compatBlocksBackMax, httpPageMax } from "../limits.ts"
import type { AccountView, Answer, BlockView, NodeShape, Page } from "../node.ts"
import { problem, type Problem } from "./problem.ts"

export interface Held {
  readonly balance: number
  readonly nonce: number
}
/** By hex of the address; who never had anything is not there. */
export type Accounts = ReadonlyMap<string, Held>

/** The accounts after a block of the best branch, or why they are not told. */
export type StateAt = (header: Header) => Answer<Accounts | Problem>

const tooMany = problem(
  400,
  "state-too-large",
  `There are more than ${compatAccountsMax} accounts: no answer holds them all. Ask GET /api/accounts for pages.`
)
const moved = problem(503, "busy", "The chain moved on while its accounts were read.", {
  headers: { "retry-after": "1" }
})
/** Readings before it is said that the chain moves too fast. */
const readingsMax = 3

const readAll = (node: NodeShape): Answer<Map<string, Held> | undefined> =>
  Effect.gen(function* () {
    const accounts = new Map<string, Held>()
    for (let cursor: string | undefined = undefined; ; ) {
      const page: Page<AccountView> | undefined = yield* node.accounts(cursor, httpPageMax)
      for (const { address, balance, nonce } of page?.rows ?? []) accounts.set(toHex(address), { balance, nonce })
      if (accounts.size > compatAccountsMax) return undefined
      cursor = page?.next
      if (cursor === undefined) return accounts
    }
  })

/** The accounts as they were before a block. Who then had nothing and had sent nothing was not there. */
export const takeBack = (
  accounts: Map<string, Held>,
  { block, rewardUnits }: Pick<BlockView, "block" | "rewardUnits">
): void => {
  const move = (address: Uint8Array, units: number, nonces: number): void => {
    const key = toHex(address)
    const { balance, nonce } = accounts.get(key) ?? { balance: 0, nonce: 0 }
    const before = { balance: balance + units, nonce: nonce + nonces }
    if (before.balance === 0 && before.nonce === 0) accounts.delete(key)
    else accounts.set(key, before)
  }
  move(block.header.proposer, -rewardUnits, 0)
  for (const transaction of block.transactions.toReversed()) {
    if (transaction.kind !== "transfer") continue
    const { sender, recipient, amount, fee } = transaction.transfer
    move(recipient, -amount, 0)
    move(sender, amount + fee, -1)
  }
}

/** Units that the accounts hold. */
const total = (accounts: Accounts): number => [...accounts.values()].reduce((sum, { balance }) => sum + balance, 0)

/** From the tip back. */
export const stateByUndoing =
  (node: NodeShape): StateAt =>
  ({ height }) =>
    Effect.gen(function* () {
      const { ledger } = node.facts.rules
      for (let reading = 0; reading < readingsMax; reading++) {
        const tip = (yield* node.tip()).header
        if (tip.height - height > compatBlocksBackMax) {
          const oldest = tip.height - compatBlocksBackMax + 1
          return problem(
            404,
            "state-too-old",
            `The accounts are told of the last ${compatBlocksBackMax} blocks: from block ${oldest} on.`
          )
        }
        const accounts = yield* readAll(node)
        if (accounts === undefined) return tooMany
        // A page read before a block and one read after it do not add up.
        if (total(accounts) !== ledger.supplyAt(tip.height)) continue
        for (let at: number = tip.height; at > height; at--) {
          const view = yield* node.blockAt(at)
          if (view === undefined) break
          takeBack(accounts, view)
        }
        if ((yield* node.tip()).header.id === tip.id && total(accounts) === ledger.supplyAt(height)) return accounts
      }
      return moved
    })
