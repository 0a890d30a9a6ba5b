/** What the rules of history read: known headers, the best branch, bodies, undo, state. The store answers it; so can a test's maps. */
import type { Block } from "../block/block.ts"
import type { Header } from "../block/header.ts"
import type { ReadPage } from "../block/state-tree.ts"
import type { Ancestry } from "../consensus/consensus.ts"
import { assert } from "../assert.ts"
import { toHex } from "../codec/bytes.ts"
import type { ReadEntry } from "../ledger/overlay.ts"
import type { Before } from "../ledger/undo.ts"

/** A known header: its place, the work behind it, whether its body is here. */
export interface Row {
  readonly header: Header
  /** Cumulative, this header included. */
  readonly work: bigint
  readonly hasBody: boolean
}

export interface ChainReader {
  readonly find: (id: string) => Row | undefined
  /** The best branch's block at a height, up to the tip. */
  readonly bestAt: (height: number) => Row | undefined
  readonly tip: () => Row
  /** The block of a known id, if its body is here. */
  readonly block: (id: string) => Block | undefined
  /** What a block of the best branch changed. */
  readonly undo: (id: string) => ReadonlyArray<Before> | undefined
  readonly readEntry: ReadEntry
  readonly readPage: ReadPage
}

/** The id of a header's parent. */
export const parentId = (header: Header): string => toHex(header.previous)

/** Is this block on the best branch? */
export const isBest = (reader: Pick<ChainReader, "bestAt">, header: Header): boolean =>
  reader.bestAt(header.height)?.header.id === header.id

const genesisOf = (reader: Pick<ChainReader, "bestAt">): Header => {
  const row = reader.bestAt(0)
  assert(row !== undefined, "the genesis is always there")
  return row.header
}

/** The ancestors of whatever comes after `parent`: along its own branch, then along the best one. */
export const ancestryOf = (reader: Pick<ChainReader, "find" | "bestAt">, parent: Header): Ancestry => {
  const side = new Map<number, Header>()
  let lowest = parent
  const at = (height: number): Header => {
    // Every branch begins at the one genesis: a rule anchored there must not walk a long branch for it.
    if (height === 0) return lowest.height === 0 ? lowest : genesisOf(reader)
    while (lowest.height > height && !isBest(reader, lowest)) {
      side.set(lowest.height, lowest)
      const next = reader.find(parentId(lowest))
      assert(next !== undefined, "the ancestors of a known header are known")
      lowest = next.header
    }
    if (lowest.height === height) return lowest
    const found = height > lowest.height ? side.get(height) : reader.bestAt(height)?.header
    assert(found !== undefined, "a header has an ancestor at every height below it")
    return found
  }
  return { parent, at }
}
