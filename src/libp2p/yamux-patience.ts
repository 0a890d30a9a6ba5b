/** What a yamux session bears of the other side: frames that mean nothing, its pings, its silence. */
import {
  yamuxEndBytes,
  yamuxPongBurst,
  yamuxPongPerSecond,
  yamuxReceiveBytesMax,
  yamuxRefusalBytes,
  yamuxStrayBytesMax,
  yamuxStrayBytesPerSecond
} from "./yamux-limits.ts"
import { headerBytes } from "./yamux-frame.ts"

/** An allowance that comes back with time. */
class Allowance {
  private readonly most: number
  private readonly perMs: number
  private left: number
  private at: number

  constructor(most: number, perSecond: number, now: number) {
    this.most = most
    this.perMs = perSecond / 1_000
    this.left = most
    this.at = now
  }

  pass(now: number): void {
    if (now <= this.at) return
    this.give((now - this.at) * this.perMs)
    this.at = now
  }

  give(amount: number): void {
    this.left = Math.min(this.most, this.left + amount)
  }

  /** False: it is not there, and nothing is taken. */
  take(amount: number): boolean {
    if (this.left < amount) return false
    this.left -= amount
    return true
  }
}

/** Frames that mean nothing, counted in bytes. Each answer is false when there were too many. */
export class YamuxPatience {
  private readonly stray: Allowance
  /** Bytes that may still come for streams that are over: the other side had the credit when it sent them. */
  private owed = 0

  constructor(now: number) {
    this.stray = new Allowance(yamuxStrayBytesMax, yamuxStrayBytesPerSecond, now)
  }

  pass(now: number): void {
    this.stray.pass(now)
  }

  /** A frame with `length` bytes of payload that nobody wants. */
  bears(length: number): boolean {
    const due = Math.min(length, this.owed)
    this.owed -= due
    return this.stray.take(headerBytes + length - due)
  }

  /** A stream was opened in vain: refused by us, or reset by its opener. */
  bearsRefusal(): boolean {
    return this.stray.take(yamuxRefusalBytes)
  }

  /** We let go of a stream for which `credit` bytes may be on their way. */
  owe(credit: number): void {
    this.owed = Math.min(yamuxReceiveBytesMax, this.owed + credit)
  }

  /** A stream ended well. */
  ended(): void {
    this.stray.give(yamuxEndBytes)
  }
}

/** Pings of both sides. A ping is ours until it is answered or the next one goes out. */
export class YamuxPings {
  /** Milliseconds of a round trip, smoothed; undefined: none was measured. */
  rtt: number | undefined
  private readonly pongs: Allowance
  private id = 0
  private sentAt: number | undefined
  /** When the oldest ping went out since the last answer. */
  private askedAt: number | undefined
  private heardAt: number

  constructor(now: number) {
    this.pongs = new Allowance(yamuxPongBurst, yamuxPongPerSecond, now)
    this.heardAt = now
  }

  pass(now: number, heard: boolean): void {
    this.pongs.pass(now)
    if (heard) this.heardAt = now
  }

  /** Whether a ping of theirs is answered. */
  answers(): boolean {
    return this.pongs.take(1)
  }

  /** What our next ping carries, if it is time for one. */
  next(now: number, everyMs: number): number | undefined {
    if (this.sentAt !== undefined && now - this.sentAt < everyMs) return undefined
    this.sentAt = now
    this.askedAt ??= now
    this.id = (this.id + 1) >>> 0
    return this.id
  }

  /** Milliseconds that our ping took, undefined: it is no answer to one of ours. */
  answered(id: number, now: number): number | undefined {
    if (this.askedAt === undefined || id !== this.id || this.sentAt === undefined) return undefined
    this.askedAt = undefined
    const ms = now - this.sentAt
    this.rtt = this.rtt === undefined ? ms : Math.min(ms, (7 * this.rtt + ms) / 8)
    return ms
  }

  /** Nothing at all came since a ping went out `max` milliseconds ago. */
  silent(now: number, max: number): boolean {
    return this.askedAt !== undefined && now - Math.max(this.askedAt, this.heardAt) >= max
  }
}
