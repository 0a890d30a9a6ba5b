/**
 * A journal on disk: segment files of blocks of entries. A block is written when a slice ends, in one write, so what a
 * killed process had handled is there; a CRC-32 over its bytes and one over its head tell damage from a torn end.
 *
 *   000001.log   magic (8), number (4), then blocks: length (4), CRC of the bytes (4), CRC of these eight (4), bytes
 */
import { closeSync, existsSync, openSync, writeSync } from "node:fs"
import { join } from "node:path"
import { concatAll, equal, readU32, utf8, writeU32 } from "../codec/bytes.ts"
import { FileFault, readBytes } from "../io/files.ts"
import { type Entry, EntryReader, EntryWriter } from "./entry.ts"

/** Bytes after which the next segment begins: what a reader holds at a time. */
const segmentBytes = 8 * 1024 * 1024
/** Bytes of entries that wait for the end of a slice; more are written at once. */
const blockBytes = 1024 * 1024
/** Bytes of one entry: far above what a socket gives at a time, or a caller says. A longer one ends the recording. */
export const entryBytesMax = 4 * 1024 * 1024
/** No segment of ours is longer. A longer file is not one. */
const segmentBytesMax = segmentBytes + blockBytes + entryBytesMax + 1024

const magic = utf8("cairnfl1")
const headBytes = 12
const crc = (bytes: Uint8Array): number => Bun.hash.crc32(bytes)

export const segmentPath = (folder: string, number: number): string =>
  join(folder, `${String(number).padStart(6, "0")}.log`)

const segmentHead = (number: number): Uint8Array => {
  const head = new Uint8Array(headBytes)
  head.set(magic)
  writeU32(head, 8, number)
  return head
}

const blockHead = (bytes: Uint8Array): Uint8Array => {
  const head = new Uint8Array(headBytes)
  writeU32(head, 0, bytes.length)
  writeU32(head, 4, crc(bytes))
  writeU32(head, 8, crc(head.subarray(0, 8)))
  return head
}

/** A file that is written from its beginning to its end. The machine may refuse any of it with an Error. */
export interface Sink {
  readonly write: (bytes: Uint8Array) => void
  readonly close: () => void
}

/** A new file that only its owner may read. */
export const openFile = (path: string): Sink => {
  const file = openSync(path, "wx", 0o600)
  return {
    write: (bytes) => {
      for (let done = 0; done < bytes.length; ) done += writeSync(file, bytes, done)
    },
    close: () => closeSync(file)
  }
}

export interface JournalOptions {
  /** Undefined: nothing is written. */
  readonly folder: string | undefined
  /** Bytes in all; the entry that would go beyond ends the recording. */
  readonly bytesMax: number
  /** Told once, when nothing more is written: the disk is in trouble, or the journal is full. */
  readonly onFault: (reason: string) => void
  readonly open?: (path: string) => Sink
}

/** Writes a journal. It never throws: trouble ends the recording, not the node. */
export class JournalWriter {
  /** Bytes on disk. */
  bytes = 0
  entries = 0
  /** Why nothing more is written. */
  fault: string | undefined
  private readonly options: JournalOptions
  private readonly writer = new EntryWriter()
  private sink: Sink | undefined
  private segment = 0
  private inSegment = 0

  constructor(options: JournalOptions) {
    this.options = options
    if (options.folder === undefined) this.fault = "there is no folder"
  }

  /** Is something appended and not on disk yet? */
  get waits(): boolean {
    return this.writer.length > 0
  }

  append(entry: Entry): void {
    if (this.fault !== undefined) return
    const before = this.writer.length
    try {
      this.writer.put(entry)
    } catch (error) {
      // An entry that has no form is our bug, and still no reason to end the node.
      return this.give((error as Error).message)
    }
    this.entries++
    if (this.writer.length - before > entryBytesMax) return this.give("an entry is longer than the journal takes")
    if (this.writer.length > blockBytes) this.flush()
  }

