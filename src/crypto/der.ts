/**
 * As much of DER (ITU-T X.690) as keys, signatures and certificates need: one-byte tags, definite lengths in their shortest form.
 * The reader never throws and copies nothing.
 */
import { concatAll, utf8 } from "../codec/bytes.ts"

/** Tags of the values that we write or look for. */
export const tag = {
  boolean: 0x01,
  integer: 0x02,
  bitString: 0x03,
  octetString: 0x04,
  null: 0x05,
  oid: 0x06,
  utf8String: 0x0c,
  utcTime: 0x17,
  generalizedTime: 0x18,
  sequence: 0x30,
  set: 0x31
} as const

const lengthOf = (length: number): ReadonlyArray<number> => {
  if (length < 0x80) return [length]
  const digits: Array<number> = []
  for (let rest = length; rest > 0; rest = Math.floor(rest / 256)) digits.unshift(rest % 256)
  return [0x80 | digits.length, ...digits]
}

/** One value: tag, length, content. */
export const der = (kind: number, ...content: ReadonlyArray<Uint8Array>): Uint8Array => {
  const body = concatAll(content)
  return concatAll([Uint8Array.from([kind, ...lengthOf(body.length)]), body])
}

export const sequence = (...content: ReadonlyArray<Uint8Array>): Uint8Array => der(tag.sequence, ...content)
export const octetString = (bytes: Uint8Array): Uint8Array => der(tag.octetString, bytes)
/** Whole bytes: none of the bits is unused. */
export const bitString = (bytes: Uint8Array): Uint8Array => der(tag.bitString, Uint8Array.of(0), bytes)

/** A number from zero up, big-endian, of any length: written without zeros before it, and never as a negative one. */
export const unsignedInteger = (bytes: Uint8Array): Uint8Array => {
  const first = bytes.findIndex((byte) => byte !== 0)
  const digits = first === -1 ? new Uint8Array(1) : bytes.subarray(first)
  return der(tag.integer, ...(digits[0]! > 0x7f ? [new Uint8Array(1)] : []), digits)
}

/** An object identifier, "1.2.840.10045.2.1". */
export const oid = (dotted: string): Uint8Array => {
  const [first, second, ...rest] = dotted.split(".").map(Number)
  const bytes = [first! * 40 + second!, ...rest].flatMap((arc) => {
    const digits = [arc % 128]
    for (let left = Math.floor(arc / 128); left > 0; left = Math.floor(left / 128)) digits.unshift((left % 128) | 0x80)
    return digits
  })
  return der(tag.oid, Uint8Array.from(bytes))
}

/** UTCTime, with a year of two digits, before 2050; GeneralizedTime from then on (RFC 5280 4.1.2.5). Milliseconds since 1970. */
export const time = (ms: number): Uint8Array => {
  const text = `${new Date(ms).toISOString().slice(0, 19).replace(/[-:T]/g, "")}Z`
  return text < "2050" ? der(tag.utcTime, utf8(text.slice(2))) : der(tag.generalizedTime, utf8(text))
}

/** One value as it was read. Both arrays are views. */
export interface DerValue {
  readonly tag: number
  readonly content: Uint8Array
  /** Tag, length and content. */
  readonly raw: Uint8Array
}

/** Content and end of the length that begins at `at`. Lengths above four digits are longer than anything that we read. */
const readLength = (bytes: Uint8Array, at: number): { length: number; start: number } | undefined => {
  const first = bytes[at]
  if (first === undefined) return undefined
  if (first < 0x80) return { length: first, start: at + 1 }
  const digits = first & 0x7f
  if (digits === 0 || digits > 4 || at + 1 + digits > bytes.length || bytes[at + 1] === 0) return undefined
  let length = 0
  for (let i = 1; i <= digits; i++) length = length * 256 + bytes[at + i]!
  return length < 0x80 ? undefined : { length, start: at + 1 + digits }
}

