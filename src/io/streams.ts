/**
 * The libp2p door between nodes: one stream of the chain's protocol is one wire. The connection under it is secured, and has proven
 * the key of the other side, before the stream is there; so its wire tells the key, and needs no binding of its own.
 */
import { Effect } from "effect"
import { parseMultiaddr } from "../libp2p/multiaddr.ts"
import { Libp2pFault } from "../libp2p/fault.ts"
import type { Connection, Libp2p, Stream } from "../host/api.ts"
import { outboundBytesMax } from "../limits.ts"
import { TcpFault, type Wire, type WireHandlers } from "./tcp.ts"

export interface StreamWire extends Wire {
  /** The key that the connection has proven: 33 bytes, secp256k1. */
  readonly remoteKey: Uint8Array
}

export type OnStream = (wire: StreamWire) => WireHandlers

/** A libp2p host that carries sessions. */
export interface StreamDoor {
  /** Who we are there, base58btc. */
  readonly peerId: string
  readonly protocol: string
  /** Where we can be dialled, with our peer id. */
  readonly addresses: () => ReadonlyArray<string>
  /** `to`: a multiaddr that ends in a peer id. */
  readonly dial: (to: string, timeoutMs: number, onStream: OnStream) => Effect.Effect<void, TcpFault>
  readonly close: Effect.Effect<void>
}

export interface StreamsInit {
  /** 32 bytes: the node's key. */
  readonly secret: Uint8Array
  readonly listen: ReadonlyArray<string>
  readonly announce: ReadonlyArray<string>
  /** The protocol of the chain. */
  readonly protocol: string
  readonly agent: string
}

/** Opens the door; `onStream` hears what others open. */
export type Streams = (init: StreamsInit, onStream: OnStream) => Effect.Effect<StreamDoor, TcpFault>

const silent: WireHandlers = { data: () => {}, drained: () => {}, closed: () => {} }

const message = (error: unknown): string => (error instanceof Error ? error.message : String(error))

/** The host of `/ip4/10.0.0.1/tcp/…`. */
const hostOf = ({ remoteAddr }: Connection): string => remoteAddr.getComponents()[0]?.value ?? ""

const wireOf = (stream: Stream, connection: Connection, remoteKey: Uint8Array): StreamWire => ({
  remoteHost: hostOf(connection),
  remoteKey,
  binding: connection.binding,
  write: (bytes) => {
    if (stream.writeStatus !== "writable") return false
    if (stream.writeBufferLength + bytes.length > outboundBytesMax) {
      stream.abort(new Error("the peer reads too slowly"))
      return false
    }
    stream.send(bytes)
    return true
  },
  queued: () => stream.writeBufferLength,
  pause: () => stream.pause(),
  resume: () => stream.resume(),
  end: () => void stream.close().catch(() => stream.abort(new Error("ended by us"))),
  terminate: () => stream.abort(new Error("ended by us"))
})

/** Gives a stream to the node. One whose peer has another sort of key than nodes have is reset. */
const open = (stream: Stream, connection: Connection, onStream: OnStream): void => {
  const key = connection.remotePeer.publicKey
  if (key?.type !== "secp256k1") return stream.abort(new Error("a node's key is secp256k1"))
  let handlers = silent
  stream.maxWriteBufferLength = outboundBytesMax
  stream.addEventListener("message", ({ data }) => handlers.data(data))
  stream.addEventListener("drain", () => handlers.drained())
  // Who says that it writes no more has left; so do we, when what we wrote is out.
  stream.addEventListener("remoteCloseWrite", () => void stream.close().catch(() => {}))
  stream.addEventListener("close", ({ error }) => handlers.closed(error?.message ?? "closed by the peer"))
  handlers = onStream(wireOf(stream, connection, key.raw))
}

/** The door over a host that `make` makes and starts. */
export const streamsOver =
  (make: (init: StreamsInit) => Promise<Libp2p>): Streams =>
  (init, onStream) =>
    Effect.gen(function* () {
      const host = yield* Effect.tryPromise({
        try: () => make(init),
        catch: (error) => new TcpFault({ code: "listen-failed", message: message(error) })
      })
      const handle = host.handle(init.protocol, (stream, connection) => open(stream, connection, onStream))
      yield* Effect.promise(() => handle)
      return {
        peerId: host.peerId.toString(),
        protocol: init.protocol,
        addresses: () => host.getMultiaddrs().map(String),
        dial: (to, timeoutMs, onDialled) =>
          Effect.tryPromise({
            try: async (signal) => {
              const address = parseMultiaddr(to)
              if (address instanceof Libp2pFault) throw address
              const connection = await host.dial(address, { signal })
              open(await connection.newStream(init.protocol, { signal }), connection, onDialled)
            },
            catch: (error) => new TcpFault({ code: "dial-failed", message: `${to}: ${message(error)}` })
          }).pipe(
            Effect.timeoutOrElse({
              duration: timeoutMs,
              orElse: () => Effect.fail(new TcpFault({ code: "dial-failed", message: `${to}: no answer in time` }))
            })
          ),
        close: Effect.promise(async () => host.stop())
      }
    })
