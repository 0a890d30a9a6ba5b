/**
 * Keys of the four types, and the one form in which each is written (libp2p specs, "peer-ids"): the protobuf Type=1, Data=2, both
 * always there, in this order and nothing else, because a peer id is the hash of these bytes.
 */
import { concatAll, equal } from "../codec/bytes.ts"
import { ed25519Bytes, ed25519Key, ed25519Verify } from "../crypto/ed25519.ts"
import { isP256Public, isP256Secret, p256Key, p256KeyFromDer, p256Verify } from "../crypto/p256.ts"
import {
  type RsaRefusal,
  rsaBitsMax,
  rsaBitsMin,
  rsaGenerate,
  rsaKey,
  rsaPrivateBytesMax,
  rsaPublicRefusal,
  rsaVerify
} from "../crypto/rsa.ts"
import { isSecp256k1Public, secp256k1Key, secp256k1Verify } from "../crypto/secp256k1.ts"
import { isSecret } from "../crypto/signature.ts"
import { freshSecret, type RandomBytes, type SigningKey, systemRandom } from "../crypto/signing-key.ts"
import type { KeyType, PrivateKey, PublicKey } from "./contract.ts"
import { cheapFault, type FaultName, Libp2pFault } from "./fault.ts"
import { encodeBase } from "./multibase.ts"
import { identityCode, type Multihash, multihashOf, sha256Multihash } from "./multihash.ts"
import { encodeVarint, readVarint } from "./varint.ts"

/** Bytes of a key's protobuf that stand in a peer id as they are; a longer one is hashed. */
export const inlineBytesMax = 42
/** Bytes of the longest key's protobuf, a private one of RSA with 8192 bits. A longer one is refused unread. */
const keyBytesMax = rsaPrivateBytesMax + 8

const types: ReadonlyArray<KeyType> = ["RSA", "Ed25519", "secp256k1", "ECDSA"]

const wrongPublic = (what: string): Libp2pFault => cheapFault("decode", "InvalidPublicKeyError", `public key: ${what}`)
const wrongPrivate = (what: string): Libp2pFault =>
  cheapFault("decode", "InvalidPrivateKeyError", `private key: ${what}`)

const rsaReason = (refusal: RsaRefusal): string =>
  refusal === "size" ? `RSA has ${rsaBitsMin} to ${rsaBitsMax} bits` : "it is not the DER of a key of RSA"

const protobufOf = (type: KeyType, data: Uint8Array): Uint8Array =>
  concatAll([Uint8Array.of(0x08, types.indexOf(type), 0x12), encodeVarint(data.length), data])

const readProtobuf = (
  bytes: Uint8Array,
  name: FaultName
): { readonly type: KeyType; readonly data: Uint8Array } | Libp2pFault => {
  const wrong = (what: string): Libp2pFault => cheapFault("decode", name, `key: ${what}`)
  if (bytes.length > keyBytesMax) return wrong(`${bytes.length} bytes, ${keyBytesMax} at most`)
  const number = bytes[0] === 0x08 ? readVarint(bytes, 1) : undefined
  if (number === undefined || number instanceof Libp2pFault) return wrong("it does not begin with its type")
  const type = types[number.value]
  if (type === undefined)
    return cheapFault("unsupported", "UnsupportedKeyTypeError", `key: its type is ${number.value}`)
  const length = bytes[number.end] === 0x12 ? readVarint(bytes, number.end + 1) : undefined
  if (length === undefined || length instanceof Libp2pFault) return wrong("its data do not follow its type")
  if (length.end + length.value !== bytes.length) return wrong("its data are not all that follows")
  return { type, data: bytes.subarray(length.end) }
}

/** How one type reads what stands in Data; `publicReason`: why it is no public key. */
interface Scheme {
  readonly publicReason: (data: Uint8Array) => string | undefined
  readonly verify: (data: Uint8Array, message: Uint8Array, signature: Uint8Array) => boolean
  readonly read: (data: Uint8Array) => SigningKey | string
  /** What stands in Data of the private key. */
  readonly write: (key: SigningKey) => Uint8Array
}

/** Seed and public key; the old form has the public key twice. */
const readEd25519 = (data: Uint8Array): SigningKey | string => {
  if (data.length !== 64 && data.length !== 96) return `Ed25519 has 64 bytes, not ${data.length}`
  const key = ed25519Key(data.subarray(0, ed25519Bytes))
  for (let at = ed25519Bytes; at < data.length; at += ed25519Bytes)
    if (!equal(data.subarray(at, at + ed25519Bytes), key.publicKey)) return "the public half is another key's"
  return key
}

const schemes: Readonly<Record<KeyType, Scheme>> = {
  Ed25519: {
    publicReason: (data) => (data.length === ed25519Bytes ? undefined : `Ed25519 has 32 bytes, not ${data.length}`),
    verify: ed25519Verify,
    read: readEd25519,
    write: ({ secret, publicKey }) => concatAll([secret, publicKey])
  },
  RSA: {
    publicReason: (data) => {
      const refusal = rsaPublicRefusal(data)
      return refusal && rsaReason(refusal)
    },
    verify: rsaVerify,
    read: (data) => {
      const key = rsaKey(data)
      return typeof key === "string" ? rsaReason(key) : key
    },
    write: ({ secret }) => secret
  },
  ECDSA: {
    publicReason: (data) => (isP256Public(data) ? undefined : "it is not the DER of a key of P-256"),
    verify: p256Verify,
    read: (data) => p256KeyFromDer(data) ?? "it is not the DER of a key of P-256 with its public half",
    write: ({ secret }) => secret
  },
  secp256k1: {
    publicReason: (data) => (isSecp256k1Public(data) ? undefined : "it is no compressed point of secp256k1"),
    verify: secp256k1Verify,
    read: (data) => secp256k1Key(data) ?? "it is no secret of secp256k1",
    write: ({ secret }) => secret
  }
}

