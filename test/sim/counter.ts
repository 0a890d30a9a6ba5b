/** A small actor for tests of actors and groups, and a group around it. */
import { Effect } from "effect"
import { Actor, type ActorSpec, type Reply, unwatched } from "../../actors/actor.ts"
import type { Overflow } from "../../actors/inbox.ts"
import { type Group, type GroupOptions, startGroup } from "../../actors/supervisor.ts"

export type Message =
  | { readonly _tag: "Add"; readonly n: number }
  | { readonly _tag: "Latest"; readonly n: number }
  | { readonly _tag: "Get"; readonly reply: Reply<ReadonlyArray<number>> }
  | { readonly _tag: "Crash"; readonly reply?: Reply<string> }
  | { readonly _tag: "Slow"; readonly ms: number; readonly reply: Reply<string> }

type Overrides = Partial<ActorSpec<Array<number>, Message>> & { readonly add?: Overflow }

/** An actor that remembers what it was sent. */
export const counter = (overrides: Overrides = {}, watch = unwatched) =>
  new Actor<Array<number>, Message>(
    {
      name: "counter",
      inboxMax: 4,
      overflow: { Add: overrides.add ?? "refuse", Latest: "keep-latest", Get: "refuse", Crash: "refuse", Slow: "refuse" },
      open: Effect.sync(() => []),
      step: (state, message) => {
        switch (message._tag) {
          case "Crash":
            return Effect.die(new Error("planted"))
          case "Get":
            return message.reply.succeed([...state])
          case "Slow":
            return Effect.andThen(
              Effect.sleep(message.ms),
              Effect.sync(() => message.reply.succeed("done"))
            )
          default:
            state.push(message.n)
        }
      },
      ...overrides
    },
    watch
  )

export const options: GroupOptions = {
  name: "test",
  strategy: "one-for-one",
  restartsMax: 2,
  withinMs: 10_000,
  backoffMs: 10,
  onRestart: () => {}
}

/** Runs `use` beside a group of actors and stops the group. */
export const within = (
  actors: Parameters<typeof startGroup>[1],
  use: (group: Group) => Effect.Effect<void, unknown>,
  wish = options
) =>
  Effect.gen(function* () {
    const group = yield* startGroup(wish, actors)
    yield* use(group)
    yield* group.stop(1000)
  })

export type Counter = ReturnType<typeof counter>

export const get = (actor: Counter) =>
  actor.ask<ReadonlyArray<number>>((reply) => ({ _tag: "Get", reply }))
export const fill = (actor: Counter, count: number) =>
  Array.from({ length: count }, (_, n) => actor.tell({ _tag: "Add", n }))
