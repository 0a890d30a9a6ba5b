/**
 * A machine with a node on it: the real tree of actors, the real store and HTTP app, behind the doors of a world. Its process can
 * be started, stopped, killed, and started again on the same disk.
 */
import { Deferred, Effect, Exit, type Fiber, Result } from "effect"
import type { Tagged } from "../../actors/actor.ts"
import { startTree, type Tree } from "../../actors/tree.ts"
import type { Header } from "../block/header.ts"
import type { Link } from "../consensus/checkpoint.ts"
import type { Rules } from "../chain/rules.ts"
import { defaults, type GossipConfig, type NodeConfig } from "../config.ts"
import type { Keypair } from "../crypto/keys.ts"
import { toHex } from "../codec/bytes.ts"
import { makeApp } from "../http/app.ts"
import { noise } from "../host/parts.ts"
import type { Fetch } from "../io/fetch.ts"
import { type Streams, streamsIn } from "../io/streams.ts"
import { Libp2pFault } from "../libp2p/fault.ts"
import { publicKeyFromRaw } from "../libp2p/key.ts"
import { peerIdOfKey } from "../libp2p/peer-id.ts"
import type { NodeEvent } from "../node/node.ts"
import type { Snapshot } from "../store/snapshot.ts"
import type { ChainStore } from "../store/store.ts"
import { nodeIdOf } from "../transport/hello.ts"
import { type Answered, localSigner, type Signer } from "../validator/signer.ts"
import type { Choices } from "./choices.ts"
import { PowerLoss, SimDisk } from "./disk.ts"
import { linkWorld } from "./links.ts"
import type { SimNet } from "./net.ts"
import { makeThreads, type Pace } from "./thread.ts"
import type { SimUdp } from "./udp.ts"
import type { Tracer } from "./tracer.ts"
import type { Host, World } from "./world.ts"

/** What an actor dies of when a plan has asked for it. */
export const askedFor = "a bug was asked for"
/** The port on which every simulated node hears its peers. */
export const peerPort = 19_100
/** And by libp2p, where it speaks that. */
export const libp2pPort = 4_001
/** And announcements by UDP. */
export const gossipPort = 19_090

export interface SimNodeOptions {
  readonly name: string
  readonly address: string
  readonly key: Keypair
  readonly rules: Rules
  /** Addresses with port. */
  readonly seeds: ReadonlyArray<string>
  /** Hashes a second of its one thread; 0: the thread stands still. */
  readonly hashesPerSecond: number
  /** Is it an authority? Its own key signs; a pace of 0 means that nobody does. */
  readonly isAuthority?: boolean
  /** How it mines otherwise than with that thread. */
  readonly mining?: Partial<NodeConfig["mining"]>
  /** Nonces tried in place before the thread is asked; none, so that every block takes its time. */
  readonly triesInPlace?: number
  /** See TreeOptions. */
  readonly squeeze: number
  /** Discovery services, and the way to them. */
  readonly discovery?: { readonly services: ReadonlyArray<string>; readonly fetch: Fetch }
  /** It announces by UDP, if the world has any. */
  readonly gossip?: Partial<GossipConfig> | undefined
  /** Signs for an authority, where authorities seal. */
  readonly signer?: Signer | undefined
  /** By what it speaks to peers; undefined: by our own TLS only. */
  readonly by?: Transports | undefined
}

export type Transports = "native" | "libp2p" | "both"

/** Where a node is dialled by libp2p. */
const multiaddrOf = (address: string, { publicKey }: Keypair): string => {
  const key = publicKeyFromRaw("secp256k1", publicKey)
  if (key instanceof Libp2pFault) throw key
  return `/ip4/${address}/tcp/${libp2pPort}/p2p/${peerIdOfKey(key)}`
}

export interface SimParts {
  readonly world: World
  readonly net: SimNet
  readonly udp?: SimUdp | undefined
  readonly choices: Choices
  readonly tracer: Tracer
}

/** What runs between two power offs. */
interface Process {
  readonly host: Host
  readonly store: ChainStore
  readonly snapshot: Snapshot
  readonly tree: Tree
  readonly app: ReturnType<typeof makeApp>
  readonly failThreads: (ms: number) => void
  /** What settled by promises there will not any more. */
  readonly settled: () => void
}

