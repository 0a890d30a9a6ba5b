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

/** Bytes that headers and small payloads are written into, one behind the other; then there is a new array of them. */
const poolBytes = 4_096
/**
 * All writers share it, so that an idle session holds none of it: what one gathers is taken within the call that gathers it, and
 * what was given away is not written again.
 */
let pool = new Uint8Array(poolBytes)
/** Where the next one writes. */
let poolAt = 0
/** A payload up to this size is copied behind its header: that is cheaper than a view of it. */
const copiedBytesMax = 256

const nothing = { parts: [], length: 0 } as const

/** Gathers the frames of one pull: runs of headers and small payloads as single parts, large payloads as they are. */
export class FrameWriter {
  /** Bytes gathered. */
  length = 0
  /** Where in the pool the run begins that is being written, and its bytes so far. */
  private from = 0
  private run = 0
  private parts: Array<Uint8Array> = []

  header(type: number, flags: number, id: number, length: number): void {
    this.reserve(headerBytes)
    const at = poolAt
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
    this.wrote(headerBytes)
  }

  payload(bytes: Uint8Array): void {
    if (bytes.length <= copiedBytesMax && poolAt + bytes.length <= poolBytes) {
      this.reserve(bytes.length)
      pool.set(bytes, poolAt)
      this.wrote(bytes.length)
      return
    }
    this.length += bytes.length
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

  /** Room for `bytes` behind the run; the run begins here if there is none. */
  private reserve(bytes: number): void {
    if (poolAt + bytes > poolBytes) {
      this.closeRun()
      pool = new Uint8Array(poolBytes)
      poolAt = 0
    }
    if (this.run === 0) this.from = poolAt
  }

  private wrote(bytes: number): void {
    poolAt += bytes
    this.run += bytes
    this.length += bytes
  }

  private closeRun(): void {
    if (this.run > 0) this.parts.push(pool.subarray(this.from, this.from + this.run))
    this.run = 0
  }
}
