/**
 * Gossip as a machine: datagrams, ticks and what is known of peers go in; datagrams to send and hints for others come out. It
 * answers nobody, fetches nothing and judges nobody: an announcement is a hint, whoever signed it (defect 5).
 *
 *   datagram ─► form ─► allowance of the source ─► chain, freshness, sequence ─► signature ─► hints, and passed on
 *
 * What is cheap comes first, and before the signature holds nothing is sent and nothing remembered: who forges an address or a
 * name gets nothing sent to anybody.
 */
import { concat, toHex } from "../codec/bytes.ts"
import { formatEndpoint } from "../config.ts"
import { sha256 } from "../crypto/hash.ts"
import type { Keypair } from "../crypto/keys.ts"
import { Rate } from "../discovery/rate.ts"
import {
  datagramBytesMax,
  gossipBurst,
  gossipChecksBurst,
  gossipChecksPerSecond,
  gossipCreditMax,
  gossipEntriesMax,
  gossipGapMs,
  gossipNodesMax,
  gossipPassedBurst,
  gossipPassedPerSecond,
  gossipPerSecond,
  gossipSourcesMax,
  gossipToldBurst,
  gossipToldPerSecond,
  sessionsMax
} from "../limits.ts"
import { nodeHashIn, nodeHashOf } from "../transport/hello.ts"
import {
  type Announced,
  decodeAnnouncement,
  fitting,
  forms,
  isOfChain,
  isSigned,
  makeAnnouncement
} from "./announcement.ts"
import { Memory } from "./memory.ts"
import { allowanceOf, isDialable } from "./place.ts"
import { type Box, type GossipKey, hintOf, makeBox, openPacket, sealPacket } from "./sealed.ts"

export interface GossipOptions {
  readonly chainId: string
  readonly genesis: Uint8Array
  /** The node's own key: it signs. */
  readonly key: Keypair
  /** For this run alone: it seals. */
  readonly sealing: GossipKey
  /** Where we hear announcements, as others are told; empty: they are not. */
  readonly gossipEndpoint: string
  readonly fanout: number
  readonly everyMs: number
  readonly ttlMs: number
  readonly hopsMax: number
  /** Is the form that anybody can read sent and heard? */
  readonly plaintext: boolean
}

export interface Address {
  readonly host: string
  readonly port: number
}

/** A node that has a session here, and hears announcements at the port that its hello told, on the machine that it spoke from. */
export interface GossipPeer extends Address {
  readonly session: number
  readonly nodeId: string
  /** Its X25519 key. */
  readonly key: Uint8Array
}

/** What came, and from where: the source of a datagram can be forged. */
export interface Datagram extends Address {
  readonly bytes: Uint8Array
  /** It came by an authenticated way that is not UDP: its form may be the plain one. */
  readonly carried?: boolean
}

export interface GossipTip {
  readonly height: number
  readonly work: Uint8Array
  readonly hash: Uint8Array
}

/** Why a datagram was not heard. Documented in docs/errors.md. */
export const gossipDrops = [
  "datagram-too-long",
  "datagram-form",
  "plaintext-refused",
  "source-too-often",
  "seal-unknown",
  "seal-broken",
  "announcement-malformed",
  "announcement-other-chain",
  "announcement-own",
  "announcement-stale",
  "announcement-hops",
  "announcement-seen",
  "announcement-overtaken",
  "announcement-too-often",
  "signatures-too-many",
  "announcement-forged"
] as const
export type GossipDrop = (typeof gossipDrops)[number]

export type GossipEffect =
  | { readonly _tag: "Send"; readonly to: Address; readonly bytes: Uint8Array }
  /** Endpoints that may be worth a dial. Who is there is not proven. */
  | { readonly _tag: "Found"; readonly endpoints: ReadonlyArray<string> }
  /** A node with a session here says that its branch has more work: that session is to be asked. */
  | { readonly _tag: "Behind"; readonly session: number }

/** What became of a datagram. */
export interface Heard {
  readonly drop: GossipDrop | undefined
  /** What it said, if it was heard. */
  readonly announced: Announced | undefined
  readonly effects: ReadonlyArray<GossipEffect>
}

