/**
 * ECDSA over secp256k1: RFC 6979 nonces, low-S only, 64-byte r ‖ s, 33-byte compressed keys.
 *
 * A port with several engines (see native.ts). Engines that disagree on one input would split the chain, so all of them
 * pass the same vectors and the same differential fuzzing; @noble is the oracle, the fallback and the page's engine.
 */
import { hmac } from "@noble/hashes/hmac.js"
import { sha256 as nobleSha256 } from "@noble/hashes/sha2.js"
import * as secp from "@noble/secp256k1"
import { assert } from "../assert.ts"
import { sha256 } from "./hash.ts"

export interface SignatureEngine {
  readonly name: "libsecp256k1" | "secp256k1-node" | "noble"
  /** The signature of a 32-byte hash. Another length or an invalid secret is a bug of the caller. */
  readonly sign: (hash: Uint8Array, secret: Uint8Array) => Uint8Array
  /** True if the signature holds. Wrong lengths, a high S, a key off the curve: false. Never throws. */
  readonly verify: (hash: Uint8Array, signature: Uint8Array, publicKey: Uint8Array) => boolean
  /** The compressed public key of a secret. An invalid one is a bug of the caller. */
  readonly publicKey: (secret: Uint8Array) => Uint8Array
}

secp.hashes.sha256 = (bytes) => sha256(bytes) as Uint8Array<ArrayBuffer>
secp.hashes.hmacSha256 = (key, message) => hmac(nobleSha256, key, message)

/** True if the lengths and the key's first byte are the only ones taken; every engine is asked only then. */
export const wellFormed = (hash: Uint8Array, signature: Uint8Array, publicKey: Uint8Array): boolean =>
  hash.length === 32 && signature.length === 64 && publicKey.length === 33 && (publicKey[0] === 2 || publicKey[0] === 3)

/** True for 32 bytes that are a secret key: 1 to n - 1. */
export const isSecret = (bytes: Uint8Array): boolean => bytes.length === 32 && secp.utils.isValidSecretKey(bytes)

/**
 * Every engine asks this of its caller first. C does not: it reads past a short array, signs with zeros, and libsecp256k1
 * aborts the process over the public key of an invalid secret, which no supervisor can catch.
 */
export const assertSecret = (secret: Uint8Array): void =>
  assert(isSecret(secret), "a secret is 32 bytes, from 1 to the order of the curve less 1")

/** The same for a signature. */
export const assertSignable = (hash: Uint8Array, secret: Uint8Array): void => {
  assert(hash.length === 32, "what is signed is a hash of 32 bytes")
  assertSecret(secret)
}

export const nobleEngine: SignatureEngine = {
  name: "noble",
  sign: (hash, secret) => {
    assertSignable(hash, secret)
    return secp.sign(hash, secret, { prehash: false, lowS: true })
  },
  verify: (hash, signature, publicKey) => {
    if (!wellFormed(hash, signature, publicKey)) return false
    try {
      return secp.verify(signature, hash, publicKey, { prehash: false, lowS: true })
    } catch {
      return false
    }
  },
  publicKey: (secret) => {
    assertSecret(secret)
    return secp.getPublicKey(secret, true)
  }
}

let current: SignatureEngine = nobleEngine

/** The engine in use. */
export const engine = (): SignatureEngine => current

/** Chooses the engine of this process or thread. */
export const useEngine = (chosen: SignatureEngine): void => {
  current = chosen
}

export const verify = (hash: Uint8Array, signature: Uint8Array, publicKey: Uint8Array): boolean =>
  current.verify(hash, signature, publicKey)

export const sign = (hash: Uint8Array, secret: Uint8Array): Uint8Array => current.sign(hash, secret)

export const publicKeyOf = (secret: Uint8Array): Uint8Array => current.publicKey(secret)
