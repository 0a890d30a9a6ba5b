/** Tries the nonces of one range. The same code runs in a worker thread, in the node for easy targets, and in tests. */
import { writeU64 } from "../codec/bytes.ts"
import { sha256Into } from "../crypto/hash.ts"
import { meetsTarget, sealDigest } from "../block/header.ts"

export interface Range {
  /** The 212 bytes of the header; its nonce does not matter. */
  readonly header: Uint8Array
  readonly target: Uint8Array
  readonly from: number
  readonly count: number
}

/** The first nonce of the range whose hash meets the target, and how many hashes it took. */
export const search = ({ header, target, from, count }: Range): { readonly nonce: number | undefined; readonly hashes: number } => {
  const input = new Uint8Array(40)
  const hash = new Uint8Array(32)
  input.set(sealDigest(header))
  const first = target[0]!
  for (let tried = 0; tried < count; tried++) {
    writeU64(input, 32, from + tried)
    sha256Into(input, hash)
    if (hash[0]! <= first && meetsTarget(hash, target)) return { nonce: from + tried, hashes: tried + 1 }
  }
  return { nonce: undefined, hashes: count }
}