/** Who asked a node whose machine went off meanwhile. What was asked may have happened. */
export class Off extends Error {
  override readonly name = "Off"
}

export class SimNode {
  readonly name: string
  readonly address: string
  readonly key: Keypair
  readonly pace: Pace
  readonly disk: SimDisk
  private readonly options: SimNodeOptions
  private readonly parts: SimParts
  private process: Process | undefined
  private readonly asking = new Set<() => void>()
  private starting = false
  /** How far its clock is off, over restarts. */
  skewMs = 0
  /** Called when its process has given up: the supervision has escalated. */
  gaveUp: (why: string) => void = () => {}
  /** Called when one of its actors has died, with the first line of why. */
  crashed: (what: string) => void = () => {}
  /** Called when something that ran there has died of a bug: nobody else may notice. */
  died: (why: string) => void = () => {}
  /** Called when its key has sealed a header, before anyone else has that seal. */
  sealed: (header: Header) => void = () => {}
  /** Called when its key has signed a vote on a checkpoint, before anyone else has it. */
  voted: (link: Link) => void = () => {}
  /** Called when its tip has moved. */
  moved: () => void = () => {}
  /** Sessions that have begun or ended here. */
  sessionChanges = 0
  private requests = 0
  /** Messages that will still kill the actor that handles them. */
  private readonly bugs = new Map<string, number>()

  constructor(parts: SimParts, options: SimNodeOptions) {
    this.parts = parts
    this.options = options
    this.name = options.name
    this.address = options.address
    this.key = options.key
    this.pace = { hashesPerSecond: options.hashesPerSecond }
    this.disk = new SimDisk(options.rules, parts.choices)
    parts.tracer.names.set(nodeIdOf(options.key.publicKey), options.name)
    parts.tracer.names.set(toHex(options.key.address), options.name)
  }

  /** Does its process run? */
  get up(): boolean {
    return this.process !== undefined
  }

  get store(): ChainStore {
    return this.running().store
  }

  get tree(): Tree {
    return this.running().tree
  }

  get host(): Host {
    return this.running().host
  }

  /** Where it is dialled: by our own TLS, if it speaks that. */
  get endpoint(): string {
    return this.options.by === "libp2p" ? this.multiaddr : `${this.address}:${peerPort}`
  }

  get multiaddr(): string {
    return multiaddrOf(this.address, this.key)
  }

  /** Starts the process on what the disk has. */
  start(): Effect.Effect<void, unknown> {
    return Effect.suspend(() => {
      if (this.up || this.starting) return Effect.void
      this.starting = true
      const host = this.parts.world.host(this.name)
      host.skewMs = this.skewMs
      host.crashed = (what, cause) => this.crashed(`${what}: ${cause.split("\n", 1)[0]}`)
      return Effect.onExit(this.await(host, host.fork(this.boot(host))), () =>
        Effect.sync(() => (this.starting = false))
      )
    })
  }

  /** Runs an effect on the machine, as the node's own HTTP server would. Dies with Off if the machine goes off. */
  ask<A, E>(effect: (tree: Tree) => Effect.Effect<A, E>): Effect.Effect<A, E> {
    return Effect.suspend(() => {
      const { host, tree } = this.running()
      return this.await(host, host.fork(effect(tree)))
    })
  }

  /** A request to the node's HTTP app, from its own machine: the app as it ships, no socket. */
  fetch(
    method: string,
    path: string,
    body?: unknown
  ): Effect.Effect<{ readonly status: number; readonly body: unknown }> {
    return Effect.suspend(() => {
      const { host, app } = this.running()
      const request = new Request(`http://localhost${path}`, {
        method,
        headers: {
          "content-type": "application/json",
          "x-request-id": `${this.name}-${++this.requests}`,
          host: "localhost"
        },
        ...(body === undefined ? {} : { body: JSON.stringify(body) })
      })
      return this.await(host, host.fork(this.exchange(app, request)))
    })
  }

