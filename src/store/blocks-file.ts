/**
 * Blocks of a best branch as a file: a head, then a record for each block, lowest first. See docs/protocol.md, "Block file". Each
 * record's check covers the one before, so a record that is damaged, moved or missing is found where it stands. A file may
 * be continued, so it has no end: one whose last record is cut off is good up to there.
 */
import { closeSync, existsSync, fsyncSync, ftruncateSync, openSync, writeSync } from "node:fs"
import { Result } from "effect"
import { type Block, decodeBlock } from "../block/block.ts"
import type { Ledger } from "../ledger/ledger.ts"
import { concat, equal, fromUtf8, readU32, toHex, utf8, writeU32 } from "../codec/bytes.ts"
import { sha256 } from "../crypto/hash.ts"
import { faulting } from "../io/files.ts"
import { FileReader } from "../io/stream.ts"
import { blockBytesMax, chainIdBytesMax } from "../limits.ts"

/** Why a file of blocks is not taken, or not continued. Codes are documented in docs/errors.md. */
export class BlocksFault extends Error {
  override readonly name = "BlocksFault"
  readonly code: "blocks-malformed" | "blocks-damaged" | "blocks-version" | "blocks-mismatch" | "blocks-refused"
  readonly hint: string

  constructor(code: BlocksFault["code"], message: string, hint: string) {
    super(message)
    this.code = code
    this.hint = hint
  }
}

const magic = utf8("cairnblk")
const version = 1
const checkBytes = 32
const kept = "What stood before it was taken. Get the file again."

export interface BlocksHead {
  readonly chainId: string
  readonly genesis: Uint8Array
}

/** magic ‖ u32 version ‖ u8 length, chain id ‖ genesis. */
const encodeHead = ({ chainId, genesis }: BlocksHead): Uint8Array => {
  const id = utf8(chainId)
  const numbers = new Uint8Array(5)
  writeU32(numbers, 0, version)
  numbers[4] = id.length
  return concat(magic, numbers, id, genesis)
}

const prefixOf = (length: number): Uint8Array => {
  const out = new Uint8Array(4)
  writeU32(out, 0, length)
  return out
}

/** A file of blocks from its beginning on. Every method throws BlocksFault, FileFault. */
export class BlocksReader {
  readonly head: BlocksHead
  /** Bytes of the head and of the whole records that were read. */
  bytes: number
  /** Bytes of a last record that is cut off; known when all was read. */
  torn = 0
  private readonly file: FileReader
  /** Of the last record that was read. */
  check: Uint8Array

  constructor(path: string) {
    this.file = new FileReader(path)
    try {
      const start = this.file.read(magic.length + 5)
      if (start.length < magic.length + 5 || !equal(start.subarray(0, magic.length), magic))
        throw new BlocksFault("blocks-malformed", "The file is not one of blocks.", "cairn export writes such files.")
      const found = readU32(start, magic.length)
      if (found !== version)
        throw new BlocksFault(
          "blocks-version",
          `The file has version ${found}; ${version} is known.`,
          "Use the newer program."
        )
      const idLength = start[magic.length + 4]!
      const rest = this.file.read(idLength + 32 + checkBytes)
      const chainId = fromUtf8(rest.subarray(0, idLength))
      if (idLength > chainIdBytesMax || rest.length < idLength + 32 + checkBytes || chainId === undefined)
        throw new BlocksFault("blocks-malformed", "The head of the file is cut off.", "Get the file again.")
      const whole = concat(start, rest)
      this.check = whole.slice(-checkBytes)
      if (!equal(this.check, sha256(whole.subarray(0, -checkBytes))))
        throw new BlocksFault("blocks-damaged", "The head of the file is damaged.", "Get the file again.")
      this.head = { chainId, genesis: rest.slice(idLength, idLength + 32) }
      this.bytes = whole.length
    } catch (error) {
      this.file.close()
      throw error
    }
  }

  /** The bytes of the next block; undefined: there are no more whole ones. */
  next(): Uint8Array | undefined {
    const prefix = this.file.read(4)
    const length = prefix.length === 4 ? readU32(prefix, 0) : 0
    if (length > blockBytesMax)
      throw new BlocksFault("blocks-damaged", `A record at byte ${this.bytes} is longer than any block.`, kept)
    const rest = prefix.length < 4 ? new Uint8Array(0) : this.file.read(length + checkBytes)
    if (prefix.length < 4 || rest.length < length + checkBytes) {
      this.torn = prefix.length + rest.length
      return undefined
    }
    const block = rest.subarray(0, length)
    const check = sha256(concat(this.check, prefix, block))
    if (!equal(check, rest.subarray(length)))
      throw new BlocksFault("blocks-damaged", `The record at byte ${this.bytes} is damaged.`, kept)
    this.check = check
    this.bytes += 4 + length + checkBytes
    return block
  }

  /** Every block of the file. */
  *blocks(ledger: Pick<Ledger, "decode">): Generator<Block> {
    for (let bytes = this.next(); bytes !== undefined; bytes = this.next()) {
      const decoded = decodeBlock(bytes, ledger)
      if (Result.isFailure(decoded))
        throw new BlocksFault("blocks-refused", `A record is no block: ${decoded.failure.what}.`, kept)
      yield decoded.success
    }
  }

  close(): void {
    this.file.close()
  }
}

/** Refuses a file of another chain. */
export const needChain = (head: BlocksHead, chain: BlocksHead): void => {
  if (equal(head.genesis, chain.genesis) && head.chainId === chain.chainId) return
  throw new BlocksFault(
    "blocks-mismatch",
    `The file is of chain "${head.chainId}" with genesis ${toHex(head.genesis)}, not "${chain.chainId}".`,
    "Name the folder of its chain, or another file."
  )
}

/** Appends records to a file; what a killed process has left half written goes first. Every method throws FileFault. */
export class BlocksWriter {
  private readonly path: string
  private readonly file: number
  private check: Uint8Array
  private at: number
  private unflushed = 0

  private constructor(path: string, at: number, check: Uint8Array) {
    this.path = path
    this.at = at
    this.check = check
    this.file = faulting(path, () => {
      const file = openSync(path, existsSync(path) ? "r+" : "wx", 0o644)
      ftruncateSync(file, at)
      return file
    })
  }

  /** Begins a file; it must not be there, or be one that was begun and has no head yet. */
  static begin(path: string, head: BlocksHead): BlocksWriter {
    const bytes = encodeHead(head)
    const out = new BlocksWriter(path, 0, sha256(bytes))
    out.append(concat(bytes, out.check))
    out.flush()
    return out
  }

  /** Goes on after the records that a reader has read to their end. */
  static after(path: string, read: BlocksReader): BlocksWriter {
    return new BlocksWriter(path, read.bytes, read.check)
  }

  get bytes(): number {
    return this.at
  }

  write(block: Uint8Array): void {
    const prefix = prefixOf(block.length)
    this.check = sha256(concat(this.check, prefix, block))
    this.append(concat(prefix, block, this.check))
    if (this.unflushed > 64 * 1024 * 1024) this.flush()
  }

  flush(): void {
    faulting(this.path, () => fsyncSync(this.file))
    this.unflushed = 0
  }

  close(): void {
    closeSync(this.file)
  }

  private append(bytes: Uint8Array): void {
    faulting(this.path, () => {
      for (let done = 0; done < bytes.length; )
        done += writeSync(this.file, bytes, done, bytes.length - done, this.at + done)
    })
    this.at += bytes.length
    this.unflushed += bytes.length
  }
}
