/**
 * Addresses of the internet as text and bytes, the networks they lie in, and which of them are no business of strangers.
 * An address has 4 bytes or 16. An IPv4 address in IPv6 clothes (::ffff:1.2.3.4) reads as the 4 bytes that it means.
 */

/** 4 bytes or 16, the first one leading. */
export type Ip = Uint8Array

/** A network: the first `bits` of `bytes`, all others 0. */
export interface Cidr {
  readonly bytes: Ip
  readonly bits: number
}

const v4Part = /^(0|[1-9]\d{0,2})$/
const v6Part = /^[0-9a-f]{1,4}$/

/** Four decimals, each without a leading zero: some read those as octal. */
const parseV4 = (text: string): Ip | undefined => {
  const parts = text.split(".")
  if (parts.length !== 4 || !parts.every((part) => v4Part.test(part) && Number(part) < 256)) return undefined
  return Uint8Array.from(parts, Number)
}

/** The groups of one side of "::", two bytes each; the last may be an IPv4 address. */
const groups = (text: string): ReadonlyArray<number> | undefined => {
  if (text === "") return []
  const bytes: Array<number> = []
  const parts = text.split(":")
  for (const [i, part] of parts.entries()) {
    const v4 = i === parts.length - 1 && part.includes(".") ? parseV4(part) : undefined
    if (v4 !== undefined) bytes.push(...v4)
    else if (v6Part.test(part)) bytes.push(Number.parseInt(part, 16) >> 8, Number.parseInt(part, 16) & 255)
    else return undefined
  }
  return bytes
}

const parseV6 = (text: string): Ip | undefined => {
  const sides = text.toLowerCase().split("::")
  if (sides.length > 2) return undefined
  // Of an address with "::" only the last side may end in an IPv4 address.
  if (sides.length === 2 && sides[0]!.includes(".")) return undefined
  const head = groups(sides[0]!)
  const tail = groups(sides[1] ?? "")
  if (head === undefined || tail === undefined) return undefined
  const given = head.length + tail.length
  // "::" stands for one group of zeros at least.
  if (sides.length === 1 ? given !== 16 : given > 14) return undefined
  const bytes = new Uint8Array(16)
  bytes.set(head)
  bytes.set(tail, 16 - tail.length)
  return bytes
}

const startsWith = (bytes: Ip, prefix: ReadonlyArray<number>): boolean => prefix.every((byte, i) => bytes[i] === byte)

const mappedPrefix = [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff]
/** IPv4 as IPv6 sockets and NAT64 gateways write it (RFC 4291 2.5.5.2, RFC 6052). */
const unmapped = (bytes: Ip): Ip => (bytes.length === 16 && startsWith(bytes, mappedPrefix) ? bytes.slice(12) : bytes)

/** An address without brackets, port or zone; undefined: it is none. */
export const parseIp = (text: string): Ip | undefined => {
  if (text.length > 45) return undefined
  if (!text.includes(":")) return parseV4(text)
  const bytes = parseV6(text)
  return bytes === undefined ? undefined : unmapped(bytes)
}

/** The one way to write it (RFC 5952): lower case, the first of the longest runs of zeros as "::". */
export const formatIp = (bytes: Ip): string => {
  if (bytes.length === 4) return bytes.join(".")
  const parts = Array.from({ length: 8 }, (_, i) => (bytes[2 * i]! << 8) | bytes[2 * i + 1]!)
  const runAt = (from: number): number => {
    const end = parts.findIndex((part, i) => i >= from && part !== 0)
    return (end === -1 ? 8 : end) - from
  }
  const runs = parts.map((_, i) => runAt(i))
  const longest = Math.max(...runs)
  const hex = (some: ReadonlyArray<number>): string => some.map((part) => part.toString(16)).join(":")
  if (longest < 2) return hex(parts)
  const start = runs.indexOf(longest)
  return `${hex(parts.slice(0, start))}::${hex(parts.slice(start + longest))}`
}

