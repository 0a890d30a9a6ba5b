/** The rota at the tip of the last commit. Its headers are all here, those below a loaded snapshot's state too. */
import { assert } from "../assert.ts"
import { decodeHeader, type Header } from "../block/header.ts"
import type { Rules } from "../chain/rules.ts"
import { type LeaderView, leaderView } from "../consensus/leaders.ts"
import type { Address } from "../crypto/address.ts"
import { leaderBlocksMax } from "../limits.ts"
import type { Snapshot } from "./snapshot.ts"

/** Who leads and who is next, by the best branch's headers, as one of them may see it. Undefined: the chain has no authorities. */
export const readLeaders = (
  snapshot: Snapshot,
  { consensus, genesis }: Rules,
  { self, ...when }: Parameters<typeof leaderView>[2] & { readonly self: Address | undefined }
): (LeaderView & { readonly self: Address | undefined }) | undefined => {
  if (consensus.author === undefined) return undefined
  const { header: tip } = snapshot.tip()
  const from = Math.max(0, tip.height - leaderBlocksMax)
  const known = new Map<number, Header>()
  const keep = (height: number, limit: number): void => {
    for (const { bytes } of snapshot.headersFrom(height, limit)) {
      const header = decodeHeader(bytes)
      assert(header !== undefined, "what is stored as a header is one")
      known.set(header.height, header)
    }
  }
  keep(from, leaderBlocksMax + 1)
  const at = (height: number): Header => {
    if (height === 0) return genesis.header
    if (!known.has(height)) keep(height, 1)
    const found = known.get(height)
    assert(found !== undefined, "the best branch has a header at every height")
    return found
  }
  return { ...leaderView(consensus.author, { parent: tip, at }, when), self }
}
