/**
 * A stage for stories: a few whole nodes in one world, and words for what happens to them. A story ends as every simulation does:
 * each node's history is replayed, no honest node has banned another, all stop and leave nothing behind.
 */
import { Effect, Exit } from "effect"
import { type Block, encodeBlock } from "../../src/block/block.ts"
import type { Rules } from "../../src/chain/rules.ts"
import { toHex } from "../../src/codec/bytes.ts"
import { toTarget } from "../../src/consensus/difficulty.ts"
import type { Keypair } from "../../src/crypto/keys.ts"
import type { Wire } from "../../src/io/tcp.ts"
import type { Transaction } from "../../src/ledger/transaction.ts"
import type { PeerView } from "../../src/node/peers.ts"
import { type Message, packHeaders } from "../../src/peer/message.ts"
import type { Channel } from "../../src/transport/channel.ts"
import { nodeIdOf, SeenNonces } from "../../src/transport/hello.ts"
import { makeNativeChannel } from "../../src/transport/native.ts"
import { checkBounds, checkHistory, checkTip, poolView, Violation } from "../../src/sim/check.ts"
import { SeededChoices } from "../../src/sim/choices.ts"
import { SimNet } from "../../src/sim/net.ts"
import { checkPool } from "../../src/sim/money.ts"
import { gossipPort, peerPort, SimNode, type SimParts, type Transports } from "../../src/sim/node.ts"
import { Tracer } from "../../src/sim/tracer.ts"
import { SimUdp } from "../../src/sim/udp.ts"
import { liarKey, nodeKey } from "../../src/sim/keys.ts"
import { errorOf, type Host, World } from "../../src/sim/world.ts"
import type { Signer } from "../../src/validator/signer.ts"
import { loadInto } from "../snapshots.ts"
import type { SimService } from "./service.ts"

/** Nonces a node tries at once: more than any block of a few bits takes. */
const triesInPlace = 65_536
/** Virtual milliseconds between two looks at a fact. */
const lookMs = 50
const minuteMs = 60_000
const stepsMax = 20_000_000
/** The probability that a fiber is preempted between two operations. */
const preempt = 0.05

export const tipOf = ({ store }: SimNode): string => store.tip().header.id
export const heightOf = ({ store }: SimNode): number => store.tip().header.height

export interface NodeWish {
  /** Nodes that it knows from the beginning. */
  readonly knows?: ReadonlyArray<SimNode>
  /** It mines all the time, at this pace. */
  readonly hashesPerSecond?: number
  /** It seals a block whenever it has transfers. */
  readonly onDemand?: boolean
  /** It looks for peers in this discovery service. */
  readonly asks?: SimService | undefined
  /** Signs for an authority. */
  readonly signer?: Signer
  /** It announces by UDP, to these and to whom it meets. */
  readonly gossip?: {
    readonly seeds?: ReadonlyArray<SimNode>
    /** Seeds that have to be looked up, host:port. */
    readonly names?: ReadonlyArray<string>
    readonly plaintext?: boolean
    /** What others should send to; where it hears, if not given. */
    readonly advertise?: string
  }
  /** It begins at this snapshot. */
  readonly snapshot?: Uint8Array
  /** Where it is; in a network of the stage's own, if not given. */
  readonly address?: string
  /** What else it dials from the beginning. */
  readonly seeds?: ReadonlyArray<string>
  /** By what it speaks to peers; by our own TLS only, if not given. */
  readonly by?: Transports
}

export class Stage {
  readonly world: World
  readonly net: SimNet
  readonly udp: SimUdp
  readonly rules: Rules
  readonly parts: SimParts
  readonly nodes: Array<SimNode> = []
  private readonly cuts: Array<readonly [string, string]> = []
  private strangers = 0
  private wrong: string | undefined

  constructor(rules: Rules, seed: number) {
    const choices = new SeededChoices(seed)
    this.rules = rules
    this.world = new World({ choices, preempt, seed, stepsMax })
    this.net = new SimNet(this.world, choices)
    this.udp = new SimUdp(this.net, choices)
    this.parts = {
      world: this.world,
      net: this.net,
      udp: this.udp,
      choices,
      tracer: new Tracer(this.world, { messages: false })
    }
  }

