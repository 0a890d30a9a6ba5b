/** From a link to a connection: the connection machine between the link and the host, and what the gater says on the way. */
import { type MuxerPart, makeConnection, type SecurityPart } from "../libp2p/connection.ts"
import type {
  ConnectionFacts,
  ConnectionMachine,
  ConnectionPorts,
  Identity,
  Multiaddr,
  MuxedStream,
  PeerId
} from "../libp2p/contract.ts"
import { cheapFault, Libp2pFault } from "../libp2p/fault.ts"
import type { ConnectionGater, ConnectionTimeline, Direction, RawConnection } from "./api.ts"
import { type ConnectionOwner, HostConnection } from "./connection.ts"
import { askAll, deniedFault, type GaterHook } from "./gater.ts"
import type { HostLogger } from "./log.ts"
import type { ConnectionScope } from "./resources.ts"
import type { Ticker } from "./ticker.ts"
import type { Link, LinkHandlers } from "./world.ts"

/** What all upgrades of a host have in common. */
export interface Upgrader {
  readonly identity: Identity
  readonly security: ReadonlyArray<SecurityPart>
  readonly muxers: ReadonlyArray<MuxerPart>
  readonly allowInsecure: boolean
  /** Milliseconds; undefined: the connection machine's own. */
  readonly upgradeMs: { readonly inbound: number | undefined; readonly outbound: number | undefined }
  readonly gater: ConnectionGater
  readonly log: HostLogger
  /** Told once of each link. */
  readonly settled: (direction: Direction, result: HostConnection | Libp2pFault) => void
  readonly ticker: Ticker
  readonly owner: ConnectionOwner
  readonly nextId: () => string
  /** Those whose connection does not stand yet: called off when the host stops. */
  readonly underway: Set<Pick<Upgrading, "abort">>
  /** A connection stands; the host keeps it. A fault: it must not. */
  readonly opened: (connection: HostConnection) => Libp2pFault | undefined
}

/** One link. */
export interface UpgradeInit {
  readonly direction: Direction
  readonly remoteAddr: Multiaddr
  readonly expected: PeerId | undefined
  readonly scope: ConnectionScope
  /** Told once, as the connection stands or is not to be. */
  readonly done: (result: HostConnection | Libp2pFault) => void
}

/** An upgrade that can be called off. */
export interface Upgrading {
  readonly handlers: LinkHandlers
  /** Nothing, once the connection stands or has come to nothing. */
  readonly abort: (fault: Libp2pFault) => void
}

class Upgrade {
  private readonly link: Link
  private readonly init: UpgradeInit
  private readonly upgrader: Upgrader
  private readonly timeline: ConnectionTimeline
  private readonly machine: ConnectionMachine
  private readonly raw: RawConnection
  private readonly untick: () => void
  private connection: HostConnection | undefined
  private early: Array<MuxedStream> | undefined
  private settled = false
  private over = false

  constructor(link: Link, init: UpgradeInit, upgrader: Upgrader) {
    this.link = link
    this.init = init
    this.upgrader = upgrader
    const { world } = upgrader.owner
    const upgradeMs = upgrader.upgradeMs[init.direction]
    this.timeline = { open: world.now() }
    this.raw = { remoteAddr: init.remoteAddr, direction: init.direction, timeline: this.timeline }
    this.machine = makeConnection(
      {
        role: init.direction === "outbound" ? "dialer" : "listener",
        identity: upgrader.identity,
        expected: init.expected,
        random: world.random,
        security: upgrader.security,
        muxers: upgrader.muxers,
        allowInsecure: upgrader.allowInsecure,
        ...(upgradeMs === undefined ? {} : { upgradeMs })
      },
      this.ports()
    )
    this.untick = upgrader.ticker.add((now) => {
      this.machine.tick(now)
      this.connection?.tick(now)
    })
  }

  private ports(): ConnectionPorts {
    const { world } = this.upgrader.owner
    return {
      write: (bytes) => this.link.write(bytes),
      taken: () => this.link.taken?.() ?? false,
      queued: () => this.link.queued(),
      wake: () => world.soon(() => this.flush()),
      upgradeTls: (offer, leftover) => this.link.upgradeTls(offer, leftover),
      opened: (facts) => this.verified(facts),
      stream: (stream) => {
        if (this.connection !== undefined) this.connection.inbound(stream)
        else this.early?.push(stream)
      },
      rtt: (ms) => {
        if (this.connection !== undefined) this.connection.rtt = ms
      },
      ended: (fault) => this.ended(fault)
    }
  }

  get handlers(): LinkHandlers {
    const { now } = this.upgrader.owner.world
    return {
      data: (bytes) => this.machine.receive(bytes, now()),
      drained: () => this.flush(),
      secured: (session) => this.machine.secured(session, now()),
      closed: (reason) => this.machine.lost(reason)
    }
  }

