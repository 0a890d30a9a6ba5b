/** Noise's messages on a stream of bytes: two bytes of length, big-endian, then so many bytes (libp2p specs, noise, "Wire format"). */
import { assert } from "../assert.ts"

export const noiseHeadBytes = 2
/** Bytes of one message: what two bytes of length can say. */
export const noiseMessageBytesMax = 65_535
/** Room that a message which has only begun is given at first; it grows as bytes come, never before. */
const roomMin = 1_024

const none = new Uint8Array(0)

/** Cuts a stream into messages. A message that is whole within one piece is a view of it; only one that is not is copied. */
export class NoiseFrames {
  /** The message that has begun, with its head, and how much of it is there. */
  private kept: Uint8Array = none
  private have = 0
  /** What came and was not looked at yet. */
  private fresh: Uint8Array = none

  /** Bytes came. All that came before them must have been taken: `next` said undefined. */
  push(bytes: Uint8Array): void {
    this.fresh = bytes
  }

  /** The next whole message, without its head. Undefined: not yet; what there is of it is kept. */
  next(): Uint8Array | undefined {
    if (this.have > 0) return this.complete()
    const bytes = this.fresh
    const end = bytes.length < noiseHeadBytes ? noiseHeadBytes : noiseHeadBytes + lengthOf(bytes)
    if (bytes.length < noiseHeadBytes || bytes.length < end) {
      this.keep(bytes.length, end)
      return undefined
    }
    this.fresh = bytes.subarray(end)
    return bytes.subarray(noiseHeadBytes, end)
  }

  /** What came behind the message that was just taken. */
  rest(): Uint8Array {
    return this.fresh
  }

  private complete(): Uint8Array | undefined {
    if (this.have < noiseHeadBytes) this.keep(noiseHeadBytes - this.have, noiseHeadBytes)
    if (this.have < noiseHeadBytes) return undefined
    const end = noiseHeadBytes + lengthOf(this.kept)
    this.keep(end - this.have, end)
    if (this.have < end) return undefined
    const message = this.kept.subarray(noiseHeadBytes, end)
    this.kept = none
    this.have = 0
    return message
  }

  /** Moves at most `count` of the fresh bytes to the message that has begun, whose end is as far as is known. */
  private keep(count: number, end: number): void {
    const part = this.fresh.subarray(0, count)
    // An empty view would hold the piece that it is of, for as long as nothing more comes.
    this.fresh = count >= this.fresh.length ? none : this.fresh.subarray(count)
    if (part.length === 0) return
    const need = this.have + part.length
    if (need > this.kept.length) {
      const room = new Uint8Array(Math.min(end, Math.max(roomMin, 2 * need)))
      room.set(this.kept.subarray(0, this.have))
      this.kept = room
    }
    this.kept.set(part, this.have)
    this.have = need
  }
}

const lengthOf = (bytes: Uint8Array): number => bytes[0]! * 256 + bytes[1]!

export const writeNoiseHead = (length: number, out: Uint8Array, offset: number): void => {
  out[offset] = length >>> 8
  out[offset + 1] = length & 0xff
}

/** A message with its head. */
export const noiseFrame = (message: Uint8Array): Uint8Array => {
  assert(message.length <= noiseMessageBytesMax, "a message's length fits its head")
  const out = new Uint8Array(noiseHeadBytes + message.length)
  writeNoiseHead(message.length, out, 0)
  out.set(message, noiseHeadBytes)
  return out
}
