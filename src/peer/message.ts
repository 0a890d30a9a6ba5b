/**
 * Everything peers say to each other once the hello has passed, and its frame. docs/protocol.md, "Peers".
 * Lists and texts are bounded here; a message that does not keep its form is refused and is its sender's fault.
 */
import { Result } from "effect"
import { concatAll, toHex } from "../codec/bytes.ts"
import { decode, encode, type Packable } from "../codec/msgpack.ts"
import { headerBytes, headerLengthAt } from "../block/header.ts"
import { evidenceBytes } from "../consensus/evidence.ts"
import { addressBytes } from "../crypto/address.ts"
import { voteBytes } from "../consensus/checkpoint.ts"
import { outpointBytes } from "../ledger/coin.ts"
import {
  blockBytesMax,
  filterAnswerBytesMax,
  filterBytesMax,
  filterHeadersPerMessageMax,
  filtersPerMessageMax,
  hashesPerMessageMax,
  headersPerMessageMax,
  locatorHashesMax,
  packedHeaderBytesMax,
  peersPerMessageMax,
  proofBytesMax,
  transactionBytesMax,
  votesPerMessageMax
} from "../limits.ts"

/** `request` pairs an answer with what asked for it; 0 in what nobody asked for. */
export type Message =
  /** Our best branch, after the hello and whenever it moves: u64 height, 32 bytes cumulative work, tip hash. */
  | { readonly tag: "STS"; readonly height: number; readonly work: Uint8Array; readonly tip: Uint8Array }
  | { readonly tag: "PNG"; readonly nonce: number }
  | { readonly tag: "PON"; readonly nonce: number }
  | {
      readonly tag: "GHD"
      readonly request: number
      readonly locator: ReadonlyArray<Uint8Array>
      readonly limit: number
    }
  /** Headers of one version, one after the other. Request 0: an announcement. */
  | { readonly tag: "HDR"; readonly request: number; readonly headers: Uint8Array }
  | { readonly tag: "GBL"; readonly request: number; readonly hashes: ReadonlyArray<Uint8Array> }
  /** One block; the answer to a GBL is one frame a block. */
  | { readonly tag: "BLK"; readonly request: number; readonly block: Uint8Array }
  /** What of a GBL or GTX we do not have. */
  | { readonly tag: "NFD"; readonly request: number; readonly hashes: ReadonlyArray<Uint8Array> }
  /** Transactions that we have and the peer may want. */
  | { readonly tag: "INV"; readonly transactions: ReadonlyArray<Uint8Array> }
  | { readonly tag: "GTX"; readonly request: number; readonly hashes: ReadonlyArray<Uint8Array> }
  | { readonly tag: "TXN"; readonly request: number; readonly transactions: ReadonlyArray<Uint8Array> }
  | { readonly tag: "GPR"; readonly request: number }
  | {
      readonly tag: "PRS"
      readonly request: number
      readonly peers: ReadonlyArray<{ readonly endpoint: string; readonly nodeId: string }>
    }
  /** Something of the other side's was refused: the stable code, whose fault we think it is. */
  | {
      readonly tag: "REJ"
      readonly code: string
      readonly message: string
      readonly blame: string
      readonly about: Uint8Array
    }
  | { readonly tag: "BYE"; readonly reason: string }
  /** Unasked: two headers that an authority has sealed for one slot. */
  | { readonly tag: "EVD"; readonly evidence: Uint8Array }
  /** As GHD; the answer is packed. */
  | {
      readonly tag: "GPH"
      readonly request: number
      readonly locator: ReadonlyArray<Uint8Array>
      readonly limit: number
    }
  /** The headers that follow on the block `after`, which is one of the locator: a page of block/packed.ts. */
  | { readonly tag: "PHD"; readonly request: number; readonly after: Uint8Array; readonly page: Uint8Array }
  /** A proof about a transaction id (32 bytes), or after the tip about an address (20, on accounts) or a coin (36, on coins). */
  | { readonly tag: "GPF"; readonly request: number; readonly of: Uint8Array }
  /** The proof; no bytes: no block has the transaction, or the chain has the other ledger. */
  | { readonly tag: "PRF"; readonly request: number; readonly proof: Uint8Array }
  /** Filter headers at `start`, each `every` blocks after it, and at the block `stop` of the best branch. */
  | {
      readonly tag: "GFH"
      readonly request: number
      readonly start: number
      readonly every: number
      readonly stop: Uint8Array
    }
  /** 32 bytes each, one after the other, the lowest first; none: the block is not on the best branch, or no filters are kept. */
  | { readonly tag: "FHD"; readonly request: number; readonly headers: Uint8Array }
  /** Filters of the blocks from `start` up to the block `stop` of the best branch. */
  | { readonly tag: "GFL"; readonly request: number; readonly start: number; readonly stop: Uint8Array }
  /** As many of them as fit, the lowest first. */
  | { readonly tag: "FLT"; readonly request: number; readonly filters: ReadonlyArray<Uint8Array> }
  /** What proves a checkpoint above this height final or justified, and votes that may yet: the answer is VOT, several or none. */
  | { readonly tag: "GVT"; readonly above: number }
  /** Votes of authorities on checkpoints; all those of a certificate are in one message. */
  | { readonly tag: "VOT"; readonly votes: ReadonlyArray<Uint8Array> }

