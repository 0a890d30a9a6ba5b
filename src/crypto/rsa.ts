/**
 * RSASSA-PKCS1-v1_5 with SHA-256 (RFC 8017) by the platform: public keys as SubjectPublicKeyInfo, private ones as
 * RSAPrivateKey, both in the one form that DER gives them. The node's side only.
 */
import { createPrivateKey, createPublicKey, generateKeyPairSync, type KeyObject, sign, verify } from "node:crypto"
import { equal } from "../codec/bytes.ts"
import type { SigningKey } from "./signing-key.ts"

/** go-libp2p's bounds: below is weak, above is work for who verifies. */
export const rsaBitsMin = 2_048
export const rsaBitsMax = 8_192
/** Bytes of the DER of a key of 8192 bits, with the longest exponent that the platform takes; longer is not even read. */
export const rsaPublicBytesMax = 1_070
export const rsaPrivateBytesMax = 4_800

/** Why a key is none. */
export type RsaRefusal = "malformed" | "size"

const sizeFits = (key: KeyObject): boolean => {
  const bits = key.asymmetricKeyDetails?.modulusLength ?? 0
  return bits >= rsaBitsMin && bits <= rsaBitsMax
}

const readPublic = (spki: Uint8Array): KeyObject | RsaRefusal => {
  if (spki.length > rsaPublicBytesMax) return "size"
  try {
    const key = createPublicKey({ key: Buffer.from(spki), format: "der", type: "spki" })
    if (key.asymmetricKeyType !== "rsa" || !equal(key.export({ format: "der", type: "spki" }), spki)) return "malformed"
    return sizeFits(key) ? key : "size"
  } catch {
    return "malformed"
  }
}

/** Why these bytes are no public key; undefined: they are one. */
export const rsaPublicRefusal = (spki: Uint8Array): RsaRefusal | undefined => {
  const key = readPublic(spki)
  return typeof key === "string" ? key : undefined
}

/** Never throws: what is no key and no signature is false. */
export const rsaVerify = (spki: Uint8Array, message: Uint8Array, signature: Uint8Array): boolean => {
  const key = readPublic(spki)
  if (typeof key === "string") return false
  try {
    return verify("sha256", message, key, signature)
  } catch {
    return false
  }
}

/** The key of an RSAPrivateKey. `publicKey` and `secret` are DER. */
export const rsaKey = (pkcs1: Uint8Array): SigningKey | RsaRefusal => {
  if (pkcs1.length > rsaPrivateBytesMax) return "size"
  try {
    const key = createPrivateKey({ key: Buffer.from(pkcs1), format: "der", type: "pkcs1" })
    if (!equal(key.export({ format: "der", type: "pkcs1" }), pkcs1)) return "malformed"
    if (!sizeFits(key)) return "size"
    return {
      publicKey: new Uint8Array(createPublicKey(key).export({ format: "der", type: "spki" })),
      secret: pkcs1.slice(),
      sign: (message) => new Uint8Array(sign("sha256", message, key))
    }
  } catch {
    return "malformed"
  }
}

/** The DER of a new private key. Chance is the platform's own: it takes none from outside. 2048 bits take tens of ms, 8192 seconds. */
export const rsaGenerate = (bits: number): Uint8Array =>
  new Uint8Array(
    generateKeyPairSync("rsa", { modulusLength: bits }).privateKey.export({ format: "der", type: "pkcs1" })
  )
