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

/** A key of one's own, read once: its public half and what it shares with others. */
export interface X25519KeyPair {
  readonly publicKey: Uint8Array
  /** What both sides come to. Undefined: the other's key is none, or one of those that make every secret come to nothing. */
  readonly shared: (publicKey: Uint8Array) => Uint8Array | undefined
}

/**
 * The key of a secret; any 32 bytes are one. Keep it where it is used more than once: to read the secret takes half the
 * time of an agreement.
 */
export const x25519KeyPair = (secret: Uint8Array): X25519KeyPair => {
  assert(secret.length === x25519Bytes, "a secret of X25519 is 32 bytes")
  const privateKey = createPrivateKey({ key: Buffer.from(concat(privateHead, secret)), format: "der", type: "pkcs8" })
  const spki = createPublicKey(privateKey).export({ format: "der", type: "spki" })
  return {
    publicKey: new Uint8Array(spki.subarray(-x25519Bytes)),
    shared: (publicKey) => {
      if (publicKey.length !== x25519Bytes) return undefined
      try {
        const other = createPublicKey({ key: Buffer.from(concat(publicHead, publicKey)), format: "der", type: "spki" })
        const shared = new Uint8Array(diffieHellman({ privateKey, publicKey: other }))
        return shared.some((byte) => byte !== 0) ? shared : undefined
      } catch {
        return undefined
      }
    }
  }
}

/** The public key of a secret. */
export const x25519PublicOf = (secret: Uint8Array): Uint8Array => x25519KeyPair(secret).publicKey

/** What two come to, for a secret that is used once. */
export const x25519Shared = (secret: Uint8Array, publicKey: Uint8Array): Uint8Array | undefined =>
  x25519KeyPair(secret).shared(publicKey)

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