/** What light clients ask, and what they are answered. */
export type LightAsk = Extract<Message, { tag: "GPH" | "GPF" | "GFH" | "GFL" }>
export type LightAnswer = Extract<Message, { tag: "PHD" | "PRF" | "FHD" | "FLT" }>

export type Tag = Message["tag"]

type Fields = { readonly [key: string]: Packable }

/** A form of one field: undefined if the value does not keep it. */
type Form<A> = (value: Packable | undefined) => A | undefined

const whole: Form<number> = (value) => (typeof value === "number" && value >= 0 ? value : undefined)
const bytes =
  (least: number, most: number): Form<Uint8Array> =>
  (value) =>
    value instanceof Uint8Array && value.length >= least && value.length <= most ? value : undefined
const text =
  (most: number): Form<string> =>
  (value) =>
    typeof value === "string" && value.length <= most ? value : undefined
const list =
  <A>(form: Form<A>, most: number): Form<ReadonlyArray<A>> =>
  (value) => {
    if (!Array.isArray(value) || value.length > most) return undefined
    const items = (value as ReadonlyArray<Packable>).map(form)
    return items.includes(undefined) ? undefined : (items as ReadonlyArray<A>)
  }
const hash = bytes(32, 32)
const hashes = list(hash, hashesPerMessageMax)
const isMap = (value: Packable | undefined): value is Fields =>
  typeof value === "object" && value !== null && !Array.isArray(value) && !(value instanceof Uint8Array)
const peer: Form<{ readonly endpoint: string; readonly nodeId: string }> = (value) => {
  if (!isMap(value) || Object.keys(value).length !== 2) return undefined
  const endpoint = text(128)(value["endpoint"])
  const nodeId = text(90)(value["nodeId"])
  return endpoint === undefined || nodeId === undefined ? undefined : { endpoint, nodeId }
}
const rowsOf =
  (size: number, most: number): Form<Uint8Array> =>
  (value) => {
    const page = bytes(0, most * size)(value)
    return page !== undefined && page.length % size === 0 ? page : undefined
  }
const headers: Form<Uint8Array> = (value) => {
  const size = value instanceof Uint8Array ? headerLengthAt(value) : 0
  return size === 0 ? undefined : rowsOf(size, headersPerMessageMax)(value)
}
const subject: Form<Uint8Array> = (value) =>
  bytes(addressBytes, addressBytes)(value) ?? hash(value) ?? bytes(outpointBytes, outpointBytes)(value)
