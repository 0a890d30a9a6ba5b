/** The name of a chain as every signed transaction carries it. */
import { chainIdBytesMax } from "../limits.ts"

const form = /^[a-z0-9-]+$/

/** True for what may be a chain id: 1 to 32 of a-z, 0-9 and hyphen. */
export const isChainId = (text: string): boolean => text.length <= chainIdBytesMax && form.test(text)

/** ASCII of a few bytes; other bytes come out as what `isChainId` refuses. */
export const fromAscii = (bytes: Uint8Array, offset: number, length: number): string => {
  let text = ""
  for (let i = offset; i < offset + length; i++) text += String.fromCharCode(bytes[i]!)
  return text
}
