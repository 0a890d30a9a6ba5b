/** Peers that are tagged keep-alive are dialled again when they are gone, with longer and longer pauses. */
import type { PeerId } from "../libp2p/contract.ts"
import type { DialOptions, HostEvents, PeerStore, TypedEventTarget } from "./api.ts"
import type { OnError } from "./events.ts"
import { reconnectMs, reconnectsAtOnce, reconnectsMax } from "./limits.ts"
import type { Cancel, World } from "./world.ts"

/** Tags that begin so keep a peer: js-libp2p's. */
export const keepAliveTag = "keep-alive"

export interface ReconnectInit {
  readonly reconnectRetries?: number | undefined
  /** Milliseconds before the first time. */
  readonly reconnectRetryInterval?: number | undefined
  readonly reconnectBackoffFactor?: number | undefined
  readonly maxParallelReconnects?: number | undefined
}

export interface ReconnectPorts {
  readonly world: World
  readonly events: TypedEventTarget<HostEvents>
  readonly peerStore: PeerStore
  readonly onError: OnError
  readonly isConnected: (peer: PeerId) => boolean
  readonly dial: (peer: PeerId, options: DialOptions) => Promise<unknown>
}

export class Reconnects {
  private readonly ports: ReconnectPorts
  private readonly init: ReconnectInit
  private readonly waiting = new Map<string, Cancel>()
  private readonly queue: Array<{ readonly peer: PeerId; readonly attempt: number }> = []
  private active = 0
  private abort = new AbortController()

  constructor(ports: ReconnectPorts, init: ReconnectInit) {
    this.ports = ports
    this.init = init
  }

  /** The last connection to a peer is gone. */
  lost(peer: PeerId): void {
    const { peerStore, onError } = this.ports
    const { signal } = this.abort
    peerStore.get(peer).then(
      ({ tags }) => {
        if (!signal.aborted && [...tags.keys()].some((tag) => tag.startsWith(keepAliveTag))) this.wait(peer, 0)
      },
      (error: unknown) => {
        if (!(error instanceof Error && error.name === "NotFoundError")) onError("reading a peer that is gone", error)
      }
    )
  }

  private wait(peer: PeerId, attempt: number): void {
    const { reconnectRetryInterval = reconnectMs, reconnectBackoffFactor = 2 } = this.init
    const name = peer.toString()
    if (this.waiting.has(name)) return
    const pause = reconnectRetryInterval * reconnectBackoffFactor ** attempt
    const cancel = this.ports.world.after(pause, () => {
      this.waiting.delete(name)
      this.queue.push({ peer, attempt })
      this.next()
    })
    this.waiting.set(name, cancel)
  }

  private next(): void {
    if (this.active >= (this.init.maxParallelReconnects ?? reconnectsAtOnce)) return
    const job = this.queue.shift()
    if (job === undefined) return
    const { peer, attempt } = job
    const { signal } = this.abort
    this.active++
    const failed = (): void => {
      if (signal.aborted) return
      if (attempt + 1 < (this.init.reconnectRetries ?? reconnectsMax)) this.wait(peer, attempt + 1)
      else this.giveUp(peer)
    }
    const dialled = this.ports.isConnected(peer) ? Promise.resolve() : this.ports.dial(peer, { signal })
    dialled
      .then(() => {}, failed)
      .finally(() => {
        this.active--
        this.next()
      })
  }

  /** The tag goes, so that the peer is not tried for ever. */
  private giveUp(peer: PeerId): void {
    const { peerStore, events, onError } = this.ports
    peerStore
      .get(peer)
      .then(({ tags }) => {
        const gone = [...tags.keys()].filter((tag) => tag.startsWith(keepAliveTag))
        return peerStore.merge(peer, { tags: Object.fromEntries(gone.map((tag) => [tag, undefined])) })
      })
      .catch((error: unknown) => onError("giving up a peer", error))
      .finally(() => events.safeDispatchEvent("peer:reconnect-failure", { detail: peer }))
  }

  stop(): void {
    this.abort.abort()
    this.abort = new AbortController()
    this.queue.length = 0
    for (const cancel of this.waiting.values()) cancel()
    this.waiting.clear()
  }
}
