/** A note that can be signed is one that a transfer can carry, and no other. */
import { expect, test } from "bun:test"
import { transfer } from "../../test/fixtures.ts"
import { noteFault } from "./note.ts"

test("what has no fault can be signed, and what has one cannot (defect 6)", () => {
  const notes = [
    "",
    "/",
    "\u0000\u007f\u009f",
    "é".repeat(140),
    "🪨".repeat(70),
    "\uffff",
    "é".repeat(141),
    "\ud83e",
    "\udea8x"
  ]
  const signs = (note: string): boolean => {
    try {
      return transfer({ from: 0, to: 1, nonce: 1, note }).transfer.note === note
    } catch {
      return false
    }
  }
  expect(notes.map((note) => noteFault(note) === undefined)).toEqual(notes.map(signs))
  expect(notes.map(signs)).toEqual([true, true, true, true, true, true, false, false, false])
})
