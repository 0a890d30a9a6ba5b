/** Owns what is announced by UDP and what is made of others' announcements. A mailbox around src/gossip/machine.ts. */
import { Clock, Effect } from "effect"
import { parseIp } from "../src/codec/ip.ts"
import { formatEndpoint, type GossipConfig, parseEndpoint } from "../src/config.ts"
import { toTarget } from "../src/consensus/difficulty.ts"
import type { Keypair } from "../src/crypto/keys.ts"
import { placeOf } from "../src/discovery/place.ts"
import type { Announced } from "../src/gossip/announcement.ts"
import {
  type Address,
  Gossip,
  type GossipEffect,
  type GossipOptions,
  type GossipPeer,
  type GossipTip,
  type Heard
} from "../src/gossip/machine.ts"
import { gossipKeyOf } from "../src/gossip/sealed.ts"
import { Random } from "../src/io/random.ts"
import type { Udp, UdpFault, UdpSocket } from "../src/io/udp.ts"
import { gossipEntriesMax, gossipInboxMax, gossipLookMs, gossipRetryMs, gossipSeedsMax } from "../src/limits.ts"
import { reached } from "../src/marks.ts"
import type { NodeShape } from "../src/node/node.ts"
import type { GossipVerdict, GossipView } from "../src/node/peers.ts"
import type { ChainStore } from "../src/store/store.ts"
import { nodeIdOf } from "../src/transport/hello.ts"
import { Actor, type ActorRef, type ActorSpec, type ActorWatch, replyWith } from "./actor.ts"
import { type GossipMessage, gossipOverflow } from "./gossip-protocol.ts"
import type { Metrics } from "./metrics.ts"
import type { MaintenanceMessage, PeerFacts, SessionId, SyncMessage } from "./protocol.ts"

export interface GossipPorts {
  readonly options: GossipOptions
  /** host:port of the operator's seeds. */
  readonly seeds: ReadonlyArray<string>
  readonly socket: UdpSocket
  readonly resolve: Udp["resolve"]
  readonly store: Pick<ChainStore, "tip">
  /** Who has a session now. */
  readonly met: ReadonlyMap<SessionId, PeerFacts>
  /** Where we can be dialled, or empty. */
  readonly endpoint: () => string
  readonly fork: (effect: Effect.Effect<void>) => unknown
  readonly self: () => ActorRef<GossipMessage>
  readonly maintenance: ActorRef<MaintenanceMessage>
  readonly sync: ActorRef<SyncMessage>
  readonly counts: GossipCounts
}

/** What has come and gone since the node started, over restarts of the actor. */
export class GossipCounts {
  sent = 0
  heard = 0
  /** Did not leave this machine. */
  unsent = 0
  readonly dropped = new Map<string, number>()

  drop(code: string): void {
    this.dropped.set(code, (this.dropped.get(code) ?? 0) + 1)
  }

  show(metrics: Metrics): void {
    metrics.read("cairn_gossip_datagrams_total", "Datagrams of gossip: sent, heard, not sent.", "counter", () => [
      [{ what: "sent" }, this.sent],
      [{ what: "heard" }, this.heard],
      [{ what: "unsent" }, this.unsent]
    ])
    metrics.read("cairn_gossip_dropped_total", "Datagrams that were not heard, by reason.", "counter", () =>
      [...this.dropped].map(([reason, count]) => [{ reason }, count])
    )
  }
}

/** A seed that is a name: its address, and when it was asked for last. */
interface Looked {
  host: string | undefined
  at: number
}

interface State {
  readonly clock: Clock.Clock
  readonly machine: Gossip
  readonly looked: Map<string, Looked>
}

/** Milliseconds between two looks at tip and time. */
export const gossipTickMs = 500

/** A peer as gossip has it; none, if its hello did not tell a port and a key. */
const peerOf = (facts: PeerFacts): GossipPeer | undefined => {
  const at = parseEndpoint(facts.gossipEndpoint ?? "")
  const { session, nodeId, remoteHost: host, gossipKey: key } = facts
  return at === undefined || key === undefined ? undefined : { session, nodeId, host, port: at.port, key }
}

/** What stands for a node that nobody can send to: it tells of no place inside a network. */
const anywhere = "anywhere.invalid"
/** Whom we are asked by, as far as we know before: those who can send to us, or dial us. Places further inside are not announced. */
const whereabouts = (...endpoints: ReadonlyArray<string>): string =>
  endpoints.map((endpoint) => parseEndpoint(endpoint)?.host).find((host) => host !== undefined) ?? anywhere

