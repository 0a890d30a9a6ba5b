/**
 * The libp2p door between nodes: one stream of the chain's protocol is one wire. The connection under it is secured, and has proven
 * the key of the other side, before the stream is there; so its wire tells the key, and needs no binding of its own.
 */
import { type Context, Effect } from "effect"
import type { ComponentLogger, Connection, ConnectionGater, Stream } from "../host/api.ts"
import type { Components } from "../host/components.ts"
import { createHost, type HostMetrics } from "../host/host.ts"
import { identify, identifyPush } from "../host/identify-service.ts"
import { componentLogger, type LogFilter } from "../host/log.ts"
import { subsystemOf } from "../host/log-filter.ts"
import { messageOf } from "../host/log-text.ts"
import { type EncrypterFactory, noise, noiseEngine, tls } from "../host/parts.ts"
import { ping } from "../host/ping-service.ts"
import type { World } from "../host/world.ts"
import type { PeerId } from "../libp2p/contract.ts"
import { toTcpEndpoint } from "../libp2p/address-facts.ts"
import { Libp2pFault } from "../libp2p/fault.ts"
import { privateKeyFromRaw } from "../libp2p/key.ts"
import { parseMultiaddr } from "../libp2p/multiaddr.ts"
import { chainStreamsMax, lingerMsMax, outboundBytesMax } from "../limits.ts"
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
  /** What seals the frames of Noise. */
  readonly aeadEngine: string
  /** Where we can be dialled, with our peer id. */
  readonly addresses: () => ReadonlyArray<string>
  /** Connections that stand, with a session or without, and by what they are secured. */
  readonly connections: () => ReadonlyArray<{ readonly encryption: string; readonly direction: string }>
  /** What the host holds and has refused. */
  readonly metrics: () => HostMetrics
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
  /** May who has this key (33 bytes; undefined: one of another sort) have a connection? Undefined: everybody may. */
  readonly admits?: ((key: Uint8Array | undefined) => boolean) | undefined
}

/** Opens the door; `onStream` hears what others open. */
export type Streams = (init: StreamsInit, onStream: OnStream) => Effect.Effect<StreamDoor, TcpFault>

const silent: WireHandlers = { data: () => {}, drained: () => {}, closed: () => {} }

const message = (error: unknown): string => (error instanceof Error ? error.message : String(error))

/** The host that the link goes to, as text. */
const hostOf = ({ remoteAddr }: Connection): string => {
  const at = toTcpEndpoint(remoteAddr)
  return at instanceof Libp2pFault ? "" : at.host
}

/** A connection that was there for a session goes when there is none. */
const leave = (connection: Connection, protocol: string, over?: Stream): void => {
  if (connection.streams.some((other) => other !== over && other.protocol === protocol)) return
  connection.close().catch(() => {})
}

/**
 * One stream as a wire. It tells its handlers once that it is over, and is cut off if the peer does not let it end. As long as it
 * stands its peer is protected: no crowd of strangers has it closed for being of little value.
 */
class ChainStream {
  handlers = silent
  readonly wire: StreamWire
  private readonly stream: Stream
  private readonly connection: Connection
  private readonly host: Components
  private cancel = (): void => {}

  constructor(stream: Stream, connection: Connection, remoteKey: Uint8Array, host: Components) {
    this.stream = stream
    this.connection = connection
    this.host = host
    this.wire = {
      remoteHost: hostOf(connection),
      remoteKey,
      binding: connection.binding,
      write: (bytes) => this.write(bytes),
      queued: () => stream.writeBufferLength,
      pause: () => stream.pause(),
      resume: () => stream.resume(),
      end: () => this.end(),
      terminate: () => stream.abort(new Error("ended by us"))
    }
    // The session has its own idea of silence.
    stream.inactivityTimeout = 0
    stream.maxWriteBufferLength = outboundBytesMax
    stream.addEventListener("drain", () => this.handlers.drained())
    // Who says that it writes no more has left; so do we, when what we wrote is out.
    stream.addEventListener("remoteCloseWrite", () => this.end())
    stream.addEventListener("close", ({ error }) => this.over(error?.message ?? "closed by the peer"))
    host.connectionManager.protect(connection.remotePeer, this.tag)
  }

  /** A peer may have two for a while; each protects it by itself. */
  private get tag(): string {
    return `session ${this.connection.id} ${this.stream.id}`
  }

  hear(handlers: WireHandlers): void {
    this.handlers = handlers
    // A listener takes what has come meanwhile.
    this.stream.addEventListener("message", ({ data }) => handlers.data(data))
  }

  private write(bytes: Uint8Array): boolean {
    const { stream } = this
    if (stream.writeStatus !== "writable") return false
    if (stream.writeBufferLength + bytes.length > outboundBytesMax) {
      stream.abort(new Error("the peer reads too slowly"))
      return false
    }
    stream.send(bytes)
    return true
  }

