/**
 * Yamux 1.0.0: many streams over one secured link, each with its own flow control. A machine without I/O: bytes in, frames out,
 * time is told. What differs from other implementations, and why, stands in docs/libp2p.md.
 */
import { assert } from "../assert.ts"
import {
  yamuxBacklogMax,
  yamuxControlFramesMax,
  yamuxGrowthBytesMax,
  yamuxHalfClosedMsMax,
  yamuxInboundStreamsMax,
  yamuxPingMs,
  yamuxReceiveBytesMax,
  yamuxSilenceMsMax,
  yamuxWindowBytes,
  yamuxWindowBytesMax
} from "./yamux-limits.ts"
import type { MuxedStream, Muxer, MuxerEvents, Role } from "./contract.ts"
import { cheapFault, type Libp2pFault } from "./fault.ts"
import { flag, frameType, goAwayCode, HeaderReader } from "./yamux-frame.ts"
import { YamuxPatience, YamuxPings } from "./yamux-patience.ts"
import { type Pulled, YamuxSender } from "./yamux-sender.ts"
import { type StreamOwner, YamuxStream } from "./yamux-stream.ts"

export const yamuxProtocol = "/yamux/1.0.0"

/** What an owner may choose; what is left out is as in yamux-limits.ts. */
export interface YamuxOptions {
  /** Bytes of a new stream's window, at least 256 KiB. */
  readonly windowBytes?: number
  readonly windowBytesMax?: number
  /** Bytes of the connection that no reader has used. */
  readonly receiveBytesMax?: number
  readonly inboundStreamsMax?: number
  /** Milliseconds between two pings. Infinity: one, for the round trip. */
  readonly pingMs?: number
  readonly silenceMsMax?: number
  readonly halfClosedMsMax?: number
  /** What the windows of several sessions may grow by together. */
  readonly growth?: WindowGrowth
}

/** A store of bytes that sessions share. */
export interface WindowGrowth {
  /** Bytes that are left. */
  readonly room: () => number
  /** So many were taken, or, if negative, given back. */
  readonly grow: (bytes: number) => void
}

export const makeYamux = (role: Role, events: MuxerEvents, options: YamuxOptions, now: number): Muxer =>
  new YamuxSession(role, events, options, now)

const defaults: Required<YamuxOptions> = {
  windowBytes: yamuxWindowBytes,
  windowBytesMax: yamuxWindowBytesMax,
  receiveBytesMax: yamuxReceiveBytesMax,
  inboundStreamsMax: yamuxInboundStreamsMax,
  pingMs: yamuxPingMs,
  silenceMsMax: yamuxSilenceMsMax,
  halfClosedMsMax: yamuxHalfClosedMsMax,
  growth: { room: () => Number.POSITIVE_INFINITY, grow: () => {} }
}

/** The code that tells the other side of a fault. */
const codeOf = ({ kind }: Libp2pFault): number => {
  if (kind === "protocol" || kind === "decode") return goAwayCode.protocol
  return kind === "internal" || kind === "resource" || kind === "capacity" ? goAwayCode.internal : goAwayCode.normal
}

const idMax = 0xffff_ffff

class YamuxSession implements Muxer, StreamOwner {
  readonly protocol = yamuxProtocol
  private readonly events: MuxerEvents
  private readonly limits: Required<YamuxOptions>
  private readonly sender: YamuxSender
  private readonly patience: YamuxPatience
  private readonly pings: YamuxPings
  private now: number

  private readonly table = new Map<number, YamuxStream>()
  private nextId: number
  private inbound = 0
  /** Inbound streams that nobody has given handlers yet. */
  private untaken = 0
  /** Outbound streams that the other side has not answered. */
  private unanswered = 0
  /** Bytes that no reader has used, and bytes by which windows have grown, of all streams. */
  private held = 0
  private grown = 0

  private readonly header = new HeaderReader()
  /** What is left of a DATA frame's payload, whose it is (undefined: nobody's), and whether a FIN came with it. */
  private left = 0
  private target: YamuxStream | undefined
  private finBehind = false

  /** The code of the other side's GO_AWAY. */
  private remoteGone: number | undefined
  private over = false

