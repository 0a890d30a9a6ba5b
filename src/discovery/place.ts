/**
 * Where an endpoint is, by its text alone: nothing is looked up and nobody is called. A place that nobody can dial, or each
 * caller would find at home, is of no use to others.
 */
import { formatEndpoint, parseEndpoint } from "../config.ts"
import { endpointCharsMax } from "../limits.ts"

/** `unspecified`: every address of whoever listens, and none to dial. `local`: this machine or link, whoever asks. */
export type Place = "elsewhere" | "local" | "unspecified" | "invalid"

/** The four numbers of an IPv4 address in its one usual form. */
const ipv4 = (text: string): ReadonlyArray<number> | undefined => {
  if (!/^(?:(?:0|[1-9]\d{0,2})\.){3}(?:0|[1-9]\d{0,2})$/.test(text)) return undefined
  const parts = text.split(".").map(Number)
  return parts.every((part) => part < 256) ? parts : undefined
}

/** The eight numbers of an IPv6 address, in any of its forms. */
const ipv6 = (text: string): ReadonlyArray<number> | undefined => {
  const embedded = /^(.*:)([^:]*\..*)$/.exec(text)
  const four = embedded === null ? undefined : ipv4(embedded[2]!)
  if (embedded !== null && four === undefined) return undefined
  const [a = 0, b = 0, c = 0, d = 0] = four ?? []
  const plain = four === undefined ? text : `${embedded![1]}${(a * 256 + b).toString(16)}:${(c * 256 + d).toString(16)}`
  const halves = plain.split("::")
  if (halves.length > 2) return undefined
  const [left = [], right = []] = halves.map((half) => (half === "" ? [] : half.split(":")))
  if (![...left, ...right].every((group) => /^[0-9a-fA-F]{1,4}$/.test(group))) return undefined
  const missing = 8 - left.length - right.length
  if (halves.length === 2 ? missing < 1 : missing !== 0) return undefined
  return [...left, ...Array.from({ length: missing }, () => "0"), ...right].map((group) => Number.parseInt(group, 16))
}

const placeOfIpv4 = ([a = 0, b = 0]: ReadonlyArray<number>): Place => {
  if (a === 0) return "unspecified"
  // Multicast, reserved and broadcast are no node.
  if (a >= 224) return "invalid"
  return a === 127 || (a === 169 && b === 254) ? "local" : "elsewhere"
}

const placeOfIpv6 = (groups: ReadonlyArray<number>): Place => {
  const zeros = groups.findIndex((group) => group !== 0)
  if (zeros === -1) return "unspecified"
  const [first = 0, , , , , mark = 0, high = 0, low = 0] = groups
  // ::ffff:a.b.c.d is that IPv4 address.
  if (zeros === 5 && mark === 0xffff) return placeOfIpv4([high >> 8, high & 0xff, low >> 8, low & 0xff])
  if (first >> 8 === 0xff) return "invalid"
  return (zeros === 7 && low === 1) || (first & 0xffc0) === 0xfe80 ? "local" : "elsewhere"
}

const label = /^[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?$/

const placeOfHost = (host: string): Place => {
  if (host.includes(":")) {
    const groups = ipv6(host)
    return groups === undefined ? "invalid" : placeOfIpv6(groups)
  }
  const labels = host.split(".")
  // What ends in a number is an IPv4 address to those who resolve it, in forms that hide which.
  if (/^(?:\d+|0x[0-9a-f]*)$/.test(labels.at(-1)!)) {
    const four = ipv4(host)
    return four === undefined ? "invalid" : placeOfIpv4(four)
  }
  if (!labels.every((one) => label.test(one))) return "invalid"
  return labels.at(-1) === "localhost" ? "local" : "elsewhere"
}

/** Where host:port is. Only the usual form of a text is valid: lower case, no zeros before the port. */
export const placeOf = (endpoint: string): Place => {
  if (endpoint.length > endpointCharsMax || endpoint !== endpoint.toLowerCase()) return "invalid"
  const at = parseEndpoint(endpoint)
  return at === undefined || formatEndpoint(at.host, at.port) !== endpoint ? "invalid" : placeOfHost(at.host)
}

/** Who counts as one caller: an IPv4 address, or the /64 that one customer has of IPv6. */
export const sourceOf = (address: string): string => {
  const groups = address.includes(":") ? ipv6(address.replace(/%.*$/, "")) : undefined
  if (groups === undefined) return address
  const [high = 0, low = 0] = groups.slice(6)
  const mapped = groups.slice(0, 5).every((group) => group === 0) && groups[5] === 0xffff
  if (mapped) return [high >> 8, high & 0xff, low >> 8, low & 0xff].join(".")
  return `${groups
    .slice(0, 4)
    .map((group) => group.toString(16))
    .join(":")}::/64`
}
