/** The block that we would like to make next: pending transactions that fit the state, and a header that lacks only its nonce. */
import { assert } from "../assert.ts"
import { type Block, extraHashOf, transactionRootOf } from "../block/block.ts"
import { type AuthorityFields, chainTag, type Header, headerLength, type Height, makeHeader } from "../block/header.ts"
import { StateTree } from "../block/state-tree.ts"
import { type ChainReader, ancestryOf } from "../chain/reader.ts"
import type { Rules } from "../chain/rules.ts"
import { concat } from "../codec/bytes.ts"
import { lastVoteOf } from "../consensus/authorities.ts"
import type { Turn } from "../consensus/rota.ts"
import { type Address, addressBytes } from "../crypto/address.ts"
import type { Amount } from "../ledger/amount.ts"
import { isFiller, makeFiller } from "../ledger/filler.ts"
import { Overlay } from "../ledger/overlay.ts"
import { outputBytes } from "../ledger/payment.ts"
import type { Millis, Transaction } from "../ledger/transaction.ts"
import { chainIdBytesMax } from "../limits.ts"

export interface Wish {
  readonly rules: Rules
  readonly reader: Pick<ChainReader, "find" | "bestAt" | "tip" | "readEntry" | "readPage">
  /** In the order in which they should be taken. */
  readonly candidates: ReadonlyArray<Transaction>
  readonly proposer: Address
  readonly now: number
  readonly extra: Uint8Array
  /** What the proposer says of another authority; without it, nothing. */
  readonly ballot?: Ballot
}

/** A vote to carry in the header; against who is convicted, with the evidence in place of the extra data. */
export interface Ballot extends Pick<AuthorityFields, "vote" | "subject"> {
  readonly evidence?: Uint8Array
}

/** The block on top of the tip, not sealed. Candidates that the state refuses are passed over. */
export const makeTemplate = (wish: Wish): Block => {
  const { rules, reader } = wish
  const { ledger, consensus, spec } = rules
  const parent = reader.tip().header
  const ancestry = ancestryOf(reader, parent)
  const state = new Overlay(reader.readEntry)
  const chosen: Array<Transaction> = []
  const height = (parent.height + 1) as Height
  let fees = 0
  for (const transaction of wish.candidates) {
    if (chosen.length >= spec.block.transactionsMax) break
    const fee = ledger.apply(state, transaction, { height })
    if (typeof fee !== "number") continue
    chosen.push(transaction)
    fees += fee
  }
  const turn = consensus.author?.turn(ancestry, wish.proposer, wish.now)
  const time = Math.max(wish.now, turn?.from ?? consensus.earliestTime(ancestry)) as Millis
  const facts = { height, time, proposer: wish.proposer }
  const opening = ledger.opening(facts, fees as Amount)
  const unpaid = ledger.applyReward(state, facts, fees as Amount, opening)
  assert(unpaid === undefined, "a block of our own pays what the rules say")
  const transactions = opening === undefined ? chosen : [opening, ...chosen]
  const changes = [...state.changes].flatMap(([key, { before, after }]) =>
    before === after ? [] : [[key, after] as const]
  )
  const extra = extraOf(wish, parent)
  const header = makeHeader({
    ...rankOf(wish, parent, turn),
    version: consensus.version,
    chainTag: chainTag(spec.ledger.chainId),
    height,
    time,
    previous: parent.hash,
    transactionRoot: transactionRootOf(transactions),
    stateRoot: new StateTree(reader.readPage).update(changes),
    target: consensus.nextTarget(ancestry),
    proposer: wish.proposer,
    extraHash: extraHashOf(extra),
    nonce: 0
  })
  return { header, transactions, extra }
}

/** Evidence, if the block convicts; else what the proposer wishes, if the chain allows it, or else filler. */
const extraOf = ({ rules, ballot, extra, proposer }: Wish, { hash }: Header): Uint8Array => {
  const { filler } = rules.spec.block
  if (ballot?.evidence !== undefined) return ballot.evidence
  return filler === undefined || isFiller(filler, extra) ? extra : makeFiller(filler, concat(hash, proposer))
}

/** What a chain of authorities asks for more; the seal is still to come. */
const rankOf = (
  { rules, ballot }: Wish,
  parent: Header,
  turn: Turn | undefined
): { readonly authority?: AuthorityFields } => {
  if (rules.consensus.author === undefined) return {}
  assert(turn !== undefined, "only an authority makes blocks where there are authorities")
  return {
    authority: {
      weight: turn.weight,
      vote: ballot?.vote ?? "none",
      subject: ballot?.subject ?? (new Uint8Array(addressBytes) as Uint8Array as Address),
      lastVote: lastVoteOf(parent),
      publicKey: new Uint8Array(33),
      signature: new Uint8Array(64)
    }
  }
}

/** Bytes that a spec leaves for transactions beside header and extra data of so many bytes. */
export const transactionBytesLeft = (
  { spec, ledger, consensus }: Pick<Rules, "spec" | "ledger" | "consensus">,
  extraLength: number
): number =>
  spec.block.bytesMax - headerLength(consensus.version) - 8 - extraLength - (ledger.opens ? openingBytesMax : 0)

/** Bytes of the longest transaction that a block opens with, and its length. */
const openingBytesMax = 2 + 12 + chainIdBytesMax + outputBytes
