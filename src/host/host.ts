/** The host: connections, protocols and services of one identity, over a world that it is given. */
import type { Identity, Multiaddr, PeerId, PublicKey } from "../libp2p/contract.ts"
import { withPeer } from "../libp2p/address-facts.ts"
import { type FaultKind, Libp2pFault } from "../libp2p/fault.ts"
import { generateKey } from "../libp2p/key.ts"
import { isMultiaddr } from "../libp2p/multiaddr.ts"
import { peerIdOfKey } from "../libp2p/peer-id.ts"
import { orAbort, throwIfAborted } from "./abort.ts"
import { type HostAddressManager, makeAddressManager } from "./address-manager.ts"
import type {
  AbortOptions,
  ComponentLogger,
  Connection,
  DialOptions,
  DialProtocolOptions,
  DialTarget,
  Direction,
  HostEvents,
  HostStatus,
  IsDialableOptions,
  Libp2p,
  PendingDial,
  ServiceMap,
  Stream,
  StreamHandler,
  StreamHandlerOptions,
  StreamMiddleware,
  Topology
} from "./api.ts"
import type { Components, ConnectionManager } from "./components.ts"
import type { HostConnection } from "./connection.ts"
import { Connections } from "./connections.ts"
import { DialQueue, targetOf } from "./dial-queue.ts"
import { Emitter } from "./events.ts"
import type { HostInit } from "./init.ts"
import { componentLogger, type HostLogger, hostLogger } from "./log.ts"
import { limitWarningMs } from "./limits.ts"
import { noise, type PartComponents, tcp, tls, yamux } from "./parts.ts"
import { type HostPeerStore, makePeerStore } from "./peer-store.ts"
import { Reconnects } from "./reconnect.ts"
import { ProtocolRegistrar } from "./registrar.ts"
import { Resources, type ResourceStats } from "./resources.ts"
import { orderOf, ServiceRunner } from "./services.ts"
import { Ticker } from "./ticker.ts"
import { Transports } from "./transports.ts"
import type { Upgrader } from "./upgrade.ts"
import type { Cancel, World } from "./world.ts"

const input = (message: string): Libp2pFault => new Libp2pFault("input", "InvalidParametersError", message)

const identityOf = (init: Pick<HostInit, "privateKey">, world: World): Identity => {
  const privateKey = init.privateKey ?? generateKey("Ed25519", { random: world.random })
  if (privateKey instanceof Libp2pFault) throw privateKey
  return { privateKey, peerId: peerIdOfKey(privateKey.publicKey) }
}

/** An address without an encrypter, a muxer or a transport is none that we can speak on. */
const partsOf = (init: Omit<HostInit, "services">, components: PartComponents) => {
  const { transports = [tcp()], connectionEncrypters = [tls(), noise()], streamMuxers = [yamux()] } = init
  const security = connectionEncrypters.map((make) => make(components))
  const muxers = streamMuxers.map((make) => make(components))
  if (transports.length === 0 || security.length === 0 || muxers.length === 0)
    throw input("a host needs a transport, a connection encrypter and a stream muxer")
  const plain = security.find((part) => part._tag === "Handshake" && part.insecure === true)
  if (plain !== undefined && init.allowInsecure !== true)
    throw new Libp2pFault(
      "permission",
      "InvalidParametersError",
      `${plain.protocol} leaves links plain: for tests only`
    )
  return { security, muxers }
}

/** Ours alone, beside what js-libp2p's users know. */
export interface Host<T extends ServiceMap = ServiceMap> extends Libp2p<T> {
  readonly components: Components
  resources(): ResourceStats
  getMetrics(): HostMetrics
}

/** What goes on at this moment, to be shown or gathered. */
export interface HostMetrics extends ResourceStats {
  readonly peers: number
  readonly listeners: number
  /** Links whose handshake is under way. */
  readonly handshakes: number
  /** Links since the host was made: those that became connections, and those that did not, by the kind of the fault. */
  readonly opened: { readonly inbound: number; readonly outbound: number }
  readonly failed: Readonly<Partial<Record<FaultKind, number>>>
  readonly dials: { readonly queued: number; readonly active: number }
}

class Node<T extends ServiceMap> extends Emitter<HostEvents<T>> implements Host<T> {
  readonly peerId: PeerId
  readonly peerStore: HostPeerStore
  readonly services: T
  readonly logger: ComponentLogger
  readonly components: Components
  status: HostStatus = "stopped"

