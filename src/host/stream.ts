/**
 * A stream of a host: a muxer's stream with a protocol, in the shape that applications know. Bytes go through plain calls; only
 * who awaits gets a promise. What is not read keeps its credit, so that the other side stops at the end of its window.
 */
import { cheapFault, Libp2pFault } from "../libp2p/fault.ts"
import type { MuxedStream } from "../libp2p/contract.ts"
import type { Select } from "../libp2p/multistream.ts"
import { streamInactivityMs, streamNegotiationMs, streamReadBytesMax, streamWriteBytesMax } from "./limits.ts"
import { faultOf, onAbort, throwIfAborted } from "./abort.ts"
import type {
  AbortOptions,
  BytesList,
  Direction,
  EventHandler,
  Logger,
  ReadStatus,
  Stream,
  StreamEvents,
  StreamStatus,
  StreamTimeline,
  WriteStatus
} from "./api.ts"
import { Emitter, type OnError, StreamClose, StreamMessage } from "./events.ts"
import { Unread } from "./unread.ts"

/** What a stream needs of its connection. */
export interface StreamOwner {
  readonly now: () => number
  readonly soon: (run: () => void) => void
  readonly onError: OnError
  readonly log: Logger
  /** A stream holds so many bytes of memory more (or less) than before; false: there is no room for them. */
  readonly hold: (bytes: number) => boolean
  /** Asks every stream to `settle`, to find room. */
  readonly settle: () => void
  /** There is no room. */
  readonly noRoom: (stream: HostStream) => Libp2pFault
  /** A protocol is agreed on. Told once. */
  readonly selected: (stream: HostStream) => void
  /** `flushed` must be called after each flush of the connection, until it says true. */
  readonly awaitFlush: (stream: HostStream) => void
  /** Told once, last. */
  readonly ended: (stream: HostStream, fault: Libp2pFault | undefined) => void
}

interface Waiter {
  readonly resolve: (bytes: Uint8Array | undefined) => void
  readonly reject: (error: Error) => void
}

interface Settle {
  readonly resolve: () => void
  readonly reject: (error: Error) => void
}

const bytesOf = (data: Uint8Array | BytesList): Uint8Array => (data instanceof Uint8Array ? data : data.subarray())

export class HostStream extends Emitter<StreamEvents> implements Stream {
  readonly id: string
  readonly direction: Direction
  readonly log: Logger
  readonly timeline: StreamTimeline
  protocol = ""
  status: StreamStatus = "open"
  writeStatus: WriteStatus = "writable"
  remoteReadStatus: ReadStatus = "readable"
  remoteWriteStatus: WriteStatus = "writable"
  maxReadBufferLength = streamReadBytesMax
  maxWriteBufferLength = streamWriteBytesMax
  inactivityTimeout = streamInactivityMs
  writableNeedsDrain = false
  readableEnded = false
  /** Why it ended, when not well. */
  fault: Libp2pFault | undefined

  private reading: "readable" | "closed" = "readable"
  private paused = false
  private readonly muxed: MuxedStream
  private readonly owner: StreamOwner
  private select: Select | undefined
  private readonly unread = new Unread()
  private iterators = 0
  private waiters: Array<Waiter> = []
  private drainers: Array<Settle> = []
  private closers: Array<Settle> = []
  private flowing = false
  private touched = true
  /** Bytes that were told as held: at least what unread and unsent bytes cost, exact at each call of `account`. */
  private held = 0
  private lastActive: number

  /** Negotiates with `select`; `lazy`: the protocol that is used before the other side has agreed. */
  constructor(muxed: MuxedStream, select: Select, owner: StreamOwner, lazy?: string) {
    super(owner.onError)
    this.id = String(muxed.id)
    this.direction = muxed.direction
    this.muxed = muxed
    this.owner = owner
    this.log = owner.log
    this.lastActive = owner.now()
    this.timeline = { open: this.lastActive }
    this.select = select
    if (lazy !== undefined) this.protocol = lazy
  }

