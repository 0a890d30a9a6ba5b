/**
 * A key that two nodes share without having sent it: X25519 (RFC 7748), HKDF with SHA-256 (RFC 5869), and a seal under it:
 * AES-256-GCM (NIST SP 800-38D), which the platform has natively. The node's side only.
 */
import {
  createCipheriv,
  createDecipheriv,
  createPrivateKey,
  createPublicKey,
  diffieHellman,
  hkdfSync
} from "node:crypto"
import { assert } from "../assert.ts"
import { concat } from "../codec/bytes.ts"

export const x25519Bytes = 32
export const sealNonceBytes = 12
export const sealTagBytes = 16

/** What stands before the 32 bytes in PKCS #8 and in SubjectPublicKeyInfo (RFC 8410). */
const privateHead = Uint8Array.fromHex("302e020100300506032b656e04220420")
const publicHead = Uint8Array.fromHex("302a300506032b656e032100")

const privateOf = (secret: Uint8Array) => {
  assert(secret.length === x25519Bytes, "a secret of X25519 is 32 bytes")
  return createPrivateKey({ key: Buffer.from(concat(privateHead, secret)), format: "der", type: "pkcs8" })
}

/** The public key of a secret: any 32 bytes are one. */
export const x25519PublicOf = (secret: Uint8Array): Uint8Array =>
  new Uint8Array(createPublicKey(privateOf(secret)).export({ format: "der", type: "spki" }).subarray(-x25519Bytes))

/** What both sides come to. Undefined: the other's key is none, or one of those that make every secret come to nothing. */
export const x25519Shared = (secret: Uint8Array, publicKey: Uint8Array): Uint8Array | undefined => {
  if (publicKey.length !== x25519Bytes) return undefined
  try {
    const other = createPublicKey({ key: Buffer.from(concat(publicHead, publicKey)), format: "der", type: "spki" })
    const shared = new Uint8Array(diffieHellman({ privateKey: privateOf(secret), publicKey: other }))
    return shared.some((byte) => byte !== 0) ? shared : undefined
  } catch {
    return undefined
  }
}

/** HKDF with SHA-256. */
export const hkdf = (ikm: Uint8Array, salt: Uint8Array, info: Uint8Array, length: number): Uint8Array =>
  new Uint8Array(hkdfSync("sha256", ikm, salt, info, length))

/** Ciphertext and tag. `open` is authenticated and not hidden. A nonce must never come twice under one key. */
export const sealBytes = (key: Uint8Array, nonce: Uint8Array, open: Uint8Array, bytes: Uint8Array): Uint8Array => {
  const cipher = createCipheriv("aes-256-gcm", key, nonce, { authTagLength: sealTagBytes })
  cipher.setAAD(open)
  return concat(cipher.update(bytes), cipher.final(), cipher.getAuthTag())
}

/** What was sealed, or undefined if a byte of it is another. Never throws. */
export const openBytes = (
  key: Uint8Array,
  nonce: Uint8Array,
  open: Uint8Array,
  sealed: Uint8Array
): Uint8Array | undefined => {
  if (sealed.length < sealTagBytes) return undefined
  try {
    const decipher = createDecipheriv("aes-256-gcm", key, nonce, { authTagLength: sealTagBytes })
    decipher.setAAD(open)
    decipher.setAuthTag(sealed.subarray(-sealTagBytes))
    return concat(decipher.update(sealed.subarray(0, -sealTagBytes)), decipher.final())
  } catch {
    return undefined
  }
}
