/** What the coins of each owner add up to: an index of the store, kept with every decision, so that no query ever adds up coins. */
import { toHex } from "../codec/bytes.ts"
import type { Address } from "../crypto/address.ts"
import type { Ledger } from "../ledger/ledger.ts"

/** Units, and the number of coins that hold them. */
export interface Balance {
  readonly units: number
  readonly coins: number
}

/** The balances as the entries have them; the table must hold the same. */
export const balancesSql =
  "SELECT owner, SUM(units) AS units, COUNT(*) AS coins FROM state WHERE owner IS NOT NULL GROUP BY owner"

/** How the balances change by one decision. Entries whose key is their owner are not counted: they are balances themselves. */
export class Balances {
  private readonly changes = new Map<string, { readonly owner: Address; units: number; coins: number }>()
  private readonly ledger: Pick<Ledger, "ownerOf" | "unitsOf">

  constructor(ledger: Pick<Ledger, "ownerOf" | "unitsOf">) {
    this.ledger = ledger
  }

  /** Counts an entry that comes (1) or goes (-1). */
  count(value: Uint8Array | undefined, sign: 1 | -1): void {
    const owner = value === undefined ? undefined : this.ledger.ownerOf(value)
    if (value === undefined || owner === undefined) return
    const key = toHex(owner)
    const change = this.changes.get(key) ?? { owner, units: 0, coins: 0 }
    change.units += sign * this.ledger.unitsOf(value)
    change.coins += sign
    this.changes.set(key, change)
  }

  /** Owners whose balance is another now. */
  *changed(): Generator<Balance & { readonly owner: Address }> {
    for (const change of this.changes.values()) if (change.units !== 0 || change.coins !== 0) yield change
  }
}
