/**
 * Who starts whom, who restarts whom, who stops first. The one place that knows every actor; it gives the Node service.
 *
 *   root ─┬─ core (rest-for-one): chain → mempool → miner → sync
 *         ├─ edge (one-for-one): maintenance, ticker
 *         └─ sessions (temporary): one an open connection; its end is told to sync and maintenance
 */
import { Cause, Clock, Deferred, Effect, Exit, Fiber } from "effect"
import type { Rules } from "../src/chain/rules.ts"
import { VerifiedLeaves } from "../src/chain/verified.ts"
import { formatEndpoint, type NodeConfig, parseEndpoint } from "../src/config.ts"
import { toHex, utf8 } from "../src/codec/bytes.ts"
import { formatAddress, type Address } from "../src/crypto/address.ts"
import type { Keypair } from "../src/crypto/keys.ts"
import { Random } from "../src/io/random.ts"
import type { Tcp, TcpFault, TlsIdentity, Wire, WireHandlers } from "../src/io/tcp.ts"
import type { StartThread } from "../src/io/worker.ts"
import { stopMsMax, verifiedSignaturesMax } from "../src/limits.ts"
import type { NodeFacts, NodeShape } from "../src/node.ts"
import type { PeerRecord } from "../src/peer/directory.ts"
import { loadPeers, savePeers } from "../src/store/peers.ts"
import type { Snapshot } from "../src/store/snapshot.ts"
import type { ChainStore } from "../src/store/store.ts"
import { nodeIdOf, SeenNonces } from "../src/transport/hello.ts"
import { makeNativeChannel } from "../src/transport/native.ts"
import { Actor, type ActorRef, type ActorWatch } from "./actor.ts"
import { makeChain } from "./chain.ts"
import { EventHub } from "./event-hub.ts"
import { makeMaintenance } from "./maintenance.ts"
import { makeMempool } from "./mempool.ts"
import { Metrics } from "./metrics.ts"
import { makeMiner } from "./miner.ts"
import { makeNode } from "./node-service.ts"
import { makeSession } from "./peer-session.ts"
import type { SessionId, SessionMessage, TipMoved } from "./protocol.ts"
import { type Escalation, type Group, startGroup } from "./supervisor.ts"
import { makeSync } from "./sync.ts"

export interface TreeOptions {
  readonly config: NodeConfig
  readonly rules: Rules
  readonly store: ChainStore
  readonly snapshot: Snapshot
  /** The node's own key: its name among peers, and who gets rewards if nobody else is named. */
  readonly key: Keypair
  readonly proposer: Address
  readonly tls: TlsIdentity
  readonly doors: { readonly tcp: Tcp; readonly startThread: StartThread }
  readonly facts: Omit<NodeFacts, "rules" | "nodeId" | "p2pEndpoint">
}

export interface Tree {
  readonly node: NodeShape
  /** Fails when the supervision has given up: the process must end. */
  readonly failed: Effect.Effect<never, Escalation>
  /** Sessions first, then who they lean on; what does not stop in time is interrupted. */
  readonly stop: Effect.Effect<void>
}

const dialMsMax = 5_000
const restarts = { restartsMax: 5, withinMs: 60_000, backoffMs: 100 } as const
/** Transactions announced in one message. */
const announceMax = 256

