/**
 * The state at a block as outsiders ask for it, page by page. One walk back at a time, in slices with a turn for others between,
 * and the last one is kept: the pages of one height share it.
 */
import { Effect, Semaphore } from "effect"
import { decodeHeader, type Header } from "../src/block/header.ts"
import { stateBlocksOf } from "../src/block/genesis.ts"
import type { Rules } from "../src/chain/rules.ts"
import { toHex } from "../src/codec/bytes.ts"
import { stateChangesMax, stateReadersMax } from "../src/limits.ts"
import { Busy, type NodeShape, type StateAbsence, type StatePage } from "../src/node/node.ts"
import type { Snapshot } from "../src/store/snapshot.ts"
import { PastState } from "../src/store/state-at.ts"
import type { HeldBound } from "./metrics.ts"

const retryAfterMs = 1_000

/** A page's cursor: the block that it is of, and the key of the last entry. */
const cursorForm = /^([0-9a-f]{64})-((?:[0-9a-f]{2}){1,64})$/

interface Wish {
  readonly height: number
  /** Hash of the block that the cursor is of, and the last key. */
  readonly of: string | undefined
  readonly after: string | undefined
  readonly limit: number
}

const headerAt = (snapshot: Snapshot, height: number): Header | undefined => {
  const [row] = snapshot.headersFrom(height, 1)
  const header = row === undefined ? undefined : decodeHeader(row.bytes)
  return header?.height === height ? header : undefined
}

/** The reading of states, and what it holds. */
export interface StateService {
  readonly stateAt: NodeShape["stateAt"]
  readonly bounds: () => ReadonlyArray<HeldBound>
}

export const makeStateService = (snapshot: Snapshot, rules: Rules): StateService => {
  const blocksMax = stateBlocksOf(rules.spec)
  const turn = Semaphore.makeUnsafe(1)
  let readers = 0
  let kept: PastState | undefined

  /** The walk to a block, the kept one if it is that. */
  const walkTo = ({ height, hash }: Header): PastState => {
    if (kept !== undefined && toHex(kept.block.hash) === toHex(hash)) return kept
    const tip = snapshot.tip().header
    kept = new PastState({ height, hash }, { height: tip.height, hash: tip.hash }, blocksMax)
    return kept
  }

  /** One slice, or the page if none is needed; all of it from one commit. */
  const read = (wish: Wish): StatePage | StateAbsence | "more" => {
    const header = headerAt(snapshot, wish.height)
    if (wish.of !== undefined && header?.id !== wish.of) return "state-moved"
    if (header === undefined) return "block-not-found"
    const walk = walkTo(header)
    const step = walk.step(snapshot)
    if (step === "whole") {
      const { rows, next } = walk.scan(snapshot, wish.after, wish.limit)
      return { header, rows, next: next === undefined ? undefined : `${header.id}-${next}` }
    }
    if (step !== "more") kept = undefined
    return step === "too-far" ? "state-too-old" : "more"
  }

  const pageOf = (wish: Wish) =>
    Effect.gen(function* () {
      for (;;) {
        const outcome = snapshot.read(() => read(wish))
        if (outcome !== "more") return outcome
        yield* Effect.yieldNow
      }
    })

  const stateAt: StateService["stateAt"] = (height, cursor, limit) =>
    Effect.suspend(() => {
      const place = cursor === undefined ? undefined : cursorForm.exec(cursor)
      if (place === null) return Effect.succeed("cursor-invalid" as const)
      if (readers >= stateReadersMax) return Effect.fail(new Busy({ actor: "state", retryAfterMs }))
      readers++
      return Effect.ensuring(
        turn.withPermits(1)(pageOf({ height, of: place?.[1], after: place?.[2], limit })),
        Effect.sync(() => void readers--)
      )
    })

  const bounds: StateService["bounds"] = () => [
    { actor: "state", of: "changes", used: kept?.size ?? 0, max: stateChangesMax },
    { actor: "state", of: "readers", used: readers, max: stateReadersMax }
  ]
  return { stateAt, bounds }
}
