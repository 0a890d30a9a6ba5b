/**
 * What came over a stream and no reader has taken. A piece that came is a view of all that the link read at once: one byte of it
 * would keep the whole. So what stays is copied, small pieces into one, and what it costs is what is really kept.
 */

/** Bytes that came in one piece. */
export interface Chunk {
  readonly bytes: Uint8Array
  /** Bytes that the window gets back when it is read: none for what was pushed back. */
  readonly credit: number
}

interface Kept {
  bytes: Uint8Array
  credit: number
  cost: number
}

/** Bytes that a chunk costs beside those of its buffer: the entry, the view, the buffer's head. */
export const chunkBytes = 256
/** A piece below this size is put together with those beside it, to so many bytes. */
const smallBytesMax = 4_096
const joinedBytesMax = 16_384
const roomBytesMin = 64
/** Pieces of one read that may wait for a reader who is about to take them. */
const looseMax = 64

const none = new Uint8Array(0)

export class Unread {
  /** Bytes to read. */
  length = 0
  /** What stays: in buffers of its own, or such as it fills by half. */
  private kept: Array<Kept> = []
  private keptCost = 0
  /** The buffer of the last that stays, if more may be put behind it. */
  private room = none
  /** What came last, as it came; behind the rest. */
  private loose: Array<Chunk> = []

  /** Bytes of memory that it keeps, those included that nobody will read. */
  get cost(): number {
    const [first] = this.loose
    if (first === undefined) return this.keptCost
    return this.keptCost + first.bytes.buffer.byteLength + this.loose.length * chunkBytes
  }

  /** Behind all else, as it is. Once the readers had their turn, `rest` must be called. */
  push(bytes: Uint8Array, credit: number): void {
    this.loose.push({ bytes, credit })
    this.length += bytes.length
  }

  /** Before all else: what a reader gives back. */
  unshift(bytes: Uint8Array): void {
    const one = keep({ bytes, credit: 0 })
    this.kept.unshift(one)
    this.keptCost += one.cost
    this.length += bytes.length
  }

  shift(): Chunk | undefined {
    const chunk = this.kept.length > 0 ? this.takeKept() : this.loose.shift()
    if (chunk !== undefined) this.length -= chunk.bytes.length
    return chunk
  }

  private takeKept(): Chunk {
    const chunk = this.kept.shift()!
    this.keptCost -= chunk.cost
    // Its reader has it now: nothing is written there any more.
    if (this.kept.length === 0) this.room = none
    return chunk
  }

  /** The readers had their turn. `soon`: one is about to take more, and so the pieces of one read may wait as they came. */
  rest(soon: boolean): void {
    const { loose } = this
    if (loose.length === 0) return
    if (!soon || loose.length > looseMax || loose[0]!.bytes.buffer !== loose.at(-1)!.bytes.buffer) this.settle()
  }

  /** Lets go of all that is not to be read. */
  settle(): void {
    for (const chunk of this.loose.splice(0)) {
      if (chunk.bytes.length < smallBytesMax) this.join(chunk)
      else {
        const one = keep(chunk)
        this.kept.push(one)
        this.keptCost += one.cost
        this.room = none
      }
    }
  }

  clear(): void {
    this.length = 0
    this.kept = []
    this.keptCost = 0
    this.room = none
    this.loose = []
  }

  private join({ bytes, credit }: Chunk): void {
    const last = this.lastFor(bytes.length)
    const used = last.bytes.length
    const length = used + bytes.length
    if (length > this.room.length) {
      const larger = new Uint8Array(Math.min(joinedBytesMax, Math.max(roomBytesMin, 2 * length)))
      larger.set(last.bytes)
      this.keptCost += larger.length - this.room.length
      last.cost += larger.length - this.room.length
      this.room = larger
    }
    this.room.set(bytes, used)
    last.bytes = this.room.subarray(0, length)
    last.credit += credit
  }

  /** The last that stays, if so many bytes more may be put behind it; else a new one. */
  private lastFor(bytes: number): Kept {
    const last = this.kept.at(-1)
    if (last !== undefined && this.room.length > 0 && last.bytes.length + bytes <= joinedBytesMax) return last
    const fresh = { bytes: none, credit: 0, cost: chunkBytes }
    this.kept.push(fresh)
    this.keptCost += fresh.cost
    this.room = none
    return fresh
  }
}

/** A copy, where less than half of the buffer is to be read. */
const keep = ({ bytes, credit }: Chunk): Kept => {
  const own = 2 * bytes.length < bytes.buffer.byteLength ? bytes.slice() : bytes
  return { bytes: own, credit, cost: own.buffer.byteLength + chunkBytes }
}
