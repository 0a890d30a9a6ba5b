/**
 * Who starts whom, who restarts whom, who stops first. The one place that knows every actor; it gives the Node service.
 *
 *   root ─┬─ core (rest-for-one): chain → mempool → miner → sync
 *         ├─ edge (one-for-one): maintenance, discovery if there are services, gossip if it is on, ticker; where authorities seal
 *         │    ballots, where they vote finality; where nodes are to be asked by HTTP http-sync, and without peers http-relay;
 *         │    backup, if the node makes any
 *         ├─ past (gives up at once): past, where a snapshot was loaded
 *         └─ sessions (temporary): one an open connection; its end is told to sync and maintenance
 */
import { Effect } from "effect"
import type { Rules } from "../src/chain/rules.ts"
import { type NodeConfig, peerPolicy, withoutSecrets } from "../src/config.ts"
import type { TcpFault } from "../src/io/tcp.ts"
import type { UdpFault } from "../src/io/udp.ts"
import { eventsKeptMax, eventStreamsMax, stopMsMax } from "../src/limits.ts"
import type { NodeShape } from "../src/node/node.ts"
import type { FinalityView } from "../src/node/authorities.ts"
import { migrations } from "../src/store/schema.ts"
import { unsealing } from "../src/validator/signer.ts"
import type { ActorRef } from "./actor.ts"
import { startBackups } from "./backup.ts"
import { type Base, type Core, makeBase, type TreeOptions } from "./base.ts"
import { makeCore } from "./core.ts"
import { Door } from "./door.ts"
import { type HeldBound, showBounds } from "./metrics.ts"
import { makeNetwork } from "./network-service.ts"
import { makeNode } from "./node-service.ts"
import { makePasts, progressOf, startPasts } from "./past.ts"
import type { AnySession } from "./sessions.ts"
import { makeStateService } from "./state-service.ts"
import { type Escalation, type GroupOptions, startGroup } from "./supervisor.ts"
import { type Beat, makeTicker } from "./ticker.ts"

/** Why a node cannot start: what it would listen on is not to be had. */
export type TreeFault = TcpFault | UdpFault

export interface Tree {
  readonly node: NodeShape
  /** Fails when the supervision has given up: the process must end. */
  readonly failed: Effect.Effect<never, Escalation>
  /** Sessions first, then who they lean on; what does not stop in time is interrupted. */
  readonly stop: Effect.Effect<void>
  /** Everything that is held in bounded memory: how much of it now, and at most. Reading changes nothing. */
  readonly bounds: () => ReadonlyArray<HeldBound>
}

/** How often the miner looks at the time: ten times an interval that it has to keep, else once a second. */
const minerTickMs = ({ mining }: NodeConfig, { consensus, spec }: Rules): number => {
  const { everyMs = 10_000 } = consensus.author === undefined ? mining : { everyMs: spec.difficulty.blockMs / 2 }
  return Math.min(1_000, Math.max(20, everyMs / 10))
}
/** How often maintenance looks at the time: as often as it looks for somebody to dial, and each second at least. */
const maintenanceTickMs = ({ peers }: NodeConfig): number =>
  Math.min(1_000, Math.max(20, peers?.policy?.connectMs ?? peerPolicy.connectMs))
const restarts = { restartsMax: 5, withinMs: 60_000, backoffMs: 100 } as const

/** What is reminded of the time, and how often: `others` each second. */
const beatsOf = (
  { options, slots, fork, sessions, hashes, health }: Base,
  { miner, sync, mempool }: Core,
  maintenance: ActorRef<{ readonly _tag: "Tick" }>,
  others: ReadonlyArray<ActorRef<{ readonly _tag: "Tick" }>>
): ReadonlyArray<Beat> => [
  [minerTickMs(options.config, options.rules), () => miner.tell({ _tag: "Tick" })],
  [1_000, () => sync.tell({ _tag: "Tick" })],
  [1_000, health.check],
  // Also those that nobody has let in yet: a peer that drips its hello is not waited for.
  [2_000, () => sessions.each((session) => session.tell({ _tag: "Tick" }))],
  [1_000, hashes.tick],
  [60_000, () => mempool.tell({ _tag: "Expire" })],
  // The watch judges, where there are slots.
  ...(slots === undefined ? [] : [[slots.everyMs, () => fork(slots.tick())] as const]),
  [maintenanceTickMs(options.config), () => maintenance.tell({ _tag: "Tick" })],
  ...others.map((actor) => [1_000, () => actor.tell({ _tag: "Tick" })] as const)
]

const showMetrics = ({ metrics, options, sessions, streams }: Base, actors: ReadonlyArray<ActorRef<never>>): void => {
  const { version, signatureEngine } = options.facts
  metrics.read("cairn_actor_inbox_messages", "Messages waiting, by actor.", "gauge", () =>
    actors.map((actor) => [{ actor: actor.name }, actor.depth()])
  )
  metrics.gauge("cairn_chain_height", "Height of the tip.", () => options.store.tip().header.height)
  if (options.rules.spec.authority?.finality !== undefined)
    metrics.gauge("cairn_final_height", "Height up to which all is final.", () => options.snapshot.finalHeight() ?? 0)
  metrics.gauge("cairn_peer_sessions", "Open sessions.", () => sessions.size)
  if (streams !== undefined) {
    metrics.read("cairn_libp2p_connections", "Connections of libp2p, with a session or without.", "gauge", () => {
      const open = streams.connections()
      return ["inbound", "outbound"].map((direction) => [
        { direction },
        open.filter((connection) => connection.direction === direction).length
      ])
    })
    const { metrics: host } = streams
    metrics.gauge(
      "cairn_libp2p_memory_bytes",
      "Bytes of libp2p's streams, unread and unsent.",
      () => host().memory.bytes
    )
    metrics.read("cairn_libp2p_refused_total", "What libp2p's limits refused, by limit.", "counter", () =>
      Object.entries(host().refusals).map(([limit, count]) => [{ limit }, count])
    )
  }
  const engines = { signature_engine: signatureEngine, ...(streams && { aead_engine: streams.aeadEngine }) }
  metrics.read("cairn_build_info", "What runs.", "gauge", () => [[{ version, ...engines }, 1]])
}

