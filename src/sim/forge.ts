/** Tools of forgers: blocks on a victim's tip, changed in any way and sealed as if they were sound. */
import { assert } from "../assert.ts"
import { type Block, encodeBlock, transactionRootOf } from "../block/block.ts"
import { type Header, type HeaderFields, makeHeader } from "../block/header.ts"
import { ancestryOf } from "../chain/reader.ts"
import { equal } from "../codec/bytes.ts"
import { leaderOf, slotOf, slotStart } from "../consensus/rota.ts"
import { sealHeader } from "../block/seal.ts"
import type { Address } from "../crypto/address.ts"
import type { Keypair } from "../crypto/keys.ts"
import type { Transaction } from "../ledger/transaction.ts"
import { search } from "../miner/search.ts"
import { makeTemplate } from "../miner/template.ts"
import { traitorAt, traitorKey } from "./keys.ts"
import type { Liar } from "./liar.ts"

/** A header and the bytes that are given for its block. */
export interface Forged {
  readonly header: Header
  readonly bytes: Uint8Array
  /** What is announced as its header; undefined: the header. */
  readonly announced?: Uint8Array
}

/** Hashes that a liar spends on one seal: far more than any simulated target takes. */
const hashesMax = 10_000_000

/** A header of these fields. Only version 2 has what authorities add. */
const headerOf = (fields: HeaderFields): Header => {
  if (fields.version === 2) return makeHeader(fields)
  const { authority: _, ...rest } = fields
  return makeHeader(rest)
}

/**
 * The block with some header fields replaced and a nonce that seals it. Where authorities seal: with the seal of a key as well,
 * the proposer's if that is an authority that lies.
 */
export const seal = (block: Block, fields: Partial<HeaderFields> = {}, key?: Keypair): Block => {
  const header = headerOf({ ...block.header, ...fields })
  const { nonce } = search({ header: header.bytes, target: header.target, from: 0, count: hashesMax })
  assert(nonce !== undefined, "a simulated target is met within its hashes")
  const worked = makeHeader({ ...header, nonce })
  if (worked.authority === undefined) return { ...block, header: worked }
  return { ...block, header: sealHeader(worked, key ?? traitorAt(worked.proposer) ?? traitorKey(0)) }
}

const rollOf = ({ rules, victim: { store } }: Liar): ReadonlyArray<Address> | undefined =>
  rules.consensus.author?.authorities(ancestryOf(store, store.tip().header)).members

/** The authority that lies with a liar; undefined: there is none, or none any more. */
export const accompliceOf = (liar: Liar): Address | undefined =>
  rollOf(liar)?.find((member) => traitorAt(member) !== undefined)

/** In whose name a liar makes blocks: of an authority that lies with it, else of one that knows nothing of it, else its own. */
export const proposerOf = (liar: Liar): Address => accompliceOf(liar) ?? rollOf(liar)?.[0] ?? liar.key.address

/** Milliseconds until a slot begins above the victim's tip that the liar's authority leads, or one that it does not. */
export const untilTurn = (liar: Liar, led: boolean): number => {
  const { author } = liar.rules.consensus
  const members = rollOf(liar)
  if (author === undefined || members === undefined) return 0
  const { rota } = author
  const { now } = liar.host
  const proposer = proposerOf(liar)
  const isLed = (slot: number): boolean => equal(leaderOf(members, slot), proposer)
  let slot = Math.max(slotOf(rota, now), slotOf(rota, liar.victim.store.tip().header.time)) + 1
  if (members.length > 1) while (isLed(slot) !== led) slot++
  return slotStart(rota, slot) - now
}

/** An honest block on the victim's tip, all its own, not sealed. */
export const draft = (liar: Liar, aheadMs = 0, proposer = proposerOf(liar)): Block =>
  makeTemplate({
    rules: liar.rules,
    reader: liar.victim.store,
    candidates: [],
    proposer,
    now: liar.host.now + aheadMs,
    extra: liar.dice.bytes(8)
  })

/** The block with these transactions alone, and a header that commits to them, whatever they are. */
export const holding = (block: Block, transactions: ReadonlyArray<Transaction>): Block =>
  seal({ ...block, transactions }, { transactionRoot: transactionRootOf(transactions) })

/** The block with these transactions behind what it opens with. */
export const filled = (block: Block, transactions: ReadonlyArray<Transaction>): Block =>
  holding(block, [...block.transactions, ...transactions])

export const given = (block: Block): Forged => ({ header: block.header, bytes: encodeBlock(block) })

/** A block on the victim's tip: valid, unless its time is too far ahead. */
export const honestBlock = (liar: Liar, aheadMs = 0): Forged => given(seal(draft(liar, aheadMs)))

/** A way to make a block that must be refused. */
export interface Forgery {
  readonly about: string
  /** The code by which it must be refused, and of `transaction-refused` the code of the transaction. */
  readonly code: string
  readonly because?: string
  readonly forge: (liar: Liar) => Forged
}
export type Forgeries = Readonly<Record<string, Forgery>>

/** What liars of one money model have. */
export interface MoneyLies {
  /** So many transactions of a wallet that lends the liar its key, which an honest node takes. */
  readonly sound: (liar: Liar, count: number) => ReadonlyArray<Transaction>
  /** A transaction whose own bytes refute it: what `decode` refuses, so no state is asked. */
  readonly broken: (liar: Liar) => Transaction
  /** Blocks with false money. */
  readonly forgeries: Forgeries
  /** Transactions that are sent for a ban: by the code of it, undefined: whichever. */
  readonly dishonest: Readonly<
    Record<string, { readonly about: string; readonly code?: string; readonly make: (liar: Liar) => Transaction }>
  >
  /** Transactions that an honest node might send too. */
  readonly useless: Readonly<
    Record<string, { readonly about: string; readonly make: (liar: Liar) => ReadonlyArray<Transaction> }>
  >
}

/** Blocks of the best branch, the newest first, at most so many. Genesis is not among them. */
export const oldBlocks = ({ victim: { store } }: Liar, max: number): ReadonlyArray<Block> => {
  const blocks: Array<Block> = []
  for (let { height } = store.tip().header; height > 0 && blocks.length < max; height--)
    blocks.push(store.block(store.bestAt(height)!.header.id)!)
  return blocks
}

/** A transaction of the last blocks; if they have none, this one, and again. */
export const repeated = (liar: Liar, one: ReadonlyArray<Transaction>): ReadonlyArray<Transaction> => {
  const last = confirmed(liar).slice(0, 1)
  return last.length > 0 ? last : [...one, ...one]
}

/** Transactions of the last blocks, those that blocks open with left out. */
export const confirmed = (liar: Liar): ReadonlyArray<Transaction> =>
  oldBlocks(liar, 50).flatMap(({ transactions }) => transactions.filter(({ kind }) => kind !== "coinbase"))
