/**
 * Frames: u32 little-endian length of what follows, a 3-letter tag, a MessagePack body (C 4.3 is the model).
 * A frame that is too long ends the session when its length is read, before a byte of it is kept.
 */
import { concat, readU32, writeU32 } from "../codec/bytes.ts"

export interface Frame {
  readonly tag: string
  readonly body: Uint8Array
}

const lengthBytes = 4
const headBytes = 7
const nothing = new Uint8Array(0)

/** The bytes of a frame. */
export const encodeFrame = ({ tag, body }: Frame): Uint8Array => {
  const out = new Uint8Array(headBytes + body.length)
  writeU32(out, 0, 3 + body.length)
  for (let i = 0; i < 3; i++) out[4 + i] = tag.charCodeAt(i)
  out.set(body, headBytes)
  return out
}

const isTag = (bytes: Uint8Array, at: number): boolean => {
  for (let i = at; i < at + 3; i++) if (bytes[i]! < 0x41 || bytes[i]! > 0x5a) return false
  return true
}

/**
 * Cuts a stream of bytes into frames. A frame that came in one piece is a view of that piece; the pieces of another are
 * gathered once each, in memory that grows with what has come and not with what was promised, however small they are.
 */
export class FrameReader {
  private chunk: Uint8Array = nothing
  private at = 0
  /** The beginning of a frame whose end has not come: the first `held` bytes of `partial`. */
  private partial: Uint8Array = nothing
  private held = 0
  /** Longest length field taken; raised when the peer has proven who it is. */
  bytesMax: number

  constructor(bytesMax: number) {
    this.bytesMax = bytesMax
  }

  /** Takes bytes as they come, and keeps them: they must not change. `next` is to be called until it has no more. */
  push(bytes: Uint8Array): void {
    const left = this.chunk.length - this.at
    this.chunk = left === 0 ? bytes : concat(this.chunk.subarray(this.at), bytes)
    this.at = 0
  }

  /** The next whole frame; undefined: more bytes are needed; a text: why the stream must end here. */
  next(): Frame | string | undefined {
    this.letGo()
    const whole = this.measure()
    if (typeof whole !== "number") return whole
    if (this.held === 0 && this.chunk.length - this.at >= whole) {
      this.at += whole
      return frameAt(this.chunk, this.at - whole, whole)
    }
    this.gather(whole)
    if (this.held >= headBytes && !isTag(this.partial, lengthBytes)) return "a tag that is not three letters"
    if (this.held < whole) return undefined
    const { partial } = this
    this.partial = nothing
    this.held = 0
    return frameAt(partial, 0, whole)
  }

  /** Bytes of the frame that comes next, length field included, once that is known and allowed. */
  private measure(): number | string | undefined {
    if (this.held > 0 || this.chunk.length - this.at < lengthBytes) this.gather(lengthBytes)
    if (this.held > 0 && this.held < lengthBytes) return undefined
    if (this.held === 0 && this.at === this.chunk.length) return undefined
    const length = this.held > 0 ? readU32(this.partial, 0) : readU32(this.chunk, this.at)
    if (length < 3) return "a frame without a tag"
    if (length > this.bytesMax) return `a frame of ${length} bytes; ${this.bytesMax} are allowed here`
    return lengthBytes + length
  }

  /** A chunk may be a view of much more that came with it: it is not kept once it is used up. */
  private letGo(): void {
    if (this.at < this.chunk.length) return
    this.chunk = nothing
    this.at = 0
  }

  /** Moves bytes from the chunk to the partial frame until it has `count`, or all that there are. */
  private gather(count: number): void {
    const end = Math.min(this.chunk.length, this.at + count - this.held)
    if (end <= this.at) return
    const held = this.held + end - this.at
    if (held > this.partial.length) {
      const grown = new Uint8Array(Math.min(count, 4 * held))
      grown.set(this.partial.subarray(0, this.held))
      this.partial = grown
    }
    this.partial.set(this.chunk.subarray(this.at, end), this.held)
    this.held = held
    this.at = end
    this.letGo()
  }
}

const frameAt = (bytes: Uint8Array, at: number, length: number): Frame | string =>
  isTag(bytes, at + lengthBytes)
    ? {
        tag: String.fromCharCode(bytes[at + 4]!, bytes[at + 5]!, bytes[at + 6]!),
        body: bytes.subarray(at + headBytes, at + length)
      }
    : "a tag that is not three letters"
