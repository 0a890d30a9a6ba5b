/** Chains of both ledgers for benchmarks: what wallets send block by block, and a block's way into a store. */
import { Result } from "effect"
import { decodeBlock, encodeBlock } from "../../src/block/block.ts"
import type { ChainSpec } from "../../src/block/genesis.ts"
import { checkBody, checkHeader } from "../../src/chain/check.ts"
import { choosePlan } from "../../src/chain/choose.ts"
import { runPlan } from "../../src/chain/connect.ts"
import { ancestryOf, type ChainReader } from "../../src/chain/reader.ts"
import type { VerifiedLeaves } from "../../src/chain/verified.ts"
import { amount } from "../../src/ledger/amount.ts"
import type { Outpoint, Transaction } from "../../src/ledger/transaction.ts"
import type { ChainStore } from "../../src/store/store.ts"
import { keyOf, payment, specOf, TestChain, transfer } from "../fixtures.ts"

/** Keys that send and are paid. */
export const owners = 1_000
/** Transactions of a full block. */
export const perBlock = 2_000

/** What wallets of `owners` keys send, block by block. */
export type Load = (block: number) => ReadonlyArray<Transaction>

export const transfers: Load = (block) =>
  Array.from({ length: perBlock }, (_, n) =>
    transfer({
      from: n % owners,
      to: (n * 7 + block + 1) % owners === n % owners ? (n + 1) % owners : (n * 7 + block + 1) % owners,
      nonce: block * 2 + 1 + Math.floor(n / owners)
    })
  )

/** Each payment spends one coin and makes two: one to somebody, and the change; the change is what is spent next. */
export const payments = (first: (n: number) => Outpoint, count = perBlock): Load => {
  const purses = Array.from({ length: count }, (_, n) => ({ coin: first(n), units: purseUnits }))
  return () =>
    purses.map((purse, n) => {
      const by = n % owners
      purse.units -= 11
      const made = payment({
        inputs: [purse.coin],
        outputs: [
          [(n * 7 + 1) % owners, 10],
          [by, purse.units]
        ],
        by: [by]
      })
      purse.coin = { id: made.id, index: 1 }
      return made
    })
}
export const purseUnits = 1_000_000

/** A spec of coins whose genesis holds so many, each key's in turn; an address may stand there more than once, as JSON may not. */
export const coinSpec = (coins: number): ChainSpec => {
  const spec = specOf({ model: "utxo", accounts: 0 })
  const alloc = Array.from({ length: coins }, (_, i) => ({
    address: keyOf(i % owners).address,
    balance: amount(purseUnits)
  }))
  return { ...spec, genesis: { ...spec.genesis, alloc } }
}

export const accountSpec = specOf({ accounts: owners })

export interface Source {
  readonly chain: Pick<TestChain, "rules" | "now">
  readonly blocks: ReadonlyArray<Uint8Array>
}

export const sourceOf = (spec: ChainSpec, load: Load, count: number): Source => {
  const chain = new TestChain(spec)
  return { chain, blocks: Array.from({ length: count }, (_, i) => encodeBlock(chain.mine(1, load(i))[0]!)) }
}

/** One block as the chain actor takes it. */
export const importBlock = (
  store: ChainStore,
  { chain }: Source,
  bytes: Uint8Array,
  verified: VerifiedLeaves
): void => {
  const { rules } = chain
  const decoded = decodeBlock(bytes, rules.ledger)
  if (Result.isFailure(decoded)) throw new Error(decoded.failure.what)
  const block = decoded.success
  const parent = store.tip()
  const refused =
    checkHeader(rules, block.header, { ancestry: ancestryOf(store, parent.header), now: chain.now }) ??
    checkBody(rules, block)
  if (refused !== undefined) throw new Error(refused.code)
  const row = { header: block.header, work: parent.work + rules.consensus.work(block.header), hasBody: true }
  const reader: ChainReader = {
    ...store,
    find: (id) => (id === block.header.id ? row : store.find(id)),
    block: (id) => (id === block.header.id ? block : store.block(id))
  }
  const outcome = runPlan(choosePlan(reader, row), { rules, reader, verified })
  if (Result.isFailure(outcome)) throw new Error(outcome.failure.reject.message)
  store.decide(() => {
    store.saveHeaders([row])
    store.saveBody(block)
    store.land(outcome.success, chain.now)
  })
}
