/**
 * Where a host is, as far as its text says: nothing is looked up. Who rents one network has all its addresses, so hosts
 * count by network, and only what whole networks cost an attacker is counted on.
 */
import { formatIp, type Ip, isLoopback, isPrivate, networkOf, parseIp } from "../codec/ip.ts"
import { parseEndpoint, parsePlace } from "../config.ts"

/** Who can reach a host: this machine, those in a network of one's own, everybody. */
export type Reach = "loopback" | "private" | "public"

export interface Net {
  readonly reach: Reach
  /** The host in the one way to write it; of IPv6 the /64, which is one customer. */
  readonly site: string
  /** IPv4 /24, IPv6 /48. Of what is not public: the host itself, for a network of one's own is one network. */
  readonly subnet: string
  /** What an attacker pays for: IPv4 /16, IPv6 /32; all names are one. Of what is not public: the endpoint itself. */
  readonly group: string
}

const cut = (ip: Ip, bits: number): string => `${formatIp(networkOf(ip, bits))}/${bits}`

/** A name that only a network of one's own knows: of one label, or under a suffix that no registry gives away. */
const ownName = /^[^.]+$|\.(local|internal|lan|home\.arpa)$/

const netOfName = (name: string, port: number): Net => {
  const reach: Reach = /(^|\.)localhost$/.test(name) ? "loopback" : ownName.test(name) ? "private" : "public"
  if (reach === "public") return { reach, site: name, subnet: name, group: "names" }
  return { reach, site: name, subnet: name, group: `${name}:${port}` }
}

/** Where host and port are. The port tells apart what shares a host that is not public. */
export const netOf = (host: string, port = 0): Net => {
  const ip = parseIp(host.replace(/%.*$/, ""))
  if (ip === undefined) return netOfName(host.toLowerCase(), port)
  const text = formatIp(ip)
  if (isLoopback(ip)) return { reach: "loopback", site: text, subnet: text, group: `${text}:${port}` }
  if (isPrivate(ip)) return { reach: "private", site: text, subnet: text, group: `${text}:${port}` }
  const [a, b, c] = ip
  return ip.length === 4
    ? { reach: "public", site: text, subnet: `${a}.${b}.${c}.0/24`, group: `${a}.${b}.0.0/16` }
    : { reach: "public", site: cut(ip, 64), subnet: cut(ip, 48), group: cut(ip, 32) }
}

/** Where host:port or a node's multiaddr is; undefined: it is neither. */
export const netOfEndpoint = (endpoint: string): Net | undefined => {
  const at = parsePlace(endpoint)
  return at === undefined ? undefined : netOf(at.host, at.port)
}

const width: Readonly<Record<Reach, number>> = { loopback: 0, private: 1, public: 2 }

/**
 * May who is at `from` tell of an endpoint at `of`? Nobody from outside names places inside: they would have us knock at the
 * doors of our own network.
 */
export const mayTell = (from: Reach, of: Reach): boolean => width[of] >= width[from]

/** Is the host, alone or with this port, on the list? An empty list has all. */
export const isListed = (list: ReadonlyArray<string>, host: string, port?: number): boolean => {
  if (list.length === 0) return true
  const bare = (text: string): string => text.toLowerCase().replace(/^\[(.*)\]$/, "$1")
  const own = bare(host)
  return list.some((entry) => {
    const at = parseEndpoint(entry)
    return at === undefined ? bare(entry) === own : bare(at.host) === own && (port === undefined || at.port === port)
  })
}
