/**
 * The public types of a host. Names and shapes are those of js-libp2p (`@libp2p/interface` 3), so that code written for it finds
 * what it knows; what is ours alone says so. Types only: the one file that everything in this folder may import.
 */
import type { Multiaddr, PeerId, PublicKey } from "../libp2p/contract.ts"
import type { Libp2pFault } from "../libp2p/fault.ts"

/** Everything that takes time takes one: the promise then rejects with AbortError. */
export interface AbortOptions {
  readonly signal?: AbortSignal | undefined
}

export type EventHandler<E> = ((event: E) => void) | { handleEvent(event: E): void }

/** An EventTarget that knows its events. */
export interface TypedEventTarget<M extends Record<string, Event>> extends EventTarget {
  addEventListener<K extends keyof M>(
    type: K,
    listener: EventHandler<M[K]> | null,
    options?: boolean | AddEventListenerOptions
  ): void
  removeEventListener<K extends keyof M>(
    type: K,
    listener?: EventHandler<M[K]> | null,
    options?: boolean | EventListenerOptions
  ): void
  removeEventListener(type: string, listener?: EventHandler<Event>, options?: boolean | EventListenerOptions): void
  listenerCount(type: string): number
  /** Dispatches a CustomEvent with that detail; false: a listener prevented the default. */
  safeDispatchEvent<Detail>(type: keyof M, detail?: CustomEventInit<Detail>): boolean
}

/** A log of one component; called with a printf text (`%s %d %o %p %a %e`) and its values. */
export interface Logger {
  (formatter: unknown, ...values: ReadonlyArray<unknown>): void
  error(formatter: unknown, ...values: ReadonlyArray<unknown>): void
  trace(formatter: unknown, ...values: ReadonlyArray<unknown>): void
  enabled: boolean
  newScope(name: string): Logger
}

export interface ComponentLogger {
  forComponent(name: string): Logger
}

export type Direction = "inbound" | "outbound"
export type StreamStatus = "open" | "closing" | "closed" | "aborted" | "reset"
export type ReadStatus = "readable" | "paused" | "closing" | "closed"
export type WriteStatus = "writable" | "closing" | "closed"

/** What `send` takes beside bytes: a list of them, as the package uint8arraylist has it. */
export interface BytesList {
  readonly byteLength: number
  subarray(): Uint8Array
}

export interface StreamMessageEvent extends Event {
  data: Uint8Array
}

export interface StreamCloseEvent extends Event {
  /** Why, when it did not end well. */
  error?: Error
  /** It was us. */
  local?: boolean
}

export type StreamEvents = {
  /** Bytes, in pieces as they came. */
  message: StreamMessageEvent
  /** What was written is out: `send` may go on. */
  drain: Event
  /** The stream is over, both ways. Told once. */
  close: StreamCloseEvent
  /** The other side writes no more; what it wrote before may still be unread. */
  remoteCloseWrite: Event
  /** Nothing more will be read. */
  end: Event
  /** Nothing waits to be written. */
  idle: Event
}

/** Times are milliseconds since 1970. */
export interface StreamTimeline {
  open: number
  close?: number
}

/**
 * One stream of a connection. Bytes are read by a `message` listener, or by `for await`; unread ones fill the window of the
 * other side, which then waits: a reader that pauses loses nothing. `send` throws StreamStateError once the stream is closed for
 * writing, StreamBufferError when more than maxWriteBufferLength waits.
 */