/** The actor of gossip. */
export const makeGossip = (ports: GossipPorts): ActorSpec<State, GossipMessage> => {
  const { counts, options } = ports
  const seeds = ports.seeds.slice(0, gossipSeedsMax).flatMap((seed) => parseEndpoint(seed) ?? [])
  const names = [...new Set(seeds.map(({ host }) => host))].filter((host) => parseIp(host) === undefined)
  const peers = new WeakMap<PeerFacts, { readonly peer: GossipPeer | undefined }>()

  const tip = (): GossipTip => {
    const { header, work } = ports.store.tip()
    return { height: header.height, work: toTarget(work), hash: header.hash }
  }

  /** What was announced, and signed: where its node listens is its own word. */
  const perform = (effects: ReadonlyArray<GossipEffect>, announced?: Announced): void => {
    for (const effect of effects) {
      switch (effect._tag) {
        case "Send":
          if (ports.socket.send(effect.to, effect.bytes)) counts.sent++
          else counts.unsent++
          break
        case "Found":
          reached("gossip-found")
          ports.maintenance.tell({
            _tag: "Found",
            from: undefined,
            peers: effect.endpoints.map((endpoint) => ({ endpoint, nodeId: "" }))
          })
          if (announced !== undefined && effect.endpoints.includes(announced.endpoint)) {
            const nodeId = nodeIdOf(announced.publicKey)
            ports.maintenance.tell({ _tag: "Announced", endpoint: announced.endpoint, nodeId })
          }
          break
        case "Behind":
          reached("gossip-behind")
          ports.sync.tell({ _tag: "Behind", session: effect.session })
      }
    }
  }

  const counted = ({ drop, announced, effects }: Heard): void => {
    if (drop === undefined) counts.heard++
    else counts.drop(drop)
    if (drop === "announcement-forged") reached("gossip-forged")
    if (drop === "source-too-often") reached("gossip-flooded")
    if (effects.some(({ _tag }) => _tag === "Send")) reached("gossip-passed")
    perform(effects, announced)
  }

  /** Asks for addresses of names: in vain, again soon; else now and then, for they may move. */
  const look = ({ looked }: State, now: number): void => {
    for (const name of names) {
      const last = looked.get(name)
      if (last !== undefined && Math.abs(now - last.at) < (last.host === undefined ? gossipRetryMs : gossipLookMs))
        continue
      looked.set(name, { host: last?.host, at: now })
      const tell = (host: string | undefined) => void ports.self().tell({ _tag: "Looked", name, host })
      ports.fork(Effect.map(ports.resolve(name), tell))
    }
  }

  const place = ({ machine, looked }: State): void => {
    const known = seeds.map(({ host, port }): Address | undefined => {
      const at = names.includes(host) ? looked.get(host)?.host : host
      return at === undefined ? undefined : { host: at, port }
    })
    machine.place(known.filter((one) => one !== undefined))
  }

  const meet = ({ machine }: State): void => {
    const met = new Map<SessionId, GossipPeer>()
    for (const [session, facts] of ports.met) {
      const known = peers.get(facts) ?? { peer: peerOf(facts) }
      peers.set(facts, known)
      if (known.peer !== undefined) met.set(session, known.peer)
    }
    machine.meet(met)
  }

  const tick = (state: State, now: number): void => {
    look(state, now)
    meet(state)
    const effects = state.machine.tick(now, tip(), ports.endpoint())
    if (effects.length === 0) return
    perform(effects)
    // For the next announcement.
    ports.maintenance.tell({
      _tag: "Tell",
      except: undefined,
      host: whereabouts(options.gossipEndpoint, ports.endpoint()),
      max: gossipEntriesMax,
      reply: replyWith((found) => {
        ports.self().tell({ _tag: "Entries", endpoints: found.map(({ endpoint }) => endpoint) })
      })
    })
  }

  const carried = (state: State, { bytes, host, reply }: Extract<GossipMessage, { _tag: "Carried" }>): void => {
    const now = state.clock.currentTimeMillisUnsafe()
    const heard = state.machine.hear({ bytes, host, port: 0, carried: true }, now, tip())
    counted(heard)
    const { announced, drop, effects } = heard
    reply.succeed({
      refused: drop,
      nodeId: announced === undefined ? undefined : nodeIdOf(announced.publicKey),
      endpoint: announced?.endpoint,
      gossipEndpoint: announced?.gossipEndpoint,
      found: effects.flatMap((effect) => (effect._tag === "Found" ? effect.endpoints : [])).length,
      isAhead: effects.some(({ _tag }) => _tag === "Behind")
    })
  }

  const view = ({ machine }: State): GossipView => ({
    endpoint: options.gossipEndpoint,
    plaintext: options.plaintext,
    ...machine.known,
    sent: counts.sent,
    heard: counts.heard,
    unsent: counts.unsent,
    dropped: Object.fromEntries(counts.dropped)
  })

  const step = (state: State, message: GossipMessage): void => {
    const now = state.clock.currentTimeMillisUnsafe()
    switch (message._tag) {
      case "Datagram":
        return counted(state.machine.hear(message, now, tip()))
      case "Carried":
        return carried(state, message)
      case "Entries":
        return state.machine.know(message.endpoints)
      case "Looked":
        state.looked.set(message.name, { host: message.host ?? state.looked.get(message.name)?.host, at: now })
        return place(state)
      case "View":
        return message.reply.succeed(view(state))
      case "Tick":
        return tick(state, now)
    }
  }

  const open = Effect.gen(function* () {
    const state = {
      clock: yield* Clock.Clock,
      machine: new Gossip(options, yield* Random),
      looked: new Map<string, Looked>()
    }
    place(state)
    return state
  })

  return {
    name: "gossip",
    inboxMax: gossipInboxMax,
    overflow: gossipOverflow,
    open,
    step,
    bounds: ({ machine, looked }) => [...machine.bounds, { of: "names", used: looked.size, max: gossipSeedsMax }]
  }
}

