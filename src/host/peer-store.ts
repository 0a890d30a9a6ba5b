/** The peer store of a host, in the shape of js-libp2p: the book of peers, its events, and a datastore behind it. */
import type { Multiaddr, PeerId } from "../libp2p/contract.ts"
import { Libp2pFault } from "../libp2p/fault.ts"
import { peerIdFromText } from "../libp2p/peer-id.ts"
import { isNewer, openPeerRecord } from "../libp2p/peer-record.ts"
import { throwIfAborted } from "./abort.ts"
import type {
  AbortOptions,
  Address,
  HostEvents,
  Peer,
  PeerData,
  PeerQuery,
  PeerStore,
  PeerStoreInit,
  PeerUpdate,
  TypedEventTarget
} from "./api.ts"
import type { Datastore, DatastoreChange } from "./datastore.ts"
import { type BookUpdate, PeerBook } from "./peer-book.ts"
import { type PeerField, type Strategy, seqOf } from "./peer-data.ts"
import { decodePeerRow, encodePeerRow } from "./peer-row.ts"
import type { Cancel, World } from "./world.ts"

/** Where the rows of peers are; behind it stands the text of the peer id. */
export const peerRowPrefix = "/peers/"
/** Milliseconds between a change and its write: what is said of a peer in a row is written once. */
export const peerWriteDelayMs = 1_000
/** Peers that are written at once. */
export const peerWritesMax = 500
/** Milliseconds between two searches for what has run out. */
export const peerSweepMs = 60_000

export interface HostPeerStoreInit extends PeerStoreInit {
  /** Without it peers are gone with the process. It is not closed by the store. */
  readonly datastore?: Datastore | undefined
}

export interface PeerStoreParts {
  readonly peerId: PeerId
  readonly world: Pick<World, "now" | "after">
  readonly events: TypedEventTarget<HostEvents>
}

/** An update says also, as js does not, which fields changed. */
export interface HostPeerUpdate extends PeerUpdate {
  readonly changed: ReadonlyArray<PeerField>
}

/** A peer store that a host starts and stops. */
export interface HostPeerStore extends PeerStore {
  /** Reads the datastore. Until then, and after stop, everything works but nothing is written or runs out. */
  readonly start: () => void
  /** Writes what is not written. */
  readonly stop: () => void
  /** Peers that are kept. */
  readonly size: () => number
}

const notFound = (id: PeerId): Libp2pFault =>
  new Libp2pFault("not_found", "NotFoundError", `nothing is known of the peer ${id}`)

const asked = (peers: ReadonlyArray<Peer>, query: PeerQuery): Array<Peer> => {
  const { filters = [], orders = [], offset = 0, limit = peers.length } = query
  const found = peers.filter((peer) => filters.every((filter) => filter(peer)))
  for (const order of orders) found.sort(order)
  return found.slice(offset, offset + limit)
}

/** Writes what the book has not written yet, a while after it changed. */
class Shelf {
  private cancelWrite: Cancel | undefined
  private readonly book: PeerBook
  private readonly datastore: Datastore
  private readonly parts: PeerStoreParts

  constructor(book: PeerBook, datastore: Datastore, parts: PeerStoreParts) {
    this.book = book
    this.datastore = datastore
    this.parts = parts
  }

  /** Takes all rows into the book; what cannot be read is removed. */
  load(): void {
    const unreadable: Array<DatastoreChange> = []
    for (let offset = 0; ; ) {
      const rows = this.datastore.query({ prefix: peerRowPrefix, offset })
      for (const { key, value } of rows) {
        const id = peerIdFromText(key.slice(peerRowPrefix.length))
        const known = id instanceof Libp2pFault ? id : decodePeerRow(id, value)
        if (known instanceof Libp2pFault) unreadable.push({ key, value: undefined })
        else this.book.restore(known)
      }
      offset += rows.length
      if (rows.length === 0) break
    }
    this.datastore.batch(unreadable)
  }

  /** Something changed: it is written soon. */
  touch(): void {
    if (this.cancelWrite === undefined && this.book.changed)
      this.cancelWrite = this.parts.world.after(peerWriteDelayMs, () => this.write())
  }

  /** Writes some, and the rest after the next while. A disk that says no is told of, and asked again with the next change. */
  write(): boolean {
    this.cancelWrite?.()
    this.cancelWrite = undefined
    const changes = this.book.takeChanges(peerWritesMax)
    try {
      this.datastore.batch(
        [...changes].map(([text, known]) => ({
          key: `${peerRowPrefix}${text}`,
          value: known === undefined ? undefined : encodePeerRow(known)
        }))
      )
    } catch (error) {
      this.book.putBack(changes)
      this.parts.events.safeDispatchEvent("host:error", { detail: { where: "the datastore of peers", error } })
      return false
    }
    this.touch()
    return true
  }

  /** Writes all that is not written, if the disk takes it. */
  end(): void {
    while (this.book.changed && this.write());
    this.cancelWrite?.()
    this.cancelWrite = undefined
  }
}