/** Starts every actor and, if the node speaks to peers, its listener. */
export const startTree = (options: TreeOptions): Effect.Effect<Tree, TcpFault> =>
  Effect.gen(function* () {
    const { config, rules, store, snapshot, doors } = options
    const clock = yield* Clock.Clock
    const random = yield* Random
    const context = yield* Effect.context<never>()
    const fork = Effect.runForkWith(context)
    const metrics = new Metrics()
    const events = new EventHub(clock.currentTimeMillisUnsafe())
    const verified = new VerifiedLeaves(verifiedSignaturesMax)
    const watch = watchWith(metrics)
    const hashes = new HashRate(metrics)
    let stopping = false

    const sessions = new Sessions()
    const nodeId = nodeIdOf(options.key.publicKey)

    const moved = (move: TipMoved): Effect.Effect<void> =>
      Effect.map(mempool.offer(move), () => {
        miner.tell(move)
        sync.tell(move)
        sessions.each((session) =>
          session.tell({ _tag: "AnnounceTip", headers: move.attached, work: move.work, from: move.from })
        )
        const { tip, detached, attached } = move
        const transactions = move.confirmed.length
        events.publish({
          type: "tip",
          height: tip.height,
          hash: tip.id,
          detached,
          attached: attached.length,
          transactions,
          time: tip.time
        })
      })

    const chain = new Actor(makeChain({ rules, store, verified, moved }), watch)
    const mempool = new Actor(
      makeMempool({
        rules,
        store,
        verified,
        admitted: (transactions, from) => {
          const ids = transactions.map(({ id }) => toHex(id))
          for (let at = 0; at < ids.length; at += announceMax) {
            const part = ids.slice(at, at + announceMax)
            sessions.each(
              (session, id) => id !== from && session.tell({ _tag: "AnnounceTransactions", ids: part, from })
            )
          }
          miner.tell({ _tag: "PoolGrew" })
          for (const { id, transfer } of transactions) {
            const text = (address: Address): string => formatAddress(address, rules.spec.addressPrefix)
            const { amount, fee } = transfer
            events.publish({
              type: "transaction",
              transactionId: toHex(id),
              sender: text(transfer.sender),
              recipient: text(transfer.recipient),
              amount,
              fee
            })
          }
        }
      }),
      watch
    )
    const miner: Actor<never, Parameters<ReturnType<typeof makeMiner>["step"]>[1]> = new Actor(
      makeMiner({
        rules,
        store,
        chain,
        mempool,
        self: () => miner,
        startThread: doors.startThread,
        options: { ...config.mining, proposer: options.proposer, extra: utf8(options.facts.agent) },
        hashed: hashes.add
      }),
      watch
    ) as never
    const sync: Actor<never, Parameters<ReturnType<typeof makeSync>["step"]>[1]> = new Actor(
      makeSync({
        store,
        chain,
        self: () => sync,
        session: sessions.find,
        rejoin: () => sessions.each((session) => session.tell({ _tag: "Rejoin" }))
      }),
      watch
    ) as never
    const maintenance = new Actor(
      makeMaintenance({
        ourId: nodeId,
        seeds: config.peers?.seeds ?? [],
        session: sessions.find,
        dial: (endpoint) => void fork(dial(endpoint)),
        load: () => [...loadPeers(store.db).values()] as ReadonlyArray<PeerRecord>,
        save: (records) => savePeers(store.db, new Map(records.map((record) => [record.nodeId, record]))),
        changed: (peer, change, reason) => events.publish({ type: "peer", nodeId: peer, change, reason })
      }),
      watch
    )

    // ── sessions ─────────────────────────────────────────────────────────────────────────────────────────────────────

    const seen = new SeenNonces()
    let endpoint = ""

    const openSession = (wire: Wire, direction: "inbound" | "outbound", dialled: string | undefined): WireHandlers => {
      const id = sessions.nextId()
      const { agent } = options.facts
      const channel = makeNativeChannel({
        chainId: rules.spec.ledger.chainId,
        genesis: rules.genesis.header.hash,
        key: options.key,
        nodeId,
        endpoint,
        agent,
        capabilities: ["headers-first", "transactions"],
        binding: wire.binding,
        nonce: random(16),
        seen
      })
      let reason = "ended"
      const actor: Actor<never, SessionMessage> = new Actor(
        makeSession({
          id,
          direction,
          dialled,
          rules,
          store,
          snapshot,
          channel,
          wire,
          sync,
          mempool,
          maintenance,
          self: () => actor,
          ended: (why) => {
            reason = why
            actor.stop()
          }
        }),
        watch
      ) as never
      sessions.add(id, actor)
      const fiber = fork(actor.run)
      fiber.addObserver((exit) => {
        sessions.remove(id)
        actor.bury()
        wire.end()
        const why = Exit.isFailure(exit) && !stopping ? `failed: ${Cause.pretty(exit.cause)}` : reason
        if (Exit.isFailure(exit) && !stopping)
          fork(Effect.logError(`session-${id} failed`, { cause: Cause.pretty(exit.cause) }))
        sync.tell({ _tag: "Left", session: id })
        maintenance.tell({ _tag: "SessionEnded", session: id, reason: why })
      })
      sessions.fibers.set(id, fiber)
      return {
        data: (bytes) => void (actor.tell({ _tag: "Bytes", bytes }) || wire.terminate()),
        drained: () => void actor.tell({ _tag: "Drained" }),
        closed: (why) => void actor.tell({ _tag: "Closed", reason: why })
      }
    }

    const dial = (to: string): Effect.Effect<void> => {
      const at = parseEndpoint(to)
      const failed = (reason: string): void => void maintenance.tell({ _tag: "DialFailed", endpoint: to, reason })
      if (at === undefined) return Effect.sync(() => failed("not host:port"))
      return doors.tcp
        .dial({ ...at, timeoutMs: dialMsMax }, options.tls, (wire) => openSession(wire, "outbound", to))
        .pipe(Effect.catch((fault) => Effect.sync(() => failed(fault.message))))
    }

    const listener =
      config.peers === undefined
        ? undefined
        : yield* doors.tcp.listen(config.peers, options.tls, (wire) => openSession(wire, "inbound", undefined))
    endpoint =
      listener === undefined ? "" : (config.peers?.advertise ?? formatEndpoint(config.peers!.host, listener.port))

    // ── supervision ──────────────────────────────────────────────────────────────────────────────────────────────────

    const restarted = metrics.counters("cairn_actor_restarts_total", "Restarts by actor.")
    const group = (
      name: string,
      strategy: "one-for-one" | "rest-for-one",
      actors: Parameters<typeof startGroup>[1]
    ): Effect.Effect<Group> =>
      startGroup({ name, strategy, ...restarts, onRestart: (actor) => restarted({ actor }) }, actors)

    const core = yield* group("core", "rest-for-one", [chain, mempool, miner, sync])
    const ticker = makeTicker([
      [100, () => miner.tell({ _tag: "Tick" })],
      [1_000, () => sync.tell({ _tag: "Tick" })],
      [500, () => maintenance.tell({ _tag: "Tick" })],
      [1_000, hashes.tick],
      [60_000, () => mempool.tell({ _tag: "Expire" })]
    ])
    const edge = yield* group("edge", "one-for-one", [maintenance, ticker])

    const all: ReadonlyArray<ActorRef<never>> = [chain, mempool, miner, sync, maintenance]
    metrics.read("cairn_actor_inbox_messages", "Messages waiting, by actor.", "gauge", () =>
      all.map((actor) => [{ actor: actor.name }, actor.depth()])
    )
    metrics.gauge("cairn_chain_height", "Height of the tip.", () => store.tip().header.height)
    metrics.gauge("cairn_peer_sessions", "Open sessions.", () => sessions.size)
    metrics.read("cairn_build_info", "What runs.", "gauge", () => [
      [{ version: options.facts.version, signature_engine: options.facts.signatureEngine }, 1]
    ])

    const node = makeNode({
      facts: { ...options.facts, rules, nodeId, p2pEndpoint: endpoint === "" ? undefined : endpoint },
      rules,
      snapshot,
      mempool,
      miner,
      sync,
      maintenance,
      events,
      metrics,
      hashesPerSecond: () => hashes.rate,
      miningActive: config.mining.threads > 0,
      stopping: () => stopping
    })

    const stop = Effect.gen(function* () {
      stopping = true
      listener?.close()
      sessions.each((session) => session.tell({ _tag: "Close", reason: "the node stops" }))
      const fibers = [...sessions.fibers.values()]
      yield* Effect.timeoutOrElse(Effect.forEach(fibers, Fiber.await, { discard: true }), {
        duration: 1_000,
        orElse: () => Fiber.interruptAll(fibers)
      })
      yield* edge.stop(1_000)
      yield* core.stop(stopMsMax - 3_000)
    })
    return { node, failed: Effect.raceFirst(core.failed, edge.failed), stop }
  })

