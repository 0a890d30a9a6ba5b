/** A connection of a host: what applications see of a secured link, its streams and its end. */
import type { ConnectionFacts, ConnectionMachine, Multiaddr, MuxedStream, PeerId } from "../libp2p/contract.ts"
import { cheapFault, Libp2pFault } from "../libp2p/fault.ts"
import { dialSelect, isProtocolId, listenSelect } from "../libp2p/multistream.ts"
import { faultOf, onAbort, throwIfAborted } from "./abort.ts"
import type {
  AbortOptions,
  Connection,
  ConnectionEvents,
  ConnectionLimits,
  ConnectionTimeline,
  Direction,
  NewStreamOptions,
  Stream,
  StreamStatus
} from "./api.ts"
import { Emitter, type OnError, StreamClose } from "./events.ts"
import { connectionCloseMs, inboundStreamsPerProtocol, outboundStreamsPerProtocol, proposalsMax } from "./limits.ts"
import type { HostLogger } from "./log.ts"
import type { ProtocolRegistrar } from "./registrar.ts"
import type { MemoryPlace, MemoryScope } from "./memory.ts"
import type { Resources, StreamScope } from "./resources.ts"
import { HostStream, type StreamOwner } from "./stream.ts"
import type { World } from "./world.ts"

/** What a connection needs of its host. */
export interface ConnectionOwner {
  readonly world: World
  readonly onError: OnError
  readonly log: HostLogger
  readonly registrar: ProtocolRegistrar
  readonly resources: Resources
  readonly streamOpened: (stream: HostStream, connection: HostConnection) => void
  /** Every stream of every connection is to give back what it holds no more. */
  readonly settle: () => void
  /** Told once. */
  readonly closed: (connection: HostConnection) => void
}

export interface ConnectionInit {
  readonly id: string
  readonly remoteAddr: Multiaddr
  readonly direction: Direction
  readonly facts: ConnectionFacts
  readonly timeline: ConnectionTimeline
  readonly machine: ConnectionMachine
  readonly terminate: () => void
  readonly limits?: ConnectionLimits
}

interface Opening {
  /** Streams of the protocol that may be open, as `newStream` was told. */
  readonly max: number | undefined
  readonly resolve: (stream: HostStream) => void
  readonly reject: (fault: Libp2pFault) => void
}

export class HostConnection extends Emitter<ConnectionEvents> implements Connection {
  readonly id: string
  readonly remoteAddr: Multiaddr
  readonly remotePeer: PeerId
  readonly direction: Direction
  readonly timeline: ConnectionTimeline
  readonly multiplexer: string
  readonly encryption: string
  readonly binding: Uint8Array
  readonly limits?: ConnectionLimits
  readonly log: HostLogger
  readonly direct = true
  status: StreamStatus = "open"
  rtt?: number
  /** What the peer has said that it speaks: then its streams need no answer before they are used. */
  known: ReadonlySet<string> = new Set()

  private readonly init: ConnectionInit
  private readonly owner: ConnectionOwner
  private readonly open = new Map<HostStream, StreamScope>()
  private readonly openings = new Map<HostStream, Opening>()
  private readonly closing = new Set<HostStream>()
  private readonly streamOwner: StreamOwner
  private memory: MemoryScope | undefined
  /** Where there was no room, the last time. */
  private full: MemoryPlace = "connection"
  private leaving = false
  private readonly closed = Promise.withResolvers<void>()

  constructor(init: ConnectionInit, owner: ConnectionOwner) {
    super(owner.onError)
    this.init = init
    this.owner = owner
    this.id = init.id
    this.remoteAddr = init.remoteAddr
    this.remotePeer = init.facts.remotePeer
    this.direction = init.direction
    this.timeline = init.timeline
    this.multiplexer = init.facts.multiplexer
    this.encryption = init.facts.encryption
    this.binding = init.facts.binding
    if (init.limits !== undefined) this.limits = init.limits
    this.log = owner.log
    this.streamOwner = {
      now: owner.world.now,
      soon: owner.world.soon,
      onError: owner.onError,
      log: owner.log,
      hold: (bytes) => this.hold(bytes),
      settle: owner.settle,
      noRoom: (stream) => owner.resources.noMemory(this.full, stream.direction),
      selected: (stream) => this.selected(stream),
      awaitFlush: (stream) => {
        this.closing.add(stream)
      },
      ended: (stream, fault) => this.streamEnded(stream, fault)
    }
  }

  get streams(): Array<Stream> {
    return [...this.open.keys()].filter((stream) => stream.protocol !== "")
  }

  // Streams of ours

