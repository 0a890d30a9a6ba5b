/**
 * Owns one connection: bytes in and out, the channel that proves who the peer is, the conversation with it. It ends when
 * either side ends it; it is never restarted.
 */
import { Clock, Effect, Result } from "effect"
import { decodeBlock } from "../src/block/block.ts"
import { decodeHeader, type Header, headerLengthAt, splitHeaders } from "../src/block/header.ts"
import { reject as blockReject } from "../src/chain/reject.ts"
import type { Rules } from "../src/chain/rules.ts"
import { concat, fromHex, toHex } from "../src/codec/bytes.ts"
import { fromTarget, toTarget } from "../src/consensus/difficulty.ts"
import type { Wire } from "../src/io/tcp.ts"
import { blame } from "../src/ledger/reject.ts"
import {
  earlyMessagesMax,
  hashesPerMessageMax,
  offeredPerPeerMax,
  peersPerMessageMax,
  servedPerPeerMax,
  transactionBytesMax
} from "../src/limits.ts"
import { type Mark, reached } from "../src/marks.ts"
import { priceOf } from "../src/peer/directory.ts"
import { packHeaders, type Message } from "../src/peer/message.ts"
import { Session, type SessionEffect } from "../src/peer/session.ts"
import { answerLight } from "../src/store/light.ts"
import type { Snapshot } from "../src/store/snapshot.ts"
import type { ChainStore } from "../src/store/store.ts"
import type { Channel, ChannelOutput, Remote } from "../src/transport/channel.ts"
import { capabilities } from "../src/transport/hello.ts"
import { type ActorRef, type ActorSpec, replyWith } from "./actor.ts"
import { type AuthorityPorts, hearEvidence, hearVotes, isNews } from "./session-authority.ts"
import {
  type MaintenanceMessage,
  type MempoolMessage,
  type PeerFacts,
  type SessionMessage,
  sessionOverflow,
  type SyncMessage
} from "./protocol.ts"

export interface SessionPorts extends AuthorityPorts {
  readonly direction: "inbound" | "outbound"
  /** What we dialled, if we did. */
  readonly dialled: string | undefined
  readonly rules: Rules
  readonly store: ChainStore
  readonly snapshot: Snapshot
  readonly channel: Channel
  readonly wire: Wire
  readonly self: () => ActorRef<SessionMessage>
  readonly sync: ActorRef<SyncMessage>
  readonly mempool: ActorRef<MempoolMessage>
  readonly maintenance: ActorRef<MaintenanceMessage>
  /** It is let in, and this is who it is. */
  readonly met: (facts: PeerFacts) => void
  /** May the log hear of a stranger who was refused? */
  readonly mayTell: (code: string, now: number) => boolean
  /** The reason of the end, for whoever supervises. */
  readonly ended: (reason: string) => void
}

/** Messages in the inbox above which the socket is not read, and below which it is again. */
const inboxHigh = 64
const inboxLow = 16
/** Bytes queued to the peer above which no further block is served until it has read some. */
const serveBytesMax = 4 * 1024 * 1024
/** Refusals of a channel that a simulation must have seen. */
const refusalMarks: Readonly<Record<string, Mark>> = { "hello-replayed": "hello-replayed", "hello-late": "hello-late" }
/** Attached headers that are announced one by one; more are told as a status. */
const announceMax = 8

interface State {
  readonly clock: Clock.Clock
  /** Said goodbye: nothing more is heard. */
  over: boolean
  remote: Remote | undefined
  admitted: boolean
  session: Session
  /** The last that it said of its tip. */
  claim: Extract<SyncMessage, { _tag: "Claimed" }>["tip"]
  paused: boolean
  /** Blocks asked for by the peer and not sent yet. */
  readonly toServe: Array<{ readonly request: number; readonly hash: Uint8Array }>
  /** Heard before we were admitted by maintenance. */
  readonly early: Array<Message>
}

/** Has the peer said that it keeps headers only? */
const isLight = ({ remote }: State): boolean => remote?.capabilities.includes(capabilities.lightClient) === true

