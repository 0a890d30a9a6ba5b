/**
 * What callers ask of the node's actors, as bytes and back. Only these calls are inputs: whatever else an outsider asks is
 * read from the last commit, and the actors never hear of it.
 */
import { Cause, Effect, type Exit, Result } from "effect"
import { decodeBlock, encodeBlock } from "../block/block.ts"
import type { BlockHash } from "../block/header.ts"
import { decode, encode, type Packable } from "../codec/msgpack.ts"
import { addressBytes } from "../crypto/address.ts"
import type { Address } from "../crypto/address.ts"
import { decodeOutpoint, encodeOutpoint, outpointBytes } from "../ledger/coin.ts"
import type { Ledger } from "../ledger/ledger.ts"
import type { TransactionId } from "../ledger/transaction.ts"
import type { NodeShape } from "../node/node.ts"

/** The calls that reach actors. */
export const methods = [
  "submit",
  "mine",
  "setMining",
  "offerBlock",
  "transaction",
  "account",
  "accounts",
  "coins",
  "coin",
  "pending",
  "addPeer",
  "resolve",
  "inventory",
  "heard",
  "banPeer",
  "unbanPeer",
  "removePeer",
  "toldPeers",
  "peerBook",
  "vote",
  "peers",
  "stats",
  "ready",
  "finality"
] as const
export type Method = (typeof methods)[number]

/** The arguments of a call as bytes. */
export const packArgs = <M extends Method>(method: M, args: Parameters<NodeShape[M]>): Uint8Array => {
  const plain = (): ReadonlyArray<unknown> => {
    if (method === "submit") return [(args as Parameters<NodeShape["submit"]>)[0].bytes]
    if (method === "coin") return [encodeOutpoint((args as Parameters<NodeShape["coin"]>)[0])]
    if (method === "inventory") {
      const { source, hash, work } = (args as Parameters<NodeShape["inventory"]>)[0]
      return [source, hash, String(work)]
    }
    if (method === "heard") {
      const { nodeId, endpoint } = (args as Parameters<NodeShape["heard"]>)[0]
      return [nodeId, endpoint]
    }
    return method === "offerBlock" ? [encodeBlock((args as Parameters<NodeShape["offerBlock"]>)[0])] : args
  }
  return encode(plain().map((arg) => (arg === undefined ? null : (arg as Packable))))
}

const bytesOf = (value: Packable | undefined, length: number): Uint8Array | undefined =>
  value instanceof Uint8Array && value.length === length ? value : undefined

/** A page that is asked for: a cursor or none, and how many rows. */
const pageOf = ([cursor, limit]: ReadonlyArray<Packable>): readonly [string | undefined, number] | undefined =>
  (cursor === null || typeof cursor === "string") && typeof limit === "number" && limit > 0
    ? [cursor ?? undefined, limit]
    : undefined

/** The call that a journal names. It dies if there is no such call or its arguments are none. */
export const callOf = (
  node: NodeShape,
  ledger: Ledger,
  { method, args }: { readonly method: string; readonly args: Uint8Array }
): Effect.Effect<unknown, unknown> =>
  find(node, ledger, method, args) ?? Effect.die(new Error(`the node has no such call: ${method}`))

