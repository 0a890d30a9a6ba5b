/** The connections of a host: by peer, within water marks, with those that must stay. */
import { clientOf } from "../codec/ip.ts"
import type { PeerId } from "../libp2p/contract.ts"
import { cheapFault, type Libp2pFault } from "../libp2p/fault.ts"
import type { Connection, HostEvents, Peer, PeerStore, TypedEventTarget } from "./api.ts"
import type { HostConnection } from "./connection.ts"
import type { OnError } from "./events.ts"
import { countedClientsMax, graceMs, highWater, inboundPerSecond, lowWater, pendingInboundMax } from "./limits.ts"
import type { HostLogger } from "./log.ts"
import type { World } from "./world.ts"

/** What of js-libp2p's `connectionManager` says who stays and who may come. */
export interface ConnectionsInit {
  /** Above it the least valued are closed: 192. js-libp2p's name of it is maxConnections. */
  readonly highWater?: number | undefined
  readonly maxConnections?: number | undefined
  /** How many stay then: 160, never more than the high mark. */
  readonly lowWater?: number | undefined
  /** Milliseconds for which a new connection stays whatever it is worth. */
  readonly gracePeriod?: number | undefined
  /** Links of strangers whose handshake is under way: 64. One more takes the place of the oldest of the client that has most. */
  readonly maxIncomingPendingConnections?: number | undefined
  /** Links of one IPv4 address, or one /64 of IPv6, in a second; loopback is not counted. */
  readonly inboundConnectionThreshold?: number | undefined
  /** IP addresses, or beginnings of them that end with "." or ":", that always may, and that never may connect. */
  readonly allow?: ReadonlyArray<string> | undefined
  readonly deny?: ReadonlyArray<string> | undefined
}

export interface ConnectionsPorts {
  readonly world: World
  readonly events: TypedEventTarget<HostEvents>
  readonly peerStore: () => PeerStore
  readonly log: HostLogger
  readonly onError: OnError
}

const isLoopbackHost = (host: string): boolean => host.startsWith("127.") || host === "::1"
const among = (list: ReadonlyArray<string>, host: string): boolean =>
  list.some((entry) => host === entry || (/[.:]$/.test(entry) && host.startsWith(entry)))

/** Is there a stream on it? */
const uses = ({ streams }: Connection): number => Math.min(1, streams.length)

const worth = (peer: Peer): number => [...peer.tags.values()].reduce((sum, { value }) => sum + value, 0)

export class Connections {
  private readonly byPeer = new Map<string, Array<HostConnection>>()
  private readonly protections = new Map<string, Set<string>>()
  private readonly ports: ConnectionsPorts
  private readonly high: number
  private readonly low: number
  private readonly init: ConnectionsInit
  private count = 0
  /** What calls off the handshakes of strangers that are under way, the oldest first, and whose they are. */
  private readonly pending = new Map<(fault: Libp2pFault) => void, string>()
  private pruning = false
  private readonly counted = new Map<string, number>()
  private countedSince = 0

  constructor(ports: ConnectionsPorts, init: ConnectionsInit) {
    this.ports = ports
    this.init = init
    this.high = init.highWater ?? init.maxConnections ?? highWater
    this.low = Math.min(init.lowWater ?? lowWater, this.high)
  }

  get size(): number {
    return this.count
  }

  get max(): number {
    return this.high
  }

  of(peer?: PeerId): Array<HostConnection> {
    if (peer !== undefined) return [...(this.byPeer.get(peer.toString()) ?? [])]
    return [...this.byPeer.values()].flat()
  }

  peers(): Array<PeerId> {
    return [...this.byPeer.values()].map(([first]) => first!.remotePeer)
  }

  add(connection: HostConnection): void {
    const name = connection.remotePeer.toString()
    const others = this.byPeer.get(name)
    this.byPeer.set(name, [...(others ?? []), connection])
    this.count++
    this.ports.events.safeDispatchEvent("connection:open", { detail: connection })
    if (others === undefined) this.ports.events.safeDispatchEvent("peer:connect", { detail: connection.remotePeer })
    if (this.count > this.high) this.prune()
  }

  remove(connection: HostConnection): void {
    const name = connection.remotePeer.toString()
    const before = this.byPeer.get(name) ?? []
    const others = before.filter((other) => other !== connection)
    if (others.length === before.length) return
    this.count--
    if (others.length > 0) this.byPeer.set(name, others)
    else this.byPeer.delete(name)
    this.ports.events.safeDispatchEvent("connection:close", { detail: connection })
    if (others.length === 0) this.ports.events.safeDispatchEvent("peer:disconnect", { detail: connection.remotePeer })
  }

  // Who may come