  /** Lets the process end as SIGTERM does. */
  stop(): Effect.Effect<void> {
    return Effect.suspend(() => {
      const { host, tree } = this.running()
      return Effect.map(this.await(host, host.fork(tree.stop)), () => {
        this.end()
        this.parts.net.lose(this.name, false)
        this.disk.lose(false)
      })
    })
  }

  /** Kills the process. `mute`: the machine loses power and nobody hears of it; else its sockets are closed. */
  kill(mute: boolean): void {
    if (!this.up) return
    this.end()
    this.parts.net.lose(this.name, mute)
    this.disk.lose(mute)
  }

  /** Loses power within the next commit. `down` is told when it has. */
  tear(down: () => void): void {
    this.disk.tearNext(() => {
      this.end()
      this.parts.net.lose(this.name, true)
      down()
    })
  }

  /** Its mining threads die, and none starts for so long. */
  failThreads(ms: number): void {
    this.process?.failThreads(ms)
  }

  /** The next messages that an actor handles kill it, as a bug of ours would. */
  fail(actor: string, times: number): void {
    this.bugs.set(actor, (this.bugs.get(actor) ?? 0) + times)
  }

  /** Its clock jumps. */
  skew(ms: number): void {
    this.skewMs = ms
    if (this.process !== undefined) this.process.host.skewMs = ms
  }

  private running(): Process {
    if (this.process === undefined) throw new Off(`${this.name} is off`)
    return this.process
  }

  private end(): void {
    const { process } = this
    this.process = undefined
    process?.host.kill()
    process?.settled()
    for (const off of [...this.asking]) off()
  }

  private boot(host: Host): Effect.Effect<void, unknown> {
    return Effect.gen({ self: this }, function* () {
      const { store, snapshot } = this.disk.open()
      const { options, parts } = this
      const threads = makeThreads(host, this.pace)
      const settled = (options.by ?? "native") === "native" ? () => {} : parts.world.promised()
      const tree = yield* startTree({
        config: this.config(),
        rules: options.rules,
        store,
        snapshot,
        key: options.key,
        proposer: options.key.address,
        ...(options.isAuthority === true ? { signer: this.signer() } : {}),
        tls: { key: "", cert: "" },
        doors: {
          tcp: parts.net.door(host, options.address),
          startThread: threads.start,
          streams: this.streams(host),
          ...(parts.udp === undefined ? {} : { udp: parts.udp.door(host, options.address) }),
          ...(options.discovery === undefined ? {} : { fetch: options.discovery.fetch })
        },
        ...(options.signer === undefined ? {} : { signer: options.signer }),
        triesInPlace: options.triesInPlace ?? 0,
        squeeze: options.squeeze,
        spy: this.spy(),
        facts: {
          version: "sim",
          agent: `sim/${options.name}`,
          dev: false,
          dataDir: "",
          httpUrl: "",
          signatureEngine: "sim",
          hashEngine: "sim",
          mineThreads: 1,
          startedAt: host.now
        }
      })
      const context = yield* Effect.context<never>()
      const app = makeApp({ node: tree.node, context, adminToken: undefined, page: new Map(), hosts: [] })
      this.process = { host, store, snapshot, tree, app, failThreads: threads.fail, settled }
      tree.node.listen(undefined, (event) => this.saw(event))
      this.sawTip(0)
      host.fork(Effect.catch(tree.failed, ({ child, group }) => Effect.sync(() => this.gaveUp(`${child} of ${group}`))))
    })
  }

  /** The node's key, its book on the machine's disk. A book that cannot be written gives no signature. */
  private signer(): Signer {
    const local = localSigner(this.key, this.disk.book)
    const refused = (code: "signer-away" | "signer-refused", message: string) => Result.fail({ code, message })
    /** Signs, if somebody is there to, and the disk takes it. */
    const signing = (answered: Answered, sign: () => void): void => {
      if (this.pace.hashesPerSecond === 0) return answered(refused("signer-away", "nobody signs"))
      try {
        sign()
      } catch (error) {
        if (error instanceof PowerLoss) throw error
        answered(refused("signer-refused", String(error)))
      }
    }
    return {
      address: local.address,
      seal: (ask, answered) =>
        signing(answered, () =>
          local.seal(ask, (answer) => {
            if (Result.isSuccess(answer)) this.sealed(ask.header)
            answered(answer)
          })
        ),
      vote: (ask, answered) =>
        signing(answered, () =>
          local.vote(ask, (answer) => {
            if (Result.isSuccess(answer)) this.voted(ask)
            answered(answer)
          })
        )
    }
  }

