/**
 * Who starts whom, who restarts whom, who stops first. The one place that knows every actor; it gives the Node service.
 *
 *   root ─┬─ core (rest-for-one): chain → mempool → miner → sync
 *         ├─ edge (one-for-one): maintenance, discovery if there are services, ticker; where authorities seal ballots, where they
 *         │    vote finality
 *         ├─ past (gives up at once): past, where a snapshot was loaded
 *         └─ sessions (temporary): one an open connection; its end is told to sync and maintenance
 */
import { Cause, Clock, Effect, Exit, Fiber } from "effect"
import { peersMaxOf } from "../src/block/genesis.ts"
import type { Rules } from "../src/chain/rules.ts"
import { VerifiedLeaves } from "../src/chain/verified.ts"
import { formatEndpoint, type NodeConfig, parseEndpoint } from "../src/config.ts"
import { toHex } from "../src/codec/bytes.ts"
import { bytesOfText } from "../src/codec/text.ts"
import type { Evidence } from "../src/consensus/evidence.ts"
import { formatAddress, type Address } from "../src/crypto/address.ts"
import type { Keypair } from "../src/crypto/keys.ts"
import { placeOf } from "../src/discovery/place.ts"
import type { Fetch } from "../src/io/fetch.ts"
import { Random } from "../src/io/random.ts"
import type { Tcp, TcpFault, TlsIdentity, Wire, WireHandlers } from "../src/io/tcp.ts"
import type { StartThread } from "../src/io/worker.ts"
import { summaryOf } from "../src/ledger/summary.ts"
import {
  eventsKeptMax,
  eventStreamsMax,
  helloNoncesMax,
  openSessionsMax,
  stopMsMax,
  verifiedSignaturesMax
} from "../src/limits.ts"
import { reached } from "../src/marks.ts"
import type { FinalityView, NodeFacts, NodeShape } from "../src/node.ts"
import type { PeerRecord } from "../src/peer/directory.ts"
import { loadPeers, savePeers } from "../src/store/peers.ts"
import { DiskRoom } from "../src/store/room.ts"
import type { Snapshot } from "../src/store/snapshot.ts"
import type { ChainStore } from "../src/store/store.ts"
import { type Signer, unsealing } from "../src/validator/signer.ts"
import { capabilities, nodeIdOf, SeenNonces } from "../src/transport/hello.ts"
import { makeNativeChannel } from "../src/transport/native.ts"
import { Actor, type ActorRef, type ActorWatch } from "./actor.ts"
import { type Ballots, startBallots } from "./ballots.ts"
import { makeChain } from "./chain.ts"
import { makeSeekers } from "./discovery.ts"
import { EventHub } from "./event-hub.ts"
import { type FinalityPorts, makeFinality } from "./finality.ts"
import { Health } from "./health.ts"
import { makeMaintenance } from "./maintenance.ts"
import { type Admittance, makeMempool } from "./mempool.ts"
import { HashRate, type HeldBound, Metrics, showBounds, watchWith } from "./metrics.ts"
import { makeMiner } from "./miner.ts"
import { makeNode } from "./node-service.ts"
import { makePasts, progressOf, startPasts } from "./past.ts"
import { makeSession } from "./peer-session.ts"
import type {
  ChainMessage,
  FinalityMessage,
  MaintenanceMessage,
  MempoolMessage,
  MinerMessage,
  SessionId,
  SessionMessage,
  Source,
  SyncMessage,
  TipMoved
} from "./protocol.ts"
import { type AnySession, Sessions } from "./sessions.ts"
import { type SlotWatch, watchSlots } from "./slot-watch.ts"
import { sessionInboxLeast, squeezed, squeezedPool } from "./squeeze.ts"
import { makeStateService } from "./state-service.ts"
import { type Escalation, type GroupOptions, startGroup } from "./supervisor.ts"
import { makeSync } from "./sync.ts"
import { type Beat, makeTicker } from "./ticker.ts"

