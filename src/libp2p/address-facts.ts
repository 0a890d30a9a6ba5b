/** What an address says: whom and what it reaches, and where it leads. Pure questions; nothing is looked up. */
import { inCidr, type Ip, isLoopback as isLoopbackIp, parseCidr, parseIp } from "../codec/ip.ts"
import type { AddressComponent, Multiaddr, PeerId } from "./contract.ts"
import { cheapFault, Libp2pFault } from "./fault.ts"
import { parseMultiaddr } from "./multiaddr.ts"

const codes = { ip4: 4, tcp: 6, ip6: 41, zone: 42, udp: 273, circuit: 290, p2p: 421 } as const
const nameCodes: ReadonlyArray<number> = [53, 54, 55, 56]

/** The part that says where: an address or a name, behind a zone perhaps. */
const placeOf = (address: Multiaddr): AddressComponent | undefined => {
  const [first, second] = address.getComponents()
  const place = first?.code === codes.zone ? second : first
  return place !== undefined && [codes.ip4, codes.ip6, ...nameCodes].includes(place.code) ? place : undefined
}

/** Its IP address, 4 bytes or 16; of IPv4 in IPv6 the 4. Undefined: it begins with none. */
export const ipOf = (address: Multiaddr): Ip | undefined => {
  const place = placeOf(address)
  return place === undefined || nameCodes.includes(place.code) ? undefined : parseIp(place.value!)
}

/** The name that it begins with, in small letters and without the dot of the root. */
const nameOf = (address: Multiaddr): string | undefined => {
  const place = placeOf(address)
  return place !== undefined && nameCodes.includes(place.code)
    ? place.value!.toLowerCase().replace(/\.$/, "")
    : undefined
}

const cidrs = (texts: ReadonlyArray<string>) => texts.map((text) => parseCidr(text)!)
const among = (networks: ReturnType<typeof cidrs>, ip: Ip): boolean => networks.some((network) => inCidr(ip, network))
const under = (name: string, suffixes: ReadonlyArray<string>): boolean =>
  suffixes.some((suffix) => name === suffix || name.endsWith(`.${suffix}`))

/** Networks of one's own, as go-multiaddr counts them: this machine, a house, a provider's shared space, one link. */
const own = cidrs([
  "127.0.0.0/8",
  "10.0.0.0/8",
  "100.64.0.0/10",
  "172.16.0.0/12",
  "192.168.0.0/16",
  "169.254.0.0/16",
  "::1",
  "fc00::/7",
  "fe80::/10"
])
/** Leads nowhere from anywhere, again as go counts: this host, documentation, tests, multicast, reserved. */
const nowhere = cidrs([
  "0.0.0.0/8",
  "192.0.0.0/26",
  "192.0.2.0/24",
  "192.88.99.0/24",
  "198.18.0.0/15",
  "198.51.100.0/24",
  "203.0.113.0/24",
  "224.0.0.0/3",
  "2001:db8::/32"
])
/** What the internet has of IPv6, and what gateways to IPv4 stand behind. */
const internetV6 = cidrs(["2000::/3", "64:ff9b::/96", "64:ff9b:1::/48"])
/** Names that no one who is elsewhere can look up (RFC 6761, RFC 6762, RFC 8375). */
const ownNames = ["localhost", "in-addr.arpa", "ip6.arpa", "invalid", "home.arpa", "local", "test"]

/** Only who is in the same network, or on this machine, can reach it. False too where it begins with neither address nor name. */
export const isPrivate = (address: Multiaddr): boolean => {
  const ip = ipOf(address)
  if (ip !== undefined) return among(own, ip)
  const name = nameOf(address)
  return name !== undefined && under(name, ["localhost"])
}

/** The whole internet may reach it. Not the contrary of private: documentation and multicast are neither. */
export const isPublic = (address: Multiaddr): boolean => {
  const ip = ipOf(address)
  if (ip !== undefined) return !among(own, ip) && !among(nowhere, ip) && (ip.length === 4 || among(internetV6, ip))
  const name = nameOf(address)
  return name !== undefined && !under(name, ownNames)
}

export const isLoopback = (address: Multiaddr): boolean => {
  const ip = ipOf(address)
  if (ip !== undefined) return isLoopbackIp(ip)
  return under(nameOf(address) ?? "", ["localhost"])
}

/** 0.0.0.0 or "::": what a listener on all addresses says. */
export const isUnspecified = (address: Multiaddr): boolean => ipOf(address)?.every((byte) => byte === 0) ?? false

const partsOf = (address: Multiaddr) => address.getComponents()

/** Does it lead over a relay? */
export const isRelay = (address: Multiaddr): boolean => partsOf(address).some(({ code }) => code === codes.circuit)

/** Text of the peer id that whoever dials it means: the last one. Undefined: it does not say; over a relay: only that of the relay. */
export const peerIdText = (address: Multiaddr): string | undefined => {
  const parts = partsOf(address)
  const circuit = parts.findLastIndex(({ code }) => code === codes.circuit)
  return parts.slice(circuit + 1).findLast(({ code }) => code === codes.p2p)?.value
}