  newStream(protocols: string | ReadonlyArray<string>, options: NewStreamOptions = {}): Promise<HostStream> {
    return new Promise((resolve, reject) => {
      const list = typeof protocols === "string" ? [protocols] : protocols
      throwIfAborted(options.signal)
      const refused = this.refusal(list, options)
      if (refused !== undefined) throw refused
      options.onProgress?.({ type: "connection:open-stream", detail: { connection: this, protocols: list } })
      const scope = this.owner.resources.openStream(this.remotePeer.toString(), "outbound")
      if (scope instanceof Libp2pFault) throw scope
      const muxed = this.init.machine.open()
      if (muxed instanceof Libp2pFault) {
        scope.done()
        throw muxed
      }
      this.begin(muxed, scope, list, options, { resolve, reject })
    })
  }

  private refusal(list: ReadonlyArray<string>, options: NewStreamOptions): Libp2pFault | undefined {
    if (list.length === 0 || list.length > proposalsMax || !list.every(isProtocolId))
      return new Libp2pFault("input", "InvalidParametersError", `1 to ${proposalsMax} protocol ids are needed`)
    if (this.status !== "open")
      return new Libp2pFault("closed", "ConnectionClosedError", `the connection is ${this.status}`)
    if (this.limits !== undefined && options.runOnLimitedConnection !== true)
      return new Libp2pFault("permission", "LimitedConnectionError", "the connection is a relay's, with limits")
    const only = list[0]!
    return list.length === 1 ? this.tooMany(only, "outbound", options.maxOutboundStreams, 0) : undefined
  }

  private begin(
    muxed: MuxedStream,
    scope: StreamScope,
    list: ReadonlyArray<string>,
    options: NewStreamOptions,
    opening: Pick<Opening, "resolve" | "reject">
  ): void {
    const only = list.length === 1 ? list[0]! : undefined
    const fully = options.negotiateFully ?? (only === undefined || !this.known.has(only))
    const lazy = only !== undefined && !fully
    const stream = new HostStream(muxed, dialSelect(list), this.streamOwner, lazy ? only : undefined)
    const off = onAbort(options.signal, (fault) => stream.abort(fault))
    this.open.set(stream, scope)
    this.openings.set(stream, {
      max: options.maxOutboundStreams,
      resolve: (ready) => {
        off()
        options.onProgress?.({ type: "connection:opened-stream", detail: { connection: this, stream: ready } })
        opening.resolve(ready)
      },
      reject: (fault) => {
        off()
        opening.reject(fault)
      }
    })
    stream.begin()
    if (lazy) this.settled(stream)
  }

  /** `own`: the stream that asks is among those that are counted. */
  private tooMany(
    protocol: string,
    direction: Direction,
    max: number | undefined,
    own: 0 | 1
  ): Libp2pFault | undefined {
    const options = this.owner.registrar.getHandler(protocol)?.options
    const limit =
      direction === "inbound"
        ? (options?.maxInboundStreams ?? inboundStreamsPerProtocol)
        : (max ?? options?.maxOutboundStreams ?? outboundStreamsPerProtocol)
    let count = -own
    for (const stream of this.open.keys()) if (stream.direction === direction && stream.protocol === protocol) count++
    if (count < limit) return undefined
    const name = direction === "inbound" ? "TooManyInboundProtocolStreamsError" : "TooManyOutboundProtocolStreamsError"
    return cheapFault("resource", name, `${limit} ${direction} streams of ${protocol} are open`, { protocol })
  }

  // Streams of both

  /** The muxer has a stream of theirs. */
  inbound(muxed: MuxedStream): void {
    const scope =
      this.status === "open"
        ? this.owner.resources.openStream(this.remotePeer.toString(), "inbound")
        : cheapFault("closed", "ConnectionClosedError", "the connection closes")
    if (scope instanceof Libp2pFault) {
      this.log("%p: a stream of theirs is reset: %e", this.remotePeer, scope)
      muxed.reset()
      return
    }
    const speaks = (protocol: string): boolean => this.owner.registrar.getHandler(protocol) !== undefined
    const stream = new HostStream(muxed, listenSelect(speaks), this.streamOwner)
    this.open.set(stream, scope)
    stream.begin()
  }

  private selected(stream: HostStream): void {
    // A lazy stream was settled when it began.
    if (stream.direction === "outbound") {
      if (this.openings.has(stream)) this.settled(stream)
      return
    }
    const record = this.owner.registrar.getHandler(stream.protocol)
    const fault =
      this.tooMany(stream.protocol, "inbound", undefined, 1) ??
      (this.limits !== undefined && record?.options.runOnLimitedConnection !== true
        ? cheapFault("permission", "LimitedConnectionError", "the connection is a relay's, with limits")
        : this.open.get(stream)?.setProtocol(stream.protocol))
    if (fault !== undefined || record === undefined) {
      stream.abort(fault ?? cheapFault("unsupported", "UnsupportedProtocolError", "the handler is gone"))
      return
    }
    this.log.trace("%p: they opened stream %s of %s", this.remotePeer, stream.id, stream.protocol)
    this.owner.streamOpened(stream, this)
    this.run(stream, 0)
  }