export interface TreeOptions {
  readonly config: NodeConfig
  readonly rules: Rules
  readonly store: ChainStore
  readonly snapshot: Snapshot
  /** The node's own key: its name among peers, and who gets rewards if nobody else is named. */
  readonly key: Keypair
  readonly proposer: Address
  readonly tls: TlsIdentity
  /** Without `fetch` no discovery service is asked. */
  readonly doors: { readonly tcp: Tcp; readonly startThread: StartThread; readonly fetch?: Fetch }
  readonly facts: Omit<NodeFacts, "rules" | "nodeId" | "p2pEndpoint">
  /** Signs for an authority, where authorities seal; undefined: this node is none. */
  readonly signer?: Signer
  /** Nonces that the miner tries in place before threads are asked: a millisecond, enough for any development target. */
  readonly triesInPlace?: number
  /** Divides the sizes of inboxes and pool, and the time a transfer may wait: a simulation meets bounds that others never see. */
  readonly squeeze?: number
  /** Sees every message of every actor: a recorder, a simulator. */
  readonly spy?: Required<Pick<ActorWatch, "told" | "begun">>
}

export interface Tree {
  readonly node: NodeShape
  /** Fails when the supervision has given up: the process must end. */
  readonly failed: Effect.Effect<never, Escalation>
  /** Sessions first, then who they lean on; what does not stop in time is interrupted. */
  readonly stop: Effect.Effect<void>
  /** Everything that is held in bounded memory: how much of it now, and at most. Reading changes nothing. */
  readonly bounds: () => ReadonlyArray<HeldBound>
}

const triesInPlace = 8_192
/** How often the miner looks at the time: ten times an interval that it has to keep, else once a second. */
const minerTickMs = ({ mining }: NodeConfig, { consensus, spec }: Rules): number => {
  const { everyMs = 10_000 } = consensus.author === undefined ? mining : { everyMs: spec.difficulty.blockMs / 2 }
  return Math.min(1_000, Math.max(20, everyMs / 10))
}
const dialMsMax = 5_000
const restarts = { restartsMax: 5, withinMs: 60_000, backoffMs: 100 } as const
/** Transactions announced in one message. */
const announceMax = 256

/** What every part of the tree leans on. */
interface Base {
  readonly options: TreeOptions
  readonly clock: Clock.Clock
  readonly disk: DiskRoom
  readonly random: (length: number) => Uint8Array
  readonly fork: <A, E>(effect: Effect.Effect<A, E>) => Fiber.Fiber<A, E>
  readonly metrics: Metrics
  readonly events: EventHub
  readonly watch: ActorWatch
  readonly hashes: HashRate
  readonly sessions: Sessions
  readonly health: Health
  /** Undefined: the chain has no slots. */
  readonly slots: SlotWatch | undefined
  readonly nodeId: string
  /** Where we listen; empty until we do, or if we do not. */
  endpoint: string
  /** Where others may dial us; empty also if that would be every address of ours, which is none. */
  advertised: string
}

interface Core {
  readonly chain: Actor<never, ChainMessage>
  readonly mempool: Actor<never, MempoolMessage>
  readonly miner: Actor<never, MinerMessage>
  readonly sync: Actor<never, SyncMessage>
  readonly ballots: Ballots
  /** Undefined: the chain has no finality. */
  readonly finality: Actor<never, FinalityMessage> | undefined
}

/** A fork whose failure is said: Effect itself says nothing when a fiber that nobody joins dies. */
const reporting =
  (fork: Base["fork"]): Base["fork"] =>
  (effect) =>
    fork(
      Effect.tapCause(effect, (cause) =>
        Cause.hasInterruptsOnly(cause) ? Effect.void : Effect.logError("a fiber failed", { cause: Cause.pretty(cause) })
      )
    )