const find = (
  node: NodeShape,
  ledger: Ledger,
  method: string,
  bytes: Uint8Array
): Effect.Effect<unknown, unknown> | undefined => {
  const decoded = decode(bytes)
  if (Result.isFailure(decoded) || !Array.isArray(decoded.success)) return undefined
  const args = decoded.success as ReadonlyArray<Packable>
  switch (method) {
    case "submit": {
      const transaction = args[0] instanceof Uint8Array ? ledger.decode(args[0]) : undefined
      return transaction === undefined || Result.isFailure(transaction) ? undefined : node.submit(transaction.success)
    }
    case "mine": {
      const proposer = bytesOf(args[0], addressBytes)
      return proposer === undefined && args[0] !== null ? undefined : node.mine(proposer as Address | undefined)
    }
    case "setMining":
      return typeof args[0] === "boolean" ? node.setMining(args[0]) : undefined
    case "offerBlock": {
      const block = args[0] instanceof Uint8Array ? decodeBlock(args[0], ledger) : undefined
      return block === undefined || Result.isFailure(block) ? undefined : node.offerBlock(block.success)
    }
    case "vote": {
      const [wish, subject] = [args[0], bytesOf(args[1], addressBytes)]
      const isWish = wish === "admit" || wish === "expel" || wish === "forget"
      return subject === undefined || !isWish ? undefined : node.vote(wish, subject as Address)
    }
    case "transaction": {
      const id = bytesOf(args[0], 32)
      return id === undefined ? undefined : node.transaction(id as TransactionId)
    }
    case "account": {
      const address = bytesOf(args[0], addressBytes)
      return address === undefined ? undefined : node.account(address as Address)
    }
    case "coins": {
      const [address, page] = [bytesOf(args[0], addressBytes), pageOf(args.slice(1))]
      return address === undefined || page === undefined ? undefined : node.coins(address as Address, ...page)
    }
    case "coin": {
      const outpoint = bytesOf(args[0], outpointBytes)
      return outpoint === undefined ? undefined : node.coin(decodeOutpoint(outpoint))
    }
    case "accounts":
    case "pending": {
      const page = pageOf(args)
      return page === undefined ? undefined : node[method](...page)
    }
    case "addPeer":
    case "inventory":
    case "heard":
    case "banPeer":
    case "unbanPeer":
    case "removePeer":
    case "toldPeers":
      return findPeerCall(node, method, args)
    case "peers":
    case "peerBook":
    case "stats":
    case "ready":
    case "resolve":
    case "finality":
      return node[method]()
    default:
      return undefined
  }
}

const isNone = (arg: Packable | undefined): arg is null => arg === null
const isText = (arg: Packable | undefined): arg is string => typeof arg === "string"
const isNumber = (arg: Packable | undefined): arg is number => typeof arg === "number"

/** Calls about other nodes. */
const findPeerCall = (
  node: NodeShape,
  method: "addPeer" | "inventory" | "heard" | "banPeer" | "unbanPeer" | "removePeer" | "toldPeers",
  [a, b, c]: ReadonlyArray<Packable>
): Effect.Effect<unknown, unknown> | undefined => {
  switch (method) {
    case "unbanPeer":
    case "removePeer":
      return isText(a) ? node[method](a) : undefined
    case "addPeer":
      return isText(a) && (b === undefined || isText(b)) ? node.addPeer(a, b) : undefined
    case "inventory": {
      const hash = bytesOf(b, 32)
      if (!isText(a) || hash === undefined || !isText(c) || !/^\d{1,78}$/.test(c)) return undefined
      return node.inventory({ source: a, hash: hash as BlockHash, work: BigInt(c) })
    }
    case "heard":
      return isText(a) && isText(b) ? node.heard({ nodeId: a, endpoint: b }) : undefined
    case "banPeer":
      return isText(a) && (isNone(b) || isNumber(b)) && (isNone(c) || isText(c))
        ? node.banPeer(a, b ?? undefined, c ?? undefined)
        : undefined
    case "toldPeers":
      return isNumber(a) && (isNone(b) || isText(b)) && (isNone(c) || isText(c))
        ? node.toldPeers(a, b ?? undefined, c ?? undefined)
        : undefined
  }
}

/** What a caller heard, in a word: "ok", or the name of what went wrong. */
export const outcomeOf = (exit: Exit.Exit<unknown, unknown>): string => {
  if (exit._tag === "Success") return "ok"
  if (Cause.hasInterruptsOnly(exit.cause)) return "cancelled"
  const reason = exit.cause.reasons[0]
  const error = reason !== undefined && "error" in reason ? (reason.error as { readonly _tag?: string }) : undefined
  return error?._tag ?? "failed"
}
