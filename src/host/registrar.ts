/** Who answers which protocol, and who is told of peers that speak one. */
import type { PeerId } from "../libp2p/contract.ts"
import { Libp2pFault } from "../libp2p/fault.ts"
import { isProtocolId } from "../libp2p/multistream.ts"
import { throwIfAborted } from "./abort.ts"
import type {
  AbortOptions,
  Connection,
  PeerStore,
  StreamHandler,
  StreamHandlerOptions,
  StreamHandlerRecord,
  StreamMiddleware,
  Topology
} from "./api.ts"
import type { Registrar } from "./components.ts"
import type { OnError } from "./events.ts"

export interface RegistrarPorts {
  readonly self: PeerId
  readonly peerStore: () => PeerStore
  readonly onError: OnError
}

const listOf = <T>(one: T | ReadonlyArray<T>): ReadonlyArray<T> => (Array.isArray(one) ? one : [one as T])

export class ProtocolRegistrar implements Registrar {
  private readonly handlers = new Map<string, StreamHandlerRecord>()
  private readonly topologies = new Map<string, Map<string, Topology>>()
  private readonly middleware = new Map<string, ReadonlyArray<StreamMiddleware>>()
  private readonly ports: RegistrarPorts
  /** Peers that a topology was told of, and not yet of their going. */
  private readonly told = new Map<Topology, Map<string, PeerId>>()
  private registered = 0

  constructor(ports: RegistrarPorts) {
    this.ports = ports
  }

  getProtocols(): Array<string> {
    return [...this.handlers.keys()].sort()
  }

  getHandler(protocol: string): StreamHandlerRecord | undefined {
    return this.handlers.get(protocol)
  }

  async handle(
    protocol: string | ReadonlyArray<string>,
    handler: StreamHandler,
    options: StreamHandlerOptions = {}
  ): Promise<void> {
    throwIfAborted(options.signal)
    const protocols = listOf(protocol)
    for (const name of protocols) {
      if (!isProtocolId(name))
        throw new Libp2pFault("input", "InvalidParametersError", `${JSON.stringify(name)} is no protocol id`)
      if (this.handlers.has(name) && options.force !== true)
        throw new Libp2pFault("state", "InvalidParametersError", `${name} has a handler`, { protocol: name })
    }
    for (const name of protocols) this.handlers.set(name, { handler, options })
    await this.tell()
  }

  async unhandle(protocol: string | ReadonlyArray<string>, options: AbortOptions = {}): Promise<void> {
    throwIfAborted(options.signal)
    for (const name of listOf(protocol)) this.handlers.delete(name)
    await this.tell()
  }

  /** Our own entry in the peer store says what we speak: from there it goes to identify push. */
  private async tell(): Promise<void> {
    await this.ports.peerStore().patch(this.ports.self, { protocols: this.getProtocols() })
  }

  async register(protocol: string, topology: Topology, options: AbortOptions = {}): Promise<string> {
    throwIfAborted(options.signal)
    const id = `${++this.registered}`
    const others = this.topologies.get(protocol) ?? new Map<string, Topology>()
    this.topologies.set(protocol, others.set(id, topology))
    return id
  }

  unregister(id: string): void {
    for (const [protocol, topologies] of this.topologies) {
      const topology = topologies.get(id)
      if (topology !== undefined) this.told.delete(topology)
      topologies.delete(id)
      if (topologies.size === 0) this.topologies.delete(protocol)
    }
  }

  getTopologies(protocol: string): Array<Topology> {
    return [...(this.topologies.get(protocol)?.values() ?? [])]
  }

  use(protocol: string, middleware: StreamMiddleware | ReadonlyArray<StreamMiddleware>): void {
    this.middleware.set(protocol, [...(this.middleware.get(protocol) ?? []), ...listOf(middleware)])
  }

  unuse(protocol: string): void {
    this.middleware.delete(protocol)
  }

  /** What runs before the handler of a protocol, in order. */
  middlewareOf(protocol: string): ReadonlyArray<StreamMiddleware> {
    return [...(this.middleware.get(protocol) ?? []), ...(this.handlers.get(protocol)?.options.middleware ?? [])]
  }

  /** A peer has said that it speaks these. */
  speaks(peer: PeerId, protocols: Iterable<string>, connection: Connection): void {
    const name = peer.toString()
    for (const protocol of protocols)
      for (const topology of this.getTopologies(protocol)) {
        if (connection.limits !== undefined && topology.notifyOnLimitedConnection !== true) continue
        const told = this.told.get(topology) ?? new Map<string, PeerId>()
        if (told.has(name) || topology.filter?.has(peer) === true) continue
        this.told.set(topology, told.set(name, peer))
        topology.filter?.add(peer)
        this.run(`onConnect of ${protocol}`, () => topology.onConnect?.(peer, connection))
      }
  }

  /** A peer speaks these no more. */
  silent(peer: PeerId, protocols: Iterable<string>): void {
    for (const protocol of protocols) for (const topology of this.getTopologies(protocol)) this.forget(peer, topology)
  }

  /** A peer is gone. */
  gone(peer: PeerId): void {
    for (const topology of this.told.keys()) this.forget(peer, topology)
  }

  private forget(peer: PeerId, topology: Topology): void {
    if (this.told.get(topology)?.delete(peer.toString()) !== true) return
    topology.filter?.remove(peer)
    this.run("onDisconnect", () => topology.onDisconnect?.(peer))
  }

  private run(where: string, call: () => void | Promise<void>): void {
    const failed = (error: unknown): void => this.ports.onError(where, error)
    try {
      Promise.resolve(call()).catch(failed)
    } catch (error) {
      failed(error)
    }
  }
}
