/** Owns what is posted to the operator's nodes where no sessions are. A mailbox around src/peer/http-relay.ts. */
import { Clock, Effect } from "effect"
import { encodeBlock } from "../src/block/block.ts"
import { isBest } from "../src/chain/reader.ts"
import { toHex } from "../src/codec/bytes.ts"
import type { PeerPolicy } from "../src/config.ts"
import type { CallNode } from "../src/io/call-node.ts"
import { Random } from "../src/io/random.ts"
import { bootstrapMax, rawAnswerBytesMax } from "../src/limits.ts"
import { HttpRelay, type OurBranch, type RelayAsk, type RelayEffect } from "../src/peer/http-relay.ts"
import type { CallOutcome } from "../src/peer/http-sync.ts"
import type { ChainStore } from "../src/store/store.ts"
import type { ActorRef, ActorSpec } from "./actor.ts"
import { type HttpRelayMessage, httpRelayOverflow } from "./http-sync-protocol.ts"

export interface HttpRelayPorts {
  readonly urls: ReadonlyArray<string>
  readonly nodeId: string
  readonly store: ChainStore
  readonly policy: PeerPolicy
  readonly allowPrivate: boolean
  readonly secret: string | undefined
  readonly call: CallNode
  readonly fork: (effect: Effect.Effect<void>) => unknown
  readonly self: () => ActorRef<HttpRelayMessage>
}

interface State {
  readonly clock: Clock.Clock
  readonly machine: HttpRelay
}

const ourBranch = (store: ChainStore): OurBranch => ({
  work: () => store.tip().work,
  heightOf: (id) => {
    const row = store.find(id)
    return row !== undefined && isBest(store, row.header) ? row.header.height : undefined
  },
  blockAt: (height) => {
    const row = store.bestAt(height)
    const block = row === undefined ? undefined : store.block(row.header.id)
    return block === undefined ? undefined : toHex(encodeBlock(block))
  }
})

/** The actor that posts. */
export const makeHttpRelay = (ports: HttpRelayPorts): ActorSpec<State, HttpRelayMessage> => {
  const { policy, secret } = ports

  /** Asks without waiting: what becomes of it comes back as a message. */
  const ask = ({ target, ask, method, url, body }: RelayAsk): void => {
    const heard = (outcome: CallOutcome): Effect.Effect<void> =>
      Effect.sync(() => void ports.self().tell({ _tag: "Answered", target, ask, outcome }))
    const question = ports.call({
      method,
      url,
      ...(secret === undefined || body === undefined ? {} : { headers: { "x-blockchain-peer-secret": secret } }),
      ...(body === undefined ? {} : { body }),
      timeoutMs: body === undefined ? policy.timeoutMs : 4 * policy.timeoutMs,
      bytesMax: rawAnswerBytesMax,
      allowPrivate: ports.allowPrivate,
      requireHttps: policy.requireHttps
    })
    ports.fork(
      Effect.matchEffect(question, {
        onSuccess: heard,
        onFailure: ({ code, message }) => heard({ code, message })
      })
    )
  }

  const perform = (effects: ReadonlyArray<RelayEffect>): Effect.Effect<void> =>
    Effect.forEach(
      effects,
      (effect) => {
        if (effect._tag === "Ask") return Effect.sync(() => ask(effect))
        return Effect.logInfo(`a node posted to by HTTP: ${effect.message}`, { url: effect.url, code: effect.code })
      },
      { discard: true }
    )

  const step = ({ machine, clock }: State, message: HttpRelayMessage): Effect.Effect<void> => {
    const now = clock.currentTimeMillisUnsafe()
    switch (message._tag) {
      case "Tick":
        return perform(machine.tick(now))
      case "Admitted":
        return perform(machine.admitted(message.transactions, now))
      case "Moved":
        return perform(machine.tipMoved(now))
      case "Answered":
        return perform(machine.answered(message.target, message.ask, message.outcome, now))
    }
  }

  return {
    name: "http-relay",
    inboxMax: 256,
    owedMax: 2 * bootstrapMax,
    overflow: httpRelayOverflow,
    open: Effect.gen(function* () {
      const random = yield* Random
      const machine = new HttpRelay({
        urls: ports.urls,
        branch: ourBranch(ports.store),
        source: ports.nodeId,
        backoffBaseMs: policy.backoffBaseMs,
        lostMs: 8 * policy.timeoutMs,
        chance: () => random(1)[0]! / 256
      })
      return { clock: yield* Clock.Clock, machine }
    }),
    step,
    bounds: ({ machine }) => machine.bounds
  }
}