  /** Says the first words, and hears what has come: once, when the owner is ready for `selected`. */
  begin(): void {
    if (this.select !== undefined) this.muxed.write(this.select.start())
    this.muxed.handlers = {
      data: (bytes) => this.onData(bytes),
      remoteClosed: () => this.onRemoteClosed(),
      drain: () => this.onDrained(),
      ended: (fault) => this.finish(fault === undefined ? "closed" : "reset", fault, false)
    }
  }

  get readStatus(): ReadStatus {
    if (this.reading === "closed") return "closed"
    return this.paused ? "paused" : "readable"
  }

  get readBufferLength(): number {
    return this.unread.length
  }

  get writeBufferLength(): number {
    return this.timeline.close === undefined ? this.muxed.buffered() : 0
  }

  // Reading

  private onData(bytes: Uint8Array): void {
    this.touched = true
    if (this.select === undefined) this.take(bytes, bytes.length)
    else this.negotiate(this.select, bytes)
  }

  private negotiate(select: Select, bytes: Uint8Array): void {
    const step = select.receive(bytes)
    if (step.send !== undefined) this.muxed.write(step.send)
    if (step._tag === "Failed") {
      this.fail(step.fault, false)
      return
    }
    const rest = step._tag === "Selected" ? step.rest : undefined
    this.muxed.consumed(bytes.length - (rest?.length ?? 0))
    if (step._tag === "More") return
    this.select = undefined
    this.protocol = step.protocol
    this.owner.selected(this)
    if (step.rest.length > 0) this.take(step.rest, step.rest.length)
  }

  private take(bytes: Uint8Array, credit: number): void {
    if (this.timeline.close !== undefined && this.fault !== undefined) return
    if (this.reading === "closed") {
      this.muxed.consumed(credit)
      return
    }
    this.unread.push(bytes, credit)
    if (this.readBufferLength > this.maxReadBufferLength)
      this.abort(cheapFault("resource", "StreamBufferError", `more than ${this.maxReadBufferLength} bytes are unread`))
    else this.flow()
    // What a reader took at once was never held.
    if (this.readBufferLength === 0) return
    this.unread.rest(this.iterators > 0 || this.flowing)
    this.accountOrAbort()
  }

  /** Tells how much is held, with `more` that is to come; a fault: there is no room for it, and nothing was told. */
  account(more = 0): Libp2pFault | undefined {
    if (this.timeline.close !== undefined || this.hold(more)) return undefined
    this.owner.settle()
    return this.hold(more) ? undefined : this.owner.noRoom(this)
  }

  private hold(more: number): boolean {
    const change = this.unread.cost + this.muxed.buffered() + more - this.held
    if (change === 0) return true
    if (!this.owner.hold(change)) return false
    this.held += change
    return true
  }

  /** Holds no more than it must, and gives back the rest. */
  settle(): void {
    this.unread.settle()
    this.giveBack()
  }

  /** Gives back what has gone out since it was told. */
  private giveBack(): void {
    if (this.timeline.close === undefined && this.unread.cost + this.muxed.buffered() < this.held) this.hold(0)
  }

  private accountOrAbort(): void {
    const fault = this.account()
    if (fault !== undefined) this.abort(fault)
  }

  /** The next bytes for a reader; their credit goes back. */
  private shift(): Uint8Array | undefined {
    const chunk = this.unread.shift()
    if (chunk === undefined) return undefined
    if (chunk.credit > 0 && this.timeline.close === undefined) this.muxed.consumed(chunk.credit)
    this.giveBack()
    return chunk.bytes
  }

  /** Gives what there is to whom waits, else to listeners. */
  private flow(): void {
    if (this.flowing) return
    this.flowing = true
    while (this.unread.length > 0) {
      const waiter = this.waiters.shift()
      if (waiter !== undefined) waiter.resolve(this.shift())
      else if (this.iterators === 0 && !this.paused && this.listenerCount("message") > 0)
        this.dispatchEvent(new StreamMessage(this.shift()!))
      else break
    }
    this.flowing = false
    if (this.unread.length === 0 && this.remoteWriteStatus === "closed") this.endReading()
  }

