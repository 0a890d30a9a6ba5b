/** Bytes: equality, order, concatenation, hex. Plain functions of values; they run in the page and in threads too. */

/** True if both hold the same bytes. Not constant time: for public data only. */
export const equal = (a: Uint8Array, b: Uint8Array): boolean => {
  if (a.length !== b.length) return false
  for (let i = 0; i < a.length; i++) if (a[i] !== b[i]) return false
  return true
}

/** Order as big-endian numbers of equal length: negative, zero or positive. */
export const compare = (a: Uint8Array, b: Uint8Array): number => {
  const length = Math.min(a.length, b.length)
  for (let i = 0; i < length; i++) {
    const difference = a[i]! - b[i]!
    if (difference !== 0) return difference
  }
  return a.length - b.length
}

/** One array holding the parts in order. */
export const concat = (...parts: ReadonlyArray<Uint8Array>): Uint8Array => concatAll(parts)

/** One array holding any number of parts in order. */
export const concatAll = (parts: ReadonlyArray<Uint8Array>): Uint8Array => {
  let length = 0
  for (const part of parts) length += part.length
  const out = new Uint8Array(length)
  let offset = 0
  for (const part of parts) {
    out.set(part, offset)
    offset += part.length
  }
  return out
}

const encoder = new TextEncoder()
const decoder = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true })

/** UTF-8 bytes of a text. */
export const utf8 = (text: string): Uint8Array => encoder.encode(text)

/** The text of UTF-8 bytes, or undefined if they are not UTF-8. */
export const fromUtf8 = (bytes: Uint8Array): string | undefined => {
  try {
    return decoder.decode(bytes)
  } catch {
    return undefined
  }
}

/** Lower-case hex. */
export const toHex = (bytes: Uint8Array): string => bytes.toHex()

/** Without groups: those take a second for a megabyte, and fail at some. */
const hexForm = /^[0-9a-f]*$/

/** The bytes of a lower-case hex text (of `length` bytes, if given), or undefined. */
export const fromHex = (text: string, length?: number): Uint8Array | undefined => {
  if (length !== undefined && text.length !== length * 2) return undefined
  return text.length % 2 === 0 && hexForm.test(text) ? Uint8Array.fromHex(text) : undefined
}

/** Writes a safe integer as 8 bytes, little-endian. */
export const writeU64 = (out: Uint8Array, offset: number, value: number): void => {
  let low = value % 0x1_0000_0000
  let high = (value - low) / 0x1_0000_0000
  for (let i = 0; i < 4; i++) {
    out[offset + i] = low & 0xff
    out[offset + 4 + i] = high & 0xff
    low >>>= 8
    high >>>= 8
  }
}

/** Reads 8 little-endian bytes; undefined above 2^53 - 1, which no field of ours may reach. */
export const readU64 = (bytes: Uint8Array, offset: number): number | undefined => {
  const high = readU32(bytes, offset + 4)
  return high > 0x1f_ffff ? undefined : high * 0x1_0000_0000 + readU32(bytes, offset)
}

/** Reads an unsigned 16-bit integer, little-endian; bytes beyond the end count as 0. */
export const readU16 = (bytes: Uint8Array, offset: number): number => bytes[offset]! | (bytes[offset + 1]! << 8)

/** Writes an unsigned 32-bit integer, little-endian. */
export const writeU32 = (out: Uint8Array, offset: number, value: number): void => {
  out[offset] = value & 0xff
  out[offset + 1] = (value >>> 8) & 0xff
  out[offset + 2] = (value >>> 16) & 0xff
  out[offset + 3] = value >>> 24
}

/** Reads an unsigned 32-bit integer, little-endian. The caller has checked the length. */
export const readU32 = (bytes: Uint8Array, offset: number): number =>
  (bytes[offset]! | (bytes[offset + 1]! << 8) | (bytes[offset + 2]! << 16) | (bytes[offset + 3]! << 24)) >>> 0