/** Sessions that stand. */
class Sessions {
  private readonly actors = new Map<SessionId, ActorRef<SessionMessage>>()
  readonly fibers = new Map<SessionId, Fiber.Fiber<void, unknown>>()
  private last = 0

  get size(): number {
    return this.actors.size
  }
  nextId(): SessionId {
    return ++this.last
  }
  add(id: SessionId, actor: ActorRef<SessionMessage>): void {
    this.actors.set(id, actor)
  }
  remove(id: SessionId): void {
    this.actors.delete(id)
    this.fibers.delete(id)
  }
  each(f: (session: ActorRef<SessionMessage>, id: SessionId) => void): void {
    for (const [id, actor] of this.actors) f(actor, id)
  }
  readonly find = (id: SessionId): ActorRef<SessionMessage> | undefined => this.actors.get(id)
}

/** The four figures of every actor but its inbox, which is read when asked for. Sessions share one label. */
const watchWith = (metrics: Metrics): ActorWatch => {
  const dropped = metrics.counters(
    "cairn_actor_dropped_total",
    "Messages refused or lost to a full inbox, by actor and kind."
  )
  const handled = metrics.counters("cairn_actor_messages_total", "Messages handled, by actor.")
  const seconds = metrics.counters("cairn_actor_busy_seconds_total", "Seconds spent handling, by actor.")
  const label = (actor: string): string => (actor.startsWith("session-") ? "session" : actor)
  return {
    dropped: (actor, kind) => dropped({ actor: label(actor), kind }),
    handled: (actor, count, spent) => {
      handled({ actor: label(actor) }, count)
      seconds({ actor: label(actor) }, spent)
    }
  }
}

/** Hashes tried, in all and in the last second. */
class HashRate {
  private total = 0
  private before = 0
  rate = 0

  constructor(metrics: Metrics) {
    metrics.read("cairn_miner_hashes_total", "Hashes tried.", "counter", () => [[{}, this.total]])
  }
  readonly add = (count: number): void => void (this.total += count)
  readonly tick = (): void => {
    this.rate = this.total - this.before
    this.before = this.total
  }
}

/** Loops that remind actors of the time, supervised like an actor. */
const makeTicker = (beats: ReadonlyArray<readonly [everyMs: number, beat: () => unknown]>) => {
  let done = Deferred.makeUnsafe<void>()
  const loop = ([everyMs, beat]: (typeof beats)[number]): Effect.Effect<never> =>
    Effect.forever(
      Effect.andThen(
        Effect.sleep(everyMs),
        Effect.sync(() => void beat())
      )
    )
  return {
    name: "ticker",
    run: Effect.suspend(() => {
      done = Deferred.makeUnsafe<void>()
      return Effect.raceFirst(
        Effect.forEach(beats, loop, { concurrency: "unbounded", discard: true }),
        Deferred.await(done)
      )
    }),
    stop: () => void Deferred.doneUnsafe(done, Exit.void),
    bury: () => {}
  }
}
