/**
 * The TCP and TLS door between nodes. TLS 1.3 only, both sides show a certificate, no session is resumed; what comes out is
 * a `Wire`: bytes in order, a bounded send queue, and a binding that only the two ends of this very session have.
 *
 * Facts of the platform that this file deals with: write() takes what the kernel takes; end(data) loses data; a dial has no
 * timeout of its own; on the accepting side a missing client certificate is reported as success; a half-closed socket stays
 * as long as the other side likes. So every wait here has an end: for the first byte, for the next, and for the last.
 */
import { Data, Effect } from "effect"
import { acceptedSocketsMax, handshakeMsMax, lingerMsMax, outboundBytesMax, peerIdleMsMax } from "../limits.ts"
import { Accepted, plainAddress } from "./accepted.ts"
import { SendQueue } from "./send-queue.ts"

export class TcpFault extends Data.TaggedError("TcpFault")<{
  readonly code: "listen-failed" | "dial-failed"
  readonly message: string
}> {}

/** One secured connection. */
export interface Wire {
  readonly remoteHost: string
  /** 32 bytes from the TLS exporter (RFC 5705, RFC 9266): equal at both ends, and in no other session. */
  readonly binding: Uint8Array
  /** SHA-256 of the certificate that the other side showed, in hex. It names nobody: an operator may compare it. */
  readonly fingerprint?: string | undefined
  /** Queues bytes. False: the connection is over, or was just ended because the peer reads too slowly. */
  readonly write: (bytes: Uint8Array) => boolean
  /** Bytes queued and not yet with the kernel. */
  readonly queued: () => number
  /** Stops reading: the kernel's buffers fill, and the peer has to wait. */
  readonly pause: () => void
  readonly resume: () => void
  /** Sends what is queued, then closes; a peer that does not take it in time, or does not close, is cut off. */
  readonly end: () => void
  readonly terminate: () => void
}

export interface WireHandlers {
  readonly data: (bytes: Uint8Array) => void
  /** All that was queued is with the kernel. */
  readonly drained: () => void
  readonly closed: (reason: string) => void
}

/** Called once the TLS session stands; gives what to do with it. */
export type OnWire = (wire: Wire) => WireHandlers

export interface TlsIdentity {
  readonly key: string
  readonly cert: string
}

export interface Tcp {
  readonly listen: (
    at: { readonly host: string; readonly port: number },
    identity: TlsIdentity,
    onWire: OnWire
  ) => Effect.Effect<{ readonly port: number; readonly close: () => void }, TcpFault>
  readonly dial: (
    to: { readonly host: string; readonly port: number; readonly timeoutMs: number },
    identity: TlsIdentity,
    onWire: OnWire
  ) => Effect.Effect<void, TcpFault>
}

interface Link {
  readonly queue: SendQueue
  ending: boolean
  handlers: WireHandlers | undefined
  reason: string
  /** Ends the connection unless it is called off: first if the peer does not speak, later if it does not leave. */
  deadline: ReturnType<typeof setTimeout> | undefined
  /** Counted among the accepted sockets of this address. */
  host: string | undefined
  /** Resolves the dial; unset on accepted sockets and after the first call. */
  opened: ((fault: TcpFault | undefined) => void) | undefined
}

type Socket = Bun.Socket<Link>

/** TLS 1.3 as the TLS library numbers it, and SSL_OP_NO_TICKET. */
const tls13 = 0x0304
const noTickets = 0x4000

const tlsOptions = (identity: TlsIdentity): Bun.TLSOptions =>
  ({
    ...identity,
    requestCert: true,
    rejectUnauthorized: false,
    minVersion: tls13,
    secureOptions: noTickets,
    serverName: ""
  }) as Bun.TLSOptions

const flush = (socket: Socket): void => {
  if (socket.data.queue.flush(socket) && socket.data.ending) socket.shutdown()
}

const stop = (socket: Socket, reason: string): void => {
  if (socket.data.reason === "") socket.data.reason = reason
  socket.terminate()
}

/** The peer has `ms` from now, whatever it had before. */
const limit = (socket: Socket, ms: number, reason: string): void => {
  clearTimeout(socket.data.deadline)
  socket.data.deadline = setTimeout(() => stop(socket, reason), ms)
}

/** Says that we write no more once the queue is empty, and waits for the peer to say the same, but not for ever. */
const leave = (socket: Socket): void => {
  if (socket.data.ending || socket.data.reason !== "") return
  socket.data.ending = true
  limit(socket, lingerMsMax, "the peer did not close in time")
  flush(socket)
}

