/**
 * Who asks: by the socket, or by what a proxy that the operator trusts says of it.
 *
 *   socket's address → is it a trusted proxy's? → Forwarded or X-Forwarded-For, from the right, up to the first that is none
 */
import type { Context } from "hono"
import { toHex } from "../codec/bytes.ts"
import { type Cidr, formatIp, inCidr, type Ip, isLoopback, networkOf, parseIp } from "../codec/ip.ts"

/** What the server knows of a request beside its bytes. */
export interface Arrival {
  /** The socket's address; undefined: nobody knows, as in a test. */
  readonly remote?: string | undefined
  /** It came through the socket that only the operator can open. */
  readonly own?: boolean
}

export interface Caller {
  /** Undefined: it is not known. */
  readonly ip: Ip | undefined
  /** Is it on this machine, and no proxy of somebody else? */
  readonly near: boolean
  /** Did it come through the operator's socket? */
  readonly own: boolean
  /** Who counts as one client: an IPv4 address, or the /64 that one customer has of IPv6. */
  readonly client: Uint8Array
}

const prefixBits = 64
/** Characters of the headers that are read, from the right: what is further left was written by whoever asks. */
const chainCharsMax = 2_048

/** An address as headers and sockets write it: with brackets, port or zone, or without. */
const addressOf = (text: string): Ip | undefined => {
  const plain = text.trim().replace(/^"(.*)"$/, "$1")
  const [, bracketed, v4] = /^(?:\[([^\]]*)\]|(\d+(?:\.\d+){3}))(?::\d{1,5})?$/.exec(plain) ?? []
  return parseIp((bracketed ?? v4 ?? plain).replace(/%.*$/, ""))
}

/** The addresses of a list, the last one to the right; undefined where one is hidden or nonsense. */
const listOf = (header: string | undefined, read: (element: string) => string): ReadonlyArray<Ip | undefined> =>
  header === undefined
    ? []
    : header
        .slice(-chainCharsMax)
        .split(",")
        .map((element) => addressOf(read(element)))

/** `for=` of one element of Forwarded (RFC 7239). */
const forOf = (element: string): string =>
  element
    .split(";")
    .map((pair) => /^\s*for\s*=(.*)$/i.exec(pair)?.[1])
    .find((value) => value !== undefined) ?? ""

/** The right-most address that is no trusted proxy's; the last proxy's, if what stands before it cannot be read. */
const untrusted = (socket: Ip, chain: ReadonlyArray<Ip | undefined>, trusted: ReadonlyArray<Cidr>): Ip => {
  let last = socket
  for (const hop of chain.toReversed()) {
    if (!trusted.some((network) => inCidr(last, network)) || hop === undefined) break
    last = hop
  }
  return last
}

const same = (a: Ip, b: Ip): boolean => a.length === b.length && a.every((byte, i) => byte === b[i])

/** Who asks, given the networks of proxies that are believed. */
export const callerOf = (c: Context, trusted: ReadonlyArray<Cidr>): Caller => {
  const { remote, own = false } = (c.env ?? {}) as Arrival
  const forwarded = c.req.header("forwarded")
  const forwardedFor = c.req.header("x-forwarded-for")
  const socket = remote === undefined ? undefined : addressOf(remote)
  if (socket === undefined) return { ip: undefined, near: remote === undefined, own, client: new Uint8Array(0) }
  const isProxied = forwarded !== undefined || forwardedFor !== undefined
  const chains = [listOf(forwarded, forOf), listOf(forwardedFor, (element) => element)].filter(
    ({ length }) => length > 0
  )
  const [first = socket, second = first] = chains.map((chain) => untrusted(socket, chain, trusted))
  // A proxy writes one of the headers. If they differ, whoever asks has written the other: neither is believed.
  const ip = same(first, second) ? first : socket
  return {
    ip,
    near: own || (isLoopback(socket) && !isProxied),
    own,
    client: ip.length === 4 ? ip : networkOf(ip, prefixBits).slice(0, prefixBits / 8)
  }
}

/** Where the gate leaves the caller for the handlers. */
const key = "caller"
export const keepCaller = (c: Context, caller: Caller): void => c.set(key, caller)

/** The address that a request comes from: the client's, where a trusted proxy stands between. Undefined: nobody can tell. */
export const remoteOf = (c: Context): string | undefined => {
  const caller = c.get(key) as Caller | undefined
  if (caller === undefined) return ((c.env ?? {}) as Arrival).remote
  // Who comes through a proxy on this machine that nobody has vouched for is not this machine.
  return caller.ip === undefined || (isLoopback(caller.ip) && !caller.near) ? undefined : formatIp(caller.ip)
}

/** One client as a text; undefined: it is on this machine, or nobody can tell. */
export const strangerOf = (c: Context): string | undefined => {
  const caller = c.get(key) as Caller | undefined
  return caller === undefined || caller.near ? undefined : toHex(caller.client)
}
