/**
 * The protocols that an address may be made of, and the two forms of each one's value (multiformats/multiaddr, protocols.csv).
 * Text is read as go-multiaddr reads it; where we are stricter, the table in docs/libp2p.md says so.
 */
import { fromUtf8, utf8 } from "../codec/bytes.ts"
import { formatIp, parseIp } from "../codec/ip.ts"
import { Libp2pFault } from "./fault.ts"
import { libp2pKeyCodec } from "./cid.ts"
import { decodeBase, decodeMultibase, encodeBase, encodeMultibase } from "./multibase.ts"
import { decodeMultihash, identityCode, sha256Code } from "./multihash.ts"

/** One protocol. */
export interface AddressProtocol {
  readonly code: number
  readonly name: string
  /** Bytes of its value. 0: it has none. -1: as many as a varint before them says. */
  readonly size: number
  /** Its value is all the rest of the text, slashes and all. */
  readonly path: boolean
  readonly form: ValueForm
}

/** How a value is written. Undefined: that is none. */
export interface ValueForm {
  readonly toBytes: (text: string) => Uint8Array | undefined
  /** Only of bytes that `holds` took. */
  readonly toText: (bytes: Uint8Array) => string
  readonly holds: (bytes: Uint8Array) => boolean
}

/** A form of which bytes are checked as they are read from text, too. */
const form = (
  toBytes: ValueForm["toBytes"],
  toText: ValueForm["toText"],
  holds: ValueForm["holds"] = () => true
): ValueForm => ({
  toText,
  holds,
  toBytes: (text) => {
    const bytes = toBytes(text)
    return bytes !== undefined && holds(bytes) ? bytes : undefined
  }
})

const decimal = /^\d{1,32}$/
const bigEndian = (bytes: Uint8Array): bigint => BigInt(`0x${bytes.toHex()}`)

/** A whole number in decimal, in `length` bytes, big-endian. Zeros before it are passed over, as go does. */
const numberOf = (length: number) => (text: string) => {
  const value = decimal.test(text) ? BigInt(text) : undefined
  if (value === undefined || value >= 1n << BigInt(8 * length)) return undefined
  return Uint8Array.fromHex(value.toString(16).padStart(2 * length, "0"))
}
const number = (length: number): ValueForm => form(numberOf(length), (bytes) => bigEndian(bytes).toString())
/** The same in two bytes, as most numbers are. */
const portOf = (text: string): Uint8Array | undefined => {
  const value = decimal.test(text) ? Number(text) : undefined
  return value === undefined || value > 0xffff ? undefined : Uint8Array.of(value >> 8, value & 0xff)
}
const port = form(portOf, (bytes) => String(bytes[0]! * 256 + bytes[1]!))

const mapped = Uint8Array.of(0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff)
const isMapped = (bytes: Uint8Array): boolean => mapped.every((byte, i) => bytes[i] === byte)

const ip4 = form((text) => (text.includes(":") ? undefined : parseIp(text)), formatIp)
/** ::ffff:1.2.3.4 is 16 bytes here, and is written as go writes it. */
const ip6 = form(
  (text) => {
    const bytes = text.includes(":") ? parseIp(text) : undefined
    return bytes?.length === 4 ? Uint8Array.of(...mapped, ...bytes) : bytes
  },
  (bytes) => (isMapped(bytes) ? `::ffff:${formatIp(bytes.subarray(12))}` : formatIp(bytes))
)

/** Text as it stands. `fits`: what it may be. */
const text = (fits: (text: string) => boolean): ValueForm =>
  form(
    utf8,
    (bytes) => fromUtf8(bytes)!,
    (bytes) => {
      const own = fromUtf8(bytes)
      return own !== undefined && fits(own)
    }
  )