  /** Puts what was appended on disk, as far as the system's cache: it outlives the process, not the machine. */
  flush(): void {
    const { view } = this.writer
    if (this.fault !== undefined || view.length === 0) return
    if (this.bytes + headBytes + view.length > this.options.bytesMax) return this.give("the journal is full")
    try {
      if (this.sink === undefined || this.inSegment > segmentBytes) this.turn()
      this.write(concatAll([blockHead(view), view]))
    } catch (error) {
      return this.give((error as Error).message)
    }
    this.writer.clear()
  }

  close(): void {
    this.flush()
    this.shut()
    this.fault ??= "it is closed"
  }

  /** Begins the next segment. */
  private turn(): void {
    this.shut()
    const { folder = "", open = openFile } = this.options
    this.segment++
    this.sink = open(segmentPath(folder, this.segment))
    this.inSegment = 0
    this.write(segmentHead(this.segment))
  }

  private write(bytes: Uint8Array): void {
    this.sink!.write(bytes)
    this.inSegment += bytes.length
    this.bytes += bytes.length
  }

  private give(reason: string): void {
    this.fault = reason
    this.writer.clear()
    this.shut()
    this.options.onFault(reason)
  }

  private shut(): void {
    const { sink } = this
    this.sink = undefined
    try {
      sink?.close()
    } catch {
      // What a close refuses was written before: the reader finds out.
    }
  }
}

/** Reads a journal, one segment in memory at a time. Never throws but FileFault, for what the system refuses. */
export class JournalReader {
  /** Bytes at the very end that are no whole block: the process was killed while it wrote. */
  torn = 0
  /** What is damaged, and where. Nothing is read beyond. */
  damage: string | undefined
  /** Number of the entry last given, from 1. */
  entries = 0
  private readonly folder: string
  private readonly reader = new EntryReader()
  private segment = 0
  private bytes = new Uint8Array(0)
  private offset = 0

  constructor(folder: string) {
    this.folder = folder
  }

  /** The next entry; undefined at the end, which is whole, torn or damaged. */
  next(): Entry | undefined {
    for (;;) {
      const entry = this.reader.next()
      if (entry !== undefined) {
        this.entries++
        return entry
      }
      if (this.reader.wrong !== undefined) this.damaged(this.reader.wrong)
      if (this.damage !== undefined || !this.block()) return undefined
    }
  }

  /** Puts the next block into the reader; false if there is none. */
  private block(): boolean {
    if (this.torn > 0 || (this.offset === this.bytes.length && !this.turn())) return false
    const rest = this.bytes.subarray(this.offset)
    if (rest.length === 0) return this.block()
    if (rest.length < headBytes) return this.tear(rest)
    const length = readU32(rest, 0)
    if (readU32(rest, 8) !== crc(rest.subarray(0, 8)) || length === 0) {
      // A machine that lost its power may leave a length that nobody has filled.
      return rest.every((byte) => byte === 0) ? this.tear(rest) : this.damaged("the head of a block is not as written")
    }
    if (rest.length < headBytes + length) return this.tear(rest)
    const bytes = rest.subarray(headBytes, headBytes + length)
    if (readU32(rest, 4) !== crc(bytes)) return this.damaged("a block is not as written")
    this.offset += headBytes + length
    this.reader.push(bytes)
    return true
  }

  private turn(): boolean {
    const path = segmentPath(this.folder, this.segment + 1)
    if (!existsSync(path)) return false
    this.segment++
    this.offset = 0
    try {
      this.bytes = readBytes(path, segmentBytesMax) as Uint8Array<ArrayBuffer>
    } catch (error) {
      if (!(error instanceof FileFault) || error.code !== "file-too-large") throw error
      return this.damaged("it is longer than a segment may be")
    }
    if (this.bytes.length < headBytes) return this.tear(this.bytes)
    const head = this.bytes.subarray(0, headBytes)
    if (!equal(head, segmentHead(this.segment))) return this.damaged("it does not begin as a segment does")
    this.offset = headBytes
    return true
  }

  /** The last segment may end anywhere; others are whole. */
  private tear(rest: Uint8Array): false {
    if (existsSync(segmentPath(this.folder, this.segment + 1))) return this.damaged("a block is cut off")
    this.torn = rest.length
    return false
  }

  private damaged(what: string): false {
    this.damage = `${segmentPath(this.folder, this.segment)} at byte ${this.offset}: ${what}`
    return false
  }
}
