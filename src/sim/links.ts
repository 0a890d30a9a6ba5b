/**
 * The world of a libp2p host in a simulation: its links are streams of the simulated network, with all its weather, cuts and
 * breaks; its time, chance and names are the machine's. TLS is played: both ends show their certificates and agree by ALPN, but
 * what follows is plain, and nobody proves that the key is his. A run that must see that uses Noise.
 */
import { isIPv6 } from "node:net"
import { concat, equal, fromUtf8, utf8 } from "../codec/bytes.ts"
import { sha256 } from "../crypto/hash.ts"
import type { Link, LinkEnd, LinkHandlers, Listening, OnLink, World as LinkWorld } from "../host/world.ts"
import type { Wire } from "../io/tcp.ts"
import { Libp2pFault } from "../libp2p/fault.ts"
import type { Plug, SimNet } from "./net.ts"
import type { Host } from "./world.ts"

/** What names stand for, by record and name: "A node.test". Whoever makes the world fills it. */
export type Names = Map<string, ReadonlyArray<string>>

const lookupMs = 5
const portsFrom = 49_152
const ports = 16_384
/** A handshake record of TLS begins so; then four bytes of length, and a hash: TLS sees that a byte of its handshake was changed. */
const helloMark = 0x16
const helloHead = 5 + 32
const helloBytesMax = 65_536

const none: Uint8Array = new Uint8Array(0)

/** The DER bytes of the first certificate in a PEM text. */
const derOf = (pem: string): Uint8Array | undefined => {
  const base64 = /-----BEGIN CERTIFICATE-----([\s\S]*?)-----END/.exec(pem)?.[1]
  return base64 === undefined ? undefined : Uint8Array.fromBase64(base64.replace(/\s/g, ""))
}

type Offer = Parameters<Link["upgradeTls"]>[0]

interface Hello {
  readonly certificate: Uint8Array | undefined
  readonly alpn: ReadonlyArray<string>
}

const helloBytes = ({ cert, alpn }: Pick<Offer, "cert" | "alpn">): Uint8Array => {
  const body = utf8(JSON.stringify({ cert, alpn }))
  const head = new Uint8Array(helloHead)
  head[0] = helloMark
  new DataView(head.buffer).setUint32(1, body.length)
  head.set(sha256(body), 5)
  return concat(head, body)
}

/** The hello at the begin of `bytes`, and where it ends; undefined: not whole yet; false: it is none. */
const readHello = (bytes: Uint8Array): { readonly hello: Hello; readonly end: number } | undefined | false => {
  if (bytes.length > 0 && bytes[0] !== helloMark) return false
  if (bytes.length < helloHead) return undefined
  const length = new DataView(bytes.buffer, bytes.byteOffset).getUint32(1)
  if (length > helloBytesMax) return false
  const end = helloHead + length
  if (bytes.length < end) return undefined
  const body = bytes.subarray(helloHead, end)
  if (!equal(sha256(body), bytes.subarray(5, helloHead))) return false
  try {
    const { cert, alpn } = JSON.parse(fromUtf8(body) ?? "") as Partial<Offer>
    if (typeof cert !== "string" || !Array.isArray(alpn)) return false
    return { hello: { certificate: derOf(cert), alpn }, end }
  } catch {
    return false
  }
}

/** A stream of the network as a link. */
class SimLink implements Link {
  readonly local: LinkEnd
  readonly remote: LinkEnd
  handlers: LinkHandlers | undefined
  private readonly wire: Wire
  private readonly host: Host
  private offer: Offer | undefined
  private kept: Uint8Array = none

  constructor(host: Host, wire: Wire, local: LinkEnd, remote: LinkEnd) {
    this.host = host
    this.wire = wire
    this.local = local
    this.remote = remote
  }

  write(bytes: Uint8Array): void {
    this.wire.write(bytes)
  }
  queued(): number {
    return this.wire.queued()
  }
  pause(): void {
    this.wire.pause()
  }
  resume(): void {
    this.wire.resume()
  }
  end(): void {
    this.wire.end()
  }
  terminate(): void {
    this.wire.terminate()
  }

  upgradeTls(offer: Offer, leftover: Uint8Array): void {
    this.offer = offer
    this.kept = leftover
    if (offer.role === "dialer") this.wire.write(helloBytes(offer))
    this.host.after(0, () => this.negotiate())
  }

  heard(bytes: Uint8Array): void {
    if (this.offer === undefined) return this.handlers?.data(bytes)
    this.kept = concat(this.kept, bytes)
    this.negotiate()
  }