  constructor(role: Role, events: MuxerEvents, options: YamuxOptions, now: number) {
    this.events = events
    this.limits = { ...defaults, ...options }
    const { windowBytes, windowBytesMax } = this.limits
    assert(windowBytes >= yamuxWindowBytes && windowBytes <= windowBytesMax, "a window begins at 256 KiB or above")
    assert(windowBytesMax <= idMax, "a window's delta fits its field")
    this.sender = new YamuxSender(() => this.events.pending())
    this.patience = new YamuxPatience(now)
    this.pings = new YamuxPings(now)
    this.now = now
    this.nextId = role === "dialer" ? 1 : 2
  }

  // What the connection calls.

  receive(bytes: Uint8Array, now: number): void {
    if (this.over) return
    this.pass(now, bytes.length > 0)
    let at = 0
    while (at < bytes.length && !this.over) {
      if (this.left > 0) at = this.onPayload(bytes, at)
      else {
        at = this.header.take(bytes, at)
        if (at < 0) return
        this.onFrame()
      }
    }
  }

  tick(now: number): void {
    if (this.over) return
    this.pass(now, false)
    if (this.over) return
    const { silenceMsMax, halfClosedMsMax } = this.limits
    if (this.pings.silent(now, silenceMsMax))
      return this.fail(cheapFault("timeout", "TimeoutError", `a ping was not answered for ${silenceMsMax} ms`))
    for (const stream of [...this.table.values()]) {
      if (stream.over || !(stream.closing || stream.remoteClosed) || now - stream.movedAt < halfClosedMsMax) continue
      this.drop(stream, cheapFault("timeout", "TimeoutError", `a stream rested half-closed for ${halfClosedMsMax} ms`))
    }
  }

  open(): MuxedStream | Libp2pFault {
    if (this.over || this.remoteGone !== undefined)
      return cheapFault("closed", "MuxerClosedError", "the session takes no more streams")
    if (this.unanswered >= yamuxBacklogMax)
      return cheapFault("capacity", "TooManyOutboundProtocolStreamsError", "too many streams wait for an answer")
    if (this.nextId > idMax) return cheapFault("capacity", "MuxerClosedError", "the session has no stream ids left")
    const stream = this.make(this.nextId, "outbound")
    this.nextId += 2
    this.unanswered++
    this.sender.update(stream)
    return stream
  }

  streams(): ReadonlyArray<MuxedStream> {
    return [...this.table.values()]
  }

  pull(max: number): Pulled {
    this.tellMoved()
    return this.sender.pull(max, this.now)
  }

  close(fault?: Libp2pFault): void {
    if (this.over) return
    if (fault !== undefined) return this.fail(fault)
    // go and rust end at once when they are told GO_AWAY: what was written goes before it.
    this.end(undefined, () => this.sender.sayLast(goAwayCode.normal))
  }

  lost(fault: Libp2pFault): void {
    if (!this.over) this.end(fault, () => this.sender.clear())
  }

  // What streams call.

  sendable(stream: YamuxStream): void {
    this.sender.sendable(stream)
  }

  used(stream: YamuxStream, bytes: number): void {
    const { window } = stream
    window.free(bytes)
    this.held -= bytes
    stream.movedAt = this.now
    if (stream.remoteClosed) return
    const before = window.size
    const { windowBytesMax, growth } = this.limits
    const room = Math.max(0, Math.min(windowBytesMax - before, yamuxGrowthBytesMax - this.grown, growth.room()))
    const grant = window.grant(this.now, this.pings.rtt, room)
    if (window.size > before) this.grow(window.size - before)
    if (grant === 0) return
    stream.grant += grant
    this.sender.update(stream)
  }

  private grow(bytes: number): void {
    this.grown += bytes
    this.limits.growth.grow(bytes)
  }

  accepted(stream: YamuxStream): void {
    if (stream.direction === "inbound" && !stream.over) this.untaken--
  }

  aborted(stream: YamuxStream): void {
    this.drop(stream, cheapFault("closed", "StreamAbortedError", "the stream was reset on this side"))
  }

  // What came.

  private pass(now: number, heard: boolean): void {
    this.tellMoved()
    if (this.over) return
    // Where nobody told us the time for so long, the silence was ours.
    const slept = now - this.now > this.limits.silenceMsMax / 2
    this.now = now
    this.patience.pass(now)
    this.pings.pass(now, heard || slept)
    const ping = this.pings.next(now, this.limits.pingMs)
    if (ping !== undefined) this.sender.say(frameType.ping, flag.syn, 0, ping)
  }