  private endReading(): void {
    if (this.readableEnded) return
    this.reading = "closed"
    this.readableEnded = true
    for (const waiter of this.waiters.splice(0)) waiter.resolve(undefined)
    this.tell("end")
  }

  private onRemoteClosed(): void {
    this.touched = true
    this.remoteWriteStatus = "closed"
    if (this.select !== undefined) {
      const what = "the other side closed the stream before a protocol was agreed on"
      this.fail(cheapFault("protocol", "ProtocolError", what), false)
      return
    }
    this.tell("remoteCloseWrite")
    this.flow()
  }

  override addEventListener<K extends keyof StreamEvents>(
    type: K,
    handler: EventHandler<StreamEvents[K]> | null,
    options?: boolean | AddEventListenerOptions
  ): void {
    super.addEventListener(type, handler, options)
    if (type === "message" && this.unread.length > 0) this.owner.soon(() => this.flow())
  }

  pause(): void {
    this.paused = true
  }

  resume(): void {
    this.paused = false
    this.flow()
  }

  push(bytes: Uint8Array | BytesList): void {
    this.putBack(bytes, (back) => this.unread.push(back, 0))
  }

  unshift(bytes: Uint8Array | BytesList): void {
    this.putBack(bytes, (back) => this.unread.unshift(back))
  }

  private putBack(data: Uint8Array | BytesList, put: (bytes: Uint8Array) => void): void {
    const bytes = bytesOf(data)
    if (bytes.length === 0) return
    put(bytes)
    this.unread.rest(false)
    this.accountOrAbort()
    this.owner.soon(() => this.flow())
  }

  [Symbol.asyncIterator](): AsyncIterator<Uint8Array> {
    let open = true
    this.iterators++
    const leave = (): void => {
      if (!open) return
      open = false
      this.iterators--
      this.owner.soon(() => this.flow())
    }
    const done = { done: true, value: undefined } as const
    return {
      next: async () => {
        if (!open) return done
        const value = await this.nextBytes()
        if (value !== undefined) return { done: false, value }
        leave()
        return done
      },
      return: async () => {
        leave()
        return done
      }
    }
  }

  private nextBytes(): Promise<Uint8Array | undefined> {
    if (this.unread.length > 0 && this.waiters.length === 0) {
      const bytes = this.shift()
      if (this.unread.length === 0 && this.remoteWriteStatus === "closed") this.endReading()
      return Promise.resolve(bytes)
    }
    if (this.fault !== undefined) return Promise.reject(this.fault)
    if (this.reading === "closed") return Promise.resolve(undefined)
    return new Promise((resolve, reject) => {
      this.waiters.push({ resolve, reject })
    })
  }

  async closeRead(options: AbortOptions = {}): Promise<void> {
    throwIfAborted(options.signal)
    if (this.reading === "closed") return
    while (this.shift() !== undefined);
    this.endReading()
  }

  // Writing

  send(data: Uint8Array | BytesList): boolean {
    if (this.writeStatus !== "writable" || this.timeline.close !== undefined) throw this.closedFault()
    const bytes = bytesOf(data)
    if (bytes.length === 0) return !this.writableNeedsDrain
    this.touched = true
    if (this.muxed.buffered() + bytes.length > this.maxWriteBufferLength) {
      const fault = cheapFault("resource", "StreamBufferError", `more than ${this.maxWriteBufferLength} bytes wait`)
      this.abort(fault)
      throw fault
    }
    const full = this.account(bytes.length)
    if (full !== undefined) {
      this.abort(full)
      throw full
    }
    const more = this.muxed.write(bytes)
    if (!more) this.writableNeedsDrain = true
    return more
  }

  private closedFault(): Libp2pFault {
    return new Libp2pFault(
      "state",
      "StreamStateError",
      `the stream is ${this.timeline.close === undefined ? "closed for writing" : this.status}`,
      { protocol: this.protocol },
      { cause: this.fault }
    )
  }

