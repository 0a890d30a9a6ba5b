/**
 * MessagePack between peers: a strict subset with one byte form for each value, so that a hello can be signed as it travels.
 *
 * Values: null, booleans, safe integers, text, bytes, lists, and maps with text keys in the order of their bytes. Refused:
 * floats, extensions, longer forms than needed, unsorted or doubled keys, text that is not UTF-8, bytes after the value.
 */
import { Result } from "effect"
import { assert } from "../assert.ts"
import { compare, concatAll, fromUtf8, utf8 } from "./bytes.ts"

export type Packable =
  | null
  | boolean
  | number
  | string
  | Uint8Array
  | ReadonlyArray<Packable>
  | { readonly [key: string]: Packable }

const depthMax = 8
/** Values in one message, lists and maps counted: far above any message of ours. */
const valuesMax = 100_000

/** Head of `kind` with a big-endian length or number of 1, 2 or 4 bytes. */
const head = (kind: number, size: 1 | 2 | 4 | 8, value: number): Uint8Array => {
  const out = new Uint8Array(1 + size)
  const view = new DataView(out.buffer)
  out[0] = kind
  if (size === 1) out[1] = value
  else if (size === 2) view.setUint16(1, value)
  else if (size === 4) view.setUint32(1, value)
  else view.setBigInt64(1, BigInt(value))
  return out
}

const packNumber = (value: number): Uint8Array => {
  assert(Number.isSafeInteger(value), "peers exchange safe integers only")
  if (value >= 0) {
    if (value < 0x80) return new Uint8Array([value])
    if (value < 0x100) return head(0xcc, 1, value)
    if (value < 0x1_0000) return head(0xcd, 2, value)
    return value < 0x1_0000_0000 ? head(0xce, 4, value) : head(0xcf, 8, value)
  }
  if (value >= -0x20) return new Uint8Array([value & 0xff])
  if (value >= -0x80) return head(0xd0, 1, value & 0xff)
  if (value >= -0x8000) return head(0xd1, 2, value & 0xffff)
  return value >= -0x8000_0000 ? head(0xd2, 4, value >>> 0) : head(0xd3, 8, value)
}

interface Forms {
  readonly fix: readonly [kind: number, below: number]
  readonly one: number | undefined
  readonly two: number
  readonly four: number
}

const textForms: Forms = { fix: [0xa0, 32], one: 0xd9, two: 0xda, four: 0xdb }
const bytesForms: Forms = { fix: [0, 0], one: 0xc4, two: 0xc5, four: 0xc6 }
const listForms: Forms = { fix: [0x90, 16], one: undefined, two: 0xdc, four: 0xdd }
const mapForms: Forms = { fix: [0x80, 16], one: undefined, two: 0xde, four: 0xdf }

const packLength = ({ fix, one, two, four }: Forms, length: number): Uint8Array => {
  if (length < fix[1]) return new Uint8Array([fix[0] | length])
  if (one !== undefined && length < 0x100) return head(one, 1, length)
  return length < 0x1_0000 ? head(two, 2, length) : head(four, 4, length)
}

const pack = (value: Packable, out: Array<Uint8Array>): void => {
  if (value === null) out.push(new Uint8Array([0xc0]))
  else if (typeof value === "boolean") out.push(new Uint8Array([value ? 0xc3 : 0xc2]))
  else if (typeof value === "number") out.push(packNumber(value))
  else if (typeof value === "string") {
    const bytes = utf8(value)
    out.push(packLength(textForms, bytes.length), bytes)
  } else if (value instanceof Uint8Array) out.push(packLength(bytesForms, value.length), value)
  else if (Array.isArray(value)) {
    out.push(packLength(listForms, value.length))
    for (const item of value as ReadonlyArray<Packable>) pack(item, out)
  } else {
    assert(typeof value === "object", "a message holds no undefined, bigint or function")
    const keys = Object.keys(value)
      .map((key) => [utf8(key), key] as const)
      .sort(([a], [b]) => compare(a, b))
    out.push(packLength(mapForms, keys.length))
    for (const [bytes, key] of keys) {
      out.push(packLength(textForms, bytes.length), bytes)
      pack((value as { readonly [key: string]: Packable })[key]!, out)
    }
  }
}

/** The one byte form of a value. */
export const encode = (value: Packable): Uint8Array => {
  const out: Array<Uint8Array> = []
  pack(value, out)
  return concatAll(out)
}

/** Thrown inside the decoder and caught at its edge; never leaves this file. */
class Refused extends Error {}

