/** From addresses with names to addresses that can be dialled: /dns, /dns4, /dns6 and /dnsaddr, with bounds on depth and count. */
import type { Multiaddr } from "../libp2p/contract.ts"
import { Libp2pFault } from "../libp2p/fault.ts"
import { peerIdText } from "../libp2p/address-facts.ts"
import { parseMultiaddr } from "../libp2p/multiaddr.ts"
import { resolveDepthMax, resolvedAddressesMax, resolvedNamesMax } from "./limits.ts"
import type { World } from "./world.ts"

const nameKinds = new Set(["dns", "dns4", "dns6", "dnsaddr"])
const dnsaddrPrefix = "dnsaddr="

interface Search {
  readonly resolve: World["resolve"]
  readonly signal: AbortSignal | undefined
  readonly found: Map<string, Multiaddr>
  readonly seen: Set<string>
  names: number
  fault: Libp2pFault | undefined
}

/** The address with another text in place of its first part. */
const replaced = (address: Multiaddr, first: string): Multiaddr | undefined => {
  const rest = address
    .getComponents()
    .slice(1)
    .map(({ name, value }) => (value === undefined ? `/${name}` : `/${name}/${value}`))
    .join("")
  const made = parseMultiaddr(`${first}${rest}`)
  return made instanceof Libp2pFault ? undefined : made
}

/** What one name stands for; a name that does not resolve stands for nothing. */
const lookUp = async (search: Search, name: string, record: "A" | "AAAA" | "TXT"): Promise<ReadonlyArray<string>> => {
  if (search.names >= resolvedNamesMax) return []
  search.names++
  try {
    return await search.resolve(name, record, search.signal)
  } catch (error) {
    if (search.signal?.aborted === true) throw error
    if (error instanceof Libp2pFault) search.fault = error
    return []
  }
}

const hosts = async (search: Search, address: Multiaddr, name: string, kind: string): Promise<Array<Multiaddr>> => {
  const four = kind === "dns6" ? [] : await lookUp(search, name, "A")
  const six = kind === "dns4" ? [] : await lookUp(search, name, "AAAA")
  return [...four.map((ip) => `/ip4/${ip}`), ...six.map((ip) => `/ip6/${ip}`)]
    .map((first) => replaced(address, first))
    .filter((made) => made !== undefined)
}

/** The TXT records of _dnsaddr.<name>; of a name with a peer id behind it only those of that peer. */
const records = async (search: Search, address: Multiaddr, name: string): Promise<Array<Multiaddr>> => {
  const wanted = peerIdText(address)
  const texts = await lookUp(search, `_dnsaddr.${name}`, "TXT")
  return texts
    .filter((text) => text.startsWith(dnsaddrPrefix))
    .map((text) => parseMultiaddr(text.slice(dnsaddrPrefix.length)))
    .filter((made): made is Multiaddr => !(made instanceof Libp2pFault))
    .filter((made) => wanted === undefined || peerIdText(made) === wanted)
}

const walk = async (search: Search, address: Multiaddr, depth: number): Promise<void> => {
  const text = address.toString()
  if (search.seen.has(text) || search.found.size >= resolvedAddressesMax) return
  search.seen.add(text)
  const first = address.getComponents()[0]
  if (first?.value === undefined || !nameKinds.has(first.name)) {
    search.found.set(text, address)
    return
  }
  if (depth >= resolveDepthMax) return
  const next =
    first.name === "dnsaddr"
      ? await records(search, address, first.value)
      : await hosts(search, address, first.value, first.name)
  for (const made of next) await walk(search, made, depth + 1)
}

/**
 * Addresses without names, each once. What does not resolve is left out; where nothing is left, the last fault of the resolver
 * is thrown if there was one. Rejects when the signal aborts.
 */
export const resolveAddresses = async (
  addresses: ReadonlyArray<Multiaddr>,
  resolve: World["resolve"],
  signal?: AbortSignal
): Promise<Array<Multiaddr>> => {
  const search: Search = { resolve, signal, found: new Map(), seen: new Set(), names: 0, fault: undefined }
  for (const address of addresses) await walk(search, address, 0)
  if (search.found.size === 0 && search.fault !== undefined) throw search.fault
  return [...search.found.values()]
}