/** Peers of a host. Throws nothing; what its functions reject with is a Libp2pFault. */
export const makePeerStore = (parts: PeerStoreParts, init: HostPeerStoreInit = {}): HostPeerStore => {
  const { peerId, world, events } = parts
  const book = new PeerBook({ self: peerId, now: world.now, recorded: init.datastore !== undefined, ...init })
  let shelf: Shelf | undefined
  let cancelSweep: Cancel | undefined

  const tell = (id: PeerId, { peer, previous, changed }: BookUpdate): Peer => {
    shelf?.touch()
    if (changed.length === 0 && previous !== undefined) return peer
    const detail: HostPeerUpdate = { peer, ...(previous === undefined ? {} : { previous }), changed }
    events.safeDispatchEvent(id.equals(peerId) ? "self:peer:update" : "peer:update", { detail })
    if (!changed.includes("protocols") || id.equals(peerId)) return peer
    const [before, after] = [new Set(previous?.protocols ?? []), new Set(peer.protocols)]
    const added = peer.protocols.filter((name) => !before.has(name))
    const removed = [...before].filter((name) => !after.has(name))
    events.safeDispatchEvent("peer:protocols:update", { detail: { peerId: id, added, removed } })
    return peer
  }
  const kept = async (id: PeerId, data: PeerData): Promise<PeerData> => {
    const filter = init.addressFilter
    if (filter === undefined || (data.addresses === undefined && data.multiaddrs === undefined)) return data
    const all: ReadonlyArray<Address> = [
      ...(data.multiaddrs ?? []).map((multiaddr: Multiaddr) => ({ multiaddr, isCertified: false })),
      ...(data.addresses ?? [])
    ]
    const verdicts = await Promise.all(all.map(({ multiaddr }) => filter(id, multiaddr)))
    const { multiaddrs: _, ...rest } = data
    return { ...rest, addresses: all.filter((_address, at) => verdicts[at]) }
  }
  const put = async (id: PeerId, given: PeerData, strategy: Strategy, options?: AbortOptions): Promise<Peer> => {
    throwIfAborted(options?.signal)
    const data = await kept(id, given)
    return tell(id, book.put(id, data, strategy))
  }
  const get = async (id: PeerId, options?: AbortOptions): Promise<Peer> => {
    throwIfAborted(options?.signal)
    const peer = book.get(id)
    if (peer === undefined) throw notFound(id)
    return peer
  }
  const all = async (query: PeerQuery = {}): Promise<Array<Peer>> => {
    throwIfAborted(query.signal)
    return asked(book.all(), query)
  }
  const consumePeerRecord: PeerStore["consumePeerRecord"] = async (envelope, options = {}) => {
    throwIfAborted(options.signal)
    const record = openPeerRecord(envelope)
    if (record instanceof Libp2pFault) throw record
    const id = record.peerId
    if (options.expectedPeer?.equals(id) === false) return false
    const addresses = record.addresses.map((multiaddr) => ({ multiaddr, isCertified: true }))
    const data = await kept(id, { addresses, peerRecordEnvelope: envelope })
    if (!isNewer(record.seq, seqOf(book.known(id)?.envelope))) return false
    tell(id, book.put(id, data, "patch"))
    return true
  }
  const sweep = (): void => {
    book.sweep()
    shelf?.touch()
    cancelSweep = world.after(peerSweepMs, sweep)
  }
  const onConnect = ({ detail }: CustomEvent<PeerId>): void => book.peerConnected(detail)
  const onDisconnect = ({ detail }: CustomEvent<PeerId>): void => {
    book.peerDisconnected(detail)
    shelf?.touch()
  }

  return {
    forEach: async (fn, query) => (await all(query)).forEach((peer) => fn(peer)),
    all,
    get,
    getInfo: async (id, options) => {
      const peer = await get(id, options)
      return { id: peer.id, multiaddrs: peer.addresses.map(({ multiaddr }) => multiaddr) }
    },
    has: async (id, options) => {
      throwIfAborted(options?.signal)
      return book.known(id) !== undefined
    },
    delete: async (id, options) => {
      throwIfAborted(options?.signal)
      book.delete(id)
      shelf?.touch()
    },
    save: (id, data, options) => put(id, data, "save", options),
    patch: (id, data, options) => put(id, data, "patch", options),
    merge: (id, data, options) => put(id, data, "merge", options),
    consumePeerRecord,
    size: () => book.size,
    start: () => {
      if (cancelSweep !== undefined) return
      if (init.datastore !== undefined) {
        shelf = new Shelf(book, init.datastore, parts)
        shelf.load()
      }
      events.addEventListener("peer:connect", onConnect)
      events.addEventListener("peer:disconnect", onDisconnect)
      sweep()
    },
    stop: () => {
      events.removeEventListener("peer:connect", onConnect)
      events.removeEventListener("peer:disconnect", onDisconnect)
      cancelSweep?.()
      cancelSweep = undefined
      shelf?.end()
      shelf = undefined
    }
  }
}
