/** Tries the nonces of one range. The same code runs in a worker thread, in the node for easy targets, and in tests. */
import { assert } from "../assert.ts"
import { writeU64 } from "../codec/bytes.ts"
import { sha256Into } from "../crypto/hash.ts"
import { headerLengthAt, meetsTarget, sealDigest } from "../block/header.ts"

export interface Range {
  /** The bytes of the header; its nonce does not matter. */
  readonly header: Uint8Array
  readonly target: Uint8Array
  readonly from: number
  readonly count: number
}

export interface Found {
  readonly nonce: number | undefined
  readonly hashes: number
}

/** The first nonce of the range whose hash meets the target, and how many hashes it took. */
export const search = ({ header, target, from, count }: Range): Found => {
  assert(header.length === headerLengthAt(header) && target.length === 32, "a header is whole, a target has 32 bytes")
  assert(Number.isSafeInteger(from + count), "a nonce is a safe integer")
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