  /** The tracer's, and a bug where one was asked for. */
  private spy() {
    const { told, begun } = this.parts.tracer.spy(this.name)
    return {
      told,
      begun: (actor: string, message: Tagged): void => {
        begun(actor, message)
        if (this.bugs.size === 0) return
        const name = actor.startsWith("session-") ? "session" : actor
        const left = this.bugs.get(name) ?? 0
        if (left === 0) return
        if (left === 1) this.bugs.delete(name)
        else this.bugs.set(name, left - 1)
        throw new Error(`${askedFor} in ${actor}`)
      }
    }
  }

  /** Noise alone: TLS is played here, and proves nothing. */
  private streams(host: Host): Streams {
    return streamsIn(() => linkWorld(this.parts.net, host, this.address), [noise()])
  }

  private config() {
    const { options } = this
    const { by = "native" } = options
    const listen = [`/ip4/${options.address}/tcp/${libp2pPort}`]
    return {
      dataDir: "",
      dev: false,
      signatureEngine: "auto",
      http: { host: "", port: 0, adminToken: undefined },
      peers: {
        host: options.address,
        port: peerPort,
        advertise: undefined,
        seeds: options.seeds,
        native: by !== "libp2p",
        libp2p: by === "native" ? undefined : { listen, announce: [] },
        discovery: options.discovery?.services ?? []
      },
      gossip: options.gossip === undefined ? undefined : this.gossipConfig(options.gossip),
      mining: { threads: 1, proposer: undefined, onDemand: false, everyMs: undefined, ...options.mining }
    } as const
  }

  private gossipConfig(wish: Partial<GossipConfig>): GossipConfig {
    const at = { host: this.address, port: gossipPort, advertise: undefined }
    return { ...defaults.gossip, ...at, seeds: [], plaintext: true, ...wish }
  }

  private saw(event: NodeEvent): void {
    const { tracer } = this.parts
    if (event.type === "tip") this.sawTip(event.detached)
    if (event.type !== "peer") return
    this.sessionChanges++
    tracer.note(this.name, event.change, `${tracer.nameOf(event.nodeId)} ${event.reason ?? ""}`.trim())
  }

  private sawTip(detached: number): void {
    const { header } = this.store.tip()
    const { tracer } = this.parts
    const by = tracer.nameOf(toHex(header.proposer))
    tracer.tip(this.name, { id: header.id, parent: toHex(header.previous), height: header.height, by })
    if (detached > 0) tracer.note(this.name, "reorganised", `${detached} undone, height ${header.height} now`)
    this.moved()
  }

  /** Runs a request through the app. Promises all through, so the world is told. */
  private exchange(app: ReturnType<typeof makeApp>, request: Request) {
    return Effect.callback<{ readonly status: number; readonly body: unknown }>((resume) => {
      const settled = this.parts.world.promised()
      this.asking.add(settled)
      const done = async (): Promise<void> => {
        const response = await app.fetch(request)
        const body: unknown = await response.json()
        this.asking.delete(settled)
        settled()
        resume(Effect.succeed({ status: response.status, body }))
      }
      void done()
    })
  }

  /** Waits outside for what runs on the machine, or for its end. */
  private await<A, E>(host: Host, fiber: Fiber.Fiber<A, E>): Effect.Effect<A, E> {
    const answer = Deferred.makeUnsafe<A, E>()
    const off = (): void => void Deferred.doneUnsafe(answer, Exit.die(new Off(`${this.name} went off`)))
    if (!host.alive) off()
    this.asking.add(off)
    fiber.addObserver((exit) => {
      this.asking.delete(off)
      if (Exit.isFailure(exit) && host.alive) {
        const bug = exit.cause.reasons.find((reason) => "defect" in reason)
        if (bug !== undefined && "defect" in bug) this.died(String(bug.defect))
      }
      Deferred.doneUnsafe(answer, exit)
    })
    return Deferred.await(answer)
  }
}
