/** What must hold of acknowledged and of pending transfers. */
import { toHex } from "../codec/bytes.ts"
import type { Address } from "../crypto/address.ts"
import { decodeAccount, keyOf as entryKey } from "../ledger/account.ts"
import { transferOf } from "../ledger/transfer.ts"
import { type PoolView, type Promises, slotOf } from "./check.ts"
import type { SimNode } from "./node.ts"
import type { Wallets } from "./wallets.ts"

const nonceAt = (node: SimNode, sender: Address): number => decodeAccount(node.store.readEntry(entryKey(sender))).nonce

/** Nothing is pending whose nonce is used. */
export const checkTransfers = (node: SimNode, pool: PoolView): string | undefined => {
  for (const transaction of pool.values()) {
    const { sender, nonce } = transferOf(transaction)
    if (nonceAt(node, sender) >= nonce)
      return `${node.name}: a transfer with nonce ${nonce} is pending, and the account is at ${nonceAt(node, sender)}`
  }
  return undefined
}

/**
 * A transfer that a node has acknowledged is confirmed there, or another with its nonce is, or it is pending, or another that took
 * its place.
 */
export const accountPromises = (wallets: Wallets): Promises => ({
  moved: () => {},
  broken: (node, pool) => {
    for (const { transaction, node: name } of wallets.acknowledged.values()) {
      if (name !== node.name || node.store.isConfirmed(transaction.id)) continue
      const { sender, nonce } = transferOf(transaction)
      if (nonceAt(node, sender) >= nonce || pool.has(slotOf(transaction))) continue
      return `${name}: transfer ${toHex(transaction.id).slice(0, 12)} (nonce ${nonce}) was acknowledged and is lost`
    }
    return undefined
  }
})
