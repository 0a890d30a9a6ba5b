/**
 * One conversation after the hello, as a machine: what may be said now, what an answer belongs to, when silence is too long.
 * It holds no chain and no pool: what it needs of them it asks for as effects, and hears the answers as calls.
 */
import { hashHeader, headerBytes } from "../block/header.ts"
import { toHex } from "../codec/bytes.ts"
import {
  hashesPerMessageMax,
  headersPerMessageMax,
  peerIdleMsMax,
  pingAfterMs,
  requestMsMax,
  requestsPerPeerMax
} from "../limits.ts"
import type { Message } from "./message.ts"

export type SessionEffect =
  | { readonly _tag: "Send"; readonly message: Message }
  | {
      readonly _tag: "ServeHeaders"
      readonly request: number
      readonly locator: ReadonlyArray<Uint8Array>
      readonly limit: number
    }
  | { readonly _tag: "ServeBlocks"; readonly request: number; readonly hashes: ReadonlyArray<Uint8Array> }
  | { readonly _tag: "ServeTransactions"; readonly request: number; readonly hashes: ReadonlyArray<Uint8Array> }
  | { readonly _tag: "ServePeers"; readonly request: number }
  | { readonly _tag: "Claimed"; readonly height: number; readonly work: Uint8Array; readonly tip: string }
  | { readonly _tag: "Headers"; readonly asked: boolean; readonly headers: Uint8Array }
  | { readonly _tag: "Block"; readonly block: Uint8Array }
  | { readonly _tag: "NotGiven"; readonly ids: ReadonlyArray<string>; readonly stalled: boolean }
  | { readonly _tag: "Offered"; readonly hashes: ReadonlyArray<Uint8Array> }
  | { readonly _tag: "Transactions"; readonly transactions: ReadonlyArray<Uint8Array> }
  | { readonly _tag: "Peers"; readonly peers: Extract<Message, { tag: "PRS" }>["peers"] }
  | { readonly _tag: "Measured"; readonly latencyMs: number }
  /** The peer broke the conversation's rules; what it costs it. */
  | { readonly _tag: "Misbehaved"; readonly code: string; readonly points: number }
  | { readonly _tag: "End"; readonly reason: string }

type RequestKind = "headers" | "blocks" | "transactions" | "peers"

interface Request {
  readonly kind: RequestKind
  readonly since: number
  /** What is still to come. */
  readonly ids: Set<string>
}

/** Inventory remembered of a peer, so that nothing is announced back. */
const knownMax = 4096

const nothing: ReadonlyArray<SessionEffect> = []

export class Session {
  private readonly requests = new Map<number, Request>()
  private readonly known = new Set<string>()
  private nextRequest = 1
  private heardAt: number
  private ping: { readonly nonce: number; readonly sentAt: number } | undefined
  private asksThisSecond = 0
  private second = 0

  constructor(now: number) {
    this.heardAt = now
  }

  /** A message came. */
  hear(message: Message, now: number): ReadonlyArray<SessionEffect> {
    this.heardAt = now
    switch (message.tag) {
      case "STS":
        return [{ _tag: "Claimed", height: message.height, work: message.work, tip: toHex(message.tip) }]
      case "PNG":
        return [{ _tag: "Send", message: { tag: "PON", nonce: message.nonce } }]
      case "PON":
        return this.pong(message.nonce, now)
      case "GHD":
      case "GBL":
      case "GTX":
      case "GPR":
        return this.serve(message, now)
      case "HDR":
        return this.headers(message)
      case "BLK":
        return this.answer(message.request, "blocks", idOfBlock(message.block), { _tag: "Block", block: message.block })
      case "NFD":
        return this.notFound(message)
      case "INV":
        for (const hash of message.transactions) this.know(toHex(hash))
        return [{ _tag: "Offered", hashes: message.transactions }]
      case "TXN":
        return this.finish(message.request, "transactions", {
          _tag: "Transactions",
          transactions: message.transactions
        })
      case "PRS":
        return this.finish(message.request, "peers", { _tag: "Peers", peers: message.peers })
      case "REJ":
        return nothing
      case "BYE":
        return [{ _tag: "End", reason: `the peer left: ${message.reason}` }]
    }
  }

  /** Asks for headers after a locator. At most one such request at a time. */
  askHeaders(locator: ReadonlyArray<Uint8Array>, now: number): ReadonlyArray<SessionEffect> {
    if ([...this.requests.values()].some(({ kind }) => kind === "headers")) return nothing
    return this.ask("headers", [], now, (request) => ({ tag: "GHD", request, locator, limit: headersPerMessageMax }))
  }

  askBlocks(hashes: ReadonlyArray<Uint8Array>, now: number): ReadonlyArray<SessionEffect> {
    return this.ask("blocks", hashes, now, (request) => ({ tag: "GBL", request, hashes }))
  }

  askTransactions(hashes: ReadonlyArray<Uint8Array>, now: number): ReadonlyArray<SessionEffect> {
    return hashes.length === 0
      ? nothing
      : this.ask("transactions", hashes, now, (request) => ({ tag: "GTX", request, hashes }))
  }

  askPeers(now: number): ReadonlyArray<SessionEffect> {
    return this.ask("peers", [], now, (request) => ({ tag: "GPR", request }))
  }

