/** Peer ids (libp2p specs, "peer-ids"): the multihash of a public key, its two texts, and the key itself where it is short. */
import { equal } from "../codec/bytes.ts"
import { type Cid, cidFromText, cidText, libp2pKeyCodec } from "./cid.ts"
import type { KeyType, PeerId, PublicKey } from "./contract.ts"
import { cheapFault, Libp2pFault } from "./fault.ts"
import { inlineBytesMax, multihashOfKey, publicKeyFromProtobuf } from "./key.ts"
import { type Base, decodeBase, encodeBase } from "./multibase.ts"
import { decodeMultihash, identityCode, type Multihash, sha256Code } from "./multihash.ts"

/** Characters of the longest text of a peer id: a CID in base16 with a key of 42 bytes. */
const textMax = 1 + 2 * (2 + 2 + inlineBytesMax)

class KnownPeerId implements PeerId {
  readonly type: KeyType
  readonly bytes: Uint8Array
  readonly publicKey: PublicKey | undefined
  readonly #multihash: Multihash
  #text: string | undefined

  constructor(multihash: Multihash, publicKey: PublicKey | undefined) {
    // A hash does not say what it is of; js-libp2p calls all of them RSA until the key is met.
    this.type = publicKey?.type ?? "RSA"
    this.bytes = multihash.bytes
    this.publicKey = publicKey
    this.#multihash = multihash
  }

  /** Equal ids name one peer; also its bytes and its base58btc text are equal to it, as in js-libp2p. */
  equals(other: unknown): boolean {
    if (typeof other === "string") return other === this.toString()
    if (other instanceof Uint8Array) return equal(other, this.bytes)
    return typeof other === "object" && other !== null && "bytes" in other && other.bytes instanceof Uint8Array
      ? equal(other.bytes, this.bytes)
      : false
  }

  toMultihash(): Multihash {
    return this.#multihash
  }

  toJSON(): string {
    return this.toString()
  }

  toString(): string {
    this.#text ??= encodeBase("base58btc", this.bytes)
    return this.#text
  }
}

/** The id of a key. */
export const peerIdOfKey = (publicKey: PublicKey): PeerId => new KnownPeerId(multihashOfKey(publicKey), publicKey)

const peerIdOf = (multihash: Multihash): PeerId | Libp2pFault => {
  const wrong = (what: string): Libp2pFault => cheapFault("decode", "InvalidMultihashError", `peer id: ${what}`)
  if (multihash.code === sha256Code) return new KnownPeerId(multihash, undefined)
  if (multihash.code !== identityCode) return wrong("it is neither a key nor its sha2-256")
  if (multihash.size > inlineBytesMax) return wrong(`a key of more than ${inlineBytesMax} bytes must be hashed`)
  const key = publicKeyFromProtobuf(multihash.digest)
  return key instanceof Libp2pFault ? wrong(key.message) : new KnownPeerId(multihash, key)
}

/** The id that a multihash is: of a key of at most 42 bytes, or its sha2-256. A fault: decode. */
export const peerIdFromBytes = (multihash: Uint8Array): PeerId | Libp2pFault => {
  const read = decodeMultihash(multihash)
  return read instanceof Libp2pFault ? read : peerIdOf(read)
}

/** The id that a CIDv1 with the codec libp2p-key names. A fault: decode. */
export const peerIdFromCid = (cid: Cid): PeerId | Libp2pFault =>
  cid.version === 1 && cid.codec === libp2pKeyCodec
    ? peerIdOf(cid.multihash)
    : cheapFault("decode", "InvalidCIDError", "peer id: the CID is not version 1 of a key of libp2p")

/**
 * The id of either text: base58btc of the multihash ("12D3Koo…", "16Uiu2…", "Qm…"), which a CIDv0 is too, or a CIDv1 in any base
 * that multibase.ts reads ("bafz…", "k51…"). A fault: decode.
 */
export const peerIdFromText = (text: string): PeerId | Libp2pFault => {
  const wrong = (what: string): Libp2pFault => cheapFault("decode", "InvalidPeerIdError", `peer id: ${what}`)
  if (text.length > textMax) return wrong(`${text.length} characters, ${textMax} at most`)
  if (text.startsWith("1") || text.startsWith("Qm")) {
    const bytes = decodeBase("base58btc", text)
    return bytes instanceof Libp2pFault ? wrong(bytes.message) : peerIdFromBytes(bytes)
  }
  const cid = cidFromText(text)
  return cid instanceof Libp2pFault ? wrong(cid.message) : peerIdFromCid(cid)
}

/** The other text of an id: CIDv1, in base32 ("bafz…") unless told otherwise. */
export const peerIdCid = (id: PeerId, base?: Base): string => {
  const multihash = decodeMultihash(id.bytes)
  if (multihash instanceof Libp2pFault) throw multihash
  return cidText({ version: 1, codec: libp2pKeyCodec, multihash }, base)
}
