/** Opens sessions, whoever dialled, and holds the maintenance actor that decides over them; finds whom to dial elsewhere. */
import { Effect, Exit } from "effect"
import { peersMaxOf } from "../src/block/genesis.ts"
import { formatEndpoint, httpNodesOf, parsePlace, type PeerConfig, type PeerPolicy, peerPolicy } from "../src/config.ts"
import { placeOf } from "../src/discovery/place.ts"
import type { StreamWire } from "../src/io/streams.ts"
import type { TcpFault, Wire, WireHandlers } from "../src/io/tcp.ts"
import type { UdpFault } from "../src/io/udp.ts"
import { netOf, netOfEndpoint } from "../src/peer/net.ts"
import { endpointCharsMax, helloNoncesMax, openSessionsMax } from "../src/limits.ts"
import { reached } from "../src/marks.ts"
import { PeerShelf } from "../src/store/peers.ts"
import { bookKeyBytes, Directory } from "../src/peer/directory.ts"
import { capabilities, nodeIdOf, SeenNonces } from "../src/transport/hello.ts"
import { chainProtocol, makeLibp2pChannel } from "../src/transport/libp2p.ts"
import { makeNativeChannel } from "../src/transport/native.ts"
import { Actor, type ActorRef } from "./actor.ts"
import type { Base, Core } from "./base.ts"
import { makeSeekers } from "./discovery.ts"
import { type OpenGossip, openGossip } from "./gossip.ts"
import { makeHttpSync } from "./http-sync.ts"
import type { HttpSyncMessage } from "./http-sync-protocol.ts"
import { makeMaintenance } from "./maintenance.ts"
import type { HeldBound } from "./metrics.ts"
import { makeSession } from "./peer-session.ts"
import type { MaintenanceMessage, SessionId, SessionMessage } from "./protocol.ts"
import { sessionInboxLeast, squeezed } from "./squeeze.ts"

export class Door {
  readonly maintenance: Actor<never, MaintenanceMessage>
  private readonly base: Base
  private readonly core: Core
  private readonly seen = new SeenNonces()
  /** Bodies are dropped while no node runs: as it is at the start it stays. */
  private readonly isPruned: boolean
  private readonly policy: PeerPolicy

  constructor(base: Base, core: Core) {
    this.base = base
    this.core = core
    this.isPruned = base.options.store.pruned() > 0
    this.policy = base.options.config.peers?.policy ?? peerPolicy
    const { sessions, events, options, nodeId, clock, disk } = base
    const shelf = new PeerShelf(options.store.db)
    this.maintenance = new Actor(
      makeMaintenance({
        ourId: nodeId,
        seeds: options.config.peers?.seeds ?? [],
        policy: this.policy,
        speaks: this.speaks,
        ours: () => [base.endpoint, base.advertised, ...(base.streams?.addresses() ?? [])],
        dials: options.config.peers !== undefined,
        sessionsMax: Math.min(peersMaxOf(options.rules.spec), this.policy.peersMax),
        session: sessions.find,
        begin: () => sessions.each((session) => session.tell({ _tag: "Close", reason: "the directory begins anew" })),
        dial: (endpoint) => void base.fork(this.dial(endpoint)),
        load: () => shelf.load(),
        // Without room the book of the last time stays; there will be a next.
        save: (rows) => void disk.try("peers", clock.currentTimeMillisUnsafe(), () => shelf.save(rows)),
        changed: (peer, change, reason) => events.publish({ type: "peer", nodeId: peer, change, reason })
      }),
      base.watch
    ) as never
    base.gave = (from, what) =>
      from === undefined ? undefined : void this.maintenance.tell({ _tag: "Gave", session: from, what })
  }

  /** By host:port and our own TLS, by multiaddr and libp2p: what is switched off is not dialled. */
  private readonly speaks = (endpoint: string): boolean => {
    const { config, doors } = this.base.options
    const { native = true, libp2p } = config.peers ?? {}
    return parsePlace(endpoint)?.peer === undefined ? native : libp2p !== undefined && doors.streams !== undefined
  }

  /** Is there anybody to look for? Who only waits to be found need not wait to be ready. */
  readonly looks = (): boolean => {
    const { config, store } = this.base.options
    if (httpNodesOf(config).urls.length > 0) return true
    if (config.peers === undefined) return false
    const { seeds, discovery = [] } = config.peers
    const options = { key: new Uint8Array(bookKeyBytes), seeds, policy: this.policy, now: 0 }
    return discovery.length > 0 || new Directory(options, new PeerShelf(store.db).load()).places.length > 0
  }