const makeWire = (socket: Socket): Wire => ({
  remoteHost: plainAddress(socket.remoteAddress),
  binding: new Uint8Array(socket.exportKeyingMaterial(32, "EXPORTER-cairn-hello", Buffer.alloc(0))),
  fingerprint: socket.getPeerX509Certificate()?.fingerprint256.replaceAll(":", "").toLowerCase(),
  write: (bytes) => {
    const link = socket.data
    if (link.reason !== "" || link.ending) return false
    if (link.queue.bytes + bytes.length > outboundBytesMax) {
      stop(socket, "the peer reads too slowly")
      return false
    }
    link.queue.push(bytes)
    flush(socket)
    return true
  },
  queued: () => socket.data.queue.bytes,
  pause: () => void socket.pause(),
  resume: () => void socket.resume(),
  end: () => leave(socket),
  terminate: () => stop(socket, "ended by us")
})

const makeLink = (opened: Link["opened"]): Link => ({
  queue: new SendQueue(),
  ending: false,
  handlers: undefined,
  reason: "",
  deadline: undefined,
  host: undefined,
  opened
})

/** The session stands only with a certificate from the other side; the platform's own verdict is not one for us. */
const secured = (socket: Socket, onWire: OnWire): void => {
  const link = socket.data
  if (socket.getPeerX509Certificate() === undefined || socket.getTLSVersion() !== "TLSv1.3") {
    return stop(socket, "the peer showed no certificate, or no TLS 1.3")
  }
  link.handlers = onWire(makeWire(socket))
  link.opened?.(undefined)
  link.opened = undefined
}

/** Seconds without a byte from the peer after which the door closes; a session that stands has ended itself before. */
const silenceSeconds = (peerIdleMsMax + handshakeMsMax) / 1000

const handlersOf = (onWire: OnWire, makeData: () => Link, accepted?: Accepted): Bun.SocketHandler<Link> => ({
  open: (socket) => {
    socket.data ??= makeData()
    if (accepted !== undefined) {
      const host = plainAddress(socket.remoteAddress)
      if (!accepted.admit(host)) return stop(socket, "too many connections")
      socket.data.host = host
    }
    limit(socket, handshakeMsMax, "nothing said in time")
    socket.timeout(silenceSeconds)
    socket.setNoDelay(true)
  },
  handshake: (socket, ok, error) => {
    // A client sees "self signed" as failure and the session stands; only a broken handshake is none.
    if (!ok && (error as { code?: string } | null)?.code === "EPROTO")
      return stop(socket, `the TLS handshake failed: ${error?.message}`)
    secured(socket, onWire)
  },
  data: (socket, bytes) => {
    const link = socket.data
    if (link.deadline !== undefined && !link.ending) {
      clearTimeout(link.deadline)
      link.deadline = undefined
    }
    link.handlers?.data(bytes)
  },
  timeout: (socket) => stop(socket, "silent for too long"),
  drain: (socket) => {
    flush(socket)
    if (socket.data.queue.bytes === 0) socket.data.handlers?.drained()
  },
  close: (socket, error) => {
    const link = socket.data
    clearTimeout(link.deadline)
    if (link.host !== undefined) accepted?.release(link.host)
    const reason =
      link.reason !== "" ? link.reason : error === undefined || error === null ? "closed by the peer" : error.message
    link.reason = reason
    link.opened?.(new TcpFault({ code: "dial-failed", message: reason }))
    link.opened = undefined
    link.handlers?.closed(reason)
  },
  end: leave,
  error: (socket, error) => stop(socket, error.message)
})

/** The door as Bun has it. */
export const bunTcp: Tcp = {
  listen: (at, identity, onWire) =>
    Effect.try({
      try: () => {
        const listener = Bun.listen<Link>({
          hostname: at.host,
          port: at.port,
          tls: tlsOptions(identity),
          socket: handlersOf(onWire, () => makeLink(undefined), new Accepted(acceptedSocketsMax))
        })
        return { port: listener.port, close: () => listener.stop(false) }
      },
      catch: (error) =>
        new TcpFault({ code: "listen-failed", message: `cannot listen on ${at.host}:${at.port}: ${String(error)}` })
    }),
  dial: (to, identity, onWire) =>
    Effect.callback<void, TcpFault>((resume) => {
      const failed = (message: string): void =>
        resume(Effect.fail(new TcpFault({ code: "dial-failed", message: `${to.host}:${to.port}: ${message}` })))
      let late = false
      const timer = setTimeout(() => {
        late = true
        failed("no answer in time")
      }, to.timeoutMs)
      const link = makeLink((fault) => {
        clearTimeout(timer)
        if (fault === undefined) resume(Effect.void)
        else failed(fault.message)
      })
      const handlers = handlersOf(
        (wire) => {
          if (late) wire.terminate()
          return late ? { data: () => {}, drained: () => {}, closed: () => {} } : onWire(wire)
        },
        () => link
      )
      Bun.connect<Link>({
        hostname: to.host,
        port: to.port,
        tls: tlsOptions(identity),
        data: link,
        socket: handlers
      }).catch((error: unknown) => {
        clearTimeout(timer)
        failed(error instanceof Error ? error.message : String(error))
      })
      // Nobody waits any more: a connection that comes late is ended.
      return Effect.sync(() => {
        late = true
        clearTimeout(timer)
      })
    })
}
