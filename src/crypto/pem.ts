/** Private keys as PEM, as openssl and most servers keep them: written as PKCS #8, read also in the older forms of RSA and P-256. */
import { createPrivateKey, type KeyObject } from "node:crypto"
import { ed25519Bytes, ed25519Pkcs8 } from "./ed25519.ts"
import { p256Key } from "./p256.ts"

/** Characters of a PEM that is read: more than twice the longest key of RSA. */
export const pemTextMax = 16 * 1024

/** A private key as its scheme writes it: the seed of Ed25519, the DER of p256.ts and rsa.ts. */
export interface PemKey {
  readonly type: "Ed25519" | "ECDSA" | "RSA"
  readonly secret: Uint8Array
}

const secretOf = (key: KeyObject): PemKey | undefined => {
  if (key.asymmetricKeyType === "ed25519") {
    const der = key.export({ format: "der", type: "pkcs8" })
    return { type: "Ed25519", secret: new Uint8Array(der.subarray(-ed25519Bytes)) }
  }
  if (key.asymmetricKeyType === "rsa")
    return { type: "RSA", secret: new Uint8Array(key.export({ format: "der", type: "pkcs1" })) }
  if (key.asymmetricKeyDetails?.namedCurve !== "prime256v1") return undefined
  const p256 = p256Key(Uint8Array.fromBase64(key.export({ format: "jwk" }).d ?? "", { alphabet: "base64url" }))
  return p256 && { type: "ECDSA", secret: p256.secret }
}

/** The key of a PEM. Undefined: there is none, it is of another type, or it is encrypted: nobody is here to ask for a password. */
export const readPem = (text: string): PemKey | undefined => {
  if (text.length > pemTextMax) return undefined
  try {
    return secretOf(createPrivateKey(text))
  } catch {
    return undefined
  }
}

const forms = { ECDSA: "sec1", RSA: "pkcs1" } as const

/** PKCS #8 as PEM. The secret must be one of its type. */
export const writePem = ({ type, secret }: PemKey): string => {
  const der = type === "Ed25519" ? ed25519Pkcs8(secret) : secret
  const form = type === "Ed25519" ? "pkcs8" : forms[type]
  return createPrivateKey({ key: Buffer.from(der), format: "der", type: form })
    .export({ format: "pem", type: "pkcs8" })
    .toString()
}
