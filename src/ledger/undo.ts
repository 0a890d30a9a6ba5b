/**
 * What a block changed, as the values before: enough to take it back, whatever the money model.
 * Form: for each entry in key order, u8 key length, key, u16 value length + 1 (0: there was no entry), value.
 */
import { Result } from "effect"
import { concatAll, fromHex, toHex } from "../codec/bytes.ts"
import type { Change, Overlay } from "./overlay.ts"

/** An entry as it was: undefined where there was none. */
export type Before = readonly [key: string, value: Uint8Array | undefined]

/** The entries that differ, as they were. */
export const beforesOf = (changes: ReadonlyMap<string, Change>): ReadonlyArray<Before> =>
  [...changes]
    .filter(([, { before, after }]) => !same(before, after))
    .map(([key, { before }]) => [key, before] as const)
    .sort(([a], [b]) => (a < b ? -1 : 1))

const same = (a: Uint8Array | undefined, b: Uint8Array | undefined): boolean => {
  if (a === undefined || b === undefined) return a === b
  if (a.length !== b.length) return false
  for (let i = 0; i < a.length; i++) if (a[i] !== b[i]) return false
  return true
}

/** The bytes of an undo record. */
export const encodeUndo = (changes: ReadonlyMap<string, Change>): Uint8Array =>
  concatAll(
    beforesOf(changes).flatMap(([key, value]) => {
      const keyBytes = fromHex(key)!
      const length = value === undefined ? 0 : value.length + 1
      const head = new Uint8Array([keyBytes.length, ...keyBytes, length & 0xff, length >>> 8])
      return value === undefined ? [head] : [head, value]
    })
  )

/** The entries of an undo record; a failure says that the bytes are not one. Never throws. */
export const decodeUndo = (bytes: Uint8Array): Result.Result<ReadonlyArray<Before>, string> => {
  const entries: Array<Before> = []
  for (let at = 0; at < bytes.length; ) {
    const keyEnd = at + 1 + bytes[at]!
    if (keyEnd + 2 > bytes.length) return Result.fail("an undo entry is cut off")
    const length = bytes[keyEnd]! | (bytes[keyEnd + 1]! << 8)
    const end = keyEnd + 2 + Math.max(0, length - 1)
    if (end > bytes.length) return Result.fail("an undo value is cut off")
    entries.push([toHex(bytes.subarray(at + 1, keyEnd)), length === 0 ? undefined : bytes.slice(keyEnd + 2, end)])
    at = end
  }
  return Result.succeed(entries)
}

/** Takes a block back. */
export const undo = (state: Overlay, befores: ReadonlyArray<Before>): void => {
  for (const [key, value] of befores) state.set(key, value)
}