  /** Of these ids, those that the peer has not named to us; from now on it counts as knowing them. */
  news(list: ReadonlyArray<string>): ReadonlyArray<string> {
    const fresh = list.filter((id) => !this.known.has(id))
    for (const id of fresh) this.know(id)
    return fresh
  }

  /** The peer has this: do not announce it back. */
  know(id: string): void {
    if (this.known.size >= knownMax) this.known.delete(this.known.values().next().value!)
    this.known.add(id)
  }

  /** Time passes: late answers, pings, silence. */
  tick(now: number): ReadonlyArray<SessionEffect> {
    const effects: Array<SessionEffect> = []
    for (const [request, { kind, since, ids }] of this.requests) {
      if (now - since < requestMsMax) continue
      this.requests.delete(request)
      if (kind === "headers") effects.push({ _tag: "End", reason: "no headers in time" })
      if (kind === "blocks") effects.push({ _tag: "NotGiven", ids: [...ids], stalled: true })
    }
    if (now - this.heardAt > peerIdleMsMax) effects.push({ _tag: "End", reason: "silent for too long" })
    else if (now - this.heardAt > pingAfterMs && this.ping === undefined) effects.push(...this.sendPing(now))
    return effects
  }

  /** Measures the round trip. */
  sendPing(now: number): ReadonlyArray<SessionEffect> {
    this.ping = { nonce: this.nextRequest++, sentAt: now }
    return [{ _tag: "Send", message: { tag: "PNG", nonce: this.ping.nonce } }]
  }

  private pong(nonce: number, now: number): ReadonlyArray<SessionEffect> {
    const { ping } = this
    if (ping?.nonce !== nonce) return [{ _tag: "Misbehaved", code: "pong-unasked", points: 5 }]
    this.ping = undefined
    return [{ _tag: "Measured", latencyMs: now - ping.sentAt }]
  }

  /** A peer may ask often, but not without end: each second a budget, beyond it a price. */
  private serve(
    message: Extract<Message, { tag: "GHD" | "GBL" | "GTX" | "GPR" }>,
    now: number
  ): ReadonlyArray<SessionEffect> {
    const second = Math.floor(now / 1000)
    this.asksThisSecond = second === this.second ? this.asksThisSecond + 1 : 1
    this.second = second
    if (this.asksThisSecond > 20 * requestsPerPeerMax)
      return [{ _tag: "Misbehaved", code: "asks-too-often", points: 10 }]
    const { request } = message
    if (message.tag === "GHD") {
      return [
        {
          _tag: "ServeHeaders",
          request,
          locator: message.locator,
          limit: Math.min(message.limit, headersPerMessageMax)
        }
      ]
    }
    if (message.tag === "GBL") return [{ _tag: "ServeBlocks", request, hashes: message.hashes }]
    return message.tag === "GTX"
      ? [{ _tag: "ServeTransactions", request, hashes: message.hashes }]
      : [{ _tag: "ServePeers", request }]
  }

  private headers({ request, headers }: Extract<Message, { tag: "HDR" }>): ReadonlyArray<SessionEffect> {
    if (request === 0)
      return headers.length > 16 * 212
        ? [{ _tag: "Misbehaved", code: "announces-too-much", points: 20 }]
        : [{ _tag: "Headers", asked: false, headers }]
    return this.finish(request, "headers", { _tag: "Headers", asked: true, headers })
  }

  /** A part of an answer: the request stays open until all its ids have come. */
  private answer(request: number, kind: RequestKind, id: string, effect: SessionEffect): ReadonlyArray<SessionEffect> {
    const open = this.requests.get(request)
    if (open?.kind !== kind || !open.ids.delete(id)) return [{ _tag: "Misbehaved", code: "answer-unasked", points: 10 }]
    this.know(id)
    if (open.ids.size === 0) this.requests.delete(request)
    return [effect]
  }

  private finish(request: number, kind: RequestKind, effect: SessionEffect): ReadonlyArray<SessionEffect> {
    const open = this.requests.get(request)
    if (open?.kind !== kind) return [{ _tag: "Misbehaved", code: "answer-unasked", points: 10 }]
    this.requests.delete(request)
    return [effect]
  }

  private notFound({ request, hashes }: Extract<Message, { tag: "NFD" }>): ReadonlyArray<SessionEffect> {
    const open = this.requests.get(request)
    if (open === undefined) return nothing
    const gone = hashes.map(toHex).filter((id) => open.ids.delete(id))
    if (open.ids.size === 0) this.requests.delete(request)
    return open.kind === "blocks" ? [{ _tag: "NotGiven", ids: gone, stalled: false }] : nothing
  }

  private ask(
    kind: RequestKind,
    hashes: ReadonlyArray<Uint8Array>,
    since: number,
    make: (request: number) => Message
  ): ReadonlyArray<SessionEffect> {
    // Blocks are bounded by whoever downloads; a refusal of our own must not look like the peer's.
    if ((kind !== "blocks" && this.requests.size >= requestsPerPeerMax) || hashes.length > hashesPerMessageMax)
      return nothing
    const request = this.nextRequest++
    this.requests.set(request, { kind, since, ids: new Set(hashes.map(toHex)) })
    return [{ _tag: "Send", message: make(request) }]
  }
}

/** The id of an encoded block, without decoding its body. */
const idOfBlock = (block: Uint8Array): string => toHex(hashHeader(block.subarray(0, headerBytes)))
