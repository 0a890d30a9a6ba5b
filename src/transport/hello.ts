/**
 * The signed hello: who a node is, on which chain, bound to this very TLS session. Both sides send one and both check one;
 * a hello taken from another session, an old one or one seen before proves nothing (L-P4, L-P5).
 */
import { Result } from "effect"
import { concat, equal, toHex, utf8 } from "../codec/bytes.ts"
import { decode, encode, type Packable } from "../codec/msgpack.ts"
import { formatName, parseName } from "../crypto/address.ts"
import { sha256 } from "../crypto/hash.ts"
import type { Keypair } from "../crypto/keys.ts"
import { sign, verify } from "../crypto/signature.ts"
import { endpointCharsMax, helloFreshMs, helloNoncesMax, urlCharsMax } from "../limits.ts"

export const protocolVersion = 1

/** What nodes say of themselves in a hello; a text that is not known says nothing. */
export const capabilities = {
  headersFirst: "headers-first",
  transactions: "transactions",
  /** Answers GPH and GPF. */
  servesLight: "light-server",
  /** Answers GFH and GFL. */
  servesFilters: "filters",
  /** Keeps headers only: nothing is asked of it, and pending transactions are not announced to it. */
  lightClient: "light-client",
  /** Has dropped the bodies of old blocks. It answers NFD to who asks for them, as does one that never had them. */
  pruned: "pruned"
} as const

export interface Hello {
  readonly version: number
  readonly chainId: string
  readonly genesis: Uint8Array
  readonly nodeId: string
  readonly publicKey: Uint8Array
  /** Where the node can be dialled, host:port; empty: it does not listen. */
  readonly endpoint: string
  readonly agent: string
  readonly capabilities: ReadonlyArray<string>
  /** Where the node hears announcements by UDP, host:port; empty: it does not. Datagrams go to the host of the session. */
  readonly gossip: string
  /** The X25519 key under which they may be sealed, 32 bytes; or none. */
  readonly gossipKey: Uint8Array
  /** Where its page and API are; empty: nowhere for others. */
  readonly url: string
  /** Milliseconds. */
  readonly time: number
  readonly nonce: Uint8Array
}

/** Why a hello is refused; `peer` codes are proven misbehaviour, the others can happen to honest nodes. */
export type HelloReject =
  | "hello-malformed"
  | "protocol-version"
  | "chain-id-mismatch"
  | "genesis-mismatch"
  | "node-id-mismatch"
  | "hello-signature"
  | "hello-stale"
  | "hello-replayed"
  | "connected-to-self"

const tag = utf8("cairn/hello")

const nodeTag = utf8("cairn/node")

/** The first 20 bytes of SHA-256("cairn/node" ‖ public key), which the name of a node is made of. */
export const nodeHashOf = (publicKey: Uint8Array): Uint8Array => sha256(concat(nodeTag, publicKey)).subarray(0, 20)

/** The name of a node: bech32m of these bytes, prefix "node". */
export const nodeIdOf = (publicKey: Uint8Array): string => formatName("node", nodeHashOf(publicKey))

/** The bytes that a name of a node is made of; undefined: it is none. */
export const nodeHashIn = (nodeId: string): Uint8Array | undefined => parseName("node", nodeId)

const pack = (hello: Hello): Uint8Array => encode({ ...hello } as unknown as { readonly [key: string]: Packable })

/** What is signed: the fields as they travel and the binding of the session, which does not travel. */
const digest = (fields: Uint8Array, binding: Uint8Array): Uint8Array => sha256(concat(tag, fields, binding))

/** Body of the HEY frame where the connection itself has proven the key: [fields]. */
export const makeProvenHello = (hello: Hello): Uint8Array => encode([pack(hello)])

/** Body of the HEY frame: [fields, signature]. `binding`: 32 bytes that only the two ends of this session share. */
export const makeHello = (hello: Hello, key: Keypair, binding: Uint8Array): Uint8Array => {
  const fields = pack(hello)
  return encode([fields, sign(digest(fields, binding), key.secret)])
}

/** Nonces seen while their hello would still be fresh; bounded, the oldest goes first. */
export class SeenNonces {
  private readonly seen = new Map<string, number>()

  get size(): number {
    return this.seen.size
  }

  /** False if the nonce was seen; else it is now. */
  admit(nonce: Uint8Array, now: number): boolean {
    for (const [old, at] of this.seen) {
      if (at > now - 2 * helloFreshMs && this.seen.size < helloNoncesMax) break
      this.seen.delete(old)
    }
    const key = toHex(nonce)
    if (this.seen.has(key)) return false
    this.seen.set(key, now)
    return true
  }
}