/** Gossip that is heard: its actor, and what the rest of the node needs to know of it. */
export interface OpenGossip {
  readonly actors: ReadonlyArray<Actor<never, GossipMessage>>
  readonly beats: ReadonlyArray<readonly [everyMs: number, beat: () => unknown]>
  readonly calls: Pick<NodeShape, "announce" | "gossip">
  /** For our hello: the port counts, and the key. */
  readonly told: { readonly endpoint: string; readonly key: Uint8Array }
  readonly close: () => void
}

/** Opens the socket and makes the actor; what it leans on is there before the first datagram is handled. */
export const openGossip = (
  config: GossipConfig,
  udp: Udp,
  around: Omit<GossipPorts, "options" | "seeds" | "socket" | "resolve" | "self" | "counts"> & {
    readonly chainId: string
    readonly genesis: Uint8Array
    readonly key: Keypair
    readonly random: (length: number) => Uint8Array
    readonly metrics: Metrics
    readonly watch: ActorWatch
  }
): Effect.Effect<OpenGossip, UdpFault> => {
  const { chainId, genesis, key, random, metrics, watch, ...rest } = around
  let actor: Actor<never, GossipMessage> | undefined
  const hear = (bytes: Uint8Array, { host, port }: { readonly host: string; readonly port: number }): void =>
    void actor?.tell({ _tag: "Datagram", bytes, host, port })
  return Effect.map(udp.open(config, hear), (socket) => {
    const endpoint = config.advertise ?? formatEndpoint(config.host, socket.port)
    const sealing = gossipKeyOf(random(32))
    const { fanout, everyMs, ttlMs, hopsMax, plaintext, seeds } = config
    const gossipEndpoint = placeOf(endpoint) === "unspecified" ? "" : endpoint
    const options = { chainId, genesis, key, sealing, gossipEndpoint, fanout, everyMs, ttlMs, hopsMax, plaintext }
    const counts = new GossipCounts()
    counts.show(metrics)
    const { resolve } = udp
    const made: Actor<never, GossipMessage> = new Actor(
      makeGossip({ ...rest, options, seeds, socket, resolve, self: () => made, counts }),
      watch
    ) as never
    actor = made
    return {
      actors: [made],
      beats: [[gossipTickMs, () => made.tell({ _tag: "Tick" })]],
      calls: {
        announce: (bytes, host) => made.ask<GossipVerdict>((reply) => ({ _tag: "Carried", bytes, host, reply })),
        gossip: () => made.ask<GossipView>((reply) => ({ _tag: "View", reply }))
      },
      told: { endpoint, key: sealing.publicKey },
      close: socket.close
    }
  })
}