  /** Hears peers by the transports that the operator wants, if any. */
  readonly listen = (): Effect.Effect<() => void, TcpFault> => {
    const { config } = this.base.options
    const { peers } = config
    if (peers === undefined) return Effect.succeed(() => {})
    return Effect.gen({ self: this }, function* () {
      const close = peers.native === false ? () => {} : yield* this.listenNative(peers)
      yield* Effect.tapError(this.listenStreams(peers), () => Effect.sync(close))
      return close
    })
  }

  private listenNative(peers: PeerConfig): Effect.Effect<() => void, TcpFault> {
    const { doors, tls } = this.base.options
    const heard = doors.tcp.listen(peers, tls, (wire) => this.open(wire, "inbound", undefined))
    return Effect.map(heard, ({ port, close }) => {
      const endpoint = peers.advertise ?? formatEndpoint(peers.host, port)
      this.base.endpoint = endpoint
      this.base.advertised = placeOf(endpoint) === "unspecified" ? "" : endpoint
      return close
    })
  }

  private listenStreams({ libp2p }: PeerConfig): Effect.Effect<void, TcpFault> {
    const { doors, rules, key, facts } = this.base.options
    if (libp2p === undefined || doors.streams === undefined) return Effect.void
    const protocol = chainProtocol(rules.spec.ledger.chainId)
    const { allowedIds } = this.policy
    const isListed = (peer: Uint8Array | undefined): boolean =>
      peer !== undefined && allowedIds.includes(nodeIdOf(peer))
    const admits = allowedIds.length === 0 ? undefined : isListed
    const init = { ...libp2p, secret: key.secret, protocol, agent: facts.agent, admits }
    const opened = doors.streams(init, (wire) => this.open(wire, "inbound", undefined))
    return Effect.map(opened, (streams) => void (this.base.streams = streams))
  }

  /** The last: connections end with the host that carries them, so sessions must have said goodbye. */
  readonly leave: Effect.Effect<void> = Effect.suspend(() => this.base.streams?.close ?? Effect.void)

  /** Hears announcements by UDP, if the operator wants any. Before sessions: each hello says where. */
  readonly gossip = (): Effect.Effect<OpenGossip | undefined, UdpFault> => {
    const { base, core, maintenance } = this
    const { options, sessions, fork, random, metrics, watch } = base
    const { config, doors, rules, key, store } = options
    if (config.gossip === undefined || doors.udp === undefined) return Effect.succeed(undefined)
    const chain = { chainId: rules.spec.ledger.chainId, genesis: rules.genesis.header.hash, key }
    const around = { store, met: sessions.met, endpoint: () => base.advertised, fork, maintenance, sync: core.sync }
    return Effect.map(openGossip(config.gossip, doors.udp, { ...chain, ...around, random, metrics, watch }), (open) => {
      base.gossip = open.told
      return open
    })
  }

  /** Who looks for peers elsewhere; to be made when we listen. */
  readonly seekers = (): ReturnType<typeof makeSeekers> => {
    const { options, advertised: endpoint, fork, watch } = this.base
    const { config, rules, key, doors } = options
    const { fetch } = doors
    if (fetch === undefined) return []
    const seeker = { chainId: rules.spec.ledger.chainId, genesis: rules.genesis.header.hash, key, endpoint }
    const services = config.peers?.discovery ?? []
    return makeSeekers({ services, seeker, fetch, fork, maintenance: this.maintenance }, watch)
  }

  /** Who asks the operator's nodes by HTTP; none where there are none. */
  readonly asker = (): Actor<never, HttpSyncMessage> | undefined => {
    const { options, fork, watch } = this.base
    const { config, rules, store, doors } = options
    const { urls, ...nodes } = httpNodesOf(config)
    const { callNode: call } = doors
    if (urls.length === 0 || call === undefined) return undefined
    const { chain, sync } = this.core
    const { maintenance } = this
    const self = (): ActorRef<HttpSyncMessage> => actor
    const around = { chain, sync, maintenance, dials: config.peers !== undefined, call, fork, self }
    const actor: Actor<never, HttpSyncMessage> = new Actor(
      makeHttpSync({ urls, ...nodes, rules, store, ...around }),
      watch
    ) as never
    return actor
  }

