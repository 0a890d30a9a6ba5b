/** Which accounts of a genesis are those of the public development mnemonic, by the number that `dev:N` names them with. */
import type { ChainSpec } from "../block/genesis.ts"
import { toHex } from "../codec/bytes.ts"
import { accountKeys, devMnemonic } from "../crypto/keys.ts"
import type { Allocation } from "../ledger/ledger.ts"
import { devAccountsMax } from "../limits.ts"

export interface DevAccount extends Allocation {
  /** N of `dev:N`. */
  readonly index: number
}

/** The first accounts of the mnemonic, in its order, as far as the genesis gives them something. */
export const devAccountsOf = ({ genesis }: Pick<ChainSpec, "genesis">): ReadonlyArray<DevAccount> => {
  const rows = new Map(genesis.alloc.map((row) => [toHex(row.address), row]))
  return accountKeys(devMnemonic, devAccountsMax).flatMap(({ address }, index) => {
    const row = rows.get(toHex(address))
    return row === undefined ? [] : [{ ...row, index }]
  })
}