/** The session actor. */
export const makeSession = (ports: SessionPorts): ActorSpec<State, SessionMessage> => {
  const { wire, channel, store, rules, id } = ports

  const send = (message: Message): void => void wire.write(channel.encode(message))

  const end = (state: State, reason: string): void => {
    if (state.over) return
    state.over = true
    if (state.remote !== undefined) send({ tag: "BYE", reason: reason.slice(0, 200) })
    wire.end()
    ports.ended(reason)
  }

  const status = (): Message => {
    const { header, work } = store.tip()
    return { tag: "STS", height: header.height, work: toTarget(work), tip: header.hash }
  }

  /** The peer has proven who it is; maintenance says whether it may stay. */
  const opened = (state: State, remote: Remote): void => {
    state.remote = remote
    const { remoteHost, fingerprint: tlsFingerprint } = wire
    const { direction, dialled } = ports
    const facts: PeerFacts = { ...remote, session: id, remoteHost, direction, dialled, tlsFingerprint }
    const told = ports.maintenance.tell({
      _tag: "Admit",
      facts,
      reply: replyWith<true, { readonly code: string; readonly message: string }>(
        () => {
          ports.met(facts)
          ports.self().tell({ _tag: "Admitted" })
        },
        (refused) => void ports.self().tell({ _tag: "Close", reason: `${refused.code}: ${refused.message}` })
      )
    })
    if (!told) end(state, "busy")
  }

  const punish = (state: State, fault: { readonly code: string; readonly points: number }): void => {
    const { code, points } = fault
    if (state.remote !== undefined) ports.maintenance.tell({ _tag: "Misbehaved", session: id, code, points })
  }

  const punishAs = (state: State, code: string, priced = code): void => punish(state, { code, points: priceOf(priced) })

  const tellEvidence = (state: State, evidence: Uint8Array): void => {
    if (!isLight(state) && isNews(state.session, evidence)) send({ tag: "EVD", evidence })
  }

  const output = (state: State, out: ChannelOutput): Effect.Effect<void> | void => {
    switch (out._tag) {
      case "Send":
        return void wire.write(out.bytes)
      case "Opened":
        return opened(state, out.remote)
      case "Received":
        return hear(state, out.message)
      case "Refused":
        if (refusalMarks[out.code] !== undefined) reached(refusalMarks[out.code]!)
        if (out.blame) punish(state, { code: out.code, points: priceOf(out.code) })
        if (state.remote !== undefined)
          send({
            tag: "REJ",
            code: out.code,
            message: out.message.slice(0, 300),
            blame: "peer",
            about: new Uint8Array(0)
          })
        end(state, `${out.code}: ${out.message}`)
        return tellOfChain(state, out)
    }
  }

  /** An operator who has named a peer of another chain, or whom one has named, must hear why the two do not speak. */
  const tellOfChain = (state: State, { code, message }: Extract<ChannelOutput, { _tag: "Refused" }>) => {
    if (code !== "chain-id-mismatch" && code !== "genesis-mismatch") return
    if (!ports.mayTell(code, state.clock.currentTimeMillisUnsafe())) return
    const peer = ports.dialled ?? wire.remoteHost
    return Effect.logWarning(`a peer was refused: ${message}`, { code, peer, direction: ports.direction })
  }

  const hear = (state: State, message: Message): Effect.Effect<void> | void => {
    // Whom it does not let in, it tells why: that is heard also by who has not yet decided itself.
    if (!state.admitted && message.tag !== "BYE") {
      if (state.early.length < earlyMessagesMax) state.early.push(message)
      return
    }
    return perform(state, state.session.hear(message, state.clock.currentTimeMillisUnsafe()))
  }

  const perform = (state: State, effects: ReadonlyArray<SessionEffect>): Effect.Effect<void> | void => {
    const waits: Array<Effect.Effect<unknown>> = []
    for (const effect of effects) {
      const wait = act(state, effect)
      if (wait !== undefined) waits.push(wait)
    }
    return waits.length === 0 ? undefined : Effect.all(waits, { discard: true })
  }

  const act = (state: State, effect: SessionEffect): Effect.Effect<unknown> | void => {
    switch (effect._tag) {
      case "Send":
        return send(effect.message)
      case "ServeHeaders":
        return send({ tag: "HDR", request: effect.request, headers: headersAfter(effect.locator, effect.limit) })
      case "ServeBlocks":
        return queueBlocks(state, effect)
      case "ServeTransactions":
        return serveTransactions(effect.request, effect.hashes)
      case "ServeLight":
        return send(answerLight(ports.snapshot, effect.ask))
      case "LightAnswer":
        // A full node asks none of these.
        return
      case "ServeVotes":
        return void ports.finality?.tell({ _tag: "Asked", session: id, above: effect.above })
      case "Votes":
        return hearVotes(ports, effect.votes, () => punishAs(state, "checkpoint-vote-malformed", "message-malformed"))
      case "ServePeers":
        return void ports.maintenance.tell({
          _tag: "Advertise",
          to: id,
          reply: replyWith((peers) =>
            send({ tag: "PRS", request: effect.request, peers: peers.slice(0, peersPerMessageMax) })
          )
        })
      case "Claimed": {
        const work = fromTarget(effect.work)
        ports.maintenance.tell({ _tag: "Measured", session: id, latencyMs: undefined, height: effect.height, work })
        // It has let us in, so it hears us.
        if (state.claim.hash === "")
          for (const evidence of ports.judge?.unpunished() ?? []) tellEvidence(state, evidence)
        state.claim = { height: effect.height, work, hash: effect.tip }
        return void ports.sync.tell({ _tag: "Claimed", session: id, tip: state.claim })
      }
      case "Headers":
        return headers(state, effect)
      case "Block":
        return body(state, effect.block)
      case "NotGiven":
        return ports.sync.offer({ _tag: "NotGiven", session: id, ids: effect.ids, stalled: effect.stalled })
      case "Offered":
        return offered(state, effect.hashes)
      case "Transactions":
        return transactions(state, effect.transactions)
      case "Peers":
        return void ports.maintenance.tell({ _tag: "Found", from: id, peers: effect.peers })
      case "Measured":
        return void ports.maintenance.tell({
          _tag: "Measured",
          session: id,
          latencyMs: effect.latencyMs,
          height: undefined
        })
      case "Evidence":
        return hearEvidence(ports, { session: state.session, bytes: effect.evidence }, (code) => punishAs(state, code))
      case "Misbehaved":
        return punish(state, effect)
      case "End":
        return end(state, effect.reason)
    }
  }

  /** Best-branch headers after the first hash of the locator that is on our best branch. */
  const headersAfter = (locator: ReadonlyArray<Uint8Array>, limit: number): Uint8Array => {
    const known = locator
      .map((hash) => store.find(toHex(hash)))
      .find((row) => row !== undefined && store.bestAt(row.header.height)?.header.id === row.header.id)
    return packHeaders(ports.snapshot.headersFrom((known?.header.height ?? 0) + 1, limit))
  }

  /** Our own kind asks for far less at a time than may wait here. */
  const queueBlocks = (state: State, effect: Extract<SessionEffect, { _tag: "ServeBlocks" }>): void => {
    const { request, hashes } = effect
    if (state.toServe.length + hashes.length > servedPerPeerMax) {
      reached("serve-full")
      return punish(state, { code: "asks-too-often", points: 5 })
    }
    state.toServe.push(...hashes.map((hash) => ({ request, hash })))
    serve(state)
    if (state.toServe.length > 0) reached("serve-waited")
  }

  /** Blocks as fast as the peer reads them. */
  const serve = (state: State): void => {
    while (state.toServe.length > 0 && wire.queued() < serveBytesMax) {
      const { request, hash } = state.toServe.shift()!
      const row = store.find(toHex(hash))
      const bytes = row?.hasBody === true ? store.body(row.header.id) : undefined
      if (row === undefined || bytes === undefined) send({ tag: "NFD", request, hashes: [hash] })
      else {
        send({ tag: "BLK", request, block: concat(row.header.bytes, bytes) })
      }
    }
  }

  const serveTransactions = (request: number, hashes: ReadonlyArray<Uint8Array>): void => {
    ports.mempool.tell({
      _tag: "Find",
      ids: hashes.map(toHex),
      reply: replyWith((found) =>
        send({ tag: "TXN", request, transactions: found.flatMap((one) => (one === undefined ? [] : [one.bytes])) })
      )
    })
  }

  const headers = (
    state: State,
    { headers: page, asked }: Extract<SessionEffect, { _tag: "Headers" }>
  ): Effect.Effect<unknown> | void => {
    const list: Array<Header> = []
    for (const row of splitHeaders(page)) {
      const header = decodeHeader(row.slice())
      if (header === undefined) return punish(state, { code: "block-malformed", points: priceOf("message-malformed") })
      state.session.know(header.id)
      list.push(header)
    }
    return ports.sync.offer({ _tag: "Headers", session: id, headers: list, asked })
  }

  const body = (state: State, bytes: Uint8Array): Effect.Effect<unknown> | void => {
    const decoded = decodeBlock(bytes, rules.ledger)
    if (Result.isSuccess(decoded)) return ports.sync.offer({ _tag: "Body", session: id, block: decoded.success })
    const reject = blockReject("block-malformed", decoded.failure.what)
    punish(state, { code: reject.code, points: priceOf("message-malformed") })
    const header = decodeHeader(bytes.slice(0, headerLengthAt(bytes)))
    if (header !== undefined)
      return ports.sync.offer({ _tag: "NotGiven", session: id, ids: [header.id], stalled: false })
  }

  /** Asks for what we have neither pending nor confirmed. */
  const offered = (state: State, hashes: ReadonlyArray<Uint8Array>): void => {
    const unknown = hashes.filter((hash) => !store.isConfirmed(hash))
    ports.mempool.tell({
      _tag: "Find",
      ids: unknown.map(toHex),
      reply: replyWith((found) => {
        const wanted = unknown.filter((_, i) => found[i] === undefined)
        void perform(state, state.session.askTransactions(wanted, state.clock.currentTimeMillisUnsafe()))
      })
    })
  }

  const transactions = (state: State, list: ReadonlyArray<Uint8Array>): void => {
    const decoded = list.flatMap((bytes) => {
      // A copy: the frame it came in must not live as long as the pool.
      const outcome = bytes.length <= transactionBytesMax ? rules.ledger.decode(bytes.slice()) : undefined
      if (outcome === undefined || Result.isFailure(outcome)) {
        const code = outcome === undefined ? "transaction-too-large" : outcome.failure.code
        if (blame[code] === "sender") punish(state, { code, points: priceOf(code) })
        return []
      }
      return [outcome.success]
    })
    ports.mempool.tell({
      _tag: "Relay",
      transactions: decoded,
      from: id,
      refused: ({ code }) => (blame[code] === "sender" ? punish(state, { code, points: priceOf(code) }) : undefined)
    })
  }

  const announceTip = (state: State, message: Extract<SessionMessage, { _tag: "AnnounceTip" }>): void => {
    if (isLight(state)) return send(status())
    const fresh = new Set(state.session.news(message.headers.map((header) => header.id)))
    const list = message.headers.filter((header) => fresh.has(header.id))
    if (list.length > 0 && list.length <= announceMax) send({ tag: "HDR", request: 0, headers: packHeaders(list) })
    if (list.length > 0) send(status())
  }

  const admitted = (state: State): Effect.Effect<void> | void => {
    state.admitted = true
    state.session = new Session(state.clock.currentTimeMillisUnsafe())
    send(status())
    const now = state.clock.currentTimeMillisUnsafe()
    // A light client has no blocks to give, and pending transfers are bytes that it did not ask for.
    if (!isLight(state)) perform(state, state.session.askPeers(now))
    perform(state, state.session.sendPing(now))
    if (!isLight(state)) ports.finality?.tell({ _tag: "Joined", session: id })
    const joined = isLight(state) ? Effect.void : Effect.andThen(join(state), announcePool)
    return Effect.flatMap(joined, () => {
      const waits = state.early.splice(0).flatMap((message) => hear(state, message) ?? [])
      return Effect.all(waits, { discard: true })
    })
  }

  /** The download must not miss us, nor, if it has begun anew, what the peer has claimed so far. */
  const join = (state: State) => ports.sync.offer({ _tag: "Joined", session: id, tip: state.claim })

  /** A peer that has just come may lack what was announced while it was away, and a miner that lacks a nonce waits for it. */
  const announcePool = ports.mempool.offer({
    _tag: "Ids",
    limit: offeredPerPeerMax,
    reply: replyWith((ids) => {
      for (let at = 0; at < ids.length; at += hashesPerMessageMax)
        ports
          .self()
          .tell({ _tag: "AnnounceTransactions", ids: ids.slice(at, at + hashesPerMessageMax), from: undefined })
    })
  })

  /** Time passes for the proof, and for the conversation once it has begun. */
  const tick = (state: State, now: number): Effect.Effect<void> | void => {
    const waits = channel.tick(now).flatMap((out) => output(state, out) ?? [])
    if (state.admitted) waits.push(perform(state, state.session.tick(now)) ?? Effect.void)
    return waits.length === 0 ? undefined : Effect.all(waits, { discard: true })
  }

  const step = (state: State, message: SessionMessage): Effect.Effect<void> | void => {
    const now = state.clock.currentTimeMillisUnsafe()
    switch (message._tag) {
      case "Bytes": {
        const waits = channel.receive(message.bytes, now).flatMap((out) => output(state, out) ?? [])
        return waits.length === 0 ? undefined : Effect.all(waits, { discard: true })
      }
      case "Admitted":
        return admitted(state)
      case "Drained":
        return serve(state)
      case "AskHeaders":
        return perform(state, state.session.askHeaders(message.locator, now))
      case "AskPeers":
        return state.admitted && !isLight(state) ? perform(state, state.session.askPeers(now)) : undefined
      case "AskVotes":
        return state.admitted && !isLight(state) ? send({ tag: "GVT", above: message.above }) : undefined
      case "TellVotes":
        return state.admitted && !isLight(state) ? send({ tag: "VOT", votes: message.votes }) : undefined
      case "AskBodies":
        return perform(
          state,
          state.session.askBlocks(
            message.ids.map((one) => fromHex(one)!),
            now
          )
        )
      case "AnnounceTip":
        return state.admitted ? announceTip(state, message) : undefined
      case "AnnounceEvidence":
        return state.admitted ? tellEvidence(state, message.evidence) : undefined
      case "AnnounceTransactions": {
        const fresh = state.admitted && !isLight(state) ? state.session.news(message.ids, message.again) : []
        if (fresh.length > 0) send({ tag: "INV", transactions: fresh.map((one) => fromHex(one)!) })
        return
      }
      case "Punish":
        punish(state, message)
        return send({
          tag: "REJ",
          code: message.code,
          message: message.message.slice(0, 300),
          blame: "peer",
          about: new Uint8Array(0)
        })
      case "Rejoin":
        return state.admitted && !isLight(state) ? Effect.asVoid(join(state)) : undefined
      case "Closed":
      case "Close":
        return end(state, message.reason)
      case "Tick":
        return tick(state, now)
    }
  }

  /** Reads the socket as fast as messages are handled. */
  const settle = (state: State): void => {
    const depth = ports.self().depth()
    if (!state.paused && depth > inboxHigh) {
      reached("socket-paused")
      wire.pause()
    }
    if (state.paused && depth < inboxLow) wire.resume()
    state.paused = depth > inboxHigh || (state.paused && depth >= inboxLow)
  }

  const open = Effect.map(Clock.Clock, (clock): State => {
    const now = clock.currentTimeMillisUnsafe()
    for (const out of channel.open(now)) if (out._tag === "Send") wire.write(out.bytes)
    return {
      clock,
      over: false,
      remote: undefined,
      admitted: false,
      session: new Session(now),
      claim: { height: 0, work: 0n, hash: "" },
      paused: false,
      toServe: [],
      early: []
    }
  })

  return {
    name: `session-${id}`,
    inboxMax: 4096,
    overflow: sessionOverflow,
    batchMax: 16,
    open,
    step: (state, message) => (state.over ? undefined : step(state, message)),
    settle,
    drain: (state) => Effect.sync(() => end(state, "the node stops")),
    bounds: ({ session, toServe, early }) => [
      ...session.bounds,
      { of: "to-serve", used: toServe.length, max: servedPerPeerMax },
      { of: "early", used: early.length, max: earlyMessagesMax }
    ]
  }
}
