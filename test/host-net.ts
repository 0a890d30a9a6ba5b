/** Two ends of a host without the rest of it: a clock that only tests move, streams that are real above a muxer that is a queue. */
import type { MuxedStream, MuxedStreamHandlers, PeerId } from "../src/libp2p/contract.ts"
import { cheapFault, Libp2pFault } from "../src/libp2p/fault.ts"
import { keyFromSeed } from "../src/libp2p/key.ts"
import { multiaddr } from "../src/libp2p/multiaddr.ts"
import { dialSelect, listenSelect } from "../src/libp2p/multistream.ts"
import { peerIdOfKey } from "../src/libp2p/peer-id.ts"
import { type HostAddressManager, makeAddressManager } from "../src/host/address-manager.ts"
import type {
  Connection,
  ConnectionEvents,
  ConnectionLimits,
  Direction,
  HostEvents,
  NewStreamOptions,
  Stream,
  StreamHandler,
  StreamHandlerOptions
} from "../src/host/api.ts"
import type { AddressesInit, Components, ConnectionManager, Registrar } from "../src/host/components.ts"
import { Emitter } from "../src/host/events.ts"
import { componentLogger } from "../src/host/log.ts"
import { type HostPeerStore, type HostPeerStoreInit, makePeerStore } from "../src/host/peer-store.ts"
import { HostStream } from "../src/host/stream.ts"
import type { World } from "../src/host/world.ts"
import { makeDice } from "../src/sim/dice.ts"

/** Lets all that is ready run, promises too. */
export const settle = async (): Promise<void> => {
  for (let round = 0; round < 3; round++) await new Promise((resolve) => setImmediate(resolve))
}

/** Time that stands until it is moved. */
export class TestClock {
  now = 1_700_000_000_000
  private timers: Array<{ readonly at: number; readonly run: () => void }> = []

  readonly after = (ms: number, run: () => void): (() => void) => {
    const timer = { at: this.now + ms, run }
    this.timers.push(timer)
    return () => {
      this.timers = this.timers.filter((other) => other !== timer)
    }
  }

  get waiting(): number {
    return this.timers.length
  }

  /** Runs what is due, in its order; what follows of each runs before the next. */
  async advance(ms: number): Promise<void> {
    const end = this.now + ms
    await settle()
    for (;;) {
      const [next] = this.timers.filter(({ at }) => at <= end).sort((a, b) => a.at - b.at)
      if (next === undefined) break
      this.timers = this.timers.filter((other) => other !== next)
      this.now = next.at
      next.run()
      await settle()
    }
    this.now = end
    await settle()
  }
}

export const testWorld = (clock: TestClock, seed = 1): World & { ips: ReadonlyArray<string> } => {
  const dice = makeDice(seed)
  const world = {
    ips: ["127.0.0.1", "::1", "192.168.1.5", "fe80::1%eth0"] as ReadonlyArray<string>,
    now: () => clock.now,
    random: (length: number) => dice.bytes(length),
    after: clock.after,
    soon: queueMicrotask,
    dial: () => Promise.reject(new Error("no links here")),
    listen: () => Promise.reject(new Error("no links here")),
    resolve: () => Promise.resolve([]),
    interfaces: () => world.ips
  }
  return world
}

/** One end of a queue of bytes with a window. */
class QueueEnd implements MuxedStream {
  readonly id = 1
  readonly direction: Direction
  handlers: MuxedStreamHandlers | undefined
  other!: QueueEnd
  private waiting: Array<Uint8Array> = []
  private credit = 65_536
  private blocked = false
  private closing = false
  private said = false
  private over = false
  /** Nothing arrives while it says true: a link that stalls. */
  private readonly stalled: () => boolean

  constructor(direction: Direction, stalled: () => boolean) {
    this.direction = direction
    this.stalled = stalled
  }

