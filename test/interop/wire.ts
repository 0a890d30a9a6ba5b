/** A host of ours that can break every rule on the wire: what the others make of it is seen by what they do. */
import { concatAll } from "../../src/codec/bytes.ts"
import type { Connection } from "../../src/host/api.ts"
import { createHost, type Host } from "../../src/host/host.ts"
import { type EncrypterFactory, type MuxerFactory, noise, tcp, tls } from "../../src/host/parts.ts"
import type { Link, OnLink } from "../../src/host/world.ts"
import { makeBunWorld } from "../../src/io/link.ts"
import type { Muxer, SecureSession } from "../../src/libp2p/contract.ts"
import { generateKey } from "../../src/libp2p/key.ts"
import { multiaddr } from "../../src/libp2p/multiaddr.ts"
import { Libp2pFault } from "../../src/libp2p/fault.ts"
import { selectLine } from "../../src/libp2p/multistream.ts"
import { noiseFrame, noiseMessageBytesMax } from "../../src/libp2p/noise-frame.ts"
import { flag, frameType, headerBytes } from "../../src/libp2p/yamux-frame.ts"
import { makeYamux, yamuxProtocol } from "../../src/libp2p/yamux.ts"
import { frame, MiB } from "../yamux.ts"
import type { Peer, Security } from "./peer.ts"

const world = makeBunWorld()

/** An id that nobody in the tests has. */
export const nobody = "12D3KooWQK1wnefoLrcVHbbnf5tLzbopUd3K3bFAoJpA7YJgL5pV"

/** Multistream takes lines of 1,024 bytes (go, js), or of what two bytes of varint can say (rust). */
const lineTooLong = concatAll([
  selectLine("/multistream/1.0.0"),
  Uint8Array.of(0x80, 0x80, 0x40),
  new Uint8Array(50_000)
])
/** Eight windows of a stream that has just begun. Sent whole: js-libp2p judges a frame when all of it is there. */
const dataBytesTooMany = 2 * MiB
/** The id of a stream that nobody else opens so soon. */
const strangeId = 1_001

/** Milliseconds, of what takes a few. */
const patienceMs = 10_000

const echoProtocol = "/echo/1.0.0"

/** What is done to the bytes of one host. */
class Bending {
  /** The muxer that each handshake chose. */
  readonly early: Array<string | undefined> = []
  /** What the muxer heard. */
  readonly heard: Array<Uint8Array> = []
  private readonly frames: Array<Uint8Array> = []
  private falseSeal = false
  private wake = (): void => {}

  private readonly session = (session: SecureSession): SecureSession => {
    this.early.push(session.earlyMuxer)
    return {
      remote: session.remote,
      remotePeer: session.remotePeer,
      earlyMuxer: session.earlyMuxer,
      binding: session.binding,
      seal: (parts, length) =>
        this.falseSeal ? noiseFrame(new Uint8Array(noiseMessageBytesMax)) : session.seal(parts, length),
      open: (bytes, take) => session.open(bytes, take)
    }
  }

  readonly encrypter =
    (make: EncrypterFactory): EncrypterFactory =>
    (components) => {
      const part = make(components)
      if (part._tag === "Tls") {
        const judged = part.session
        return {
          ...part,
          session: (init, told) => {
            const session = judged(init, told)
            return session instanceof Libp2pFault ? session : this.session(session)
          }
        }
      }
      return {
        ...part,
        make: (init) => {
          const handshake = part.make(init)
          return {
            start: () => handshake.start(),
            receive: (bytes) => {
              const step = handshake.receive(bytes)
              return step._tag === "Secured" ? { ...step, session: this.session(step.session) } : step
            }
          }
        }
      }
    }

  readonly muxer: MuxerFactory = () => ({
    protocol: yamuxProtocol,
    make: (role, events, now): Muxer => {
      const muxer = makeYamux(role, events, {}, now)
      this.wake = events.pending
      return {
        protocol: yamuxProtocol,
        receive: (bytes, at) => {
          this.heard.push(bytes.slice())
          muxer.receive(bytes, at)
        },
        pull: (max) => {
          const parts = this.frames.splice(0)
          return parts.length === 0 ? muxer.pull(max) : { parts, length: concatAll(parts).length }
        },
        open: () => muxer.open(),
        streams: () => muxer.streams(),
        tick: (at) => muxer.tick(at),
        close: (fault) => muxer.close(fault),
        lost: (fault) => muxer.lost(fault)
      }
    }
  })

  /** Frames of the muxer that its rules do not know. */
  send(...frames: ReadonlyArray<Uint8Array>): void {
    this.frames.push(...frames)
    this.wake()
  }

  /** The longest frame of Noise there is, which nobody has sealed. */
  sendFalseSeal(): void {
    this.falseSeal = true
    this.send(frame("PING 0 0"))
  }
}

/** How a connection between a bending host and a peer is made: who dials, over what. */
export interface Meeting {
  readonly peer: Peer
  readonly sec: Security
  readonly weDial: boolean
}