  private readonly log: HostLogger
  private readonly limits: HostLogger
  private readonly warned = new Map<string, number>()
  private readonly registrar: ProtocolRegistrar
  private readonly counts: Resources
  private readonly connections: Connections
  private readonly dials: DialQueue
  private readonly transports: Transports
  private readonly addresses: HostAddressManager
  private readonly reconnects: Reconnects
  private readonly runner: ServiceRunner
  private readonly ticker: Ticker
  private untick: Cancel | undefined
  private readonly underway: Upgrader["underway"] = new Set()
  /** The last start or stop. */
  private turn: Promise<void> = Promise.resolve()
  private made = 0
  private readonly begun = { inbound: 0, outbound: 0 }
  private readonly faults: Partial<Record<FaultKind, number>> = {}

  constructor(init: HostInit<T>, world: World) {
    super(() => {})
    this.onError = (where, error) => this.failed(where, error)
    const identity = identityOf(init, world)
    const { gater = {}, manager = {} } = { gater: init.connectionGater, manager: init.connectionManager }
    const peerStore = (): HostPeerStore => this.peerStore
    const events = this as unknown as Emitter<HostEvents>
    this.peerId = identity.peerId
    this.logger = init.logger ?? componentLogger()
    this.log = hostLogger(this.logger, "libp2p:host")
    this.limits = hostLogger(this.logger, "libp2p:limits")
    this.ticker = new Ticker(world)
    this.counts = new Resources(init.resources, (scope, direction) => this.limitMet(scope, direction))
    this.registrar = new ProtocolRegistrar({ self: this.peerId, peerStore, onError: this.onError })
    this.connections = new Connections({ world, events, peerStore, log: this.log, onError: this.onError }, manager)
    const upgrader = this.upgrader(init, identity, world)
    const shared = { world, upgrader, resources: this.counts, connections: this.connections }
    this.transports = new Transports({ ...shared, events, log: this.log })
    const log = hostLogger(this.logger, "libp2p:dial")
    const around = { ...shared, self: this.peerId, peerStore, gater, log, onError: this.onError }
    this.dials = new DialQueue(around, manager)
    const filter = gater.filterMultiaddrForPeer?.bind(gater)
    this.peerStore = makePeerStore(
      { peerId: this.peerId, world, events },
      {
        ...(filter === undefined ? {} : { addressFilter: filter }),
        ...init.peerStore,
        ...(init.datastore === undefined ? {} : { datastore: init.datastore })
      }
    )
    this.addresses = makeAddressManager(
      { ...identity, peerStore: this.peerStore, events, transportManager: this.transports, world },
      init.addresses
    )
    this.reconnects = new Reconnects(
      {
        world,
        events,
        peerStore: this.peerStore,
        onError: this.onError,
        isConnected: (peer) => this.connections.of(peer).length > 0,
        dial: (peer, options) => this.dials.dial(peer, options)
      },
      manager
    )
    this.components = {
      ...identity,
      nodeInfo: { name: "cairn", version: "0.1.0", userAgent: "cairn/0.1.0", ...init.nodeInfo },
      logger: this.logger,
      events,
      peerStore: this.peerStore,
      addressManager: this.addresses,
      transportManager: this.transports,
      registrar: this.registrar,
      connectionManager: this.manager(),
      connectionGater: gater,
      world
    }
    const factories = Object.entries(init.services ?? {})
    this.services = Object.fromEntries(factories.map(([name, make]) => [name, make(this.components)])) as T
    const order = orderOf(this.services)
    if (order instanceof Libp2pFault) throw order
    this.runner = new ServiceRunner(this.services, order)
    this.listen()
  }

  private upgrader(init: Omit<HostInit, "services">, identity: Identity, world: World): Upgrader {
    const { connectionManager: manager = {}, connectionGater: gater = {}, allowInsecure = false } = init
    return {
      identity,
      ...partsOf(init, { identity, world, windows: this.counts.memory }),
      allowInsecure,
      upgradeMs: { inbound: manager.inboundUpgradeTimeout, outbound: manager.outboundUpgradeTimeout },
      gater,
      log: hostLogger(this.logger, "libp2p:upgrade"),
      ticker: this.ticker,
      owner: {
        world,
        onError: this.onError,
        log: hostLogger(this.logger, "libp2p:connection"),
        registrar: this.registrar,
        resources: this.counts,
        settle: () => this.settle(),
        streamOpened: (stream, connection) => this.streamOpened(stream, connection),
        closed: (connection) => this.connections.remove(connection)
      },
      settled: (direction, result) => {
        if (result instanceof Libp2pFault) this.faults[result.kind] = (this.faults[result.kind] ?? 0) + 1
        else this.begun[direction]++
      },
      nextId: () => `${++this.made}`,
      underway: this.underway,
      opened: (connection) => this.opened(connection)
    }
  }

