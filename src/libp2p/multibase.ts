/**
 * Bytes as text, and the letter before it that says how (multiformats, "multibase"). One text for the same bytes: no padding,
 * no upper case, no bits left over; anything else is refused.
 */
import { cheapFault, Libp2pFault } from "./fault.ts"

export type Base = "base16" | "base32" | "base36" | "base58btc" | "base64url"

const prefixes: Readonly<Record<Base, string>> = {
  base16: "f",
  base32: "b",
  base36: "k",
  base58btc: "z",
  base64url: "u"
}
const bases = new Map(Object.entries(prefixes).map(([base, prefix]) => [prefix, base as Base]))

/** Characters of a text in base36 or base58btc, whose work grows with the square: twice the longest CID that is a peer id. */
export const numberTextMax = 256
/** Characters of a text in the other bases. */
export const bitTextMax = 8_192

const wrong = (base: Base, what: string): Libp2pFault =>
  cheapFault("decode", "InvalidParametersError", `${base}: ${what}`)

/** Values of the characters by their code; -1: none. */
const valuesOf = (alphabet: string): Int8Array => {
  const values = new Int8Array(128).fill(-1)
  for (let i = 0; i < alphabet.length; i++) values[alphabet.charCodeAt(i)] = i
  return values
}

interface Codec {
  readonly encode: (bytes: Uint8Array) => string
  readonly decode: (text: string) => Uint8Array | Libp2pFault
}

/** Each character is `width` bits (RFC 4648). */
const bitCodec = (base: Base, alphabet: string, width: number): Codec => {
  const values = valuesOf(alphabet)
  const encode = (bytes: Uint8Array): string => {
    let text = ""
    let kept = 0
    let bits = 0
    for (const byte of bytes) {
      kept = ((kept << 8) | byte) & 0xffff
      for (bits += 8; bits >= width; ) {
        bits -= width
        text += alphabet[(kept >> bits) & (alphabet.length - 1)]
      }
    }
    return bits === 0 ? text : text + alphabet[(kept << (width - bits)) & (alphabet.length - 1)]
  }
  const decode = (text: string): Uint8Array | Libp2pFault => {
    if (text.length > bitTextMax) return wrong(base, `more than ${bitTextMax} characters`)
    const out = new Uint8Array(Math.floor((text.length * width) / 8))
    let at = 0
    let kept = 0
    let bits = 0
    for (let i = 0; i < text.length; i++) {
      const value = values[text.charCodeAt(i)] ?? -1
      if (value < 0) return wrong(base, "a character is not of its alphabet")
      kept = ((kept << width) | value) & 0xffff
      bits += width
      if (bits < 8) continue
      bits -= 8
      out[at++] = kept >> bits
    }
    if (bits >= width || (kept & ((1 << bits) - 1)) !== 0) return wrong(base, "bits are left over")
    return out
  }
  return { encode, decode }
}

/** Digits, the first one leading, as limbs of `width` digits: so many times fewer, and the work falls with the square. */
const packed = (digits: ArrayLike<number>, radix: number, width: number): ReadonlyArray<number> => {
  const limbs: Array<number> = []
  let limb = 0
  for (let i = 0; i < digits.length; i++) {
    limb = limb * radix + digits[i]!
    if ((digits.length - 1 - i) % width !== 0) continue
    limbs.push(limb)
    limb = 0
  }
  return limbs
}

/** The digits of limbs, least first both, without zeros before the number. */
const unpacked = (limbs: ReadonlyArray<number>, radix: number, width: number): Array<number> => {
  const digits: Array<number> = []
  for (const limb of limbs)
    for (let i = 0, rest = limb; i < width; i++) {
      const more = Math.floor(rest / radix)
      digits.push(rest - more * radix)
      rest = more
    }
  while (digits.at(-1) === 0) digits.pop()
  return digits
}

/** Limbs, the first one leading, in another radix, least first. The product of both radixes is below 2^52. */
const convert = (limbs: ReadonlyArray<number>, from: number, to: number): ReadonlyArray<number> => {
  const out: Array<number> = []
  for (const limb of limbs) {
    let carry = limb
    for (let i = 0; i < out.length; i++) {
      const sum = out[i]! * from + carry
      // Below 2^52 the quotient is never rounded up to a whole one, and this is cheaper than a remainder.
      carry = Math.floor(sum / to)
      out[i] = sum - carry * to
    }
    for (; carry > 0; carry = Math.floor(carry / to)) out.push(carry % to)
  }
  return out
}

/** The bytes are one large number; each zero byte before it is one first letter of the alphabet. */
const numberCodec = (base: Base, alphabet: string): Codec => {
  const radix = alphabet.length
  const values = valuesOf(alphabet)
  const zerosOf = <A>(items: ArrayLike<A>, zero: A): number => {
    let count = 0
    while (count < items.length && items[count] === zero) count++
    return count
  }
  const limbRadix = radix ** 4
  const encode = (bytes: Uint8Array): string => {
    let text = alphabet[0]!.repeat(zerosOf(bytes, 0))
    const digits = unpacked(convert(packed(bytes, 256, 3), 2 ** 24, limbRadix), radix, 4)
    for (let i = digits.length - 1; i >= 0; i--) text += alphabet[digits[i]!]
    return text
  }
  const decode = (text: string): Uint8Array | Libp2pFault => {
    if (text.length > numberTextMax) return wrong(base, `more than ${numberTextMax} characters`)
    const digits = new Int8Array(text.length)
    for (let i = 0; i < text.length; i++) digits[i] = values[text.charCodeAt(i)] ?? -1
    if (digits.includes(-1)) return wrong(base, "a character is not of its alphabet")
    const bytes = unpacked(convert(packed(digits, radix, 4), limbRadix, 2 ** 24), 256, 3)
    const zeros = zerosOf(digits, 0)
    const out = new Uint8Array(zeros + bytes.length)
    out.set(bytes.reverse(), zeros)
    return out
  }
  return { encode, decode }
}

const codecs: Readonly<Record<Base, Codec>> = {
  base16: bitCodec("base16", "0123456789abcdef", 4),
  base32: bitCodec("base32", "abcdefghijklmnopqrstuvwxyz234567", 5),
  base36: numberCodec("base36", "0123456789abcdefghijklmnopqrstuvwxyz"),
  base58btc: numberCodec("base58btc", "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz"),
  base64url: bitCodec("base64url", "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_", 6)
}

/** The text of bytes without the letter before it. */
export const encodeBase = (base: Base, bytes: Uint8Array): string => codecs[base].encode(bytes)

/** The bytes of such a text. A fault (decode): it is too long, or not the one text of any bytes. */
export const decodeBase = (base: Base, text: string): Uint8Array | Libp2pFault => codecs[base].decode(text)

/** The text of bytes behind the letter of its base. */
export const encodeMultibase = (base: Base, bytes: Uint8Array): string => prefixes[base] + encodeBase(base, bytes)

/** The bytes of a text that says its base. A fault: decode, or unsupported for a letter that is none of ours. */
export const decodeMultibase = (text: string): Uint8Array | Libp2pFault => {
  const base = bases.get(text.charAt(0))
  return base === undefined
    ? cheapFault("unsupported", "InvalidParametersError", "the first letter is of no base that is known")
    : decodeBase(base, text.slice(1))
}
