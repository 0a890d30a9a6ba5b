/**
 * As much of protobuf as libp2p's messages need (protobuf.dev, "Encoding"): varints, 8 fixed bytes, bytes, and messages in them.
 * A message is read in one pass; unknown fields are passed over, groups are refused.
 */
import { concatAll, fromUtf8, utf8 } from "../codec/bytes.ts"
import { cheapFault, Libp2pFault } from "./fault.ts"
import { encodeVarint, readVarint } from "./varint.ts"

/** One field as it came. */
export interface Field {
  readonly number: number
  readonly wire: 0 | 1 | 2 | 5
  /** Of a varint; NaN above 2^53 - 1, which `bigOf` reads. */
  readonly value: number
  /** The content, of a varint its own bytes. A view. */
  readonly bytes: Uint8Array
}

/** Bytes of the longest varint of a field: all 64 bits, so that numbers which are not for us are passed over too. */
const varintBytesMax = 10

const wrong = (what: string): Libp2pFault => cheapFault("decode", "InvalidMessageError", `protobuf: ${what}`)
const truncated = "the message ends inside a field"

/** The end of the varint at `offset`. Unlike lengths and keys it need not be the shortest form: no encoder is asked that. */
const varintEnd = (bytes: Uint8Array, offset: number): number | Libp2pFault => {
  for (let at = offset; at < offset + varintBytesMax; at++) {
    const byte = bytes[at]
    if (byte === undefined) return wrong(truncated)
    if (byte < 0x80) return at - offset === varintBytesMax - 1 && byte > 1 ? wrong("a number of over 64 bits") : at + 1
  }
  return wrong("a number of over 64 bits")
}

const numberIn = (bytes: Uint8Array): number => {
  let value = 0
  for (let at = bytes.length - 1; at >= 0; at--) value = value * 128 + (bytes[at]! & 0x7f)
  return value > Number.MAX_SAFE_INTEGER ? Number.NaN : value
}

const fieldAt = (bytes: Uint8Array, offset: number): { field: Field; end: number } | Libp2pFault => {
  const key = readVarint(bytes, offset)
  if (key === undefined) return wrong(truncated)
  if (key instanceof Libp2pFault) return key
  const number = Math.floor(key.value / 8)
  const wire = key.value % 8
  if (number === 0) return wrong("a field has the number 0")
  if (wire === 0) {
    const end = varintEnd(bytes, key.end)
    if (typeof end !== "number") return end
    const content = bytes.subarray(key.end, end)
    return { field: { number, wire, value: numberIn(content), bytes: content }, end }
  }
  if (wire === 1 || wire === 5) {
    const end = key.end + (wire === 1 ? 8 : 4)
    if (end > bytes.length) return wrong(truncated)
    return { field: { number, wire, value: 0, bytes: bytes.subarray(key.end, end) }, end }
  }
  if (wire !== 2) return wrong(`wire type ${wire} is not used`)
  const length = readVarint(bytes, key.end)
  if (length === undefined) return wrong(truncated)
  if (length instanceof Libp2pFault) return length
  const end = length.end + length.value
  if (end > bytes.length) return wrong(truncated)
  return { field: { number, wire, value: 0, bytes: bytes.subarray(length.end, end) }, end }
}

/** All fields in their order: at most `fieldsMax`. */
export const readFields = (bytes: Uint8Array, fieldsMax = 4_096): ReadonlyArray<Field> | Libp2pFault => {
  const fields: Array<Field> = []
  for (let offset = 0; offset < bytes.length; ) {
    if (fields.length === fieldsMax) return wrong(`more than ${fieldsMax} fields`)
    const next = fieldAt(bytes, offset)
    if (next instanceof Libp2pFault) return next
    fields.push(next.field)
    offset = next.end
  }
  return fields
}

/** The last field of that number and type, as protobuf reads a field that is not repeated. */
export const lastOf = (fields: ReadonlyArray<Field>, number: number, wire: Field["wire"]): Field | undefined =>
  fields.findLast((field) => field.number === number && field.wire === wire)

/** Bytes of a field, a copy that outlives the message. */
export const bytesOf = (fields: ReadonlyArray<Field>, number: number): Uint8Array | undefined =>
  lastOf(fields, number, 2)?.bytes.slice()

export const repeatedBytesOf = (fields: ReadonlyArray<Field>, number: number): ReadonlyArray<Uint8Array> =>
  fields.filter((field) => field.number === number && field.wire === 2).map(({ bytes }) => bytes.slice())

/** Undefined also where the bytes are no UTF-8. */
export const textOf = (fields: ReadonlyArray<Field>, number: number): string | undefined => {
  const bytes = lastOf(fields, number, 2)?.bytes
  return bytes === undefined ? undefined : fromUtf8(bytes)
}

/** Undefined also above 2^53 - 1. */
export const numberOf = (fields: ReadonlyArray<Field>, number: number): number | undefined => {
  const value = lastOf(fields, number, 0)?.value
  return value === undefined || Number.isNaN(value) ? undefined : value
}

/** A whole uint64, such as the sequence number of a peer record, which go-libp2p counts in nanoseconds. */
export const bigOf = (fields: ReadonlyArray<Field>, number: number): bigint | undefined =>
  lastOf(fields, number, 0)?.bytes.reduceRight((value, byte) => value * 128n + BigInt(byte & 0x7f), 0n)

const encodeBigVarint = (value: bigint): Uint8Array => {
  const out: Array<number> = []
  let rest = value
  for (; rest >= 0x80n; rest >>= 7n) out.push(Number(rest & 0x7fn) | 0x80)
  return Uint8Array.from([...out, Number(rest)])
}

/** A varint field: a whole number from 0 to 2^53 - 1, or a bigint from 0 to 2^64 - 1. */
export const varintField = (number: number, value: number | bigint): Uint8Array =>
  concatAll([encodeVarint(number * 8), typeof value === "bigint" ? encodeBigVarint(value) : encodeVarint(value)])

/** Eight bytes, little-endian. */
export const fixed64Field = (number: number, value: bigint): Uint8Array => {
  const out = new Uint8Array(8)
  new DataView(out.buffer).setBigUint64(0, value, true)
  return concatAll([encodeVarint(number * 8 + 1), out])
}

/** Bytes, a text or a message. */
export const bytesField = (number: number, value: Uint8Array | string): Uint8Array => {
  const bytes = typeof value === "string" ? utf8(value) : value
  return concatAll([encodeVarint(number * 8 + 2), encodeVarint(bytes.length), bytes])
}

/** Fields in the order that they are given in: by number, where bytes are signed. Undefined ones are left out. */
export const message = (...fields: ReadonlyArray<Uint8Array | undefined>): Uint8Array =>
  concatAll(fields.filter((field) => field !== undefined))
