/**
 * TLS 1.3 over a socket that stands already. Both sides show a certificate, whose is not judged here; no session is resumed, for
 * a resumed one would show the certificate of another day.
 *
 * Bun upgrades a socket in place, but cannot be given bytes that were read before: then Node's TLS runs over a stream of ours.
 */
import type { Duplex } from "node:stream"
import type { Link, LinkHandlers } from "../host/world.ts"
import { type Held, heldHandlers, type Pipe, type PipeUser, type PlainSocket, reasonOf } from "./pipe.ts"
import { SendQueue } from "./send-queue.ts"

export type TlsOffer = Parameters<Link["upgradeTls"]>[0]

/** What stands on TLS. */
export interface TlsTop extends PipeUser {
  readonly secured: LinkHandlers["secured"]
  readonly stop: (reason: string) => void
}

/** TLS 1.3 as the TLS library numbers it, and SSL_OP_NO_TICKET. */
const tls13 = 0x0304
const noTickets = 0x4000
/** RFC 9266. */
const bindingLabel = "EXPORTER-Channel-Binding"
const bindingBytes = 32

/** A list of protocols as ALPN sends it (RFC 7301). */
const alpnWire = (protocols: ReadonlyArray<string>): Buffer =>
  Buffer.concat(protocols.map((protocol) => Buffer.concat([Buffer.from([protocol.length]), Buffer.from(protocol)])))

/** Errors of the TLS library or the socket; all others are its opinion about the certificate, which nobody asked for. */
const isBroken = (error: unknown): boolean =>
  /^(EPROTO|ECONN|ERR_|EPIPE)/.test((error as { code?: string })?.code ?? "")

/** A certificate with the next one that was shown; the last has itself or nothing there. */
interface Shown {
  readonly raw?: Uint8Array
  readonly issuerCertificate?: Shown
}

/** What both kinds of TLS socket can tell about their session. */
interface Sessioned {
  readonly getPeerX509Certificate: () => { readonly raw: Uint8Array } | undefined
  /** Bun's own sockets give the whole list for `false`, Node's for `true`. */
  readonly getPeerCertificate: (whole: boolean) => Shown | undefined
  readonly exportKeyingMaterial: (length: number, label: string, context: Buffer) => Uint8Array
}

const tellSession = (socket: Sessioned, alpn: unknown, top: TlsTop, whole: boolean): void => {
  const raw = socket.getPeerX509Certificate()?.raw
  const shown = raw === undefined ? undefined : socket.getPeerCertificate(whole)
  const next = shown?.issuerCertificate
  top.secured({
    certificate: raw === undefined ? undefined : new Uint8Array(raw),
    several: next !== undefined && next !== shown,
    alpn: typeof alpn === "string" && alpn !== "" ? alpn : undefined,
    binding: new Uint8Array(socket.exportKeyingMaterial(bindingBytes, bindingLabel, Buffer.alloc(0)))
  })
}

/** Bun's own upgrade: the quick way, when nothing of TLS was read yet. */
export const tlsOverSocket = (socket: PlainSocket, offer: TlsOffer, _: Uint8Array, top: TlsTop): Pipe => {
  const isServer = offer.role === "listener"
  const options = {
    isServer,
    data: { user: top },
    tls: {
      key: offer.key,
      cert: offer.cert,
      requestCert: true,
      rejectUnauthorized: false,
      minVersion: tls13,
      secureOptions: noTickets,
      ALPNProtocols: alpnWire(offer.alpn),
      serverName: ""
    } as Bun.TLSOptions,
    socket: {
      ...heldHandlers,
      handshake: (tls: PlainSocket, ok: boolean, error: Error | null) => {
        if (!ok && isBroken(error)) return top.stop(`the TLS handshake failed: ${error?.message}`)
        if (tls.getTLSVersion() !== "TLSv1.3") return top.stop("the TLS handshake failed: it is not TLS 1.3")
        tellSession(tls as unknown as Sessioned, tls.alpnProtocol, top, false)
      }
    }
  }
  // From here on the old socket hears ciphertext, which is none of our business; its end still is.
  socket.data = {
    user: { heard: () => {}, writable: () => {}, finished: () => {}, closed: (reason) => top.closed(reason) }
  }
  const [raw, tls] = socket.upgradeTLS<Held>(options)
  // It would copy ciphertext for nobody. Sockets of a listener share their handlers, so theirs stay.
  if (!isServer) raw.reload({ socket: { drain: () => {}, close: (_, error) => top.closed(reasonOf(error)) } })
  return tls
}

/** Node's streams and TLS, loaded when they are needed: few links are. */
const nodeStream = (): typeof import("node:stream") => require("node:stream")
const nodeTls = (): typeof import("node:tls") => require("node:tls")

/** The socket as a stream for Node's TLS: what came before first. */
const streamOf = (socket: PlainSocket, leftover: Uint8Array, top: TlsTop): Duplex => {
  const queue = new SendQueue()
  let written: (() => void) | undefined
  const flush = (): void => {
    if (written === undefined || !queue.flush(socket)) return
    const done = written
    written = undefined
    done()
  }
  const stream = new (nodeStream().Duplex)({
    read: () => void socket.resume(),
    write: (chunk: Uint8Array, _, done) => {
      queue.push(new Uint8Array(chunk))
      written = done
      flush()
    },
    final: (done) => {
      socket.shutdown()
      done()
    }
  })
  const user: PipeUser = {
    heard: (bytes) => {
      if (!stream.push(bytes)) socket.pause()
    },
    writable: flush,
    finished: () => void stream.push(null),
    closed: (reason) => {
      stream.push(null)
      // What came before it is still on its way through Node's streams.
      setImmediate(() => {
        stream.destroy()
        top.closed(reason)
      })
    }
  }
  socket.data = { user }
  stream.push(leftover)
  return stream
}

/** The same where the first bytes of TLS were read already. */
export const tlsOverLeftover = (socket: PlainSocket, offer: TlsOffer, leftover: Uint8Array, top: TlsTop): Pipe => {
  const { TLSSocket } = nodeTls()
  const tls = new TLSSocket(
    streamOf(socket, leftover, top) as unknown as import("node:net").Socket,
    {
      isServer: offer.role === "listener",
      key: offer.key,
      cert: offer.cert,
      requestCert: true,
      rejectUnauthorized: false,
      minVersion: "TLSv1.3",
      secureOptions: noTickets,
      ALPNProtocols: [...offer.alpn]
    } as ConstructorParameters<typeof TLSSocket>[1]
  )
  tls.on("secure", () => tellSession(tls as unknown as Sessioned, tls.alpnProtocol, top, true))
  tls.on("data", (bytes: Buffer) => top.heard(new Uint8Array(bytes)))
  tls.on("end", () => top.finished())
  tls.on("error", (error) => top.stop(`TLS failed: ${error.message}`))
  let full = false
  tls.on("drain", () => {
    full = false
    top.writable()
  })
  return {
    keeps: true,
    write: (bytes) => {
      if (tls.destroyed) return -1
      if (full) return 0
      full = !tls.write(bytes)
      return bytes.length
    },
    pause: () => tls.pause(),
    resume: () => tls.resume(),
    shutdown: () => tls.end(),
    terminate: () => {
      tls.destroy()
      socket.terminate()
    }
  }
}
