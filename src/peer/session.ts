/**
 * One conversation after the hello, as a machine: what may be said now, what an answer belongs to, when silence is too long.
 * It holds no chain and no pool: what it needs of them it asks for as effects, and hears the answers as calls.
 */
import { assert } from "../assert.ts"
import { hashHeader, headerLengthAt } from "../block/header.ts"
import { fromHex, toHex } from "../codec/bytes.ts"
import {
  hashesPerMessageMax,
  headersPerMessageMax,
  knownPerPeerMax,
  locatorHashesMax,
  offeredPerPeerMax,
  peerIdleMsMax,
  pingAfterMs
} from "../limits.ts"
import { reached } from "../marks.ts"
import { Allowance } from "./allowance.ts"
import type { LightAnswer, LightAsk, Message } from "./message.ts"
import { Requests, requestsMax } from "./requests.ts"

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
  | { readonly _tag: "ServeLight"; readonly ask: LightAsk }
  /** What we asked as a light client. */
  | { readonly _tag: "LightAnswer"; readonly answer: LightAnswer }
  | { readonly _tag: "Claimed"; readonly height: number; readonly work: Uint8Array; readonly tip: string }
  | { readonly _tag: "Headers"; readonly asked: boolean; readonly headers: Uint8Array }
  | { readonly _tag: "Block"; readonly block: Uint8Array }
  | { readonly _tag: "NotGiven"; readonly ids: ReadonlyArray<string>; readonly stalled: boolean }
  | { readonly _tag: "Offered"; readonly hashes: ReadonlyArray<Uint8Array> }
  | { readonly _tag: "Transactions"; readonly transactions: ReadonlyArray<Uint8Array> }
  | { readonly _tag: "ServeVotes"; readonly above: number }
  | { readonly _tag: "Votes"; readonly votes: ReadonlyArray<Uint8Array> }
  | { readonly _tag: "Peers"; readonly peers: Extract<Message, { tag: "PRS" }>["peers"] }
  | { readonly _tag: "Measured"; readonly latencyMs: number }
  /** It says that this proves something against an authority. */
  | { readonly _tag: "Evidence"; readonly evidence: Uint8Array }
  /** The peer broke the conversation's rules; what it costs it. */
  | { readonly _tag: "Misbehaved"; readonly code: string; readonly points: number }
  | { readonly _tag: "End"; readonly reason: string }

/** Headers that may be announced in one message. */
const announcedMax = 16

/** Of a peer's allowance, what a light client takes. */
const askedShare = 0.75
/** Questions of a light client that wait: one for each of its parts, and those of parts that began anew. */
const unsentMax = 64

const nothing: ReadonlyArray<SessionEffect> = []

const misbehaved = (code: string, points: number): ReadonlyArray<SessionEffect> => [
  { _tag: "Misbehaved", code, points }
]
const unasked = misbehaved("answer-unasked", 10)

export class Session {
  private readonly requests = new Requests()
  private readonly allowance: Allowance
  /** What the peer knows: true, as it has named it itself; false, as we have. */
  private readonly known = new Map<string, boolean>()
  /** What we may ask as a light client by the peer's count, and what waits until we may. */
  private readonly ours: Allowance
  private readonly unsent: Array<LightQuestion> = []
  private readonly offered = new Set<string>()
  /** The last header of a full page, from which the next page follows. */
  private pageEnd: Uint8Array | undefined
  private heardAt: number
  private ping: { readonly nonce: number; readonly sentAt: number } | undefined
  private pings = 0

  constructor(now: number) {
    this.heardAt = now
    this.allowance = new Allowance(now)
    this.ours = new Allowance(now, askedShare)
  }

  /** What it holds, and at most. */
  get bounds(): ReadonlyArray<{ readonly of: string; readonly used: number; readonly max: number }> {
    return [
      { of: "requests", used: this.requests.size, max: requestsMax },
      { of: "known", used: this.known.size, max: knownPerPeerMax },
      { of: "unsent", used: this.unsent.length, max: unsentMax },
      { of: "offered", used: this.offered.size, max: offeredPerPeerMax }
    ]
  }

  /** A message came. */
  hear(message: Message, now: number): ReadonlyArray<SessionEffect> {
    this.heardAt = now
    switch (message.tag) {
      case "PON":
        return this.pong(message.nonce, now)
      case "BLK":
        return this.block(message, now)
      case "NFD":
        return this.notFound(message, now)
      case "TXN": {
        const { request, transactions } = message
        if (!this.requests.takeWhole(request, "transactions")) return unasked
        return [{ _tag: "Transactions", transactions }, ...this.askOffered(now)]
      }
      case "PRS":
        return this.requests.takeWhole(message.request, "peers") ? [{ _tag: "Peers", peers: message.peers }] : unasked
      case "PHD":
      case "PRF":
      case "FHD":
      case "FLT":
        return this.lightAnswer(message)
      case "BYE":
        return [{ _tag: "End", reason: `the peer left: ${message.reason}` }]
      case "HDR":
        return message.request === 0 ? this.unaskedFor(message, now) : this.page(message)
      default:
        return this.unaskedFor(message, now)
    }
  }

