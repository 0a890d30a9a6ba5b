/** Messages that go with their length before them, as most protocols of libp2p send them: uvarint length, then so many bytes. */
import { concat } from "../codec/bytes.ts"
import { cheapFault, Libp2pFault } from "./fault.ts"
import { readVarint, varintLength, writeVarint } from "./varint.ts"

/** A message in its frame. */
export const frameOf = (bytes: Uint8Array): Uint8Array => {
  const out = new Uint8Array(varintLength(bytes.length) + bytes.length)
  out.set(bytes, writeVarint(bytes.length, out, 0))
  return out
}

/** Cuts a stream of bytes into messages. A length above `bytesMax` is refused before a byte of it is kept. */
export class FrameReader {
  private kept: Uint8Array = new Uint8Array(0)
  private readonly bytesMax: number

  constructor(bytesMax: number) {
    this.bytesMax = bytesMax
  }

  /** Bytes came, in any pieces. */
  push(bytes: Uint8Array): void {
    this.kept = this.kept.length === 0 ? bytes : concat(this.kept, bytes)
  }

  /** The next whole message (a view), undefined: not yet, a fault (decode): there will be none. */
  next(): Uint8Array | Libp2pFault | undefined {
    const length = readVarint(this.kept)
    if (length === undefined || length instanceof Libp2pFault) return length
    if (length.value > this.bytesMax)
      return cheapFault("decode", "InvalidMessageError", `a message of ${length.value} bytes, ${this.bytesMax} at most`)
    const end = length.end + length.value
    if (this.kept.length < end) return undefined
    const message = this.kept.subarray(length.end, end)
    this.kept = this.kept.subarray(end)
    return message
  }

  /** What came behind the messages that were taken. */
  rest(): Uint8Array {
    return this.kept
  }
}
