/**
 * What a node says to a discovery service, signed with its own key: that it is there, until when and where; or that it has
 * gone. See docs/protocol.md, "Discovery". One encoding, which only ever is hashed: it travels as JSON.
 */
import { Result } from "effect"
import { assert } from "../assert.ts"
import { concatAll, fromHex, toHex, utf8, writeU64 } from "../codec/bytes.ts"
import { sha256 } from "../crypto/hash.ts"
import type { Keypair } from "../crypto/keys.ts"
import { sign, verify } from "../crypto/signature.ts"
import { discoveryFreshMs, discoveryLifeMsMax, discoveryPageMax, endpointCharsMax } from "../limits.ts"
import { nodeIdOf } from "../transport/hello.ts"
import { placeOf } from "./place.ts"

export interface Words {
  readonly action: "register" | "remove"
  readonly chainId: string
  readonly genesis: Uint8Array
  /** host:port; empty in a removal. */
  readonly endpoint: string
  /** Milliseconds of the node's clock. */
  readonly time: number
  /** When the registration ends; of a removal its time. */
  readonly expires: number
}

export interface Statement extends Words {
  readonly nodeId: string
  readonly publicKey: Uint8Array
  readonly signature: Uint8Array
}

/** Why a statement, or a command, is refused. Documented in docs/errors.md. */
export type DiscoveryReject =
  | "command-unknown"
  | "registration-malformed"
  | "node-id-mismatch"
  | "endpoint-invalid"
  | "endpoint-unspecified"
  | "endpoint-local"
  | "registration-stale"
  | "registration-expiry"
  | "registration-signature"
  | "registration-replayed"
  | "members-full"
  | "address-full"
  | "member-unknown"

/** Every code with what to do, as callers are told. */
export const advice: Readonly<Record<DiscoveryReject, string>> = {
  "command-unknown":
    'Send {"command": "add" | "remove" | "get_all", …} with the fields of docs/protocol.md, Discovery.',
  "registration-malformed": "A field is missing, has another form, or is one too many: docs/protocol.md, Discovery.",
  "node-id-mismatch": "The id is not that of the public key. Only a node itself may speak for its id.",
  "endpoint-invalid": "The endpoint must be host:port, in lower case: an IP address in its usual form or a host name.",
  "endpoint-unspecified": "Nobody can dial this address. Start the node with --p2p-advertise host:port.",
  "endpoint-local": "Others would find themselves there. Start the node with --p2p-advertise host:port.",
  "registration-stale": `The time is more than ${discoveryFreshMs / 1000} s from the clock here. Set the clock.`,
  "registration-expiry": `It must end after now, and at most ${discoveryLifeMsMax / 60_000} minutes after its time.`,
  "registration-signature": "The signature does not hold under the public key.",
  "registration-replayed": "The id has said something at this time or later already. Sign with a newer time.",
  "members-full": "There is no place for another member now. Try again later.",
  "address-full": "Too many members came from this address. Try again when some of them have left.",
  "member-unknown": "This id is not registered here, or no longer."
}

const tag = utf8("cairn/discovery")
const actions = { register: 1, remove: 2 } as const

export const u64 = (value: number): Uint8Array => {
  const out = new Uint8Array(8)
  writeU64(out, 0, value)
  return out
}

/** A text of less than 256 bytes behind its length. */
export const lengthText = (value: string): Uint8Array => {
  const bytes = utf8(value)
  assert(bytes.length < 256, "a text of a statement has a length of one byte")
  return concatAll([new Uint8Array([bytes.length]), bytes])
}

/** The bytes that are signed, behind the tag. */
export const encodeWords = (words: Words, publicKey: Uint8Array): Uint8Array =>
  concatAll([
    new Uint8Array([1, actions[words.action]]),
    lengthText(words.chainId),
    words.genesis,
    publicKey,
    lengthText(words.endpoint),
    u64(words.time),
    u64(words.expires)
  ])

const hashOf = (words: Words, publicKey: Uint8Array): Uint8Array =>
  sha256(concatAll([tag, encodeWords(words, publicKey)]))

export const makeStatement = (words: Words, { publicKey, secret }: Keypair): Statement => ({
  ...words,
  nodeId: nodeIdOf(publicKey),
  publicKey,
  signature: sign(hashOf(words, publicKey), secret)
})

/** What a client asks of the service. */
export type Command =
  | { readonly command: "add"; readonly statement: Statement }
  | { readonly command: "remove"; readonly statement: Statement }
  | { readonly command: "get_all"; readonly genesis: Uint8Array; readonly after: string; readonly limit: number }

