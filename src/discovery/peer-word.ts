/**
 * What a node says of itself to another by HTTP, signed with its own key: where it is and what it has, or what went wrong for
 * it. See docs/protocol.md, "By HTTP". Nobody can say it for another; what others see of a node, its address or certificate,
 * is not among it, and a second hearing is refused.
 */
import { Result } from "effect"
import { parseEndpoint } from "../config.ts"
import { concatAll, equal, fromHex, toHex, utf8 } from "../codec/bytes.ts"
import { sha256 } from "../crypto/hash.ts"
import type { Keypair } from "../crypto/keys.ts"
import { sign, verify } from "../crypto/signature.ts"
import { discoveryFreshMs, endpointCharsMax, nodeUrlCharsMax, peerWordsMax } from "../limits.ts"
import { nodeIdOf } from "../transport/hello.ts"
import { lengthText, u64 } from "./statement.ts"

/** An update tells where and how far a node is; a failure that it did not reach us, and why. */
export type PeerWordKind = "update" | "failure"

export interface PeerWords {
  readonly kind: PeerWordKind
  readonly chainId: string
  readonly genesis: Uint8Array
  /** host:port for sessions, URL, host:port for announcements; empty: none. */
  readonly endpoint: string
  readonly nodeUrl: string
  readonly gossipEndpoint: string
  readonly height: number
  readonly work: bigint
  /** In words; empty in an update. */
  readonly error: string
  /** Milliseconds of the node's clock. */
  readonly time: number
  /** 16 bytes that nobody can guess. */
  readonly nonce: Uint8Array
}

export interface PeerWord extends PeerWords {
  readonly nodeId: string
  readonly publicKey: Uint8Array
  readonly signature: Uint8Array
}

/** Why a word is not heard. In docs/errors.md. */
export type PeerWordReject =
  | "peer-word-malformed"
  | "observation-refused"
  | "chain-mismatch"
  | "node-id-mismatch"
  | "endpoint-invalid"
  | "peer-word-stale"
  | "peer-word-replayed"
  | "peer-word-signature"

/** Every code with what to do, as callers are told. */
export const peerWordAdvice: Readonly<Record<PeerWordReject, string>> = {
  "peer-word-malformed": 'A field is missing, has another form, or is one too many: docs/protocol.md, "By HTTP".',
  "observation-refused":
    "Address, network and certificate of a peer are what we see on a connection, never what somebody says. Leave them out.",
  "chain-mismatch": "This node is of another chain.",
  "node-id-mismatch": "The id is not that of the public key. Only a node itself may speak for its id.",
  "endpoint-invalid": "An endpoint must be host:port, a URL http:// or https:// without user, query and fragment.",
  "peer-word-stale": `The time is more than ${discoveryFreshMs / 1000} s from the clock here. Set the clock.`,
  "peer-word-replayed": "The id has said something at this time or later already. Sign with a newer time.",
  "peer-word-signature": "The signature does not hold under the public key."
}

const tag = utf8("cairn/peer-word")
const kinds = { update: 1, failure: 2 } as const
const errorCharsMax = 200

/** The bytes that are signed, behind the tag. */
export const encodePeerWords = (words: PeerWords, publicKey: Uint8Array): Uint8Array =>
  concatAll([
    new Uint8Array([1, kinds[words.kind]]),
    lengthText(words.chainId),
    words.genesis,
    publicKey,
    lengthText(words.endpoint),
    lengthText(words.nodeUrl),
    lengthText(words.gossipEndpoint),
    u64(words.height),
    lengthText(String(words.work)),
    lengthText(words.error),
    u64(words.time),
    words.nonce
  ])

const hashOf = (words: PeerWords, publicKey: Uint8Array): Uint8Array =>
  sha256(concatAll([tag, encodePeerWords(words, publicKey)]))

export const makePeerWord = (words: PeerWords, { publicKey, secret }: Keypair): PeerWord => ({
  ...words,
  nodeId: nodeIdOf(publicKey),
  publicKey,
  signature: sign(hashOf(words, publicKey), secret)
})

/** A word as the JSON value that travels. */
export const formatPeerWord = (word: PeerWord): Readonly<Record<string, unknown>> => ({
  source_peer: word.nodeId,
  chain_id: word.chainId,
  genesis: toHex(word.genesis),
  public_key: toHex(word.publicKey),
  p2p_endpoint: word.endpoint,
  node_url: word.nodeUrl,
  gossip_endpoint: word.gossipEndpoint,
  last_advertised_height: word.height,
  last_cumulative_work: String(word.work),
  ...(word.kind === "failure" ? { error: word.error } : {}),
  time: word.time,
  nonce: toHex(word.nonce),
  signature: toHex(word.signature)
})