export interface Stream extends TypedEventTarget<StreamEvents>, AsyncIterable<Uint8Array> {
  readonly id: string
  readonly direction: Direction
  protocol: string
  readonly status: StreamStatus
  readonly readStatus: ReadStatus
  readonly writeStatus: WriteStatus
  readonly remoteReadStatus: ReadStatus
  readonly remoteWriteStatus: WriteStatus
  readonly timeline: StreamTimeline
  readonly log: Logger
  maxReadBufferLength: number
  maxWriteBufferLength: number
  /** Milliseconds without a byte either way; then the stream is aborted with TimeoutError. 0: never. */
  inactivityTimeout: number
  readonly writableNeedsDrain: boolean
  readonly readableEnded: boolean
  readonly readBufferLength: number
  readonly writeBufferLength: number
  /** Queues bytes, which are given away. False: wait for `drain`. */
  send(data: Uint8Array | BytesList): boolean
  /** We write no more; resolves when what was written is with the link. The other side may go on. */
  close(options?: AbortOptions): Promise<void>
  /** We read no more: what comes is thrown away, and the other side is not held up. */
  closeRead(options?: AbortOptions): Promise<void>
  /** Ends both ways at once; the other side gets a reset. */
  abort(error: Error): void
  pause(): void
  resume(): void
  /** Bytes to be read behind, or before, what waits. */
  push(bytes: Uint8Array | BytesList): void
  unshift(bytes: Uint8Array | BytesList): void
  onDrain(options?: AbortOptions): Promise<void>
}

export interface NewStreamOptions extends AbortOptions {
  /** Open streams of this protocol on one connection that we may have begun: 64. */
  readonly maxOutboundStreams?: number | undefined
  /** The connection may be a relay's, limited in time and bytes. */
  readonly runOnLimitedConnection?: boolean | undefined
  /** False, with one protocol: the stream is given at once, its name goes out with the first bytes. Default: true. */
  readonly negotiateFully?: boolean | undefined
  readonly onProgress?: OnProgress | undefined
}

/** What goes on inside a dial, for those who want to show it: js-libp2p's names. */
export interface ProgressEvent {
  readonly type: string
  readonly detail: unknown
}

/** A method, so that a listener of some of the events is one. */
export type OnProgress = { listen(event: ProgressEvent): void }["listen"]

export interface ConnectionTimeline extends StreamTimeline {
  upgraded?: number
}

export interface ConnectionLimits {
  bytes?: bigint
  seconds?: number
}

export type ConnectionEvents = {
  close: StreamCloseEvent
  remoteCloseWrite: Event
  idle: Event
}

/** A secured, multiplexed link to a peer that has shown who it is. */
export interface Connection extends TypedEventTarget<ConnectionEvents> {
  readonly id: string
  readonly remoteAddr: Multiaddr
  readonly remotePeer: PeerId
  readonly direction: Direction
  readonly timeline: ConnectionTimeline
  readonly multiplexer: string
  readonly encryption: string
  readonly status: StreamStatus
  readonly direct: boolean
  readonly limits?: ConnectionLimits
  /** Milliseconds of a round trip, as the muxer's pings tell it. */
  rtt?: number
  readonly log: Logger
  readonly streams: Array<Stream>
  /** Ours alone: 32 bytes that only the two ends of this very session have. */
  readonly binding: Uint8Array
  /**
   * Opens a stream for the first of `protocols` that the other side speaks. Rejects with UnsupportedProtocolError,
   * TooManyOutboundProtocolStreamsError, LimitedConnectionError, ConnectionClosedError, ResourceLimitError, TimeoutError, AbortError.
   */
  newStream(protocols: string | ReadonlyArray<string>, options?: NewStreamOptions): Promise<Stream>
  /** Closes its streams, says goodbye, resolves when the link is closed. */
  close(options?: AbortOptions): Promise<void>
  abort(error: Error): void
}

/** A link before or after its upgrade, as a gater sees it. */
export interface RawConnection {
  readonly remoteAddr: Multiaddr
  readonly direction: Direction
  readonly timeline: ConnectionTimeline
}

export type Verdict = boolean | Promise<boolean>