  /** Takes the other side's hello once it is whole. */
  private negotiate(): void {
    const { offer } = this
    if (offer === undefined) return
    const read = readHello(this.kept)
    if (read === undefined) return
    const alpn = read === false ? undefined : offer.alpn.find((protocol) => read.hello.alpn.includes(protocol))
    if (read === false || alpn === undefined) return this.wire.terminate()
    const rest = this.kept.subarray(read.end)
    this.offer = undefined
    this.kept = none
    if (offer.role === "listener") this.wire.write(helloBytes({ cert: offer.cert, alpn: [alpn] }))
    this.handlers?.secured({ certificate: read.hello.certificate, alpn, binding: this.wire.binding })
    if (rest.length > 0) this.handlers?.data(rest)
  }
}

/** Both ends of a stream know its number; from it comes the port of the end that dialled. */
const portOf = ({ binding }: Wire): number =>
  portsFrom + (new DataView(binding.buffer, binding.byteOffset).getUint32(0) % ports)

const handlersOf = (link: SimLink, onLink: OnLink) => {
  const handlers = onLink(link)
  link.handlers = handlers
  return { data: (bytes: Uint8Array) => link.heard(bytes), drained: handlers.drained, closed: handlers.closed }
}

const listen = (plug: Plug, host: Host, address: string, at: LinkEnd, onLink: OnLink): Listening => {
  const wildcard = at.host === "0.0.0.0" || at.host === "::"
  // A machine has one address; on all of the other kind it hears nobody.
  if (wildcard && isIPv6(at.host) !== isIPv6(address)) return { at, close: () => {} }
  const refused = (why: string) => new Libp2pFault("io", "ListenError", `cannot listen on ${at.host}: ${why}`)
  if (!wildcard && at.host !== address) throw refused("it is not an address of this machine")
  const listening = plug.listen(at.port, (wire) => {
    const local = { host: address, port: listening instanceof Error ? 0 : listening.port }
    return handlersOf(new SimLink(host, wire, local, { host: wire.remoteHost, port: portOf(wire) }), onLink)
  })
  if (listening instanceof Error) throw refused(listening.message)
  return { at: { host: at.host, port: listening.port }, close: listening.close }
}

const dial = (
  plug: Plug,
  host: Host,
  address: string,
  to: Parameters<LinkWorld["dial"]>[0],
  onLink: OnLink
): Promise<void> => {
  const { promise, resolve, reject } = Promise.withResolvers<void>()
  const where = `dialling ${to.host} port ${to.port}`
  const cancelled = (): void => {
    callOff()
    reject(new Libp2pFault("cancelled", "AbortError", `${where}: called off`))
  }
  const open = (wire: Wire) => {
    const local = { host: address, port: portOf(wire) }
    return handlersOf(new SimLink(host, wire, local, { host: to.host, port: to.port }), onLink)
  }
  const callOff = plug.dial(to, open, (fault) => {
    to.signal?.removeEventListener("abort", cancelled)
    callOff()
    if (fault === undefined) resolve()
    else if (fault.message.endsWith("no answer in time")) reject(new Libp2pFault("timeout", "TimeoutError", where))
    else reject(new Libp2pFault("io", "DialError", fault.message))
  })
  if (to.signal?.aborted === true) cancelled()
  else to.signal?.addEventListener("abort", cancelled)
  return promise
}

const resolveIn = (host: Host, answers: ReadonlyArray<string>, signal: AbortSignal | undefined) => {
  const { promise, resolve, reject } = Promise.withResolvers<ReadonlyArray<string>>()
  const cancelled = (): void => reject(new Libp2pFault("cancelled", "AbortError", "a lookup was called off"))
  if (signal?.aborted === true) cancelled()
  signal?.addEventListener("abort", cancelled)
  host.after(lookupMs, () => {
    signal?.removeEventListener("abort", cancelled)
    resolve(answers)
  })
  return promise
}

/** The world as a host on this machine sees it. */
export const linkWorld = (net: SimNet, host: Host, address: string, names: Names = new Map()): LinkWorld => {
  const plug = net.plug(host, address)
  return {
    now: () => host.now,
    random: (length) => host.dice.bytes(length),
    after: (ms, run) => host.after(ms, run),
    soon: (run) => void host.after(0, run),
    dial: (to, onLink) => dial(plug, host, address, to, onLink),
    listen: async (at, onLink) => listen(plug, host, address, at, onLink),
    resolve: (name, record, signal) => resolveIn(host, names.get(`${record} ${name}`) ?? [], signal),
    interfaces: () => [address]
  }
}