  /** Virtual milliseconds since 1970. */
  get now(): number {
    return this.world.now
  }

  /** Starts a node. It seals a block when it is told to, if nothing else is wished. */
  node(name: string, wish: NodeWish = {}): Effect.Effect<SimNode, unknown> {
    return Effect.suspend(() => {
      const i = this.nodes.length
      const node = new SimNode(this.parts, {
        name,
        address: wish.address ?? `10.0.0.${i + 1}`,
        key: nodeKey(i),
        rules: this.rules,
        seeds: [...(wish.knows ?? []).map(({ endpoint }) => endpoint), ...(wish.seeds ?? [])],
        hashesPerSecond: wish.hashesPerSecond ?? 0,
        mining: { threads: wish.hashesPerSecond === undefined ? 0 : 1, onDemand: wish.onDemand ?? false },
        ...(wish.signer === undefined ? {} : { signer: wish.signer }),
        gossip: wish.gossip && {
          plaintext: wish.gossip.plaintext ?? true,
          advertise: wish.gossip.advertise,
          seeds: [
            ...(wish.gossip.names ?? []),
            ...(wish.gossip.seeds ?? []).map(({ address }) => `${address}:${gossipPort}`)
          ]
        },
        by: wish.by,
        triesInPlace: wish.hashesPerSecond === undefined ? triesInPlace : 0,
        squeeze: 1,
        ...(wish.asks === undefined ? {} : { discovery: { services: [wish.asks.url], fetch: wish.asks.fetch } })
      })
      const { snapshot } = wish
      if (snapshot !== undefined) node.disk.prepare((db) => loadInto(db, snapshot, this))
      node.moved = () => void (this.wrong ??= checkTip(node, this.rules))
      this.nodes.push(node)
      return Effect.as(node.start(), node)
    })
  }

  /** Lets a node seal so many blocks, one on the other, each so many virtual milliseconds after the one before. */
  mine(node: SimNode, count = 1, everyMs = 0): Effect.Effect<void, unknown> {
    const one = node.ask(({ node: shape }) => shape.mine(undefined))
    return Effect.forEach(Array.from({ length: count }), () => Effect.andThen(Effect.sleep(everyMs), one), {
      discard: true
    })
  }

  /** Gives a transfer to a node, which acknowledges it. */
  submit(node: SimNode, transaction: Transaction) {
    return node.ask(({ node: shape }) => shape.submit(transaction))
  }

  /** Where a node has a transfer: in a block of its branch, in its pool, or nowhere. */
  whereabouts(node: SimNode, { id }: Transaction) {
    return Effect.map(
      node.ask(({ node: shape }) => shape.transaction(id)),
      (found) => (found === undefined ? "nowhere" : found.block === undefined ? "pending" : "confirmed")
    )
  }

  /** Waits, in virtual time, until a fact holds. */
  until(what: string, fact: () => boolean, patienceMs = 10 * minuteMs): Effect.Effect<void> {
    return Effect.gen({ self: this }, function* () {
      const end = this.world.elapsed + patienceMs
      while (!fact()) {
        if (this.world.elapsed > end)
          return yield* Effect.die(new Error(`not within ${patienceMs / minuteMs} minutes: ${what}`))
        yield* Effect.sleep(lookMs)
      }
    })
  }

  /** Waits until these nodes, or all, have one tip. */
  agree(nodes: ReadonlyArray<SimNode> = this.nodes): Effect.Effect<void> {
    const names = nodes.map(({ name }) => name).join(", ")
    return this.until(`${names} agree`, () => new Set(nodes.map(tipOf)).size === 1)
  }

  /** Someone connects to a node, proves who it is with a hello, and waits for the node's own. */
  stranger(name: string, wish: StrangerWish): Effect.Effect<Stranger, unknown> {
    return Effect.gen({ self: this }, function* () {
      const i = this.strangers++
      const host = this.world.host(name)
      const stranger = new Stranger(host, this.rules, { key: wish.key ?? liarKey(i), tells: wish.tells ?? [] })
      const tcp = this.net.door(host, wish.address ?? `10.66.0.${i + 1}`)
      const to = { host: wish.to.address, port: peerPort, timeoutMs: 5_000 }
      yield* tcp.dial(to, { key: "", cert: "" }, (wire) => stranger.begin(wire, wish))
      yield* this.until(`${name} is heard`, () => stranger.heard.length > 0 || stranger.left !== undefined)
      return stranger
    })
  }

