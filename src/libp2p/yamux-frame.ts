/** Frames of yamux (libp2p specs, yamux 1.0.0): a header of twelve bytes, and behind that of DATA its payload. */

/** Version, type, flags (2), stream (4), length (4); numbers are big-endian. */
export const headerBytes = 12
/** Length: bytes of payload, a delta of the window, what a ping carries, a code. */
export const frameType = { data: 0, windowUpdate: 1, ping: 2, goAway: 3 } as const
export const flag = { syn: 1, ack: 2, fin: 4, rst: 8 } as const
export const goAwayCode = { normal: 0, protocol: 1, internal: 2 } as const

/** Reads headers, however they are cut, into its own fields: none is made for each frame. */
export class HeaderReader {
  version = 0
  type = 0
  flags = 0
  id = 0
  length = 0
  private readonly kept = new Uint8Array(headerBytes)
  private filled = 0

  /** Reads on at `at`; the offset behind the header, which now stands in the fields, or -1: the bytes ended inside it. */
  take(bytes: Uint8Array, at: number): number {
    if (this.filled === 0 && at + headerBytes <= bytes.length) {
      this.read(bytes, at)
      return at + headerBytes
    }
    const end = Math.min(bytes.length, at + headerBytes - this.filled)
    for (let i = at; i < end; i++) this.kept[this.filled++] = bytes[i]!
    if (this.filled < headerBytes) return -1
    this.filled = 0
    this.read(this.kept, 0)
    return end
  }

  private read(bytes: Uint8Array, at: number): void {
    this.version = bytes[at]!
    this.type = bytes[at + 1]!
    this.flags = (bytes[at + 2]! << 8) | bytes[at + 3]!
    this.id = uint32(bytes, at + 4)
    this.length = uint32(bytes, at + 8)
  }
}

const uint32 = (bytes: Uint8Array, at: number): number =>
  ((bytes[at]! << 24) | (bytes[at + 1]! << 16) | (bytes[at + 2]! << 8) | bytes[at + 3]!) >>> 0

/**
 * Bytes that headers and small payloads are written into, one behind the other; then there is a new array of them, twice as
 * long up to the second: an idle session keeps a short one.
 */
const poolBytesMin = 64
const poolBytesMax = 4_096
/** A payload up to this size is copied behind its header: that is cheaper than a view of it. */
const copiedBytesMax = 256

const nothing = { parts: [], length: 0 } as const

/** Gathers the frames of one pull: runs of headers and small payloads as single parts, large payloads as they are. */
export class FrameWriter {
  /** Bytes gathered. */
  length = 0
  private pool = new Uint8Array(0)
  private from = 0
  private at = 0
  private parts: Array<Uint8Array> = []

  header(type: number, flags: number, id: number, length: number): void {
    if (this.at + headerBytes > this.pool.length) this.renew()
    const { pool, at } = this
    pool[at] = 0
    pool[at + 1] = type
    pool[at + 2] = flags >>> 8
    pool[at + 3] = flags
    pool[at + 4] = id >>> 24
    pool[at + 5] = id >>> 16
    pool[at + 6] = id >>> 8
    pool[at + 7] = id
    pool[at + 8] = length >>> 24
    pool[at + 9] = length >>> 16
    pool[at + 10] = length >>> 8
    pool[at + 11] = length
    this.at += headerBytes
    this.length += headerBytes
  }

  payload(bytes: Uint8Array): void {
    this.length += bytes.length
    if (bytes.length <= copiedBytesMax && this.at + bytes.length <= this.pool.length) {
      this.pool.set(bytes, this.at)
      this.at += bytes.length
      return
    }
    this.closeRun()
    this.parts.push(bytes)
  }

  /** What was gathered; it is given away. */
  take(): { readonly parts: ReadonlyArray<Uint8Array>; readonly length: number } {
    if (this.length === 0) return nothing
    this.closeRun()
    const { parts, length } = this
    this.parts = []
    this.length = 0
    return { parts, length }
  }

  private closeRun(): void {
    if (this.at > this.from) this.parts.push(this.pool.subarray(this.from, this.at))
    this.from = this.at
  }

  private renew(): void {
    this.closeRun()
    this.pool = new Uint8Array(Math.max(poolBytesMin, Math.min(2 * this.pool.length, poolBytesMax)))
    this.from = 0
    this.at = 0
  }
}
