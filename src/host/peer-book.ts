/** All peers that are known, in memory: what is said of them, how long it holds, and who goes when there is no more room. */
import type { PeerId } from "../libp2p/contract.ts"
import { Libp2pFault } from "../libp2p/fault.ts"
import type { Peer, PeerData } from "./api.ts"
import {
  changedFields,
  connectedPeerAddressesMax,
  cutAddresses,
  cutPeer,
  type KnownPeer,
  type PeerField,
  peerBytes,
  type Strategy,
  unknownPeer,
  withData
} from "./peer-data.ts"

/** Milliseconds that an address holds without being heard of again, as in js. */
export const addressAgeMax = 3_600_000
/** Milliseconds that a peer without news and without addresses is kept, as in js. */
export const peerAgeMax = 21_600_000
/** Peers that are kept. */
export const peersMax = 10_000
/** Bytes of all peers, as `peerBytes` counts them: room for each of them with ten addresses, and not for what anybody may say. */
export const peersBytesMax = 128 * 1024 * 1024

export interface PeerBookOptions {
  /** Ours never runs out, and nothing of it is cut. */
  readonly self: PeerId
  /** Milliseconds since 1970. */
  readonly now: () => number
  /** There is a datastore that asks for changes; without one they would be kept for nobody, for ever. */
  readonly recorded: boolean
  readonly maxAddressAge?: number | undefined
  readonly maxPeerAge?: number | undefined
  readonly maxPeers?: number | undefined
  readonly maxBytes?: number | undefined
}

export interface BookUpdate {
  readonly peer: Peer
  readonly previous: Peer | undefined
  /** Empty: it was heard of again, and all is as it was. */
  readonly changed: ReadonlyArray<PeerField>
}

/** What a datastore does not have yet, by the text of the peer's id; undefined: the peer is gone. */
export type BookChanges = ReadonlyMap<string, KnownPeer | undefined>

/** Peers by the text of their ids, those that were heard of last at the end. */
export class PeerBook {
  private readonly peers = new Map<string, KnownPeer>()
  private readonly connected = new Set<string>()
  private changes = new Map<string, KnownPeer | undefined>()
  private readonly self: string
  private readonly now: () => number
  private readonly recorded: boolean
  private readonly maxAddressAge: number
  private readonly maxPeerAge: number
  private readonly maxPeers: number
  private readonly maxBytes: number
  private taken = 0

  constructor(options: PeerBookOptions) {
    this.self = options.self.toString()
    this.now = options.now
    this.recorded = options.recorded
    this.maxAddressAge = options.maxAddressAge ?? addressAgeMax
    this.maxPeerAge = options.maxPeerAge ?? peerAgeMax
    this.maxPeers = options.maxPeers ?? peersMax
    this.maxBytes = options.maxBytes ?? peersBytesMax
  }

  get size(): number {
    return this.peers.size
  }

  /** Bytes that all peers take, as `peerBytes` counts them. */
  get bytes(): number {
    return this.taken
  }

  /** What holds now; undefined: nothing is known. */
  get(id: PeerId): Peer | undefined {
    const known = this.known(id)
    return known === undefined ? undefined : this.shown(known)
  }

  /** The peer as it is kept. */
  known(id: PeerId): KnownPeer | undefined {
    const known = this.peers.get(id.toString())
    return known === undefined || this.ranOut(known) ? undefined : known
  }

  all(): ReadonlyArray<Peer> {
    return [...this.peers.values()].filter((known) => !this.ranOut(known)).map((known) => this.shown(known))
  }

  /** Throws InvalidParametersError, or ResourceLimitError: there is no room. */
  put(id: PeerId, data: PeerData, strategy: Strategy): BookUpdate {
    const now = this.now()
    const before = this.known(id)
    const next = this.fitting(withData(this.live(before ?? unknownPeer(id)), data, strategy, now))
    const previous = before === undefined ? undefined : this.shown(before)
    const changed = changedFields(before === undefined ? unknownPeer(id) : this.live(before), next)
    this.makeRoom(id.toString(), next)
    this.set(id.toString(), next)
    return { peer: this.shown(next), previous, changed }
  }

  delete(id: PeerId): void {
    const text = id.toString()
    if (this.drop(text)) this.note(text, undefined)
  }

  /** Its addresses hold while it stays. */
  peerConnected(id: PeerId): void {
    this.connected.add(id.toString())
  }

  /** From now on its addresses run out, and fewer of them and of its protocols are kept. */
  peerDisconnected(id: PeerId): void {
    const text = id.toString()
    const known = this.peers.get(text)
    this.connected.delete(text)
    if (known === undefined) return
    const now = this.now()
    const cut = this.stays(text) ? known : cutPeer(known)
    const addresses = cut.addresses.map((address) => ({ ...address, observed: now }))
    this.set(text, { ...cut, addresses, updated: now })
  }