const makeBase = (options: TreeOptions): Effect.Effect<Base> =>
  Effect.gen(function* () {
    const clock = yield* Clock.Clock
    const [metrics, disk] = [new Metrics(), new DiskRoom()]
    const events = new EventHub(clock.currentTimeMillisUnsafe())
    const { rules, store, signer } = options
    return {
      options,
      clock,
      disk,
      random: yield* Random,
      fork: reporting(Effect.runForkWith(yield* Effect.context<never>())),
      metrics,
      events,
      watch: { ...watchWith(metrics), ...options.spy },
      hashes: new HashRate(metrics),
      sessions: new Sessions(),
      health: new Health({ clock, disk, events, metrics }),
      slots: watchSlots({ rules, store, clock, metrics, self: signer?.address }),
      nodeId: nodeIdOf(options.key.publicKey),
      endpoint: "",
      advertised: ""
    }
  })

/** Tells everyone who builds on the tip; the mempool must not miss it, the others want the latest only. */
const tellTip =
  ({ events, sessions, slots }: Base, { mempool, miner, sync, ballots, finality }: Core) =>
  (move: TipMoved): Effect.Effect<void> =>
    Effect.flatMap(mempool.offer(move), () => {
      miner.tell(move)
      sync.tell(move)
      for (const actor of ballots.actors) actor.tell(move)
      finality?.tell(move)
      sessions.each((session) =>
        session.tell({ _tag: "AnnounceTip", headers: move.attached, work: move.work, from: move.from })
      )
      const { tip, detached } = move
      // What opens a block was never pending, and is counted nowhere.
      const transactions = move.confirmed.filter(({ kind }) => kind !== "coinbase").length
      const counts = { detached, attached: move.attached.length, transactions }
      events.publish({ type: "tip", height: tip.height, hash: tip.id, time: tip.time, ...counts })
      return slots?.moved(move) ?? Effect.void
    })

/** Tells peers, the miner and listeners of what came into the pool. */
const tellAdmitted =
  ({ events, sessions, options }: Base, miner: ActorRef<MinerMessage>) =>
  (admitted: ReadonlyArray<Admittance>, from: Source): void => {
    const ids = admitted.map(({ transaction }) => toHex(transaction.id))
    for (let at = 0; at < ids.length; at += announceMax) {
      const part = ids.slice(at, at + announceMax)
      sessions.each((session, id) => id !== from && session.tell({ _tag: "AnnounceTransactions", ids: part, from }))
    }
    miner.tell({ _tag: "PoolGrew" })
    const text = (address: Address | undefined): string =>
      address === undefined ? "" : formatAddress(address, options.rules.spec.addressPrefix)
    for (const [i, { transaction, fee }] of admitted.entries()) {
      const { payer, recipient, amount } = summaryOf(transaction)
      const parties = { sender: text(payer), recipient: text(recipient) }
      events.publish({ type: "transaction", transactionId: ids[i]!, ...parties, amount, fee })
    }
  }

const makeBallotsOf = ({ options, watch, sessions, disk, metrics, events }: Base): Ballots => {
  const { rules, store, signer } = options
  const announce = (evidence: Uint8Array, from: Source): void =>
    sessions.each((session, id) => id !== from && session.tell({ _tag: "AnnounceEvidence", evidence }))
  return startBallots({ rules, store, disk, us: signer?.address, announce }, { watch, metrics, events })
}