  /**
   * Owners hear of what went out when the next call comes, not within the pull that took it: what they do then may have
   * to go out itself, and must not overtake it.
   */
  private tellMoved(): void {
    for (const stream of this.sender.takeMoved()) {
      stream.sent()
      if (stream.finSent && stream.remoteClosed) this.finish(stream)
    }
  }

  private onFrame(): void {
    const { version, type, flags, id, length } = this.header
    if (version !== 0) return this.violated(`version ${version} of yamux`)
    if (type === frameType.data) this.onData(flags, id, length)
    else if (type === frameType.windowUpdate) this.onWindowUpdate(flags, id, length)
    else if (type === frameType.ping) this.onPing(flags, length)
    else if (type === frameType.goAway) this.onGoAway(length)
    else this.violated(`a frame of type ${type}`)
  }

  private onData(flags: number, id: number, length: number): void {
    // However long: the payload is handed over as it comes, and the window says what may. js writes a window in one frame.
    this.left = length
    this.target = undefined
    this.finBehind = false
    const stream = this.streamOf(flags, id, length)
    if (stream === undefined) return
    if (length > 0) this.expect(stream, length)
    else if (flags === 0) this.stray(0)
    if ((flags & flag.fin) === 0 || stream.over) return
    if (this.left === 0) this.onFin(stream)
    else this.finBehind = true
  }

  /** A payload is about to come. */
  private expect(stream: YamuxStream, length: number): void {
    if (stream.remoteClosed) return this.stray(length)
    if (!stream.window.take(length))
      return this.violated(`${length} bytes for a window of ${stream.window.credit} of stream ${stream.id}`)
    this.held += length
    if (this.held <= this.limits.receiveBytesMax) this.target = stream
    else this.drop(stream, cheapFault("resource", "StreamResetError", "too many bytes of the connection are not read"))
  }

  private onPayload(bytes: Uint8Array, at: number): number {
    const end = Math.min(bytes.length, at + this.left)
    this.left -= end - at
    const stream = this.target
    if (stream === undefined || stream.over) return end
    stream.deliver(at === 0 && end === bytes.length ? bytes : bytes.subarray(at, end))
    if (this.left > 0) return end
    // A stream that is over must not stay for the sake of its last frame.
    this.target = undefined
    if (this.finBehind && !stream.over) this.onFin(stream)
    return end
  }

  private onWindowUpdate(flags: number, id: number, length: number): void {
    const stream = this.streamOf(flags, id, 0)
    if (stream === undefined) return
    if (length > 0) {
      stream.sendCredit = Math.min(idMax, stream.sendCredit + length)
      this.sender.sendable(stream)
    } else if (flags === 0) this.stray(0)
    if ((flags & flag.fin) !== 0 && !stream.over) this.onFin(stream)
  }

  /** The stream that a frame is for, opened by it if it says so. Undefined: there is nothing more to do with the frame. */
  private streamOf(flags: number, id: number, length: number): YamuxStream | undefined {
    if ((flags & flag.rst) !== 0) {
      this.onReset(id, length)
      return undefined
    }
    const stream = (flags & flag.syn) === 0 ? this.table.get(id) : this.onOpen(id, length)
    if (stream === undefined) {
      if ((flags & flag.syn) === 0) this.stray(length)
      return undefined
    }
    // Whatever it says about the stream, it knows it: rust and go say ACK when their application takes it, or never.
    if (!stream.answered) {
      stream.answered = true
      this.unanswered--
    }
    stream.movedAt = this.now
    return stream
  }

  private onOpen(id: number, length: number): YamuxStream | undefined {
    if (id === 0 || id % 2 === this.nextId % 2) this.violated(`stream ${id} is not theirs to open`)
    else if (this.table.has(id)) this.violated(`stream ${id} is open`)
    else if (
      this.remoteGone !== undefined ||
      this.inbound >= this.limits.inboundStreamsMax ||
      this.untaken >= yamuxBacklogMax
    )
      this.refuse(id, length)
    else {
      const stream = this.make(id, "inbound")
      this.inbound++
      this.untaken++
      this.sender.update(stream)
      this.events.stream(stream)
      if (!stream.over) return stream
      if (!this.over) this.stray(length)
    }
    return undefined
  }

