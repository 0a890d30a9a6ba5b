/**
 * The resource manager: counts of connections and streams in the whole system, for those not yet known, by peer, by protocol, and
 * by protocol of a peer. Who takes a scope gives it back with `done`.
 */
import { cheapFault, type Libp2pFault } from "../libp2p/fault.ts"
import { acceptedLinksMax, acceptedPerIpMax } from "../limits.ts"
import type { Direction } from "./api.ts"
import {
  type Counts,
  peerConnections,
  peerStreams,
  protocolPeerStreams,
  protocolStreams,
  systemConnections,
  systemStreams,
  transientConnections,
  transientStreams
} from "./limits.ts"
import { defaultMemoryLimits, Memory, type MemoryLimits, type MemoryPlace } from "./memory.ts"

/** Limits that an application may set; what is left out is as in `limits.ts`. */
export interface ResourceLimits {
  readonly connections: { readonly system: Counts; readonly transient: Counts; readonly peer: Counts }
  readonly streams: {
    readonly system: Counts
    readonly transient: Counts
    readonly peer: Counts
    readonly protocol: Counts
    readonly protocolPeer: Counts
  }
  /** Left out: as in `limits.ts`. */
  readonly memory?: MemoryLimits | undefined
  /** Left out: 1,024 and 8. */
  readonly links?: LinkLimits | undefined
}

/** Links that have come and are not over, whatever became of them. Beyond, they are cut off as they come. */
export interface LinkLimits {
  readonly system: number
  /** Of one IP address, loopback excepted. */
  readonly address: number
}

export const defaultResourceLimits: ResourceLimits = {
  connections: { system: systemConnections, transient: transientConnections, peer: peerConnections },
  streams: {
    system: systemStreams,
    transient: transientStreams,
    peer: peerStreams,
    protocol: protocolStreams,
    protocolPeer: protocolPeerStreams
  },
  memory: defaultMemoryLimits,
  links: { system: acceptedLinksMax, address: acceptedPerIpMax }
}

export interface ConnectionScope {
  /** The peer is known: from "transient" to its own scope. */
  setPeer(peer: string): Libp2pFault | undefined
  done(): void
}

export interface StreamScope {
  setProtocol(protocol: string): Libp2pFault | undefined
  done(): void
}

/** What is taken at this moment. */
export interface ResourceStats {
  readonly connections: Counts
  readonly transientConnections: Counts
  readonly streams: Counts
  readonly transientStreams: Counts
  /** Refusals since the start. */
  readonly refused: number
  /** The same by what there was too much of, such as "inbound streams of one peer". */
  readonly refusals: Readonly<Record<string, number>>
  /** Bytes in streams, unread and unsent, now and at most; and bytes by which windows have grown. */
  readonly memory: { readonly bytes: number; readonly peak: number; readonly windows: number }
}

/** A count with its limit. */
class Scope {
  inbound = 0
  outbound = 0
  private readonly max: Counts

  constructor(max: Counts) {
    this.max = max
  }

  hasRoom(direction: Direction): boolean {
    return this[direction] < this.max[direction] && this.inbound + this.outbound < this.max.total
  }

  get empty(): boolean {
    return this.inbound + this.outbound === 0
  }

  get counts(): Counts {
    return { inbound: this.inbound, outbound: this.outbound, total: this.inbound + this.outbound }
  }
}

/** Scopes by name; one that is empty is forgotten. */
class Scopes {
  private readonly scopes = new Map<string, Scope>()
  private readonly max: Counts

  constructor(max: Counts) {
    this.max = max
  }

  at(name: string): Scope {
    return this.scopes.get(name) ?? new Scope(this.max)
  }

  take(name: string, direction: Direction): void {
    const scope = this.at(name)
    scope[direction]++
    this.scopes.set(name, scope)
  }

  give(name: string, direction: Direction): void {
    const scope = this.at(name)
    scope[direction]--
    if (scope.empty) this.scopes.delete(name)
  }

  get size(): number {
    return this.scopes.size
  }
}

const refusal = (scope: string, direction: Direction): Libp2pFault =>
  cheapFault("resource", "ResourceLimitError", `no more ${direction} ${scope}`, { scope, direction })

const memoryNames: Readonly<Record<MemoryPlace, string>> = {
  system: "bytes of all streams",
  peer: "bytes of one peer",
  connection: "bytes of one connection"
}