  /** A stranger's link: may its handshake begin? */
  accept(host: string): Libp2pFault | undefined {
    const { allow = [], deny = [] } = this.init
    const refuse = (why: string): Libp2pFault =>
      cheapFault("permission", "ConnectionDeniedError", `${host} may not connect: ${why}`, { host })
    if (among(deny, host)) return refuse("it is denied")
    if (among(allow, host)) return undefined
    if (!isLoopbackHost(host) && this.tooOften(host)) return refuse("too many links in one second")
    if (this.pending.size < (this.init.maxIncomingPendingConnections ?? pendingInboundMax)) return undefined
    const oldest = this.oldestOfMost(clientOf(host))
    if (oldest === undefined) return refuse("no handshake of a stranger is wanted")
    oldest(
      cheapFault(
        "resource",
        "ResourceLimitError",
        "too many handshakes are under way, and this is the oldest of who has most"
      )
    )
    return undefined
  }

  /**
   * Whose handshake makes room for one of `client`, who is counted with it: nobody gets a second place for another's only one.
   * Of as many the oldest goes: who means it is done in a few round trips.
   */
  private oldestOfMost(client: string): ((fault: Libp2pFault) => void) | undefined {
    const counts = new Map([[client, 1]])
    for (const other of this.pending.values()) counts.set(other, (counts.get(other) ?? 0) + 1)
    let most = 0
    let chosen: ((fault: Libp2pFault) => void) | undefined
    for (const [abort, other] of this.pending) {
      const count = counts.get(other) ?? 0
      if (count > most) [most, chosen] = [count, abort]
    }
    return chosen
  }

  private tooOften(host: string): boolean {
    const { counted } = this
    const now = this.ports.world.now()
    if (now - this.countedSince >= 1_000) {
      counted.clear()
      this.countedSince = now
    }
    const client = clientOf(host)
    const count = (counted.get(client) ?? 0) + 1
    const [oldest] = counted.keys()
    if (count === 1 && counted.size >= countedClientsMax && oldest !== undefined) counted.delete(oldest)
    counted.set(client, count)
    return count > (this.init.inboundConnectionThreshold ?? inboundPerSecond)
  }

  /** A stranger's handshake begins, and can be called off; what is given back says that it is over. */
  begun(host: string, abort: (fault: Libp2pFault) => void): () => void {
    this.pending.set(abort, clientOf(host))
    return () => void this.pending.delete(abort)
  }

  // Who must stay

  protect(peer: PeerId, tag: string): void {
    const name = peer.toString()
    this.protections.set(name, (this.protections.get(name) ?? new Set<string>()).add(tag))
  }

  unprotect(peer: PeerId, tag: string): boolean {
    const name = peer.toString()
    const tags = this.protections.get(name)
    tags?.delete(tag)
    if (tags !== undefined && tags.size === 0) this.protections.delete(name)
    return this.protections.has(name)
  }

  isProtected(peer: PeerId): boolean {
    return this.protections.has(peer.toString())
  }

  /**
   * Closes down to the low mark: the lowest value first, among equals those without streams, then the youngest; never the
   * protected, allowed or new. Were it the oldest, a crowd of strangers would only have to come to put everybody else out.
   */
  private prune(): void {
    if (this.pruning) return
    this.pruning = true
    this.values()
      .then((values) => {
        const surplus = this.count - this.low
        if (this.count <= this.high || surplus <= 0) return
        const chosen = this.closable()
          .sort((a, b) => values(a) - values(b) || uses(a) - uses(b) || b.timeline.open - a.timeline.open)
          .slice(0, surplus)
        if (chosen.length === 0) return
        this.ports.log.info(
          "%d connections are too many: the %d of the least value are closed",
          this.count,
          chosen.length
        )
        for (const connection of chosen)
          connection.close().catch((error: unknown) => this.ports.onError("closing a connection", error))
        this.ports.events.safeDispatchEvent<Array<Connection>>("connection:prune", { detail: chosen })
      })
      .catch((error: unknown) => this.ports.onError("choosing connections to close", error))
      .finally(() => {
        this.pruning = false
      })
  }

  private closable(): Array<HostConnection> {
    const { allow = [], gracePeriod = graceMs } = this.init
    const now = this.ports.world.now()
    return this.of().filter(
      (connection) =>
        connection.status === "open" &&
        now - connection.timeline.open >= gracePeriod &&
        !this.isProtected(connection.remotePeer) &&
        !among(allow, connection.remoteAddr.getComponents()[0]?.value ?? "")
    )
  }

  /** What peers are worth: the sum of their tags. */
  private async values(): Promise<(connection: Connection) => number> {
    const store = this.ports.peerStore()
    const known = new Map<string, number>()
    for (const peer of this.peers()) known.set(peer.toString(), await store.get(peer).then(worth, () => 0))
    return (connection) => known.get(connection.remotePeer.toString()) ?? 0
  }

  /** The surplus that was too new to be closed is looked at again. */
  tick(): void {
    if (this.count > this.high) this.prune()
  }
}