  /** What a node thinks of a peer by now: what it was last refused for, and whether it may stay. */
  opinion(node: SimNode, nodeId: string): Effect.Effect<PeerView | undefined, unknown> {
    return Effect.map(
      node.ask(({ node: shape }) => shape.peers()),
      (peers) => peers.find((peer) => peer.nodeId === nodeId)
    )
  }

  /** Breaks every way between the two sides. */
  part(side: ReadonlyArray<SimNode>, other: ReadonlyArray<SimNode>): void {
    for (const a of side)
      for (const b of other) {
        this.net.cut(a.name, b.name)
        this.cuts.push([a.name, b.name])
      }
  }

  /** Mends every way. */
  heal(): void {
    for (const [a, b] of this.cuts.splice(0)) this.net.mend(a, b)
  }

  /** The story, and the end that every story has. */
  whole(story: (stage: Stage) => Effect.Effect<void, unknown>): Effect.Effect<void, unknown> {
    return Effect.gen({ self: this }, function* () {
      this.world.audit = () => {
        if (this.wrong !== undefined) throw new Violation(this.wrong)
      }
      yield* story(this)
      const up = this.nodes.filter((node) => node.up)
      for (const node of up) {
        this.wrong ??=
          checkHistory(node, this.rules) ?? checkBounds(node) ?? checkPool(node, this.rules, poolView(node, this.rules))
        yield* this.checkBans(node)
        yield* this.checkAlive(node)
      }
      for (const node of up) yield* this.stop(node)
      if (this.wrong !== undefined) return yield* Effect.die(new Violation(this.wrong))
    })
  }

  private checkBans(node: SimNode): Effect.Effect<void, unknown> {
    const honest = new Set(this.nodes.map(({ name }) => name))
    return Effect.map(
      node.ask(({ node: shape }) => shape.peers()),
      (peers) => {
        const banned = peers.find(
          ({ nodeId, state, banReason }) =>
            state === "banned" && banReason !== "unreachable" && honest.has(this.parts.tracer.nameOf(nodeId))
        )
        if (banned !== undefined)
          this.wrong ??= `${node.name} has banned ${this.parts.tracer.nameOf(banned.nodeId)}, which is honest`
      }
    )
  }

  /** What a story does to a node from outside may not crash any of its actors. */
  private checkAlive(node: SimNode): Effect.Effect<void, unknown> {
    return Effect.map(
      node.ask(({ node: shape }) => shape.metrics()),
      (text) => {
        const restarted = /^cairn_actor_restarts_total.* [1-9].*$/m.exec(text)?.[0]
        if (restarted !== undefined) this.wrong ??= `${node.name}: an actor has crashed: ${restarted}`
      }
    )
  }

  private stop(node: SimNode): Effect.Effect<void> {
    const { host } = node
    return Effect.map(node.stop(), () => {
      if (host.waiting > 0) this.wrong ??= `${node.name} has stopped and ${host.waiting} of its timers are still set`
    })
  }
}

export interface StrangerWish {
  readonly to: SimNode
  /** Whom it says to be; nobody else's, if not given. */
  readonly key?: Keypair
  /** The name that its hello carries; its own, if not given. */
  readonly nodeId?: string
  /** Whom it tells of when it is asked for peers. */
  readonly tells?: Tells | (() => Tells)
  /** Where it is; in a network of the stage's own, if not given. */
  readonly address?: string
}

type Tells = Extract<Message, { tag: "PRS" }>["peers"]

/** One who is no node of ours and speaks as one: it says what a story wants, answers what it is asked, and remembers what it heard. */
export class Stranger {
  readonly host: Host
  readonly nodeId: string
  readonly heard: Array<Message> = []
  /** Why the connection ended; undefined: it stands. */
  left: string | undefined
  private readonly rules: Rules
  readonly self: { readonly key: Keypair; readonly tells: NonNullable<StrangerWish["tells"]> }
  private readonly headers: Array<Block["header"]> = []
  private readonly bodies = new Map<string, Uint8Array>()
  private readonly transactions = new Map<string, Uint8Array>()
  private channel: Channel | undefined
  private wire: Wire | undefined