  /** Asks for headers after a locator. At most one such request at a time. */
  askHeaders(locator: ReadonlyArray<Uint8Array>, now: number): ReadonlyArray<SessionEffect> {
    if (!this.requests.hasRoom("headers")) return nothing
    // A peer's branch may be another than ours, and part from it further back than a page: it goes on where it ended.
    const from = this.pageEnd === undefined ? locator : [this.pageEnd, ...locator].slice(0, locatorHashesMax)
    this.pageEnd = undefined
    const request = this.requests.open("headers", [], now)
    return send({ tag: "GHD", request, locator: from, limit: headersPerMessageMax })
  }

  askBlocks(hashes: ReadonlyArray<Uint8Array>, now: number): ReadonlyArray<SessionEffect> {
    assert(hashes.length <= hashesPerMessageMax, "a question for blocks fits its message")
    const ids = hashes.map(toHex)
    if (!this.requests.hasRoom("blocks")) return [{ _tag: "NotGiven", ids, stalled: false }]
    const ask: Message = { tag: "GBL", request: this.requests.open("blocks", ids, now), hashes }
    this.ours.spend(ask)
    return [{ _tag: "Send", message: ask }]
  }

  /** Asks for transactions that the peer has named: now, or when earlier questions are answered. */
  askTransactions(hashes: ReadonlyArray<Uint8Array>, now: number): ReadonlyArray<SessionEffect> {
    for (const hash of hashes) {
      if (this.offered.size >= offeredPerPeerMax) this.offered.delete(this.offered.values().next().value!)
      this.offered.add(toHex(hash))
    }
    return this.askOffered(now)
  }

  askPeers(now: number): ReadonlyArray<SessionEffect> {
    return this.requests.hasRoom("peers")
      ? send({ tag: "GPR", request: this.requests.open("peers", [], now) })
      : nothing
  }

  /** Asks what light clients ask: now, or when the peer's allowance holds it. Each kind of answer is taken once for each ask of it. */
  askLight(ask: LightQuestion, now: number): ReadonlyArray<SessionEffect> {
    if (this.unsent.length === unsentMax) return [{ _tag: "End", reason: "it answers too slowly" }]
    this.unsent.push(ask)
    return this.askUnsent(now)
  }

  /**
   * Of these ids, those that neither the peer has named to us nor we to it; from now on it counts as knowing them. `again`: also
   * those that we have named, for it may have refused them then.
   */
  news(list: ReadonlyArray<string>, again = false): ReadonlyArray<string> {
    const fresh = list.filter((id) => !(again ? this.known.get(id) : this.known.has(id)))
    for (const id of fresh) this.learn(id, false)
    return fresh
  }

  /** The peer has this: do not announce it back. */
  know(id: string): void {
    this.learn(id, true)
  }

  private learn(id: string, named: boolean): void {
    if (!this.known.has(id) && this.known.size >= knownPerPeerMax) this.known.delete(this.known.keys().next().value!)
    this.known.set(id, named)
  }

  /** Time passes: late answers, pings, silence. */
  tick(now: number): ReadonlyArray<SessionEffect> {
    const effects: Array<SessionEffect> = []
    for (const { kind, ids } of this.requests.lapse(now)) {
      reached("request-lapsed")
      if (kind === "light") effects.push({ _tag: "End", reason: "no answer in time" })
      if (kind === "headers") effects.push({ _tag: "End", reason: "no headers in time" })
      if (kind === "blocks") effects.push({ _tag: "NotGiven", ids, stalled: true })
    }
    effects.push(...this.askOffered(now), ...this.askUnsent(now))
    if (now - this.heardAt > peerIdleMsMax) effects.push({ _tag: "End", reason: "silent for too long" })
    else if (now - this.heardAt > pingAfterMs && this.ping === undefined) effects.push(...this.sendPing(now))
    return effects
  }

  /** Measures the round trip. */
  sendPing(now: number): ReadonlyArray<SessionEffect> {
    this.ping = { nonce: ++this.pings, sentAt: now }
    return send({ tag: "PNG", nonce: this.ping.nonce })
  }

  private pong(nonce: number, now: number): ReadonlyArray<SessionEffect> {
    const { ping } = this
    if (ping?.nonce !== nonce) return misbehaved("pong-unasked", 5)
    this.ping = undefined
    return [{ _tag: "Measured", latencyMs: now - ping.sentAt }]
  }

