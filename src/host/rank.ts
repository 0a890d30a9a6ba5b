/** Which addresses of a peer are tried, and in which order. */
import { isLoopback, isPrivate, isRelay, toTcpEndpoint } from "../libp2p/address-facts.ts"
import type { Multiaddr } from "../libp2p/contract.ts"
import { Libp2pFault } from "../libp2p/fault.ts"
import type { Address } from "./api.ts"

/** Is it TCP and nothing more? That is the transport that we have. */
export const isDialableAddress = (address: Multiaddr): boolean => !(toTcpEndpoint(address) instanceof Libp2pFault)

/** Lower is better: direct before relayed, signed before told, public before private before loopback. */
const rankOf = ({ multiaddr, isCertified }: Address): number =>
  (isRelay(multiaddr) ? 8 : 0) + (isLoopback(multiaddr) ? 4 : isPrivate(multiaddr) ? 2 : 0) + (isCertified ? 0 : 1)

export const defaultAddressSorter = (a: Address, b: Address): -1 | 0 | 1 => {
  const difference = rankOf(a) - rankOf(b)
  return difference < 0 ? -1 : difference > 0 ? 1 : 0
}