  constructor(host: Host, rules: Rules, self: Stranger["self"]) {
    this.host = host
    this.rules = rules
    this.self = self
    this.nodeId = nodeIdOf(self.key.publicKey)
  }

  /** The connection stands: says hello. */
  begin(wire: Wire, { nodeId = this.nodeId }: Pick<StrangerWish, "nodeId">) {
    const { host, rules } = this
    const { key } = this.self
    const channel = makeNativeChannel({
      chainId: rules.spec.ledger.chainId,
      genesis: rules.genesis.header.hash,
      key,
      nodeId,
      endpoint: "",
      agent: `sim/${host.name}`,
      capabilities: [],
      binding: wire.binding,
      nonce: host.dice.bytes(16),
      seen: new SeenNonces()
    })
    this.channel = channel
    this.wire = wire
    for (const out of channel.open(host.now)) if (out._tag === "Send") wire.write(out.bytes)
    return {
      data: (bytes: Uint8Array) => {
        for (const out of channel.receive(bytes, host.now)) if (out._tag === "Received") this.hear(out.message)
      },
      drained: () => {},
      closed: (reason: string) => void (this.left ??= reason)
    }
  }

  say(message: Message): void {
    this.wire!.write(this.channel!.encode(message))
  }

  /** Announces a block and claims its work. Whoever asks gets this body, or the other one that is given. */
  announce(block: Block, work: bigint, body: Pick<Block, "transactions" | "extra"> = block): void {
    this.announceBytes(block.header, work, encodeBlock({ ...body, header: block.header }))
  }

  /** The same, with the bytes that are given when the block is asked for; undefined: it has none to give. */
  announceBytes(header: Block["header"], work: bigint, bytes: Uint8Array | undefined): void {
    this.headers.push(header)
    if (bytes !== undefined) this.bodies.set(header.id, bytes)
    this.say({ tag: "HDR", request: 0, headers: packHeaders([header]) })
    this.say({ tag: "STS", height: header.height, work: toTarget(work), tip: header.hash })
  }

  /** Announces a transaction by its id; these bytes are what it gives. */
  offer(id: Uint8Array, bytes: Uint8Array): void {
    this.transactions.set(toHex(id), bytes)
    this.say({ tag: "INV", transactions: [id] })
  }

  /** Codes of what the node has refused aloud. */
  get refused(): ReadonlyArray<string> {
    return this.heard.flatMap((message) => (message.tag === "REJ" ? [message.code] : []))
  }

  private hear(message: Message): void {
    this.heard.push(message)
    if (message.tag === "PNG") this.say({ tag: "PON", nonce: message.nonce })
    if (message.tag === "GPR") {
      const { tells } = this.self
      this.say({ tag: "PRS", request: message.request, peers: typeof tells === "function" ? tells() : tells })
    }
    if (message.tag === "GHD") this.say({ tag: "HDR", request: message.request, headers: packHeaders(this.headers) })
    if (message.tag === "GBL") for (const hash of message.hashes) this.give(message.request, hash)
    if (message.tag === "GTX") {
      const transactions = message.hashes.flatMap((hash) => this.transactions.get(toHex(hash)) ?? [])
      this.say({ tag: "TXN", request: message.request, transactions })
    }
  }

  private give(request: number, hash: Uint8Array): void {
    const block = this.bodies.get(toHex(hash))
    this.say(block === undefined ? { tag: "NFD", request, hashes: [hash] } : { tag: "BLK", request, block })
  }
}

/** Plays a story with one seed. Gives the digest of the run; throws what went wrong, with the seed. */
export const play = (rules: Rules, seed: number, story: (stage: Stage) => Effect.Effect<void, unknown>): string => {
  const stage = new Stage(rules, seed)
  try {
    const exit = stage.world.run(stage.whole(story))
    if (Exit.isFailure(exit)) throw errorOf(exit)
    return stage.world.digest
  } catch (error) {
    if (error instanceof Error) error.message += `\n  seed ${seed}`
    throw error
  } finally {
    for (const { disk } of stage.nodes) disk.remove()
  }
}