/** What an address over a relay says. */
export interface RelayFacts {
  /** How the relay is reached; with its peer id, if the address says it. */
  readonly relay: Multiaddr | undefined
  readonly relayPeer: string | undefined
  /** Who is behind it. Undefined: the address is that of a reservation. */
  readonly destinationPeer: string | undefined
}

/** Undefined: it leads over no relay, or over more than one. */
export const relayFacts = (address: Multiaddr): RelayFacts | undefined => {
  const parts = partsOf(address)
  const at = parts.findIndex(({ code }) => code === codes.circuit)
  if (at === -1 || parts.findLastIndex(({ code }) => code === codes.circuit) !== at) return undefined
  const before = parts.slice(0, at)
  return {
    relay: at === 0 ? undefined : address.decapsulateCode(codes.circuit),
    relayPeer: before.findLast(({ code }) => code === codes.p2p)?.value,
    destinationPeer: peerIdText(address)
  }
}

const invalid = (what: string): Libp2pFault => cheapFault("input", "InvalidMultiaddrError", what)

/** A fault where `more` is no address, or both together are too long. */
const joined = (address: Multiaddr, more: string): Multiaddr | Libp2pFault => parseMultiaddr(`${address}${more}`)

/** The address at which a peer with a reservation is: that of the relay, with its peer id, and /p2p-circuit. */
export const reservationAddress = (relay: Multiaddr): Multiaddr | Libp2pFault => {
  if (isRelay(relay)) return invalid(`${relay} leads over a relay already`)
  if (peerIdText(relay) === undefined) return invalid(`${relay} does not say which peer the relay is`)
  return joined(relay, "/p2p-circuit")
}

/** How `peer` is reached over that relay, which is told by its own address or by that of a reservation. */
export const destinationAddress = (relay: Multiaddr, peer: PeerId | string): Multiaddr | Libp2pFault => {
  const facts = relayFacts(relay)
  if (facts === undefined) {
    const reserved = reservationAddress(relay)
    return reserved instanceof Libp2pFault ? reserved : joined(reserved, `/p2p/${peer}`)
  }
  if (facts.destinationPeer !== undefined) return invalid(`${relay} leads to a peer already`)
  if (facts.relayPeer === undefined) return invalid(`${relay} does not say which peer the relay is`)
  return joined(relay, `/p2p/${peer}`)
}

/** The address with that peer id at its end, once. */
export const withPeer = (address: Multiaddr, peer: PeerId | string): Multiaddr | Libp2pFault =>
  peerIdText(address) === String(peer) ? address : joined(address, `/p2p/${peer}`)

/** The address without the peer id at its end. */
export const withoutPeer = (address: Multiaddr): Multiaddr =>
  partsOf(address).at(-1)?.code === codes.p2p ? address.decapsulateCode(codes.p2p) : address

/** Where a TCP socket is dialled or listens. */
export interface TcpEndpoint {
  /** An IP address, or a name to be looked up. */
  readonly host: string
  readonly port: number
  /** How the host is to be looked up; undefined: it is an IP address. */
  readonly lookup: "dns" | "dns4" | "dns6" | undefined
}

/**
 * Host and port of an address that is TCP and nothing more, but for a peer id at its end. A fault (unsupported) where another
 * transport stands behind, such as /ws, or a relay; of /dnsaddr, which says no port.
 */
export const toTcpEndpoint = (address: Multiaddr): TcpEndpoint | Libp2pFault => {
  const place = placeOf(address)
  const parts = partsOf(address)
  const zoned = parts[0]?.code === codes.zone
  const [tcp, ...rest] = parts.slice(zoned ? 2 : 1)
  const bare = rest.length === 0 || (rest.length === 1 && rest[0]!.code === codes.p2p)
  if (place === undefined || place.name === "dnsaddr" || tcp?.code !== codes.tcp || !bare)
    return cheapFault("unsupported", "InvalidMultiaddrError", `${address} is not a TCP address`)
  const zone = zoned ? `%${parts[0]!.value}` : ""
  const lookup = nameCodes.includes(place.code) ? (place.name as "dns" | "dns4" | "dns6") : undefined
  return { host: `${place.value}${zone}`, port: Number(tcp.value), lookup }
}

/** The address of a TCP socket's end. `host`: an IP address, of IPv6 with its zone perhaps. A fault (input): it is none. */
export const fromTcpEndpoint = (host: string, port: number): Multiaddr | Libp2pFault => {
  const [bare, zone] = host.split("%") as [string, string | undefined]
  const ip = parseIp(bare)
  if (ip === undefined || !Number.isInteger(port) || port < 0 || port > 0xffff)
    return invalid(`${JSON.stringify(host.slice(0, 64))} port ${port} is no end of a socket`)
  if (ip.length === 4) return parseMultiaddr(`/ip4/${ip.join(".")}/tcp/${port}`)
  return parseMultiaddr(`${zone === undefined ? "" : `/ip6zone/${zone}`}/ip6/${bare}/tcp/${port}`)
}