  private onDrained(): void {
    this.touched = true
    this.writableNeedsDrain = false
    this.giveBack()
    for (const waiting of this.drainers.splice(0)) waiting.resolve()
    this.tell("drain")
    if (this.muxed.buffered() === 0) this.tell("idle")
  }

  onDrain(options: AbortOptions = {}): Promise<void> {
    if (this.timeline.close !== undefined) return Promise.reject(this.fault ?? this.closedFault())
    if (!this.writableNeedsDrain) return Promise.resolve()
    return this.wait(this.drainers, options)
  }

  private wait(list: Array<Settle>, { signal }: AbortOptions): Promise<void> {
    return new Promise((resolve, reject) => {
      const off = onAbort(signal, (fault) => {
        const at = list.indexOf(entry)
        if (at >= 0) list.splice(at, 1)
        reject(fault)
      })
      const entry: Settle = {
        resolve: () => {
          off()
          resolve()
        },
        reject: (error) => {
          off()
          reject(error)
        }
      }
      if (signal?.aborted !== true) list.push(entry)
    })
  }

  close(options: AbortOptions = {}): Promise<void> {
    if (this.timeline.close !== undefined || this.writeStatus === "closed") return Promise.resolve()
    if (this.writeStatus === "writable") {
      this.writeStatus = "closing"
      this.status = "closing"
      this.muxed.closeWrite()
    }
    if (this.flushed()) return Promise.resolve()
    this.owner.awaitFlush(this)
    return this.wait(this.closers, options)
  }

  /** True: what was written before `close` is with the link. */
  flushed(): boolean {
    if (this.timeline.close === undefined && this.muxed.buffered() > 0) return false
    if (this.writeStatus !== "closed") {
      this.writeStatus = "closed"
      this.tell("idle")
    }
    for (const waiting of this.closers.splice(0)) waiting.resolve()
    return true
  }

  // The end

  abort(error: Error): void {
    this.fail(faultOf(error, error.message), true)
  }

  private fail(fault: Libp2pFault, local: boolean): void {
    if (this.timeline.close !== undefined) return
    // First ours: what the muxer says of a reset is less than what we know.
    this.finish(local ? "aborted" : "reset", fault, local)
    this.muxed.reset()
  }

  /** Milliseconds since 1970: time limits, at least once a second. */
  tick(now: number): void {
    this.settle()
    if (this.touched) {
      this.touched = false
      this.lastActive = now
    }
    if (this.select !== undefined && now - this.timeline.open >= streamNegotiationMs)
      this.fail(cheapFault("timeout", "TimeoutError", "no protocol was agreed on in time"), true)
    else if (this.inactivityTimeout > 0 && now - this.lastActive >= this.inactivityTimeout)
      this.fail(cheapFault("timeout", "TimeoutError", "nothing went over the stream for too long"), true)
  }

  private finish(status: StreamStatus, fault: Libp2pFault | undefined, local: boolean): void {
    if (this.timeline.close !== undefined) return
    // What is still unread is its reader's from here on.
    this.owner.hold(-this.held)
    this.held = 0
    this.timeline.close = this.owner.now()
    this.status = status
    this.fault = fault
    this.writeStatus = "closed"
    this.remoteReadStatus = "closed"
    this.remoteWriteStatus = "closed"
    this.writableNeedsDrain = false
    if (fault === undefined) this.flow()
    else this.discard(fault)
    const over = fault ?? this.closedFault()
    for (const waiting of this.drainers.splice(0)) waiting.reject(over)
    for (const waiting of this.closers.splice(0)) {
      if (fault === undefined) waiting.resolve()
      else waiting.reject(fault)
    }
    this.owner.ended(this, fault)
    if (this.listenerCount("close") > 0) this.dispatchEvent(new StreamClose(fault, local))
  }

  private discard(fault: Libp2pFault): void {
    this.unread.clear()
    for (const waiter of this.waiters.splice(0)) waiter.reject(fault)
    this.endReading()
  }
}