  private refuse(id: number, length: number): void {
    if (this.sender.waiting() >= yamuxControlFramesMax)
      return this.fail(cheapFault("resource", "ResourceLimitError", "resets are not read and streams are opened"))
    this.sender.say(frameType.windowUpdate, flag.rst, id, 0)
    this.patience.owe(yamuxWindowBytes)
    if (this.patience.bearsRefusal()) this.stray(length)
    else this.impatient()
  }

  private onReset(id: number, length: number): void {
    const stream = this.table.get(id)
    if (stream === undefined) return this.stray(length)
    const inVain = stream.direction === "inbound" && !this.patience.bearsRefusal()
    this.settle(stream, cheapFault("closed", "StreamResetError", "the other side reset the stream"))
    if (inVain) this.impatient()
  }

  private onFin(stream: YamuxStream): void {
    if (stream.remoteClosed) return this.stray(0)
    stream.closeRemote()
    if (!stream.over && stream.finSent) this.finish(stream)
  }

  private onPing(flags: number, id: number): void {
    if ((flags & flag.ack) !== 0) {
      const ms = this.pings.answered(id, this.now)
      if (ms === undefined) this.stray(0)
      else this.events.rtt(ms)
    } else if ((flags & flag.syn) === 0 || this.sender.waiting() >= yamuxControlFramesMax || !this.pings.answers())
      this.stray(0)
    else this.sender.say(frameType.ping, flag.ack, 0, id)
  }

  private onGoAway(code: number): void {
    if (this.remoteGone !== undefined) return this.stray(0)
    this.remoteGone = code
    this.events.remoteGoAway(code)
    this.endIfIdle()
  }

  /** A frame that means nothing here. */
  private stray(length: number): void {
    if (!this.over && !this.patience.bears(length)) this.impatient()
  }

  // How streams and the session end.

  private make(id: number, direction: "inbound" | "outbound"): YamuxStream {
    const stream = new YamuxStream(this, id, direction, this.limits.windowBytes, this.now)
    this.table.set(id, stream)
    return stream
  }

  /** Resets a stream from this side. */
  private drop(stream: YamuxStream, fault: Libp2pFault): void {
    // A stream whose SYN has not gone out is none to the other side.
    if ((stream.flags & flag.syn) === 0) this.sender.say(frameType.windowUpdate, flag.rst, stream.id, 0)
    if (!stream.remoteClosed) this.patience.owe(stream.window.credit)
    this.settle(stream, fault)
  }

  private finish(stream: YamuxStream): void {
    if (stream.over) return
    this.patience.ended()
    this.settle(stream, undefined)
  }

  private settle(stream: YamuxStream, fault: Libp2pFault | undefined): void {
    this.table.delete(stream.id)
    if (stream.direction === "inbound") this.inbound--
    if (stream.direction === "inbound" && !stream.taken) this.untaken--
    if (!stream.answered) this.unanswered--
    this.held -= stream.window.held
    const grown = stream.window.size - this.limits.windowBytes
    if (grown > 0) this.grow(-grown)
    stream.silence()
    stream.end(fault)
    this.endIfIdle()
  }

  /** The other side takes and opens no streams, and there are none. */
  private endIfIdle(): void {
    if (this.over || this.remoteGone === undefined || this.table.size > 0) return
    const code = this.remoteGone
    if (code === goAwayCode.normal) this.close()
    else this.fail(cheapFault("closed", "MuxerClosedError", `the other side ended the session with code ${code}`))
  }

  private violated(what: string): void {
    this.fail(cheapFault("protocol", "ProtocolError", `yamux: ${what}`))
  }

  private impatient(): void {
    this.violated("too many frames that mean nothing")
  }

  /** Ends with nothing but a GO_AWAY. */
  private fail(fault: Libp2pFault): void {
    if (this.over) return
    this.end(fault, () => {
      this.sender.clear()
      this.sender.say(frameType.goAway, 0, 0, codeOf(fault))
    })
  }

  private end(fault: Libp2pFault | undefined, lastWords: () => void): void {
    this.over = true
    lastWords()
    const streams = [...this.table.values()]
    this.table.clear()
    this.grow(-this.grown)
    this.target = undefined
    for (const stream of streams) stream.end(fault)
    this.events.ended(fault)
  }
}
