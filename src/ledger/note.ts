/** Notes of transactions: any text of whole characters, bounded in bytes. What cannot be signed is told before it is tried. */
import { utf8 } from "../codec/bytes.ts"
import { noteBytesMax } from "../limits.ts"

/** What keeps a note from being signed, in words; undefined: nothing. A chain may take fewer bytes: its nodes say so. */
export const noteFault = (note: string): string | undefined => {
  if (!note.isWellFormed()) return "The note has half a character in it."
  const { length } = utf8(note)
  return length > noteBytesMax ? `The note has ${length} bytes; there may be ${noteBytesMax}.` : undefined
}