/** A kill, or a past that was proven while nobody listened, has left a branch that wins. */
const resume = ({ options }: Base, { chain }: Core): void => {
  const [winner] = options.store.heavier()
  if (winner !== undefined) chain.tell({ _tag: "Resume" })
}

/** Starts every actor and, if the node speaks to peers, its listener. */
export const startTree = (options: TreeOptions): Effect.Effect<Tree, TreeFault> =>
  Effect.gen(function* () {
    const { config, rules, snapshot } = options
    const base = yield* makeBase(options)
    const core = makeCore(base)
    const { chain, mempool, miner, sync, ballots, finality } = core
    const votes = finality === undefined ? [] : [finality]
    const door = new Door(base, core)
    const { maintenance } = door
    const gossip = yield* door.gossip()
    const close = yield* Effect.tapError(door.listen(), () => Effect.sync(() => gossip?.close()))
    const { metrics, hashes, events, nodeId, endpoint, sessions, health } = base
    const { readiness, check } = health
    readiness.hear({ _tag: "Opened", looks: door.looks() })

    const supervise = (name: string, strategy: GroupOptions["strategy"], actors: Parameters<typeof startGroup>[1]) =>
      startGroup({ name, strategy, ...restarts, onRestart: health.restarted }, actors)
    const inner = yield* supervise("core", "rest-for-one", [chain, mempool, miner, sync])
    resume(base, core)
    const progress = progressOf(options.store, base.clock)
    const pastPorts = { rules, store: options.store, disk: base.disk, chain, progress }
    const past = makePasts(pastPorts, { watch: base.watch, metrics })
    const discovery = door.seekers()
    const httpSync = door.asker()
    const asking = [httpSync, core.relay].filter((actor) => actor !== undefined)
    const backups = options.backups === undefined ? undefined : startBackups(options.backups, base)
    const copying = backups === undefined ? [] : [backups.actor]
    const timed = [...votes, ...discovery, ...asking, ...copying]
    const beats = beatsOf(base, core, maintenance, [...timed, ...past])
    const ticker = makeTicker([...beats, ...(gossip?.beats ?? [])])
    const others = [maintenance, ...timed, ...(gossip?.actors ?? []), ...ballots.actors]
    const outer = yield* supervise("edge", "one-for-one", [...others, ticker])
    const last = past.length === 0 ? undefined : yield* startPasts(past)
    const actors = [chain, mempool, miner, sync, ...others, ...past]
    const states = makeStateService(snapshot, rules)
    const bounds = heldBy(base, actors, [door, states])
    showMetrics(base, actors)
    showBounds(metrics, bounds)

    const p2pEndpoint = endpoint === "" ? undefined : endpoint
    const gossipEndpoint = gossip?.told.endpoint
    const told = { rules, nodeId, p2pEndpoint, libp2p: base.streams, gossipEndpoint, schemaVersion: migrations.length }
    const facts = { ...options.facts, ...told, config: withoutSecrets(config) }
    const node = makeNode({
      facts,
      rules,
      snapshot,
      ...core,
      maintenance,
      ballots: ballots.calls,
      network: makeNetwork({ snapshot, sessions, sync, maintenance, httpSync }),
      gossip: gossip?.calls ?? {},
      finality: () => finality?.ask<FinalityView>((reply) => ({ _tag: "View", reply })) ?? Effect.succeed(undefined),
      events,
      metrics,
      hashesPerSecond: () => hashes.rate,
      miningActive: config.mining.threads > 0 || options.signer !== undefined,
      past: progress,
      backups,
      readiness,
      check,
      stateAt: states.stateAt,
      unsealing: () => unsealing(rules.consensus.author, options.signer, base.clock.currentTimeMillisUnsafe()),
      sealer: options.signer?.address
    })
    const stop = Effect.gen(function* () {
      readiness.hear({ _tag: "Stopping" })
      close()
      gossip?.close()
      yield* sessions.closeAll(1_000)
      yield* door.leave
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

type Bounds = () => ReadonlyArray<HeldBound>

const heldBy =
  (
    { sessions, events }: Base,
    actors: ReadonlyArray<Pick<AnySession, "name" | "bounds">>,
    parts: ReadonlyArray<{ readonly bounds: Bounds }>
  ): Bounds =>
  () => [
    ...actors.flatMap(boundsOf),
    ...sessions.all().flatMap(boundsOf),
    ...parts.flatMap((part) => part.bounds()),
    { actor: "events", of: "kept", used: events.keptCount, max: eventsKeptMax },
    { actor: "events", of: "streams", used: events.streamCount, max: eventStreamsMax }
  ]

const boundsOf = ({ name, bounds }: Pick<AnySession, "name" | "bounds">): ReadonlyArray<HeldBound> =>
  bounds().map((bound) => ({ ...bound, actor: name }))