/** Letters of any script, digits, "-" and "_" within, and "*" for a certificate of many names. */
const label = /^(?![-])[a-zA-Z0-9_*\-\u0080-\u{10ffff}]{1,63}(?<!-)$/u
/** A name of labels, at most 253 characters (RFC 1035 2.3.4), perhaps with the dot of the root. */
const dns = text((name) => {
  const bare = name.endsWith(".") ? name.slice(0, -1) : name
  return bare.length <= 253 && bare.split(".").every((one) => label.test(one))
})
const segment = text((name) => name.length > 0 && !name.includes("/"))
const path = text((name) => name.length > 1 && name.startsWith("/") && !name.endsWith("/"))

const unreserved = /[A-Za-z0-9\-_.~]/
const percent = (byte: number): string => {
  const character = String.fromCharCode(byte)
  if (unreserved.test(character)) return character
  return character === " " ? "+" : `%${byte.toString(16).toUpperCase().padStart(2, "0")}`
}

/** As in the query of a URL: "+" is a space, anything may stand as %XX. */
const unescaped = (escaped: string): Uint8Array | undefined => {
  const bytes = utf8(escaped)
  let length = 0
  for (let at = 0; at < bytes.length; at++) {
    const byte = bytes[at]!
    if (byte !== 0x25) bytes[length++] = byte === 0x2b ? 0x20 : byte
    else {
      const hex = String.fromCharCode(bytes[at + 1] ?? 0, bytes[at + 2] ?? 0)
      if (!/^[0-9a-fA-F]{2}$/.test(hex)) return undefined
      bytes[length++] = Number.parseInt(hex, 16)
      at += 2
    }
  }
  return bytes.subarray(0, length)
}
const httpPath = form(
  unescaped,
  (bytes) => Array.from(bytes, percent).join(""),
  (bytes) => bytes.length > 0
)

/** A peer id: the key itself, or its SHA-256. */
const isPeerId = (bytes: Uint8Array): boolean => {
  const hash = decodeMultihash(bytes)
  return !(hash instanceof Libp2pFault) && (hash.code === identityCode || hash.code === sha256Code)
}
const orUndefined = (bytes: Uint8Array | Libp2pFault): Uint8Array | undefined =>
  bytes instanceof Libp2pFault ? undefined : bytes
/** base58btc of the multihash, or a CIDv1 of codec libp2p-key in any base. */
const peerBytes = (own: string): Uint8Array | undefined => {
  if (own.startsWith("Qm") || own.startsWith("1")) return orUndefined(decodeBase("base58btc", own))
  const cid = orUndefined(decodeMultibase(own))
  return cid?.[0] === 1 && cid[1] === libp2pKeyCodec ? cid.subarray(2) : undefined
}
const peer = form(peerBytes, (bytes) => encodeBase("base58btc", bytes), isPeerId)
const certhash = form(
  (own) => orUndefined(decodeMultibase(own)),
  (bytes) => encodeMultibase("base64url", bytes),
  (bytes) => !(decodeMultihash(bytes) instanceof Libp2pFault)
)

const letters32 = "abcdefghijklmnopqrstuvwxyz234567"
/** base32 in small letters without padding. Bits that are left over at the end are passed over. */
const fromBase32 = (own: string): Uint8Array | undefined => {
  if ([1, 3, 6].includes(own.length % 8)) return undefined
  const out = new Uint8Array((own.length * 5) >> 3)
  let bits = 0
  let held = 0
  let at = 0
  for (const letter of own) {
    const value = letters32.indexOf(letter)
    if (value === -1) return undefined
    held = ((held << 5) | value) & 0xfff
    bits += 5
    if (bits >= 8) out[at++] = (held >> (bits -= 8)) & 0xff
  }
  return out
}
const toBase32 = (bytes: Uint8Array): string => encodeBase("base32", bytes)

/** A Tor address of `length` bytes and a port that is not 0. */
const onion = (length: number): ValueForm =>
  form(
    (own) => {
      const [host, port, more] = own.split(":")
      const hostBytes = more === undefined ? fromBase32((host ?? "").toLowerCase()) : undefined
      const portBytes = portOf(port ?? "")
      return hostBytes?.length === length && portBytes !== undefined
        ? Uint8Array.of(...hostBytes, ...portBytes)
        : undefined
    },
    (bytes) => `${toBase32(bytes.subarray(0, length))}:${bigEndian(bytes.subarray(length))}`,
    (bytes) => bytes[length] !== 0 || bytes[length + 1] !== 0
  )

