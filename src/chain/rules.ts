/** A chain spec made runnable: its money model, its seal and its genesis block. All that judges takes one of these. */
import type { Block } from "../block/block.ts"
import { type ChainSpec, makeGenesis } from "../block/genesis.ts"
import { StateTree } from "../block/state-tree.ts"
import type { Consensus } from "../consensus/consensus.ts"
import { targetOfBits } from "../consensus/difficulty.ts"
import { makePoa } from "../consensus/poa.ts"
import { makePow } from "../consensus/pow.ts"
import { makeAccountLedger } from "../ledger/account.ts"
import { type Amount, amount } from "../ledger/amount.ts"
import type { Ledger, LedgerRules } from "../ledger/ledger.ts"
import { Overlay } from "../ledger/overlay.ts"
import { makeCoinLedger } from "../ledger/utxo.ts"

export interface Rules {
  readonly spec: ChainSpec
  readonly ledger: Ledger
  readonly consensus: Consensus
  readonly genesis: Block
}

/** The money model that some rules name. */
export const makeLedger = (rules: LedgerRules, allocated: Amount): Ledger =>
  rules.model === "account" ? makeAccountLedger(rules, allocated) : makeCoinLedger(rules, allocated)

/** The entries that exist at height 0. */
export const genesisState = (ledger: Ledger, spec: ChainSpec): Overlay => {
  const state = new Overlay(() => undefined)
  ledger.allocate(state, spec.genesis.alloc)
  return state
}

/** The rules of a spec. */
export const makeRules = (spec: ChainSpec): Rules => {
  const allocated = spec.genesis.alloc.reduce((sum, { balance }) => sum + balance, 0)
  const ledger = makeLedger(spec.ledger, amount(allocated))
  const consensus = spec.authority === undefined ? makePow(spec) : makePoa(spec)
  const entries = [...genesisState(ledger, spec).changes].map(([key, { after }]) => [key, after] as const)
  const stateRoot = new StateTree(() => undefined).update(entries)
  const { bits } = spec.genesis
  const target = bits === undefined ? consensus.genesisTarget : targetOfBits(bits)
  return { spec, ledger, consensus, genesis: makeGenesis(spec, target, stateRoot) }
}