  private settled(stream: HostStream): void {
    const opening = this.openings.get(stream)
    this.openings.delete(stream)
    const fault =
      this.tooMany(stream.protocol, "outbound", opening?.max, 1) ?? this.open.get(stream)?.setProtocol(stream.protocol)
    if (fault === undefined) {
      this.log.trace("%p: we opened stream %s of %s", this.remotePeer, stream.id, stream.protocol)
      this.owner.streamOpened(stream, this)
      opening?.resolve(stream)
      return
    }
    stream.abort(fault)
    opening?.reject(fault)
  }

  /** The middleware from `at` on, then the handler. */
  private run(stream: Stream, at: number): void {
    const { registrar, onError } = this.owner
    const record = registrar.getHandler(stream.protocol)
    if (record === undefined) return
    const middleware = registrar.middlewareOf(stream.protocol)[at]
    const failed = (error: unknown): void => {
      onError(`the handler of ${stream.protocol}`, error)
      stream.abort(faultOf(error, "the handler failed"))
    }
    try {
      const running =
        middleware === undefined
          ? record.handler(stream, this)
          : middleware(stream, this, (next) => this.run(next, at + 1))
      if (running !== undefined) running.catch(failed)
    } catch (error) {
      failed(error)
    }
  }

  private streamEnded(stream: HostStream, fault: Libp2pFault | undefined): void {
    this.open.get(stream)?.done()
    this.open.delete(stream)
    this.closing.delete(stream)
    if (fault === undefined) this.log.trace("%p: stream %s of %s is over", this.remotePeer, stream.id, stream.protocol)
    else this.log("%p: stream %s of %s failed: %e", this.remotePeer, stream.id, stream.protocol, fault)
    const opening = this.openings.get(stream)
    this.openings.delete(stream)
    opening?.reject(fault ?? new Libp2pFault("closed", "StreamStateError", "the stream ended before it had a protocol"))
  }

  /** The machine gave the link what it had. */
  flushed(): void {
    for (const stream of this.closing) if (stream.flushed()) this.closing.delete(stream)
  }

  tick(now: number): void {
    for (const stream of this.open.keys()) stream.tick(now)
  }

  /** Its streams give back what they hold no more. */
  settle(): void {
    for (const stream of this.open.keys()) stream.settle()
  }

  private hold(bytes: number): boolean {
    this.memory ??= this.owner.resources.memory.open(this.remotePeer.toString())
    const full = this.memory.hold(bytes)
    if (full === undefined) return true
    this.full = full
    return false
  }

  // The end

  async close(options: AbortOptions = {}): Promise<void> {
    throwIfAborted(options.signal)
    if (this.status === "closed" || this.status === "aborted") return
    if (this.status === "open") {
      this.status = "closing"
      this.leaving = true
      const cancel = this.owner.world.after(connectionCloseMs, () => this.finish())
      const off = onAbort(options.signal, () => this.finish())
      Promise.allSettled([...this.open.keys()].map((stream) => stream.close())).then(() => {
        if (this.timeline.close === undefined) this.init.machine.close()
      })
      this.closed.promise.then(() => {
        cancel()
        off()
      })
    }
    await this.closed.promise
  }

  /** Time is up: no more waiting. */
  private finish(): void {
    if (this.timeline.close !== undefined) return
    this.init.machine.close()
    this.init.terminate()
  }

  abort(error: Error): void {
    if (this.timeline.close !== undefined) return
    this.leaving = true
    // What was written may still be on its way to a slow link; nobody is given this connection meanwhile.
    if (this.status === "open") this.status = "closing"
    this.init.machine.close(faultOf(error, error.message))
  }

  /** The machine is over. */
  ended(fault: Libp2pFault | undefined): void {
    if (this.timeline.close !== undefined) return
    this.timeline.close = this.owner.world.now()
    this.status = fault === undefined ? "closed" : "aborted"
    if (fault === undefined) this.log("connection %s with %p is closed", this.id, this.remotePeer)
    else this.log("connection %s with %p failed: %e", this.id, this.remotePeer, fault)
    const over = fault ?? new Libp2pFault("closed", "ConnectionClosedError", "the connection is closed")
    for (const stream of this.open.keys()) stream.abort(over)
    this.memory?.done()
    this.closed.resolve()
    this.owner.closed(this)
    this.dispatchEvent(new StreamClose(fault, this.leaving))
  }
}
