/** What several handlers read of a request, and how they refuse it. */
import { type Address, isAddress, parseAddress } from "../crypto/address.ts"
import type { NodeShape } from "../node/node.ts"
import type { Input } from "./exchange.ts"
import { problem, type Problem } from "./problem.ts"

/** Rows of a page that says no limit. */
const pageSize = 32

export const limitOf = ({ query }: Input): number => (query["limit"] as number | undefined) ?? pageSize
export const cursorOf = ({ query }: Input): string | undefined => query["cursor"] as string | undefined
export const badCursor = problem(
  400,
  "cursor-invalid",
  "This cursor is not one of ours, or what it named is gone. Begin without one."
)

/** The address of a path or body, or the problem with it. */
export const addressIn = ({ facts }: NodeShape, text: string): Address | Problem => {
  const parsed = parseAddress(text, facts.rules.spec.addressPrefix)
  return isAddress(parsed) ? parsed : problem(400, "address-invalid", `The address ${parsed.wrong}.`)
}

/** Is this a chain of coins? */
export const hasCoins = ({ facts }: NodeShape): boolean => facts.rules.spec.ledger.model === "utxo"

export const withoutCoins = problem(
  404,
  "ledger-without-coins",
  "This is a chain of accounts: there are no coins on it."
)
export const withoutAccounts = problem(
  404,
  "ledger-without-accounts",
  "This is a chain of coins: an address has no entry that could be proven. Prove its coins one by one."
)