/** The address with all but the first bits cleared: of IPv4 /24 and of IPv6 /48 one site, IPv6 /64 one client. */
export const networkOf = (bytes: Ip, bits: number): Ip =>
  bytes.map((byte, i) => byte & (0xff00 >> Math.max(0, Math.min(8, bits - 8 * i))) & 0xff)

/**
 * Who is counted as one client, as text: an address of IPv4, the /64 of one of IPv6, for whoever has one address of it has
 * them all. A zone is left out; what is no address stands for itself.
 */
export const clientOf = (host: string): string => {
  const ip = parseIp(host.replace(/%.*$/, ""))
  if (ip === undefined) return host
  return ip.length === 4 ? formatIp(ip) : `${formatIp(networkOf(ip, 64))}/64`
}

/** 10.0.0.0/8, fd00::/8, or an address for itself alone. Undefined: it is neither, or bits are set beyond the network's. */
export const parseCidr = (text: string): Cidr | undefined => {
  const match = /^([^/]+)(?:\/(\d{1,3}))?$/.exec(text)
  const bytes = match === null ? undefined : parseIp(match[1]!)
  if (match === null || bytes === undefined) return undefined
  const all = bytes.length * 8
  // ::ffff:10.0.0.0/104 has been read as 10.0.0.0: its first 96 bits are gone.
  const gone = bytes.length === 4 && match[1]!.includes(":") ? 96 : 0
  const bits = match[2] === undefined ? all : Number(match[2]) - gone
  if (bits < 0 || bits > all) return undefined
  return networkOf(bytes, bits).every((byte, i) => byte === bytes[i]) ? { bytes, bits } : undefined
}

/** Does the address lie in the network? One of IPv4 lies in none of IPv6, and the other way round. */
export const inCidr = (address: Ip, { bytes, bits }: Cidr): boolean => {
  const own = unmapped(address)
  return own.length === bytes.length && networkOf(own, bits).every((byte, i) => byte === bytes[i])
}

const cidrs = (list: ReadonlyArray<string>): ReadonlyArray<Cidr> => list.map((text) => parseCidr(text)!)

const loopback = cidrs(["127.0.0.0/8", "::1"])
/**
 * What IANA's registries of special purpose addresses do not give to the whole internet: this host, private use, shared
 * by a provider, loopback, link-local (the metadata service of clouds lies there), protocols, documentation, old 6to4
 * relays, benchmarks, multicast, reserved and broadcast.
 */
const specialV4 = cidrs([
  "0.0.0.0/8",
  "10.0.0.0/8",
  "100.64.0.0/10",
  "127.0.0.0/8",
  "169.254.0.0/16",
  "172.16.0.0/12",
  "192.0.0.0/24",
  "192.0.2.0/24",
  "192.88.99.0/24",
  "192.168.0.0/16",
  "198.18.0.0/15",
  "198.51.100.0/24",
  "203.0.113.0/24",
  "224.0.0.0/3"
])
/** Of IPv6 the internet has 2000::/3; these lie in it and are something else: protocols and Teredo, documentation, 6to4. */
const internetV6 = parseCidr("2000::/3")!
const specialV6 = cidrs(["2001::/23", "2001:db8::/32", "2002::/16", "3fff::/20"])
/** Behind it a gateway reaches the IPv4 address of the last four bytes. */
const nat64 = parseCidr("64:ff9b::/96")!

/** Is it this machine? */
export const isLoopback = (address: Ip): boolean => loopback.some((network) => inCidr(address, network))

/** Is it an address that the whole internet does not reach, so that whoever names it means something beside us? */
export const isPrivate = (address: Ip): boolean => {
  const own = unmapped(address)
  if (own.length === 4) return specialV4.some((network) => inCidr(own, network))
  if (inCidr(own, nat64)) return isPrivate(own.slice(12))
  return !inCidr(own, internetV6) || specialV6.some((network) => inCidr(own, network))
}