export class Resources {
  readonly memory: Memory
  readonly links: LinkLimits
  private readonly refusals = new Map<string, number>()
  private refused = 0
  private readonly onRefused: (scope: string, direction: Direction) => void
  private readonly connections: { readonly system: Scope; readonly transient: Scope; readonly peers: Scopes }
  private readonly streams: {
    readonly system: Scope
    readonly transient: Scope
    readonly peers: Scopes
    readonly protocols: Scopes
    readonly protocolPeers: Scopes
  }

  constructor(
    limits: ResourceLimits = defaultResourceLimits,
    onRefused: (scope: string, direction: Direction) => void = () => {}
  ) {
    this.onRefused = onRefused
    this.memory = new Memory(limits.memory)
    this.links = limits.links ?? defaultResourceLimits.links!
    const { connections, streams } = limits
    this.connections = {
      system: new Scope(connections.system),
      transient: new Scope(connections.transient),
      peers: new Scopes(connections.peer)
    }
    this.streams = {
      system: new Scope(streams.system),
      transient: new Scope(streams.transient),
      peers: new Scopes(streams.peer),
      protocols: new Scopes(streams.protocol),
      protocolPeers: new Scopes(streams.protocolPeer)
    }
  }

  /** A link that the world cut off as it came is counted as what the host itself refuses. */
  linkRefused(busy: "everywhere" | "address"): Libp2pFault {
    return this.refuse(busy === "everywhere" ? "links" : "links of one address", "inbound")
  }

  private refuse(scope: string, direction: Direction): Libp2pFault {
    this.refused++
    const name = `${direction} ${scope}`
    this.refusals.set(name, (this.refusals.get(name) ?? 0) + 1)
    this.onRefused(scope, direction)
    return refusal(scope, direction)
  }

  /** A stream needs bytes that there are not. */
  noMemory(place: MemoryPlace, direction: Direction): Libp2pFault {
    return this.refuse(memoryNames[place], direction)
  }

  openConnection(direction: Direction): ConnectionScope | Libp2pFault {
    const { system, transient, peers } = this.connections
    if (!system.hasRoom(direction)) return this.refuse("connections", direction)
    if (!transient.hasRoom(direction)) return this.refuse("connections to unknown peers", direction)
    system[direction]++
    transient[direction]++
    let peer: string | undefined
    let open = true
    return {
      setPeer: (name) => {
        if (!open || peer !== undefined) return undefined
        if (!peers.at(name).hasRoom(direction)) return this.refuse("connections of one peer", direction)
        transient[direction]--
        peers.take(name, direction)
        peer = name
        return undefined
      },
      done: () => {
        if (!open) return
        open = false
        system[direction]--
        if (peer === undefined) transient[direction]--
        else peers.give(peer, direction)
      }
    }
  }

  openStream(peer: string, direction: Direction): StreamScope | Libp2pFault {
    const { system, transient, peers, protocols, protocolPeers } = this.streams
    if (!system.hasRoom(direction)) return this.refuse("streams", direction)
    if (!transient.hasRoom(direction)) return this.refuse("streams without a protocol", direction)
    if (!peers.at(peer).hasRoom(direction)) return this.refuse("streams of one peer", direction)
    system[direction]++
    transient[direction]++
    peers.take(peer, direction)
    let taken: { readonly protocol: string; readonly both: string } | undefined
    let open = true
    return {
      setProtocol: (protocol) => {
        if (!open || taken !== undefined) return undefined
        const both = `${peer} ${protocol}`
        if (!protocols.at(protocol).hasRoom(direction)) return this.refuse("streams of one protocol", direction)
        if (!protocolPeers.at(both).hasRoom(direction))
          return this.refuse("streams of one protocol and peer", direction)
        transient[direction]--
        protocols.take(protocol, direction)
        protocolPeers.take(both, direction)
        taken = { protocol, both }
        return undefined
      },
      done: () => {
        if (!open) return
        open = false
        system[direction]--
        peers.give(peer, direction)
        if (taken === undefined) transient[direction]--
        else {
          protocols.give(taken.protocol, direction)
          protocolPeers.give(taken.both, direction)
        }
      }
    }
  }

  stats(): ResourceStats {
    return {
      connections: this.connections.system.counts,
      transientConnections: this.connections.transient.counts,
      streams: this.streams.system.counts,
      transientStreams: this.streams.transient.counts,
      refused: this.refused,
      refusals: Object.fromEntries(this.refusals),
      memory: { bytes: this.memory.bytes, peak: this.memory.peak, windows: this.memory.grown }
    }
  }

  /** Names that are remembered: nothing, when nothing is open. */
  get remembered(): number {
    const { peers, protocols, protocolPeers } = this.streams
    return this.connections.peers.size + peers.size + protocols.size + protocolPeers.size + this.memory.remembered
  }
}