  private end(): void {
    const { stream } = this
    if (stream.writeStatus !== "writable") return
    const late = new Error("the peer did not close in time")
    this.cancel = this.host.world.after(lingerMsMax, () => stream.abort(late))
    stream.close().catch(() => {})
  }

  private over(reason: string): void {
    this.cancel()
    this.host.connectionManager.unprotect(this.connection.remotePeer, this.tag)
    this.handlers.closed(reason)
    leave(this.connection, this.stream.protocol, this.stream)
  }
}

const otherKey = "a node's key is secp256k1"

/** Gives a stream to the node. One whose peer has another sort of key than nodes have is reset. */
const open = (stream: Stream, connection: Connection, host: Components, onStream: OnStream): void => {
  const key = connection.remotePeer.publicKey
  if (key?.type !== "secp256k1") return stream.abort(new Error(otherKey))
  const chain = new ChainStream(stream, connection, key.raw, host)
  chain.hear(onStream(chain.wire))
}

/** Who has no business here gets no further than to say who it is. */
const gaterOf = ({ admits }: StreamsInit): ConnectionGater => {
  const denies = ({ publicKey }: PeerId): boolean =>
    !(admits?.(publicKey?.type === "secp256k1" ? publicKey.raw : undefined) ?? true)
  return { denyInboundEncryptedConnection: denies, denyOutboundEncryptedConnection: denies }
}

/** The host's lines go to the node's log: those that are wanted of the least levels too, though the node's own are not shown. */
const nodeLogger = (context: Context.Context<never>, wants: LogFilter): ComponentLogger =>
  componentLogger((level, scope, formatter, values) => {
    const line = `libp2p ${subsystemOf(scope)}: ${messageOf(formatter, values)}`
    const write = level === "error" ? Effect.logError : level === "warn" ? Effect.logWarning : Effect.logInfo
    Effect.runSyncWith(context)(write(line))
  }, wants)

const makeHost = (init: StreamsInit, world: World, security: Security, logger: ComponentLogger) => {
  const { secret, listen, announce, agent } = init
  const privateKey = privateKeyFromRaw("secp256k1", secret)
  if (privateKey instanceof Libp2pFault) throw privateKey
  const [name = agent, version = ""] = agent.split("/")
  return createHost(
    {
      privateKey,
      addresses: { listen, announce },
      connectionEncrypters: security,
      connectionGater: gaterOf(init),
      logger,
      nodeInfo: { name, version, userAgent: agent },
      services: { identify: identify(), identifyPush: identifyPush(), ping: ping() }
    },
    world
  )
}

type Security = ReadonlyArray<EncrypterFactory>

/** Dials a node and opens a stream. If none comes of it, the connection does not stay either. */
const reach = async (host: Components, to: string, protocol: string, onStream: OnStream, signal: AbortSignal) => {
  const address = parseMultiaddr(to)
  if (address instanceof Libp2pFault) throw address
  const connection = await host.connectionManager.openConnection(address, { signal })
  try {
    if (connection.remotePeer.publicKey?.type !== "secp256k1") throw new Error(otherKey)
    open(await connection.newStream(protocol, { signal }), connection, host, onStream)
  } catch (error) {
    leave(connection, protocol)
    throw error
  }
}

/** What to say when a dial fails: the fault in words. */
const dialFault = (to: string, error: unknown): TcpFault =>
  new TcpFault({ code: "dial-failed", message: `${to}: ${message(error)}` })

/**
 * The door over a libp2p host in a world. `security`: in our order; between our own nodes TLS is twice as fast, and
 * everyone speaks Noise. `wants`: which lines of the host's log the node's log takes; none without it.
 */
export const streamsIn =
  (makeWorld: () => World, security: Security = [tls(), noise()], wants?: LogFilter): Streams =>
  (init, onStream) =>
    Effect.gen(function* () {
      const world = makeWorld()
      const context = yield* Effect.context<never>()
      const logger = wants === undefined ? componentLogger() : nodeLogger(context, wants)
      const host = yield* Effect.tryPromise({
        try: async () => {
          const made = makeHost(init, world, security, logger)
          const options = { maxInboundStreams: chainStreamsMax }
          await made.handle(
            init.protocol,
            (stream, connection) => open(stream, connection, made.components, onStream),
            options
          )
          await made.start()
          return made
        },
        catch: (error) => new TcpFault({ code: "listen-failed", message: message(error) })
      })
      return {
        peerId: host.peerId.toString(),
        protocol: init.protocol,
        aeadEngine: noiseEngine(),
        addresses: () => host.getMultiaddrs().map(String),
        connections: () => host.getConnections(),
        metrics: () => host.getMetrics(),
        dial: (to, timeoutMs, onDialled) =>
          Effect.tryPromise({
            try: (signal) => reach(host.components, to, init.protocol, onDialled, signal),
            catch: (error) => dialFault(to, error)
          }).pipe(
            Effect.timeoutOrElse({
              duration: timeoutMs,
              orElse: () => Effect.fail(dialFault(to, "no answer in time"))
            })
          ),
        close: Effect.promise(() => host.stop())
      }
    })
