/** Bytes as people write and read them: as text, or as 0x and hex. */
import { fromHex, fromUtf8, toHex, utf8 } from "./bytes.ts"

/** Bytes that a person has written: 0x and hex, or any other text as UTF-8. Undefined: what follows 0x is no hex. */
export const bytesOfText = (text: string): Uint8Array | undefined =>
  text.startsWith("0x") ? fromHex(text.slice(2).toLowerCase()) : utf8(text)

/** Control characters, marks that turn the direction of reading, and whatever else shows nothing; but lines, tabs and what joins. */
const unseen = /[^\P{C}\n\t\u200c\u200d]/u

/** What somebody else wrote, for one line of a log: what cannot be seen, or would end the line, as \u{…}. */
export const onOneLine = (text: string): string =>
  text.replace(/[\\\p{C}\p{Zl}\p{Zp}]/gu, (sign) =>
    sign === "\\" ? "\\\\" : `\\u{${sign.codePointAt(0)!.toString(16)}}`
  )

/** The text that bytes hold, if it is UTF-8 and all of it can be seen: nothing in it may change how the rest is shown. */
export const textOfBytes = (bytes: Uint8Array): string | undefined => {
  const text = fromUtf8(bytes)
  return text === undefined || unseen.test(text) ? undefined : text
}

/** Bytes as a person may read them: text in quotation marks, or hex. */
export const shownBytes = (bytes: Uint8Array): string => {
  const text = textOfBytes(bytes)
  return text === undefined ? `0x${toHex(bytes)}` : `“${text}”`
}
