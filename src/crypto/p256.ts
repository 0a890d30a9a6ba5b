/**
 * ECDSA over P-256 with SHA-256 (FIPS 186-5) by the platform: DER signatures, public keys as SubjectPublicKeyInfo (RFC 5480),
 * private ones as ECPrivateKey (RFC 5915). Each of them in one form only. The node's side only.
 *
 * The platform takes the nonce by chance: two signatures of one message differ, and a replay has others than the run.
 */
import { createECDH, createPrivateKey, createPublicKey, sign, verify } from "node:crypto"
import { concat, equal } from "../codec/bytes.ts"
import type { SigningKey } from "./signing-key.ts"

/** What stands before the uncompressed point; before the scalar, and between it and the point. */
const publicHead = Uint8Array.fromHex("3059301306072a8648ce3d020106082a8648ce3d030107034200")
const privateHead = Uint8Array.fromHex("30770201010420")
const privateMiddle = Uint8Array.fromHex("a00a06082a8648ce3d030107a144034200")
const pointBytes = 65
export const p256PublicBytes = publicHead.length + pointBytes
export const p256PrivateBytes = privateHead.length + 32 + privateMiddle.length + pointBytes

const pointOf = (secret: Uint8Array): Uint8Array | undefined => {
  try {
    const curve = createECDH("prime256v1")
    curve.setPrivateKey(secret)
    return new Uint8Array(curve.getPublicKey())
  } catch {
    return undefined
  }
}

/** True for 32 bytes that are a secret: 1 to the order of the curve less 1. */
export const isP256Secret = (bytes: Uint8Array): boolean => bytes.length === 32 && pointOf(bytes) !== undefined

/** The key of a secret; undefined: it is none. `publicKey` and `secret` are DER. */
export const p256Key = (secret: Uint8Array): SigningKey | undefined => {
  const point = secret.length === 32 ? pointOf(secret) : undefined
  if (point === undefined) return undefined
  const sec1 = concat(privateHead, secret, privateMiddle, point)
  const key = createPrivateKey({ key: Buffer.from(sec1), format: "der", type: "sec1" })
  return {
    publicKey: concat(publicHead, point),
    secret: sec1,
    sign: (message) => new Uint8Array(sign("sha256", message, key))
  }
}

/** The key of an ECPrivateKey with its curve and its point. Undefined: it has not this form, or the point is not its own. */
export const p256KeyFromDer = (sec1: Uint8Array): SigningKey | undefined => {
  const key = p256Key(sec1.slice(privateHead.length, privateHead.length + 32))
  return key !== undefined && equal(key.secret, sec1) ? key : undefined
}

const publicKeyOf = (spki: Uint8Array) => createPublicKey({ key: Buffer.from(spki), format: "der", type: "spki" })

const hasForm = (spki: Uint8Array): boolean =>
  spki.length === p256PublicBytes &&
  equal(spki.subarray(0, publicHead.length), publicHead) &&
  spki[publicHead.length] === 4

/** True if it has the form above, and its point is on the curve. */
export const isP256Public = (spki: Uint8Array): boolean => {
  if (!hasForm(spki)) return false
  try {
    publicKeyOf(spki)
    return true
  } catch {
    return false
  }
}

/** Never throws: what is no key and no signature is false. */
export const p256Verify = (spki: Uint8Array, message: Uint8Array, signature: Uint8Array): boolean => {
  if (!hasForm(spki)) return false
  try {
    return verify("sha256", message, publicKeyOf(spki), signature)
  } catch {
    return false
  }
}
