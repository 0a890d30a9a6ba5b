/** What a host gives to its services, and how it asks for them. Types, and the two marks by which services name what they need. */
import type { Multiaddr, PeerId, PrivateKey } from "../libp2p/contract.ts"
import type {
  AbortOptions,
  ComponentLogger,
  Connection,
  ConnectionGater,
  DialOptions,
  DialTarget,
  HostEvents,
  NodeInfo,
  PeerStore,
  PendingDial,
  ServiceMap,
  Startable,
  StreamHandler,
  StreamHandlerOptions,
  StreamHandlerRecord,
  StreamMiddleware,
  Topology,
  TypedEventTarget
} from "./api.ts"
import type { World } from "./world.ts"

/** Under these a service lists what it gives and what it needs: names such as "@libp2p/identify". The symbols are js-libp2p's. */
export const serviceCapabilities: unique symbol = Symbol.for("@libp2p/service-capabilities")
export const serviceDependencies: unique symbol = Symbol.for("@libp2p/service-dependencies")

/** A service: any object. With start and stop it lives with the host, in the order of needs. */
export interface Service extends Partial<Startable> {
  readonly [serviceCapabilities]?: ReadonlyArray<string>
  readonly [serviceDependencies]?: ReadonlyArray<string>
}

/** What stands in `services` of the init. Called once, before start; it must not yet use other services. */
export type ServiceFactory<S = unknown> = (components: Components) => S
export type ServiceFactoryMap<T extends ServiceMap = ServiceMap> = { [K in keyof T]: ServiceFactory<T[K]> }

/** Where an address of ours comes from. */
export type AddressType = "transport" | "announce" | "observed" | "ip-mapping" | "dns-mapping" | "relay"

export interface NodeAddress {
  readonly multiaddr: Multiaddr
  readonly type: AddressType
  readonly verified: boolean
  /** Milliseconds since 1970; 0: never. */
  readonly lastVerified: number
  readonly expires: number
}

/** Which addresses are ours, and which of them we tell. */
export interface AddressManager {
  /** As configured. */
  getListenAddrs(): Array<Multiaddr>
  getAnnounceAddrs(): Array<Multiaddr>
  getAppendAnnounceAddrs(): Array<Multiaddr>
  getObservedAddrs(): Array<Multiaddr>
  /** What we tell others: without our peer id. */
  getAddresses(): Array<Multiaddr>
  getAddressesWithMetadata(): Array<NodeAddress>
  /** `site`: the network of who sees us there, which counts once; without it the address is only noted. */
  addObservedAddr(address: Multiaddr, site?: string): void
  confirmObservedAddr(address: Multiaddr): void
  removeObservedAddr(address: Multiaddr): void
  addPublicAddressMapping(
    internalIp: string,
    internalPort: number,
    externalIp: string,
    externalPort: number,
    protocol?: "tcp" | "udp"
  ): void
  removePublicAddressMapping(
    internalIp: string,
    internalPort: number,
    externalIp: string,
    externalPort: number,
    protocol?: "tcp" | "udp"
  ): void
  /** The envelope of a peer record with `getAddresses()`; undefined: there are none. The same bytes until they change. */
  getSignedPeerRecord(): Uint8Array | undefined
  addRelayAddr(address: Multiaddr): void
  removeRelayAddr(address: Multiaddr): void
}

export interface AddressesInit {
  readonly listen?: ReadonlyArray<string> | undefined
  /** Told instead of all others. */
  readonly announce?: ReadonlyArray<string> | undefined
  /** Never told. */
  readonly noAnnounce?: ReadonlyArray<string> | undefined
  /** Told beside the others. */
  readonly appendAnnounce?: ReadonlyArray<string> | undefined
  /** The last word on what is told. */
  readonly announceFilter?: ((addresses: ReadonlyArray<Multiaddr>) => Array<Multiaddr>) | undefined
  /** Ours: tell addresses at which others see us once they are confirmed. Default: false. */
  readonly advertiseObserved?: boolean | undefined
}

/** The sockets we listen on, for the address manager. */
export interface TransportManager {
  /** What the sockets are bound to, 0.0.0.0 and :: not spread out. */
  getAddrs(): Array<Multiaddr>
}

/** Who answers which protocol, and who wants to hear of peers that speak one. */
export interface Registrar {
  getProtocols(): Array<string>
  getHandler(protocol: string): StreamHandlerRecord | undefined
  handle(
    protocol: string | ReadonlyArray<string>,
    handler: StreamHandler,
    options?: StreamHandlerOptions
  ): Promise<void>
  unhandle(protocol: string | ReadonlyArray<string>, options?: AbortOptions): Promise<void>
  register(protocol: string, topology: Topology, options?: AbortOptions): Promise<string>
  unregister(id: string): void
  getTopologies(protocol: string): Array<Topology>
  use(protocol: string, middleware: StreamMiddleware | ReadonlyArray<StreamMiddleware>): void
  unuse(protocol: string): void
}

export interface ConnectionManager {
  getConnections(peer?: PeerId): Array<Connection>
  getDialQueue(): Array<PendingDial>
  getMaxConnections(): number
  openConnection(target: DialTarget, options?: DialOptions): Promise<Connection>
  closeConnections(peer: PeerId, options?: AbortOptions): Promise<void>
  /** Never pruned while one has protected it under a name. */
  protect(peer: PeerId, tag: string): void
  /** True: others protect it still. */
  unprotect(peer: PeerId, tag: string): boolean
  isProtected(peer: PeerId): boolean
}

/** All that a service may use. */
export interface Components {
  readonly peerId: PeerId
  readonly privateKey: PrivateKey
  readonly nodeInfo: NodeInfo
  readonly logger: ComponentLogger
  /** The host's own events: listen here, dispatch here. */
  readonly events: TypedEventTarget<HostEvents>
  readonly peerStore: PeerStore
  readonly addressManager: AddressManager
  readonly transportManager: TransportManager
  readonly registrar: Registrar
  readonly connectionManager: ConnectionManager
  readonly connectionGater: ConnectionGater
  /** Time and chance: `world.now()`, `world.after`, `world.random`. Links are the host's. */
  readonly world: World
}