const garlic64Letters = /^[A-Za-z0-9~-]+={0,2}$/
/** An I2P destination in base64 with letters of its own: 386 bytes at least. */
const garlic64 = form(
  (own) => {
    if (!garlic64Letters.test(own) || own.length % 4 !== 0) return undefined
    return Uint8Array.fromBase64(own.replaceAll("-", "+").replaceAll("~", "/"))
  },
  (bytes) => bytes.toBase64().replaceAll("+", "-").replaceAll("/", "~"),
  (bytes) => bytes.length >= 386
)
/** 32 bytes, or from 35 on where its lease set is encrypted. */
const garlic32 = form(fromBase32, toBase32, (bytes) => bytes.length === 32 || bytes.length >= 35)

const nothing = form(
  () => undefined,
  () => ""
)

const entry = (code: number, name: string, size = 0, own: ValueForm = nothing, isPath = false): AddressProtocol => ({
  code,
  name,
  size,
  path: isPath,
  form: own
})

/** All that we know, by code. */
export const addressProtocols: ReadonlyArray<AddressProtocol> = [
  entry(4, "ip4", 4, ip4),
  entry(6, "tcp", 2, port),
  entry(33, "dccp", 2, port),
  entry(41, "ip6", 16, ip6),
  entry(42, "ip6zone", -1, segment),
  entry(43, "ipcidr", 1, number(1)),
  entry(53, "dns", -1, dns),
  entry(54, "dns4", -1, dns),
  entry(55, "dns6", -1, dns),
  entry(56, "dnsaddr", -1, dns),
  entry(132, "sctp", 2, port),
  entry(273, "udp", 2, port),
  entry(275, "p2p-webrtc-star"),
  entry(276, "p2p-webrtc-direct"),
  entry(277, "p2p-stardust"),
  entry(280, "webrtc-direct"),
  entry(281, "webrtc"),
  entry(290, "p2p-circuit"),
  entry(301, "udt"),
  entry(302, "utp"),
  entry(400, "unix", -1, path, true),
  entry(421, "p2p", -1, peer),
  entry(443, "https"),
  entry(444, "onion", 12, onion(10)),
  entry(445, "onion3", 37, onion(35)),
  entry(446, "garlic64", -1, garlic64),
  entry(447, "garlic32", -1, garlic32),
  entry(448, "tls"),
  entry(449, "sni", -1, dns),
  entry(454, "noise"),
  entry(460, "quic"),
  entry(461, "quic-v1"),
  entry(465, "webtransport"),
  entry(466, "certhash", -1, certhash),
  entry(477, "ws"),
  entry(478, "wss"),
  entry(479, "p2p-websocket-star"),
  entry(480, "http"),
  entry(481, "http-path", -1, httpPath),
  entry(777, "memory", 8, number(8)),
  entry(7_367_777, "plaintextv2")
]

const byCode = new Map(addressProtocols.map((protocol) => [protocol.code, protocol]))
const byName = new Map(addressProtocols.map((protocol) => [protocol.name, protocol]))
// The old name of p2p.
byName.set("ipfs", byCode.get(421)!)

/** Whose forms are meant where two cannot be told apart by their bytes: /memory, a number for go and rust, any text for js. */
export type AddressDialect = "go" | "js"

const memoryOfJs = entry(777, "memory", -1, segment)
const inDialect = (protocol: AddressProtocol | undefined, dialect: AddressDialect): AddressProtocol | undefined =>
  dialect === "js" && protocol?.code === memoryOfJs.code ? memoryOfJs : protocol

export const protocolOfCode = (code: number, dialect: AddressDialect): AddressProtocol | undefined =>
  inDialect(byCode.get(code), dialect)
export const protocolOfName = (name: string, dialect: AddressDialect): AddressProtocol | undefined =>
  inDialect(byName.get(name), dialect)