  /** What a peer says of its own accord: as much as the allowance holds; beyond it, it is not heard, and pays. */
  private unaskedFor(message: Unasked, now: number): ReadonlyArray<SessionEffect> {
    if (!this.allowance.pay(message, now)) {
      reached("allowance-exceeded")
      return misbehaved(asks.has(message.tag) ? "asks-too-often" : "announces-too-much", 5)
    }
    switch (message.tag) {
      case "STS":
        return [{ _tag: "Claimed", height: message.height, work: message.work, tip: toHex(message.tip) }]
      case "PNG":
        return send({ tag: "PON", nonce: message.nonce })
      case "HDR":
        return message.headers.length > announcedMax * headerLengthAt(message.headers)
          ? misbehaved("announces-too-much", 20)
          : [{ _tag: "Headers", asked: false, headers: message.headers }]
      case "INV":
        for (const hash of message.transactions) this.know(toHex(hash))
        return [{ _tag: "Offered", hashes: message.transactions }]
      case "GHD": {
        const { request, locator } = message
        return [{ _tag: "ServeHeaders", request, locator, limit: Math.min(message.limit, headersPerMessageMax) }]
      }
      case "GBL":
        return [{ _tag: "ServeBlocks", request: message.request, hashes: message.hashes }]
      case "GTX":
        return [{ _tag: "ServeTransactions", request: message.request, hashes: message.hashes }]
      case "GPR":
        return [{ _tag: "ServePeers", request: message.request }]
      case "GPH":
      case "GPF":
      case "GFH":
      case "GFL":
        return [{ _tag: "ServeLight", ask: message }]
      case "EVD":
        return [{ _tag: "Evidence", evidence: message.evidence }]
      case "GVT":
        return [{ _tag: "ServeVotes", above: message.above }]
      case "VOT":
        return [{ _tag: "Votes", votes: message.votes }]
      case "REJ":
        return nothing
    }
  }

  private page({ request, headers }: Extract<Message, { tag: "HDR" }>): ReadonlyArray<SessionEffect> {
    if (!this.requests.takeWhole(request, "headers")) return unasked
    const length = headerLengthAt(headers)
    if (headers.length === headersPerMessageMax * length) this.pageEnd = hashHeader(headers.subarray(-length))
    return [{ _tag: "Headers", asked: true, headers }]
  }

  private block({ request, block }: Extract<Message, { tag: "BLK" }>, now: number): ReadonlyArray<SessionEffect> {
    const id = toHex(hashHeader(block))
    if (!this.requests.takeBlock(request, id, now)) return unasked
    this.know(id)
    return [{ _tag: "Block", block }]
  }

  private lightAnswer(answer: LightAnswer): ReadonlyArray<SessionEffect> {
    const isAsked = this.requests.takeLack(answer.request, [answer.tag]) !== undefined
    return isAsked ? [{ _tag: "LightAnswer", answer }] : unasked
  }

  private notFound({ request, hashes }: Extract<Message, { tag: "NFD" }>, now: number): ReadonlyArray<SessionEffect> {
    const lack = this.requests.takeLack(request, hashes.map(toHex))
    if (lack === undefined) return unasked
    return lack.kind === "blocks" ? [{ _tag: "NotGiven", ids: lack.ids, stalled: false }] : this.askOffered(now)
  }

  private askUnsent(now: number): ReadonlyArray<SessionEffect> {
    const effects: Array<SessionEffect> = []
    for (let ask = this.unsent[0]; ask !== undefined; ask = this.unsent[0]) {
      if (!this.requests.hasRoom("light") || !this.ours.pay({ ...ask, request: 0 }, now)) break
      this.unsent.shift()
      effects.push(...send({ ...ask, request: this.requests.open("light", [answerTags[ask.tag]], now) }))
    }
    return effects
  }

  private askOffered(now: number): ReadonlyArray<SessionEffect> {
    if (this.offered.size === 0 || !this.requests.hasRoom("transactions")) return nothing
    const part = [...this.offered].slice(0, hashesPerMessageMax)
    for (const id of part) this.offered.delete(id)
    const request = this.requests.open("transactions", part, now)
    return send({ tag: "GTX", request, hashes: part.map((id) => fromHex(id)!) })
  }
}

type Unasked = Exclude<Message, { tag: "PON" | "BLK" | "NFD" | "TXN" | "PRS" | "BYE" | LightAnswer["tag"] }>

const asks: ReadonlySet<string> = new Set(["GHD", "GBL", "GTX", "GPR", "GPH", "GPF", "GFH", "GFL", "GVT"])

const answerTags: { readonly [T in LightAsk["tag"]]: LightAnswer["tag"] } = {
  GPH: "PHD",
  GPF: "PRF",
  GFH: "FHD",
  GFL: "FLT"
}

/** An ask of a light client that has no number yet. */
export type LightQuestion = LightAsk extends infer A ? (A extends LightAsk ? Omit<A, "request"> : never) : never

const send = (message: Message): ReadonlyArray<SessionEffect> => [{ _tag: "Send", message }]
