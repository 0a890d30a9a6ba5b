/** Which of the places that an announcement names are worth a dial: none that lead back to who reads it, or into his own network. */
import { toHex } from "../codec/bytes.ts"
import { isLoopback, isPrivate, parseIp } from "../codec/ip.ts"
import { parseEndpoint } from "../config.ts"
import { placeOf } from "../discovery/place.ts"

/**
 * A place on this machine is worth something only to who heard of it on this machine, one of a private network only to who heard
 * of it from a private network. A name is looked up by who dials it.
 */
export const isDialable = (endpoint: string, from: string): boolean => {
  const place = placeOf(endpoint)
  if (place === "invalid" || place === "unspecified") return false
  const [there, here] = [parseIp(parseEndpoint(endpoint)!.host), parseIp(from)]
  if (place === "local") return here !== undefined && isLoopback(here)
  return there === undefined || !isPrivate(there) || (here !== undefined && isPrivate(here))
}

/** Whose allowance a datagram takes from: an address, a /64 of IPv6, and on this machine, where none is forged, a port. */
export const allowanceOf = (host: string, port: number): string => {
  const ip = parseIp(host)
  if (ip === undefined || ip.length === 4) return host.startsWith("127.") ? `${host} ${port}` : host
  return isLoopback(ip) ? `${host} ${port}` : toHex(ip.subarray(0, 8))
}
