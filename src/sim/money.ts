/** What a simulation does and checks by money model. */
import type { Rules } from "../chain/rules.ts"
import { accountPromises, checkTransfers } from "./account-promises.ts"
import { AccountWallets } from "./account-wallets.ts"
import type { PoolView, Promises } from "./check.ts"
import { checkPayments, CoinPromises } from "./coin-promises.ts"
import { CoinWallets } from "./coin-wallets.ts"
import type { SimNode } from "./node.ts"
import type { Wallets } from "./wallets.ts"

export const makeMoney = (rules: Rules, count: number): { readonly wallets: Wallets; readonly promises: Promises } => {
  if (rules.spec.ledger.model === "account") {
    const wallets = new AccountWallets(rules, count)
    return { wallets, promises: accountPromises(wallets) }
  }
  const wallets = new CoinWallets(rules, count)
  return { wallets, promises: new CoinPromises(rules, wallets) }
}

/** Nothing is pending that the tip has confirmed or made impossible. */
export const checkPool = (node: SimNode, rules: Rules, pool: PoolView): string | undefined =>
  rules.spec.ledger.model === "account" ? checkTransfers(node, pool) : checkPayments(node, rules, pool)
