/** The two ends of a stream's flow control: what the other side may send, and what waits to be sent to it. */
import { assert } from "../assert.ts"
import { yamuxWindowBytes } from "./yamux-limits.ts"
import type { FrameWriter } from "./yamux-frame.ts"

/**
 * What the other side may still send. Credit is given back for what the reader has used, half a window at a time. A window
 * that is used up by half within two round trips is too small for the way and the reader: it doubles (as in QUIC and rust-yamux).
 */
export class ReceiveWindow {
  /** Bytes of the whole window: sent and unused, and still to come. */
  size: number
  /** Bytes that may still come. */
  credit = yamuxWindowBytes
  /** Bytes that came and are not used. */
  held = 0
  private grantedAt: number

  constructor(size: number, now: number) {
    this.size = size
    this.grantedAt = now
  }

  /** `bytes` come; false: more than may. */
  take(bytes: number): boolean {
    if (bytes > this.credit) return false
    this.credit -= bytes
    this.held += bytes
    return true
  }

  /** `bytes` were used. */
  free(bytes: number): void {
    assert(bytes >= 0 && bytes <= this.held, "no more is used of a stream than came")
    this.held -= bytes
  }

  /** What must be told as the window's delta, 0: too little yet. `room`: bytes by which the window may grow. */
  grant(now: number, rtt: number | undefined, room: number): number {
    const used = this.size - this.credit - this.held
    if (used < this.size / 2) return 0
    // A clock of whole milliseconds measures nothing on a short way.
    const grown = rtt !== undefined && now - this.grantedAt < 2 * Math.max(rtt, 1) ? Math.min(this.size, room) : 0
    this.size += grown
    this.credit += used + grown
    this.grantedAt = now
    return used + grown
  }
}

/** Bytes that were written and wait, as they were given. */
export class SendQueue {
  bytes = 0
  private parts: Array<Uint8Array> = []
  private first = 0
  private offset = 0

  push(bytes: Uint8Array): void {
    this.parts.push(bytes)
    this.bytes += bytes.length
  }

  /** Moves the first `length` bytes, which are there, into a frame's payload. */
  move(length: number, out: FrameWriter): void {
    this.bytes -= length
    let left = length
    while (left > 0) {
      const part = this.parts[this.first]!
      const size = Math.min(left, part.length - this.offset)
      out.payload(size === part.length ? part : part.subarray(this.offset, this.offset + size))
      left -= size
      this.offset += size
      if (this.offset === part.length) this.drop()
    }
  }

  clear(): void {
    this.parts = []
    this.first = 0
    this.offset = 0
    this.bytes = 0
  }

  /** The first part is gone: its memory too, though its place in the list is given up only now and then. */
  private drop(): void {
    this.parts[this.first++] = nothing
    this.offset = 0
    if (this.first < placesMax && this.first < this.parts.length) return
    this.parts = this.parts.slice(this.first)
    this.first = 0
  }
}

const nothing = new Uint8Array(0)
const placesMax = 1_024
