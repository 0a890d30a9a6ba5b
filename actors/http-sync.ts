/** Owns the download by HTTP from the operator's nodes. A mailbox around src/peer/http-sync.ts. */
import { Clock, Effect, Fiber } from "effect"
import { ForkChoice } from "../src/chain/choose.ts"
import { locatorHeights } from "../src/chain/locator.ts"
import { verdicts } from "../src/chain/reject.ts"
import type { Rules } from "../src/chain/rules.ts"
import { type PeerPolicy, parseEndpoint } from "../src/config.ts"
import type { CallNode } from "../src/io/call-node.ts"
import { Random } from "../src/io/random.ts"
import {
  bodiesAheadMax,
  bootstrapMax,
  rawAnswerBytesMax,
  rawBlocksBytesMax,
  rawUnjudgedMax,
  resolveMsMax,
  resolvesMax
} from "../src/limits.ts"
import { Busy } from "../src/node/node.ts"
import {
  type CallOutcome,
  HttpSync,
  type HttpSyncEffect,
  type OurChain,
  type PageVerdict
} from "../src/peer/http-sync.ts"
import { loadAnchors } from "../src/store/finality.ts"
import type { ChainStore } from "../src/store/store.ts"
import { type ActorRef, type ActorSpec, type Reply, replyWith } from "./actor.ts"
import { type HttpSyncMessage, httpSyncOverflow, type Looked } from "./http-sync-protocol.ts"
import type { ChainMessage, HeadersVerdict, MaintenanceMessage, SyncMessage } from "./protocol.ts"

export interface HttpSyncPorts {
  readonly urls: ReadonlyArray<string>
  readonly rules: Rules
  readonly store: ChainStore
  readonly policy: PeerPolicy
  /** Does this node dial anybody? */
  readonly dials: boolean
  readonly allowPrivate: boolean
  /** What `/api/network/*` of others asks for, if anything. */
  readonly secret: string | undefined
  readonly call: CallNode
  readonly fork: (effect: Effect.Effect<void>) => Fiber.Fiber<void, unknown>
  readonly self: () => ActorRef<HttpSyncMessage>
  readonly chain: ActorRef<ChainMessage>
  readonly sync: ActorRef<SyncMessage>
  readonly maintenance: ActorRef<MaintenanceMessage>
}

interface State {
  readonly clock: Clock.Clock
  readonly machine: HttpSync
  /** The question that is out. */
  asking: Fiber.Fiber<void, unknown> | undefined
  /** Who waits for an order, and until when at most. */
  readonly orders: Array<{ readonly reply: Reply<Looked, Busy>; readonly until: number }>
}

/** Milliseconds without progress after which a run is lost: a disk without room takes as long. */
const lostMs = 60_000

/** Our chain as the machine reads it. Anchors weigh more than any work, as for the download over sessions. */
const ourChain = (store: ChainStore): OurChain => {
  const weightOf = (row: Parameters<ForkChoice["rankOf"]>[0]): bigint =>
    (BigInt(new ForkChoice(store, loadAnchors(store.db)).rankOf(row)) << 256n) + row.work
  return {
    tipWeight: () => weightOf(store.tip()),
    weightOf: (id) => {
      const row = store.invalidCode(id) === undefined ? store.find(id) : undefined
      return row === undefined ? undefined : weightOf(row)
    },
    locator: (max) => {
      const [tip, heaviest] = [store.tip().header, store.heaviest().header]
      const ours = locatorHeights(tip.height, max - 1).map((height) => store.bestAt(height)!.header.id)
      return heaviest.id === tip.id ? ours : [heaviest.id, ...ours]
    }
  }
}

const verdictOf = ({ known, last, reject, heaviest }: HeadersVerdict): PageVerdict => ({
  news: known,
  last: last?.id,
  headerWork: heaviest.work,
  refused: reject === undefined ? "no" : verdicts[reject.code].blame === "nobody" ? "nobody" : "peer"
})