/** True: denied. Every hook may be left out. A hook that throws denies. */
export interface ConnectionGater {
  denyDialPeer?(peer: PeerId): Verdict
  denyDialMultiaddr?(address: Multiaddr): Verdict
  denyInboundConnection?(link: RawConnection): Verdict
  denyOutboundConnection?(peer: PeerId, link: RawConnection): Verdict
  denyInboundEncryptedConnection?(peer: PeerId, link: RawConnection): Verdict
  denyOutboundEncryptedConnection?(peer: PeerId, link: RawConnection): Verdict
  denyInboundUpgradedConnection?(peer: PeerId, link: RawConnection): Verdict
  denyOutboundUpgradedConnection?(peer: PeerId, link: RawConnection): Verdict
  denyInboundRelayReservation?(source: PeerId): Verdict
  denyOutboundRelayedConnection?(source: PeerId, destination: PeerId): Verdict
  denyInboundRelayedConnection?(relay: PeerId, remote: PeerId): Verdict
  /** True: the address is kept for that peer. The one hook where true is yes, as in js-libp2p. */
  filterMultiaddrForPeer?(peer: PeerId, address: Multiaddr): Verdict
}

export type StreamHandler = (stream: Stream, connection: Connection) => void | Promise<void>

/** Runs before the handler; `next` goes on, perhaps with another stream. */
export type StreamMiddleware = (
  stream: Stream,
  connection: Connection,
  next: (stream: Stream, connection: Connection) => void
) => void | Promise<void>

export interface StreamHandlerOptions extends AbortOptions {
  /** Open at once on one connection: 32. */
  readonly maxInboundStreams?: number | undefined
  /** Open at once on one connection: 64. */
  readonly maxOutboundStreams?: number | undefined
  readonly runOnLimitedConnection?: boolean | undefined
  /** Takes the place of a handler that is there. */
  readonly force?: boolean | undefined
  readonly middleware?: ReadonlyArray<StreamMiddleware> | undefined
}

export interface StreamHandlerRecord {
  readonly handler: StreamHandler
  readonly options: StreamHandlerOptions
}

export interface TopologyFilter {
  has(peer: PeerId): boolean
  add(peer: PeerId): void
  remove(peer: PeerId): void
}

/** Is told of peers that speak a protocol, once identify has said so, and of their going. */
export interface Topology {
  filter?: TopologyFilter
  notifyOnLimitedConnection?: boolean
  onConnect?(peer: PeerId, connection: Connection): void | Promise<void>
  onDisconnect?(peer: PeerId): void | Promise<void>
}

// Peers

export interface Address {
  multiaddr: Multiaddr
  /** From a record that the peer signed. */
  isCertified: boolean
}

export interface Tag {
  value: number
}

export interface TagOptions {
  /** 0 to 100. */
  value?: number
  /** Milliseconds; without it the tag stays. */
  ttl?: number
}

export interface Peer {
  id: PeerId
  addresses: Array<Address>
  protocols: Array<string>
  metadata: Map<string, Uint8Array>
  tags: Map<string, Tag>
  peerRecordEnvelope?: Uint8Array
}

export interface PeerInfo {
  id: PeerId
  multiaddrs: Array<Multiaddr>
}

/** What is said of a peer. An undefined value of metadata or tags takes the entry away. */
export interface PeerData {
  addresses?: Array<Address>
  multiaddrs?: Array<Multiaddr>
  protocols?: Array<string>
  metadata?: Map<string, Uint8Array | undefined> | Record<string, Uint8Array | undefined>
  tags?: Map<string, TagOptions | undefined> | Record<string, TagOptions | undefined>
  publicKey?: PublicKey
  peerRecordEnvelope?: Uint8Array
}

export interface PeerQuery extends AbortOptions {
  readonly filters?: ReadonlyArray<(peer: Peer) => boolean>
  readonly orders?: ReadonlyArray<(a: Peer, b: Peer) => -1 | 0 | 1>
  readonly limit?: number
  readonly offset?: number
}

export interface ConsumePeerRecordOptions extends AbortOptions {
  readonly expectedPeer?: PeerId
}

