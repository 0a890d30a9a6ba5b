/**
 * Links of a libp2p host over Bun's sockets: plain TCP, which may become TLS 1.3 beneath what is said already.
 *
 * Facts of the platform that this file deals with, beside those of `tcp.ts`: a dial cannot be called off, so one that comes late
 * is ended as it comes, and only so many are under way; after an upgrade the old handlers go on hearing the ciphertext; a half-close
 * of the peer ends the link, after what is queued.
 */
import type { Link, LinkDoor, LinkEnd, LinkHandlers, Listening, OnLink, World } from "../host/world.ts"
import { type FaultContext, type FaultKind, Libp2pFault } from "../libp2p/fault.ts"
import { acceptedLinksMax, lateDialsMax, lingerMsMax, outboundBytesMax } from "../limits.ts"
import { Accepted, plainAddress } from "./accepted.ts"
import { descriptorsGone } from "./descriptors.ts"
import { type TlsOffer, type TlsTop, tlsOverLeftover, tlsOverSocket } from "./link-tls.ts"
import { localAddresses, type NamesOptions, resolveName } from "./names.ts"
import { type Held, heldHandlers, type Pipe, type PipeUser, type PlainSocket, reasonOf } from "./pipe.ts"
import { SendQueue } from "./send-queue.ts"

/** Loaded at the first link: it is not small. */
const net = (): typeof import("node:net") => require("node:net")

class SocketLink implements Link, PipeUser, TlsTop {
  readonly local: LinkEnd
  readonly remote: LinkEnd
  handlers: LinkHandlers | undefined
  private pipe: Pipe
  private readonly socket: PlainSocket
  private readonly queue = new SendQueue()
  private ending = false
  private over = false
  private waits = false
  private reason = ""
  private deadline: ReturnType<typeof setTimeout> | undefined
  private upgrade: (() => void) | undefined
  private readonly released: () => void

  constructor(socket: PlainSocket, released: () => void) {
    this.local = { host: plainAddress(socket.localAddress), port: socket.localPort }
    this.remote = { host: plainAddress(socket.remoteAddress), port: socket.remotePort }
    this.pipe = socket
    this.socket = socket
    this.released = released
  }

  write(bytes: Uint8Array): void {
    if (this.over || this.ending) return
    if (this.queue.bytes + bytes.length > outboundBytesMax) return this.stop("the peer reads too slowly")
    this.queue.push(bytes)
    if (this.upgrade === undefined && !this.waits) this.flush()
  }

  queued(): number {
    return this.queue.bytes
  }

  taken(): boolean {
    return this.queue.bytes === 0 && this.pipe.keeps !== true
  }

  pause(): void {
    if (!this.over) this.pipe.pause()
  }

  resume(): void {
    if (!this.over) this.pipe.resume()
  }

  upgradeTls(offer: TlsOffer, leftover: Uint8Array): void {
    if (this.over || this.ending) return
    if (this.pipe !== this.socket) return this.stop("TLS stands already")
    const begin = (): void => {
      this.upgrade = undefined
      const over = leftover.length === 0 ? tlsOverSocket : tlsOverLeftover
      this.pipe = over(this.socket, offer, leftover, this)
    }
    // What is queued goes out plain; nothing is read until then.
    if (this.queue.bytes === 0) return begin()
    this.upgrade = begin
    this.socket.pause()
  }

  end(): void {
    if (this.over || this.ending) return
    this.ending = true
    this.upgrade = undefined
    this.deadline = setTimeout(() => this.stop("the peer did not close in time"), lingerMsMax)
    this.flush()
  }

  terminate(): void {
    this.stop("ended by us")
  }

  heard(bytes: Uint8Array): void {
    if (!this.over) this.handlers?.data(bytes)
  }

  writable(): void {
    if (!this.waits || this.over) return
    this.waits = false
    this.flush()
    if (!this.waits && !this.ending) this.handlers?.drained()
  }

  finished(): void {
    this.end()
  }

  closed(reason: string): void {
    if (this.over) return
    this.over = true
    this.upgrade = undefined
    clearTimeout(this.deadline)
    this.released()
    this.handlers?.closed(this.reason === "" ? reason : this.reason)
  }

  secured(session: Parameters<LinkHandlers["secured"]>[0]): void {
    if (!this.over && !this.ending) this.handlers?.secured(session)
  }

  /** Cuts it off. */
  stop(reason: string): void {
    if (this.over) return
    if (this.reason === "") this.reason = reason
    this.pipe.terminate()
  }

  private flush(): void {
    this.waits = !this.queue.flush(this.pipe)
    if (this.waits) return
    if (this.ending) this.pipe.shutdown()
    else if (this.upgrade !== undefined) {
      this.socket.resume()
      this.upgrade()
    }
  }
}

