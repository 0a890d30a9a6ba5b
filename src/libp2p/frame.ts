/** Messages that go with their length before them, as most protocols of libp2p send them: uvarint length, then so many bytes. */
import { cheapFault, Libp2pFault } from "./fault.ts"
import { readVarint, varintLength, writeVarint } from "./varint.ts"

/** A message in its frame. */
export const frameOf = (bytes: Uint8Array): Uint8Array => {
  const out = new Uint8Array(varintLength(bytes.length) + bytes.length)
  out.set(bytes, writeVarint(bytes.length, out, 0))
  return out
}

const nothing = new Uint8Array(0)

/**
 * Cuts a stream of bytes into messages. A length above `bytesMax` is refused before a byte of it is waited for. What waits is
 * copied a fixed number of times, in however many pieces it comes; a piece that holds whole messages is not copied at all. A
 * piece is a view of all that the link read at once: none is kept for the sake of a message that has only begun.
 */
export class FrameReader {
  private buffer: Uint8Array = nothing
  private start = 0
  private end = 0
  /** Bytes that must wait before there is anything to do. */
  private wanted = 1
  /** The buffer is the caller's. */
  private lent = false
  private readonly bytesMax: number

  constructor(bytesMax: number) {
    this.bytesMax = bytesMax
  }

  /** Bytes came, in any pieces. Until `next` says undefined they are kept, not copied, and must stay as they are. */
  push(bytes: Uint8Array): void {
    if (this.start === this.end) {
      this.buffer = bytes
      this.lent = true
      this.start = 0
      this.end = bytes.length
      return
    }
    // What stands before `end` is never written again, for there are views of it.
    if (this.lent || this.buffer.length - this.end < bytes.length) this.move(bytes.length)
    this.buffer.set(bytes, this.end)
    this.end += bytes.length
  }

  /** What waits goes into a buffer of its own, with room for `more` bytes and as much again. */
  private move(more: number): void {
    const waiting = this.end - this.start
    const larger = new Uint8Array(2 * (waiting + more))
    larger.set(this.rest())
    this.buffer = larger
    this.lent = false
    this.start = 0
    this.end = waiting
  }

  /** The next whole message (a view), undefined: not yet, a fault (decode): there will be none. */
  next(): Uint8Array | Libp2pFault | undefined {
    const message = this.message()
    if (message === undefined && this.lent && this.start < this.end) this.move(0)
    return message
  }

  private message(): Uint8Array | Libp2pFault | undefined {
    if (this.end - this.start < this.wanted) return undefined
    const length = readVarint(this.rest())
    if (length === undefined || length instanceof Libp2pFault) return length
    if (length.value > this.bytesMax)
      return cheapFault("decode", "InvalidMessageError", `a message of ${length.value} bytes, ${this.bytesMax} at most`)
    this.wanted = length.end + length.value
    if (this.end - this.start < this.wanted) return undefined
    const message = this.buffer.subarray(this.start + length.end, this.start + this.wanted)
    this.start += this.wanted
    this.wanted = 1
    if (this.start === this.end) this.buffer = nothing
    return message
  }

  /** What came behind the messages that were taken: a view. */
  rest(): Uint8Array {
    return this.buffer.subarray(this.start, this.end)
  }
}
