/**
 * Frames: u32 little-endian length of what follows, a 3-letter tag, a MessagePack body (C 4.3 is the model).
 * A frame that is too long ends the session when its length is read, before a byte of it is kept.
 */
import { concatAll, readU32, writeU32 } from "../codec/bytes.ts"

export interface Frame {
  readonly tag: string
  readonly body: Uint8Array
}

const headBytes = 7
const tagForm = /^[A-Z]{3}$/

/** The bytes of a frame. */
export const encodeFrame = ({ tag, body }: Frame): Uint8Array => {
  const out = new Uint8Array(headBytes + body.length)
  writeU32(out, 0, 3 + body.length)
  for (let i = 0; i < 3; i++) out[4 + i] = tag.charCodeAt(i)
  out.set(body, headBytes)
  return out
}

/** Cuts a stream of bytes into frames. */
export class FrameReader {
  private chunks: Array<Uint8Array> = []
  private held = 0
  /** Longest length field taken; raised when the peer has proven who it is. */
  bytesMax: number

  constructor(bytesMax: number) {
    this.bytesMax = bytesMax
  }

  /** Takes bytes as they come. */
  push(bytes: Uint8Array): void {
    if (bytes.length === 0) return
    this.chunks.push(bytes)
    this.held += bytes.length
  }

  /** The next whole frame; undefined: more bytes are needed; a text: why the stream must end here. */
  next(): Frame | string | undefined {
    if (this.held < 4) return undefined
    const length = readU32(this.peek(4), 0)
    if (length < 3) return "a frame without a tag"
    if (length > this.bytesMax) return `a frame of ${length} bytes; ${this.bytesMax} are allowed here`
    if (this.held < 4 + length) return undefined
    const bytes = this.take(4 + length)
    const tag = String.fromCharCode(bytes[4]!, bytes[5]!, bytes[6]!)
    return tagForm.test(tag) ? { tag, body: bytes.subarray(headBytes) } : "a tag that is not three letters"
  }

  private peek(count: number): Uint8Array {
    const first = this.chunks[0]!
    if (first.length >= count) return first
    this.chunks = [concatAll(this.chunks)]
    return this.chunks[0]!
  }

  private take(count: number): Uint8Array {
    const parts: Array<Uint8Array> = []
    let needed = count
    while (needed > 0) {
      const chunk = this.chunks.shift()!
      if (chunk.length > needed) {
        parts.push(chunk.subarray(0, needed))
        this.chunks.unshift(chunk.subarray(needed))
        needed = 0
      } else {
        parts.push(chunk)
        needed -= chunk.length
      }
    }
    this.held -= count
    return parts.length === 1 ? parts[0]! : concatAll(parts)
  }
}
