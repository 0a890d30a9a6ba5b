/**
 * Bytes that streams hold, unread and unsent, of each connection, of each peer and in all: what keeps many streams, each within
 * its own limits, from filling the memory together. And what the windows of all connections may grow by.
 */
import { memoryBytes } from "./limits.ts"

export interface MemoryLimits {
  readonly system: number
  readonly peer: number
  readonly connection: number
  /** By which windows may exceed what each stream has by right. */
  readonly windows: number
}

export const defaultMemoryLimits: MemoryLimits = memoryBytes

export type MemoryPlace = "system" | "peer" | "connection"

/** What a connection holds. */
export interface MemoryScope {
  /** More by so many bytes, or less if negative. The scope that has no room for them: then nothing is taken. */
  hold(bytes: number): MemoryPlace | undefined
  readonly bytes: number
  /** Gives everything back. */
  done(): void
}

interface Peer {
  bytes: number
  connections: number
}

export class Memory {
  bytes = 0
  /** The most that there was at one time. */
  peak = 0
  /** By which windows have grown, and may still. */
  grown = 0
  readonly limits: MemoryLimits
  private readonly peers = new Map<string, Peer>()

  constructor(limits: MemoryLimits = defaultMemoryLimits) {
    this.limits = limits
  }

  open(name: string): MemoryScope {
    const { limits } = this
    const peer = this.peers.get(name) ?? { bytes: 0, connections: 0 }
    peer.connections++
    this.peers.set(name, peer)
    let own = 0
    let open = true
    const add = (bytes: number): void => {
      own += bytes
      peer.bytes += bytes
      this.bytes += bytes
    }
    return {
      get bytes() {
        return own
      },
      hold: (bytes) => {
        if (!open) return undefined
        if (bytes > 0) {
          if (own + bytes > limits.connection) return "connection"
          if (peer.bytes + bytes > limits.peer) return "peer"
          if (this.bytes + bytes > limits.system) return "system"
        }
        add(bytes)
        if (this.bytes > this.peak) this.peak = this.bytes
        return undefined
      },
      done: () => {
        if (!open) return
        open = false
        add(-own)
        if (--peer.connections === 0) this.peers.delete(name)
      }
    }
  }

  /** Bytes by which windows may still grow. */
  room(): number {
    return this.limits.windows - this.grown
  }

  /** Windows grew by so many bytes, or shrank. */
  grow(bytes: number): void {
    this.grown += bytes
  }

  /** Peers that are remembered: those with a connection. */
  get remembered(): number {
    return this.peers.size
  }
}
