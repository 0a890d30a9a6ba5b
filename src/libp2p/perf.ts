/**
 * Perf (libp2p specs, perf): the client says in 8 bytes, big-endian, how much it wants back, uploads, closes its writing side; only
 * then the server sends. Both sides are told what to send in blocks, so that a full stream can make them wait.
 */
import { cheapFault, type Libp2pFault } from "./fault.ts"

export const perfProtocol = "/perf/1.0.0"
/** Bytes written at once, as js has it. */
export const perfBlockBytes = 65_536
/** Bytes that a server sends for one request: more than an hour at full speed helps nobody to measure. */
export const perfDownloadBytesMax = 2 ** 40

const headerBytes = 8

/** Bytes without meaning, given out in blocks. */
class Blocks {
  private left: number
  private readonly block: Uint8Array

  constructor(bytes: number, blockBytes: number) {
    this.left = bytes
    this.block = new Uint8Array(Math.min(bytes, blockBytes))
  }

  next(): Uint8Array | undefined {
    if (this.left === 0) return undefined
    const length = Math.min(this.left, this.block.length)
    this.left -= length
    return this.block.subarray(0, length)
  }
}

/** The side that is measured against. */
export class PerfServer {
  private readonly header = new Uint8Array(headerBytes)
  private readonly bytesMax: number
  private readonly blockBytes: number
  private received = 0
  private blocks: Blocks | undefined

  constructor(options: { readonly bytesMax?: number | undefined; readonly blockBytes?: number | undefined } = {}) {
    this.bytesMax = options.bytesMax ?? perfDownloadBytesMax
    this.blockBytes = options.blockBytes ?? perfBlockBytes
  }

  /** Bytes of upload that came. */
  uploaded(): number {
    return Math.max(0, this.received - headerBytes)
  }

  /** Bytes in any pieces; nothing of the upload is kept. */
  receive(bytes: Uint8Array): void {
    if (this.received < headerBytes) this.header.set(bytes.subarray(0, headerBytes - this.received), this.received)
    this.received += bytes.length
  }

  /** The client writes no more: from here on `next` has blocks. A fault: it never said what it wants, or wants too much. */
  remoteClosed(): Libp2pFault | undefined {
    if (this.received < headerBytes)
      return cheapFault(
        "decode",
        "InvalidMessageError",
        "perf: the upload ended before the size of the download was told"
      )
    const wanted = new DataView(this.header.buffer).getBigUint64(0)
    if (wanted > BigInt(this.bytesMax))
      return cheapFault(
        "resource",
        "ResourceLimitError",
        `perf: ${wanted} bytes are asked for, ${this.bytesMax} at most`
      )
    this.blocks = new Blocks(Number(wanted), this.blockBytes)
    return undefined
  }

  /** The next block of the download; undefined: all is sent, the writing side is to be closed. */
  next(): Uint8Array | undefined {
    return this.blocks?.next()
  }
}

/** The side that measures. */
export class PerfClient {
  private readonly wanted: number
  private readonly blocks: Blocks
  private opening: Uint8Array | undefined
  private received = 0

  constructor(upload: number, download: number, blockBytes: number = perfBlockBytes) {
    this.wanted = download
    this.blocks = new Blocks(upload, blockBytes)
    this.opening = new Uint8Array(headerBytes)
    new DataView(this.opening.buffer).setBigUint64(0, BigInt(download))
  }

  /** What to send next, the 8 bytes first; undefined: the writing side is to be closed. */
  next(): Uint8Array | undefined {
    const { opening } = this
    this.opening = undefined
    return opening ?? this.blocks.next()
  }

  /** Bytes of download that came. */
  downloaded(): number {
    return this.received
  }

  /** Bytes in any pieces. A fault: more than was asked for. */
  receive(bytes: Uint8Array): Libp2pFault | undefined {
    this.received += bytes.length
    return this.received > this.wanted ? this.wrongLength() : undefined
  }

  /** The server writes no more. A fault: less than was asked for. */
  remoteClosed(): Libp2pFault | undefined {
    return this.received < this.wanted ? this.wrongLength() : undefined
  }

  private wrongLength(): Libp2pFault {
    return cheapFault("protocol", "ProtocolError", `perf: ${this.received} bytes came, ${this.wanted} were asked for`)
  }
}
