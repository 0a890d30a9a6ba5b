/** Ed25519 (RFC 8032) by the platform: 32-byte seeds, 32-byte public keys, 64-byte signatures. The node's side only. */
import { createPrivateKey, createPublicKey, sign, verify } from "node:crypto"
import { assert } from "../assert.ts"
import { concat } from "../codec/bytes.ts"
import type { SigningKey } from "./signing-key.ts"

export const ed25519Bytes = 32

/** What stands before the 32 bytes in PKCS #8 and in SubjectPublicKeyInfo (RFC 8410). */
const privateHead = Uint8Array.fromHex("302e020100300506032b657004220420")
const publicHead = Uint8Array.fromHex("302a300506032b6570032100")

/** The PKCS #8 of a seed. */
export const ed25519Pkcs8 = (seed: Uint8Array): Uint8Array => concat(privateHead, seed)

/** The key of a seed; any 32 bytes are one. `secret` is the seed. */
export const ed25519Key = (seed: Uint8Array): SigningKey => {
  assert(seed.length === ed25519Bytes, "a seed of Ed25519 is 32 bytes")
  const key = createPrivateKey({ key: Buffer.from(ed25519Pkcs8(seed)), format: "der", type: "pkcs8" })
  const spki = createPublicKey(key).export({ format: "der", type: "spki" })
  return {
    publicKey: new Uint8Array(spki.subarray(-ed25519Bytes)),
    secret: seed.slice(),
    sign: (message) => new Uint8Array(sign(null, message, key))
  }
}

/** Never throws: what is no key and no signature is false. To read the key costs 2 of its 58 microseconds: it is not kept. */
export const ed25519Verify = (publicKey: Uint8Array, message: Uint8Array, signature: Uint8Array): boolean => {
  if (publicKey.length !== ed25519Bytes || signature.length !== 64) return false
  try {
    const key = createPublicKey({ key: Buffer.from(concat(publicHead, publicKey)), format: "der", type: "spki" })
    return verify(null, message, key, signature)
  } catch {
    return false
  }
}