/** A peer, the key that both seal with, and its node as a text that is quickly made of a public key. */
interface Met {
  readonly peer: GossipPeer
  readonly box: Box
  readonly node: string
}

type Target = Address & Partial<Met>
/** An announcement on its way through us. */
interface Passing extends Datagram {
  readonly announced: Announced
  readonly hops: number
  /** The peer whose seal it came under. */
  readonly met: Met | undefined
  readonly node: string
}

const checks = { burst: gossipChecksBurst, perSecond: gossipChecksPerSecond, callersMax: 3 }
/** Names take bech32 to write, and a flood may bring ten thousand keys a second. */
const nodeKeyOf = (publicKey: Uint8Array): string => toHex(nodeHashOf(publicKey))
const hopsByte = (hops: number): Uint8Array => new Uint8Array([hops])
const dropped = (drop: GossipDrop): Heard => ({ drop, announced: undefined, effects: [] })

/** Is the first number greater? Both are 32 bytes, big-endian. */
const isMore = (a: Uint8Array, b: Uint8Array): boolean => {
  const at = a.findIndex((byte, i) => byte !== b[i])
  return at !== -1 && a[at]! > b[at]!
}

export class Gossip {
  private readonly options: GossipOptions
  private readonly node: string
  /** A number from 0 up to 1. */
  private readonly chance: () => number
  private readonly random: (length: number) => Uint8Array
  private readonly memory = new Memory()
  private readonly sources = new Rate({ burst: gossipBurst, perSecond: gossipPerSecond, callersMax: gossipSourcesMax })
  private readonly checks = new Rate(checks)
  private readonly passed = new Rate({ burst: gossipPassedBurst, perSecond: gossipPassedPerSecond, callersMax: 1 })
  private readonly told = new Rate({ burst: gossipToldBurst, perSecond: gossipToldPerSecond, callersMax: 1 })
  private readonly peers = new Map<number, Met>()
  private readonly byHint = new Map<string, Met>()
  private readonly byNode = new Map<string, Met>()
  private seeds: ReadonlyArray<Address> = []
  private entries: ReadonlyArray<string> = []
  /** Bytes that strangers have sent and that were not passed on. */
  private credit = 0
  private sequence = 0
  private announcedAt = Number.NEGATIVE_INFINITY
  private announcedTip = ""

  constructor(options: GossipOptions, random: (length: number) => Uint8Array) {
    this.options = options
    this.node = nodeKeyOf(options.key.publicKey)
    this.random = random
    this.chance = () => {
      const [a = 0, b = 0] = random(2)
      return (a * 256 + b) / 65_536
    }
  }

  get bounds(): ReadonlyArray<{ readonly of: string; readonly used: number; readonly max: number }> {
    return [
      { of: "nodes", used: this.memory.size, max: gossipNodesMax },
      { of: "sources", used: this.sources.size, max: gossipSourcesMax },
      { of: "peers", used: this.peers.size, max: sessionsMax },
      { of: "credit", used: this.credit, max: gossipCreditMax }
    ]
  }

  /** Peers and seeds that could be sent to. */
  get known(): { readonly peers: number; readonly seeds: number; readonly nodes: number } {
    return { peers: this.peers.size, seeds: this.seeds.length, nodes: this.memory.size }
  }

  /** Who has a session now. The same object again is known already; a key that is none is no peer. */
  meet(peers: ReadonlyMap<number, GossipPeer>): void {
    for (const [session, met] of this.peers) {
      if (peers.get(session) === met.peer) continue
      this.peers.delete(session)
      this.byHint.delete(toHex(met.box.in.hint))
      if (this.byNode.get(met.node) === met) this.byNode.delete(met.node)
    }
    for (const [session, peer] of peers) {
      if (this.peers.has(session) || this.peers.size >= sessionsMax) continue
      const box = makeBox(this.options.sealing, peer.key, this.options.genesis)
      const name = nodeHashIn(peer.nodeId)
      if (box === undefined || name === undefined) continue
      const met = { peer, box, node: toHex(name) }
      this.peers.set(session, met)
      this.byHint.set(toHex(box.in.hint), met)
      this.byNode.set(met.node, met)
    }
  }

