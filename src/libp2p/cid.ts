/** Content identifiers: CIDv1 in the bases of multibase.ts, and CIDv0, which is a bare sha2-256 multihash (multiformats, "CID"). */
import { concat } from "../codec/bytes.ts"
import { cheapFault, Libp2pFault } from "./fault.ts"
import { type Base, decodeBase, decodeMultibase, encodeBase, encodeMultibase } from "./multibase.ts"
import { decodeMultihash, type Multihash, sha256Code } from "./multihash.ts"
import { encodeVarint, readVarint } from "./varint.ts"

/** The codec of a CID that names a key of libp2p. */
export const libp2pKeyCodec = 0x72
/** The codec that every CIDv0 has without saying so: MerkleDAG protobuf. */
const dagPbCodec = 0x70

export interface Cid {
  readonly version: 0 | 1
  readonly codec: number
  readonly multihash: Multihash
}

const wrong = (what: string): Libp2pFault => cheapFault("decode", "InvalidCIDError", `CID: ${what}`)

const isVersion0 = (bytes: Uint8Array): boolean => bytes.length === 34 && bytes[0] === sha256Code && bytes[1] === 32

export const encodeCid = ({ version, codec, multihash }: Cid): Uint8Array =>
  version === 0 ? multihash.bytes : concat(encodeVarint(1), encodeVarint(codec), multihash.bytes)

const cidOf = (version: 0 | 1, codec: number, bytes: Uint8Array): Cid | Libp2pFault => {
  const multihash = decodeMultihash(bytes)
  return multihash instanceof Libp2pFault ? wrong(multihash.message) : { version, codec, multihash }
}

/** The CID that all of `bytes` are. */
export const decodeCid = (bytes: Uint8Array): Cid | Libp2pFault => {
  if (isVersion0(bytes)) return cidOf(0, dagPbCodec, bytes)
  const version = readVarint(bytes)
  if (version === undefined || version instanceof Libp2pFault || version.value !== 1)
    return wrong("its version is not 1")
  const codec = readVarint(bytes, version.end)
  if (codec === undefined || codec instanceof Libp2pFault) return wrong("it has no codec")
  return cidOf(1, codec.value, bytes.subarray(codec.end))
}

/** base32 unless told otherwise; a CIDv0 is base58btc without a letter, always. */
export const cidText = (cid: Cid, base: Base = "base32"): string =>
  cid.version === 0 ? encodeBase("base58btc", cid.multihash.bytes) : encodeMultibase(base, encodeCid(cid))

export const cidFromText = (text: string): Cid | Libp2pFault => {
  const zero = text.length === 46 && text.startsWith("Qm")
  const bytes = zero ? decodeBase("base58btc", text) : decodeMultibase(text)
  if (bytes instanceof Libp2pFault) return wrong(bytes.message)
  // Only the bare text is version 0: behind a letter it is refused, as the specification asks.
  if (zero !== isVersion0(bytes)) return wrong("version 0 is written without a base, and nothing else is")
  return decodeCid(bytes)
}
