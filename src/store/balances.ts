/** What the coins of each owner add up to: an index of the store, kept with every decision, so that no query ever adds up coins. */
import type { Database } from "bun:sqlite"
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

const addSql = `INSERT INTO balances (owner, units, coins) VALUES (?1, ?2, ?3)
  ON CONFLICT (owner) DO UPDATE SET units = units + ?2, coins = coins + ?3 RETURNING coins`

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

  /** Writes the balances that are others now; how many more owners there are. */
  write(db: Database): number {
    const add = db.query<{ coins: number }, [Uint8Array, number, number]>(addSql)
    const remove = db.query<unknown, [Uint8Array]>("DELETE FROM balances WHERE owner = ?")
    let more = 0
    for (const { owner, units, coins } of this.changes.values()) {
      if (units === 0 && coins === 0) continue
      const held = add.get(owner, units, coins)!.coins
      // Who holds no more than has just come held nothing before.
      if (held === coins) more++
      if (held > 0) continue
      remove.run(owner)
      more--
    }
    return more
  }
}