/** What is known of peers. `get` rejects with NotFoundError; `save` replaces, `patch` replaces what is given, `merge` adds. */
export interface PeerStore {
  forEach(fn: (peer: Peer) => void, query?: PeerQuery): Promise<void>
  all(query?: PeerQuery): Promise<Array<Peer>>
  delete(peer: PeerId, options?: AbortOptions): Promise<void>
  has(peer: PeerId, options?: AbortOptions): Promise<boolean>
  get(peer: PeerId, options?: AbortOptions): Promise<Peer>
  getInfo(peer: PeerId, options?: AbortOptions): Promise<PeerInfo>
  save(peer: PeerId, data: PeerData, options?: AbortOptions): Promise<Peer>
  patch(peer: PeerId, data: PeerData, options?: AbortOptions): Promise<Peer>
  merge(peer: PeerId, data: PeerData, options?: AbortOptions): Promise<Peer>
  /** False: the record is older than the one that is there, or of another peer. */
  consumePeerRecord(envelope: Uint8Array, options?: ConsumePeerRecordOptions): Promise<boolean>
}

export interface PeerStoreInit {
  /** Milliseconds that an address is kept without being heard of again: an hour. */
  readonly maxAddressAge?: number | undefined
  /** Milliseconds that a peer without news is kept: six hours. */
  readonly maxPeerAge?: number | undefined
  /** Peers that are kept at most; the oldest goes. */
  readonly maxPeers?: number | undefined
  /** Ours: bytes of memory that all peers may take: 128 MiB. Who is connected is cut first, then the oldest goes. */
  readonly maxBytes?: number | undefined
  /** False: the address is not kept. */
  readonly addressFilter?: ((peer: PeerId, address: Multiaddr) => Verdict) | undefined
}

export interface PeerUpdate {
  peer: Peer
  previous?: Peer
}

export interface SignedPeerRecord {
  addresses: Array<Multiaddr>
  seq: bigint
}

export interface IdentifyResult {
  peerId: PeerId
  listenAddrs: Array<Multiaddr>
  protocols: Array<string>
  protocolVersion?: string
  agentVersion?: string
  publicKey?: Uint8Array
  observedAddr?: Multiaddr
  signedPeerRecord?: SignedPeerRecord
  connection: Connection
}

// The host

export type ServiceMap = Record<string, unknown>
export type DialTarget = PeerId | Multiaddr | ReadonlyArray<Multiaddr>
export type HostStatus = "starting" | "started" | "stopping" | "stopped"
export type PendingDialStatus = "queued" | "active" | "error" | "success"

export interface PendingDial {
  id: string
  status: PendingDialStatus
  peerId?: PeerId
  multiaddrs: Array<Multiaddr>
}

export interface DialOptions extends AbortOptions {
  /** A new connection, though one is there. */
  readonly force?: boolean | undefined
  /** Ours: a connection of a relay that is limited does not do. */
  readonly requireUnlimitedConnection?: boolean | undefined
  /** Ours: an answer to a connection that is limited is taken for this dial. Default: as there is. */
  readonly runOnLimitedConnection?: boolean | undefined
  readonly onProgress?: OnProgress | undefined
}

export interface DialProtocolOptions extends DialOptions, NewStreamOptions {}

export interface IsDialableOptions extends AbortOptions {
  readonly runOnLimitedConnection?: boolean | undefined
}

/** One address that we listen on. */
export interface Listener {
  getAddrs(): Array<Multiaddr>
  close(): Promise<void>
}