/** The actors around chain and pool, in the order in which they lean on each other. */
const makeCore = (base: Base): Core => {
  const { options, watch, sessions, disk } = base
  const { rules, store, config, signer } = options
  const verified = new VerifiedLeaves(verifiedSignaturesMax)
  const moved = (move: TipMoved): Effect.Effect<void> => tellTip(base, core)(move)
  const { squeeze = 1 } = options
  const ballots = makeBallotsOf(base)
  const caught = (evidence: Evidence): void =>
    ballots.actors.forEach((actor) => actor.tell({ _tag: "Caught", evidence }))
  const judge = makeChain({ rules, store, verified, disk, moved, caught, accepted: options.signer?.saw })
  const chain = new Actor(squeezed(squeeze, judge), watch)
  const admitted = (list: ReadonlyArray<Admittance>, from: Source): void => tellAdmitted(base, core.miner)(list, from)
  const retell = (ids: ReadonlyArray<string>): void =>
    sessions.each((session) => session.tell({ _tag: "AnnounceTransactions", ids, from: undefined, again: true }))
  const pool = squeezedPool(squeeze)
  const mempool = new Actor(
    squeezed(squeeze, makeMempool({ rules, store, verified, disk, admitted, retell, pool })),
    watch
  )
  const extra = bytesOfText(config.mining.blockData ?? options.facts.agent)!
  const own = { extra, triesInPlace: options.triesInPlace ?? triesInPlace }
  const mining = { ...config.mining, proposer: options.proposer, ...own }
  const { startThread } = options.doors
  const miner = new Actor(
    makeMiner({
      rules,
      store,
      chain,
      mempool,
      self: () => core.miner,
      startThread,
      signer: options.signer,
      options: mining,
      ...(ballots.standings === undefined
        ? {}
        : { ballot: ballots.standings.ballot, isGuilty: ballots.standings.isGuilty }),
      hashed: base.hashes.add
    }),
    watch
  )
  const rejoin = (): void => sessions.each((session) => session.tell({ _tag: "Rejoin" }))
  const saw = base.health.readiness.hear
  const download = makeSync({ store, chain, self: () => core.sync, session: sessions.find, rejoin, saw })
  const sync = new Actor(squeezed(squeeze, download), watch)
  const votes = (): FinalityPorts => ({ rules, store, disk, chain, sync, sessions, signer, self: () => core.finality! })
  const hasVotes = rules.spec.authority?.finality !== undefined
  const finality = hasVotes ? new Actor(squeezed(squeeze, makeFinality(votes())), watch) : undefined
  const core = { chain, mempool, miner, sync, ballots, finality } as unknown as Core
  return core
}

/** Opens sessions, and the maintenance actor that decides over them. */
class Door {
  readonly maintenance: Actor<never, MaintenanceMessage>
  private readonly base: Base
  private readonly core: Core
  private readonly seen = new SeenNonces()

  constructor(base: Base, core: Core) {
    this.base = base
    this.core = core
    const { sessions, events, options, nodeId, clock, disk } = base
    const { db } = options.store
    const save = (records: ReadonlyArray<PeerRecord>): void =>
      savePeers(db, new Map(records.map((record) => [record.nodeId, record])))
    this.maintenance = new Actor(
      makeMaintenance({
        ourId: nodeId,
        seeds: options.config.peers?.seeds ?? [],
        dials: options.config.peers !== undefined,
        sessionsMax: peersMaxOf(options.rules.spec),
        session: sessions.find,
        begin: () => sessions.each((session) => session.tell({ _tag: "Close", reason: "the directory begins anew" })),
        dial: (endpoint) => void base.fork(this.dial(endpoint)),
        load: () => [...loadPeers(db).values()] as ReadonlyArray<PeerRecord>,
        // Without room the directory of the last time stays; there will be a next.
        save: (records) => void disk.try("peers", clock.currentTimeMillisUnsafe(), () => save(records)),
        changed: (peer, change, reason) => events.publish({ type: "peer", nodeId: peer, change, reason })
      }),
      base.watch
    ) as never
  }

  /** Is there anybody to look for? Who only waits to be found need not wait to be ready. */
  readonly looks = (): boolean => {
    const { config, store } = this.base.options
    if (config.peers === undefined) return false
    const known = [...loadPeers(store.db).values()] as ReadonlyArray<PeerRecord>
    const { seeds, discovery = [] } = config.peers
    return seeds.length + discovery.length > 0 || known.some(({ endpoint }) => endpoint !== undefined)
  }