  /** Where the operator's seeds are. */
  place(seeds: ReadonlyArray<Address>): void {
    this.seeds = seeds
  }

  /** Where others can be dialled, for our own announcements. */
  know(entries: ReadonlyArray<string>): void {
    this.entries = entries
  }

  /** Time passes: announces, if it is time or the tip is another. `endpoint`: where we can be dialled, or empty. */
  tick(now: number, tip: GossipTip, endpoint: string): ReadonlyArray<GossipEffect> {
    this.memory.expire(now)
    const id = toHex(tip.hash)
    const since = now - this.announcedAt
    // A clock that went back does not make us mute.
    const due = since < 0 || since >= this.options.everyMs || (id !== this.announcedTip && since >= gossipGapMs)
    if (!due) return []
    this.announcedAt = now
    this.announcedTip = id
    const bytes = this.announce(now, tip, endpoint)
    const packet = concat(hopsByte(0), bytes)
    return this.pick(() => true).flatMap((target) => this.send(target, packet, true))
  }

  private announce(now: number, tip: GossipTip, endpoint: string): Uint8Array {
    const { chainId, key, hopsMax, gossipEndpoint, genesis } = this.options
    this.sequence = Math.max(this.sequence + 1, now)
    const { height, work, hash } = tip
    const said = {
      ...{ chainId, publicKey: key.publicKey, sequence: this.sequence, time: now, hopsMax, height, work, tip: hash },
      ...{ endpoint, gossipEndpoint }
    }
    const first = Math.floor(this.chance() * this.entries.length)
    return makeAnnouncement({ ...said, entries: fitting(said, this.entries, first) }, genesis, key)
  }

  /** Judges a datagram. Never throws, and never sends anything to where it came from. */
  hear(datagram: Datagram, now: number, tip: GossipTip): Heard {
    const { bytes } = datagram
    if (bytes.length > datagramBytesMax) return dropped("datagram-too-long")
    if (bytes[0] === forms.sealed) return this.hearSealed(datagram, now, tip)
    if (bytes[0] !== forms.plain) return dropped("datagram-form")
    if (!this.options.plaintext && datagram.carried !== true) return dropped("plaintext-refused")
    if (this.sources.take(allowanceOf(datagram.host, datagram.port), now) > 0) return dropped("source-too-often")
    return this.hearPacket(bytes.subarray(1), { ...datagram, met: undefined }, now, tip)
  }

  /** A seal is cheap to open, and nobody but the peer can make it: so what others flood us with takes nothing from peers. */
  private hearSealed(datagram: Datagram, now: number, tip: GossipTip): Heard {
    const { bytes } = datagram
    const found = this.byHint.get(hintOf(bytes) ?? "")
    if (found === undefined) return dropped("seal-unknown")
    const packet = openPacket(found.box, bytes)
    if (packet === undefined) return dropped("seal-broken")
    if (this.sources.take(found.node, now) > 0) return dropped("source-too-often")
    return this.hearPacket(packet, { ...datagram, met: found }, now, tip)
  }

  private hearPacket(
    packet: Uint8Array,
    from: Datagram & { readonly met: Met | undefined },
    now: number,
    tip: GossipTip
  ): Heard {
    const announced = decodeAnnouncement(packet.subarray(1))
    if (announced === undefined) return dropped("announcement-malformed")
    const { options, memory } = this
    const { publicKey, sequence, time, hopsMax } = announced
    const [hops] = packet as unknown as readonly [number]
    if (!isOfChain(announced, options)) return dropped("announcement-other-chain")
    const node = nodeKeyOf(publicKey)
    if (node === this.node) return dropped("announcement-own")
    if (Math.abs(now - time) > options.ttlMs) return dropped("announcement-stale")
    if (hops > hopsMax) return dropped("announcement-hops")
    const passing = { ...from, announced, hops, node }
    const last = memory.find(node, now)
    const id = toHex(sha256(announced.bytes))
    if (last !== undefined && sequence < last.sequence) return dropped("announcement-overtaken")
    if (last !== undefined && sequence === last.sequence)
      return { ...dropped("announcement-seen"), effects: id === last.id ? this.pass(passing, last, now) : [] }
    if (last !== undefined && Math.abs(now - last.at) < gossipGapMs / 2) return dropped("announcement-too-often")
    // Anybody can write a peer's name, but nobody else its seal.
    const kind = from.met !== undefined ? "sealed" : this.byNode.has(node) ? "named" : "strangers"
    if (this.checks.take(kind, now) > 0) return dropped("signatures-too-many")
    if (!isSigned(announced, options.genesis)) return dropped("announcement-forged")
    const fresh = { sequence, id, at: now, until: time + options.ttlMs, passed: false }
    memory.admit(node, fresh, (other) => this.byNode.has(other))
    const effects = [...this.hints(passing, now, tip), ...this.pass(passing, fresh, now)]
    return { drop: undefined, announced, effects }
  }