/** The value at `offset`, what stands behind it untouched; undefined: there is none, or it is not DER. */
export const readDer = (bytes: Uint8Array, offset = 0): DerValue | undefined => {
  const kind = bytes[offset]
  if (kind === undefined || (kind & 0x1f) === 0x1f) return undefined
  const at = readLength(bytes, offset + 1)
  if (at === undefined || at.start + at.length > bytes.length) return undefined
  const end = at.start + at.length
  return { tag: kind, content: bytes.subarray(at.start, end), raw: bytes.subarray(offset, end) }
}

/** The one value that fills `bytes`, of that tag. */
export const readOnly = (bytes: Uint8Array, kind: number): DerValue | undefined => {
  const value = readDer(bytes)
  return value === undefined || value.tag !== kind || value.raw.length !== bytes.length ? undefined : value
}

/** The values that fill `content`, at most `max`. */
export const readAll = (content: Uint8Array, max = 64): ReadonlyArray<DerValue> | undefined => {
  const values: Array<DerValue> = []
  for (let offset = 0; offset < content.length; ) {
    const value = values.length === max ? undefined : readDer(content, offset)
    if (value === undefined) return undefined
    values.push(value)
    offset += value.raw.length
  }
  return values
}

/** The values of the one sequence that fills `bytes`. */
export const readSequence = (bytes: Uint8Array, max?: number): ReadonlyArray<DerValue> | undefined => {
  const outer = readOnly(bytes, tag.sequence)
  return outer === undefined ? undefined : readAll(outer.content, max)
}

/** Content of a bit string of whole bytes. */
export const bytesOfBits = (value: DerValue | undefined): Uint8Array | undefined =>
  value?.tag === tag.bitString && value.content[0] === 0 ? value.content.subarray(1) : undefined

/** The dotted text of an object identifier whose arcs are below 2^32; undefined: it is none, or not in its shortest form. */
export const readOid = (value: DerValue | undefined): string | undefined => {
  if (value === undefined || value.tag !== tag.oid || value.content.length === 0) return undefined
  const arcs: Array<number> = []
  let arc = 0
  let starts = true
  for (const byte of value.content) {
    if ((starts && byte === 0x80) || arc >= 2 ** 25) return undefined
    arc = arc * 128 + (byte & 0x7f)
    starts = byte < 0x80
    if (!starts) continue
    arcs.push(arc)
    arc = 0
  }
  if (!starts) return undefined
  const first = Math.min(2, Math.floor(arcs[0]! / 40))
  return [first, arcs[0]! - first * 40, ...arcs.slice(1)].join(".")
}

const timeForm = /^(\d{4})(\d\d)(\d\d)(\d\d)(\d\d)(\d\d)Z$/

/** Milliseconds since 1970 of a time in the forms that certificates may have (RFC 5280 4.1.2.5): whole seconds, in UTC. */
export const readTime = (value: DerValue | undefined): number | undefined => {
  if (value === undefined || value.content.length > 15) return undefined
  const text = String.fromCharCode(...value.content)
  const short = value.tag === tag.utcTime
  if (!short && value.tag !== tag.generalizedTime) return undefined
  const parts = timeForm.exec(short ? `${text < "50" ? "20" : "19"}${text}` : text)
  if (parts === null) return undefined
  const [year, month, day, hour, minute, second] = parts.slice(1).map(Number) as [
    number,
    number,
    number,
    number,
    number,
    number
  ]
  const date = new Date(0)
  date.setUTCFullYear(year, month - 1, day)
  date.setUTCHours(hour, minute, second)
  // The 31st of a month of thirty days, and the hour 24, would read as another time.
  return [
    date.getUTCMonth() + 1,
    date.getUTCDate(),
    date.getUTCHours(),
    date.getUTCMinutes(),
    date.getUTCSeconds()
  ].join() === [month, day, hour, minute, second].join()
    ? date.getTime()
    : undefined
}