  readonly buffered = (): number => this.waiting.reduce((sum, { length }) => sum + length, 0)
  readonly write = (bytes: Uint8Array): boolean => {
    if (this.over || this.closing) return true
    this.waiting.push(bytes)
    queueMicrotask(this.pump)
    this.blocked = this.buffered() > 65_536
    return !this.blocked
  }
  readonly consumed = (bytes: number): void => {
    this.other.credit += bytes
    queueMicrotask(this.other.pump)
  }
  readonly closeWrite = (): void => {
    this.closing = true
    queueMicrotask(this.pump)
  }
  readonly reset = (): void => {
    if (this.over) return
    this.over = true
    queueMicrotask(() => this.other.end(cheapFault("closed", "StreamResetError", "the other side reset the stream")))
  }
  readonly pump = (): void => {
    while (!this.over && !this.stalled() && this.waiting.length > 0 && this.credit > 0) {
      const [first] = this.waiting
      const piece = first!.slice(0, this.credit)
      this.credit -= piece.length
      if (piece.length === first!.length) this.waiting.shift()
      else this.waiting[0] = first!.subarray(piece.length)
      this.other.handlers?.data(piece)
    }
    if (this.over || this.stalled() || this.waiting.length > 0) return
    if (this.blocked) {
      this.blocked = false
      this.handlers?.drain()
    }
    if (!this.closing || this.said) return
    this.said = true
    this.other.handlers?.remoteClosed()
    if (!this.other.said) return
    this.end(undefined)
    this.other.end(undefined)
  }

  end(fault: Libp2pFault | undefined): void {
    if (this.over) return
    this.over = true
    this.handlers?.ended(fault)
  }
}

interface Handling {
  readonly handler: StreamHandler
  readonly options: StreamHandlerOptions
}

const fail = (error: unknown): never => {
  throw error
}

/** A connection as one end sees it. */
export class TestConnection extends Emitter<ConnectionEvents> implements Connection {
  readonly id: string
  readonly direction: Direction
  readonly remotePeer: PeerId
  readonly remoteAddr
  readonly timeline
  readonly multiplexer = "/queue"
  readonly encryption = "/none"
  readonly binding = new Uint8Array(32)
  readonly direct = true
  readonly log = componentLogger().forComponent("test")
  readonly limits?: ConnectionLimits
  status: Connection["status"] = "open"
  streams: Array<Stream> = []
  /** Streams that were opened, ever. */
  opened = 0
  /** Bytes of ours do not arrive. */
  stalled = false
  other!: TestConnection
  readonly node: TestNode

  constructor(node: TestNode, direction: Direction, remotePeer: PeerId, remoteAddr: string) {
    super((_, error) => fail(error))
    this.node = node
    this.id = `${node.peerId}-${node.connections.length}`
    this.direction = direction
    this.remotePeer = remotePeer
    this.remoteAddr = multiaddr(remoteAddr)
    this.timeline = { open: node.clock.now }
  }

  newStream(protocols: string | ReadonlyArray<string>, options: NewStreamOptions = {}): Promise<Stream> {
    const names = typeof protocols === "string" ? [protocols] : protocols
    const open = this.streams.filter(({ protocol, direction }) => direction === "outbound" && names.includes(protocol))
    if (open.length >= (options.maxOutboundStreams ?? 64))
      return Promise.reject(cheapFault("resource", "TooManyOutboundProtocolStreamsError", "too many streams"))
    this.opened++
    const ours = new QueueEnd("outbound", () => this.stalled)
    const theirs = new QueueEnd("inbound", () => this.other.stalled)
    ours.other = theirs
    theirs.other = ours
    this.other.accept(theirs)
    return new Promise((resolve, reject) => {
      const stream: HostStream = this.stream(ours, dialSelect(names), resolve, (fault) => reject(fault))
      options.signal?.addEventListener("abort", () => {
        if (stream.protocol === "") stream.abort(options.signal!.reason as Error)
      })
    })
  }

  private accept(end: QueueEnd): void {
    const { handlers } = this.node
    const select = listenSelect((name) => handlers.has(name))
    this.stream(end, select, (stream) => {
      const { handler, options } = handlers.get(stream.protocol)!
      const open = this.streams.filter(
        ({ protocol, direction }) => direction === "inbound" && protocol === stream.protocol
      )
      if (open.length > (options.maxInboundStreams ?? 32))
        stream.abort(cheapFault("resource", "TooManyInboundProtocolStreamsError", "too many streams"))
      else void handler(stream, this)
    })
  }

  private stream(
    end: QueueEnd,
    select: ReturnType<typeof dialSelect>,
    selected: (stream: HostStream) => void,
    ended: (fault: Libp2pFault | undefined) => void = () => {}
  ): HostStream {
    const stream = new HostStream(end, select, {
      now: () => this.node.clock.now,
      soon: queueMicrotask,
      onError: (_, error) => fail(error),
      log: this.log,
      hold: () => true,
      settle: () => {},
      noRoom: () => cheapFault("resource", "ResourceLimitError", "no room"),
      selected,
      awaitFlush: (closing) => {
        const look = (): void => {
          if (!closing.flushed()) setImmediate(look)
        }
        look()
      },
      ended: (gone, fault) => {
        this.streams = this.streams.filter((other) => other !== gone)
        ended(fault)
      }
    })
    this.streams.push(stream)
    stream.begin()
    return stream
  }

