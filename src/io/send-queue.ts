/** Bytes on their way to a socket that takes what the kernel takes. The TCP doors share it. */
import { concat } from "../codec/bytes.ts"

/** Writes that wait together and stay below this go out as one: each of its own would be a TLS record. */
const joinedBytesMax = 16_384

export class SendQueue {
  /** Bytes that wait. */
  bytes = 0
  private readonly parts: Array<Uint8Array> = []
  private offset = 0

  /** The array is given away. */
  push(bytes: Uint8Array): void {
    const last = this.parts.at(-1)
    // The first one may be under way already, in part.
    const joins = last !== undefined && this.parts.length > 1 && last.length + bytes.length < joinedBytesMax
    if (joins) this.parts[this.parts.length - 1] = concat(last, bytes)
    else this.parts.push(bytes)
    this.bytes += bytes.length
  }

  /** Hands on what the socket takes. True: nothing waits any more. */
  flush(socket: { readonly write: (bytes: Uint8Array) => number }): boolean {
    while (this.parts.length > 0) {
      const head = this.parts[0]!
      const sent = socket.write(this.offset === 0 ? head : head.subarray(this.offset))
      if (sent < 0) return false
      this.bytes -= sent
      this.offset += sent
      if (this.offset < head.length) return false
      this.parts.shift()
      this.offset = 0
    }
    return true
  }
}
