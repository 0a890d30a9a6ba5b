/** The seal of an authority: its signature of the header's hash. See docs/protocol.md, "Seal of an authority". */
import { assert } from "../assert.ts"
import { type Header, makeHeader } from "./header.ts"
import { equal } from "../codec/bytes.ts"
import { addressOf } from "../crypto/address.ts"
import { taggedHash } from "../crypto/hash.ts"
import type { Keypair } from "../crypto/keys.ts"
import { sign, verify } from "../crypto/signature.ts"

/** What an authority signs, of the hash of a header. A hash of its own, so that a seal can be nothing else. */
export const sealHash = taggedHash("cairn/seal", 32)

/** The header with a seal in its place. The hash stays: it does not cover the seal. */
export const withSeal = (header: Header, publicKey: Uint8Array, signature: Uint8Array): Header => {
  assert(header.authority !== undefined, "only headers of version 2 have a seal")
  return makeHeader({ ...header, authority: { ...header.authority, publicKey, signature } })
}

/** The header, sealed by this key. */
export const sealHeader = (header: Header, { publicKey, secret }: Pick<Keypair, "publicKey" | "secret">): Header =>
  withSeal(header, publicKey, sign(sealHash(header.hash), secret))

/** Did the proposer sign this header? */
export const isSealed = ({ hash, proposer, authority }: Header): boolean =>
  authority !== undefined &&
  equal(addressOf(authority.publicKey), proposer) &&
  verify(sealHash(hash), authority.signature, authority.publicKey)
