/** The development accounts of a genesis have the numbers of their mnemonic, wherever they stand. */
import { expect, test } from "bun:test"
import { keyOf, specOf } from "../../test/fixtures.ts"
import { accountKey, devMnemonic } from "../crypto/keys.ts"
import type { Amount } from "../ledger/amount.ts"
import { devAccountsOf } from "./dev-accounts.ts"

const spec = specOf()
const dev = (index: number, balance: number) => ({
  address: accountKey(devMnemonic, index).address,
  balance: balance as Amount
})

test("they are found in any order, among others, with what they have", () => {
  const alloc = [dev(2, 20), { address: keyOf(5).address, balance: 7 as Amount }, dev(0, 5), dev(10, 1)]
  expect(devAccountsOf({ genesis: { ...spec.genesis, alloc } })).toEqual([
    { ...dev(0, 5), index: 0 },
    { ...dev(2, 20), index: 2 }
  ])
  expect(devAccountsOf({ genesis: { ...spec.genesis, alloc: [] } })).toEqual([])
})
