/**
 * The file form of a snapshot: an 8-byte magic, then chunks. See docs/protocol.md, "Snapshot file".
 *
 * chunk = u8 kind ‖ u32 length ‖ payload ‖ check, check = SHA-256(check before ‖ kind ‖ length ‖ SHA-256(payload)): a chunk
 * that is damaged, moved, missing or added is found where it stands, and the last check names the whole file. Checks find
 * damage; whether what is said is true is found by the rules (snapshot-load.ts).
 */
import { readU32, readU64, writeU32, writeU64, concat, concatAll, equal, fromUtf8, toHex, utf8 } from "../codec/bytes.ts"
import { sha256, zeroHash } from "../crypto/hash.ts"
import type { FileReader, FileWriter } from "../io/stream.ts"
import { blockBytesMax, chainIdBytesMax } from "../limits.ts"

/** Why a snapshot cannot be made or is not taken. Codes are documented in docs/errors.md. */
export class SnapshotFault extends Error {
  override readonly name = "SnapshotFault"
  readonly code:
    | "snapshot-malformed"
    | "snapshot-damaged"
    | "snapshot-version"
    | "snapshot-chain-mismatch"
    | "snapshot-header-refused"
    | "snapshot-state-wrong"
    | "snapshot-supply-wrong"
    | "snapshot-block-refused"
    | "snapshot-height-wrong"
  readonly hint: string

  constructor(code: SnapshotFault["code"], message: string) {
    super(message)
    this.code = code
    this.hint = hints[code]
  }
}

const another = "Nothing was changed. Get the file again, or another one."
const hints: Readonly<Record<SnapshotFault["code"], string>> = {
  "snapshot-malformed": another,
  "snapshot-damaged": another,
  "snapshot-version": "Nothing was changed. Use the newer program that wrote it.",
  "snapshot-chain-mismatch": "Nothing was changed. Name the spec of its chain with --spec, or another folder.",
  "snapshot-header-refused": "Nothing was changed. Do not trust where it came from.",
  "snapshot-state-wrong": "Nothing was changed. Do not trust where it came from.",
  "snapshot-supply-wrong": "Nothing was changed. Do not trust where it came from.",
  "snapshot-block-refused": "Nothing was changed. Do not trust where it came from.",
  "snapshot-height-wrong": "Choose a height with --height, or leave it out for the tip."
}

export const malformed = (what: string): SnapshotFault =>
  new SnapshotFault("snapshot-malformed", `The file is not a snapshot: ${what}.`)

const magic = utf8("cairnsnp")
const version = 1
const checkBytes = 32
/** Bytes of headers or entries after which a chunk is closed: little memory, and little lost to checks. */
export const chunkBytes = 256 * 1024

/** Kinds of chunks, in the order in which they come: one head, any number of the others, one end. */
export const kinds = { head: 1, headers: 2, entries: 3, block: 4, end: 5 } as const
export type Kind = (typeof kinds)[keyof typeof kinds]

export interface Head {
  readonly chainId: string
  readonly genesis: Uint8Array
  /** Height of the entries, and the state root of the header there. */
  readonly stateHeight: number
  readonly stateRoot: Uint8Array
  /** Entries in the file. */
  readonly entries: number
  /** The last header and block of the file. */
  readonly height: number
  readonly tip: Uint8Array
}

/** u32 version ‖ u8 length, chain id ‖ genesis ‖ u64 state height ‖ state root ‖ u64 entries ‖ u64 height ‖ tip. */
export const encodeHead = (head: Head): Uint8Array => {
  const chainId = utf8(head.chainId)
  const numbers = [head.stateHeight, head.entries, head.height].map((value) => {
    const out = new Uint8Array(8)
    writeU64(out, 0, value)
    return out
  })
  const first = new Uint8Array(5)
  writeU32(first, 0, version)
  first[4] = chainId.length
  return concat(first, chainId, head.genesis, numbers[0]!, head.stateRoot, numbers[1]!, numbers[2]!, head.tip)
}

/** The head of a payload. Throws SnapshotFault. */
export const decodeHead = (bytes: Uint8Array): Head => {
  if (bytes.length >= 4 && readU32(bytes, 0) !== version) {
    throw new SnapshotFault("snapshot-version", `The snapshot has version ${readU32(bytes, 0)}; ${version} is known.`)
  }
  const at = 5 + (bytes[4] ?? 0)
  if (at - 5 > chainIdBytesMax || bytes.length !== at + 120) throw malformed("the length of its head")
  const chainId = fromUtf8(bytes.subarray(5, at))
  const [stateHeight, entries, height] = [at + 32, at + 72, at + 80].map((offset) => readU64(bytes, offset))
  if (chainId === undefined || stateHeight === undefined || entries === undefined || height === undefined)
    throw malformed("a field of its head")
  // A store needs its tip's body and undo record, so one block at least has to come after the state.
  if (stateHeight > height || (stateHeight === height && height > 0)) throw malformed("no block stands above its state")
  return {
    chainId,
    genesis: bytes.slice(at, at + 32),
    stateHeight,
    stateRoot: bytes.slice(at + 40, at + 72),
    entries,
    height,
    tip: bytes.slice(at + 88)
  }
}