  private dial(to: string): Effect.Effect<void> {
    const { doors, tls } = this.base.options
    const at = parsePlace(to)
    const failed = (reason: string): void => void this.maintenance.tell({ _tag: "DialFailed", endpoint: to, reason })
    if (at === undefined) return Effect.sync(() => failed("neither host:port nor a node's multiaddr"))
    const opened = (wire: Wire | StreamWire): WireHandlers => this.open(wire, "outbound", to)
    const { timeoutMs } = this.policy
    const dialled =
      at.peer === undefined
        ? doors.tcp.dial({ host: at.host, port: at.port, timeoutMs }, tls, opened)
        : this.base.streams?.dial(to, timeoutMs, opened)
    if (dialled === undefined) return Effect.sync(() => failed("this node speaks no libp2p"))
    return Effect.catch(dialled, (fault) => Effect.sync(() => failed(fault.message)))
  }

  readonly bounds = (): ReadonlyArray<HeldBound> => [
    { actor: "door", of: "hello-nonces", used: this.seen.size, max: helloNoncesMax },
    { actor: "door", of: "sessions", used: this.base.sessions.size, max: openSessionsMax }
  ]

  /** Of our multiaddrs the one that this peer reaches: who is next to us is told one of here. */
  private addressFor(host: string): string {
    const addresses = (this.base.streams?.addresses() ?? []).filter((address) => address.length <= endpointCharsMax)
    const { reach } = netOf(host)
    return addresses.find((address) => netOfEndpoint(address)?.reach === reach) ?? addresses[0] ?? ""
  }

  private channelOver(wire: Wire | StreamWire) {
    const { options, nodeId, random, gossip } = this.base
    const { rules, key, facts, config } = options
    const isStream = "remoteKey" in wire
    const told = {
      chainId: rules.spec.ledger.chainId,
      genesis: rules.genesis.header.hash,
      nodeId,
      // Each transport tells where it can be dialled itself: who came by it can come back by it.
      endpoint: isStream ? this.addressFor(wire.remoteHost) : this.base.advertised,
      agent: facts.agent,
      capabilities: [
        capabilities.headersFirst,
        capabilities.transactions,
        capabilities.servesLight,
        ...(config.filters === false ? [] : [capabilities.servesFilters]),
        ...(this.isPruned ? [capabilities.pruned] : [])
      ],
      gossip,
      url: config.http.nodeUrl,
      nonce: random(16)
    }
    return isStream
      ? makeLibp2pChannel({ ...told, publicKey: key.publicKey, remoteKey: wire.remoteKey })
      : makeNativeChannel({ ...told, key, binding: wire.binding, seen: this.seen })
  }

  /** One actor for one connection. It is never restarted; its end is told to those who count on it. */
  private open(wire: Wire | StreamWire, direction: "inbound" | "outbound", dialled: string | undefined): WireHandlers {
    const { sessions, options, watch, fork } = this.base
    const { rules, store, snapshot } = options
    if (sessions.size >= openSessionsMax || this.base.health.stopping) {
      wire.terminate()
      return { data: () => {}, drained: () => {}, closed: () => {} }
    }
    const id = sessions.nextId()
    let reason = "ended"
    const ended = (why: string): void => {
      reason = why
      actor.stop()
    }
    const { actors, standings } = this.core.ballots
    const judge = standings === undefined ? {} : { judge: { ballots: actors[0]!, unpunished: standings.unpunished } }
    const { mayTell, meet: met } = sessions
    const { sync, mempool, finality } = this.core
    const around = { sync, mempool, finality, maintenance: this.maintenance, mayTell, met, ...judge }
    const channel = this.channelOver(wire)
    const self = (): ActorRef<SessionMessage> => actor
    const spec = makeSession({ id, direction, dialled, rules, store, snapshot, channel, wire, self, ended, ...around })
    const actor: Actor<never, SessionMessage> = new Actor(
      squeezed(options.squeeze ?? 1, spec, sessionInboxLeast),
      watch
    ) as never
    const fiber = fork(actor.run)
    sessions.add(id, actor, fiber)
    fiber.addObserver((exit) => {
      sessions.remove(id)
      actor.bury()
      wire.end()
      this.report(id, exit, reason)
    })
    return {
      data: (bytes) => void (actor.tell({ _tag: "Bytes", bytes }) || wire.terminate()),
      drained: () => void actor.tell({ _tag: "Drained" }),
      closed: (why) => void actor.tell({ _tag: "Closed", reason: why })
    }
  }

  private report(id: SessionId, exit: Exit.Exit<void, unknown>, reason: string): void {
    const { fork, health } = this.base
    const crashed = Exit.isFailure(exit) && !health.stopping
    if (crashed) reached("session-crashed")
    // Whoever counts on a session must hear of its end: it waits for room.
    fork(this.core.sync.offer({ _tag: "Left", session: id }))
    fork(this.maintenance.offer({ _tag: "SessionEnded", session: id, reason: crashed ? "failed" : reason }))
  }
}