/** A socket that stands becomes a link. */
const linkOf = (socket: PlainSocket, onLink: OnLink, released: () => void): void => {
  socket.setNoDelay(true)
  socket.setKeepAlive(true)
  const link = new SocketLink(socket, released)
  socket.data = { user: link }
  link.handlers = onLink(link)
}

const noDescriptor = "no file descriptor is left"

const listen = async (
  at: LinkEnd,
  onLink: OnLink,
  accepted: Accepted,
  door: LinkDoor | undefined
): Promise<Listening> => {
  const open = (socket: PlainSocket): void => {
    const remote = { host: plainAddress(socket.remoteAddress), port: socket.remotePort }
    const { host } = remote
    if (host !== "" && accepted.admit(host, door?.linksMax, door?.addressLinksMax))
      return linkOf(socket, onLink, () => accepted.release(host))
    socket.data = { user: undefined }
    socket.terminate()
    if (host !== "") door?.refused(remote, accepted.full(door.linksMax) ? "everywhere" : "address")
  }
  try {
    if (net().isIP(at.host) === 0) throw new Error("it is no IP address")
    // "::" would take IPv4 as well, and then 0.0.0.0 could not share its port.
    const only = { ipv6Only: net().isIPv6(at.host), exclusive: true }
    const listener = Bun.listen<Held>({
      hostname: at.host,
      port: at.port,
      socket: { ...heldHandlers, open },
      ...only
    })
    return { at: { host: at.host, port: listener.port }, close: () => listener.stop(false) }
  } catch (cause) {
    const code = descriptorsGone()
    const message = `cannot listen on ${at.host} port ${at.port}: ${code === undefined ? reasonOf(cause) : noDescriptor}`
    const context = { host: at.host, port: at.port, ...(code === undefined ? {} : { code }) }
    throw new Libp2pFault(code === undefined ? "io" : "resource", "ListenError", message, context, { cause })
  }
}

type DialTo = Parameters<World["dial"]>[0]

/** Dials that nobody may wait for any more, and that the kernel has not given up. */
class Dials {
  private pending = 0

  dial(to: DialTo, onLink: OnLink): Promise<void> {
    const { promise, resolve, reject } = Promise.withResolvers<void>()
    const { host, port, signal } = to
    let settled = false
    const settle = (fault: Libp2pFault | undefined): void => {
      if (settled) return
      settled = true
      clearTimeout(timer)
      signal?.removeEventListener("abort", cancel)
      if (fault === undefined) resolve()
      else reject(fault)
    }
    const fault = (kind: FaultKind, name: Libp2pFault["name"], why: string, cause: unknown, more: FaultContext = {}) =>
      new Libp2pFault(kind, name, `dialling ${host} port ${port}: ${why}`, { host, port, ...more }, { cause })
    const failed = (kind: FaultKind, name: Libp2pFault["name"], why: string, cause?: unknown) =>
      settle(fault(kind, name, why, cause))
    const refused = (cause: unknown): void => {
      const code = descriptorsGone()
      if (code === undefined) failed("io", "DialError", reasonOf(cause), cause)
      else settle(fault("resource", "DialError", noDescriptor, cause, { code }))
    }
    const cancel = (): void => failed("cancelled", "AbortError", "called off", signal?.reason)
    const timer = setTimeout(() => failed("timeout", "TimeoutError", "no answer in time"), to.timeoutMs)
    if (signal?.aborted === true) cancel()
    else if (net().isIP(host) === 0) failed("io", "DialError", "it is no IP address")
    else if (this.pending >= lateDialsMax) failed("io", "DialError", "too many dials are under way")
    if (settled) return promise
    signal?.addEventListener("abort", cancel)
    this.pending++
    const open = (socket: PlainSocket): void => {
      if (settled) return void socket.terminate()
      if (plainAddress(socket.remoteAddress) === "") {
        socket.terminate()
        return failed("io", "DialError", "the other side reset it at once")
      }
      linkOf(socket, onLink, () => {})
      settle(undefined)
    }
    Bun.connect<Held>({ hostname: host, port, data: { user: undefined }, socket: { ...heldHandlers, open } })
      .catch(refused)
      .finally(() => this.pending--)
    return promise
  }
}

/** The world as Bun has it. `names`: which servers resolve; default: the system's. */
export const makeBunWorld = (names: NamesOptions = {}): World => {
  const accepted = new Accepted(acceptedLinksMax)
  const dials = new Dials()
  const { timeOrigin } = performance
  return {
    now: () => timeOrigin + performance.now(),
    random: (length) => crypto.getRandomValues(new Uint8Array(length)),
    after: (ms, run) => {
      const timer = setTimeout(run, ms)
      return () => clearTimeout(timer)
    },
    soon: (run) => queueMicrotask(run),
    dial: (to, onLink) => dials.dial(to, onLink),
    listen: (at, onLink, door) => listen(at, onLink, accepted, door),
    resolve: (name, record, signal) => resolveName(names, name, record, signal),
    interfaces: localAddresses
  }
}
