/** Snapshots in memory: made of a test chain, loaded into a store; and a chain whose past is a lie that only a replay finds. */
import type { Database } from "bun:sqlite"
import { type Block, extraHashOf } from "../src/block/block.ts"
import { StateTree } from "../src/block/state-tree.ts"
import { concat } from "../src/codec/bytes.ts"
import { encodeAccount, keyOf as entryKey } from "../src/ledger/account.ts"
import { type Amount, amount } from "../src/ledger/amount.ts"
import type { Nonce } from "../src/ledger/transaction.ts"
import { openDatabase } from "../src/store/db.ts"
import { loadSnapshot, openSnapshot } from "../src/store/snapshot-load.ts"
import { type Made, makeSnapshot } from "../src/store/snapshot-make.ts"
import { ChainStore } from "../src/store/store.ts"
import { forge, keyOf, type TestChain } from "./fixtures.ts"

/** A file in memory, to write. */
export const memory = () => {
  const parts: Array<Uint8Array> = []
  return { write: (bytes: Uint8Array) => void parts.push(bytes.slice()), bytes: () => concat(...parts) }
}

/** A file in memory, to read. */
export const readerOf = (bytes: Uint8Array) => {
  let at = 0
  return { read: (length: number) => bytes.slice(at, (at += Math.min(length, bytes.length - at))) }
}

/** A snapshot of a chain. */
export const make = (
  chain: Pick<TestChain, "store" | "rules">,
  height?: number
): { readonly bytes: Uint8Array; readonly made: Made } => {
  const out = memory()
  const made = makeSnapshot(chain.store.db, chain.rules, { out, height, progress: () => {} })
  return { bytes: out.bytes(), made }
}

/** Fills an empty database with a snapshot. */
export const loadInto = (db: Database, bytes: Uint8Array, chain: Pick<TestChain, "rules" | "now">): void =>
  void loadSnapshot(db, chain.rules, { ...openSnapshot(readerOf(bytes)), now: chain.now, progress: () => {} })

/** A store made of a snapshot by the rules of a chain. */
export const load = (bytes: Uint8Array, chain: TestChain, path = ":memory:"): ChainStore => {
  const db = openDatabase(path)
  loadInto(db, bytes, chain)
  return new ChainStore(db, chain.rules)
}

/** Takes a block that is sealed, commits to its body and leads to its state, and whose extra data is longer than the rules allow. */
export const overfill = (chain: TestChain): Block => {
  const block = chain.next()
  const extra = new Uint8Array(chain.rules.spec.block.extraBytesMax + 1)
  const full = forge({ ...block, extra }, { extraHash: extraHashOf(extra) })
  chain.take(full)
  return full
}

/** Lands a first block that is sealed, and whose state root says that account 0 gave half of all it had to account 1. */
export const steal = (chain: TestChain): void => {
  const { rules, store } = chain
  const { alloc } = rules.spec.genesis
  const half = Math.floor(alloc[0]!.balance / 2)
  const entries = [
    [alloc[0]!.address, alloc[0]!.balance - half],
    [alloc[1]!.address, alloc[1]!.balance + half],
    [keyOf(99).address, rules.ledger.rewardAt(1)]
  ].map(([address, units]) => {
    const balance = amount(units as number)
    const value = encodeAccount({ balance, nonce: 0 as Nonce })
    const key = entryKey(address as (typeof alloc)[0]["address"])
    return [key, value, balance, store.readEntry(key)] as const
  })
  const tree = new StateTree(store.readPage)
  const stateRoot = tree.update(entries.map(([key, value]) => [key, value] as const))
  const block = forge(chain.next(), { stateRoot })
  store.saveHeaders([chain.rowFor(block)])
  store.saveBody(block)
  const attached = [{ block, undo: new Uint8Array(0), fees: 0 as Amount }]
  store.land({ detached: [], attached, entries, pages: tree.pages() }, chain.now)
}
