/** Owns what discovery services are asked and told. A mailbox around src/discovery/client.ts. */
import { Clock, Effect } from "effect"
import { Client, type ClientEffect, type Outcome, type Seeker } from "../src/discovery/client.ts"
import type { Fetch, Posted } from "../src/io/fetch.ts"
import { Random } from "../src/io/random.ts"
import { discoveryAnswerBytesMax, discoveryAskMsMax, discoveryLeaveMsMax, discoveryServicesMax } from "../src/limits.ts"
import { Actor, type ActorRef, type ActorSpec, type ActorWatch, type Overflow } from "./actor.ts"
import type { MaintenanceMessage } from "./protocol.ts"

export type DiscoveryMessage =
  | { readonly _tag: "Tick" }
  /** What became of a question to a service. */
  | { readonly _tag: "Answered"; readonly service: number; readonly ask: number; readonly outcome: Outcome }

/** An answer that is lost is one that never came: the question is asked again. */
export const discoveryOverflow: Readonly<Record<DiscoveryMessage["_tag"], Overflow>> = {
  Tick: "keep-latest",
  Answered: "drop-new"
}

export interface DiscoveryPorts {
  readonly services: ReadonlyArray<string>
  readonly seeker: Seeker
  readonly fetch: Fetch
  readonly fork: (effect: Effect.Effect<void>) => unknown
  readonly self: () => ActorRef<DiscoveryMessage>
  readonly maintenance: ActorRef<MaintenanceMessage>
}

interface State {
  readonly clock: Clock.Clock
  readonly client: Client
  readonly chance: () => number
}

const posted = (url: string, body: string, timeoutMs: number): Posted => ({
  url,
  body,
  timeoutMs,
  bytesMax: discoveryAnswerBytesMax
})

/** The discovery actor. */
export const makeDiscovery = (ports: DiscoveryPorts): ActorSpec<State, DiscoveryMessage> => {
  /** Asks without waiting: the outcome comes back as a message. */
  const ask = ({ service, ask, url, body }: Extract<ClientEffect, { _tag: "Ask" }>): void => {
    const answered = (outcome: Outcome): Effect.Effect<void> =>
      Effect.sync(() => void ports.self().tell({ _tag: "Answered", service, ask, outcome }))
    const question = ports.fetch(posted(url, body, discoveryAskMsMax))
    ports.fork(
      Effect.matchEffect(question, { onSuccess: answered, onFailure: ({ message }) => answered({ fault: message }) })
    )
  }

  const perform = (effects: ReadonlyArray<ClientEffect>): Effect.Effect<void> | void => {
    const says = effects.flatMap((effect) => {
      if (effect._tag === "Ask") ask(effect)
      if (effect._tag === "Found") {
        const peers = effect.endpoints.map((endpoint) => ({ endpoint, nodeId: "" }))
        ports.maintenance.tell({ _tag: "Found", from: undefined, peers })
      }
      if (effect._tag !== "Say") return []
      const { message, service, code } = effect
      return [Effect.logInfo(message, { service, code })]
    })
    return says.length === 0 ? undefined : Effect.all(says, { discard: true })
  }

  const step = ({ client, clock, chance }: State, message: DiscoveryMessage): Effect.Effect<void> | void => {
    const now = clock.currentTimeMillisUnsafe()
    return message._tag === "Tick"
      ? perform(client.tick(now, chance))
      : perform(client.answered(message.service, message.ask, message.outcome, now, chance))
  }

  /** A service that does not hear us go forgets us soon. */
  const leave = ({ client, clock }: State): Effect.Effect<void> => {
    const goodbyes = client.leave(clock.currentTimeMillisUnsafe())
    const one = ({ url, body }: (typeof goodbyes)[number]) =>
      Effect.ignore(ports.fetch(posted(url, body, discoveryLeaveMsMax)))
    return Effect.timeoutOrElse(Effect.forEach(goodbyes, one, { concurrency: "unbounded", discard: true }), {
      duration: discoveryLeaveMsMax,
      orElse: () => Effect.void
    })
  }

  return {
    name: "discovery",
    inboxMax: 4 * discoveryServicesMax,
    overflow: discoveryOverflow,
    open: Effect.gen(function* () {
      const random = yield* Random
      return {
        clock: yield* Clock.Clock,
        client: new Client(ports.seeker, ports.services),
        chance: () => random(1)[0]! / 256
      }
    }),
    step,
    drain: leave
  }
}

/** Who looks for peers in discovery services: one actor, or where there are no services none. */
export const makeSeekers = (
  ports: Omit<DiscoveryPorts, "self">,
  watch: ActorWatch
): ReadonlyArray<Actor<never, DiscoveryMessage>> => {
  if (ports.services.length === 0) return []
  const self = (): ActorRef<DiscoveryMessage> => actor
  const actor: Actor<never, DiscoveryMessage> = new Actor(makeDiscovery({ ...ports, self }), watch) as never
  return [actor]
}
