/**
 * As much of protobuf as libp2p's messages need (protobuf.dev, "Encoding"): varints, 8 fixed bytes, bytes, and messages in them.
 * A message is read in one pass; unknown fields are passed over, groups are refused.
 */
import { concatAll, fromUtf8, utf8 } from "../codec/bytes.ts"
import { cheapFault, Libp2pFault } from "./fault.ts"
import { encodeVarint, readVarint } from "./varint.ts"

/** One field as it came. `value` of a varint, `bytes` of the others (a view). */
export interface Field {
  readonly number: number
  readonly wire: 0 | 1 | 2 | 5
  readonly value: number
  readonly bytes: Uint8Array
}

const none = new Uint8Array(0)
const wrong = (what: string): Libp2pFault => cheapFault("decode", "InvalidMessageError", `protobuf: ${what}`)
const truncated = "the message ends inside a field"

const fieldAt = (bytes: Uint8Array, offset: number): { field: Field; end: number } | Libp2pFault => {
  const key = readVarint(bytes, offset)
  if (key === undefined) return wrong(truncated)
  if (key instanceof Libp2pFault) return key
  const number = Math.floor(key.value / 8)
  const wire = key.value % 8
  if (number === 0) return wrong("a field has the number 0")
  if (wire === 0) {
    const at = readVarint(bytes, key.end)
    if (at === undefined) return wrong(truncated)
    return at instanceof Libp2pFault ? at : { field: { number, wire, value: at.value, bytes: none }, end: at.end }
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

export const numberOf = (fields: ReadonlyArray<Field>, number: number): number | undefined =>
  lastOf(fields, number, 0)?.value

/** A varint field. */
export const varintField = (number: number, value: number): Uint8Array =>
  concatAll([encodeVarint(number * 8), encodeVarint(value)])

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
