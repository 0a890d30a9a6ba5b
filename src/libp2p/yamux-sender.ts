/** What a yamux session sends, and in which order: its own frames, then windows, then the streams in turn. */
import { yamuxFrameBytesMax } from "./yamux-limits.ts"
import { flag, FrameWriter, frameType, headerBytes } from "./yamux-frame.ts"
import type { YamuxStream } from "./yamux-stream.ts"

export type Pulled = ReturnType<FrameWriter["take"]>

/** A frame smaller than this is not cut off a larger write to fill a pull: the next pull has more room. */
const cutBytesMin = 4_096
const payloadBytesMax = yamuxFrameBytesMax - headerBytes

/** Streams in the order in which they came; a stream stands in it once at most. */
class StreamQueue {
  first: YamuxStream | undefined
  private last: YamuxStream | undefined
  private readonly link: "nextSendable" | "nextUpdate"
  private readonly inside: "inSendable" | "inUpdates"

  constructor(link: "nextSendable" | "nextUpdate", inside: "inSendable" | "inUpdates") {
    this.link = link
    this.inside = inside
  }

  push(stream: YamuxStream): void {
    if (stream[this.inside]) return
    stream[this.inside] = true
    if (this.last === undefined) this.first = stream
    else this.last[this.link] = stream
    this.last = stream
  }

  shift(stream: YamuxStream): void {
    this.first = stream[this.link]
    if (this.first === undefined) this.last = undefined
    stream[this.link] = undefined
    stream[this.inside] = false
  }

  clear(): void {
    while (this.first !== undefined) this.shift(this.first)
  }
}

export class YamuxSender {
  private readonly writer = new FrameWriter()
  /** Frames of the session itself, and resets: type, flags, id, length of each. */
  private control: Array<number> = []
  private readonly updates = new StreamQueue("nextUpdate", "inUpdates")
  private readonly sendables = new StreamQueue("nextSendable", "inSendable")
  /** Streams whose owner must hear what a pull has done. */
  private moved: Array<YamuxStream> = []
  /** The code of the GO_AWAY that goes behind all else. */
  private farewell: number | undefined
  private readonly pending: () => void
  private told = false

  constructor(pending: () => void) {
    this.pending = pending
  }

  /** A frame of the session itself, or a reset. */
  say(type: number, flags: number, id: number, length: number): void {
    this.control.push(type, flags, id, length)
    this.signal()
  }

  /** Frames of that kind that wait. */
  waiting(): number {
    return this.control.length / 4
  }

  /** The stream has flags or a grant to tell. */
  update(stream: YamuxStream): void {
    this.updates.push(stream)
    this.signal()
  }

  sendable(stream: YamuxStream): void {
    if (!stream.canSend()) return
    this.sendables.push(stream)
    this.signal()
  }

  /** GO_AWAY, when all that may go out has gone. */
  sayLast(code: number): void {
    this.farewell = code
    this.signal()
  }

  /** Forgets all that waits. */
  clear(): void {
    this.control = []
    this.updates.clear()
    this.sendables.clear()
    this.moved = []
    this.farewell = undefined
  }

  pull(max: number, now: number): Pulled {
    this.told = true
    this.pullControl(max)
    this.pullUpdates(max)
    this.pullStreams(max, now)
    if (this.farewell !== undefined && !this.waits() && this.writer.length + headerBytes <= max) {
      this.writer.header(frameType.goAway, 0, 0, this.farewell)
      this.farewell = undefined
    }
    this.told = this.waits() || this.farewell !== undefined
    return this.writer.take()
  }

  /** Streams that went below their mark or sent their FIN, since the last time. */
  takeMoved(): ReadonlyArray<YamuxStream> {
    const { moved } = this
    if (moved.length > 0) this.moved = []
    return moved
  }

  private waits(): boolean {
    return this.control.length > 0 || this.updates.first !== undefined || this.sendables.first !== undefined
  }

  private signal(): void {
    if (this.told) return
    this.told = true
    this.pending()
  }

  private pullControl(max: number): void {
    const { control, writer } = this
    if (control.length === 0) return
    let at = 0
    for (; at < control.length && writer.length + headerBytes <= max; at += 4)
      writer.header(control[at]!, control[at + 1]!, control[at + 2]!, control[at + 3]!)
    this.control = control.slice(at)
  }

  private pullUpdates(max: number): void {
    for (let stream = this.updates.first; stream !== undefined; stream = this.updates.first) {
      if (this.writer.length + headerBytes > max) return
      this.updates.shift(stream)
      // A SYN or ACK without a delta rides on the DATA that goes out anyhow.
      const rides = stream.grant === 0 && stream.canSend()
      if (rides || (stream.grant === 0 && stream.flags === 0)) continue
      this.writer.header(frameType.windowUpdate, stream.flags, stream.id, stream.grant)
      stream.flags = 0
      stream.grant = 0
    }
  }

  private pullStreams(max: number, now: number): void {
    for (let stream = this.sendables.first; stream !== undefined; stream = this.sendables.first) {
      if (stream.canSend() && !this.pullStream(stream, max, now)) return
      this.sendables.shift(stream)
      if (stream.canSend()) this.sendables.push(stream)
    }
  }

  /** One frame of a stream, and its FIN if that is next; false: there is no room. */
  private pullStream(stream: YamuxStream, max: number, now: number): boolean {
    const { writer } = this
    const waits = Math.min(stream.queue.bytes, stream.sendCredit, payloadBytesMax)
    const length = Math.min(waits, max - writer.length - headerBytes)
    if (length < 0 || (length === 0 && waits > 0)) return false
    if (length < waits && length < cutBytesMin && writer.length > 0) return false
    if (length > 0) {
      writer.header(frameType.data, stream.flags, stream.id, length)
      stream.flags = 0
      stream.queue.move(length, writer)
      stream.sendCredit -= length
    }
    // The FIN has a frame of its own: go and hashicorp heed it before the payload of its frame, and a reader may miss that.
    if (stream.queue.bytes === 0 && stream.canSend() && writer.length + headerBytes <= max) {
      writer.header(frameType.windowUpdate, stream.flags | flag.fin, stream.id, 0)
      stream.flags = 0
      stream.finSent = true
    }
    stream.movedAt = now
    if (stream.hears()) this.moved.push(stream)
    return true
  }
}
