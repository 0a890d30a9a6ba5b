/** Unsigned varints as the multiformats write them: LEB128, shortest form only, at most 63 bits in 9 bytes (unsigned-varint). */
import { cheapFault, type Libp2pFault } from "./fault.ts"

/** Bytes of the longest varint that is read. */
export const varintBytesMax = 9

/** Bytes that `value` takes: a whole number from 0 to 2^53 - 1. */
export const varintLength = (value: number): number => {
  let length = 1
  for (let rest = value; rest >= 0x80; rest = Math.floor(rest / 128)) length++
  return length
}

/** Writes `value` at `offset`; the offset behind it. The room must be there. */
export const writeVarint = (value: number, out: Uint8Array, offset: number): number => {
  let rest = value
  let at = offset
  for (; rest >= 0x80; rest = Math.floor(rest / 128)) out[at++] = (rest % 128) | 0x80
  out[at++] = rest
  return at
}

export const encodeVarint = (value: number): Uint8Array => {
  const out = new Uint8Array(varintLength(value))
  writeVarint(value, out, 0)
  return out
}

/**
 * The varint at `offset`. Undefined: the bytes end inside it, more may come. A fault (decode): it is not the shortest form, or
 * more than 2^53 - 1, which nothing that we read may be.
 */
export const readVarint = (
  bytes: Uint8Array,
  offset = 0
): { readonly value: number; readonly end: number } | Libp2pFault | undefined => {
  let value = 0
  let factor = 1
  for (let at = offset; at < offset + varintBytesMax; at++) {
    const byte = bytes[at]
    if (byte === undefined) return undefined
    value += (byte & 0x7f) * factor
    factor *= 128
    if (byte >= 0x80) continue
    if (byte === 0 && at > offset)
      return cheapFault("decode", "InvalidMessageError", "a varint is not in its shortest form")
    if (value > Number.MAX_SAFE_INTEGER) break
    return { value, end: at + 1 }
  }
  return cheapFault("decode", "InvalidMessageError", "a varint is larger than 2^53 - 1")
}