export interface Entry {
  readonly key: Uint8Array
  readonly value: Uint8Array
}

/** u8 length, key ‖ u16 length, value. */
export const encodeEntry = ({ key, value }: Entry): Uint8Array =>
  concat(
    new Uint8Array([key.length]),
    key,
    new Uint8Array([value.length & 0xff, value.length >>> 8]),
    value
  )

/** The entries of a payload. Throws SnapshotFault. */
export function* decodeEntries(bytes: Uint8Array): Generator<Entry> {
  for (let at = 0; at < bytes.length; ) {
    const middle = at + 1 + bytes[at]!
    const end = middle + 2 + ((bytes[middle] ?? 0) | ((bytes[middle + 1] ?? 0) << 8))
    if (end > bytes.length) throw malformed("an entry is cut off")
    yield { key: bytes.slice(at + 1, middle), value: bytes.slice(middle + 2, end) }
    at = end
  }
}

const prefixOf = (kind: number, length: number): Uint8Array => {
  const out = new Uint8Array(5)
  out[0] = kind
  writeU32(out, 1, length)
  return out
}

const checkOf = (before: Uint8Array, prefix: Uint8Array, payload: Uint8Array): Uint8Array =>
  sha256(concat(before, prefix, sha256(payload)))

/** Writes the magic and then chunk after chunk. */
export class ChunkWriter {
  private readonly out: Pick<FileWriter, "write">
  private check: Uint8Array = zeroHash
  private parts: Array<Uint8Array> = []
  private gathered = 0
  /** Bytes written so far. */
  bytes = magic.length

  constructor(out: Pick<FileWriter, "write">) {
    this.out = out
    out.write(magic)
  }

  /** Writes one chunk. */
  put(kind: Kind, payload: Uint8Array): void {
    const prefix = prefixOf(kind, payload.length)
    this.check = checkOf(this.check, prefix, payload)
    for (const part of [prefix, payload, this.check]) this.out.write(part)
    this.bytes += prefix.length + payload.length + checkBytes
  }

  /** Gathers small parts of one kind into chunks; `flush` writes the last of them. */
  gather(kind: Kind, part: Uint8Array): void {
    this.parts.push(part)
    this.gathered += part.length
    if (this.gathered >= chunkBytes) this.flush(kind)
  }

  flush(kind: Kind): void {
    if (this.parts.length > 0) this.put(kind, concatAll(this.parts))
    this.parts = []
    this.gathered = 0
  }

  /** Closes the file's content and gives its check, in hex. */
  end(): string {
    this.put(kinds.end, new Uint8Array(0))
    return toHex(this.check)
  }
}

/** Reads chunk after chunk, one of them in memory. */
export class ChunkReader {
  private readonly file: Pick<FileReader, "read">
  private check: Uint8Array = zeroHash
  private held: { readonly kind: number; readonly payload: Uint8Array } | undefined

  /** Throws SnapshotFault if the file does not begin as a snapshot does. */
  constructor(file: Pick<FileReader, "read">) {
    this.file = file
    if (!equal(file.read(magic.length), magic)) throw malformed("it does not begin like one")
  }

  /** The next payload if it is of this kind; else undefined, and it stays to be read. Throws SnapshotFault. */
  next(kind: Kind): Uint8Array | undefined {
    const chunk = (this.held ??= this.read())
    if (chunk.kind !== kind) return undefined
    this.held = undefined
    return chunk.payload
  }

  /** The next payload, which must be of this kind. Throws SnapshotFault. */
  expect(kind: Kind): Uint8Array {
    const payload = this.next(kind)
    if (payload === undefined) throw malformed(`a part of kind ${this.held!.kind} stands where ${kind} is due`)
    return payload
  }

  /** The end and nothing after it: the check of the whole file, in hex. Throws SnapshotFault. */
  end(): string {
    if (this.expect(kinds.end).length > 0) throw malformed("its end is not empty")
    if (this.file.read(1).length > 0) throw malformed("bytes after its end")
    return toHex(this.check)
  }

  private read(): { readonly kind: number; readonly payload: Uint8Array } {
    const prefix = this.file.read(5)
    if (prefix.length < 5) throw malformed("it is cut off")
    const length = readU32(prefix, 1)
    if (length > blockBytesMax) throw malformed(`a part of ${length} bytes`)
    const payload = this.file.read(length)
    const check = this.file.read(checkBytes)
    if (payload.length < length || check.length < checkBytes) throw malformed("it is cut off")
    this.check = checkOf(this.check, prefix, payload)
    if (!equal(this.check, check)) {
      throw new SnapshotFault("snapshot-damaged", "The snapshot is damaged: a part does not have the checksum beside it.")
    }
    return { kind: prefix[0]!, payload }
  }
}