  /** What it is good for: somebody to dial, or to ask. */
  private hints({ announced, node, host }: Passing, now: number, tip: GossipTip): ReadonlyArray<GossipEffect> {
    const peer = this.byNode.get(node)?.peer
    const { endpoint, entries, work } = announced
    const own = peer === undefined && endpoint !== "" ? [endpoint] : []
    const endpoints = [...own, ...entries].filter((one) => isDialable(one, host)).slice(0, gossipEntriesMax)
    const told = endpoints.length > 0 && this.told.take("", now) === 0
    return [
      ...(told ? [{ _tag: "Found", endpoints } as const] : []),
      ...(peer !== undefined && isMore(work, tip.work) ? [{ _tag: "Behind", session: peer.session } as const] : [])
    ]
  }

  /**
   * Passes it on, once, however many copies come: so a false count of hops takes it nowhere twice. A copy that had no hops left
   * does not keep another that has. What strangers say leaves in no more bytes than they have sent, whoever they are.
   */
  private pass(passing: Passing, last: { passed: boolean }, now: number): ReadonlyArray<GossipEffect> {
    const { announced, hops, node, met, host, port } = passing
    const isStrangers = met === undefined && !this.byNode.has(node)
    if (isStrangers) this.credit = Math.min(gossipCreditMax, this.credit + passing.bytes.length)
    if (last.passed || hops + 1 > Math.min(announced.hopsMax, this.options.hopsMax)) return []
    const packet = concat(hopsByte(hops + 1), announced.bytes)
    const isSpared = (one: string | undefined): boolean => one !== undefined && (one === node || one === met?.node)
    const isOther = (target: Target): boolean =>
      !isSpared(target.node) && !(target.host === host && target.port === port)
    const sends: Array<GossipEffect> = []
    for (const target of this.pick(isOther)) {
      // What came under a seal is not told to everybody.
      const [send] = this.send(target, packet, met === undefined)
      if (send === undefined) continue
      if (isStrangers && send.bytes.length > this.credit) break
      if (this.passed.take("", now) > 0) break
      if (isStrangers) this.credit -= send.bytes.length
      sends.push(send)
    }
    last.passed ||= sends.length > 0
    return sends
  }

  /** So many targets by chance, of those that will do: peers, and seeds that are none of them. */
  private pick(willDo: (target: Target) => boolean): ReadonlyArray<Target> {
    const all: Array<Target> = []
    const places = new Set([this.options.gossipEndpoint])
    const add = (target: Target): void => {
      const place = formatEndpoint(target.host, target.port)
      if (!places.has(place) && willDo(target)) all.push(target)
      places.add(place)
    }
    for (const met of this.peers.values()) add({ host: met.peer.host, port: met.peer.port, ...met })
    for (const seed of this.seeds) add(seed)
    const picked: Array<Target> = []
    while (all.length > 0 && picked.length < this.options.fanout)
      picked.push(...all.splice(Math.floor(this.chance() * all.length), 1))
    return picked
  }

  /** A datagram in the form that the target can open; none, if it may be read by nobody else and cannot be sealed. */
  private send({ host, port, box }: Target, packet: Uint8Array, mayBePlain: boolean) {
    const to = { host, port }
    if (box !== undefined) return [{ _tag: "Send", to, bytes: sealPacket(box, packet, this.random(12)) } as const]
    if (!this.options.plaintext || !mayBePlain) return []
    return [{ _tag: "Send", to, bytes: concat(new Uint8Array([forms.plain]), packet) } as const]
  }
}