const isText = (value: unknown, most: number): value is string => typeof value === "string" && value.length <= most

/** `signature`: undefined in the form without one. */
const parse = (
  body: Uint8Array
): { readonly hello: Hello; readonly fields: Uint8Array; readonly signature: Uint8Array | undefined } | undefined => {
  const outer = decode(body)
  if (Result.isFailure(outer) || !Array.isArray(outer.success)) return undefined
  const [fields, signature] = outer.success as ReadonlyArray<Packable>
  const isWhole = signature === undefined ? outer.success.length === 1 : outer.success.length === 2
  if (!isWhole || !(fields instanceof Uint8Array)) return undefined
  if (signature !== undefined && !(signature instanceof Uint8Array && signature.length === 64)) return undefined
  const inner = decode(fields)
  if (Result.isFailure(inner) || inner.success === null || typeof inner.success !== "object") return undefined
  const hello = inner.success as unknown as Hello
  const { version, chainId, genesis, nodeId, publicKey, endpoint, agent, capabilities, time, nonce } = hello
  const { gossip, gossipKey, url } = hello
  const sound =
    Object.keys(hello).length === 13 &&
    typeof version === "number" &&
    isText(chainId, 64) &&
    genesis instanceof Uint8Array &&
    isText(nodeId, 90) &&
    publicKey instanceof Uint8Array &&
    publicKey.length === 33 &&
    isText(endpoint, endpointCharsMax) &&
    isText(gossip, endpointCharsMax) &&
    gossipKey instanceof Uint8Array &&
    (gossipKey.length === 0 || gossipKey.length === 32) &&
    isText(url, urlCharsMax) &&
    isText(agent, 64) &&
    Array.isArray(capabilities) &&
    capabilities.length <= 32 &&
    capabilities.every((capability) => isText(capability, 32)) &&
    typeof time === "number" &&
    nonce instanceof Uint8Array &&
    nonce.length === 16
  return sound ? { hello, fields, signature } : undefined
}

/** The chain that a HEY body says its sender is on. Nothing of it is proven. */
export const claimedChain = (body: Uint8Array): Pick<Hello, "chainId" | "genesis"> | undefined => parse(body)?.hello

/** What a hello is held against. */
export interface Ours {
  readonly chainId: string
  readonly genesis: Uint8Array
  readonly nodeId: string
  readonly now: number
}

/** Is it of our chain, of now, of somebody else, and named by its own key? */
const mismatch = (hello: Hello, ours: Ours): HelloReject | undefined => {
  if (hello.version !== protocolVersion) return "protocol-version"
  if (hello.chainId !== ours.chainId) return "chain-id-mismatch"
  if (!equal(hello.genesis, ours.genesis)) return "genesis-mismatch"
  if (hello.nodeId === ours.nodeId) return "connected-to-self"
  if (Math.abs(hello.time - ours.now) > helloFreshMs) return "hello-stale"
  return nodeIdOf(hello.publicKey) === hello.nodeId ? undefined : "node-id-mismatch"
}

/** Checks a HEY body against what this session and this chain are. Cheap first; the signature last. Never throws. */
export const checkHello = (
  body: Uint8Array,
  ours: Ours & { readonly binding: Uint8Array; readonly seen: SeenNonces }
): Result.Result<Hello, HelloReject> => {
  const parsed = parse(body)
  if (parsed?.signature === undefined) return Result.fail("hello-malformed")
  const { hello, fields, signature } = parsed
  const wrong = mismatch(hello, ours)
  if (wrong !== undefined) return Result.fail(wrong)
  if (!verify(digest(fields, ours.binding), signature, hello.publicKey)) return Result.fail("hello-signature")
  return ours.seen.admit(hello.nonce, ours.now) ? Result.succeed(hello) : Result.fail("hello-replayed")
}

/** The same where the connection has proven `remoteKey` (33 bytes): the hello must be of that key, and needs no signature. */
export const checkProvenHello = (
  body: Uint8Array,
  ours: Ours & { readonly remoteKey: Uint8Array }
): Result.Result<Hello, HelloReject> => {
  const parsed = parse(body)
  if (parsed === undefined || parsed.signature !== undefined) return Result.fail("hello-malformed")
  const { hello } = parsed
  const wrong = mismatch(hello, ours)
  if (wrong !== undefined) return Result.fail(wrong)
  return equal(hello.publicKey, ours.remoteKey) ? Result.succeed(hello) : Result.fail("node-id-mismatch")
}
