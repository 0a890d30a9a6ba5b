/** A chain spec made runnable: its money model, its seal and its genesis block. Everything that judges takes one of these. */
import type { Block } from "../block/block.ts"
import type { ChainSpec } from "../block/genesis.ts"
import type { Consensus } from "../consensus/consensus.ts"
import type { Ledger } from "../ledger/ledger.ts"

export interface Rules {
  readonly spec: ChainSpec
  readonly ledger: Ledger
  readonly consensus: Consensus
  readonly genesis: Block
}
