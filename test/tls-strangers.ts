/** Strangers who speak TLS by Node's own sockets to a libp2p host, with certificates of any kind, right and wrong. */
import { connect, createServer as createNetServer, type AddressInfo, type Socket } from "node:net"
import { connect as tlsConnect, createServer as createTlsServer, type TLSSocket, type TlsOptions } from "node:tls"
import { concat, utf8 } from "../src/codec/bytes.ts"
import { type CertificateFacts, makeCertificateKey, signCertificate } from "../src/crypto/certificate.ts"
import { der, octetString, oid, sequence, tag } from "../src/crypto/der.ts"
import type { PrivateKey } from "../src/libp2p/contract.ts"
import { selectLine } from "../src/libp2p/multistream.ts"

/** What a TLS peer shows, PEM. */
export interface Shown {
  readonly key: string
  readonly cert: string
}

export interface ShownFacts extends Partial<Omit<CertificateFacts, "extensions">> {
  /** Whose key the extension names; undefined: there is none. */
  readonly host: PrivateKey | undefined
  /** Who signs for it; default: the same. */
  readonly signer?: PrivateKey
  /** Extensions beside it, each a whole DER value. */
  readonly beside?: ReadonlyArray<Uint8Array>
}

const extensionOid = "1.3.6.1.4.1.53594.1.1"
const critical = der(tag.boolean, Uint8Array.of(0xff))

/** A critical extension that nobody knows. */
export const unknownCritical = sequence(oid("1.2.3.4"), critical, octetString(utf8("?")))

/** A certificate with a new key. */
export const shownBy = ({ host, signer = host, beside = [], ...facts }: ShownFacts): Shown => {
  const key = makeCertificateKey()
  const vouched = (own: PrivateKey): Uint8Array =>
    sequence(
      octetString(own.publicKey.protobuf),
      octetString(signer!.sign(concat(utf8("libp2p-tls-handshake:"), key.spki)))
    )
  const now = Date.now()
  return signCertificate(key, {
    subject: "stranger",
    serial: new Uint8Array(16).fill(7),
    from: now - 3_600_000,
    to: now + 3_600_000,
    ...facts,
    extensions: [...(host === undefined ? [] : [sequence(oid(extensionOid), octetString(vouched(host)))]), ...beside]
  })
}

/** Another signature under the same words: the last byte of the certificate is changed. */
export const broken = ({ key, cert }: Shown): Shown => {
  const bytes = Uint8Array.fromBase64(cert.replace(/-----[A-Z ]+-----/g, ""))
  bytes[bytes.length - 1]! ^= 1
  return { key, cert: `-----BEGIN CERTIFICATE-----\n${bytes.toBase64()}\n-----END CERTIFICATE-----\n` }
}

/** What both sides say before TLS: each as many bytes as the other. */
const preamble = concat(selectLine("/multistream/1.0.0"), selectLine("/tls/1.0.0"))

/** Joins two sockets. The first bytes of each way, as many as the preamble, come to neither: they were for us. */
const join = (toHost: Socket, toStranger: Socket): void => {
  let strip = preamble.length
  toHost.on("data", (bytes: Buffer) => {
    const rest = bytes.subarray(Math.min(strip, bytes.length))
    strip -= bytes.length - rest.length
    if (rest.length > 0) toStranger.write(rest)
  })
  toStranger.on("data", (bytes) => void toHost.write(bytes))
  for (const [one, other] of [
    [toHost, toStranger],
    [toStranger, toHost]
  ] as const) {
    one.on("close", () => other.destroy())
    one.on("error", () => other.destroy())
  }
}

const listening = async (server: ReturnType<typeof createNetServer>): Promise<number> => {
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve))
  return (server.address() as AddressInfo).port
}

export interface Stranger {
  readonly socket: TLSSocket
  readonly end: () => void
}

/** A stranger dials a host: multistream by hand, then Node's TLS. `glued`: its first bytes come in one piece with the proposal. */
export const dialAsStranger = async (
  port: number,
  shown: Partial<Shown>,
  options: TlsOptions & { readonly glued?: boolean; readonly session?: Buffer } = {}
): Promise<Stranger> => {
  const { glued = false, ...tls } = options
  const server = createNetServer((toStranger) => {
    const toHost = connect({ host: "127.0.0.1", port })
    toHost.setNoDelay(true)
    if (!glued) {
      toHost.write(preamble)
      join(toHost, toStranger)
      return
    }
    toStranger.once("data", (hello: Buffer) => {
      toHost.write(concat(preamble, hello))
      join(toHost, toStranger)
    })
  })
  const front = await listening(server)
  const options2 = {
    host: "127.0.0.1",
    port: front,
    rejectUnauthorized: false,
    ALPNProtocols: ["/yamux/1.0.0"],
    ...shown
  }
  const socket = tlsConnect({ ...options2, ...tls } as Parameters<typeof tlsConnect>[0] & object)
  socket.on("error", () => {})
  const end = (): void => {
    socket.destroy()
    server.close()
  }
  return { socket, end }
}

/** A session with a ticket that a server of Node's gave, and took again. */
export const sessionWithTicket = async (shown: Shown): Promise<Buffer> => {
  const ALPNProtocols = ["/yamux/1.0.0"]
  const server = createTlsServer({ ...shown, ALPNProtocols }, (socket) => {
    socket.on("error", () => {})
    // Tickets are seen by who reads.
    socket.write("?")
  })
  const port = await listening(server)
  const meet = async (session?: Buffer): Promise<TLSSocket> => {
    const offered = session === undefined ? {} : { session }
    const socket = tlsConnect({ host: "127.0.0.1", port, rejectUnauthorized: false, ALPNProtocols, ...offered })
    await new Promise((resolve) => socket.once("data", resolve))
    return socket
  }
  const first = await meet()
  const session = first.getSession()!
  const second = await meet(session)
  const taken = second.isSessionReused()
  for (const end of [first, second]) end.destroy()
  server.close()
  if (!taken) throw new Error("Node does not resume its own session")
  return session
}

/** A stranger that a host may dial: the port, and its end. `met`: is told each session. */
export const listenAsStranger = async (
  shown: Shown,
  options: TlsOptions = {},
  met: (socket: TLSSocket) => void = () => {}
): Promise<{ readonly port: number; readonly end: () => void }> => {
  const inner = createTlsServer({
    ...shown,
    requestCert: true,
    rejectUnauthorized: false,
    ALPNProtocols: ["/yamux/1.0.0"],
    ...options
  })
  inner.on("tlsClientError", () => {})
  inner.on("secureConnection", (socket) => {
    socket.on("error", () => {})
    met(socket)
  })
  const behind = await listening(inner)
  const server = createNetServer((toHost) => {
    const toStranger = connect({ host: "127.0.0.1", port: behind })
    toHost.write(preamble)
    join(toHost, toStranger)
  })
  const port = await listening(server)
  const end = (): void => {
    server.close()
    inner.close()
  }
  return { port, end }
}