class Unpacker {
  private at = 0
  private values = 0
  private readonly bytes: Uint8Array
  private readonly view: DataView

  constructor(bytes: Uint8Array) {
    this.bytes = bytes
    this.view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  }

  whole(): Packable {
    const value = this.value(0)
    if (this.at !== this.bytes.length) throw new Refused("bytes after the value")
    return value
  }

  private value(depth: number): Packable {
    if (depth > depthMax || ++this.values > valuesMax) throw new Refused("too deep or too many values")
    if (this.at === this.bytes.length) throw new Refused("cut off")
    const kind = this.bytes[this.at++]!
    if (kind < 0x80) return kind
    if (kind < 0x90) return this.map(kind & 15, depth)
    if (kind < 0xa0) return this.list(kind & 15, depth)
    if (kind < 0xc0) return this.text(kind & 31)
    if (kind >= 0xe0) return kind - 0x100
    switch (kind) {
      case 0xc0:
        return null
      case 0xc2:
        return false
      case 0xc3:
        return true
      case 0xc4:
        return this.take(this.length(1, 0))
      case 0xc5:
        return this.take(this.length(2, 0x100))
      case 0xc6:
        return this.take(this.length(4, 0x1_0000))
      case 0xd9:
        return this.text(this.length(1, 32))
      case 0xda:
        return this.text(this.length(2, 0x100))
      case 0xdb:
        return this.text(this.length(4, 0x1_0000))
      case 0xdc:
        return this.list(this.length(2, 16), depth)
      case 0xdd:
        return this.list(this.length(4, 0x1_0000), depth)
      case 0xde:
        return this.map(this.length(2, 16), depth)
      case 0xdf:
        return this.map(this.length(4, 0x1_0000), depth)
      default:
        return this.number(kind)
    }
  }

  private number(kind: number): number {
    const start = this.at
    if (kind < 0xcc || kind > 0xd3) throw new Refused(`kind 0x${kind.toString(16)}`)
    const size = 1 << (kind & 3)
    this.take(size)
    const signed = kind >= 0xd0
    const value = size === 8 ? this.wide(start, signed) : this.narrow(start, size, signed)
    // The only form taken is the shortest: encode it again and compare its head.
    if (!Number.isSafeInteger(value) || packNumber(value)[0] !== kind)
      throw new Refused("a number in a longer form than needed")
    return value
  }

  private narrow(at: number, size: number, signed: boolean): number {
    if (size === 1) return signed ? this.view.getInt8(at) : this.view.getUint8(at)
    if (size === 2) return signed ? this.view.getInt16(at) : this.view.getUint16(at)
    return signed ? this.view.getInt32(at) : this.view.getUint32(at)
  }

  private wide(at: number, signed: boolean): number {
    const value = signed ? this.view.getBigInt64(at) : this.view.getBigUint64(at)
    return value > Number.MAX_SAFE_INTEGER || value < Number.MIN_SAFE_INTEGER ? Number.NaN : Number(value)
  }

  private length(size: number, least: number): number {
    const start = this.at
    this.take(size)
    const length = this.narrow(start, size, false)
    if (length < least) throw new Refused("a length in a longer form than needed")
    return length
  }

  private take(length: number): Uint8Array {
    if (length > this.bytes.length - this.at) throw new Refused("cut off")
    this.at += length
    return this.bytes.subarray(this.at - length, this.at)
  }

  private text(length: number): string {
    const text = fromUtf8(this.take(length))
    if (text === undefined) throw new Refused("text that is not UTF-8")
    return text
  }

  private list(length: number, depth: number): ReadonlyArray<Packable> {
    const items: Array<Packable> = []
    for (let i = 0; i < length; i++) items.push(this.value(depth + 1))
    return items
  }

  private map(length: number, depth: number): { readonly [key: string]: Packable } {
    const entries: Record<string, Packable> = Object.create(null) as Record<string, Packable>
    let last: Uint8Array | undefined
    for (let i = 0; i < length; i++) {
      const key = this.value(depth + 1)
      if (typeof key !== "string") throw new Refused("a key that is not text")
      const name = utf8(key)
      if (last !== undefined && compare(last, name) >= 0) throw new Refused("keys out of order")
      last = name
      entries[key] = this.value(depth + 1)
    }
    return entries
  }
}

/** The value of bytes, or why they are refused. Never throws. Byte strings are views of the input. */
export const decode = (bytes: Uint8Array): Result.Result<Packable, string> => {
  try {
    return Result.succeed(new Unpacker(bytes).whole())
  } catch (error) {
    if (error instanceof Refused) return Result.fail(error.message)
    throw error
  }
}