  async close(): Promise<void> {
    this.abort(cheapFault("closed", "ConnectionClosedError", "closed"))
  }

  abort(error: Error): void {
    this.status = "closed"
    for (const stream of [...this.streams]) stream.abort(error)
    this.node.connections = this.node.connections.filter((other) => other !== this)
  }
}

export interface TestNodeInit {
  readonly addresses?: AddressesInit
  readonly bound?: ReadonlyArray<string>
  readonly peerStore?: HostPeerStoreInit
  readonly userAgent?: string
}

/** All that a service is given. */
export class TestNode {
  readonly clock: TestClock
  readonly world
  readonly peerId: PeerId
  readonly components: Components
  readonly peerStore: HostPeerStore
  readonly addressManager: HostAddressManager
  readonly handlers = new Map<string, Handling>()
  readonly told: Array<{ readonly type: string; readonly detail: unknown }> = []
  connections: Array<TestConnection> = []

  constructor(clock: TestClock, seed: number, init: TestNodeInit = {}) {
    this.clock = clock
    this.world = testWorld(clock, seed)
    const key = keyFromSeed(new Uint8Array(32).fill(seed))
    if (key instanceof Libp2pFault) throw key
    this.peerId = peerIdOfKey(key.publicKey)
    const { world, peerId } = this
    const events = new Emitter<HostEvents>((_, error) => fail(error))
    const bound = (init.bound ?? []).map((text) => multiaddr(text))
    const transportManager = { getAddrs: () => bound }
    this.peerStore = makePeerStore({ peerId, world, events }, init.peerStore)
    const parts = { peerId, privateKey: key, peerStore: this.peerStore, events, transportManager, world }
    this.addressManager = makeAddressManager(parts, init.addresses)
    this.components = {
      ...parts,
      addressManager: this.addressManager,
      nodeInfo: { name: "test", version: "1", userAgent: init.userAgent ?? `test/${seed}` },
      logger: componentLogger(),
      registrar: this.registrar(),
      connectionManager: this.connectionManager(),
      connectionGater: {}
    }
  }

  get events(): Components["events"] {
    return this.components.events
  }

  /** Keeps the events of a type in `told`. */
  listen(type: keyof HostEvents & string): void {
    this.events.addEventListener(type, (event) => {
      this.told.push({ type, detail: (event as CustomEvent<unknown>).detail })
    })
  }

  private registrar(): Registrar {
    const no = (): never => fail(new Error("not in this test"))
    return {
      getProtocols: () => [...this.handlers.keys()].sort(),
      getHandler: (protocol) => this.handlers.get(protocol),
      handle: async (protocol, handler, options = {}) => {
        for (const name of [protocol].flat() as ReadonlyArray<string>) this.handlers.set(name, { handler, options })
      },
      unhandle: async (protocol) => {
        for (const name of [protocol].flat() as ReadonlyArray<string>) this.handlers.delete(name)
      },
      register: no,
      unregister: no,
      getTopologies: no,
      use: no,
      unuse: no
    }
  }

  private connectionManager(): ConnectionManager {
    return {
      getConnections: (peer) =>
        this.connections.filter(({ remotePeer }) => peer === undefined || remotePeer.equals(peer)),
      getDialQueue: () => [],
      getMaxConnections: () => 10,
      openConnection: async () => this.connections[0] ?? fail(cheapFault("not_found", "DialError", "nobody")),
      closeConnections: async () => {},
      protect: () => {},
      unprotect: () => false,
      isProtected: () => false
    }
  }
}

/** `a` dials `b`. The first of what comes back is `a`'s end. */
export const connect = (
  a: TestNode,
  b: TestNode,
  [of, to] = ["/ip4/198.18.0.1/tcp/50000", "/ip4/198.18.0.2/tcp/4001"]
): readonly [TestConnection, TestConnection] => {
  const ours = new TestConnection(a, "outbound", b.peerId, to!)
  const theirs = new TestConnection(b, "inbound", a.peerId, of!)
  ours.other = theirs
  theirs.other = ours
  a.connections.push(ours)
  b.connections.push(theirs)
  for (const { node, remotePeer } of [ours, theirs])
    node.events.safeDispatchEvent("peer:connect", { detail: remotePeer })
  for (const end of [ours, theirs]) end.node.events.safeDispatchEvent("connection:open", { detail: end })
  return [ours, theirs]
}
