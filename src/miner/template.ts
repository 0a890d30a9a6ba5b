/** The block that we would like to make next: pending transactions that fit the state, and a header that lacks only its nonce. */
import { assert } from "../assert.ts"
import { type Block, extraHashOf, transactionRootOf } from "../block/block.ts"
import { chainTag, type Height, makeHeader } from "../block/header.ts"
import { StateTree } from "../block/state-tree.ts"
import { type ChainReader, ancestryOf } from "../chain/reader.ts"
import type { Rules } from "../chain/rules.ts"
import type { Address } from "../crypto/address.ts"
import type { Amount } from "../ledger/amount.ts"
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
  const time = Math.max(wish.now, consensus.earliestTime(ancestry)) as Millis
  const facts = { height, time, proposer: wish.proposer }
  const opening = ledger.opening(facts, fees as Amount)
  const unpaid = ledger.applyReward(state, facts, fees as Amount, opening)
  assert(unpaid === undefined, "a block of our own pays what the rules say")
  const transactions = opening === undefined ? chosen : [opening, ...chosen]
  const changes = [...state.changes].flatMap(([key, { before, after }]) =>
    before === after ? [] : [[key, after] as const]
  )
  const header = makeHeader({
    version: 1,
    chainTag: chainTag(spec.ledger.chainId),
    height,
    time,
    previous: parent.hash,
    transactionRoot: transactionRootOf(transactions),
    stateRoot: new StateTree(reader.readPage).update(changes),
    target: consensus.nextTarget(ancestry),
    proposer: wish.proposer,
    extraHash: extraHashOf(wish.extra),
    nonce: 0
  })
  return { header, transactions, extra: wish.extra }
}

/** Bytes that a spec leaves for transactions beside header and extra data. */
export const transactionBytesLeft = ({ spec, ledger }: Rules, extra: Uint8Array): number =>
  spec.block.bytesMax - 220 - extra.length - (ledger.opens ? openingBytesMax : 0)

/** Bytes of the longest transaction that a block opens with, and its length. */
const openingBytesMax = 2 + 12 + chainIdBytesMax + outputBytes
