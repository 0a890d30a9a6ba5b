/** Chains of authorities that vote, skip turns and double-sign: what tests of such chains say in one line. */
import type { Block } from "../src/block/block.ts"
import { makeHeader } from "../src/block/header.ts"
import { type Evidence, encodeEvidence, evidenceOf } from "../src/consensus/evidence.ts"
import { delayOf, leaderOf, slotOf, slotStart } from "../src/consensus/rota.ts"
import { ancestryOf } from "../src/chain/reader.ts"
import type { Authorities } from "../src/consensus/consensus.ts"
import { sha256 } from "../src/crypto/hash.ts"
import type { Millis } from "../src/ledger/transaction.ts"
import { type Ballot, makeTemplate } from "../src/miner/template.ts"
import { keyOf, leaderAt, seal, type TestChain } from "./fixtures.ts"

/** Who the authorities are after the tip. */
export const authoritiesOf = ({ rules, store }: TestChain): Authorities =>
  rules.consensus.author!.authorities(ancestryOf(store, store.tip().header))

/** A sealed block of the next slot, with a ballot, if any: by its leader, or by the authority so many turns after it. */
export const nextBlock = (
  chain: TestChain,
  { ballot, rank = 0 }: { readonly ballot?: Ballot; readonly rank?: number } = {}
): Block => {
  const { rules, store } = chain
  const { rota } = rules.consensus.author!
  const { members } = authoritiesOf(chain)
  const slot = Math.max(slotOf(rota, store.tip().header.time), slotOf(rota, chain.now)) + 1
  chain.now = slotStart(rota, slot) + delayOf(rota, members.length, rank)
  const proposer = leaderOf(members, slot + rank)
  const wish = { rules, reader: store, candidates: [], proposer, now: chain.now, extra: new Uint8Array(0) }
  return seal(makeTemplate({ ...wish, ...(ballot === undefined ? {} : { ballot }) }))
}

/** Takes such a block. */
export const land = (chain: TestChain, how?: Parameters<typeof nextBlock>[1]): Block => {
  const block = nextBlock(chain, how)
  const refused = chain.take(block)
  if (refused !== undefined) throw new Error(`our own block was refused: ${refused}`)
  return block
}

/** Evidence against the leader of the next slot, who seals two blocks in it; neither is taken. */
export const doubleSign = (chain: TestChain): Evidence => {
  const first = nextBlock(chain)
  const { header } = first
  const other = makeHeader({ ...header, stateRoot: sha256(header.stateRoot), time: (header.time + 1) as Millis })
  const second = seal({ ...first, header: other })
  return evidenceOf(chain.rules.consensus.author!.rota, header, second.header)!
}

/** The ballot that convicts by evidence. */
export const conviction = (evidence: Evidence): Ballot => ({
  vote: "convict",
  subject: evidence.authority,
  evidence: encodeEvidence(evidence)
})

/** A ballot about a test key. */
export const about = (vote: "admit" | "expel", key: number): Ballot => ({ vote, subject: keyOf(key).address })

/** The address of who leads the slot of the chain's clock. */
export const leading = (chain: TestChain) => keyOf(leaderAt(chain, chain.now)).address
