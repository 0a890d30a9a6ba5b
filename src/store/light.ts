/** What light clients are answered, read from one commit: packed headers, proofs, filter headers, filters. */
import { packPage } from "../block/packed.ts"
import { encodeProof, isOfState, type Proof, proveTransaction } from "../block/proof.ts"
import { concatAll } from "../codec/bytes.ts"
import type { Address } from "../crypto/address.ts"
import { keyOf } from "../ledger/account.ts"
import { coinKey, decodeOutpoint } from "../ledger/coin.ts"
import {
  filterAnswerBytesMax,
  filterHeadersPerMessageMax,
  filtersPerMessageMax,
  headersPerMessageMax
} from "../limits.ts"
import type { LightAnswer, LightAsk } from "../peer/message.ts"
import type { Snapshot } from "./snapshot.ts"

const nothing = new Uint8Array(0)

type Ask<T extends LightAsk["tag"]> = Extract<LightAsk, { tag: T }>

/** The answer to an ask, whatever it is. */
export const answerLight = (snapshot: Snapshot, ask: LightAsk): LightAnswer =>
  snapshot.read(() => {
    const { request } = ask
    switch (ask.tag) {
      case "GPH":
        return { tag: "PHD", request, ...pageAfter(snapshot, ask) }
      case "GPF": {
        const proof = proofOf(snapshot, ask.of)
        return { tag: "PRF", request, proof: proof === undefined ? nothing : encodeProof(proof) }
      }
      case "GFH":
        return { tag: "FHD", request, headers: filterHeaders(snapshot, ask) }
      case "GFL":
        return { tag: "FLT", request, filters: filtersTo(snapshot, ask) }
    }
  })

/** Best-branch headers after the first hash of the locator that is on the best branch; after genesis, if none is. */
const pageAfter = (
  snapshot: Snapshot,
  { locator, limit }: Ask<"GPH">
): { readonly after: Uint8Array; readonly page: Uint8Array } => {
  const known = locator.find((hash) => snapshot.heightOf(hash) !== undefined)
  const height = known === undefined ? 0 : snapshot.heightOf(known)!
  const [parent, ...rows] = snapshot.headersFrom(height, 1 + Math.min(limit, headersPerMessageMax))
  const after = known ?? snapshot.hashAt(0)!
  return {
    after,
    page: packPage(
      parent!.bytes,
      rows.map(({ bytes }) => bytes)
    )
  }
}

/**
 * The proof about a transaction id of 32 bytes, an address of 20 or an outpoint of 36, as the tip has it; undefined: no block
 * has the transaction, or the chain's ledger has no such entries.
 */
const proofOf = (snapshot: Snapshot, subject: Uint8Array): Proof | undefined => {
  if (subject.length !== 32) return isOfState(subject, snapshot.model) ? proofOfEntry(snapshot, subject) : undefined
  const place = snapshot.place(subject)
  const row = place === undefined ? undefined : snapshot.rowAt(place.height)
  return place === undefined || row === undefined ? undefined : proveTransaction(snapshot.block(row), place.position)
}

const proofOfEntry = (snapshot: Snapshot, subject: Uint8Array): Proof => {
  const { header } = snapshot.tip()
  if (snapshot.model === "account") {
    const address = subject as Address
    return { kind: "account", header, address, state: snapshot.prove(keyOf(address)) }
  }
  const outpoint = decodeOutpoint(subject)
  return { kind: "coin", header, outpoint, state: snapshot.prove(coinKey(outpoint)) }
}

const filterHeaders = (snapshot: Snapshot, { start, every, stop }: Ask<"GFH">): Uint8Array => {
  const end = snapshot.heightOf(stop)
  if (end === undefined || start > end || every < 1) return nothing
  const found: Array<Uint8Array> = []
  for (let height = start; found.length < filterHeadersPerMessageMax; height = Math.min(end, height + every)) {
    const header = snapshot.filterHeader(height)
    if (header === undefined) return nothing
    found.push(header)
    if (height === end) break
  }
  return concatAll(found)
}

const filtersTo = (snapshot: Snapshot, { start, stop }: Ask<"GFL">): ReadonlyArray<Uint8Array> => {
  const end = snapshot.heightOf(stop)
  if (end === undefined || start > end) return []
  const found: Array<Uint8Array> = []
  let bytes = 0
  for (const filter of snapshot.filters(start, Math.min(end, start + filtersPerMessageMax - 1))) {
    found.push(filter)
    bytes += filter.length
    if (bytes >= filterAnswerBytesMax) break
  }
  return found
}