  /** Hears peers, if the operator wants any. */
  readonly listen = (): Effect.Effect<() => void, TcpFault> => {
    const { config, doors, tls } = this.base.options
    const { peers } = config
    if (peers === undefined) return Effect.succeed(() => {})
    const heard = doors.tcp.listen(peers, tls, (wire) => this.open(wire, "inbound", undefined))
    return Effect.map(heard, ({ port, close }) => {
      const endpoint = peers.advertise ?? formatEndpoint(peers.host, port)
      this.base.endpoint = endpoint
      this.base.advertised = placeOf(endpoint) === "unspecified" ? "" : endpoint
      return close
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

  private dial(to: string): Effect.Effect<void> {
    const { doors, tls } = this.base.options
    const at = parseEndpoint(to)
    const failed = (reason: string): void => void this.maintenance.tell({ _tag: "DialFailed", endpoint: to, reason })
    if (at === undefined) return Effect.sync(() => failed("not host:port"))
    return doors.tcp
      .dial({ ...at, timeoutMs: dialMsMax }, tls, (wire) => this.open(wire, "outbound", to))
      .pipe(Effect.catch((fault) => Effect.sync(() => failed(fault.message))))
  }

  readonly bounds = (): ReadonlyArray<HeldBound> => [
    { actor: "door", of: "hello-nonces", used: this.seen.size, max: helloNoncesMax },
    { actor: "door", of: "sessions", used: this.base.sessions.size, max: openSessionsMax }
  ]

  private channelOver(wire: Wire) {
    const { options, nodeId, advertised, random } = this.base
    const { rules, key, facts } = options
    return makeNativeChannel({
      chainId: rules.spec.ledger.chainId,
      genesis: rules.genesis.header.hash,
      key,
      nodeId,
      endpoint: advertised,
      agent: facts.agent,
      capabilities: [
        capabilities.headersFirst,
        capabilities.transactions,
        capabilities.servesLight,
        ...(options.config.filters === false ? [] : [capabilities.servesFilters])
      ],
      binding: wire.binding,
      nonce: random(16),
      seen: this.seen
    })
  }

  /** One actor for one connection. It is never restarted; its end is told to those who count on it. */
  private open(wire: Wire, direction: "inbound" | "outbound", dialled: string | undefined): WireHandlers {
    const { sessions, options, watch, fork } = this.base
    const { rules, store, snapshot } = options
    if (sessions.size >= openSessionsMax) {
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
    const { mayTell } = sessions
    const { sync, mempool, finality } = this.core
    const around = { sync, mempool, finality, maintenance: this.maintenance, mayTell, ...judge }
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

/** The watch judges, where there are slots. */
const slotBeats = ({ slots, fork }: Base): ReadonlyArray<Beat> =>
  slots === undefined ? [] : [[slots.everyMs, () => fork(slots.tick())]]

const showMetrics = ({ metrics, options, sessions }: Base, actors: ReadonlyArray<ActorRef<never>>): void => {
  const { version, signatureEngine } = options.facts
  metrics.read("cairn_actor_inbox_messages", "Messages waiting, by actor.", "gauge", () =>
    actors.map((actor) => [{ actor: actor.name }, actor.depth()])
  )
  metrics.gauge("cairn_chain_height", "Height of the tip.", () => options.store.tip().header.height)
  if (options.rules.spec.authority?.finality !== undefined)
    metrics.gauge("cairn_final_height", "Height up to which all is final.", () => options.snapshot.finalHeight() ?? 0)
  metrics.gauge("cairn_peer_sessions", "Open sessions.", () => sessions.size)
  metrics.read("cairn_build_info", "What runs.", "gauge", () => [[{ version, signature_engine: signatureEngine }, 1]])
}

/** Starts every actor and, if the node speaks to peers, its listener. */
export const startTree = (options: TreeOptions): Effect.Effect<Tree, TcpFault> =>
  Effect.gen(function* () {
    const { config, rules, snapshot } = options
    const base = yield* makeBase(options)
    const core = makeCore(base)
    const { chain, mempool, miner, sync, ballots, finality } = core
    const votes = finality === undefined ? [] : [finality]
    const door = new Door(base, core)
    const { maintenance } = door
    const close = yield* door.listen()
    const { metrics, hashes, events, nodeId, endpoint, sessions, health } = base
    const { readiness, check } = health
    readiness.hear({ _tag: "Opened", looks: door.looks() })

    const supervise = (name: string, strategy: GroupOptions["strategy"], actors: Parameters<typeof startGroup>[1]) =>
      startGroup({ name, strategy, ...restarts, onRestart: health.restarted }, actors)
    const inner = yield* supervise("core", "rest-for-one", [chain, mempool, miner, sync])
    // A kill, or a past that was proven while nobody listened, has left a branch that wins.
    const [winner] = options.store.heavier()
    if (winner !== undefined) chain.tell({ _tag: "Resume" })
    const progress = progressOf(options.store, base.clock)
    const pastPorts = { rules, store: options.store, disk: base.disk, chain, progress }
    const past = makePasts(pastPorts, { watch: base.watch, metrics })
    const discovery = door.seekers()
    const ticker = makeTicker([
      [minerTickMs(config, rules), () => miner.tell({ _tag: "Tick" })],
      [1_000, () => sync.tell({ _tag: "Tick" })],
      [1_000, () => maintenance.tell({ _tag: "Tick" })],
      [1_000, check],
      // Also those that nobody has let in yet: a peer that drips its hello is not waited for.
      [2_000, () => sessions.each((session) => session.tell({ _tag: "Tick" }))],
      [1_000, hashes.tick],
      [60_000, () => mempool.tell({ _tag: "Expire" })],
      ...slotBeats(base),
      ...[...votes, ...past, ...discovery].map((actor) => [1_000, () => actor.tell({ _tag: "Tick" })] as const)
    ])
    const edge = [maintenance, ...votes, ...discovery, ticker, ...ballots.actors]
    const outer = yield* supervise("edge", "one-for-one", edge)
    const last = past.length === 0 ? undefined : yield* startPasts(past)
    const actors = [chain, mempool, miner, sync, maintenance, ...votes, ...discovery, ...ballots.actors, ...past]
    const states = makeStateService(snapshot, rules)
    const bounds = (): ReadonlyArray<HeldBound> => [
      ...actors.flatMap(boundsOf),
      ...sessions.all().flatMap(boundsOf),
      ...door.bounds(),
      ...states.bounds(),
      { actor: "events", of: "kept", used: events.keptCount, max: eventsKeptMax },
      { actor: "events", of: "streams", used: events.streamCount, max: eventStreamsMax }
    ]
    showMetrics(base, actors)
    showBounds(metrics, bounds)

    const facts = { ...options.facts, rules, nodeId, p2pEndpoint: endpoint === "" ? undefined : endpoint }
    const node = makeNode({
      facts,
      rules,
      snapshot,
      ...core,
      maintenance,
      ballots: ballots.calls,
      finality: () => finality?.ask<FinalityView>((reply) => ({ _tag: "View", reply })) ?? Effect.succeed(undefined),
      events,
      metrics,
      hashesPerSecond: () => hashes.rate,
      miningActive: config.mining.threads > 0 || options.signer !== undefined,
      past: progress,
      readiness,
      check,
      stateAt: states.stateAt,
      unsealing: () => unsealing(rules.consensus.author, options.signer, base.clock.currentTimeMillisUnsafe()),
      sealer: options.signer?.address
    })
    const stop = Effect.gen(function* () {
      readiness.hear({ _tag: "Stopping" })
      close()
      yield* sessions.closeAll(1_000)
      if (last !== undefined) yield* last.stop(500)
      yield* outer.stop(1_000)
      yield* inner.stop(stopMsMax - 3_000)
      health.ended("The node has stopped.")
    })
    const either = Effect.raceFirst(inner.failed, outer.failed)
    const gaveUp = last === undefined ? either : Effect.raceFirst(either, last.failed)
    const ended = ({ child }: Escalation) => Effect.sync(() => health.ended(`The ${child} failed too often.`))
    const failed = Effect.tapError(gaveUp, ended)
    return { node, failed, stop, bounds }
  })

const boundsOf = ({ name, bounds }: Pick<AnySession, "name" | "bounds">): ReadonlyArray<HeldBound> =>
  bounds().map((bound) => ({ ...bound, actor: name }))