/** js-libp2p's events; those behind the line are ours alone. */
export type HostEvents<T extends ServiceMap = ServiceMap> = {
  "peer:discovery": CustomEvent<PeerInfo>
  "peer:connect": CustomEvent<PeerId>
  "peer:disconnect": CustomEvent<PeerId>
  "peer:reconnect-failure": CustomEvent<PeerId>
  "peer:identify": CustomEvent<IdentifyResult>
  "peer:update": CustomEvent<PeerUpdate>
  "self:peer:update": CustomEvent<PeerUpdate>
  "transport:listening": CustomEvent<Listener>
  "transport:close": CustomEvent<Listener>
  "connection:prune": CustomEvent<Array<Connection>>
  "connection:open": CustomEvent<Connection>
  "connection:close": CustomEvent<Connection>
  "certificate:provision": CustomEvent<TlsCertificate>
  "certificate:renew": CustomEvent<TlsCertificate>
  start: CustomEvent<Libp2p<T>>
  stop: CustomEvent<Libp2p<T>>
  // ——
  /** Identify did not come to an end; the connection stays. */
  "peer:identify:failure": CustomEvent<{ readonly connection: Connection; readonly error: Libp2pFault }>
  /** The protocols of a peer changed. */
  "peer:protocols:update": CustomEvent<{
    readonly peerId: PeerId
    readonly added: ReadonlyArray<string>
    readonly removed: ReadonlyArray<string>
  }>
  /** Others see us at other addresses than before. */
  "self:observed:update": CustomEvent<ReadonlyArray<Multiaddr>>
  /** A stream has its protocol. */
  "stream:open": CustomEvent<{ readonly stream: Stream; readonly connection: Connection }>
  /** We told a peer who we are. */
  "identify:response": CustomEvent<PeerId>
  /** A connection that came to nothing: refused, or its handshake failed. */
  "connection:failure": CustomEvent<{
    readonly direction: Direction
    readonly remoteAddr: Multiaddr
    readonly error: Libp2pFault
  }>
  /** A handler, listener or service of the application threw; the host goes on. */
  "host:error": CustomEvent<{ readonly where: string; readonly error: unknown }>
}

export interface TlsCertificate {
  /** PEM. */
  key: string
  /** PEM. */
  cert: string
}

export interface Startable {
  beforeStart?(): void | Promise<void>
  start(): void | Promise<void>
  afterStart?(): void | Promise<void>
  beforeStop?(): void | Promise<void>
  stop(): void | Promise<void>
  afterStop?(): void | Promise<void>
}

export interface NodeInfo {
  readonly name: string
  readonly version: string
  readonly userAgent: string
}

/** A host. Everything that rejects does so with a Libp2pFault. */
export interface Libp2p<T extends ServiceMap = ServiceMap> extends Startable, TypedEventTarget<HostEvents<T>> {
  readonly peerId: PeerId
  readonly peerStore: PeerStore
  readonly services: T
  readonly logger: ComponentLogger
  readonly status: HostStatus
  start(): Promise<void>
  stop(): Promise<void>
  isStarted(): boolean
  getMultiaddrs(): Array<Multiaddr>
  getProtocols(): Array<string>
  getConnections(peer?: PeerId): Array<Connection>
  getDialQueue(): Array<PendingDial>
  getPeers(): Array<PeerId>
  dial(target: DialTarget, options?: DialOptions): Promise<Connection>
  dialProtocol(
    target: DialTarget,
    protocols: string | ReadonlyArray<string>,
    options?: DialProtocolOptions
  ): Promise<Stream>
  hangUp(target: PeerId | Multiaddr, options?: AbortOptions): Promise<void>
  handle(
    protocol: string | ReadonlyArray<string>,
    handler: StreamHandler,
    options?: StreamHandlerOptions
  ): Promise<void>
  unhandle(protocols: string | ReadonlyArray<string>, options?: AbortOptions): Promise<void>
  /** The id is for `unregister`. */
  register(protocol: string, topology: Topology, options?: AbortOptions): Promise<string>
  unregister(id: string): void
  use(protocol: string, middleware: StreamMiddleware | ReadonlyArray<StreamMiddleware>): void
  unuse(protocol: string): void
  getPublicKey(peer: PeerId, options?: AbortOptions): Promise<PublicKey>
  isDialable(address: Multiaddr | ReadonlyArray<Multiaddr>, options?: IsDialableOptions): Promise<boolean>
}
