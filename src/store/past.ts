/**
 * The past of a loaded snapshot, replayed from genesis beside the state that stands already. Each block must lead to the
 * state root of its header; so at the floor the replay has the state that was loaded, and the chain is like any other.
 *
 * Headers were checked when they were loaded. What a header commits to cannot be another body, so a body that breaks the
 * rules proves the snapshot false, whoever gave it and whoever notices.
 */
import type { Database } from "bun:sqlite"
import { Result } from "effect"
import { assert } from "../assert.ts"
import { type Block, decodeBody } from "../block/block.ts"
import type { Header } from "../block/header.ts"
import { checkBody } from "../chain/check.ts"
import { Decision } from "../chain/connect.ts"
import { type BlockReject, verdicts } from "../chain/reject.ts"
import type { Rules } from "../chain/rules.ts"
import type { VerifiedLeaves } from "../chain/verified.ts"
import { pastInvalid } from "./db.ts"
import type { ChainStore } from "./store.ts"

/** A body from elsewhere for a header of the past; undefined: not there, or not the header's. */
export type BodySource = (header: Header) => Block | undefined

/** What may be replayed at a time: so many blocks, closed by the one with which there are so many transactions. */
export interface PastGroup {
  readonly blocks: number
  readonly transactions: number
}

/** The next blocks of the past, as far as their bodies are here or given. None: the first of them is lacking. */
export const nextOfPast = (
  store: ChainStore,
  max: PastGroup,
  source: BodySource = () => undefined
): ReadonlyArray<Block> => {
  const blocks: Array<Block> = []
  const proven = store.proven()
  if (proven === undefined) return blocks
  let transactions = 0
  for (let height = proven + 1; height <= store.floor() && blocks.length < max.blocks; height++) {
    const row = store.bestAt(height)
    assert(row !== undefined, "the best branch has a header at every height")
    const block = store.block(row.header.id) ?? source(row.header)
    if (block === undefined) break
    blocks.push(block)
    transactions += block.transactions.length
    if (transactions >= max.transactions) break
  }
  return blocks
}

/** Is this a block of the past that is not proven yet? */
export const isPast = (store: ChainStore, { height, id }: Header): boolean =>
  height <= store.floor() && store.bestAt(height)?.header.id === id

/** Remembers for ever that a block of the past breaks the rules; gives what was remembered. */
export const condemnPast = (store: ChainStore, { height, id }: Header, { code, message }: BlockReject): string => {
  const why = `block ${height} (${id}): ${code}: ${message}`
  store.breakPast(why)
  return why
}

/**
 * Replays those blocks and puts them on disk. Throws StoreFault `past-invalid` if one breaks the rules; the database
 * remembers it, and no store is opened on it again.
 */
export const provePast = (
  store: ChainStore,
  rules: Rules,
  next: { readonly blocks: ReadonlyArray<Block>; readonly verified: VerifiedLeaves }
): void => {
  const decision = new Decision(rules, store.past, next.verified)
  for (const block of next.blocks) {
    const parent = store.bestAt(block.header.height - 1)
    assert(parent !== undefined, "the best branch has a header at every height")
    const refused = checkBody(rules, block) ?? decision.attach(block, parent.header)
    if (refused !== undefined) throw pastInvalid(condemnPast(store, block.header, refused))
  }
  store.decide(() => {
    for (const block of next.blocks) store.saveBody(block)
    store.landPast(decision.landing())
  })
}

/** Bodies out of another folder's database, whatever process uses it. */
export const bodiesOf = (db: Database, rules: Rules): BodySource => {
  const body = db.query<{ body: Uint8Array }, [Uint8Array]>(
    "SELECT body FROM bodies WHERE n = (SELECT n FROM headers WHERE hash = ?)"
  )
  return (header) => {
    const row = body.get(header.hash)
    const decoded = row === null ? undefined : decodeBody(header, row.body, rules.ledger)
    if (decoded === undefined || Result.isFailure(decoded)) return undefined
    const refused = checkBody(rules, decoded.success)
    // One that the header commits to and the rules do not allow is what the replay must see.
    return refused === undefined || verdicts[refused.code].condemns ? decoded.success : undefined
  }
}