  private flush(): void {
    this.machine.flush()
    this.connection?.flushed()
  }

  /** The link stands: the gater is asked, then the handshake begins. Until then nothing is read. */
  begin(): void {
    const { gater, owner, underway } = this.upgrader
    const { expected, direction } = this.init
    underway.add(this)
    this.link.pause()
    const ask =
      direction === "inbound"
        ? ([["denyInboundConnection", () => gater.denyInboundConnection?.(this.raw) ?? false]] as const)
        : expected === undefined
          ? []
          : ([["denyOutboundConnection", () => gater.denyOutboundConnection?.(expected, this.raw) ?? false]] as const)
    askAll(ask, owner.onError, (denied) => {
      if (this.over) return
      if (denied !== undefined) {
        this.refuse(denied)
        return
      }
      this.link.resume()
      this.machine.start(owner.world.now())
    })
  }

  private refuse(hook: GaterHook): void {
    this.abort(deniedFault(hook, { address: this.init.remoteAddr.toString() }))
  }

  abort(fault: Libp2pFault): void {
    if (this.over || this.settled) return
    this.machine.close(fault)
    // A machine that never began has nothing to end.
    this.ended(fault)
    this.link.terminate()
  }

  /** The peer has shown who it is. Streams that come while the gater thinks wait for it. */
  private verified(facts: ConnectionFacts): void {
    const { gater, owner } = this.upgrader
    const peer = facts.remotePeer
    this.timeline.upgraded = owner.world.now()
    this.early = []
    const asks =
      this.init.direction === "inbound"
        ? ([
            ["denyInboundEncryptedConnection", () => gater.denyInboundEncryptedConnection?.(peer, this.raw) ?? false],
            ["denyInboundUpgradedConnection", () => gater.denyInboundUpgradedConnection?.(peer, this.raw) ?? false]
          ] as const)
        : ([
            ["denyOutboundEncryptedConnection", () => gater.denyOutboundEncryptedConnection?.(peer, this.raw) ?? false],
            ["denyOutboundUpgradedConnection", () => gater.denyOutboundUpgradedConnection?.(peer, this.raw) ?? false]
          ] as const)
    askAll(asks, owner.onError, (denied) => {
      if (this.over) return
      if (denied !== undefined) this.refuse(denied)
      else this.open(facts)
    })
  }

  private open(facts: ConnectionFacts): void {
    const { init, upgrader } = this
    if (facts.remotePeer.equals(upgrader.identity.peerId)) {
      this.abort(cheapFault("permission", "ConnectionDeniedError", "the other side has our own peer id"))
      return
    }
    const refused = init.scope.setPeer(facts.remotePeer.toString())
    if (refused !== undefined) {
      this.abort(refused)
      return
    }
    const connection = new HostConnection(
      {
        id: upgrader.nextId(),
        remoteAddr: init.remoteAddr,
        direction: init.direction,
        facts,
        timeline: this.timeline,
        machine: this.machine,
        terminate: () => this.link.terminate()
      },
      upgrader.owner
    )
    this.connection = connection
    const unwanted = upgrader.opened(connection)
    if (unwanted !== undefined) {
      this.connection = undefined
      this.abort(unwanted)
    }
    // A listener of the application may have ended it already.
    if (this.over) return
    this.settle(connection)
    for (const stream of this.early ?? []) connection.inbound(stream)
    this.early = undefined
  }

  private settle(result: HostConnection | Libp2pFault): void {
    if (this.settled) return
    this.settled = true
    const { direction, remoteAddr } = this.init
    if (result instanceof Libp2pFault)
      this.upgrader.log("%s link, %a: no connection came of it: %e", direction, remoteAddr, result)
    else
      this.upgrader.log(
        "%s connection %s stands: %p at %a, %s",
        direction,
        result.id,
        result.remotePeer,
        remoteAddr,
        result.encryption
      )
    this.upgrader.underway.delete(this)
    this.upgrader.settled(direction, result)
    this.init.done(result)
  }

  private ended(fault: Libp2pFault | undefined): void {
    if (this.over) return
    this.over = true
    this.untick()
    this.init.scope.done()
    this.connection?.ended(fault)
    this.link.end()
    this.settle(fault ?? cheapFault("closed", "ConnectionClosedError", "the connection ended before it stood"))
  }
}

/** Puts a connection machine on a link. `done` may be called before this returns. */
export const upgrade = (link: Link, init: UpgradeInit, upgrader: Upgrader): Upgrading => {
  const upgrading = new Upgrade(link, init, upgrader)
  upgrading.begin()
  return upgrading
}
