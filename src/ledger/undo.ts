/**
 * What a block changed, as the values before: enough to take it back, whatever the money model.
 * Form: for each entry in key order, u8 key length, key, u16 value length + 1 (0: there was no entry), value.
 */
import { Result } from "effect"
import { assert } from "../assert.ts"
import { equal, fromHex, toHex } from "../codec/bytes.ts"
import type { Change, Overlay } from "./overlay.ts"

/** An entry as it was: undefined where there was none. */
export type Before = readonly [key: string, value: Uint8Array | undefined]

const same = (a: Uint8Array | undefined, b: Uint8Array | undefined): boolean =>
  a === b || (a !== undefined && b !== undefined && equal(a, b))

/** The entries that differ, as they were, in key order. */
const beforesOf = (changes: ReadonlyMap<string, Change>): ReadonlyArray<Before> => {
  const befores: Array<Before> = []
  for (const [key, { before, after }] of changes) if (!same(before, after)) befores.push([key, before])
  return befores.sort(([a], [b]) => (a < b ? -1 : 1))
}

/** The bytes of an undo record. An entry that ends as it began is not in it. */
export const encodeUndo = (changes: ReadonlyMap<string, Change>): Uint8Array => {
  const befores = beforesOf(changes)
  const out = new Uint8Array(befores.reduce((sum, [key, value]) => sum + 3 + key.length / 2 + (value?.length ?? 0), 0))
  let at = 0
  for (const [key, value] of befores) {
    const keyBytes = fromHex(key)
    const length = value === undefined ? 0 : value.length + 1
    assert(
      keyBytes !== undefined && keyBytes.length <= 0xff && length <= 0xffff,
      "key and value of an entry fit an undo record"
    )
    out[at] = keyBytes.length
    out.set(keyBytes, at + 1)
    at += 1 + keyBytes.length
    out[at] = length & 0xff
    out[at + 1] = length >>> 8
    if (value !== undefined) out.set(value, at + 2)
    at += 2 + Math.max(0, length - 1)
  }
  return out
}

/** The entries of an undo record; a failure says why the bytes are not one. Never throws. */
export const decodeUndo = (bytes: Uint8Array): Result.Result<ReadonlyArray<Before>, string> => {
  const entries: Array<Before> = []
  for (let at = 0; at < bytes.length; ) {
    const keyEnd = at + 1 + bytes[at]!
    if (keyEnd + 2 > bytes.length) return Result.fail("an undo entry is cut off")
    const length = bytes[keyEnd]! | (bytes[keyEnd + 1]! << 8)
    const end = keyEnd + 2 + Math.max(0, length - 1)
    if (end > bytes.length) return Result.fail("an undo value is cut off")
    const key = toHex(bytes.subarray(at + 1, keyEnd))
    const last = entries.at(-1)
    if (last !== undefined && last[0] >= key) return Result.fail("undo entries are out of order")
    entries.push([key, length === 0 ? undefined : bytes.slice(keyEnd + 2, end)])
    at = end
  }
  return Result.succeed(entries)
}

/** Takes a block back. */
export const undo = (state: Overlay, befores: ReadonlyArray<Before>): void => {
  for (const [key, value] of befores) state.set(key, value)
}
