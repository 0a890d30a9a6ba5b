/** What every part of the supervision tree leans on, and the actors that the parts share. Knows no actor's inside. */
import { Cause, Clock, Effect, type Fiber } from "effect"
import type { Rules } from "../src/chain/rules.ts"
import type { NodeConfig } from "../src/config.ts"
import type { Address } from "../src/crypto/address.ts"
import type { Keypair } from "../src/crypto/keys.ts"
import type { CallNode } from "../src/io/call-node.ts"
import type { Fetch } from "../src/io/fetch.ts"
import { Random } from "../src/io/random.ts"
import type { StreamDoor, Streams } from "../src/io/streams.ts"
import type { Tcp, TlsIdentity } from "../src/io/tcp.ts"
import type { Udp } from "../src/io/udp.ts"
import type { StartThread } from "../src/io/worker.ts"
import type { NodeFacts } from "../src/node/node.ts"
import { DiskRoom } from "../src/store/room.ts"
import type { Snapshot } from "../src/store/snapshot.ts"
import type { ChainStore } from "../src/store/store.ts"
import { nodeIdOf } from "../src/transport/hello.ts"
import type { Signer } from "../src/validator/signer.ts"
import type { Actor, ActorWatch } from "./actor.ts"
import type { BackupWorld } from "./backup.ts"
import type { Ballots } from "./ballots.ts"
import { EventHub } from "./event-hub.ts"
import { Health } from "./health.ts"
import { HashRate, Metrics, watchWith } from "./metrics.ts"
import type { FinalityMessage } from "./authority-protocol.ts"
import type { HttpRelayMessage } from "./http-sync-protocol.ts"
import type { ChainMessage, MempoolMessage, MinerMessage, Source, SyncMessage } from "./protocol.ts"
import { Sessions } from "./sessions.ts"
import { type SlotWatch, watchSlots } from "./slot-watch.ts"

export interface TreeOptions {
  readonly config: NodeConfig
  readonly rules: Rules
  readonly store: ChainStore
  readonly snapshot: Snapshot
  /** The node's own key: its name among peers, and who gets rewards if nobody else is named. */
  readonly key: Keypair
  readonly proposer: Address
  readonly tls: TlsIdentity
  /** Without `fetch` no discovery service is asked, without `callNode` no node by HTTP, without `udp` nothing is announced. */
  readonly doors: {
    readonly tcp: Tcp
    readonly startThread: StartThread
    readonly fetch?: Fetch
    readonly callNode?: CallNode
    readonly udp?: Udp
    /** Carries sessions over libp2p, where the configuration asks for it. */
    readonly streams?: Streams
  }
  readonly facts: Omit<NodeFacts, "rules" | "nodeId" | "p2pEndpoint" | "libp2p" | "config" | "schemaVersion">
  /** Makes backups of this node; undefined: it makes none of itself. */
  readonly backups?: BackupWorld
  /** Signs for an authority, where authorities seal; undefined: this node is none. */
  readonly signer?: Signer
  /** Nonces that the miner tries in place before threads are asked: a millisecond, enough for any development target. */
  readonly triesInPlace?: number
  /** Divides the sizes of inboxes and pool, and the time a transfer may wait: a simulation meets bounds that others never see. */
  readonly squeeze?: number
  /** Sees every message of every actor: a recorder, a simulator. */
  readonly spy?: Required<Pick<ActorWatch, "told" | "begun">>
}

/** What every part of the tree leans on. */
export interface Base {
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
  /** Undefined: no libp2p. */
  streams: StreamDoor | undefined
  /** Where and with which key we hear announcements by UDP; undefined: we do not. */
  gossip: { readonly endpoint: string; readonly key: Uint8Array } | undefined
  /** Told when what a session gave was new here, and good. */
  gave: (from: Source, what: "block" | "transaction") => void
}

/** The actors around chain and pool. */
export interface Core {
  readonly chain: Actor<never, ChainMessage>
  readonly mempool: Actor<never, MempoolMessage>
  readonly miner: Actor<never, MinerMessage>
  readonly sync: Actor<never, SyncMessage>
  readonly ballots: Ballots
  /** Undefined: the chain has no finality. */
  readonly finality: Actor<never, FinalityMessage> | undefined
  /** Posts to the operator's nodes what sessions would tell. Undefined: there are sessions, or no such nodes. */
  readonly relay: Actor<never, HttpRelayMessage> | undefined
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

export const makeBase = (options: TreeOptions): Effect.Effect<Base> =>
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
      advertised: "",
      streams: undefined,
      gossip: undefined,
      gave: () => {}
    }
  })
