/**
 * ChaCha20-Poly1305 (RFC 8439) behind one port: synchronous, into buffers that are given. Here are the port, its check, and the
 * engine of @noble/ciphers, which is oracle and last resort; chacha-engine.ts chooses.
 */
import { assert } from "../assert.ts"
import { concatAll, equal, fromHex, toHex, utf8 } from "../codec/bytes.ts"
import { sha256 } from "./hash.ts"

export const aeadKeyBytes = 32
export const aeadNonceBytes = 12
export const aeadTagBytes = 16
/** Bytes of one plaintext, and of what is authenticated beside it: a message of Noise has 65,519, beside it a hash. */
export const aeadBytesMax = 65_536
export const aeadBesideBytesMax = 1_024

/** One direction's key. A nonce of 12 bytes must never come twice under it. */
export interface AeadKey {
  /** Ciphertext and tag, 16 bytes more than `plain`, fill `out`; `plain` may be its beginning. */
  readonly seal: (nonce: Uint8Array, beside: Uint8Array, plain: Uint8Array, out: Uint8Array) => void
  /** The plaintext fills `out`, which may be the beginning of `sealed`. False: not what was sealed; then `out` means nothing. */
  readonly open: (nonce: Uint8Array, beside: Uint8Array, sealed: Uint8Array, out: Uint8Array) => boolean
}

export type AeadName = "sodium-native" | "wasm" | "noble"

export interface AeadEngine {
  readonly name: AeadName
  /** `key`: 32 bytes, copied. */
  readonly key: (key: Uint8Array) => AeadKey
}

/** Native code trusts its caller; so a wrong length ends here, as a bug of ours. */
export const assertAead = (nonce: Uint8Array, beside: Uint8Array, plainLength: number, sealedLength: number): void => {
  assert(nonce.length === aeadNonceBytes, "a nonce is 12 bytes")
  assert(beside.length <= aeadBesideBytesMax, "at most so much is authenticated beside")
  assert(plainLength >= 0 && plainLength <= aeadBytesMax, "at most so much is sealed at once")
  assert(sealedLength === plainLength + aeadTagBytes, "a tag is 16 bytes")
}

export const nobleAead: AeadEngine = {
  name: "noble",
  key: (given) => {
    assert(given.length === aeadKeyBytes, "a key is 32 bytes")
    // Loaded when it is needed, which is seldom: a tenth of what it takes to load the library.
    const { chacha20poly1305 }: typeof import("@noble/ciphers/chacha.js") = require("@noble/ciphers/chacha.js")
    const key = given.slice()
    return {
      seal: (nonce, beside, plain, out) => {
        assertAead(nonce, beside, plain.length, out.length)
        out.set(chacha20poly1305(key, nonce, beside).encrypt(plain))
      },
      open: (nonce, beside, sealed, out) => {
        assertAead(nonce, beside, out.length, sealed.length)
        try {
          out.set(chacha20poly1305(key, nonce, beside).decrypt(sealed))
          return true
        } catch {
          return false
        }
      }
    }
  }
}

/** RFC 8439, section 2.8.2. */
const example = {
  key: fromHex("808182838485868788898a8b8c8d8e8f909192939495969798999a9b9c9d9e9f")!,
  nonce: fromHex("070000004041424344454647")!,
  beside: fromHex("50515253c0c1c2c3c4c5c6c7")!,
  plain: utf8(
    "Ladies and Gentlemen of the class of '99: If I could offer you only one tip for the future, sunscreen would be it."
  ),
  tag: fromHex("1ae10b594f09e26a7e902ecbd0600691")!
}

/** Lengths at which an implementation changes its way: none, a block, several at once, many. The longest is for the tests. */
const checkLengths = [0, 1, 15, 16, 17, 63, 64, 65, 191, 192, 193, 255, 256, 257, 447, 448, 449, 1_024, 4_097]
/** SHA-256 of the tags that noble makes at those lengths: to ask noble itself at each start would take longer than all else. */
const checkDigest = "32800a511e0c003f11b6938f5bcff904e913681e12b6593659ccca09ccfa5e34"

/** The tag at one length. Undefined: what was sealed does not open, what was not sealed does, or in place it is another. */
const tagAtLength = (key: AeadKey, length: number): Uint8Array | undefined => {
  const { nonce, beside } = example
  const plain = Uint8Array.from({ length }, (_, i) => (i * 7 + length) & 0xff)
  const sealed = new Uint8Array(length + aeadTagBytes)
  key.seal(nonce, beside, plain, sealed)
  const opened = new Uint8Array(length)
  if (!key.open(nonce, beside, sealed, opened) || !equal(opened, plain)) return undefined
  const place = new Uint8Array(length + aeadTagBytes)
  place.set(plain)
  key.seal(nonce, beside, place.subarray(0, length), place)
  if (!key.open(nonce, beside, place, place.subarray(0, length))) return undefined
  if (!equal(place.subarray(0, length), plain)) return undefined
  const forged = sealed.slice()
  forged[length] = forged[length]! ^ 1
  return key.open(nonce, beside, forged, opened) ? undefined : sealed.slice(length)
}

/** Does an engine do what the standard says and noble does? Asked before it is used. */
export const checkAead = (engine: AeadEngine): boolean => {
  const key = engine.key(example.key)
  const sealed = new Uint8Array(example.plain.length + aeadTagBytes)
  key.seal(example.nonce, example.beside, example.plain, sealed)
  if (!equal(sealed.subarray(-aeadTagBytes), example.tag)) return false
  const tags = checkLengths.map((length) => tagAtLength(key, length))
  return tags.every((tag) => tag !== undefined) && toHex(sha256(concatAll(tags))) === checkDigest
}
