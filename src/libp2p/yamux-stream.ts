/** One stream of a yamux session: what its owner may do with it, and its own state. What goes over the wire is the session's. */
import { yamuxWindowBytes, yamuxWriteBytesMax } from "./yamux-limits.ts"
import type { MuxedStream, MuxedStreamHandlers } from "./contract.ts"
import type { Libp2pFault } from "./fault.ts"
import { flag } from "./yamux-frame.ts"
import { ReceiveWindow, SendQueue } from "./yamux-window.ts"

/** What a stream asks of its session. */
export interface StreamOwner {
  /** It has bytes or a FIN that may go out. */
  readonly sendable: (stream: YamuxStream) => void
  /** `bytes` of what it was given were used. */
  readonly used: (stream: YamuxStream, bytes: number) => void
  /** It has handlers now. */
  readonly accepted: (stream: YamuxStream) => void
  /** Its owner wants it no more. */
  readonly aborted: (stream: YamuxStream) => void
}

const none = new Uint8Array(0)
const writeLowBytes = yamuxWriteBytesMax / 2

export class YamuxStream implements MuxedStream {
  readonly id: number
  readonly direction: "inbound" | "outbound"
  readonly window: ReceiveWindow
  readonly queue = new SendQueue()
  /** Bytes that we may still send. */
  sendCredit = yamuxWindowBytes
  /** SYN or ACK, until it went out with the first frame. */
  flags: number
  /** Delta of the window that is not told yet. */
  grant: number
  /** The other side has shown that it knows the stream. */
  answered: boolean
  /** It was given handlers. */
  taken = false
  remoteClosed = false
  /** We write no more. */
  closing = false
  finSent = false
  /** `ended` was told. */
  over = false
  /** When something last moved on it. */
  movedAt: number
  /** Its places in the session's queues: what is behind it, and whether it stands there at all. */
  nextSendable: YamuxStream | undefined
  inSendable = false
  nextUpdate: YamuxStream | undefined
  inUpdates = false

  private readonly owner: StreamOwner
  private told: MuxedStreamHandlers | undefined
  private wantsDrain = false
  /** What came before there were handlers (a copy: a view would keep all that came with it), and how it ended. */
  private early = none
  private earlyBytes = 0
  private fault: Libp2pFault | undefined

  constructor(owner: StreamOwner, id: number, direction: "inbound" | "outbound", windowBytes: number, now: number) {
    this.owner = owner
    this.id = id
    this.direction = direction
    this.window = new ReceiveWindow(windowBytes, now)
    this.grant = windowBytes - yamuxWindowBytes
    this.window.credit = windowBytes
    this.flags = direction === "outbound" ? flag.syn : flag.ack
    this.answered = direction === "inbound"
    this.movedAt = now
  }

  get handlers(): MuxedStreamHandlers | undefined {
    return this.told
  }

  /** What came before is handed over now. */
  set handlers(handlers: MuxedStreamHandlers | undefined) {
    this.told = handlers
    if (this.taken || handlers === undefined) return
    this.taken = true
    this.owner.accepted(this)
    const early = this.early.subarray(0, this.earlyBytes)
    this.early = none
    if (early.length > 0) this.told?.data(early)
    if (this.remoteClosed) this.told?.remoteClosed()
    if (this.over) this.told?.ended(this.fault)
  }

  write(bytes: Uint8Array): boolean {
    if (this.closing || this.over) return false
    if (bytes.length > 0) {
      this.queue.push(bytes)
      if (this.sendCredit > 0) this.owner.sendable(this)
    }
    this.wantsDrain = this.queue.bytes > yamuxWriteBytesMax
    return !this.wantsDrain
  }

  buffered(): number {
    return this.queue.bytes
  }

  consumed(bytes: number): void {
    if (!this.over) this.owner.used(this, bytes)
  }

  closeWrite(): void {
    if (this.closing || this.over) return
    this.closing = true
    this.wantsDrain = false
    this.owner.sendable(this)
  }

  reset(): void {
    if (!this.over) this.owner.aborted(this)
  }

  /** Whether a DATA frame or the FIN may go out now. */
  canSend(): boolean {
    return this.queue.bytes > 0 ? this.sendCredit > 0 : this.closing && !this.finSent
  }

  deliver(bytes: Uint8Array): void {
    if (this.told === undefined) this.keep(bytes)
    else this.told.data(bytes)
  }

  /** No more comes than the window lets. */
  private keep(bytes: Uint8Array): void {
    const length = this.earlyBytes + bytes.length
    if (length > this.early.length) {
      const larger = new Uint8Array(2 * length)
      larger.set(this.early)
      this.early = larger
    }
    this.early.set(bytes, this.earlyBytes)
    this.earlyBytes = length
  }

  /** The other side's FIN. */
  closeRemote(): void {
    this.remoteClosed = true
    this.told?.remoteClosed()
  }

  /** Whether what has gone out matters to its owner: there is room again, or it was the FIN. */
  hears(): boolean {
    return this.finSent || (this.wantsDrain && this.queue.bytes <= writeLowBytes)
  }

  /** Bytes went out. */
  sent(): void {
    if (!this.wantsDrain || this.over || this.queue.bytes > writeLowBytes) return
    this.wantsDrain = false
    this.told?.drain()
  }

  /** Nothing of it goes out any more. */
  silence(): void {
    this.queue.clear()
    this.closing = true
    this.finSent = true
    this.flags = 0
    this.grant = 0
  }

  /** The session has let go of it. */
  end(fault: Libp2pFault | undefined): void {
    this.over = true
    this.fault = fault
    this.told?.ended(fault)
  }
}
