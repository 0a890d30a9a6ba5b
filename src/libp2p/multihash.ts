/** Digests that say which hash made them: uvarint code, uvarint length, bytes (multiformats, "multihash"). */
import { concat } from "../codec/bytes.ts"
import { sha256 } from "../crypto/hash.ts"
import { cheapFault, Libp2pFault } from "./fault.ts"
import { encodeVarint, readVarint } from "./varint.ts"

/** Codes of the multicodec table. */
export const identityCode = 0x00
export const sha256Code = 0x12
export const sha512Code = 0x13

/** Bytes of the digests whose length the hash fixes. Others may have any, up to `digestBytesMax`. */
const lengths = new Map([
  [sha256Code, 32],
  [sha512Code, 64]
])
/** Bytes of the longest digest: the longest hash has 64, and nothing inlines more than a key of 42. */
export const digestBytesMax = 128

/** The shape is that of the package multiformats. */
export interface Multihash {
  readonly code: number
  /** Of the digest. */
  readonly size: number
  readonly digest: Uint8Array
  readonly bytes: Uint8Array
}

const wrong = (what: string): Libp2pFault => cheapFault("decode", "InvalidMultihashError", `multihash: ${what}`)

/** The multihash of a digest that was made elsewhere, or of the bytes themselves under `identityCode`. */
export const multihashOf = (code: number, digest: Uint8Array): Multihash => {
  const bytes = concat(encodeVarint(code), encodeVarint(digest.length), digest)
  return { code, size: digest.length, digest: bytes.subarray(bytes.length - digest.length), bytes }
}

/** SHA-256 of `bytes` as a multihash. */
export const sha256Multihash = (bytes: Uint8Array): Multihash => multihashOf(sha256Code, sha256(bytes))

/** The multihash that all of `bytes` are; it keeps a copy. Codes that are not known pass, with any digest. */
export const decodeMultihash = (bytes: Uint8Array): Multihash | Libp2pFault => {
  const code = readVarint(bytes)
  if (code instanceof Libp2pFault) return wrong(code.message)
  const length = code && readVarint(bytes, code.end)
  if (length instanceof Libp2pFault) return wrong(length.message)
  if (code === undefined || length === undefined) return wrong("it ends before its digest")
  if (length.value > digestBytesMax) return wrong(`a digest of ${length.value} bytes, ${digestBytesMax} at most`)
  if (length.end + length.value !== bytes.length) return wrong("the digest has another length than it says")
  if (length.value !== (lengths.get(code.value) ?? length.value))
    return wrong("the digest has not the length of its hash")
  const own = bytes.slice()
  return { code: code.value, size: length.value, digest: own.subarray(length.end), bytes: own }
}