  private manager(): ConnectionManager {
    return {
      getConnections: (peer) => this.connections.of(peer),
      getDialQueue: () => this.dials.list(),
      getMaxConnections: () => this.connections.max,
      openConnection: (target, options) => this.dial(target, options),
      closeConnections: (peer, options) => this.hangUp(peer, options),
      protect: (peer, tag) => this.connections.protect(peer, tag),
      unprotect: (peer, tag) => this.connections.unprotect(peer, tag),
      isProtected: (peer) => this.connections.isProtected(peer)
    }
  }

  /** What the host itself does at its own events. */
  private listen(): void {
    const events = this as unknown as Emitter<HostEvents>
    events.addEventListener("peer:identify", ({ detail: { peerId, protocols, connection } }) => {
      for (const one of this.connections.of(peerId)) one.known = new Set(protocols)
      this.registrar.speaks(peerId, protocols, connection)
    })
    events.addEventListener("peer:protocols:update", ({ detail: { peerId, added, removed } }) => {
      const open = this.connections.of(peerId)
      for (const one of open) one.known = new Set([...one.known, ...added].filter((name) => !removed.includes(name)))
      this.registrar.silent(peerId, removed)
      if (open[0] !== undefined) this.registrar.speaks(peerId, added, open[0])
    })
    events.addEventListener("peer:disconnect", ({ detail }) => {
      this.registrar.gone(detail)
      if (this.status === "started") this.reconnects.lost(detail)
    })
  }

  private failed(where: string, error: unknown): void {
    this.log.error("%s failed: %e", where, error)
    // Who fails at hearing of failures is not told again.
    if (where.endsWith("host:error")) return
    this.safeDispatchEvent<HostEvents["host:error"]["detail"]>("host:error", { detail: { where, error } })
  }

  private opened(connection: HostConnection): Libp2pFault | undefined {
    if (this.status !== "started" && this.status !== "starting")
      return new Libp2pFault("cancelled", "ConnectionClosingError", "the host stops")
    this.connections.add(connection)
    return undefined
  }

  /** Strangers can cause it as often as they like: the first of a sort in ten seconds is a warning, the others are not. */
  private limitMet(scope: string, direction: Direction): void {
    const now = this.components.world.now()
    const before = this.warned.get(scope)
    const soon = before !== undefined && now - before < limitWarningMs
    if (!soon) this.warned.set(scope, now)
    if (soon) this.limits("refused: no more %s %s", direction, scope)
    else this.limits.warn("a limit is met, what is beyond is refused: no more %s %s", direction, scope)
  }

  private streamOpened(stream: Stream, connection: HostConnection): void {
    if (stream.direction === "outbound" && !connection.known.has(stream.protocol))
      connection.known = new Set([...connection.known, stream.protocol])
    this.safeDispatchEvent<HostEvents["stream:open"]["detail"]>("stream:open", { detail: { stream, connection } })
  }

  // Life

  isStarted(): boolean {
    return this.status === "started"
  }

  /** Who calls while it starts, or stops, waits for that. */
  start(): Promise<void> {
    if (this.status === "stopping") return this.turn.then(() => this.start())
    if (this.status === "stopped") this.turn = this.begin()
    return this.turn
  }

  stop(): Promise<void> {
    if (this.status === "stopped") return Promise.resolve()
    if (this.status === "starting")
      return this.turn.then(
        () => this.stop(),
        () => undefined
      )
    if (this.status === "started") this.turn = this.end()
    return this.turn
  }

  private async begin(): Promise<void> {
    this.status = "starting"
    this.untick = this.ticker.add(() => this.connections.tick())
    try {
      this.peerStore.start()
      await this.runner.beforeStart()
      await this.transports.listen(this.addresses.getListenAddrs())
      await this.addresses.start()
      await this.runner.start()
      this.status = "started"
    } catch (error) {
      this.log.error("%p did not start: %e", this.peerId, error)
      this.status = "stopping"
      await this.shut()
      throw error
    }
    this.log.info("%p started, at %d addresses", this.peerId, this.transports.getAddrs().length)
    this.safeDispatchEvent<Libp2p<T>>("start", { detail: this })
  }

  private async end(): Promise<void> {
    this.status = "stopping"
    await this.shut()
    this.log.info("%p stopped", this.peerId)
    this.safeDispatchEvent<Libp2p<T>>("stop", { detail: this })
  }