/** The actor of the download by HTTP. */
export const makeHttpSync = (ports: HttpSyncPorts): ActorSpec<State, HttpSyncMessage> => {
  const { self, chain, policy } = ports

  /** Asks without waiting: what becomes of it comes back as a message. */
  const ask = (state: State, { ask, url, what }: Extract<HttpSyncEffect, { _tag: "Ask" }>): void => {
    const heard = (outcome: CallOutcome): Effect.Effect<void> =>
      Effect.sync(() => void self().tell({ _tag: "Answered", ask, outcome }))
    const isBodies = what === "bodies"
    const question = ports.call({
      method: "GET",
      url,
      // The secret is for the routes that ask for it, and for nobody in front of others.
      ...(what === "directory" && ports.secret !== undefined
        ? { headers: { "x-blockchain-peer-secret": ports.secret } }
        : {}),
      timeoutMs: isBodies ? 4 * policy.timeoutMs : policy.timeoutMs,
      bytesMax: isBodies ? rawBlocksBytesMax : rawAnswerBytesMax,
      allowPrivate: ports.allowPrivate,
      requireHttps: policy.requireHttps
    })
    const told = Effect.matchEffect(question, {
      onSuccess: heard,
      onFailure: ({ code, message }) => heard({ code, message })
    })
    state.asking = ports.fork(told)
  }

  const settle = (state: State, looked: Looked): void => {
    for (const { reply } of state.orders.splice(0)) reply.succeed(looked)
  }

  const performOne = (state: State, effect: HttpSyncEffect): Effect.Effect<unknown> | void => {
    switch (effect._tag) {
      case "Ask":
        return ask(state, effect)
      case "OfferHeaders":
        return chain.offer({
          _tag: "OfferHeaders",
          headers: effect.headers,
          reply: replyWith((verdict) => void self().tell({ _tag: "HeadersJudged", run: effect.run, verdict }))
        })
      case "Look":
        chain.tell({
          _tag: "MissingBodies",
          head: effect.head,
          limit: bodiesAheadMax,
          reply: replyWith((lacking) => void self().tell({ _tag: "Missing", run: effect.run, lacking }))
        })
        return
      case "OfferBlocks":
        return Effect.forEach(effect.blocks, (block) => {
          const { id } = block.header
          const judged = (reject: Extract<HttpSyncMessage, { _tag: "BodyJudged" }>["reject"]) =>
            void self().tell({ _tag: "BodyJudged", run: effect.run, id, reject })
          return chain.offer({
            _tag: "OfferBlock",
            block,
            from: undefined,
            reply: replyWith(() => judged(undefined), judged)
          })
        })
      case "Found":
        ports.maintenance.tell({
          _tag: "Found",
          from: undefined,
          peers: effect.endpoints.map((endpoint) => ({ endpoint, nodeId: "" }))
        })
        return
      case "Say":
        return Effect.logInfo(`a node asked by HTTP: ${effect.message}`, { url: effect.url, code: effect.code })
      case "Resolved":
        return settle(state, effect)
    }
  }

  const perform = (state: State, effects: ReadonlyArray<HttpSyncEffect>): Effect.Effect<void> =>
    Effect.forEach(effects, (effect) => performOne(state, effect) ?? Effect.void, { discard: true })

  const lookAround = (state: State, now: number): void => {
    if (state.orders.some(({ until }) => until <= now)) settle(state, state.machine.giveUp())
    ports.sync.tell({
      _tag: "View",
      reply: replyWith(
        (view) => void self().tell({ _tag: "Sessions", now: { count: view.peers, busy: view.state !== "idle" } })
      )
    })
  }

  const order = (state: State, reply: Reply<Looked, Busy>, now: number): ReadonlyArray<HttpSyncEffect> => {
    if (state.orders.length >= resolvesMax) {
      reply.fail(new Busy({ actor: "http-sync", retryAfterMs: 1_000 }))
      return []
    }
    // Who comes later hears what the order that is under way finds.
    return state.orders.push({ reply, until: now + resolveMsMax }) === 1 ? state.machine.order(now) : []
  }

  const step = (state: State, message: HttpSyncMessage): Effect.Effect<void> | void => {
    const { machine } = state
    const now = state.clock.currentTimeMillisUnsafe()
    switch (message._tag) {
      case "Tick":
        return lookAround(state, now)
      case "Sessions":
        return perform(state, machine.tick(now, message.now))
      case "Answered":
        return perform(state, machine.answered(message.ask, message.outcome, now))
      case "HeadersJudged":
        return perform(state, machine.headersJudged(message.run, verdictOf(message.verdict), now))
      case "Missing":
        return perform(state, machine.missing(message.run, message.lacking?.ids, now))
      case "BodyJudged":
        return perform(state, machine.bodyJudged(message.run, message.id, message.reject !== undefined, now))
      case "Hinted":
        return perform(state, machine.hinted(message.url, now))
      case "Resolve":
        return perform(state, order(state, message.reply, now))
    }
  }

  const open = Effect.gen(function* () {
    const random = yield* Random
    const clock = yield* Clock.Clock
    const machine = new HttpSync({
      urls: ports.urls,
      rules: ports.rules,
      chain: ourChain(ports.store),
      pollMs: policy.pollMs,
      backoffBaseMs: policy.backoffBaseMs,
      lostMs,
      isEndpoint: ports.dials ? (text) => parseEndpoint(text) !== undefined : undefined,
      chance: () => random(1)[0]! / 256
    })
    const state: State = { clock, machine, asking: undefined, orders: [] }
    // Whoever stops or fails takes the question back.
    return yield* Effect.acquireRelease(Effect.succeed(state), ({ asking }) =>
      asking === undefined ? Effect.void : Effect.asVoid(Fiber.interrupt(asking))
    )
  })

  return {
    name: "http-sync",
    inboxMax: 4 * bootstrapMax,
    owedMax: 2 + 2 * rawUnjudgedMax,
    overflow: httpSyncOverflow,
    open,
    step,
    bounds: ({ machine, orders }) => [...machine.bounds, { of: "orders", used: orders.length, max: resolvesMax }]
  }
}
