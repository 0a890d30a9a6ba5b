/** Blocks of authorities, right ones and such as are wrong in one way, on a chain of test keys: the matter of the matrix. */
import * as secp from "@noble/secp256k1"
import { type Block, extraHashOf } from "../src/block/block.ts"
import { type AuthorityFields, type HeaderFields, makeHeader } from "../src/block/header.ts"
import { makeRules } from "../src/chain/rules.ts"
import { encodeEvidence, evidenceBytes, evidenceOf } from "../src/consensus/evidence.ts"
import { slotStart } from "../src/consensus/rota.ts"
import { sealHash, sealHeader, withSeal } from "../src/block/seal.ts"
import type { Amount } from "../src/ledger/amount.ts"
import type { Millis } from "../src/ledger/transaction.ts"
import { makeTemplate } from "../src/miner/template.ts"
import { firstAuthority, forge, keyOf, leaderAt, seal, specOf, type SpecWish, TestChain } from "./fixtures.ts"

/** A chain with room for evidence. */
export const emptyChain = (wish: SpecWish): TestChain => {
  const spec = specOf({ authorities: 5, ...wish })
  return new TestChain({ ...spec, block: { ...spec.block, extraBytesMax: evidenceBytes } })
}

export const chainOf = (wish: SpecWish = {}): TestChain => {
  const chain = emptyChain(wish)
  chain.mine(3)
  return chain
}

/** A block of the leader of the next slot; the clock stands at the slot's beginning. */
export const leaders = (chain: TestChain): Block => chain.next()

/** The number of an authority that does not lead the slot of now. */
export const waiting = (chain: TestChain, ranks = 1): number => {
  const { blockMs } = chain.rules.spec.difficulty
  return leaderAt(chain, chain.now + ranks * blockMs)
}

/** A block of somebody whose turn it is not, at its delay in the next slot, to which the clock is moved. */
export const outOfTurn = (chain: TestChain, ranks = 1): Block => {
  chain.now += chain.rules.spec.difficulty.blockMs
  const key = keyOf(waiting(chain, ranks))
  const { rules, store, now } = chain
  const block = makeTemplate({
    rules,
    reader: store,
    candidates: [],
    proposer: key.address,
    now,
    extra: new Uint8Array(0)
  })
  chain.now = block.header.time
  return seal(block)
}

export const claiming = (block: Block, fields: Partial<AuthorityFields>): Block =>
  forge(block, { authority: { ...block.header.authority!, ...fields } })

export const withSignature = (block: Block, change: (signature: Uint8Array) => Uint8Array, key?: Uint8Array): Block => {
  const { publicKey, signature } = block.header.authority!
  return { ...block, header: withSeal(block.header, key ?? publicKey, change(signature)) }
}

/** The block with a header of other fields, sealed by any key, whoever it says has. */
export const sealedBy = (block: Block, key: number, fields: Partial<HeaderFields> = {}): Block => ({
  ...block,
  header: sealHeader(makeHeader({ ...block.header, ...fields }), keyOf(key))
})

/** A block of a ledger that pays its proposer otherwise. */
export const paying = (chain: TestChain, factor: number): Block => {
  chain.now += chain.rules.spec.difficulty.blockMs
  const { spec } = chain.rules
  const richer = makeRules({ ...spec, ledger: { ...spec.ledger, reward: (spec.ledger.reward * factor) as Amount } })
  const proposer = keyOf(leaderAt(chain, chain.now)).address
  const rules = { ...chain.rules, ledger: richer.ledger }
  const wish = { rules, reader: chain.store, candidates: [], proposer, now: chain.now, extra: new Uint8Array(0) }
  return seal(makeTemplate(wish))
}

/** Two headers that an authority has sealed, with so many slots between them. */
export const twoOf = (chain: TestChain, guilty: number, slots = 0) => {
  const { blockMs } = chain.rules.spec.difficulty
  const one = chain.store.tip().header
  const time = slotStart(rotaOf(chain), 40) as Millis
  const fields = { ...one, proposer: keyOf(guilty).address, time }
  const first = sealHeader(makeHeader({ ...fields, nonce: 1 }), keyOf(guilty))
  const later = makeHeader({ ...fields, nonce: 2, time: (fields.time + slots * blockMs) as Millis })
  return [first, sealHeader(later, keyOf(guilty))] as const
}

export const rotaOf = ({ rules }: TestChain) => rules.consensus.author!.rota

/** The evidence of two headers; of none that prove anything, their bytes. */
export const evidence = (chain: TestChain, guilty: number): Uint8Array => {
  const [a, b] = twoOf(chain, guilty)
  return encodeEvidence(evidenceOf(rotaOf(chain), a, b)!)
}

export const convicting = (chain: TestChain, subject: number, extra: Uint8Array): Block => {
  const block = leaders(chain)
  const vote = { ...block.header.authority!, vote: "convict" as const, subject: keyOf(subject).address }
  return forge({ ...block, extra }, { extraHash: extraHashOf(extra), authority: vote })
}

/** An authority that leads neither the slot of now nor the next. */
export const other = (chain: TestChain): number => {
  const leaders = [chain.now, chain.now + chain.rules.spec.difficulty.blockMs].map((now) => leaderAt(chain, now))
  return [0, 1, 2].map((i) => firstAuthority + i).find((key) => !leaders.includes(key))!
}

/** Another valid signature of a header's seal. */
export const secondSignature = (hash: Uint8Array, key: number): Uint8Array =>
  secp.sign(sealHash(hash), keyOf(key).secret, { prehash: false, lowS: true, extraEntropy: new Uint8Array(32).fill(9) })