  private async shut(): Promise<void> {
    this.reconnects.stop()
    const stops = new Libp2pFault("cancelled", "AbortError", "the host stops")
    this.dials.stop(stops)
    await this.runner.stop((error) => this.failed("stopping a service", error))
    await this.transports.close()
    for (const upgrading of this.underway) upgrading.abort(stops)
    await Promise.all(this.connections.of().map((connection) => connection.close()))
    this.addresses.stop()
    this.peerStore.stop()
    this.untick?.()
    this.status = "stopped"
  }

  private mustRun(): void {
    if (this.status === "stopped" || this.status === "stopping")
      throw new Libp2pFault("state", "NotStartedError", `the host is ${this.status}`)
  }

  // Connections

  getMultiaddrs(): Array<Multiaddr> {
    return this.addresses
      .getAddresses()
      .map((address) => withPeer(address, this.peerId))
      .filter((address): address is Multiaddr => !(address instanceof Libp2pFault))
  }

  getConnections(peer?: PeerId): Array<Connection> {
    return this.connections.of(peer)
  }

  getPeers(): Array<PeerId> {
    return this.connections.peers()
  }

  getDialQueue(): Array<PendingDial> {
    return this.dials.list()
  }

  private settle(): void {
    for (const connection of this.connections.of()) connection.settle()
  }

  resources(): ResourceStats {
    this.settle()
    return this.counts.stats()
  }

  getMetrics(): HostMetrics {
    const dials = this.dials.list()
    const active = dials.filter(({ status }) => status === "active").length
    return {
      ...this.resources(),
      peers: this.connections.peers().length,
      listeners: this.transports.getAddrs().length,
      handshakes: this.underway.size,
      opened: { ...this.begun },
      failed: { ...this.faults },
      dials: { active, queued: dials.length - active }
    }
  }

  async dial(target: DialTarget, options: DialOptions = {}): Promise<Connection> {
    this.mustRun()
    options.onProgress?.({ type: "connection:open", detail: target })
    const connection = await this.dials.dial(target, options)
    options.onProgress?.({ type: "connection:opened", detail: connection })
    return connection
  }

  async dialProtocol(
    target: DialTarget,
    protocols: string | ReadonlyArray<string>,
    options: DialProtocolOptions = {}
  ): Promise<Stream> {
    if (protocols.length === 0) throw input("no protocol is named")
    const connection = await this.dial(target, options)
    return connection.newStream(protocols, options)
  }

  async hangUp(target: PeerId | Multiaddr, options: AbortOptions = {}): Promise<void> {
    throwIfAborted(options.signal)
    const peer = isMultiaddr(target) ? targetOf(target).peer : (target as PeerId)
    if (peer === undefined) throw input("the address does not say which peer")
    await Promise.all(this.connections.of(peer).map((connection) => connection.close(options)))
  }

  async isDialable(address: Multiaddr | ReadonlyArray<Multiaddr>, options: IsDialableOptions = {}): Promise<boolean> {
    return this.dials.isDialable(isMultiaddr(address) ? [address] : (address as ReadonlyArray<Multiaddr>), options)
  }

  async getPublicKey(peer: PeerId, options: AbortOptions = {}): Promise<PublicKey> {
    const met = peer.publicKey ?? this.connections.of(peer)[0]?.remotePeer.publicKey
    if (met !== undefined) return met
    const stored = await orAbort(this.peerStore.get(peer, options), options.signal)
    if (stored.id.publicKey !== undefined) return stored.id.publicKey
    throw new Libp2pFault("not_found", "NotFoundError", `the key of ${peer} is not known`)
  }

  // Protocols

  getProtocols(): Array<string> {
    return this.registrar.getProtocols()
  }

  handle(
    protocol: string | ReadonlyArray<string>,
    handler: StreamHandler,
    options?: StreamHandlerOptions
  ): Promise<void> {
    return this.registrar.handle(protocol, handler, options)
  }

  unhandle(protocols: string | ReadonlyArray<string>, options: AbortOptions = {}): Promise<void> {
    return this.registrar.unhandle(protocols, options)
  }

  register(protocol: string, topology: Topology, options: AbortOptions = {}): Promise<string> {
    return this.registrar.register(protocol, topology, options)
  }

  unregister(id: string): void {
    this.registrar.unregister(id)
  }

  use(protocol: string, middleware: StreamMiddleware | ReadonlyArray<StreamMiddleware>): void {
    this.registrar.use(protocol, middleware)
  }

  unuse(protocol: string): void {
    this.registrar.unuse(protocol)
  }
}

/**
 * A host that is not yet started. Throws Libp2pFault: `input` for an init that is wrong, `dependency` for services that need what
 * is not there or each other.
 */
export const createHost = <T extends ServiceMap = Record<string, never>>(init: HostInit<T>, world: World): Host<T> =>
  new Node<T>(init, world)