class KnownPublicKey implements PublicKey {
  readonly type: KeyType
  readonly raw: Uint8Array
  readonly protobuf: Uint8Array

  constructor(type: KeyType, raw: Uint8Array) {
    this.type = type
    this.raw = raw
    this.protobuf = protobufOf(type, raw)
  }

  verify(data: Uint8Array, signature: Uint8Array): boolean {
    return schemes[this.type].verify(this.raw, data, signature)
  }

  equals(other: unknown): boolean {
    return isKey(other) && other.type === this.type && equal(other.raw, this.raw)
  }

  /** What the peer id of this key is made of. */
  toMultihash(): Multihash {
    return multihashOfKey(this)
  }

  toString(): string {
    return encodeBase("base58btc", this.toMultihash().bytes)
  }
}

/** The secret stands in no property: a key that is logged, or made JSON, shows its public half alone. */
class KnownPrivateKey implements PrivateKey {
  readonly type: KeyType
  readonly publicKey: PublicKey
  readonly #key: SigningKey

  constructor(type: KeyType, key: SigningKey) {
    this.type = type
    this.publicKey = new KnownPublicKey(type, key.publicKey)
    this.#key = key
  }

  get raw(): Uint8Array {
    return schemes[this.type].write(this.#key)
  }

  sign(data: Uint8Array): Uint8Array {
    return this.#key.sign(data)
  }

  equals(other: unknown): boolean {
    return other instanceof KnownPrivateKey && this.publicKey.equals(other.publicKey)
  }

  toString(): string {
    return `the private key of ${this.publicKey.toString()}`
  }
}

const isKey = (value: unknown): value is { readonly type: unknown; readonly raw: Uint8Array } =>
  typeof value === "object" && value !== null && "type" in value && "raw" in value && value.raw instanceof Uint8Array

/** The multihash that names a key: its protobuf as it is, or SHA-256 of that. */
export const multihashOfKey = ({ protobuf }: PublicKey): Multihash =>
  protobuf.length <= inlineBytesMax ? multihashOf(identityCode, protobuf) : sha256Multihash(protobuf)

/** A public key of what stands in Data. A fault (decode): it is none. */
export const publicKeyFromRaw = (type: KeyType, raw: Uint8Array): PublicKey | Libp2pFault => {
  const reason = schemes[type].publicReason(raw)
  return reason === undefined ? new KnownPublicKey(type, raw.slice()) : wrongPublic(reason)
}

/** A public key. A fault: decode, or unsupported for a type that is none of the four. */
export const publicKeyFromProtobuf = (bytes: Uint8Array): PublicKey | Libp2pFault => {
  const read = readProtobuf(bytes, "InvalidPublicKeyError")
  return read instanceof Libp2pFault ? read : publicKeyFromRaw(read.type, read.data)
}

/** A private key of what stands in Data. A fault (decode): it is none, or its public half is not its own. */
export const privateKeyFromRaw = (type: KeyType, raw: Uint8Array): PrivateKey | Libp2pFault => {
  const key = schemes[type].read(raw)
  return typeof key === "string" ? wrongPrivate(key) : new KnownPrivateKey(type, key)
}

/** A private key as it is saved. A fault: decode, or unsupported for a type that is none of the four. */
export const privateKeyFromProtobuf = (bytes: Uint8Array): PrivateKey | Libp2pFault => {
  const read = readProtobuf(bytes, "InvalidPrivateKeyError")
  return read instanceof Libp2pFault ? read : privateKeyFromRaw(read.type, read.data)
}

/** The bytes that go-, js- and rust-libp2p save a key as. */
export const privateKeyToProtobuf = (key: PrivateKey): Uint8Array => protobufOf(key.type, key.raw)

/** The key of Ed25519 that a seed of 32 bytes makes. A fault (input): another length. */
export const keyFromSeed = (seed: Uint8Array): PrivateKey | Libp2pFault =>
  seed.length === ed25519Bytes
    ? new KnownPrivateKey("Ed25519", ed25519Key(seed))
    : new Libp2pFault("input", "InvalidParametersError", `a seed has 32 bytes, not ${seed.length}`)

export interface GenerateOptions {
  /** Chance for all types but RSA, which takes the platform's own. */
  readonly random?: RandomBytes
  /** Of RSA: 2048 unless told otherwise, at most 8192. */
  readonly bits?: number
}

const freshKey = (type: KeyType, random: RandomBytes, bits: number): SigningKey | string => {
  if (type === "Ed25519") return ed25519Key(random(ed25519Bytes))
  if (type === "secp256k1") return secp256k1Key(freshSecret(random, isSecret))!
  if (type === "ECDSA") return p256Key(freshSecret(random, isP256Secret))!
  return Number.isInteger(bits) && bits >= rsaBitsMin && bits <= rsaBitsMax
    ? schemes.RSA.read(rsaGenerate(bits))
    : rsaReason("size")
}

/** A new key. A fault (input): bits that RSA may not have. */
export const generateKey = (type: KeyType, options: GenerateOptions = {}): PrivateKey | Libp2pFault => {
  const key = freshKey(type, options.random ?? systemRandom, options.bits ?? rsaBitsMin)
  return typeof key === "string"
    ? new Libp2pFault("input", "InvalidParametersError", key)
    : new KnownPrivateKey(type, key)
}
