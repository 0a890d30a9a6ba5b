/** Addresses that describe themselves, as text and as bytes (multiformats/multiaddr). What an address says of a peer, address-facts.ts asks. */
import { concatAll, equal } from "../codec/bytes.ts"
import { multiaddrBytesMax, multiaddrCharsMax, multiaddrPartsMax } from "../limits.ts"
import { type AddressDialect, type AddressProtocol, protocolOfCode, protocolOfName } from "./address-protocols.ts"
import type { AddressComponent, Multiaddr } from "./contract.ts"
import { cheapFault, Libp2pFault } from "./fault.ts"
import { encodeVarint, readVarint } from "./varint.ts"

interface Part {
  readonly protocol: AddressProtocol
  readonly value: Uint8Array | undefined
}

const wrong = (kind: "input" | "decode", what: string): Libp2pFault => cheapFault(kind, "InvalidMultiaddrError", what)
const shown = (text: string): string => JSON.stringify(text.length > 64 ? `${text.slice(0, 64)}…` : text)

/** js-multiaddr knows its own by this mark. */
const mark = Symbol.for("@multiformats/multiaddr")

const bytesOfPart = ({ protocol, value }: Part): Uint8Array => {
  const code = encodeVarint(protocol.code)
  if (value === undefined) return code
  return concatAll(protocol.size < 0 ? [code, encodeVarint(value.length), value] : [code, value])
}

const textOfPart = ({ protocol, value }: Part): string => {
  if (value === undefined) return `/${protocol.name}`
  const text = protocol.form.toText(value)
  return protocol.path ? `/${protocol.name}${text}` : `/${protocol.name}/${text}`
}

class Address implements Multiaddr {
  readonly bytes: Uint8Array<ArrayBuffer>
  readonly [mark] = true
  readonly #parts: ReadonlyArray<Part>
  #text: string | undefined

  constructor(parts: ReadonlyArray<Part>, bytes: Uint8Array = concatAll(parts.map(bytesOfPart))) {
    this.#parts = parts
    this.bytes = bytes as Uint8Array<ArrayBuffer>
  }

  toString(): string {
    this.#text ??= this.#parts.length === 0 ? "/" : this.#parts.map(textOfPart).join("")
    return this.#text
  }

  toJSON(): string {
    return this.toString()
  }

