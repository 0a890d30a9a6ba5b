/**
 * ECDSA over secp256k1 as libp2p signs with it: SHA-256 of the message, low S, the signature in DER (BIP 66). The curve is that of
 * the engine in use (signature.ts).
 */
import * as secp from "@noble/secp256k1"
import { sha256 } from "./hash.ts"
import { isSecret, publicKeyOf, sign, verify } from "./signature.ts"
import type { SigningKey } from "./signing-key.ts"

/** One INTEGER of at most 33 bytes: its sign bit is clear, and no byte of it could be left out. */
const integerOf = (word: Uint8Array): ReadonlyArray<number> => {
  const first = word.findIndex((byte) => byte !== 0)
  const bare = first < 0 ? [0] : [...word.subarray(first)]
  const value = bare[0]! > 0x7f ? [0, ...bare] : bare
  return [2, value.length, ...value]
}

/** r ‖ s in DER. */
export const signatureToDer = (signature: Uint8Array): Uint8Array => {
  const body = [...integerOf(signature.subarray(0, 32)), ...integerOf(signature.subarray(32))]
  return Uint8Array.of(0x30, body.length, ...body)
}

/** r ‖ s of a signature in DER. Undefined: it is not the one DER of two numbers of at most 32 bytes. */
export const signatureFromDer = (der: Uint8Array): Uint8Array | undefined => {
  if (der.length < 8 || der[0] !== 0x30 || der[1] !== der.length - 2) return undefined
  const out = new Uint8Array(64)
  let at = 2
  for (const half of [0, 32]) {
    const length = der[at + 1] ?? 0
    const value = der.subarray(at + 2, at + 2 + length)
    if (der[at] !== 2 || length === 0 || value.length !== length || value[0]! > 0x7f) return undefined
    const padded = value[0] === 0 && length > 1
    if (padded && value[1]! < 0x80) return undefined
    const bare = padded ? value.subarray(1) : value
    if (bare.length > 32) return undefined
    out.set(bare, half + 32 - bare.length)
    at += 2 + length
  }
  return at === der.length ? out : undefined
}

/** The key of a valid secret of 32 bytes; undefined: it is none. Its public key is the 33 bytes of the compressed point. */
export const secp256k1Key = (secret: Uint8Array): SigningKey | undefined => {
  if (!isSecret(secret)) return undefined
  const own = secret.slice()
  return { publicKey: publicKeyOf(own), secret: own, sign: (message) => signatureToDer(sign(sha256(message), own)) }
}

/** True for the 33 bytes of a compressed point that is on the curve. */
export const isSecp256k1Public = (bytes: Uint8Array): boolean => {
  if (bytes.length !== 33) return false
  try {
    secp.Point.fromBytes(bytes)
    return true
  } catch {
    return false
  }
}

/** Never throws: what is no key and no signature is false, and so is a high S, which js-libp2p refuses too. */
export const secp256k1Verify = (publicKey: Uint8Array, message: Uint8Array, signature: Uint8Array): boolean => {
  const compact = signatureFromDer(signature)
  return compact !== undefined && verify(sha256(message), compact, publicKey)
}