export interface Met {
  readonly bending: Bending
  readonly connection: Connection
  /** Settles with how it ended for us. */
  readonly closed: Promise<unknown>
}

const connect = async ({ peer, weDial }: Meeting, host: Host): Promise<Connection> => {
  if (weDial) return host.dial(multiaddr(peer.listening[0]!))
  const opened = Promise.withResolvers<Connection>()
  host.addEventListener("connection:open", ({ detail }) => opened.resolve(detail), { once: true })
  await peer.ask("dial", { to: `${host.getMultiaddrs()[0]}` })
  return opened.promise
}

/** Meets the peer, and does `work`; afterwards the host is gone, and the peer has no connection. */
export const meeting = async (how: Meeting, work: (met: Met) => Promise<void>): Promise<void> => {
  const bending = new Bending()
  const privateKey = generateKey("Ed25519")
  if (privateKey instanceof Libp2pFault) throw privateKey
  const host = createHost(
    {
      privateKey,
      addresses: { listen: ["/ip4/127.0.0.1/tcp/0"] },
      transports: [tcp()],
      connectionEncrypters: [bending.encrypter(how.sec === "noise" ? noise() : tls())],
      streamMuxers: [bending.muxer]
    },
    world
  )
  await host.start()
  try {
    const connection = await connect(how, host)
    const closed = new Promise<unknown>((resolve) =>
      connection.addEventListener("close", ({ error }) => resolve(error?.message ?? "closed"), { once: true })
    )
    await work({ bending, connection, closed })
  } finally {
    await host.stop()
  }
  await how.peer.ask("connections", { count: 0 })
}

/** One byte there and back. */
export const echoByte = async (connection: Connection): Promise<ReadonlyArray<number>> => {
  const stream = await connection.newStream(echoProtocol)
  stream.send(Uint8Array.of(7))
  await stream.close()
  const said: Array<number> = []
  for await (const bytes of stream) said.push(...bytes)
  return said
}

/** On a stream that stands: a frame of more than its window. */
export const sendFrameTooLong = async ({ bending, connection }: Met, weDial: boolean): Promise<void> => {
  const stream = await connection.newStream(echoProtocol)
  stream.send(Uint8Array.of(7))
  for await (const _ of stream) break
  bending.send(frame(`DATA ${weDial ? 1 : 2} ${dataBytesTooMany}`))
}

/** Opens a stream by a line that no negotiation takes. */
export const openByLineTooLong = ({ bending }: Met, weDial: boolean): void => {
  const id = strangeId + (weDial ? 0 : 1)
  bending.heard.length = 0
  bending.send(frame(`WINDOW SYN ${id} 0`), frame(`DATA ${id} ${lineTooLong.length}`, lineTooLong))
}

/** The flags of all frames of one stream. */
const flagsOf = (bytes: Uint8Array, id: number): number => {
  const view = new DataView(bytes.buffer)
  let flags = 0
  for (let at = 0; at + headerBytes <= bytes.length; ) {
    if (view.getUint32(at + 4) === id) flags |= view.getUint16(at + 2)
    at += headerBytes + (view.getUint8(at + 1) === frameType.data ? view.getUint32(at + 8) : 0)
  }
  return flags
}

/** The flags by which the other side ends that stream. */
export const endOfLine = async ({ bending }: Met, weDial: boolean): Promise<number> => {
  for (const began = performance.now(); performance.now() - began < patienceMs; await Bun.sleep(2)) {
    const flags = flagsOf(concatAll(bending.heard), strangeId + (weDial ? 0 : 1))
    if ((flags & (flag.rst | flag.fin)) !== 0) return flags
  }
  throw new Error("the stream was not ended")
}

const handlersOf = (link: Link, ended: (reason: string) => void): ReturnType<OnLink> => {
  link.write(lineTooLong.slice())
  return { data: () => {}, drained: () => {}, secured: () => {}, closed: ended }
}

/** A link with the peer on which the first thing said is too long. Settles when the peer has ended it. */
export const sayTooMuch = async ({ peer, weDial }: Meeting): Promise<string> => {
  const over = Promise.withResolvers<string>()
  const onLink: OnLink = (link) => handlersOf(link, over.resolve)
  if (weDial) {
    const [host, port] = multiaddr(peer.listening[0]!).getComponents()
    await world.dial({ host: host!.value!, port: Number(port!.value), timeoutMs: 5_000 }, onLink)
    return over.promise
  }
  const listening = await world.listen({ host: "127.0.0.1", port: 0 }, onLink)
  try {
    // Who it is does not matter: nobody comes so far as to say it.
    const refused = peer.ask("dial", { to: `/ip4/127.0.0.1/tcp/${listening.at.port}/p2p/${nobody}` })
    await refused.then(
      () => Promise.reject(new Error("it was taken")),
      () => undefined
    )
    return await over.promise
  } finally {
    listening.close()
  }
}