  /** Forgets what has run out; the number of peers that went. */
  sweep(): number {
    let gone = 0
    for (const [text, known] of this.peers) {
      const live = this.live(known)
      if (this.ranOut(known)) {
        this.drop(text)
        this.note(text, undefined)
        gone++
      } else if (live.addresses.length !== known.addresses.length || live.tags.size !== known.tags.size) {
        this.taken += peerBytes(live) - peerBytes(known)
        this.peers.set(text, live)
        this.note(text, live)
      }
    }
    return gone
  }

  /** Takes a peer from a datastore, unless something was said of it since. Without room for it, or when it has run out, it goes there too. */
  restore(known: KnownPeer): void {
    const text = known.id.toString()
    if (this.peers.has(text)) return
    if (this.ranOut(known) || !this.hasRoom(text, peerBytes(known))) this.note(text, undefined)
    else this.keep(text, known)
  }

  /** What was not handed out before: at most `max` peers. */
  takeChanges(max: number): BookChanges {
    const taken = new Map([...this.changes].slice(0, max))
    for (const text of taken.keys()) this.changes.delete(text)
    return taken
  }

  /** Changes that were taken but could not be written; newer ones stand. */
  putBack(changes: BookChanges): void {
    this.changes = new Map([...changes, ...this.changes])
  }

  get changed(): boolean {
    return this.changes.size > 0
  }

  private note(text: string, known: KnownPeer | undefined): void {
    if (this.recorded) this.changes.set(text, known)
  }

  private set(text: string, known: KnownPeer): void {
    this.drop(text)
    this.keep(text, known)
    this.note(text, known)
  }

  private keep(text: string, known: KnownPeer): void {
    this.taken += peerBytes(known)
    this.peers.set(text, known)
  }

  private drop(text: string): boolean {
    const known = this.peers.get(text)
    if (known !== undefined) this.taken -= peerBytes(known)
    return this.peers.delete(text)
  }

  private stays(text: string): boolean {
    return text === this.self || this.connected.has(text)
  }

  /** Is there room for that peer at this size, beside all others? */
  private hasRoom(text: string, bytes: number): boolean {
    const before = this.peers.get(text)
    if (before === undefined) return this.peers.size < this.maxPeers && this.taken + bytes <= this.maxBytes
    return this.taken - peerBytes(before) + bytes <= this.maxBytes
  }

  /** As much of a peer as is kept of it: of one that is connected more, but nobody has to go for that. */
  private fitting(known: KnownPeer): KnownPeer {
    const text = known.id.toString()
    const whole = { ...known, addresses: cutAddresses(known.addresses, connectedPeerAddressesMax) }
    const all = text === this.self || (this.connected.has(text) && this.hasRoom(text, peerBytes(whole)))
    return all ? whole : cutPeer(known)
  }

  /** The peer without what has run out. */
  private live(known: KnownPeer): KnownPeer {
    const now = this.now()
    const tags = [...known.tags].every(([, { expires }]) => expires > now)
      ? known.tags
      : new Map([...known.tags].filter(([, { expires }]) => expires > now))
    if (this.stays(known.id.toString())) return { ...known, tags }
    const addresses = known.addresses.filter(({ observed }) => observed > now - this.maxAddressAge)
    return { ...known, addresses, tags }
  }

  private ranOut(known: KnownPeer): boolean {
    if (this.stays(known.id.toString()) || known.updated >= this.now() - this.maxPeerAge) return false
    const live = this.live(known)
    return live.addresses.length === 0 && live.tags.size === 0
  }

  private shown(known: KnownPeer): Peer {
    const { id, addresses, protocols, metadata, tags, envelope } = this.live(known)
    return {
      id,
      addresses: addresses.map(({ multiaddr, isCertified }) => ({ multiaddr, isCertified })),
      protocols: [...protocols],
      metadata: new Map([...metadata].map(([name, value]) => [name, value.slice()])),
      tags: new Map([...tags].map(([name, { value }]) => [name, { value }])),
      ...(envelope === undefined ? {} : { peerRecordEnvelope: envelope.slice() })
    }
  }

  /** Of those that nobody holds on to, the one that was not heard of for longest goes. */
  private makeRoom(text: string, next: KnownPeer): void {
    const bytes = peerBytes(next)
    for (const [other, known] of this.peers) {
      if (this.hasRoom(text, bytes)) return
      if (other === text || this.stays(other) || this.live(known).tags.size > 0) continue
      this.drop(other)
      this.note(other, undefined)
    }
    if (text === this.self || this.hasRoom(text, bytes)) return
    const held = `${this.peers.size} peers of ${this.taken} bytes`
    throw new Libp2pFault("capacity", "ResourceLimitError", `the peer store holds ${held}, and all are in use`)
  }
}