/** What only the one who sees a connection can know of who is at its other end. */
const observed = ["remote_ip", "network_address", "network_group", "tls_enabled", "tls_cert_fingerprint"] as const

const textIn = (value: unknown, charsMax: number): string | undefined =>
  typeof value === "string" && value.length <= charsMax && value.isWellFormed() && utf8(value).length < 256
    ? value
    : undefined
const countIn = (value: unknown): number | undefined =>
  Number.isSafeInteger(value) && (value as number) >= 0 ? (value as number) : undefined
const bytesIn = (value: unknown, length: number): Uint8Array | undefined =>
  typeof value === "string" ? fromHex(value, length) : undefined

const readFields = (fields: Readonly<Record<string, unknown>>, kind: PeerWordKind): PeerWord | undefined => {
  const work = textIn(fields["last_cumulative_work"], 78)
  const read = {
    nodeId: textIn(fields["source_peer"], 90),
    chainId: textIn(fields["chain_id"], 32),
    genesis: bytesIn(fields["genesis"], 32),
    publicKey: bytesIn(fields["public_key"], 33),
    endpoint: textIn(fields["p2p_endpoint"], endpointCharsMax),
    nodeUrl: textIn(fields["node_url"], nodeUrlCharsMax),
    gossipEndpoint: textIn(fields["gossip_endpoint"], endpointCharsMax),
    height: countIn(fields["last_advertised_height"]),
    work: work !== undefined && /^(0|[1-9]\d*)$/.test(work) ? BigInt(work) : undefined,
    error: kind === "update" ? "" : textIn(fields["error"], errorCharsMax),
    time: countIn(fields["time"]),
    nonce: bytesIn(fields["nonce"], 16),
    signature: bytesIn(fields["signature"], 64)
  }
  if (Object.values(read).some((value) => value === undefined)) return undefined
  if (Object.keys(fields).length !== (kind === "update" ? 12 : 13)) return undefined
  return { kind, ...(read as Omit<PeerWord, "kind">) }
}

/** Reads a word out of any JSON value: its form only. Never throws. */
export const readPeerWord = (value: unknown, kind: PeerWordKind): Result.Result<PeerWord, PeerWordReject> => {
  if (typeof value !== "object" || value === null || Array.isArray(value)) return Result.fail("peer-word-malformed")
  const fields = value as Readonly<Record<string, unknown>>
  if (observed.some((name) => Object.hasOwn(fields, name))) return Result.fail("observation-refused")
  const word = readFields(fields, kind)
  return word === undefined ? Result.fail("peer-word-malformed") : Result.succeed(word)
}

const isEndpoint = (text: string): boolean => text === "" || parseEndpoint(text) !== undefined

/** Words that were heard: whose, and when they were said, so that none is heard twice. */
export class HeardWords {
  private readonly times = new Map<string, number>()
  /** No word of before this is heard of anybody whom we do not remember. */
  private floor = 0
  private readonly own: { readonly chainId: string; readonly genesis: Uint8Array }

  constructor(own: { readonly chainId: string; readonly genesis: Uint8Array }) {
    this.own = own
  }

  get size(): number {
    return this.times.size
  }

  /** Undefined: it is heard, now and never again. Cheap first; the signature last. `isUrl`: is it the URL of a node? */
  hear(word: PeerWord, now: number, isUrl: (text: string) => boolean): PeerWordReject | undefined {
    const { nodeId, publicKey, time, signature, endpoint, gossipEndpoint, nodeUrl } = word
    if (word.chainId !== this.own.chainId || !equal(word.genesis, this.own.genesis)) return "chain-mismatch"
    if (!isEndpoint(endpoint) || !isEndpoint(gossipEndpoint)) return "endpoint-invalid"
    if (nodeUrl !== "" && !isUrl(nodeUrl)) return "endpoint-invalid"
    if (Math.abs(time - now) > discoveryFreshMs) return "peer-word-stale"
    if (time <= (this.times.get(nodeId) ?? this.floor)) return "peer-word-replayed"
    if (nodeIdOf(publicKey) !== nodeId) return "node-id-mismatch"
    if (!verify(hashOf(word, publicKey), signature, publicKey)) return "peer-word-signature"
    this.times.delete(nodeId)
    this.times.set(nodeId, time)
    if (this.times.size > peerWordsMax) this.forget()
    return undefined
  }

  private forget(): void {
    const [oldest] = this.times
    if (oldest === undefined) return
    this.floor = Math.max(this.floor, oldest[1])
    this.times.delete(oldest[0])
  }
}
