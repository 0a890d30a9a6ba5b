/** Addresses: 20 bytes derived from a public key, written as bech32m (BIP 350): its checksum keeps typos from burning coins (L-T4). */
import { bech32m } from "@scure/base"
import type { Brand } from "effect"
import { assert } from "../assert.ts"
import { utf8 } from "../codec/bytes.ts"
import { sha256 } from "./hash.ts"

/** The first 20 bytes of SHA-256("cairn/address" ‖ compressed public key). */
export type Address = Uint8Array & Brand.Brand<"Address">

export const addressBytes = 20
const tag = utf8("cairn/address")
/** Version word before the 20 bytes: room for another kind of address. */
const version = 0

const scratch = new Uint8Array(tag.length + 33)
scratch.set(tag)

/** The address of a compressed public key (33 bytes). */
export const addressOf = (publicKey: Uint8Array): Address => {
  assert(publicKey.length === 33, "an address is that of a compressed public key")
  scratch.set(publicKey, tag.length)
  return sha256(scratch).slice(0, addressBytes) as Uint8Array as Address
}

/** Bech32m text under a chain's prefix, lower case. */
export const formatAddress = (address: Address, prefix: string): string =>
  bech32m.encode(prefix, [version, ...bech32m.toWords(address)], 90)

/** The address of a text, or what is wrong with it in words for a person. */
export const parseAddress = (text: string, prefix: string): Address | { readonly wrong: string } => {
  if (text.length > 90) return { wrong: "is too long for an address" }
  if (text !== text.toLowerCase()) return { wrong: "must be written in lower case" }
  const decoded = bech32m.decodeUnsafe(text, 90)
  if (decoded === undefined) return { wrong: "has a wrong checksum: look for a typo" }
  if (decoded.prefix !== prefix)
    return { wrong: `belongs to another chain: it begins with ${decoded.prefix}1, ours with ${prefix}1` }
  const bytes = bech32m.fromWordsUnsafe(decoded.words.slice(1))
  if (decoded.words[0] !== version || bytes?.length !== addressBytes) return { wrong: "is of an unknown kind" }
  return bytes as Address
}

/** True for the good case of `parseAddress`. */
export const isAddress = (parsed: Address | { readonly wrong: string }): parsed is Address =>
  parsed instanceof Uint8Array

/** Bech32m of 20 bytes under another prefix: names that are not addresses. */
export const formatName = (prefix: string, bytes: Uint8Array): string => bech32m.encode(prefix, bech32m.toWords(bytes))

/** Is it such a name, of 20 bytes? */
export const isName = (prefix: string, text: string): boolean => {
  const decoded = text.length > 90 || text !== text.toLowerCase() ? undefined : bech32m.decodeUnsafe(text, 90)
  return decoded?.prefix === prefix && bech32m.fromWordsUnsafe(decoded.words)?.length === addressBytes
}