/** A command as the JSON value that travels. */
export const formatCommand = (command: Command): unknown => {
  if (command.command === "get_all") {
    const { genesis, after, limit } = command
    return { command: "get_all", genesis: toHex(genesis), ...(after === "" ? {} : { cursor: after }), limit }
  }
  const { nodeId, chainId, genesis, publicKey, endpoint, time, expires, signature } = command.statement
  const shared = {
    chain_id: chainId,
    genesis: toHex(genesis),
    public_key: toHex(publicKey),
    time,
    signature: toHex(signature)
  }
  return command.command === "add"
    ? { command: "add", peer: { id: nodeId, ...shared, endpoint, expires } }
    : { command: "remove", peer_id: nodeId, ...shared }
}

type Fields = Readonly<Record<string, unknown>>

const fieldsOf = (value: unknown): Fields | undefined =>
  typeof value === "object" && value !== null && !Array.isArray(value) ? (value as Fields) : undefined

const isTime = (value: unknown): value is number => Number.isSafeInteger(value) && (value as number) >= 0
const bytesIn = (value: unknown, length: number): Uint8Array | undefined =>
  typeof value === "string" && value.length === 2 * length && value === value.toLowerCase()
    ? fromHex(value, length)
    : undefined

/** The statement in the fields of a command, and no field beside; undefined: it has another form. */
const readStatement = (fields: Fields, action: Words["action"]): Statement | undefined => {
  const nodeId = fields[action === "register" ? "id" : "peer_id"]
  const { chain_id: chainId, time } = fields
  const [genesis, publicKey] = [bytesIn(fields["genesis"], 32), bytesIn(fields["public_key"], 33)]
  const signature = bytesIn(fields["signature"], 64)
  const { endpoint, expires } = action === "register" ? fields : { endpoint: "", expires: time }
  if (Object.keys(fields).length !== (action === "register" ? 8 : 6)) return undefined
  if (typeof nodeId !== "string" || nodeId.length > 90) return undefined
  if (typeof chainId !== "string" || !/^[a-z0-9-]{1,32}$/.test(chainId)) return undefined
  if (genesis === undefined || publicKey === undefined || signature === undefined) return undefined
  if (!isTime(time) || !isTime(expires)) return undefined
  if (typeof endpoint !== "string" || endpoint.length > endpointCharsMax || !endpoint.isWellFormed()) return undefined
  return { action, nodeId, chainId, genesis, publicKey, endpoint, time, expires, signature }
}

const readGetAll = ({ command: _, ...fields }: Fields): Command | undefined => {
  const { genesis: hex, cursor: after = "", limit = discoveryPageMax, ...others } = fields
  const genesis = bytesIn(hex, 32)
  if (genesis === undefined || Object.keys(others).length > 0) return undefined
  if (typeof after !== "string" || after.length > 90) return undefined
  if (!Number.isInteger(limit) || (limit as number) < 1 || (limit as number) > discoveryPageMax) return undefined
  return { command: "get_all", genesis, after, limit: limit as number }
}

/** Reads a command out of any JSON value: its form only. Never throws. */
export const readCommand = (value: unknown): Result.Result<Command, DiscoveryReject> => {
  const fields = fieldsOf(value)
  if (fields === undefined) return Result.fail("command-unknown")
  const { command, ...rest } = fields
  const read = (): Command | undefined => {
    if (command === "get_all") return readGetAll(fields)
    const of = command === "add" ? fieldsOf(rest["peer"]) : rest
    const alone = command === "remove" || Object.keys(rest).length === 1
    const statement =
      of === undefined || !alone ? undefined : readStatement(of, command === "add" ? "register" : "remove")
    return statement === undefined ? undefined : { command: command as "add" | "remove", statement }
  }
  if (command !== "add" && command !== "remove" && command !== "get_all") return Result.fail("command-unknown")
  const found = read()
  return found === undefined ? Result.fail("registration-malformed") : Result.succeed(found)
}

/**
 * What a statement has to be whoever has spoken before. `near`: the caller is on this machine, where local endpoints are of
 * use. Cheap first; the signature last. Undefined: nothing is wrong.
 */
export const checkStatement = (
  statement: Statement,
  { now, near }: { readonly now: number; readonly near: boolean }
): DiscoveryReject | undefined => {
  const { action, endpoint, time, expires, nodeId, publicKey, signature } = statement
  if (action === "register") {
    const place = placeOf(endpoint)
    if (place === "invalid") return "endpoint-invalid"
    if (place === "unspecified") return "endpoint-unspecified"
    if (place === "local" && !near) return "endpoint-local"
    if (expires <= now || expires <= time || expires > time + discoveryLifeMsMax) return "registration-expiry"
  }
  if (Math.abs(time - now) > discoveryFreshMs) return "registration-stale"
  if (nodeIdOf(publicKey) !== nodeId) return "node-id-mismatch"
  return verify(hashOf(statement, publicKey), signature, publicKey) ? undefined : "registration-signature"
}
