/** Undo records: short, in one form, and refused when they are cut or out of order. */
import { expect, test } from "bun:test"
import { Result } from "effect"
import { makeDice } from "../sim/dice.ts"
import { Bug } from "../assert.ts"
import { toHex } from "../codec/bytes.ts"
import { Overlay } from "./overlay.ts"
import { decodeUndo, encodeUndo, undo } from "./undo.ts"

const bytes = (...values: ReadonlyArray<number>): Uint8Array => new Uint8Array(values)

test("holds what was there before, in key order, and leaves out what ends as it began", () => {
  const base = new Map([
    ["02", bytes(7, 8)],
    ["03", bytes(9)],
    ["04", bytes()]
  ])
  const state = new Overlay((key) => base.get(key))
  state.set("04", undefined)
  state.set("02", bytes(1))
  state.set("01", bytes(5))
  state.set("03", bytes(1))
  state.set("03", bytes(9))
  state.get("05")
  const record = encodeUndo(state.changes)
  expect(toHex(record)).toBe("01010000" + "010203000708" + "01040100")
  expect(decodeUndo(record)).toEqual(
    Result.succeed([
      ["01", undefined],
      ["02", bytes(7, 8)],
      ["04", bytes()]
    ])
  )
})

test("undoes any changes over any base", () => {
  const dice = makeDice(3)
  const word = (): string => toHex(dice.bytes(dice.int(4)))
  for (let round = 0; round < 300; round++) {
    const base = new Map(Array.from({ length: dice.int(20) }, () => [word(), dice.bytes(dice.int(30))] as const))
    const state = new Overlay((key) => base.get(key))
    for (let i = dice.int(30); i > 0; i--) state.set(word(), dice.chance(0.3) ? undefined : dice.bytes(dice.int(30)))
    const record = encodeUndo(state.changes)
    const back = new Overlay((key) => state.get(key))
    undo(back, Result.getOrThrow(decodeUndo(record)))
    for (const key of new Set([...state.changes.keys(), ...base.keys()])) expect(back.get(key)).toEqual(base.get(key))
  }
})

test("bytes that are no undo record are refused and never throw; what is accepted has one form", () => {
  for (const bad of [
    bytes(1),
    bytes(1, 2),
    bytes(1, 2, 0),
    bytes(1, 2, 3, 0, 9),
    bytes(255, 0, 0),
    bytes(1, 2, 0, 0, 1, 2, 0, 0),
    bytes(1, 2, 0, 0, 1, 1, 0, 0)
  ]) {
    expect([toHex(bad), Result.isFailure(decodeUndo(bad))]).toEqual([toHex(bad), true])
  }
  const dice = makeDice(4)
  for (let i = 0; i < 20_000; i++) {
    const some = dice.bytes(dice.int(24)).map((byte) => (dice.chance(0.7) ? byte & 3 : byte))
    const decoded = decodeUndo(some)
    if (Result.isFailure(decoded)) continue
    const changes = new Map(
      decoded.success.map(([key, before]) => [key, { before, after: bytes(1, 2, 3, 4, 5, 6, 7, 8, 9) }])
    )
    expect(toHex(encodeUndo(changes))).toBe(toHex(some))
  }
})

test("a key or a value that does not fit the record is a bug of ours", () => {
  const change = { before: new Uint8Array(0xffff), after: undefined }
  expect(() => encodeUndo(new Map([["01", change]]))).toThrow(Bug)
  expect(() => encodeUndo(new Map([["00".repeat(256), { before: bytes(1), after: undefined }]]))).toThrow(Bug)
})