/** The bound of one filter is wide: a list of such must not fill a frame. */
const filters: Form<ReadonlyArray<Uint8Array>> = (value) => {
  const found = list(bytes(1, filterBytesMax), filtersPerMessageMax)(value)
  const total = found?.reduce((sum, { length }) => sum + length, 0) ?? 0
  return total <= filterAnswerBytesMax + filterBytesMax ? found : undefined
}

/** The fields of each message; every one must be there, and no other. */
const forms: {
  readonly [T in Tag]: { readonly [K in Exclude<keyof Extract<Message, { tag: T }>, "tag">]: Form<unknown> }
} = {
  STS: { height: whole, work: hash, tip: hash },
  PNG: { nonce: whole },
  PON: { nonce: whole },
  GHD: { request: whole, locator: list(hash, locatorHashesMax), limit: whole },
  HDR: { request: whole, headers },
  GBL: { request: whole, hashes },
  BLK: { request: whole, block: bytes(headerBytes, blockBytesMax) },
  NFD: { request: whole, hashes },
  INV: { transactions: hashes },
  GTX: { request: whole, hashes },
  TXN: { request: whole, transactions: list(bytes(1, transactionBytesMax), hashesPerMessageMax) },
  GPR: { request: whole },
  PRS: { request: whole, peers: list(peer, peersPerMessageMax) },
  REJ: { code: text(64), message: text(512), blame: text(16), about: bytes(0, 32) },
  BYE: { reason: text(256) },
  EVD: { evidence: bytes(evidenceBytes, evidenceBytes) },
  GPH: { request: whole, locator: list(hash, locatorHashesMax), limit: whole },
  PHD: { request: whole, after: hash, page: bytes(0, headersPerMessageMax * packedHeaderBytesMax) },
  GPF: { request: whole, of: subject },
  PRF: { request: whole, proof: bytes(0, proofBytesMax) },
  GFH: { request: whole, start: whole, every: whole, stop: hash },
  FHD: { request: whole, headers: rowsOf(32, filterHeadersPerMessageMax) },
  GFL: { request: whole, start: whole, stop: hash },
  FLT: { request: whole, filters },
  GVT: { above: whole },
  VOT: { votes: list(bytes(voteBytes, voteBytes), votesPerMessageMax) }
}

/** Tag and body of a message. */
export const encodeMessage = (message: Message): { readonly tag: Tag; readonly body: Uint8Array } => {
  const { tag, ...fields } = message
  return { tag, body: encode(fields as unknown as Fields) }
}

const isTag = (tag: string): tag is Tag => Object.hasOwn(forms, tag)

/** The message of a frame, or why it is refused. Never throws. */
export const decodeMessage = (frame: {
  readonly tag: string
  readonly body: Uint8Array
}): Result.Result<Message, string> => {
  if (!isTag(frame.tag)) return Result.fail(`unknown message ${frame.tag}`)
  const decoded = decode(frame.body)
  if (Result.isFailure(decoded)) return Result.fail(`${frame.tag}: ${decoded.failure}`)
  const value = decoded.success
  if (!isMap(value)) return Result.fail(`${frame.tag}: not a map`)
  const form = Object.entries(forms[frame.tag]) as ReadonlyArray<readonly [string, Form<unknown>]>
  if (Object.keys(value).length !== form.length) return Result.fail(`${frame.tag}: not its fields`)
  const fields: Record<string, unknown> = { tag: frame.tag }
  for (const [name, check] of form) {
    const field = check(value[name])
    if (field === undefined) return Result.fail(`${frame.tag}: field ${name}`)
    fields[name] = field
  }
  return Result.succeed(fields as unknown as Message)
}

/** The headers field of a page. */
export const packHeaders = (page: ReadonlyArray<{ readonly bytes: Uint8Array }>): Uint8Array =>
  concatAll(page.map(({ bytes: row }) => row))

/** For keys of maps. */
export const ids = (list: ReadonlyArray<Uint8Array>): ReadonlyArray<string> => list.map(toHex)
