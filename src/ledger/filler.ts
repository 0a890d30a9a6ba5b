/** What stands where nobody has put data of his own: so many random characters, or a text (C `placeholder_data`). */
import { concat, fromUtf8, utf8 } from "../codec/bytes.ts"
import { sha256 } from "../crypto/hash.ts"

export type Filler =
  | { readonly rule: "random"; readonly characters: number }
  | { readonly rule: "text"; readonly text: string }

const letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"
/** Bytes below it stand for each letter equally often. */
const evenBelow = 256 - (256 % letters.length)

/** Bytes of it; of none, none. */
export const fillerBytes = (filler: Filler | undefined): number => {
  if (filler === undefined) return 0
  return filler.rule === "random" ? filler.characters : utf8(filler.text).length
}

/** The form in words. */
export const fillerText = (filler: Filler): string =>
  filler.rule === "random" ? `${filler.characters} letters and digits` : `the text ${JSON.stringify(filler.text)}`

/** Have the bytes that form? */
export const isFiller = (filler: Filler, bytes: Uint8Array): boolean => {
  if (bytes.length !== fillerBytes(filler)) return false
  const text = fromUtf8(bytes)
  return filler.rule === "random" ? text !== undefined && /^[A-Za-z0-9]*$/.test(text) : text === filler.text
}

/** Filler that looks random and follows from a seed, so that whoever repeats a run gets the same. */
export const makeFiller = (filler: Filler, seed: Uint8Array): Uint8Array => {
  if (filler.rule === "text") return utf8(filler.text)
  let text = ""
  for (let round = 0; text.length < filler.characters; round++) {
    for (const byte of sha256(concat(seed, Uint8Array.of(round & 255, round >>> 8))))
      if (byte < evenBelow && text.length < filler.characters) text += letters[byte % letters.length]
  }
  return utf8(text)
}