  getComponents(): ReadonlyArray<AddressComponent> {
    return this.#parts.map(({ protocol: { code, name, form }, value }) => ({
      code,
      name,
      value: value === undefined ? undefined : form.toText(value)
    }))
  }

  encapsulate(other: Multiaddr | string | Uint8Array): Multiaddr {
    const inner = multiaddr(other)
    const parts = [...this.#parts, ...(inner instanceof Address ? inner.#parts : [])]
    return thrown(bounded(parts))
  }

  decapsulate(other: Multiaddr | string): Multiaddr {
    const wanted = canonical(other)
    const texts = this.#parts.map(textOfPart)
    for (let at = texts.length - 1; at >= 0; at--)
      if (wanted.length > 1 && `${texts.slice(at).join("")}/`.startsWith(`${wanted}/`))
        return new Address(this.#parts.slice(0, at))
    throw new Libp2pFault("input", "InvalidParametersError", `${shown(this.toString())} has no ${shown(wanted)} in it`)
  }

  decapsulateCode(code: number): Multiaddr {
    const at = this.#parts.findLastIndex(({ protocol }) => protocol.code === code)
    return at === -1 ? this : new Address(this.#parts.slice(0, at))
  }

  equals(other: unknown): boolean {
    const bytes = (other as { readonly bytes?: unknown } | null | undefined)?.bytes
    return bytes instanceof Uint8Array && equal(this.bytes, bytes)
  }
}

/** The address of these parts, if they are not too many, and none follows a path. */
const bounded = (parts: ReadonlyArray<Part>): Multiaddr | Libp2pFault => {
  if (parts.length > multiaddrPartsMax) return wrong("input", `an address of more than ${multiaddrPartsMax} parts`)
  const path = parts.findIndex(({ protocol }) => protocol.path)
  if (path !== -1 && path < parts.length - 1) return wrong("input", `something follows ${parts[path]!.protocol.name}`)
  const address = new Address(parts)
  return address.bytes.length > multiaddrBytesMax
    ? wrong("input", `an address of more than ${multiaddrBytesMax} bytes`)
    : address
}

const thrown = (result: Multiaddr | Libp2pFault): Multiaddr => {
  if (result instanceof Libp2pFault) throw result
  return result
}

/** The text of an address, or the beginning of one that ends in a name without its value: "/tcp". */
const canonical = (other: Multiaddr | string): string => {
  if (typeof other !== "string") return other.toString()
  const parsed = parseMultiaddr(other)
  return parsed instanceof Libp2pFault ? other : parsed.toString()
}

/** The value of `protocol` at `offset`, and where it ends. */
const readValue = (
  protocol: AddressProtocol,
  bytes: Uint8Array,
  offset: number
): { readonly value: Uint8Array; readonly end: number } | undefined => {
  const length = protocol.size > 0 ? { value: protocol.size, end: offset } : readVarint(bytes, offset)
  if (length === undefined || length instanceof Libp2pFault) return undefined
  const end = length.end + length.value
  if (end > bytes.length) return undefined
  const value = bytes.subarray(length.end, end)
  return protocol.form.holds(value) ? { value, end } : undefined
}

/** `bytes` are kept, not copied. */
const decodeParts = (bytes: Uint8Array, dialect: AddressDialect): Multiaddr | Libp2pFault => {
  const parts: Array<Part> = []
  for (let offset = 0; offset < bytes.length; ) {
    const last = parts.at(-1)?.protocol
    if (parts.length === multiaddrPartsMax) return wrong("decode", `an address of more than ${multiaddrPartsMax} parts`)
    if (last?.path) return wrong("decode", `something follows ${last.name}, which is the last part`)
    const code = readVarint(bytes, offset)
    if (code === undefined || code instanceof Libp2pFault) return wrong("decode", "a protocol's code is no varint")
    const protocol = protocolOfCode(code.value, dialect)
    if (protocol === undefined) return wrong("decode", `no protocol has the code ${code.value}`)
    const at = protocol.size === 0 ? { value: undefined, end: code.end } : readValue(protocol, bytes, code.end)
    if (at === undefined) return wrong("decode", `what stands for the value of ${protocol.name} is none`)
    parts.push({ protocol, value: at.value })
    offset = at.end
  }
  return new Address(parts, bytes)
}

/** An address from outside. The bytes are copied. */
export const decodeMultiaddr = (bytes: Uint8Array, dialect: AddressDialect = "go"): Multiaddr | Libp2pFault => {
  if (bytes.length === 0) return wrong("decode", "an address of no bytes")
  if (bytes.length > multiaddrBytesMax) return wrong("decode", `an address of more than ${multiaddrBytesMax} bytes`)
  return decodeParts(bytes.slice(), dialect)
}

/** The protocol of a name, or the fault. */
const named = (name: string, dialect: AddressDialect): AddressProtocol | Libp2pFault =>
  protocolOfName(name, dialect) ??
  wrong("input", name === "" ? "two slashes follow one another" : `no protocol has the name ${shown(name)}`)

const partsOf = (text: string, end: number, dialect: AddressDialect): ReadonlyArray<Part> | Libp2pFault => {
  const parts: Array<Part> = []
  const next = (from: number): number => {
    const at = text.indexOf("/", from)
    return at === -1 || at > end ? end : at
  }
  for (let at = 1; at < end; ) {
    const nameEnd = next(at)
    const protocol = named(text.slice(at, nameEnd), dialect)
    if (protocol instanceof Libp2pFault) return protocol
    at = nameEnd + 1
    if (protocol.size === 0) {
      parts.push({ protocol, value: undefined })
      continue
    }
    const valueEnd = protocol.path ? end : next(at)
    const own = at >= end ? "" : text.slice(protocol.path ? at - 1 : at, valueEnd)
    const value = own === "" ? undefined : protocol.form.toBytes(own)
    if (value === undefined) return wrong("input", `${shown(own)} is no value of ${protocol.name}`)
    parts.push({ protocol, value })
    at = valueEnd + 1
  }
  return parts
}

/** An address as text: it begins with a slash, and any number of them may stand at its end. */
export const parseMultiaddr = (text: string, dialect: AddressDialect = "go"): Multiaddr | Libp2pFault => {
  if (text.length > multiaddrCharsMax) return wrong("input", `an address of more than ${multiaddrCharsMax} characters`)
  if (!text.startsWith("/")) return wrong("input", `an address begins with a slash: ${shown(text)}`)
  let end = text.length
  while (end > 0 && text[end - 1] === "/") end--
  if (end === 0) return wrong("input", "an address of no parts")
  const parts = partsOf(text, end, dialect)
  return parts instanceof Libp2pFault ? parts : bounded(parts)
}

/** What js-libp2p takes for an address. Throws a Libp2pFault of kind input or decode. */
export const multiaddr = (input: string | Uint8Array | Multiaddr): Multiaddr => {
  if (input instanceof Address) return input
  if (typeof input === "string") return thrown(parseMultiaddr(input))
  if (input instanceof Uint8Array) return thrown(decodeMultiaddr(input))
  if (isMultiaddr(input)) return thrown(decodeMultiaddr(input.bytes))
  throw new Libp2pFault("input", "InvalidMultiaddrError", "an address is a text, bytes, or an address")
}

/** One of ours, or of js-multiaddr. */
export const isMultiaddr = (value: unknown): value is Multiaddr =>
  (value as { readonly [mark]?: unknown } | null | undefined)?.[mark] === true
